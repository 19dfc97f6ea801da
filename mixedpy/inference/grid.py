"""The reference grid: combinations of the predictors at which a fit is predicted, and averages over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.rank import independent_columns
from mixedpy.design import Schema, fixed_columns
from mixedpy.design.cells import treatment_encoding
from mixedpy.design.columns import Basis, Factor, Numeric, as_factor, as_numbers
from mixedpy.design.frame import open_table, suggestion
from mixedpy.errors import DataError
from mixedpy.formula.expressions import column_names
from mixedpy.formula.parser import parse_sides
from mixedpy.formula.syntax import Call, Name, walk
from mixedpy.inference.hypotheses import model_columns

__all__ = [
    "Averages",
    "Averaging",
    "Grid",
    "Weights",
    "averages",
    "averaging",
    "in_larger_term",
    "reference_grid",
    "term_columns",
    "trend_grid",
]

Weights = Literal["equal", "proportional", "outer", "cells"]
"""How the cells of factors that are averaged over are weighted."""

_KEPT = 2
"""A numeric predictor with up to this many values enters the grid with all of them, others with their mean."""

_FUNCTIONS_OF_LEVELS = frozenset({"factor", "as.factor", "ordered"})

_MOST = 100_000
"""Most combinations of predictors that a grid may have."""

_STEP = 5e-4
"""Half the distance between the two points of a slope, in ranges of the predictor."""


@dataclass(frozen=True, slots=True)
class Grid:
    """All combinations of the predictors' reference values, N in number; the first predictor varies fastest.

    Attributes
    ----------
    values : dict of str to list
        Reference values of each predictor.
    discrete : frozenset of str
        Predictors of which the grid holds all values that occur.
    table : DataFrame
        The N combinations.
    L : (N, p) array
        Rows of the model matrix.
    offset : (N,) array
        Known part of the linear predictor.
    counts : (N,) array
        Number of rows of the fit in the cell of the discrete predictors.
    full : (N, P) array
        Rows of the model matrix in treatment contrasts, with the columns that a fit leaves out.
    null : (P, k) array
        Combinations of those columns that vanish in the data: what depends on them cannot be estimated.
    """

    values: dict[str, list[Any]]
    discrete: frozenset[str]
    table: pd.DataFrame
    L: Floats
    offset: Floats
    counts: Floats
    full: Floats
    null: Floats


@dataclass(frozen=True, slots=True)
class Averaging:
    """Weights of the rows of a grid in averages over it, r in number, of c rows each.

    Attributes
    ----------
    labels : DataFrame
        The values of the predictors that were not averaged over, one row for each average.
    cells : (r, c) array of int
        Rows of the grid in each average.
    weights : (r, c) array
        Their weights, which sum to one; NaN where there are several rows, and no row of the fit is in any of them.
    averaged : tuple of str
        Discrete predictors with several values that were averaged over.
    """

    labels: pd.DataFrame
    cells: NDArray[np.intp]
    weights: Floats
    averaged: tuple[str, ...]

    def of(self, X: Floats) -> Floats:
        """Averages of the rows of X (N, p), (r, p)."""
        return np.einsum("rc,rcp->rp", self.weights, X[self.cells])


@dataclass(frozen=True, slots=True)
class Averages:
    """Averages over a grid, r in number.

    Attributes
    ----------
    labels : DataFrame
        The values of the predictors that were not averaged over, one row for each average.
    L : (r, p) array
        The averages as linear functions of the fixed effects; NaN where not estimable.
    offset : (r,) array
        Their known part.
    averaged : tuple of str
        Discrete predictors with several values that were averaged over.
    """

    labels: pd.DataFrame
    L: Floats
    offset: Floats
    averaged: tuple[str, ...]


def reference_grid(
    schema: Schema, design: Design, data: Any, at: Mapping[str, Any] | None = None, *, spread: bool = False
) -> Grid:
    """Make the reference grid of a fit.

    Factors enter with all their levels, numeric predictors with their mean over the rows of the fit, or with their
    values if they have no more than two. Offsets are known numbers, not predictors: their mean over the rows enters.

    Parameters
    ----------
    schema, design
        The fitted model.
    data
        The table that was fitted.
    at : mapping of str to values, optional
        Other values for some predictors.
    spread : bool
        Whether numeric predictors enter with their mean less and plus one, rather than with the mean.

    Raises
    ------
    DataError
        If ``at`` names no predictor or an unknown level, the table was changed after the fit, or there are more than
        100,000 combinations.
    """
    columns = dict(_columns(schema, data))
    values: dict[str, list[Any]] = {}
    discrete = set()
    for name, (column, as_levels) in columns.items():
        if isinstance(column, Factor):
            values[name], kept = _plain(column, as_factor(column).levels), True
        else:
            distinct = np.unique(column.values)
            kept = as_levels or len(distinct) <= _KEPT
            mean = float(column.values.mean())
            values[name] = distinct.tolist() if kept else [mean - 1.0, mean + 1.0] if spread else [mean]
        if kept:
            discrete.add(name)
    for name, given in (at or {}).items():
        if name not in columns:
            if any(part.name == name for node in schema.offsets for part in column_names(node)):
                raise DataError(
                    f"at: `{name}` is in an offset only, of which the mean over the rows of the fit is used"
                )
            raise DataError(f"at: `{name}` is no predictor of the fixed part; {suggestion(name, columns)}")
        values[name] = _given(name, given, values[name] if isinstance(columns[name][0], Factor) else None)
    size = prod(map(len, values.values()))
    if size > _MOST:
        raise DataError(
            f"the predictors have {size:,} combinations, more than {_MOST:,}; hold some at one value with at="
        )
    rows = [dict(zip(values, reversed(row), strict=True)) for row in product(*reversed(list(values.values())))]
    table = pd.DataFrame(rows, columns=list(values), index=range(len(rows)))
    L, full = _rows(schema, table)
    return Grid(
        values=values,
        discrete=frozenset(discrete),
        table=table,
        L=L,
        offset=np.full(len(table), 0.0 if design.offset is None else design.offset.mean()),
        counts=_counts(design, columns, discrete, table),
        full=full,
        null=_null_space(model_columns(schema, design, data, treatment_encoding(schema))),
    )


def trend_grid(schema: Schema, data: Any, grid: Grid, variable: str) -> Grid:
    """Turn predictions at the points of a grid into their slopes in a numeric predictor.

    A slope is the difference of two predictions, a thousandth of the range of the predictor apart, around the point.

    Parameters
    ----------
    schema
        The fitted model.
    data
        The table that was fitted.
    grid : Grid
        Reference grid.
    variable : str
        A numeric predictor, or an expression of one, ``"log(dose)"``, for slopes in what it gives.

    Raises
    ------
    DataError
        If the expression has not exactly one predictor, or that is not numeric.
    """
    columns = dict(_columns(schema, data))
    node = Name(variable) if variable in columns else parse_sides(f"trend ~ {variable}")[1]
    names = list(dict.fromkeys(part.name for part in column_names(node)))
    if len(names) != 1:
        raise DataError(f"emtrends: var={variable!r} has {len(names)} predictors; name one, or an expression of one")
    name = names[0]
    if name not in columns:
        raise DataError(f"emtrends: `{name}` is no predictor of the fixed part; {suggestion(name, columns)}")
    column, as_levels = columns[name]
    if isinstance(column, Factor) or as_levels:
        raise DataError(f"emtrends: `{name}` is a factor, and only a numeric predictor has a slope")
    step = _STEP * float(np.ptp(column.values))
    ends = [grid.table.assign(**{name: grid.table[name].astype(float) + side}) for side in (-step, step)]
    run = [as_numbers(schema.evaluator({name: Numeric(end[name].to_numpy())}).column(node)) for end in ends]
    if run[0] is None or run[1] is None or not (np.isfinite(run[1] - run[0]) & (run[1] != run[0])).all():
        raise DataError(f"emtrends: var={variable!r} has no finite, changing values around {grid.values[name]}")
    (L0, full0), (L1, full1) = (_rows(schema, end) for end in ends)
    width = (run[1] - run[0])[:, None]
    return replace(grid, L=(L1 - L0) / width, full=(full1 - full0) / width, offset=np.zeros(len(grid.table)))


def term_columns(schema: Schema) -> list[frozenset[str]]:
    """Find the columns of the table that each fixed term is made of."""
    terms = schema.fixed_terms
    columns = [frozenset(part.name for part in column_names(node)) for node in terms.variables]
    return [frozenset[str]().union(*(columns[v] for v in term)) for term in terms.terms]


def in_larger_term(schema: Schema, names: Sequence[str]) -> bool:
    """Whether a term has all these columns and others besides: means by them then hide an interaction."""
    return bool(names) and any(columns > set(names) for columns in term_columns(schema))


def averaging(grid: Grid, over: Sequence[str], weights: Weights = "equal") -> Averaging:
    """Find the weights of averages over all predictors but some.

    Parameters
    ----------
    grid : Grid
        Reference grid.
    over : sequence of str
        The predictors whose values are kept apart; the first varies fastest.
    weights : {"equal", "proportional", "outer", "cells"}
        Weights of the combinations that are averaged: equal; by the number of rows of each combination in the data as a
        whole; by the product of the numbers of rows of each level; or by the rows of each cell.
    """
    if weights not in get_args(Weights):
        raise ValueError(f"weights={weights!r} is unknown; use one of {', '.join(map(repr, get_args(Weights)))}")
    for name in over:
        if name not in grid.values:
            raise DataError(f"`{name}` is no predictor of the fixed part; {suggestion(name, grid.values)}")
    rest = [name for name in grid.values if name not in over]
    shape = [len(grid.values[name]) for name in reversed(grid.values)]  # the first predictor varies fastest
    axis = {name: k for k, name in enumerate(reversed(grid.values))}
    W = _weights(grid, weights, shape, [axis[name] for name in rest])
    order = [axis[name] for name in reversed(over)] + [axis[name] for name in rest]
    r = int(np.prod([len(grid.values[name]) for name in over]))
    cells = np.arange(len(grid.table)).reshape(shape).transpose(order).reshape(r, -1)
    w = W.ravel()[cells] if cells.shape[1] > 1 else np.ones(cells.shape)
    with np.errstate(invalid="ignore"):
        w = w / w.sum(axis=1, keepdims=True)  # NaN for an empty cell
    labels = grid.table[list(over)].iloc[cells[:, 0]].reset_index(drop=True)
    return Averaging(labels, cells, w, tuple(name for name in rest if len(grid.values[name]) > 1))


def averages(grid: Grid, over: Sequence[str], weights: Weights = "equal") -> Averages:
    """Average a grid over all predictors but some, as of :func:`averaging`; NaN where that cannot be estimated."""
    by = averaging(grid, over, weights)
    L, full = by.of(grid.L), by.of(grid.full)
    outside = np.abs(full @ grid.null).max(axis=1, initial=0.0) > 1e-6 * np.abs(full).max(axis=1, initial=0.0)
    L[outside] = np.nan
    return Averages(by.labels, L, by.of(grid.offset[:, None])[:, 0], by.averaged)


def _weights(grid: Grid, weights: Weights, shape: list[int], rest: list[int]) -> Floats:
    counts = grid.counts.reshape(shape)
    if weights == "equal":
        return np.ones(shape)
    if weights == "cells":
        return counts
    kept = tuple(k for k in range(len(shape)) if k not in rest)
    if weights == "proportional":
        return np.broadcast_to(counts.sum(axis=kept, keepdims=True), shape)
    out = np.ones(shape)
    for k in rest:
        out = out * counts.sum(axis=tuple(j for j in range(len(shape)) if j != k), keepdims=True)
    return out


def _columns(schema: Schema, data: Any) -> Iterator[tuple[str, tuple[Factor | Numeric, bool]]]:
    """The columns of the fixed part over the rows of the fit, and whether a factor is made of each."""
    table = open_table(data)
    terms = schema.fixed_terms
    used = {v for term in terms.terms for v in term}
    variables = [node for v, node in enumerate(terms.variables) if v in used]  # an offset is in no term
    levels = {
        part.name
        for node in variables
        for call in walk(node)
        if isinstance(call, Call) and call.function in _FUNCTIONS_OF_LEVELS
        for part in column_names(call)
    }
    seen: set[str] = set()
    for node in variables:
        for part in column_names(node):
            if part.name in table.names and part.name not in seen:
                seen.add(part.name)
                column = table.column(part.name)
                assert not isinstance(column, Basis)  # a table's own column
                yield part.name, (column.take(schema.rows), part.name in levels)


def _plain(column: Factor, levels: Sequence[str]) -> list[Any]:
    return [level == "TRUE" for level in levels] if column.logical else list(levels)


def _given(name: str, given: Any, levels: list[Any] | None) -> list[Any]:
    listed = [given] if isinstance(given, str) or not np.iterable(given) else list(given)
    if not listed:
        raise DataError(f"at: no value is given for `{name}`")
    if levels is not None:
        labels = listed if all(value in levels for value in listed) else _labels(name, listed)
        for value, label in zip(listed, labels, strict=True):
            if label not in levels:
                raise DataError(f"at: `{name}` has no level {value!r}; it has {', '.join(map(repr, levels))}")
        return labels
    try:
        numbers = [float(value) for value in listed]
    except (TypeError, ValueError):
        raise DataError(f"at: `{name}` is numeric; {listed} are not all numbers") from None
    if not np.isfinite(numbers).all():
        raise DataError(f"at: `{name}` is given values that are not finite: {numbers}")
    return numbers


def _labels(name: str, values: list[Any]) -> list[Any]:
    """Numbers and times as the levels that they are in a factor; as they came where they cannot be read so."""
    try:
        found = as_factor(open_table({name: values}).column(name))
    except DataError:
        return values
    return values if (found.codes < 0).any() else [found.levels[code] for code in found.codes]


def _as_data(table: pd.DataFrame) -> dict[str, Any]:
    """The grid as a table that gives the model's columns even where there is no predictor."""
    return {str(name): table[name].to_numpy() for name in table.columns} or {"": np.zeros(len(table))}


def _rows(schema: Schema, table: pd.DataFrame) -> tuple[Floats, Floats]:
    """Rows of the model matrix for a table of predictors: as fitted, (N, p), and full in treatment contrasts."""
    data = _as_data(table)
    return fixed_columns(schema, data), fixed_columns(replace(schema, fixed=treatment_encoding(schema)), data)


def _counts(
    design: Design, columns: Mapping[str, tuple[Factor | Numeric, bool]], discrete: set[str], table: pd.DataFrame
) -> Floats:
    """Numbers of rows in the cells of the discrete predictors."""
    data = {}
    for name in discrete:
        column = columns[name][0]
        if isinstance(column, Factor):
            found = as_factor(column)
            data[name] = np.array(_plain(column, found.levels), dtype=object)[found.codes]
        else:
            data[name] = column.values.astype(object)
    if not discrete:
        return np.full(len(table), float(design.n))
    keys = sorted(discrete)
    totals = pd.DataFrame(data).groupby(keys, observed=True).size()
    cells = pd.MultiIndex.from_frame(table[keys]) if len(keys) > 1 else pd.Index(table[keys[0]])
    return np.asarray(totals.reindex(cells).fillna(0.0), np.float64)


def _null_space(X: Floats) -> Floats:
    """Combinations of the columns of X that vanish, (P, k)."""
    missing = X.shape[1] - len(independent_columns(list(X.T)))
    if missing == 0:
        return np.empty((X.shape[1], 0))
    size = np.sqrt(np.einsum("ij,ij->j", X, X))
    scale = 1.0 / np.where(size > 0.0, size, 1.0)
    _, vectors = np.linalg.eigh((X.T @ X) * np.outer(scale, scale))
    null = scale[:, None] * vectors[:, :missing]
    return null / np.abs(null).max(axis=0)
