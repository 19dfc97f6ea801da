"""Profile likelihood: the deviance with one parameter held, minimized over all others."""
