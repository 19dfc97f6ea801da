"""The caller's table as a saved fit keeps it: the columns that the model reads, as the model reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mixedpy.design import Schema
from mixedpy.design.columns import Column, Factor
from mixedpy.design.stamps import without_type
from mixedpy.inference.variables import as_values, model_columns
from mixedpy.models.storage.codec import Reader, Unreadable, Writer

__all__ = ["read_table", "write_table"]


def write_table(writer: Writer, schema: Schema, data: Any) -> list[Any]:
    """Write the columns that the model names."""
    return [[name, writer.write(_plain(column), Column)] for name, column in model_columns(schema, data).items()]


def _plain(column: Column) -> Column:
    """Times and identifiers are written as their labels, which is all that a grouping factor needs."""
    return without_type(column) if isinstance(column, Factor) else column


def read_table(reader: Reader, schema: Schema, written: Any) -> pd.DataFrame:
    """Build a table from which the same model would be made.

    Numbers stay numbers; a factor becomes a categorical column, or a boolean one where it was boolean.

    Raises
    ------
    Unreadable
        If a column does not have the length of the table.
    """
    if not isinstance(written, list) or not written:
        raise Unreadable("the table is not a list of columns")
    frame = pd.DataFrame(index=schema.table_index)
    for item in written:
        name, column = item
        values = as_values(_checked(reader.read(column, Column)))
        if not isinstance(name, str) or name in frame or len(values) != schema.n_total:
            raise Unreadable(f"the column {name!r} does not belong to the table")
        frame[name] = values
    if schema.data_name is not None:
        frame.attrs["name"] = schema.data_name
    return frame


def _checked(column: Column) -> Column:
    codes = column.codes if isinstance(column, Factor) else np.zeros(0, dtype=np.intp)
    if isinstance(column, Factor) and (
        codes.ndim != 1 or codes.min(initial=0) < -1 or codes.max(initial=-1) >= len(column.levels)
    ):
        raise Unreadable("a factor has a code without a level")
    return column
