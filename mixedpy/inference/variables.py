"""The columns of the caller's table that a model reads, and tables made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.design import Schema
from mixedpy.design.columns import Column, Factor, Floats, Numeric, as_factor, n_rows, used_levels
from mixedpy.design.encode import Encoding
from mixedpy.design.frame import open_table
from mixedpy.errors import DataError
from mixedpy.formula.expressions import column_names
from mixedpy.formula.syntax import Call, Name, Node

__all__ = [
    "as_values",
    "fixed_variables",
    "grid_of",
    "grouping_variables",
    "model_columns",
    "rows_to_vary",
    "rows_used",
    "typical",
]

_FACTORS = frozenset({"factor", "as.factor", "ordered"})


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
    """Build a table of the columns that the model reads, on the rows that the fit used; factors have used levels only.

    Raises
    ------
    DataError
        If the table no longer has the rows that it had when the model was fitted.
    """
    columns = model_columns(schema, data)
    frame = {}
    for name, column in columns.items():
        if n_rows(column) != schema.n_total:
            raise DataError(
                f"column `{name}` of the table now has {n_rows(column)} rows and had {schema.n_total} when the model "
                "was fitted; fit the model again to the table as it is now"
            )
        kept = column.take(schema.rows)
        frame[name] = as_values(kept if not isinstance(kept, Factor) or kept.logical else used_levels(kept))
    return pd.DataFrame(frame, index=schema.index)


def rows_to_vary(schema: Schema, data: Any) -> pd.DataFrame:
    """As :func:`rows_used`, for setting predictors to other values: numbers that enter as levels alone are categories.

    Between the numbers of ``factor(k)`` the model has no value.
    """
    rows = rows_used(schema, data)
    for name in _numbers_as_levels(schema) & set(rows):
        column = open_table({name: rows[name]}).column(name)
        if isinstance(column, Numeric):
            rows[name] = as_values(as_factor(column))
    return rows


def _numbers_as_levels(schema: Schema) -> set[str]:
    """Names of the columns that stand within ``factor()`` and nowhere else."""
    within, elsewhere = set(), set(_names([schema.formula.response, *schema.offsets]))
    elsewhere |= {name for name in (schema.weights_name, schema.offset_name) if name is not None}
    for encoding in (schema.fixed, *(term.encoding for term in schema.terms)):
        for variable in encoding.variables:
            node = variable.node
            if isinstance(node, Call) and node.function in _FACTORS and isinstance(node.arguments[0], Name):
                within.add(node.arguments[0].name)
            else:
                elsewhere |= set(_names([node]))
    return within - elsewhere


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
