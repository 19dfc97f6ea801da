"""Wald intervals: estimate plus and minus a quantile times the standard error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.inference.intervals import interval_columns, normal_cutoff
from mixedpy.inference.names import Parameter

__all__ = ["wald_intervals"]


def wald_intervals(
    parameters: Sequence[Parameter], coefficients: Mapping[str, tuple[Floats, Floats]], level: float
) -> pd.DataFrame:
    """Compute normal intervals of coefficients; rows of other parameters are NaN, as in lme4.

    Parameters
    ----------
    parameters : sequence of Parameter
        The rows.
    coefficients : mapping of str to (estimates, standard errors)
        By kind of parameter, "fixed" or "family".
    level : float
        Confidence level.
    """
    cutoff = normal_cutoff(level)
    rows = np.full((len(parameters), 2), np.nan)
    for row, one in zip(rows, parameters, strict=True):
        if one.kind in coefficients:
            estimates, errors = coefficients[one.kind]
            row[:] = estimates[one.a] + np.array([-cutoff, cutoff]) * errors[one.a]
    return pd.DataFrame(rows, [one.name for one in parameters], interval_columns(level))
