"""One column of a table, read once: numbers, or a factor with integer codes and labelled levels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.errors import DataError

__all__ = [
    "LOGICAL_LEVELS",
    "Basis",
    "Codes",
    "Column",
    "Contrast",
    "Factor",
    "Floats",
    "Numeric",
    "as_factor",
    "as_numbers",
    "crossed",
    "labels_of",
    "n_rows",
    "unreadable",
    "used_levels",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

LOGICAL_LEVELS = ("FALSE", "TRUE")


@dataclass(frozen=True, slots=True, eq=False)
class Numeric:
    """A column of numbers, kept as stored: whole numbers stay exact where they serve as group labels.

    Attributes
    ----------
    stored : (n,) array
        Any real dtype; NaN is missing.
    """

    stored: NDArray[Any]

    @property
    def values(self) -> Floats:
        """The numbers as float64; the stored array itself if it is that already."""
        return np.asarray(self.stored, dtype=np.float64)

    def missing(self) -> NDArray[np.bool_] | None:
        """Mark the missing rows; None if there is none."""
        if self.stored.dtype.kind != "f":
            return None
        mask = np.isnan(self.stored)
        return mask if mask.any() else None

    def take(self, rows: Codes) -> Numeric:
        """Keep the given rows."""
        return Numeric(self.stored[rows])


class Contrast(NamedTuple):
    """A coding named in the formula.

    Attributes
    ----------
    name : str
        Such as ``"sum"``.
    how_many : int or None
        Number of contrasts to keep; None for all.
    numbered : bool
        Whether the names of the coefficients have the positions of the levels rather than their labels, as in R where
        the coding is given as a function.
    """

    name: str
    how_many: int | None
    numbered: bool


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A categorical column.

    Attributes
    ----------
    codes : (n,) intp array
        Position of each row's level; -1 is missing.
    levels : tuple of str
        Labels as R writes them.
    ordered : bool
        Whether the levels are ordered (polynomial contrasts by default).
    logical : bool
        Whether the column is boolean: R keeps both levels, FALSE and TRUE, even if one is not used.
    contrast : Contrast, optional
        Coding that the formula asks for by ``C(f, contr.sum)``.
    """

    codes: Codes
    levels: tuple[str, ...]
    ordered: bool = False
    logical: bool = False
    contrast: Contrast | None = None

    def missing(self) -> NDArray[np.bool_] | None:
        """Mark the missing rows; None if there is none."""
        if len(self.codes) == 0 or self.codes.min() >= 0:
            return None
        return self.codes < 0

    def take(self, rows: Codes) -> Factor:
        """Keep the given rows."""
        return replace(self, codes=self.codes[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Several columns that one expression makes, such as ``poly(x, 2)``.

    Attributes
    ----------
    values : (n, k) array
        The columns.
    endings : tuple of str
        What stands behind the expression in the columns' names; empty for a single column.
    """

    values: Floats
    endings: tuple[str, ...]

    def missing(self) -> NDArray[np.bool_] | None:
        """Mark the rows with a missing value; None if there is none."""
        mask = np.asarray(np.isnan(self.values).any(axis=1))
        return mask if mask.any() else None

    def take(self, rows: Codes) -> Basis:
        """Keep the given rows."""
        return Basis(self.values[rows], self.endings)


Column: TypeAlias = Numeric | Factor | Basis


def as_numbers(column: Column) -> Floats | None:
    """Values (n,) of a column that is a single column of numbers; None for any other."""
    if isinstance(column, Basis) and column.values.shape[1] == 1:
        return np.ascontiguousarray(column.values[:, 0])
    return column.values if isinstance(column, Numeric) else None


def n_rows(column: Column) -> int:
    """Count the rows of a column."""
    match column:
        case Numeric():
            return len(column.stored)
        case Factor():
            return len(column.codes)
        case Basis():
            return len(column.values)


def unreadable(name: str, dtype: str) -> DataError:
    """Say that a column has a type that a model cannot use."""
    return DataError(
        f"column `{name}` has the type {dtype}, which a model cannot use; convert it to numbers, texts or categories"
    )


def labels_of(values: Iterable[Any]) -> tuple[str, ...]:
    """Write levels as R would: whole numbers without a point, other numbers to 15 digits, booleans in capitals.

    A time at midnight is written as its date, if it has no zone.
    """
    listed = values.tolist() if isinstance(values, np.ndarray | pd.Index) else list(values)
    kinds = set(map(type, listed))
    if kinds <= {str}:
        return tuple(listed)
    if kinds == {int}:
        return tuple(map(str, listed))
    return tuple(v if type(v) is str else _label(v) for v in listed)


def _label(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime) and value.tzinfo is None and value == datetime.combine(value.date(), time()):
        return str(value.date())
    if isinstance(value, float | np.floating):
        return str(int(value)) if float(value).is_integer() else f"{value:.15g}"
    return str(value)


def used_levels(factor: Factor) -> Factor:
    """Drop levels that no row has, as R's ``droplevels`` does; the order of the others stays."""
    n_levels = len(factor.levels)
    counts = np.bincount(factor.codes[factor.codes >= 0] if factor.missing() is not None else factor.codes)
    if len(counts) == n_levels and counts.all():
        return factor
    used = np.flatnonzero(counts)
    position = np.full(n_levels + 1, -1, dtype=np.intp)  # the last entry serves the code -1
    position[used] = np.arange(len(used))
    levels = tuple(factor.levels[k] for k in used.tolist())
    return replace(factor, codes=position[factor.codes], levels=levels)


def as_factor(column: Column) -> Factor:
    """Turn a column into a factor with used levels only; numbers are sorted as numbers.

    Parameters
    ----------
    column : Column
        Any column.

    Returns
    -------
    Factor
        Missing rows keep the code -1.
    """
    if isinstance(column, Factor):
        return used_levels(column)
    if isinstance(column, Basis):
        raise DataError("an expression with several columns cannot be a factor; name a column")
    codes, levels = pd.factorize(column.stored, sort=True)
    return Factor(codes.astype(np.intp, copy=False), labels_of(levels))


def crossed(slow: Factor, fast: Factor, *, dotted: bool = False) -> Factor:
    """Cross two factors as R's ``a:b`` does: labels ``"A:b"``, used combinations only, the first varying slowest.

    Parameters
    ----------
    slow, fast : Factor
        Factors of n rows.
    dotted : bool
        Write the labels as R's ``interaction(fast, slow)`` does, ``"b.A"``.

    Returns
    -------
    Factor
        Their interaction; a row that misses either has the code -1.
    """
    n_slow, n_fast = len(slow.levels), len(fast.levels)
    cell = slow.codes * n_fast + fast.codes
    missing = (slow.codes < 0) | (fast.codes < 0)
    if missing.any():
        cell[missing] = 0
    if n_slow * n_fast <= max(4 * len(cell), 1 << 20):
        seen = np.zeros(n_slow * n_fast, dtype=bool)
        seen[cell[~missing]] = True
        used = np.flatnonzero(seen)
        position = np.full(n_slow * n_fast, -1, dtype=np.intp)
        position[used] = np.arange(len(used))
        codes = position[cell]
    else:
        used = np.unique(cell[~missing])
        codes = np.searchsorted(used, cell)
    codes[missing] = -1
    first = np.array(slow.levels, dtype=object)[used // n_fast] if len(used) else np.empty(0, object)
    second = np.array(fast.levels, dtype=object)[used % n_fast] if len(used) else np.empty(0, object)
    return Factor(codes, tuple(second + "." + first if dotted else first + ":" + second))
