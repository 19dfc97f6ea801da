"""Values per row of the fit <-> rows of the user's table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.design import Schema
from mixedpy.design.align import in_order, more_rows
from mixedpy.errors import DataError

__all__ = ["frame_on_rows", "on_rows", "response", "responses", "used"]


def on_rows(schema: Schema, values: Floats) -> pd.Series[float]:
    """Label values (n,) with the rows of the fit; with na_action="exclude" all rows, the others NaN."""
    if schema.na_action != "exclude":
        return pd.Series(values, index=schema.index)
    return pd.Series(_padded(schema, values), index=schema.table_index)


def frame_on_rows(schema: Schema, values: Floats, columns: list[str]) -> pd.DataFrame:
    """Label an array (n, k) with the rows of the fit, as :func:`on_rows`."""
    if schema.na_action != "exclude":
        return pd.DataFrame(values, index=schema.index, columns=columns)
    return pd.DataFrame(_padded(schema, values), index=schema.table_index, columns=columns)


def used(schema: Schema, values: Floats) -> Floats:
    """Take the rows of the fit from what :func:`on_rows` or :func:`frame_on_rows` labelled."""
    return values[schema.rows] if schema.na_action == "exclude" else values


def _padded(schema: Schema, values: Floats) -> Floats:
    full = np.full((schema.n_total, *values.shape[1:]), np.nan)
    full[schema.rows] = values
    return full


def responses(schema: Schema, Y: Any) -> tuple[Floats, pd.Index[Any]]:
    """Check a matrix of responses given by the user, one per column; a DataFrame is aligned by its row labels.

    Returns
    -------
    (n, B) array
        The values of the rows of the fit.
    Index
        Labels of the columns; 0, 1, ... where they have none.

    Raises
    ------
    DataError
        If it is not a numeric matrix, its rows are neither those of the fit nor those of the table, or a value of a
        row of the fit is missing or infinite.
    """
    labels = Y.columns if isinstance(Y, pd.DataFrame) else None
    aligned = _in_order(schema, Y, "the matrix of responses")
    try:
        values = np.asarray(aligned, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"the responses are not a matrix of numbers but of type {type(Y).__name__}") from None
    n = len(schema.rows)
    if values.ndim != 2 or values.shape[0] not in (n, schema.n_total):
        raise DataError(
            f"the responses have shape {values.shape}; a matrix of {_wanted(schema, 'rows')}, one column each, is "
            f"wanted{more_rows(Y, schema.table_index)}"
        )
    if values.shape[0] != n:
        values = values[schema.rows]
    bad = np.flatnonzero(~np.isfinite(values).all(0))
    if len(bad):
        raise DataError(
            f"{len(bad)} of {values.shape[1]} responses, the first in column {bad[0]}, have missing or infinite "
            "values in rows of the fit; the same rows are fitted again, so each needs a finite number"
        )
    return values, pd.RangeIndex(values.shape[1]) if labels is None else labels


def _in_order(schema: Schema, given: Any, what: str) -> Any:
    """Align a Series or DataFrame with the rows of the table or, if it has as many as were used, with those."""
    if not isinstance(given, pd.Series | pd.DataFrame):
        return given
    return in_order(given, schema.table_index if len(given) == schema.n_total else schema.index, what)


def _wanted(schema: Schema, what: str) -> str:
    n, n_total = len(schema.rows), schema.n_total
    if n == n_total:
        return f"{n} {what}"
    return f"{n} {what} (those used, labelled as the fitted values) or {n_total} (all rows of the table)"


def response(schema: Schema, y: npt.ArrayLike) -> Floats:
    """Check a response given by the user for the rows of the fit, or for all rows of the table.

    A Series is aligned by its row labels, as :func:`mixedpy.design.align.in_order` says.

    Returns
    -------
    (n,) array
        The values of the rows of the fit.

    Raises
    ------
    DataError
        If it is not numeric, has neither length or other row labels, or misses a value of a row of the fit.
    """
    aligned = _in_order(schema, y, "the new response")
    try:
        values = np.asarray(aligned, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"the new response is not a sequence of numbers but of type {type(y).__name__}") from None
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    n = len(schema.rows)
    if values.shape not in ((n,), (schema.n_total,)):
        raise DataError(
            f"the new response has shape {values.shape}; {_wanted(schema, 'values')} are "
            f"wanted{more_rows(y, schema.table_index)}"
        )
    values = values[schema.rows] if len(values) != n else values.copy()
    for what, found in (("missing", np.isnan(values)), ("infinite", np.isinf(values))):
        if found.any():
            raise DataError(
                f"the new response has {what} values in {int(found.sum())} of the {n} rows of the fit; the same rows "
                "are fitted again, so each needs a finite number"
            )
    return values
