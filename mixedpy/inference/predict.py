"""Predictions."""

from __future__ import annotations

from mixedpy.core.arrays import Floats
from mixedpy.core.record import Estimates
from mixedpy.design import Schema
from mixedpy.inference.predictors import Predictors
from mixedpy.inference.selection import Selection

__all__ = ["predict"]


def predict(
    predictors: Predictors, schema: Schema, record: Estimates, chosen: Selection, allow_new_levels: bool
) -> Floats:
    """Compute X beta + offset + Z b, (n,), with the chosen effects at their conditional modes and 0 for the others.

    Parameters
    ----------
    allow_new_levels : bool
        Whether a row whose level is missing or unknown to the fit gets effects of 0; otherwise it is a DataError.
    """
    eta = predictors.fixed.copy()
    for term, names, effects, modes in zip(predictors.terms, schema.terms, chosen, record.modes, strict=True):
        if not effects.any():
            continue
        if not allow_new_levels:
            term.check_known(names, "use allow_new_levels=True to predict these rows without its random effects")
        eta += term.times(modes * effects)
    return eta
