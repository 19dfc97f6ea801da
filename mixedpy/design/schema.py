"""The schema of a fitted design: names, levels and codings, frozen so that new data give the same columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.design.bases import BasisState
from mixedpy.design.columns import Codes, Column, Factor, Floats, Numeric, as_factor, as_numbers, n_rows
from mixedpy.design.encode import ColumnPool, Encoding, Variable
from mixedpy.design.evaluate import CONSTANTS, Evaluator, UserFunction
from mixedpy.design.frame import NaAction, Table, not_finite, open_table, suggestion
from mixedpy.design.random import Grouping, TermSchema
from mixedpy.errors import DataError
from mixedpy.formula import Formula, Terms
from mixedpy.formula.expressions import column_names
from mixedpy.formula.syntax import Node

__all__ = [
    "RandomColumns",
    "Schema",
    "effect_columns",
    "fixed_columns",
    "offset_column",
    "random_columns",
    "response_levels",
    "trial_numbers",
    "zero_columns",
]


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """Everything about a design but its numbers.

    Attributes
    ----------
    formula : Formula
        The model's formula.
    response : str
        Text of the left side.
    fixed_names : tuple of str
        R's names of the p columns of X.
    dropped : tuple of str
        Names of the aliased columns that were left out.
    assign : tuple of int
        Term of each column of X: 0 is the intercept, k is ``term_labels[k - 1]``.
    term_labels : tuple of str
        The fixed terms, such as ``"a:b"``.
    fixed_terms : Terms
        The variables of the fixed part and the terms they form.
    fixed : Encoding
        The columns of X.
    terms : tuple of TermSchema
        The random terms, in the order of ``Design.terms``.
    offsets : tuple of Node
        Arguments of the ``offset()`` terms of the formula.
    index : pandas.Index
        Labels of the rows kept.
    table_index : pandas.Index
        Labels of all rows of the table.
    rows : (n,) intp array
        Positions of the rows kept.
    n_total : int
        Number of rows of the table.
    missing : tuple of (str, int)
        Missing values by column.
    data_name, weights_name, offset_name : str or None
        For the print-outs.
    na_action : str
        As given.
    zeros : Encoding or None
        The columns of the formula for zeros.
    states : mapping of str to BasisState
        Constants of the bases, such as the knots of a spline, by the text of their calls.
    functions : mapping of str to callable
        Functions that the user added.
    """

    formula: Formula
    response: str
    fixed_names: tuple[str, ...]
    dropped: tuple[str, ...]
    assign: tuple[int, ...]
    term_labels: tuple[str, ...]
    fixed_terms: Terms
    fixed: Encoding
    terms: tuple[TermSchema, ...]
    offsets: tuple[Node, ...]
    index: pd.Index
    table_index: pd.Index
    rows: Codes
    n_total: int
    missing: tuple[tuple[str, int], ...]
    data_name: str | None
    weights_name: str | None
    offset_name: str | None
    na_action: NaAction
    states: Mapping[str, BasisState] = field(default_factory=dict, repr=False)
    functions: Mapping[str, UserFunction] = field(default_factory=dict, repr=False)
    zeros: Encoding | None = None

    def evaluator(self, columns: Mapping[str, Column]) -> Evaluator:
        """Compute the model's variables from the columns of new data, with the constants of the fit."""
        return Evaluator(columns, source=self.formula.source, functions=self.functions, states=self.states)

    @property
    def n_missing_rows(self) -> int:
        """Number of rows dropped because a value was missing."""
        return self.n_total - len(self.rows)


class RandomColumns(NamedTuple):
    """A random term in new data.

    Attributes
    ----------
    codes : (n,) intp array
        Level of each row among those of the model; -1 for a level that the model has not seen, or a missing one.
    labels : (n,) object array
        Label of each row's level; None where missing.
    Z : (n, m) array
        The effects' columns; a row with a missing value is NaN.
    """

    codes: Codes
    labels: NDArray[np.object_]
    Z: Floats


def fixed_columns(schema: Schema, newdata: Any) -> Floats:
    """Build the columns of X from new data.

    Parameters
    ----------
    schema : Schema
        Of the fitted design.
    newdata : DataFrame or mapping
        With the columns that the fixed part uses.

    Returns
    -------
    (n, p) array
        A row with a missing value is NaN, as in R.

    Raises
    ------
    DataError
        For a column that is not there, or a level that the model has not seen.

    Examples
    --------
    >>> from mixedpy.design import build
    >>> data = {"y": [1.0, 3, 2, 5, 4, 6], "f": list("abcabc"), "g": list("uuvvuv")}
    >>> schema = build("y ~ f + (1 | g)", data).schema
    >>> fixed_columns(schema, {"f": ["c", "a"]})
    array([[1., 0., 1.],
           [1., 0., 0.]])
    """
    table = open_table(newdata)
    columns = _read(table, (v.node for v in schema.fixed.variables))
    return _columns(schema, schema.fixed, columns, table)


def zero_columns(schema: Schema, newdata: Any) -> Floats:
    """Build the columns of the zeros' formula from new data, (n, k); a row with a missing value is NaN.

    Raises
    ------
    DataError
        For a column that is not there, or a level that the model has not seen.
    """
    if schema.zeros is None:
        raise ValueError("the model has no formula for zeros")
    table = open_table(newdata)
    columns = _read(table, (v.node for v in schema.zeros.variables))
    return _columns(schema, schema.zeros, columns, table)


def trial_numbers(schema: Schema, newdata: Any) -> Floats:
    """Add up the counts of ``cbind(successes, failures)`` in new data, (n,); NaN where one is missing.

    Raises
    ------
    DataError
        If the new data lack the columns, or they do not count a trial.
    """
    parts = schema.formula.counts
    if parts is None:
        raise ValueError("the response of the model is not made of counts")
    table = open_table(newdata)
    absent = [part.name for node in parts for part in column_names(node) if part.name not in table.names]
    if absent:
        raise DataError(
            f"the numbers of trials of the new rows come from the columns of {schema.response}, and newdata has no "
            f"column `{absent[0]}`; add it"
        )
    evaluator = schema.evaluator(_read(table, parts))
    found = [as_numbers(evaluator.column(node)) for node in parts]
    if any(values is None for values in found):
        raise DataError(f"the columns of {schema.response} in newdata must be numbers")
    trials: Floats = np.sum([values for values in found if values is not None], axis=0)
    bad = int((trials <= 0).sum())
    if bad:
        raise DataError(f"{schema.response} counts no trial in {bad} rows of newdata; leave these rows out")
    return trials


def response_levels(schema: Schema, data: Any) -> tuple[str, ...] | None:
    """Levels of a response that is a factor, those of the rows used, from the table of the fit; None for numbers."""
    node = schema.formula.response
    column = schema.evaluator(_read(open_table(data), (node,))).column(node)
    if not isinstance(column, Factor):
        return None
    if len(column.levels) == 2:
        return column.levels
    return tuple(column.levels[k] for k in np.unique(column.codes[schema.rows]) if k >= 0)


def random_columns(schema: Schema, newdata: Any, term: int) -> RandomColumns:
    """Build a random term from new data.

    Parameters
    ----------
    schema : Schema
        Of the fitted design.
    newdata : DataFrame or mapping
        With the columns that the term uses.
    term : int
        Position in ``schema.terms``.

    Returns
    -------
    RandomColumns
        Levels, labels and columns.

    Raises
    ------
    DataError
        For a column that is not there, or a level of an effect's factor that the model has not seen.
    """
    frozen = schema.terms[term]
    table = open_table(newdata)
    columns = _read(table, (*frozen.grouping, *(v.node for v in frozen.encoding.variables)))
    factor = Grouping(schema.evaluator(columns)).factor(frozen.grouping)
    lookup = {level: k for k, level in enumerate(frozen.levels)}
    position = np.array([*(lookup.get(level, -1) for level in factor.levels), -1], dtype=np.intp)
    labels = np.array([*factor.levels, None], dtype=object)
    Z = _columns(schema, frozen.encoding, columns, table)
    return RandomColumns(position[factor.codes], labels[factor.codes], Z)


def effect_columns(schema: Schema, newdata: Any, term: int) -> Floats:
    """Build the columns of a random term's effects from new data, (n, m), without reading its grouping factor."""
    encoding = schema.terms[term].encoding
    table = open_table(newdata)
    columns = _read(table, tuple(v.node for v in encoding.variables))
    return _columns(schema, encoding, columns, table)


def offset_column(schema: Schema, newdata: Any) -> Floats | None:
    """Evaluate the offset in new data: the formula's ``offset()`` terms and a column named by ``offset=``.

    Parameters
    ----------
    schema : Schema
        Of the fitted design.
    newdata : DataFrame or mapping
        The new rows.

    Returns
    -------
    (n,) array or None
        The sum; None if the model has no offset that can be evaluated anew.
    """
    table = open_table(newdata)
    total: Floats | None = None
    values = [schema.evaluator(_read(table, (node,))).column(node) for node in schema.offsets]
    if schema.offset_name is not None:
        values.append(table.column(schema.offset_name))
    for value in values:
        numbers = as_numbers(value)
        if numbers is None:
            raise DataError("the offset of the new data is not numeric; give numbers")
        _check_values("offset", numbers, np.isnan(numbers))
        total = numbers.copy() if total is None else total + numbers
    return total


def _read(table: Table, nodes: Iterable[Node]) -> dict[str, Column]:
    wanted = dict.fromkeys(name.name for node in nodes for name in column_names(node))
    return {name: table.column(name) for name in wanted if name in table.names or name not in CONSTANTS}


def _columns(schema: Schema, encoding: Encoding, columns: dict[str, Column], table: Table) -> Floats:
    n = _rows(table, columns)
    absent = np.zeros(n, dtype=bool)
    evaluator = schema.evaluator(columns)
    values: dict[str, Column] = {}
    for variable in encoding.variables:
        for name in {part.name for part in column_names(variable.node)}:
            mask = columns[name].missing() if name in columns else None
            if mask is not None:
                absent |= mask
        values[variable.name] = _conform(variable, evaluator.column(variable.node))
    for name, column in values.items():
        if not isinstance(column, Factor):
            numbers = column.values if isinstance(column, Numeric) else column.values.sum(axis=1)
            _check_values(name, numbers, absent)
    pool = ColumnPool(n)
    positions = pool.positions(encoding, values)
    X = np.empty((n, len(positions)), order="F")
    for k, position in enumerate(positions):
        X[:, k] = pool.arrays[position]
    X[absent] = np.nan
    return X


def _check_values(name: str, values: Floats, absent: NDArray[np.bool_]) -> None:
    """Refuse values of new data that are infinite, or could not be computed though nothing is missing.

    Parameters
    ----------
    name : str
        Column or expression.
    values : (n,) array
        Its values.
    absent : (n,) bool array
        Rows in which a value that it is made of is missing.
    """
    bad = np.flatnonzero(~np.isfinite(values) & ~absent)
    if len(bad):
        raise not_finite(name, values, bad, f"{len(values)} rows of the new data", int(bad[0]))


def _rows(table: Table, columns: dict[str, Column]) -> int:
    if table.n is not None:
        return table.n
    first = next(iter(columns), None) or next(iter(table.names), None)
    return 0 if first is None else n_rows(table.column(first))


def _conform(variable: Variable, column: Column) -> Column:
    """Bring a variable of the new data to the type and the levels of the model."""
    if variable.levels is None:
        if isinstance(column, Factor):
            shown = ", ".join(map(repr, column.levels[:3])) + (", ..." if len(column.levels) > 3 else "")
            raise DataError(
                f"`{variable.name}` is numeric in the model but not in the new data, which have {shown}; convert it to "
                "numbers"
            )
        return column
    factor = as_factor(column)
    lookup = {level: k for k, level in enumerate(variable.levels)}
    unknown = [level for level in factor.levels if level not in lookup]
    if unknown:
        shown = ", ".join(repr(level) for level in unknown[:5])
        raise DataError(
            f"the factor `{variable.name}` of the new data has levels that the model has not seen: {shown}; "
            + suggestion(unknown[0], variable.levels).replace("it has", "the model has")
        )
    # A missing row (code -1) takes the last entry: level 0 here, NaN when the columns are complete.
    position = np.array([*(lookup[level] for level in factor.levels), 0], dtype=np.intp)
    return Factor(position[factor.codes], variable.levels)
