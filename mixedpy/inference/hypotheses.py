"""The hypotheses of type I, II and III about the fixed terms, whatever contrasts the model was fitted with.

They are those of SAS as lmerTest 3.1 builds them (Kuznetsova, Brockhoff & Christensen 2017, J. Stat. Softw. 82(13)): a
hypothesis is a matrix L in the coefficients of the fit, made from cross-products of model matrices without weights.

Type I comes from the triangular factor of X'X with the columns in their order: each term given those before it. Type II
comes from the same factor with the columns of a term behind all others, and those of the terms that contain it behind
its own. Type III starts from the coefficients of all cells' indicators as functions of treatment contrasts, and makes
the rows of a term orthogonal to those of the terms that contain it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.rank import independent_columns
from mixedpy.design import Schema, fixed_columns
from mixedpy.design.cells import cell_encoding, contrast_coded, treatment_encoding
from mixedpy.design.encode import Encoding
from mixedpy.errors import DataError, RankDeficiencyWarning, warn

__all__ = ["Hypotheses", "containing", "deletions", "droppable", "marginal", "model_columns", "type1", "type2", "type3"]

Hypotheses = dict[str, Floats]
"""By term: a matrix L, one row for each degree of freedom; no rows where the term has no coefficient left."""

_NOISE = 1e-9
"""Entries below this, beside the largest of their matrix, are rounding error."""

_NO_ROW = 1e-8


@dataclass(frozen=True, slots=True)
class _Matrix:
    """A model matrix and the layout of its columns."""

    X: Floats
    encoding: Encoding

    def of_term(self, t: int) -> list[int]:
        """Columns of a term; 0 is the intercept."""
        return [k for k, term in enumerate(self.encoding.assign) if term == t]


def model_columns(schema: Schema, design: Design, data: Any, encoding: Encoding) -> Floats:
    """Build the columns of an encoding for the rows of the fit, (n, columns), from the table that was fitted.

    Raises
    ------
    DataError
        If the table no longer gives the columns of the fit.
    """
    if not np.array_equal(fixed_columns(schema, data)[schema.rows], design.X):
        raise DataError(
            "the table has been changed since the model was fitted to it; fit again, or restore the columns "
            + ", ".join(f"`{variable.name}`" for variable in schema.fixed.variables)
        )
    return fixed_columns(replace(schema, fixed=encoding), data)[schema.rows]


def containing(schema: Schema) -> list[list[int]]:
    """Find for every term the terms that contain it: more variables, and the same numeric ones."""
    terms = schema.fixed_terms
    counted = contrast_coded(terms)
    # as in R, an expression of several columns, such as a spline, does not count as numeric
    numeric = {v.name for v in schema.fixed.variables if v.levels is None and v.endings is None}
    variables = [{v for v in term if (t, v) in counted} for t, term in enumerate(terms.terms)]
    numbers = [{v for v in term if terms.names[v] in numeric} for term in variables]
    return [
        [s for s in range(len(variables)) if variables[t] < variables[s] and numbers[t] == numbers[s]]
        for t in range(len(variables))
    ]


def droppable(schema: Schema) -> list[int]:
    """Find the terms that are part of no other term, so that they may be dropped on their own."""
    sets = [frozenset(term) for term in schema.fixed_terms.terms]
    return [t for t, term in enumerate(sets) if not any(term < other for other in sets)]


def marginal(schema: Schema, design: Design) -> Hypotheses:
    """Test the coefficients of each term as they are, all others in the model."""
    if _trivial(schema):
        return type1(schema, design)
    I, assign = np.eye(len(schema.assign)), np.array(schema.assign)
    return {label: I[assign == t + 1] for t, label in enumerate(schema.term_labels)}


def deletions(schema: Schema, design: Design, data: Any, terms: Sequence[int]) -> Hypotheses:
    """Test what each term adds to the space of the columns of all others, where X lacks columns that depend on others.

    Without the term a column that was left out may be needed again, so that the coefficients of the term alone do not
    say what is lost. X beta lies in the space X0 of the other terms where (X - P0 X) beta = 0.
    """
    treatment = treatment_encoding(schema)
    X0 = model_columns(schema, design, data, treatment)
    assign = np.array(treatment.assign)
    found = {}
    for t in terms:
        lost = design.X - _projected(X0[:, assign != t + 1], design.X)
        rows = design.X.T @ lost[:, np.abs(lost).sum(axis=0) > _NO_ROW]
        rows = rows[:, independent_columns(list(rows.T))] if rows.size else rows
        found[schema.term_labels[t]] = np.linalg.qr(rows)[0].T if rows.size else np.empty((0, design.p))
    return found


def type1(schema: Schema, design: Design) -> Hypotheses:
    """Test each term given those before it."""
    L = _lower_factor(design.X).T if schema.assign else np.empty((0, 0))
    assign = np.array(schema.assign)
    return {label: L[assign == t + 1] for t, label in enumerate(schema.term_labels)}


def type2(schema: Schema, design: Design) -> Hypotheses:
    """Test each term given all terms that do not contain it."""
    if _trivial(schema):
        return type1(schema, design)
    X, assign = design.X, np.array(schema.assign)
    found = marginal(schema, design)
    for t, inside in enumerate(containing(schema)):
        if inside:
            own, outer = assign == t + 1, np.isin(assign, [s + 1 for s in inside])
            order = np.concatenate([np.flatnonzero(~own & ~outer), np.flatnonzero(own), np.flatnonzero(outer)])
            L = np.zeros((len(order), len(order)))
            L[np.ix_(order, order)] = _lower_factor(X[:, order]).T
            found[schema.term_labels[t]] = L[own]
    return found


def type3(schema: Schema, design: Design, data: Any) -> Hypotheses:
    """Test each term at equal weights of the cells.

    Parameters
    ----------
    schema, design
        The fitted model.
    data
        The table that was fitted.

    Warns
    -----
    RankDeficiencyWarning
        If cells are empty; the hypotheses then depend on which.
    """
    if _trivial(schema):
        return type1(schema, design)
    plain = all(v.coding is None or v.coding.name == "treatment" for v in schema.fixed.variables)
    plain = plain and any(v.coding is not None for v in schema.fixed.variables)
    treatment = _Matrix(design.X, schema.fixed) if plain else _independent(schema, design, data)
    cells = _Matrix(model_columns(schema, design, data, cell_encoding(schema)), cell_encoding(schema))
    _warn_of_empty_cells(cells)
    L = _cleaned(_projection(treatment.X, cells.X).T)  # cells in treatment contrasts
    inside = containing(schema)
    orders = [len(term) for term in schema.fixed_terms.terms]
    for t in sorted(range(len(orders)), key=lambda t: -orders[t]):
        own = treatment.of_term(t + 1)
        if inside[t] and own:
            outer = [k for s in inside[t] for k in treatment.of_term(s + 1)]
            L[:, own] = _cleaned(L[:, own] - _projected(L[:, outer], L[:, own]))
    positions = {key: k for k, key in enumerate(cells.encoding.keys)}
    L = L[[positions[key] for key in treatment.encoding.keys]]
    to_fit = None if plain else _cleaned(_projection(treatment.X, design.X))
    found = {}
    for t, label in enumerate(schema.term_labels):
        rows = L[:, treatment.of_term(t + 1)].T
        rows = rows[np.abs(rows).sum(axis=1) > _NO_ROW]
        found[label] = rows if to_fit is None else rows @ to_fit
    return found


def _trivial(schema: Schema) -> bool:
    """One column or one term: all types agree."""
    return len(schema.assign) <= 1 or len(schema.term_labels) <= 1


def _independent(schema: Schema, design: Design, data: Any) -> _Matrix:
    """The model matrix in treatment contrasts, of full rank."""
    encoding = treatment_encoding(schema)
    X = model_columns(schema, design, data, encoding)
    kept = independent_columns(list(X.T)).tolist()
    return _Matrix(X[:, kept], encoding.keep(kept))


def _warn_of_empty_cells(cells: _Matrix) -> None:
    sizes = np.abs(cells.X).sum(axis=0)
    empty = [name for name, size in zip(cells.encoding.names, sizes, strict=True) if size == 0.0]
    if empty:
        message = f"no rows in the cells {', '.join(empty)}: hypotheses of type III depend on which cells are empty"
        warn(RankDeficiencyWarning(message))


def _lower_factor(X: Floats) -> Floats:
    """Unit lower triangular factor of X'X, small entries of its correlation form set to zero."""
    size = np.sqrt(np.einsum("ij,ij->j", X, X))
    C = np.linalg.cholesky((X.T @ X) / np.outer(size, size))
    C[np.abs(C) < _NOISE] = 0.0
    return size[:, None] * C / (size * np.diag(C))


def _projection(X: Floats, Y: Floats) -> Floats:
    """Coefficients of the columns of Y on those of X, which are of full rank."""
    size = np.sqrt(np.einsum("ij,ij->j", X, X))
    gram = (X.T @ X) / np.outer(size, size)
    out: Floats = np.linalg.solve(gram, (X.T @ Y) / size[:, None]) / size[:, None]
    return out


def _projected(X: Floats, Y: Floats) -> Floats:
    """Y projected on the columns of X, of any rank."""
    kept = independent_columns(list(X.T))
    Q = np.linalg.qr(X[:, kept])[0]
    out: Floats = Q @ (Q.T @ Y)
    return out


def _cleaned(x: Floats) -> Floats:
    """Set to zero what is rounding error beside the largest entry."""
    return np.where(np.abs(x) < _NOISE * np.abs(x).max(initial=0.0), 0.0, x)
