"""Crossed terms of any size with nothing factored: conjugate gradients, and log-determinants from their coefficients."""
