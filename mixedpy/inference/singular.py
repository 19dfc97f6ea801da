"""Whether a covariance lies on the boundary, judged by what the random effects add to the linear predictor.

lme4's ``isSingular`` compares the diagonal of the relative covariance factor Lambda with a tolerance, so that its
answer depends on the unit of a slope's predictor. Here row a of Lambda is first multiplied by the root mean square of
its column, weighted by the prior weights: sqrt(mean(w z_a^2)) Lambda_aa is the size of the effect in a row beside the
residual standard deviation, whatever the units. For an intercept without weights that is lme4's rule. In a generalized
model, whose Lambda is not relative to anything, w are the working weights -l'' at the conditional modes, the inverse
variances of the working residuals.
"""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.inference.glmm.working import working_weights

__all__ = ["scaled_factors", "singular_terms"]


def scaled_factors(design: Design, record: FitRecord | GlmmRecord) -> list[Floats]:
    """Covariance factors (m, m) with rows in units of the residual standard deviation of a row."""
    weights = np.maximum(working_weights(design, record), 0.0) if isinstance(record, GlmmRecord) else design.weights
    squares = {c: _mean_square(c, design.columns[c], weights) for c in {c for t in design.terms for c in t.columns}}
    return [
        np.sqrt([squares[c] for c in term.columns])[:, None] * Lambda
        for term, Lambda in zip(design.terms, record.Lambda, strict=True)
    ]


def _mean_square(c: int, x: Floats, weights: Floats | None) -> float:
    if weights is None:
        return 1.0 if c == 0 else float(x @ x) / len(x)  # column 0 is of ones
    return float(weights.mean() if c == 0 else (weights * x) @ x / len(x))


def singular_terms(design: Design, schema: Schema, record: FitRecord | GlmmRecord, tol: float) -> list[str]:
    """Name the terms with a diagonal entry of the scaled factor below the tolerance."""
    factors = zip(schema.terms, scaled_factors(design, record), strict=True)
    return [term.name for term, factor in factors if np.abs(factor.diagonal()).min() < tol]
