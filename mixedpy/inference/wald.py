"""Wald intervals: estimate plus and minus a quantile times the standard error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.inference.intervals import interval_columns, normal_cutoff
from mixedpy.inference.names import choose_parameters, parameter_list

__all__ = ["wald_intervals"]


def wald_intervals(
    design: Design,
    schema: Schema,
    record: FitRecord,
    *,
    level: float,
    parm: str | int | Sequence[str | int] | None = None,
) -> pd.DataFrame:
    """Compute normal intervals of the fixed effects; rows of covariance parameters are NaN, as in lme4.

    Parameters
    ----------
    design, schema, record
        The fit.
    level : float
        Confidence level.
    parm : str, int or sequence of these, optional
        Parameters; by default all.
    """
    chosen = choose_parameters(parameter_list(design, schema), parm)
    half = normal_cutoff(level) * record.sigma * np.sqrt(np.diag(record.unscaled_vcov))
    rows = np.full((len(chosen), 2), np.nan)
    for row, one in zip(rows, chosen, strict=True):
        if one.kind == "fixed":
            row[:] = record.beta[one.a] - half[one.a], record.beta[one.a] + half[one.a]
    return pd.DataFrame(rows, [one.name for one in chosen], interval_columns(level))
