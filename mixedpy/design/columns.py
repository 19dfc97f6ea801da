"""One column of a table, read once: numbers, or a factor with integer codes and labelled levels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.errors import DataError

__all__ = ["Codes", "Column", "Factor", "Floats", "Numeric", "as_factor", "crossed", "read_column", "used_levels"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

_LOGICAL_LEVELS = ("FALSE", "TRUE")


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
    """

    codes: Codes
    levels: tuple[str, ...]
    ordered: bool = False
    logical: bool = False

    def missing(self) -> NDArray[np.bool_] | None:
        """Mark the missing rows; None if there is none."""
        if len(self.codes) == 0 or self.codes.min() >= 0:
            return None
        return self.codes < 0

    def take(self, rows: Codes) -> Factor:
        """Keep the given rows."""
        return Factor(self.codes[rows], self.levels, self.ordered, self.logical)


Column: TypeAlias = Numeric | Factor


def read_column(name: str, raw: Any) -> Column:
    """Read a column of a table.

    Parameters
    ----------
    name : str
        Its name, for errors.
    raw : array-like (n,)
        pandas, numpy or a list. Categories keep their order, texts are sorted (by code point, as R does in the C
        locale), booleans become FALSE and TRUE.

    Returns
    -------
    Numeric or Factor
        The column; the caller's data are not changed.

    Raises
    ------
    DataError
        If the values are neither numbers, texts, booleans nor categories.
    """
    dtype = getattr(raw, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        array = raw if isinstance(raw, pd.Categorical) else pd.Categorical(raw)
        return Factor(array.codes.astype(np.intp), _labels(array.categories), ordered=bool(dtype.ordered))
    if dtype is None or isinstance(dtype, np.dtype):
        return _from_numpy(name, np.asarray(raw))
    if pd.api.types.is_bool_dtype(dtype):
        return _from_floats(raw.to_numpy(dtype=np.float64, na_value=np.nan))
    if pd.api.types.is_numeric_dtype(dtype):
        if not raw.isna().any():
            return _from_numpy(name, raw.to_numpy())
        return Numeric(raw.to_numpy(dtype=np.float64, na_value=np.nan))
    if pd.api.types.is_string_dtype(dtype):
        return _from_texts(raw)
    raise _unreadable(name, str(dtype))


def _from_numpy(name: str, values: NDArray[Any]) -> Column:
    if values.ndim != 1:
        raise DataError(f"column `{name}` has {values.ndim} dimensions; give one value for each row")
    match values.dtype.kind:
        case "f" | "i" | "u":
            return Numeric(values)
        case "b":
            return Factor(values.astype(np.intp), _LOGICAL_LEVELS, logical=True)
        case "U":
            return _from_texts(values.astype(object))
        case "O":
            return _from_objects(name, values)
    raise _unreadable(name, str(values.dtype))


def _from_objects(name: str, values: NDArray[Any]) -> Column:
    kind = pd.api.types.infer_dtype(values, skipna=True)
    match kind:
        case "string":
            return _from_texts(values)
        case "boolean":
            return _from_floats(_floats(values))
        case "integer" | "floating" | "mixed-integer-float" | "decimal" | "empty":
            return Numeric(_floats(values))
    raise _unreadable(name, f"object, {kind}")


def _floats(values: NDArray[Any]) -> Floats:
    return np.where(pd.isna(values), np.nan, values).astype(np.float64)


def _from_floats(values: Floats) -> Factor:
    codes = np.where(np.isnan(values), -1.0, values).astype(np.intp)
    return Factor(codes, _LOGICAL_LEVELS, logical=True)


def _from_texts(values: Any) -> Factor:
    codes, levels = pd.factorize(values, sort=True)
    return Factor(codes.astype(np.intp, copy=False), tuple(map(str, np.asarray(levels, dtype=object).tolist())))


def _unreadable(name: str, dtype: str) -> DataError:
    return DataError(
        f"column `{name}` has the type {dtype}, which a model cannot use; convert it to numbers, texts or categories"
    )


def _labels(values: Iterable[Any]) -> tuple[str, ...]:
    """Write levels as R would: whole numbers without a point, other numbers to 15 digits, booleans in capitals."""
    listed = values.tolist() if isinstance(values, np.ndarray | pd.Index) else list(values)
    return tuple(v if type(v) is str else _label(v) for v in listed)


def _label(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "TRUE" if value else "FALSE"
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
    return Factor(position[factor.codes], levels, factor.ordered, factor.logical)


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
    codes, levels = pd.factorize(column.stored, sort=True)
    return Factor(codes.astype(np.intp, copy=False), _labels(levels))


def crossed(slow: Factor, fast: Factor) -> Factor:
    """Cross two factors as R's ``a:b`` does: labels ``"A:b"``, used combinations only, the first varying slowest.

    Parameters
    ----------
    slow, fast : Factor
        Factors of n rows.

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
    return Factor(codes, tuple(first + ":" + second))
