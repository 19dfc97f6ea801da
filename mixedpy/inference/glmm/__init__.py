"""Functions of the record of a generalized fit: predictions, residuals, simulations, checks."""
