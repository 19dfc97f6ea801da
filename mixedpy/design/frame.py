"""Intake of the caller's table: the columns that the formula names, read once, rows with missing values dropped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.design.align import in_order, more_rows
from mixedpy.design.columns import Codes, Column, Factor, Floats, Numeric, n_rows, used_levels
from mixedpy.design.foreign import is_foreign
from mixedpy.design.reader import read_column
from mixedpy.errors import DataError

__all__ = [
    "Frame",
    "NaAction",
    "Table",
    "check_finite",
    "check_levels_known",
    "not_finite",
    "open_table",
    "read_frame",
    "suggestion",
]

NaAction = Literal["drop", "raise", "exclude"]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The caller's table behind one small face; its columns are looked up only when named.

    Attributes
    ----------
    source : DataFrame, Table or mapping
        The table itself, never changed.
    names : tuple of str
        Its column names.
    n : int or None
        Number of rows; None for a mapping, whose columns say it.
    """

    source: Any
    names: tuple[str, ...]
    n: int | None = None

    def column(self, name: str) -> Column:
        """Read one column.

        Raises
        ------
        DataError
            If there is none of that name, or more than one.
        """
        try:
            raw = self.source[name] if not is_foreign(self.source) or name in self.names else None
        except KeyError:
            raw = None
        if raw is None:
            raise DataError(f"the table has no column `{name}`; {suggestion(name, self.names)}")
        if isinstance(raw, pd.DataFrame):
            raise DataError(f"the table has {raw.shape[1]} columns named `{name}`; rename them so that one is meant")
        return read_column(name, raw)

    def index(self, n: int) -> pd.Index[Any]:
        """Row labels: those of a DataFrame, otherwise 0, 1, ..."""
        return self.source.index if isinstance(self.source, pd.DataFrame) else pd.RangeIndex(n)

    def length(self) -> int:
        """Number of rows; of a mapping that of its first column."""
        if self.n is not None:
            return self.n
        return n_rows(self.column(self.names[0])) if self.names else 0

    def with_columns(self, columns: Mapping[str, Any]) -> Any:
        """The table with columns added or replaced: a DataFrame of pandas, or a dict of the columns as they are."""
        if isinstance(self.source, pd.DataFrame):
            return self.source.assign(**columns)
        return {**{name: self.source[name] for name in self.names}, **columns}


def open_table(data: Any) -> Table:
    """Accept a pandas or polars DataFrame, a pyarrow Table, or a mapping of column names to arrays.

    Parameters
    ----------
    data : DataFrame, Table or mapping
        The table.

    Returns
    -------
    Table
        A view of it.

    Raises
    ------
    DataError
        If it is something else.
    """
    if isinstance(data, pd.DataFrame):
        return Table(data, tuple(str(name) for name in data), len(data))
    if isinstance(data, Mapping):
        return Table(data, tuple(str(name) for name in data))
    if is_foreign(data) == "polars" and hasattr(data, "height"):
        return Table(data, tuple(data.columns), data.height)
    if is_foreign(data) == "pyarrow" and hasattr(data, "column_names"):
        return Table(data, tuple(data.column_names), data.num_rows)
    if is_foreign(data) == "polars" and hasattr(data, "collect"):
        raise DataError("the data are a LazyFrame, whose rows are not there yet; call .collect() on it")
    raise DataError(
        f"the data are of type {type(data).__name__}; give a pandas or polars DataFrame, a pyarrow Table or a dict of "
        "columns of equal length"
    )


def suggestion(name: str, known: Iterable[str]) -> str:
    """Name the nearest known name, or all of them."""
    known = list(known)
    lowered = {k.lower(): k for k in reversed(known)}
    near = difflib.get_close_matches(name.lower(), lowered, n=1)
    if near:
        return f"did you mean `{lowered[near[0]]}`?"
    if not known:
        return "it has no columns"
    shown = ", ".join(f"`{k}`" for k in known[:12])
    return f"it has {shown}" + (", ..." if len(known) > 12 else "")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The columns of a model with the rows that are complete.

    Attributes
    ----------
    columns : mapping of str to Column
        By name; factors have used levels only.
    n : int
        Number of rows kept.
    n_total : int
        Number of rows of the table.
    rows : (n,) intp array or None
        Positions of the rows kept; None if all are.
    missing : mapping of str to int
        Number of missing values of each column that has any.
    whole : mapping of str to Column or None
        The columns before rows were dropped; None if all are kept.
    """

    columns: Mapping[str, Column]
    n: int
    n_total: int
    rows: Codes | None
    missing: Mapping[str, int]
    whole: Mapping[str, Column] | None = None

    def row(self, position: int) -> int:
        """Position in the caller's table of a row of the frame."""
        return position if self.rows is None else int(self.rows[position])


def read_frame(table: Table, names: Iterable[str], arrays: Mapping[str, Any], *, na_action: NaAction = "drop") -> Frame:
    """Read the named columns and drop the rows where any of them is missing.

    Parameters
    ----------
    table : Table
        The caller's table.
    names : iterable of str
        Columns to read.
    arrays : mapping of str to array-like (n_total,)
        Further columns given as arrays, under names such as ``"(weights)"``; a Series is aligned by its row labels.
    na_action : {"drop", "raise", "exclude"}
        What to do about missing values; ``"exclude"`` drops them here and leaves padding to the results.

    Returns
    -------
    Frame
        The complete rows.

    Raises
    ------
    DataError
        For unknown or all-missing columns, unequal lengths, no rows, or missing values under ``"raise"``.
    """
    if na_action not in get_args(NaAction):
        raise DataError(f"na_action={na_action!r} is unknown; use one of {', '.join(map(repr, get_args(NaAction)))}")
    columns = {name: table.column(name) for name in dict.fromkeys(names)}
    n_total = _common_length(table, columns)
    if isinstance(table.source, Mapping):
        _check_one_order(table.source, columns)
    for name, raw in arrays.items():
        columns[name] = _read_array(name, raw, table.index(n_total))
    if n_total == 0:
        raise DataError("the table has no rows; a model needs data")
    rows, missing = _complete_rows(columns, n_total, na_action)
    whole = None
    if rows is not None:
        whole = columns
        columns = {name: column.take(rows) for name, column in columns.items()}
    kept = {
        name: used_levels(column) if isinstance(column, Factor) and not column.logical else column
        for name, column in columns.items()
    }
    return Frame(kept, n_total if rows is None else len(rows), n_total, rows, missing, whole)


def _common_length(table: Table, columns: Mapping[str, Column]) -> int:
    if table.n is not None:
        return table.n
    lengths = {name: n_rows(column) for name, column in columns.items()}
    n = next(iter(lengths.values()), 0)
    for name, length in lengths.items():
        if length != n:
            first = next(iter(lengths))
            raise DataError(f"column `{name}` has {length} rows but `{first}` has {n}; give columns of equal length")
    return n


def _check_one_order(source: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse Series in a dict whose row labels are in different orders: a DataFrame would align them."""
    series = {name: source[name] for name in names if isinstance(source[name], pd.Series)}
    first = next(iter(series), "")
    for name, raw in series.items():
        if in_order(raw, series[first].index, f"column `{name}`") is not raw:
            raise DataError(
                f"columns `{first}` and `{name}` are Series whose row labels are in different orders; make a DataFrame "
                "of them, which aligns them, or give arrays"
            )


def _read_array(name: str, raw: Any, index: pd.Index[Any]) -> Numeric:
    plain, n_total = name.strip("()"), len(index)
    column = read_column(name, in_order(raw, index, plain))
    if not isinstance(column, Numeric):
        raise DataError(f"{plain} must be numbers; give an array of {n_total} numbers or the name of a numeric column")
    if len(column.stored) != n_total:
        raise DataError(
            f"{plain} has {len(column.stored)} values but the table has {n_total} rows; give one for each row"
            f"{more_rows(raw, index)}"
        )
    return column


def _complete_rows(
    columns: Mapping[str, Column], n_total: int, na_action: NaAction
) -> tuple[Codes | None, dict[str, int]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    for name, column in columns.items():
        mask = column.missing()
        if mask is not None:
            masks[name] = mask
    missing = {name: int(mask.sum()) for name, mask in masks.items()}
    if not missing:
        return None, {}
    for name, count in missing.items():
        if count == n_total:
            raise DataError(f"column `{name}` is missing in all {n_total} rows; give it values or leave it out")
    first = {name: int(mask.argmax()) for name, mask in masks.items()}
    counted = ", ".join(
        f"`{name}` in {count} of {n_total} rows, first in row {first[name]}" for name, count in missing.items()
    )
    if na_action == "raise":
        raise DataError(f"values are missing: {counted} (counting from 0); fill them, or use na_action='drop'")
    rows = np.flatnonzero(~np.logical_or.reduce(list(masks.values())))
    if len(rows) == 0:
        raise DataError(f"no row is complete; values are missing: {counted} (counting from 0)")
    return rows, missing


def check_finite(name: str, values: Floats, frame: Frame) -> None:
    """Refuse infinite values, and values that an expression could not compute.

    Parameters
    ----------
    name : str
        Column or expression.
    values : (n,) array
        Its values in the frame's rows.
    frame : Frame
        Where the rows come from.

    Raises
    ------
    DataError
        Naming the column, how many rows and the first of them.
    """
    # One pass without a temporary: the sum is finite only if all values are (an overflow is looked at again below).
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise not_finite(name, values, bad, f"{frame.n_total} rows", frame.row(int(bad[0])))


def not_finite(name: str, values: Floats, bad: Codes, rows: str, first: int) -> DataError:
    """Say which values of a column are infinite or could not be computed.

    Parameters
    ----------
    name : str
        Column or expression.
    values : (n,) array
        Its values.
    bad : (k,) intp array
        Positions of the values meant.
    rows : str
        The rows that were looked at, such as ``"20 rows"``.
    first : int
        Row of the caller's table that ``bad[0]`` is.
    """
    kind = "infinite" if np.isinf(values[bad[0]]) else "not a number"
    return DataError(
        f"`{name}` is {kind} in {len(bad)} of {rows}, first in row {first} (counting from 0); correct the values or "
        "mark them as missing"
    )


def check_levels_known(name: str, factor: Factor, frame: Frame) -> None:
    """Refuse a factor that an expression could not compute in every row.

    Parameters
    ----------
    name : str
        The expression.
    factor : Factor
        Its levels in the frame's rows.
    frame : Frame
        Where the rows come from.

    Raises
    ------
    DataError
        Naming the expression, how many rows and the first of them.
    """
    mask = factor.missing()
    if mask is None:
        return
    raise DataError(
        f"`{name}` has no level in {int(mask.sum())} of {frame.n_total} rows, first in row "
        f"{frame.row(int(mask.argmax()))} (counting from 0); correct the values or mark them as missing"
    )
