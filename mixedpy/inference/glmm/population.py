"""Means of the response over the population: random effects integrated out rather than set to zero.

The random effects of a row add a normal variable of variance sum_t z'Lambda Lambda'z to its linear predictor, so that
one Gauss-Hermite rule in one dimension serves, however many effects there are.
"""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.family.protocol import Predictors
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.inference.predictors import Predictors as RowParts
from mixedpy.inference.selection import Selection

__all__ = ["population_mean"]

_NODES = 41


def population_mean(parts: RowParts, record: GlmmRecord, xi: Predictors, eta: Floats, held: Selection) -> Floats:
    """Integrate the mean over the random effects that are not held.

    Parameters
    ----------
    parts : RowParts
        Rows and the columns of their random terms.
    eta : (n,) array
        Linear predictor with the held effects at their modes.
    held : Selection
        Per term, which effects are held.

    Returns
    -------
    (n,) array
        Means.
    """
    variance = np.zeros(len(eta))
    for term, Lambda, chosen in zip(parts.terms, record.Lambda, held, strict=True):
        if chosen.all():
            continue
        Z = np.stack([np.where(chosen[k], 0.0, column) for k, column in enumerate(term.columns)], axis=1)
        variance += ((Z @ Lambda) ** 2).sum(axis=1)
    x, w = np.polynomial.hermite_e.hermegauss(_NODES)
    sd = np.sqrt(variance)
    total = np.zeros(len(eta))
    for node, weight in zip(x, w / w.sum(), strict=True):
        total += weight * record.family.mean(eta + sd * node, xi)
    return total
