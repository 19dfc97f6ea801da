"""Null distributions of likelihood-ratio statistics where variances lie on the boundary."""
