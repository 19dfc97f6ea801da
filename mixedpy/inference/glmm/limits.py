"""Means of the response with confidence limits, from a linear predictor and the covariance of the coefficients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.family import Hurdle, ZeroInflated
from mixedpy.core.glmm.record import GlmmRecord

__all__ = ["LinearError", "mean_error", "mean_with_limits"]

_STEP = 1e-5
"""Step of the differences of means in the predictors, which are smooth."""


@dataclass(frozen=True, slots=True)
class LinearError:
    """How the linear predictor of N rows depends on what is not known.

    Attributes
    ----------
    slope : (N, p) array
        Derivative in the fixed effects.
    zeros : (N, k) array or None
        Columns of the zeros; None for a constant.
    given : (N,) array or float
        Variance that is left when the fixed effects are given: that of the random effects.
    """

    slope: Floats
    zeros: Floats | None = None
    given: Floats | float = 0.0

    def variance(self, record: GlmmRecord) -> Floats:
        """Variance of the linear predictor, (N,)."""
        return self.given + np.einsum("gp,pq,gq->g", self.slope, record.fixed_vcov, self.slope)


def mean_with_limits(record: GlmmRecord, eta: Floats, error: LinearError, z: float) -> tuple[Floats, Floats, Floats]:
    """Compute means of the response and their limits, (N,) each.

    Limits of the linear predictor are put through the inverse link. Where the mean depends on zeros of their own, the
    limits are those of its logarithm by the delta method, the uncertainty of all coefficients included.

    Parameters
    ----------
    eta : (N,) array
        Linear predictor.
    z : float
        Normal quantile.
    """
    if isinstance(record.family, ZeroInflated | Hurdle):
        mean, sd = _log_mean(record, record.family, eta, error)
        return mean, mean * np.exp(-z * sd), mean * np.exp(z * sd)
    half = z * np.sqrt(error.variance(record))
    ends = [record.family.mu(end) for end in (eta, eta - half, eta + half)]
    return ends[0], np.minimum(ends[1], ends[2]), np.maximum(ends[1], ends[2])


def mean_error(record: GlmmRecord, eta: Floats, error: LinearError) -> Floats:
    """Compute standard errors of the means by the delta method, (N,)."""
    if isinstance(record.family, ZeroInflated | Hurdle):
        mean, sd = _log_mean(record, record.family, eta, error)
        return mean * sd
    return np.abs(_slope(record.family.mu, (eta,), 0)) * np.sqrt(error.variance(record))


def _log_mean(
    record: GlmmRecord, family: ZeroInflated | Hurdle, eta: Floats, error: LinearError
) -> tuple[Floats, Floats]:
    """Means, and standard errors of their logarithms."""
    p, own = record.p, len(family.counts.auxiliary)
    columns = np.ones((len(eta), 1)) if error.zeros is None else error.zeros
    at = (eta, *(record.alpha[k : k + 1] for k in range(own)), columns @ record.alpha[own:])

    def log_mean(eta: Floats, *xi: Floats) -> Floats:
        return np.log(family.mean(eta, xi))

    by_eta = _slope(log_mean, at, 0)
    gradient = np.zeros((len(eta), p + len(record.alpha)))
    gradient[:, :p] = by_eta[:, None] * error.slope
    for k in range(own):
        gradient[:, p + k] = _slope(log_mean, at, 1 + k)
    gradient[:, p + own :] = _slope(log_mean, at, 1 + own)[:, None] * columns
    variance = by_eta**2 * error.given + np.einsum("gp,pq,gq->g", gradient, record.vcov, gradient)
    return np.exp(log_mean(*at)), np.sqrt(variance)


def _slope(f: Callable[..., Floats], at: tuple[Floats, ...], k: int) -> Floats:
    """Derivative in argument k, by a central difference."""
    up, down = list(at), list(at)
    up[k], down[k] = at[k] + _STEP, at[k] - _STEP
    return (f(*up) - f(*down)) / (2.0 * _STEP)
