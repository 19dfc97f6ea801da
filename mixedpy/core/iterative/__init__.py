"""Crossed terms of any size, nothing factored: conjugate gradients, and log-determinants from their coefficients."""
