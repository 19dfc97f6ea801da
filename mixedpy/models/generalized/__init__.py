"""Generalized fits: how they are made, and what their methods delegate to."""
