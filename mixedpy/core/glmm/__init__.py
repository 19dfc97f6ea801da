"""Generalized linear mixed models: conditional modes, Laplace approximation, quadrature, and the fit.

Notation: psi = (lambda, beta, alpha) with lambda the free entries of the relative covariance factors, beta the fixed
effects, alpha the coefficients of the family's auxiliary predictors. zeta_i = Lambda'z_i are the scaled columns of row
i, so that eta = X beta + offset + zeta u with u ~ N(0, I), and Lambda is never inverted: a variance of zero is an
ordinary point. F(u) = -sum l + |u|^2 / 2 and M = I + zeta'W zeta; the Laplace deviance is 2 F(u^) + log|M(u^)| (minus
twice the constants).
"""
