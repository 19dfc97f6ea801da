"""The facade: ``lmer``, and the fit objects with their one-line methods."""
