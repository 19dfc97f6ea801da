"""The columns of the caller's table that a model reads, and tables made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.design import Schema
from mixedpy.design.columns import Column, Factor, Floats, Numeric
from mixedpy.design.encode import Encoding
from mixedpy.design.frame import open_table
from mixedpy.errors import DataError
from mixedpy.formula.expressions import column_names
from mixedpy.formula.syntax import Node

__all__ = ["as_values", "fixed_variables", "grid_of", "grouping_variables", "model_columns", "rows_used", "typical"]


def model_columns(schema: Schema, data: Any) -> dict[str, Column]:
    """Read the columns of the table that the model names, whole.

    Returns
    -------
    dict of str to Column
        In the order of the table; rows with missing values included.
    """
    table = open_table(data)
    wanted = set(_names(_nodes(schema)))
    wanted |= {name for name in (schema.weights_name, schema.offset_name) if name is not None}
    return {name: table.column(name) for name in table.names if name in wanted}


def rows_used(schema: Schema, data: Any) -> pd.DataFrame:
    """Build a table of the columns that the model reads, on the rows that the fit used.

    Raises
    ------
    DataError
        If the table no longer has the rows that it had when the model was fitted.
    """
    columns = model_columns(schema, data)
    frame = {}
    for name, column in columns.items():
        values = as_values(column)
        if len(values) != schema.n_total:
            raise DataError(
                f"column `{name}` of the table now has {len(values)} rows and had {schema.n_total} when the model was "
                "fitted; fit the model again to the table as it is now"
            )
        frame[name] = values[schema.rows]
    return pd.DataFrame(frame, index=schema.index)


def as_values(column: Column) -> Any:
    """Turn a column into what a table holds: numbers, categories, or booleans where it was boolean."""
    if isinstance(column, Numeric):
        return column.stored
    assert isinstance(column, Factor)  # a basis is no column of a table
    if not column.logical:
        return pd.Categorical.from_codes(column.codes, pd.Index(column.levels), ordered=column.ordered)
    if column.codes.min(initial=0) >= 0:
        return column.codes == 1
    return pd.arrays.BooleanArray(column.codes == 1, column.codes < 0)


def fixed_variables(schema: Schema, columns: Iterable[str], *, offset: bool = False) -> list[str]:
    """List the columns of the fixed effects and of the zeros, in the order of the formulas; ``offset`` adds its own."""
    known = list(columns)
    found = _of_encodings(_fixed_encodings(schema), known)
    if offset:
        more = [*_names(schema.offsets), *([] if schema.offset_name is None else [schema.offset_name])]
        found += [name for name in dict.fromkeys(more) if name in known and name not in found]
    return found


def grouping_variables(schema: Schema, group: str, columns: Iterable[str]) -> tuple[list[str], list[str]]:
    """List the columns of a grouping factor, and those of the effects that vary over it."""
    terms = [term for term in schema.terms if term.group == group]
    known = list(columns)
    grouping = dict.fromkeys(_names(node for term in terms for node in term.grouping))
    return [name for name in grouping if name in known], _of_encodings([term.encoding for term in terms], known)


def grid_of(schema: Schema, name: str, values: Any, points: int) -> tuple[Any, Floats, tuple[str, ...]]:
    """Choose values of a predictor at which a curve is evaluated.

    Parameters
    ----------
    schema : Schema
        Of the model; numbers that it takes as categories, ``factor(x)``, are evaluated where they occur.
    name : str
        The predictor, for errors.
    values : array-like (n,)
        Its values in the data.
    points : int
        Number of points for a numeric predictor.

    Returns
    -------
    values : array (g,)
        As a column of a table.
    positions : (g,) array
        Where they are drawn: the values themselves, or 0, 1, ... for a factor.
    categories : tuple of str
        Levels of a factor; empty for numbers.
    """
    column = open_table({name: values}).column(name)
    if isinstance(column, Numeric) and _as_categories(schema, name):
        found = np.unique(column.values)
        return found, np.arange(len(found), dtype=np.float64), tuple(f"{value:g}" for value in found)
    if isinstance(column, Numeric):
        grid = np.linspace(float(np.min(column.values)), float(np.max(column.values)), points)
        return grid, grid, ()
    assert isinstance(column, Factor)
    levels = column.levels
    chosen = np.array([False, True]) if column.logical else pd.Categorical(levels, list(levels), ordered=column.ordered)
    return chosen, np.arange(len(levels), dtype=np.float64), tuple(levels)


def _as_categories(schema: Schema, name: str) -> bool:
    """Whether a column enters the fixed part or a random effect as the levels of a factor."""
    encodings = (*_fixed_encodings(schema), *(term.encoding for term in schema.terms))
    variables = (variable for encoding in encodings for variable in encoding.variables)
    return any(v.levels is not None and name in _names([v.node]) for v in variables)


def typical(rows: pd.DataFrame, codes: Any, n_levels: int) -> pd.DataFrame:
    """Take one row for each level: the mean of every numeric column, the most frequent value of every other.

    Parameters
    ----------
    rows : DataFrame (n rows)
        Without missing values.
    codes : (n,) array
        Level of each row.
    n_levels : int
        Number of levels J.

    Returns
    -------
    DataFrame (J rows)
        The same columns.
    """
    counts = np.bincount(codes, minlength=n_levels)
    made: dict[str, Any] = {}
    for name, values in rows.items():
        column = open_table({str(name): values}).column(str(name))
        if isinstance(column, Numeric):
            made[str(name)] = np.bincount(codes, column.values, n_levels) / counts
            continue
        assert isinstance(column, Factor)
        table = np.zeros((n_levels, len(column.levels)))
        np.add.at(table, (codes, column.codes), 1.0)
        made[str(name)] = as_values(Factor(table.argmax(1), column.levels, column.ordered, column.logical))
    return pd.DataFrame(made)


def _of_encodings(encodings: Iterable[Encoding], columns: Iterable[str]) -> list[str]:
    known = set(columns)
    nodes = (variable.node for encoding in encodings for variable in encoding.variables)
    return [name for name in dict.fromkeys(_names(nodes)) if name in known]


def _fixed_encodings(schema: Schema) -> list[Encoding]:
    return [schema.fixed] if schema.zeros is None else [schema.fixed, schema.zeros]


def _names(nodes: Iterable[Node]) -> Iterator[str]:
    return (part.name for node in nodes for part in column_names(node))


def _nodes(schema: Schema) -> Iterator[Node]:
    yield schema.formula.response
    yield from schema.offsets
    for encoding in (*_fixed_encodings(schema), *(term.encoding for term in schema.terms)):
        yield from (variable.node for variable in encoding.variables)
    for term in schema.terms:
        yield from term.grouping
