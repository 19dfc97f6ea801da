"""Functions of a fit record: criteria, covariances, random effects, residuals, predictions, simulations."""
