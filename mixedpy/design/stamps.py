"""Columns whose values are neither numbers nor texts: times, dates, periods, identifiers. They may name groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.design.columns import Factor, labels_of, unreadable
from mixedpy.errors import DataError

__all__ = ["Stamps", "no_predictor", "read_stamps", "without_type"]


@dataclass(frozen=True, slots=True, eq=False)
class Stamps(Factor):
    """A factor made of values of another type, for grouping; its levels are in the order of the values.

    Attributes
    ----------
    type : str
        What the values are, such as ``"datetime64[us]"`` or ``"UUID"``.
    """

    type: str = ""


def read_stamps(name: str, values: Any, type: str) -> Stamps:
    """Read a column of one type of values.

    Parameters
    ----------
    name : str
        The column, for errors.
    values : Index, Series or object array (n,)
        What pandas can tell apart; missing where pandas says so.
    type : str
        Name of the type.

    Returns
    -------
    Stamps
        Levels are sorted by value and labelled by ``str``; a time at midnight without a zone is labelled by its date,
        whatever the other rows hold, so that new data have the same labels.

    Raises
    ------
    DataError
        If the values cannot be told apart, by hash or by label.
    """
    try:
        codes, found = pd.factorize(values)
        levels = pd.Index(found) if not isinstance(found, pd.Index) else found
    except TypeError as error:
        raise unreadable(name, type) from error
    labels = np.array(labels_of(levels), dtype=object)
    if len(set(labels)) < len(labels):
        raise unreadable(name, type)
    try:
        order = np.asarray(levels.argsort())
    except TypeError:  # values without an order of their own
        order = np.argsort(labels)
    position = np.full(len(labels) + 1, -1, dtype=np.intp)  # the last entry serves the code -1
    position[order] = np.arange(len(labels))
    return Stamps(position[codes], tuple(labels[order].tolist()), type=type)


def without_type(factor: Factor) -> Factor:
    """The factor of a column that ``factor()``, or a saved fit, made a factor of."""
    if not isinstance(factor, Stamps):
        return factor
    return Factor(factor.codes, factor.levels, factor.ordered, factor.logical, factor.contrast)


def no_predictor(name: str, column: Stamps) -> DataError:
    """Say that such a column is no predictor, and how to make one of it."""
    if column.type.startswith(("datetime", "timestamp", "date", "Datetime", "Date", "period")):
        how = f"give numbers, such as the days since the first, (t - t.min()).dt.days with t = data[{name!r}]"
    elif column.type.startswith(("timedelta", "duration", "Duration")):
        how = f"give numbers, such as data[{name!r}].dt.total_seconds()"
    else:
        how = "give numbers or texts"
    return DataError(
        f"column `{name}` has the type {column.type}, which may name groups but is no predictor: {how}; or write "
        f"factor({name}) for an effect of each value"
    )
