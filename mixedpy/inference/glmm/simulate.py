"""New responses drawn from a generalized fit."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.family.protocol import Predictors
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.design import Schema
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

    A term that ``given`` selects enters with its conditional modes; the effects of every other are drawn anew.
    """
    rng = random_source(seed)
    etas = linear_predictors(
        parts, schema, given, record.Lambda, record.modes, scale=1.0, nsim=nsim, rng=rng
    )  # (n, nsim)
    m = np.ones(1) if parts.weights is None else parts.weights
    return np.column_stack([record.family.draw(rng, m, eta, xi) for eta in etas.T])
