"""Estimates of each level of a grouping factor from its own rows alone: a small generalized linear model per level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.inference.glmm.response import of_rows
from mixedpy.inference.pooling import alone

__all__ = ["levels_alone"]

_STEPS = 60
_TOLERANCE = 1e-6
"""Change of a level's linear predictor at which its estimates have converged."""

_NOTHING = 1e-10
"""Weight below which a row says nothing any more: its linear predictor is on its way to infinity."""


def levels_alone(
    design: Design, record: GlmmRecord, rest: Floats, columns: Sequence[Floats], codes: NDArray[np.intp], n_levels: int
) -> Floats:
    """Fit the columns to the rows of each level by iteratively weighted least squares, all levels at once.

    Parameters
    ----------
    rest : (n,) array
        The part of the linear predictor that is held.
    columns : sequence of m (n,) arrays
        Columns of the effects.
    codes : (n,) array
        Level of each row.

    Returns
    -------
    (n_levels, m) array
        Maximum-likelihood estimates; NaN where the rows of a level do not determine them, as where its responses are
        all alike.
    """
    response = of_rows(design, record)
    family, m, xi = response.family, response.m, response.xi
    eta = response.eta
    found, change = np.full((n_levels, len(columns)), np.nan), np.full(n_levels, np.inf)
    informative = np.ones(design.n, bool)
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            r, w = family.slopes(design.y, m, eta, xi)
            v = family.expected(design.y, m, eta, xi)[0] if family.has_expected else np.abs(w)
            informative = np.isfinite(r) & (v > _NOTHING)
            v = np.where(informative, v, _NOTHING)
            found, _ = alone(eta - rest + np.where(informative, r, 0.0) / v, list(columns), v, codes, n_levels)
            now = rest + sum(column * found[codes, k] for k, column in enumerate(columns))
            known = np.isfinite(now)
            change = np.zeros(n_levels)
            np.maximum.at(change, codes, np.where(known, np.abs(now - eta), np.inf))
            eta = np.where(known, now, eta)
            if not (change[np.isfinite(change)] > _TOLERANCE).any():
                break
    empty = np.bincount(codes, ~informative, n_levels) > 0
    found[(change > _TOLERANCE) | empty] = np.nan
    return found
