"""How closely mixedpy must agree with the references, and why no closer (or looser).

Relative tolerances end in ``_RTOL``, absolute ones in ``_ATOL``; the others say in what unit they are.
"""

from __future__ import annotations

# The criterion at a given theta is linear algebra alone, free of the optimizer: what separates two correct programs is
# rounding, and the 15 digits of the files. X'V^-1X of raw (uncentred) columns loses a few digits in either program.
FIXED_THETA_RTOL = 1e-9

# At the optimum the criterion is flat, so that its value is much better determined than the parameters.
CRITERION_RTOL = 1e-6

# mixedpy may end below lme4 (which then stopped early) but not above it. The references are the lowest of six runs; by
# central differences a Newton step from them gains less than 1e-9 on the models that are not too large to try.
CRITERION_EXCESS_ATOL = 1e-6

# Log-likelihood, AIC and BIC are the criterion plus exact constants.
LOGLIK_RTOL = CRITERION_RTOL

# Four significant digits, as print-outs show them. An optimizer that has the criterion to 1e-9 has a parameter to about
# 1e-4.5 of its standard error; the fixed effects move with theta only in second place.
FIXEF_SE = 1e-4  # differences of fixed effects, in standard errors
SE_RTOL = 1e-4
SIGMA_RTOL = 1e-4
VCOV_RTOL = 2e-4  # of sqrt(v_ii v_jj): a covariance near zero has no digits of its own

# Standard deviations of random effects, relative to the larger of the standard deviation itself and SD_FLOOR times the
# largest of the model, sigma included: one estimated as zero has no digits of its own.
SD_RTOL = 5e-4
SD_FLOOR = 1e-2
CORR_ATOL = 1e-3  # correlations of effects whose standard deviations are not near zero

# The same for fits on the boundary or in a flat valley (``Case.flat``), where optimizers stop at criteria that agree to
# 1e-7, with theta apart by the square root of that.
FLAT_SD_RTOL = 5e-3
FLAT_CORR_ATOL = 1e-2

# Conditional modes and fitted values: differences in units of sigma. Modes inherit the error of theta.
MODES_SIGMA = 1e-3
FITTED_SIGMA = 1e-3
RESIDUALS_SIGMA = 1e-3

# Conditional variances, relative to the largest entry of the level's block.
CONDVAR_RTOL = 2e-3

# t values inherit the errors of estimate and standard error.
T_ATOL = 1e-3

# Limits of intervals, in units of the interval's width. lme4 reads its limits off a spline through some ten points on
# either side.
CONFINT_WIDTH = 2e-3
WALD_WIDTH = 1e-4

# zeta at a given value of the parameter: the root of a difference of two deviances, each good to about 1e-7 in lme4.
ZETA_ATOL = 2e-3

# Degrees of freedom, standard errors and F of fits whose theta is exact on both sides. lmerTest's derivatives are
# numerical, good to about 1e-6.
DDF_RTOL = 1e-4
KR_SE_RTOL = 1e-5
F_RTOL = 1e-4
PVALUE_RTOL = 2e-3  # a tail probability of 1e-12 moves thirty times as fast as its quantile

# Default settings stop when 1e-8 of the deviance is left to gain, about 1e-4 of a standard error of theta; degrees of
# freedom on few levels move about as much.
DEFAULT_DDF_RTOL = 2e-4

CAIC_ATOL = 0.01
R2_ATOL = 1e-3
