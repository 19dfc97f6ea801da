"""Fits side by side: likelihood-ratio tables, exact and simulated tests, rankings, models with something left out."""
