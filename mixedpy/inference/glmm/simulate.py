"""New responses drawn from a generalized fit."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.family.protocol import Predictors
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.design import Schema
from mixedpy.inference.glmm.response import check_means
from mixedpy.inference.predictors import Predictors as RowParts
from mixedpy.inference.seeds import random_source
from mixedpy.inference.selection import Selection
from mixedpy.inference.simulate import linear_predictors

__all__ = ["simulate_glmm"]


def simulate_glmm(
    parts: RowParts,
    schema: Schema,
    record: GlmmRecord,
    xi: Predictors,
    given: Selection,
    *,
    nsim: int,
    seed: int | np.random.Generator | None,
) -> Floats:
    """Draw responses, (n, nsim): proportions where the prior weights are numbers of trials.

    A term that ``given`` selects enters with its conditional modes; the effects of every other are drawn anew. Rows
    whose linear predictor is not known are NaN.

    Raises
    ------
    MixedpyError
        If means leave the range of the family, as with the link identity.
    """
    rng = random_source(seed)
    etas = linear_predictors(
        parts, schema, given, record.Lambda, record.modes, scale=1.0, nsim=nsim, rng=rng
    )  # (n, nsim)
    check_means(record.family, etas.ravel(), "responses")
    m = np.ones(parts.n) if parts.weights is None else parts.weights
    known = np.isfinite(etas).all(axis=1) & np.isfinite(m)
    for x in xi:
        known &= np.isfinite(x)
    own = tuple(x if len(x) == 1 else x[known] for x in xi)
    y = np.full(etas.shape, np.nan)
    y[known] = np.column_stack([record.family.draw(rng, m[known], eta, own) for eta in etas[known].T])
    return y
