"""The caller's table as a saved fit keeps it: the columns that the model reads, as the model reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.design import Schema
from mixedpy.design.columns import Column, Factor
from mixedpy.design.frame import open_table
from mixedpy.formula.syntax import Name, Node, walk
from mixedpy.models.storage.codec import Reader, Unreadable, Writer

__all__ = ["read_table", "used_columns", "write_table"]


def used_columns(schema: Schema, data: Any) -> dict[str, Column]:
    """Read the columns of the table that the model names, whole.

    Returns
    -------
    dict of str to Column
        In the order of the table; rows with missing values included.
    """
    table = open_table(data)
    wanted = {name.name for node in _nodes(schema) for name in walk(node) if isinstance(name, Name)}
    wanted |= {name for name in (schema.weights_name, schema.offset_name) if name is not None}
    return {name: table.column(name) for name in table.names if name in wanted}


def _nodes(schema: Schema) -> Iterator[Node]:
    yield schema.formula.response
    yield from schema.offsets
    for encoding in (schema.fixed, *(term.encoding for term in schema.terms)):
        for variable in encoding.variables:
            yield variable.node
    for term in schema.terms:
        yield from term.grouping


def write_table(writer: Writer, schema: Schema, data: Any) -> list[Any]:
    """Write the columns that the model names."""
    return [[name, writer.write(column, Column)] for name, column in used_columns(schema, data).items()]


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
        values = _values(reader.read(column, Column))
        if not isinstance(name, str) or name in frame or len(values) != schema.n_total:
            raise Unreadable(f"the column {name!r} does not belong to the table")
        frame[name] = values
    if schema.data_name is not None:
        frame.attrs["name"] = schema.data_name
    return frame


def _values(column: Column) -> Any:
    if not isinstance(column, Factor):
        return column.stored
    if column.codes.ndim != 1 or column.codes.min(initial=0) < -1 or column.codes.max(initial=-1) >= len(column.levels):
        raise Unreadable("a factor has a code without a level")
    if not column.logical:
        return pd.Categorical.from_codes(column.codes, list(column.levels), ordered=column.ordered)
    if column.codes.min(initial=0) >= 0:
        return column.codes == 1
    return pd.array(np.where(column.codes < 0, None, column.codes == 1), dtype="boolean")
