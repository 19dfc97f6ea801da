"""Columns of polars and pyarrow tables, read without importing either: whoever has such a table has imported it.

Narwhals would read the numbers as well, but gives no access to the codes of categories, so that every row's label would
have to be looked up again; these few lines take codes and levels as they stand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.design.columns import Column, Factor, Numeric, labels_of, unreadable
from mixedpy.design.stamps import read_stamps

__all__ = ["is_foreign", "read_foreign"]


def is_foreign(raw: Any) -> str | None:
    """Name the library, "polars" or "pyarrow", that a column or table comes from; None for any other."""
    library = type(raw).__module__.partition(".")[0]
    return library if library in ("polars", "pyarrow") else None


def read_foreign(name: str, raw: Any) -> Column:
    """Read a polars Series or a pyarrow array.

    Parameters
    ----------
    name : str
        Its name, for errors.
    raw : Series, Array or ChunkedArray
        The column.

    Returns
    -------
    Numeric, Factor or Stamps
        Nulls are missing. Levels of an Enum or a dictionary keep their order; texts, and polars' Categorical, whose
        order depends on other columns, are sorted.

    Raises
    ------
    DataError
        If the values can be told apart neither as numbers or texts nor as times.
    """
    return _polars(name, raw) if is_foreign(raw) == "polars" else _pyarrow(name, raw)


def _polars(name: str, series: Any) -> Column:
    pl = sys.modules["polars"]
    dtype = series.dtype
    if dtype == pl.Enum:
        return _factor(series.to_physical().to_numpy(), dtype.categories.to_list())
    if dtype in (pl.String, pl.Categorical):
        texts = series.cast(pl.String)
        levels = texts.unique().drop_nulls().sort()
        return _factor(texts.cast(pl.Enum(levels)).to_physical().to_numpy(), levels.to_list())
    if dtype == pl.Boolean:
        return _factor(series.cast(pl.Int8).to_numpy(), ("FALSE", "TRUE"), logical=True)
    if dtype.is_decimal() or dtype == pl.Null:
        series = series.cast(pl.Float64)
    elif dtype.is_temporal():
        stamps = series.to_numpy()
        if getattr(dtype, "time_zone", None) is not None:
            stamps = pd.DatetimeIndex(stamps).tz_localize("UTC").tz_convert(dtype.time_zone)
        return read_stamps(name, stamps if stamps.dtype == object else pd.Index(stamps), str(dtype))
    elif dtype == pl.Object:
        return read_stamps(name, np.array(series.to_list(), dtype=object), "object")
    elif not dtype.is_numeric():
        raise unreadable(name, str(dtype))
    return Numeric(series.to_numpy())


def _pyarrow(name: str, array: Any) -> Column:
    pa = sys.modules["pyarrow"]
    kind = array.type
    if pa.types.is_dictionary(kind):
        whole = _whole(array.unify_dictionaries() if isinstance(array, pa.ChunkedArray) else array)
        return _factor(_numbers(whole.indices), labels_of(whole.dictionary.to_pylist()), ordered=kind.ordered)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        whole = _whole(array.cast(pa.large_string()).dictionary_encode())
        return _sorted_factor(_numbers(whole.indices), whole.dictionary.to_pylist())
    if pa.types.is_boolean(kind):
        return _factor(_numbers(array.cast(pa.int8())), ("FALSE", "TRUE"), logical=True)
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        array = array.cast(pa.float64())
    elif pa.types.is_temporal(kind):
        return read_stamps(name, array.to_pandas(), str(kind))
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise unreadable(name, str(kind))
    return Numeric(_numbers(array))


def _whole(array: Any) -> Any:
    """One array from the chunks of a column."""
    if not hasattr(array, "chunks"):
        return array
    whole = array.combine_chunks()
    return whole if not hasattr(whole, "chunks") else whole.chunk(0)


def _numbers(array: Any) -> NDArray[Any]:
    """Numbers as stored, without a copy where there is one chunk and no null; otherwise NaN for null."""
    if hasattr(array, "chunks"):
        array = array.chunk(0) if array.num_chunks == 1 else array
        return np.asarray(array.to_numpy() if hasattr(array, "chunks") else array.to_numpy(zero_copy_only=False))
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _factor(codes: NDArray[Any], levels: Sequence[str], *, ordered: bool = False, logical: bool = False) -> Factor:
    if codes.dtype.kind == "f":
        codes = np.where(np.isnan(codes), -1.0, codes)
    return Factor(codes.astype(np.intp), tuple(levels), ordered=ordered, logical=logical)


def _sorted_factor(codes: NDArray[Any], levels: list[str]) -> Factor:
    order = sorted(range(len(levels)), key=levels.__getitem__)
    position = np.empty(len(levels) + 1, dtype=np.intp)
    position[order] = np.arange(len(levels))
    position[-1] = -1
    plain = _factor(codes, ())
    return Factor(position[plain.codes], tuple(levels[k] for k in order))
