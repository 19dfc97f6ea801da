"""Plots of plain records with matplotlib, which is imported when the first plot is drawn."""
