"""Estimated marginal means and trends, their contrasts and joint tests."""
