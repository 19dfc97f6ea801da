"""Formula x table -> design (arrays for the numeric core) and schema (names, levels, codings)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixedpy.core.arrays import Design
from mixedpy.core.frozen import read_only
from mixedpy.core.rank import independent_columns
from mixedpy.design.columns import Basis, Column, Factor, Floats, Numeric, as_numbers
from mixedpy.design.encode import ColumnPool, Encoding, encode
from mixedpy.design.evaluate import CONSTANTS, Evaluator, UserFunction
from mixedpy.design.frame import (
    Frame,
    NaAction,
    Table,
    check_finite,
    check_levels_known,
    open_table,
    read_frame,
    suggestion,
)
from mixedpy.design.random import build_random
from mixedpy.design.schema import Schema
from mixedpy.design.stamps import Stamps, no_predictor
from mixedpy.errors import DataError, FormulaError, RankDeficiencyWarning, warn
from mixedpy.formula import Formula, Terms, deparse, one_sided, parse
from mixedpy.formula.expressions import column_names
from mixedpy.formula.syntax import Node

__all__ = ["Built", "build"]

_WEIGHTS = "(weights)"
_OFFSET = "(offset)"


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A design and its schema.

    Attributes
    ----------
    design : Design
        Arrays for the numeric core.
    schema : Schema
        Names, levels, codings and rows.
    zeros : (n, k) array or None
        Columns of the zeros' formula.
    """

    design: Design
    schema: Schema
    zeros: Floats | None = None


def build(
    formula: Formula | str,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    covariances: Mapping[str, str] | None = None,
    na_action: NaAction = "drop",
    functions: Mapping[str, UserFunction] | None = None,
    counts: bool = False,
    residual: bool = True,
    zeros: str | None = None,
) -> Built:
    """Apply a formula to a table.

    Parameters
    ----------
    formula : Formula or str
        The model.
    data : DataFrame, Table or mapping
        A pandas or polars DataFrame, a pyarrow Table or a dict of columns; it is not changed, and only columns that are
        named are read.
    weights : str or (n_total,) array-like, optional
        Prior weights, positive: a column's name or an array.
    offset : str or (n_total,) array-like, optional
        Known part of the linear predictor; it adds to ``offset()`` terms of the formula. A Series of either is aligned
        with the table by its row labels.
    contrasts : mapping of str to str or matrix, optional
        Contrasts of factors in X: ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"``, ``"sdif"`` or a matrix. As in
        lme4, factors in random terms keep the default.
    covariances : mapping of str to str, optional
        Covariance structure by grouping factor, for bars that name none: ``"us"``, ``"diag"``, ``"cs"``, ``"ar1"``,
        or ``"homdiag"``, ``"homcs"``, ``"hetar1"``.
    na_action : {"drop", "raise", "exclude"}
        What to do with rows that have missing values.
    functions : mapping of str to callable, optional
        Functions that the formula may call beside the closed list.
    counts : bool
        Whether the response may be ``cbind(successes, failures)``: then y is the share of successes, and the number of
        trials multiplies the weights. A factor of two levels or a boolean is then 1 at its second level, 0 at the
        first.
    residual : bool
        Whether rows have a residual variance, as they do in a linear model; otherwise a grouping factor may have a
        level for every row.
    zeros : str, optional
        One-sided formula of fixed terms for the zeros of a count, ``"~ x"``.

    Returns
    -------
    Built
        Design and schema.

    Raises
    ------
    FormulaError
        If the formula cannot be read.
    DataError
        If the table does not fit the formula; the message names the column.

    Warns
    -----
    RankDeficiencyWarning
        If columns of X depend linearly on columns to their left; they are dropped.

    Examples
    --------
    >>> data = {"y": [1.0, 3, 2, 5, 4, 6], "x": [0.0, 1, 2, 0, 1, 2], "g": list("uuvvuv")}
    >>> built = build("y ~ x + (1 | g)", data)
    >>> built.schema.fixed_names, built.schema.terms[0].effects, built.schema.terms[0].levels
    (('(Intercept)', 'x'), ('(Intercept)',), ('u', 'v'))
    >>> built.design.terms[0].codes
    array([0, 0, 1, 1, 0, 1])
    """
    functions = dict(functions or {})
    formula = parse(formula, functions) if isinstance(formula, str) else formula
    if formula.counts is not None and not counts:
        message = "cbind(successes, failures) is the response of a binomial model (glmer), not of a linear one"
        raise FormulaError(message, formula.source, formula.response.start, formula.response.stop)
    table = open_table(data)
    terms = _fixed_terms(formula, table)
    zero_terms = None if zeros is None else one_sided(zeros, functions)
    if zero_terms is not None and not zero_terms.terms and not zero_terms.intercept:
        message = (
            f"the formula of the zeros, {zeros!r}, has no terms; use '~ 1' for one share of zeros, or leave it out"
        )
        raise FormulaError(message)
    wanted = _column_names([*_variables(formula, terms), *(zero_terms.variables if zero_terms else ())], table)
    arrays = {name: given for name, given in ((_WEIGHTS, weights), (_OFFSET, offset)) if _is_array(given)}
    named = [given for given in (weights, offset) if isinstance(given, str)]
    frame = read_frame(table, [*wanted, *named], arrays, na_action=na_action)

    evaluator = Evaluator(frame.columns, source=formula.source, functions=functions, whole=frame.whole)
    given_weights = _weights(weights, frame)
    if formula.counts is None:
        y = _response(formula, frame, evaluator, binary=counts)
    else:
        y, trials = _counts(formula, frame, evaluator)
        given_weights = trials if given_weights is None else _copied(trials * given_weights)
    parts = (terms, *(bar.effects for bar in formula.bars), *((zero_terms,) if zero_terms else ()))
    values = _values(parts, frame, evaluator)
    _check_contrasts(contrasts or {}, terms, values)
    pool = ColumnPool(frame.n)
    encoding = encode(terms, values, contrasts)
    fixed = pool.positions(encoding, values)
    kept = independent_columns([pool.arrays[k] for k in fixed]).tolist()
    dropped = tuple(encoding.names[k] for k in sorted(set(range(len(fixed))) - set(kept)))
    random = build_random(formula.bars, evaluator, values, pool, frame, covariances, residual=residual)
    if len(kept) >= frame.n:
        raise DataError(f"{frame.n} rows cannot determine {len(kept)} fixed effects; use fewer terms or more data")
    if dropped:
        encoding = encoding.keep(kept)
        _warn_dropped("X", dropped)

    zero_encoding, zero_columns = None, None
    if zero_terms is not None:
        zero_encoding, zero_columns = _zeros(encode(zero_terms, values, contrasts), values, pool)

    design = Design(
        y=y,
        columns=tuple(pool.arrays),
        fixed=tuple(fixed[k] for k in kept),
        terms=random.terms,
        weights=given_weights,
        offset=_offset(offset, terms, frame, evaluator),
    )
    index = table.index(frame.n_total)
    schema = Schema(
        formula=formula,
        response=deparse(formula.response),
        fixed_names=encoding.names,
        dropped=dropped,
        assign=encoding.assign,
        term_labels=terms.labels,
        fixed_terms=terms,
        fixed=encoding,
        terms=random.schemas,
        offsets=terms.offsets,
        index=index if frame.rows is None else index[frame.rows],
        table_index=index,
        rows=read_only(np.arange(frame.n) if frame.rows is None else frame.rows),
        n_total=frame.n_total,
        missing=tuple(frame.missing.items()),
        data_name=_data_name(data),
        weights_name=weights if isinstance(weights, str) else None,
        offset_name=offset if isinstance(offset, str) else None,
        na_action=na_action,
        states=evaluator.states,
        functions=functions,
        zeros=zero_encoding,
    )
    return Built(_without_unused(design) if dropped or zeros is not None else design, schema, zero_columns)


def _data_name(data: Any) -> str | None:
    name = getattr(data, "attrs", {}).get("name")
    return name if isinstance(name, str) else None


def _is_array(given: Any) -> bool:
    return given is not None and not isinstance(given, str)


def _fixed_terms(formula: Formula, table: Table) -> Terms:
    if not formula.has_dot:
        return formula.fixed_terms()
    response = {name.name for name in column_names(formula.response)}
    return formula.fixed_terms([name for name in table.names if name not in response])


def _column_names(nodes: Iterable[Node], table: Table) -> Iterator[str]:
    for node in nodes:
        for name in column_names(node):
            if name.name in table.names or name.name not in CONSTANTS:
                yield name.name


def _variables(formula: Formula, terms: Terms) -> Iterator[Node]:
    yield formula.response
    yield from terms.variables
    for bar in formula.bars:
        yield from bar.effects.variables
        yield from bar.group


def _response(formula: Formula, frame: Frame, evaluator: Evaluator, *, binary: bool) -> Floats:
    name = deparse(formula.response)
    column = evaluator.column(formula.response)
    if binary and isinstance(column, Factor) and len(column.levels) == 2:
        return _copied(column.codes.astype(np.float64))
    values = as_numbers(column)
    if values is None:
        kind = "made of several columns"
        if isinstance(column, Factor):
            kind = "boolean" if column.logical else f"a factor with {len(column.levels)} levels"
        if isinstance(column, Stamps):
            kind = f"of the type {column.type}"
        wanted = "give numbers or two levels" if binary else "convert it to numbers"
        raise DataError(f"the response `{name}` is {kind}, not numeric; {wanted}")
    check_finite(name, values, frame)
    return _copied(values)


def _counts(formula: Formula, frame: Frame, evaluator: Evaluator) -> tuple[Floats, Floats]:
    """The share of successes and the number of trials of ``cbind(successes, failures)``."""
    response, parts = formula.response, formula.counts
    assert parts is not None
    found: list[Floats] = []
    for node in parts:
        name = deparse(node)
        values = as_numbers(evaluator.column(node))
        if values is None:
            raise DataError(f"`{name}` of the response counts, so it must be numeric; convert it to numbers")
        check_finite(name, values, frame)
        bad = np.flatnonzero(values < 0)
        if len(bad):
            first = frame.row(int(bad[0]))
            raise DataError(
                f"`{name}` of the response is negative in {len(bad)} of {frame.n_total} rows, first in row {first} "
                "(counting from 0); give counts"
            )
        found.append(values)
    trials = found[0] + found[1]
    empty = np.flatnonzero(trials == 0)
    if len(empty):
        first = frame.row(int(empty[0]))
        raise DataError(
            f"`{deparse(response)}` counts no trial in {len(empty)} of {frame.n_total} rows, first in row {first} "
            "(counting from 0); leave these rows out"
        )
    return _copied(found[0] / trials), _copied(trials)


def _values(parts: Iterable[Terms], frame: Frame, evaluator: Evaluator) -> dict[str, Column]:
    """Evaluate the variables of the fixed part, of the bars' left sides and of the zeros' formula, each once."""
    values: dict[str, Column] = {}
    for part in parts:
        used = {v for term in part.terms for v in term}
        for v in used:
            name = part.names[v]
            if name in values:
                continue
            values[name] = column = evaluator.column(part.variables[v])
            if isinstance(column, Numeric) and column.stored.dtype.kind == "f":
                check_finite(name, column.values, frame)
            elif isinstance(column, Basis):
                check_finite(name, column.values.sum(axis=1), frame)
            elif isinstance(column, Factor):
                if isinstance(column, Stamps):
                    raise no_predictor(name, column)
                check_levels_known(name, column, frame)
    return values


def _check_contrasts(contrasts: Mapping[str, Any], terms: Terms, values: Mapping[str, Column]) -> None:
    used = [terms.names[v] for v in range(len(terms.names)) if any(v in term for term in terms.terms)]
    factors = [name for name in used if isinstance(values[name], Factor)]
    for name in contrasts:
        if name not in factors:
            raise DataError(
                f"contrasts names `{name}`, which is no factor of the fixed part; {suggestion(name, factors)}"
            )


def _weights(given: Any, frame: Frame) -> Floats | None:
    if given is None:
        return None
    name, values = _numbers(given, _WEIGHTS, "weights", frame)
    if values.min() <= 0:
        bad = np.flatnonzero(values <= 0)
        first = frame.row(int(bad[0]))
        raise DataError(
            f"{name} must be positive, but {len(bad)} of {frame.n_total} are not, first in row {first} (counting from "
            "0); leave out rows of weight zero"
        )
    return _copied(values)


def _offset(given: Any, terms: Terms, frame: Frame, evaluator: Evaluator) -> Floats | None:
    total: Floats | None = None
    if given is not None:
        total = _copied(_numbers(given, _OFFSET, "offset", frame)[1])
    for node in terms.offsets:
        name = f"offset({deparse(node)})"
        values = as_numbers(evaluator.column(node))
        if values is None:
            raise DataError(f"`{name}` is not numeric; give numbers")
        check_finite(name, values, frame)
        total = _copied(values if total is None else total + values)
    return total


def _numbers(given: Any, key: str, what: str, frame: Frame) -> tuple[str, Floats]:
    name = f"the {what} column `{given}`" if isinstance(given, str) else what
    column = frame.columns[given if isinstance(given, str) else key]
    if not isinstance(column, Numeric):
        raise DataError(f"{name} is not numeric; give numbers")
    check_finite(given if isinstance(given, str) else what, column.values, frame)
    return name, column.values


def _copied(values: Floats) -> Floats:
    copy = np.array(values, dtype=np.float64)
    copy.flags.writeable = False
    return copy


def _zeros(encoding: Encoding, values: Mapping[str, Column], pool: ColumnPool) -> tuple[Encoding, Floats]:
    """The columns of the zeros' formula, without those that depend linearly on columns before them."""
    columns = [pool.arrays[k] for k in pool.positions(encoding, values)]
    kept = independent_columns(columns).tolist()
    if not kept:
        raise DataError(f"the columns of the zeros' formula ({', '.join(encoding.names)}) are all zero")
    if len(kept) < len(columns):
        _warn_dropped("the formula of the zeros", tuple(n for k, n in enumerate(encoding.names) if k not in kept))
        encoding = encoding.keep(kept)
    return encoding, np.stack([columns[k] for k in kept], axis=1)


def _warn_dropped(what: str, dropped: tuple[str, ...]) -> None:
    warn(
        RankDeficiencyWarning(
            f"{what} is rank deficient: columns that depend linearly on columns before them were dropped "
            f"({len(dropped)}): {', '.join(dropped)}"
        )
    )


def _without_unused(design: Design) -> Design:
    """Take columns out of the pool that neither X nor Z uses any more."""
    used = sorted({0, *design.fixed, *(c for term in design.terms for c in term.columns)})
    position = {old: new for new, old in enumerate(used)}
    return replace(
        design,
        columns=tuple(design.columns[k] for k in used),
        fixed=tuple(position[k] for k in design.fixed),
        terms=tuple(replace(t, columns=tuple(position[k] for k in t.columns)) for t in design.terms),
    )
