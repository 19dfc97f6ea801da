"""One column of a table -> numbers or a factor, whatever library it comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.design.columns import LOGICAL_LEVELS, Column, Factor, Floats, Numeric, labels_of, unreadable
from mixedpy.design.foreign import is_foreign, read_foreign
from mixedpy.design.stamps import read_stamps
from mixedpy.errors import DataError

__all__ = ["read_column"]


def read_column(name: str, raw: Any) -> Column:
    """Read a column of a table.

    Parameters
    ----------
    name : str
        Its name, for errors.
    raw : array-like (n,)
        pandas, polars, pyarrow, numpy or a list. Categories keep their order, texts are sorted (by code point, as R
        does in the C locale), booleans become FALSE and TRUE. Times, dates, periods, identifiers and other values of
        one type may name groups.

    Returns
    -------
    Numeric, Factor or Stamps
        The column; the caller's data are not changed.

    Raises
    ------
    DataError
        If the values are of several types.
    """
    if is_foreign(raw):
        return read_foreign(name, raw)
    dtype = getattr(raw, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        array = raw if isinstance(raw, pd.Categorical) else pd.Categorical(raw)
        return Factor(array.codes.astype(np.intp), labels_of(array.categories), ordered=bool(dtype.ordered))
    if dtype is None or isinstance(dtype, np.dtype):
        return _from_numpy(name, np.asarray(raw))
    if isinstance(dtype, pd.ArrowDtype):
        return read_foreign(name, getattr(raw, "array", raw).__arrow_array__())
    if pd.api.types.is_bool_dtype(dtype):
        return _from_floats(raw.to_numpy(dtype=np.float64, na_value=np.nan))
    if pd.api.types.is_numeric_dtype(dtype):
        if not raw.isna().any():
            return _from_numpy(name, raw.to_numpy())
        return Numeric(raw.to_numpy(dtype=np.float64, na_value=np.nan))
    if pd.api.types.is_string_dtype(dtype):
        return _from_texts(raw)
    return read_stamps(name, raw, str(dtype))


def _from_numpy(name: str, values: NDArray[Any]) -> Column:
    if values.ndim != 1:
        raise DataError(f"column `{name}` has {values.ndim} dimensions; give one value for each row")
    match values.dtype.kind:
        case "f" | "i" | "u":
            return Numeric(values)
        case "b":
            return Factor(values.astype(np.intp), LOGICAL_LEVELS, logical=True)
        case "U":
            return _from_texts(values.astype(object))
        case "O":
            return _from_objects(name, values)
        case "M" | "m":
            return read_stamps(name, pd.Index(values), str(values.dtype))
    raise unreadable(name, str(values.dtype))


def _from_objects(name: str, values: NDArray[Any]) -> Column:
    kind = pd.api.types.infer_dtype(values, skipna=True)
    match kind:
        case "string":
            return _from_texts(values)
        case "boolean":
            return _from_floats(_floats(values))
        case "integer" | "floating" | "mixed-integer-float" | "decimal" | "empty":
            return Numeric(_floats(values))
    types = {type(value) for value in values[~pd.isna(values)].tolist()}
    if len(types) == 1:
        return read_stamps(name, values, types.pop().__name__)
    texts = np.asarray(pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").isna() & ~pd.isna(values))
    if kind.startswith("mixed") and 0 < texts.sum() < len(values):
        first = int(texts.argmax())
        raise DataError(
            f"column `{name}` has the type object: numbers, but {texts.sum()} of {len(values)} values are none, first "
            f"{values[first]!r} in row {first} (counting from 0); correct them or mark them as missing"
        )
    raise unreadable(name, f"object, {kind}")


def _floats(values: NDArray[Any]) -> Floats:
    return np.where(pd.isna(values), np.nan, values).astype(np.float64)


def _from_floats(values: Floats) -> Factor:
    codes = np.where(np.isnan(values), -1.0, values).astype(np.intp)
    return Factor(codes, LOGICAL_LEVELS, logical=True)


def _from_texts(values: Any) -> Factor:
    codes, levels = pd.factorize(values, sort=True)
    return Factor(codes.astype(np.intp, copy=False), tuple(map(str, np.asarray(levels, dtype=object).tolist())))
