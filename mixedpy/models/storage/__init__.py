"""Fits written to files and read back: a zip file of JSON and plain arrays that holds data only."""
