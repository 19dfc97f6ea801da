"""Values beside the table: a Series or DataFrame follows the row labels, anything else the order of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.errors import DataError

__all__ = ["in_order", "more_rows"]


def in_order(given: Any, index: pd.Index[Any], what: str) -> Any:
    """Bring a Series or DataFrame of as many rows as the table into the order of its rows.

    Parameters
    ----------
    given : Series, DataFrame or array-like
        One value, or one row, for each row of the table.
    index : Index
        Row labels of the table.
    what : str
        What it is, for errors.

    Returns
    -------
    Series, DataFrame or array-like
        In the order of ``index`` where both have the same unique labels. By position, as it came: arrays and lists;
        what has the labels 0, 1, ... that pandas gives by default; and, if the table has those, what has none of them.

    Raises
    ------
    DataError
        If there are labels on both sides and they do not say which value belongs to which row.

    Examples
    --------
    >>> weights = pd.Series([3.0, 1.0, 2.0], index=["c", "a", "b"])
    >>> in_order(weights, pd.Index(["a", "b", "c"]), "weights").tolist()
    [1.0, 2.0, 3.0]
    """
    if not isinstance(given, pd.Series | pd.DataFrame) or len(given) != len(index):
        return given
    labels = given.index
    if labels.equals(index):
        return given
    inside = labels.isin(index)
    if inside.all() and labels.is_unique and index.is_unique:
        return given.loc[index]
    if _default(labels) or (_default(index) and not inside.any()):
        return given
    if inside.all() and index.isin(labels).all():
        seen = "repeats row labels, in another order than the table"
    else:
        seen = f"has other row labels than the table ({_shown(labels, inside)} where the table has {_shown(index)})"
    raise DataError(
        f"{what} {seen}, so that it is not known which value belongs to which row; give it the labels of the table, or "
        "an array (.to_numpy()) in the order of its rows"
    )


def _default(index: pd.Index[Any]) -> bool:
    return isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index)))


def _shown(labels: pd.Index[Any], known: npt.NDArray[np.bool_] | None = None) -> str:
    """The first labels, those that the table lacks before others."""
    first = labels if known is None or known.all() else labels[~known]
    return ", ".join(repr(label) for label in first[:3].tolist()) + (", ..." if len(labels) > 3 else "")


def more_rows(given: Any, index: pd.Index[Any]) -> str:
    """What to do about a Series or DataFrame of another length, where its labels say it; otherwise nothing."""
    if isinstance(given, pd.Series | pd.DataFrame) and len(given) > len(index) and index.isin(given.index).all():
        return "; its row labels include those of the table: give .loc[data.index] of it"
    return ""
