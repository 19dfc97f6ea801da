"""Factorizations of V = I + Z Lambda Lambda' Z' (relative to sigma^2), kinds behind one small protocol."""
