"""The linear model without random effects, for many responses."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.estimate import Engine
from mixedpy.core.refit.responses import Responses

__all__ = ["linear_criteria"]


def linear_criteria(engine: Engine, responses: Responses, *, reml: bool) -> Floats:
    """Compute the ML deviances or REML criteria at variances of zero, (B,), with every constant."""
    cp, conditioned = engine.cross_products, engine.conditioned
    p = cp.p
    nu = cp.n - p if reml else cp.n
    XX = cp.fixed[:p, :p]
    beta = np.linalg.solve(XX, responses.fixed) if p else responses.fixed
    r2 = responses.square - np.einsum("xb,xb->b", beta, responses.fixed)
    with np.errstate(invalid="ignore", divide="ignore"):
        out: Floats = nu * (1.0 + np.log(2.0 * np.pi * r2 / nu)) - cp.log_weights
    if reml and p:
        out = out + np.linalg.slogdet(XX)[1] + 2.0 * conditioned.log_scale
    return out
