"""Satterthwaite's degrees of freedom of estimated variances sigma^2 u(theta), for many at once.

With the deviance d(theta), sigma profiled out, Var(theta^) = 2 H^-1 for its Hessian H, and given theta the estimate of
sigma^2 has the variance 2 sigma^4 / nu. The variance v = sigma^2 u(theta) of a prediction is then itself estimated with
Var(v) = g'Var(theta^) g + 2 v^2 / nu, g = dv / dtheta along the profile; a chi-square variable with the same mean and
variance has df = 2 v^2 / Var(v) (Satterthwaite 1946, Biometrics Bull. 2, 110; Giesbrecht & Burns 1985, Biometrics 41,
477).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.estimate import prepare
from mixedpy.core.joint import JointCovariance
from mixedpy.core.record import FitRecord

__all__ = ["satterthwaite"]

_STEP = 1e-3
"""Step of the central differences, relative to max(1, |theta|) in conditioned columns."""

_FLAT = 1e-8
"""Directions with a smaller share of the largest eigenvalue of the Hessian count as known."""


def satterthwaite(
    design: Design,
    record: FitRecord,
    relative_variance: Callable[[JointCovariance, Sequence[Floats]], Floats],
    control: Control,
) -> Floats:
    """Compute the degrees of freedom of variances sigma^2 u(theta).

    Parameters
    ----------
    design : Design
        The fitted design.
    record : FitRecord
        Its fit.
    relative_variance : callable
        u, (N,), from the joint covariance and the relative covariance factors at any theta.
    control : Control
        Settings of the factorization.

    Returns
    -------
    (N,) array
        At most the residual degrees of freedom nu.
    """
    engine = prepare(design, control)
    objective = engine.objective(reml=record.reml)
    nu = record.n - record.p if record.reml else record.n

    def at(theta: Floats) -> tuple[Floats, Floats]:
        """Gradient of the deviance, and the variances along the profile."""
        objective.value(theta)
        assert objective.profiled is not None
        sigma2 = objective.profiled.sigma2
        gradient, _ = objective.derivatives()
        Lambdas = engine.outward(theta)
        joint = JointCovariance(engine.conditioned, engine.cross_products, Lambdas)
        return gradient, sigma2 * relative_variance(joint, Lambdas)

    centre = engine.inward(record.theta)
    _, v = at(centre)
    k = len(centre)
    H, slopes = np.empty((k, k)), np.empty((k, len(v)))
    for i in range(k):
        step = np.zeros(k)
        step[i] = _STEP * max(1.0, abs(centre[i]))
        (upper, v_upper), (lower, v_lower) = at(centre + step), at(centre - step)
        H[i] = (upper - lower) / (2.0 * step[i])
        slopes[i] = (v_upper - v_lower) / (2.0 * step[i])
    values, vectors = np.linalg.eigh(0.5 * (H + H.T))
    kept = values > _FLAT * max(values.max(initial=0.0), 0.0)
    along = vectors[:, kept].T @ slopes
    spread = 2.0 * np.einsum("in,i,in->n", along, 1.0 / values[kept], along) + 2.0 * v**2 / nu
    with np.errstate(invalid="ignore", divide="ignore"):
        df: Floats = 2.0 * v**2 / spread
    return df
