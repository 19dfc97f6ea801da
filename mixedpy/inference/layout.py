"""Tables of crossed and nested factors, to simulate on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.errors import DataError

__all__ = ["design"]


def design(
    *,
    crossed: Mapping[str, int | Iterable[Any]] | None = None,
    nested: Mapping[str, int] | None = None,
    replicates: int = 1,
) -> pd.DataFrame:
    """Lay out the rows of a study: every combination of crossed factors, within every unit of nested ones.

    Parameters
    ----------
    crossed : mapping of str to int or sequence, optional
        Factors by name: a number of levels, labelled ``subject1``, ``subject2``, ...; or the levels or values
        themselves, kept as they are.
    nested : mapping of str to int, optional
        Factors by name from the outermost to the innermost: the number of levels of the first, and of each other within
        a level of the one before. Labels run through, so that levels of different parents differ.
    replicates : int
        Rows of each combination.

    Returns
    -------
    DataFrame
        A column per factor, nested ones first; the last varies fastest.

    Raises
    ------
    DataError
        If there is no factor, a name occurs twice, or a number of levels is not a whole number of at least one.

    Examples
    --------
    >>> import mixedpy as mp
    >>> mp.design(crossed={"subject": 2, "time": [0, 1, 4]})
        subject  time
    0  subject1     0
    1  subject1     1
    2  subject1     4
    3  subject2     0
    4  subject2     1
    5  subject2     4
    >>> mp.design(nested={"school": 2, "pupil": 3}, crossed={"item": 5}).nunique().to_dict()
    {'school': 2, 'pupil': 6, 'item': 5}
    """
    crossed, nested = dict(crossed or {}), dict(nested or {})
    if not crossed and not nested:
        raise DataError('the design has no factor; name some, as in design(crossed={"subject": 20, "item": 10})')
    if twice := sorted(set(crossed) & set(nested)):
        raise DataError(f"the factor {twice[0]!r} is both crossed and nested; name it once")
    units = 1
    levels: dict[str, Any] = {}
    sizes = []
    for name, count in nested.items():
        units *= _count(name, count)
        sizes.append((name, units))
    axes = {name: _values(name, given) for name, given in crossed.items()}
    shape = (units, *(len(values) for values in axes.values()), _count("replicates", replicates))
    position = np.indices(shape).reshape(len(shape), -1)
    for name, size in sizes:
        levels[name] = _labelled(name, size)[position[0] // (units // size)]
    for axis, (name, values) in enumerate(axes.items(), start=1):
        levels[name] = values[position[axis]]
    return pd.DataFrame(levels)


def _count(name: str, given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise DataError(f"{name}={given!r} must be a whole number, at least 1")
    return int(given)


def _values(name: str, given: Any) -> Any:
    if isinstance(given, str):
        raise DataError(f"{name}={given!r} must be a number of levels, or a list of levels")
    if not isinstance(given, Iterable):
        return _labelled(name, _count(name, given))
    values = pd.Index(list(given))
    if len(values) == 0:
        raise DataError(f"the factor {name!r} has no levels; give at least one")
    if values.dtype == object or pd.api.types.is_string_dtype(values.dtype):
        return pd.Categorical(values, categories=values.unique())
    return values.to_numpy()


def _labelled(name: str, count: int) -> Any:
    labels = [f"{name}{k}" for k in range(1, count + 1)]
    return pd.Categorical(labels, categories=labels)
