"""A new response for a generalized fit, in any of the forms that the fit's own response may have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design, Floats
from mixedpy.design import Schema, response_levels
from mixedpy.errors import DataError
from mixedpy.inference import rows
from mixedpy.models.generalized.request import GlmmRequest

__all__ = ["new_response"]


def new_response(design: Design, schema: Schema, request: GlmmRequest, y: Any) -> Design:
    """Put another response into a design.

    Parameters
    ----------
    y : array-like
        (n,) numbers, or the two levels of a response of text; (n, 2) successes and failures where the fit has
        ``cbind``. n is the number of rows used, or of all rows of the table.

    Raises
    ------
    DataError
        If it has none of these forms, or misses a value of a row used.
    """
    if schema.formula.counts is not None and np.ndim(y) == 2 and np.shape(y)[1] == 2:
        return _with_counts(design, schema, request, y)
    if np.ndim(y) == 2 and np.shape(y)[1] == 1:
        y = y.iloc[:, 0] if isinstance(y, pd.DataFrame) else np.ravel(y)
    given = pd.Series(y)
    if pd.api.types.is_numeric_dtype(given.dtype):
        return replace(design, y=rows.response(schema, y))
    indicators = _indicators(schema, request, given)
    labelled = pd.Series(indicators, index=y.index) if isinstance(y, pd.Series) else indicators
    return replace(design, y=rows.response(schema, labelled))


def _with_counts(design: Design, schema: Schema, request: GlmmRequest, y: Any) -> Design:
    if request.weights is not None:
        raise DataError("a fit with cbind and weights= takes a new response as proportions of its own trials")
    columns = [y.iloc[:, k] for k in range(2)] if isinstance(y, pd.DataFrame) else np.asarray(y, dtype=object).T
    successes, failures = (rows.response(schema, column) for column in columns)
    trials = successes + failures
    bad = int(((successes < 0) | (failures < 0) | (trials <= 0)).sum())
    if bad:
        raise DataError(f"the new counts are negative, or count no trial, in {bad} of {design.n} rows")
    return replace(design, y=successes / trials, weights=trials)


def _indicators(schema: Schema, request: GlmmRequest, given: pd.Series[Any]) -> Floats:
    """1 for the second level of the fit's own response, 0 for the first, NaN for a missing value."""
    levels = response_levels(schema, request.data)
    if levels is None:
        raise DataError(
            f"the new response holds {given.dtype} values, such as {given.iloc[0]!r}, but the response "
            f"{schema.response} of the fit is made of numbers; give numbers"
        )
    if pd.api.types.is_bool_dtype(given.dtype):
        given = given.map({True: "TRUE", False: "FALSE"})
    text = given.astype(object).where(given.notna(), None)
    position = {level: float(k) for k, level in enumerate(levels)}
    unknown = sorted({str(value) for value in text if value is not None and str(value) not in position})
    if unknown:
        raise DataError(
            f"the new response has the values {', '.join(map(repr, unknown[:5]))}; the response {schema.response} of "
            f"the fit has the levels {', '.join(map(repr, levels))}"
        )
    return np.array([np.nan if value is None else position[str(value)] for value in text])
