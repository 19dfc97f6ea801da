"""Means of the response with confidence limits, from a linear predictor and the covariance of the coefficients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.family import Hurdle, ZeroInflated
from mixedpy.core.family.protocol import Predictors
from mixedpy.core.glmm.record import GlmmRecord

__all__ = ["mean_with_limits"]

_STEP = 1e-5
"""Step of the differences of log means in the predictors, which are smooth."""


def mean_with_limits(
    record: GlmmRecord, eta: Floats, X: Floats, zeros: Floats | None, z: float
) -> tuple[Floats, Floats, Floats]:
    """Compute means and their limits, (g,) each.

    Limits of the linear predictor are put through the inverse link. Where the mean depends on zeros of their own, the
    limits are those of its logarithm by the delta method, the uncertainty of all coefficients included.

    Parameters
    ----------
    eta : (g,) array
        Linear predictor.
    X : (g, p) array
        Its rows of the fixed part.
    zeros : (g, k) array or None
        Columns of the zeros; None for a constant.
    z : float
        Normal quantile.
    """
    if not isinstance(record.family, ZeroInflated | Hurdle):
        half = z * np.sqrt(np.einsum("gp,pq,gq->g", X, record.fixed_vcov, X))
        nothing: Predictors = ()
        ends = [record.family.mean(end, nothing) for end in (eta, eta - half, eta + half)]
        return ends[0], np.minimum(ends[1], ends[2]), np.maximum(ends[1], ends[2])
    p, own = record.p, len(record.family.counts.auxiliary)
    columns = np.ones((len(eta), 1)) if zeros is None else zeros
    xi = (*(record.alpha[k : k + 1] for k in range(own)), columns @ record.alpha[own:])

    def log_mean(eta: Floats, *xi: Floats) -> Floats:
        return np.log(record.family.mean(eta, xi))

    gradient = np.zeros((len(eta), p + len(record.alpha)))
    gradient[:, :p] = _slope(log_mean, (eta, *xi), 0)[:, None] * X
    for k in range(own):
        gradient[:, p + k] = _slope(log_mean, (eta, *xi), 1 + k)
    gradient[:, p + own :] = _slope(log_mean, (eta, *xi), 1 + own)[:, None] * columns
    half = z * np.sqrt(np.einsum("gp,pq,gq->g", gradient, record.vcov, gradient))
    mean = record.family.mean(eta, xi)
    return mean, mean * np.exp(-half), mean * np.exp(half)


def _slope(f: Callable[..., Floats], at: tuple[Floats, ...], k: int) -> Floats:
    """Derivative in argument k, by a central difference."""
    up, down = list(at), list(at)
    up[k], down[k] = at[k] + _STEP, at[k] - _STEP
    return (f(*up) - f(*down)) / (2.0 * _STEP)
