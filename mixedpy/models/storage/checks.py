"""What must hold between the parts of a fit that was read from a file.

Annotations say of what type each part is; this says that the parts belong together, so that no later computation meets
a position outside its array or two lengths that differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

import numpy as np

from mixedpy.core.arrays import Design
from mixedpy.core.family import Hurdle, ZeroInflated
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema, TermSchema
from mixedpy.design.bases import BasisState
from mixedpy.design.encode import Encoding, Part, Variable
from mixedpy.formula import deparse
from mixedpy.models.generalized.fitting import MOST_NODES
from mixedpy.models.storage.codec import Unreadable

__all__ = ["check_fit"]

_LARGEST = 1e150
_WIDEST = 600.0
"""Logarithm of a dispersion beyond which it, or its inverse, is no number."""

_MOST_COLUMNS = 10_000
"""Of a basis; more are not read, since a file could ask for endless work."""


def check_fit(design: Design, schema: Schema, record: FitRecord | GlmmRecord) -> None:
    """Check sizes, positions and signs of a fit.

    Raises
    ------
    Unreadable
        Naming the first thing that does not hold.
    """
    _check_design(design)
    _check_schema(design, schema)
    _check_estimates(design, record)
    if isinstance(record, GlmmRecord):
        _check_general(design, schema, record)
    else:
        _check_linear(design, schema, record)


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise Unreadable(f"it does not hold that {what}")


def _inside(positions: Iterable[int], n: int) -> bool:
    return all(0 <= k < n for k in positions)


def _check_design(design: Design) -> None:
    n = design.y.shape[0] if design.y.ndim == 1 else 0
    _demand(n > 0, "the response is one column")
    rows = [design.y, *design.columns, *(a for a in (design.weights, design.offset) if a is not None)]
    _demand(all(a.shape == (n,) and bool(np.isfinite(a).all()) for a in rows), f"every column has {n} finite values")
    _demand(design.weights is None or bool((design.weights > 0).all()), "the prior weights are positive")
    _demand(bool(design.columns) and bool((design.columns[0] == 1).all()), "the first column is of ones")
    _demand(_inside(design.fixed, len(design.columns)), "the fixed effects have columns")
    for term in design.terms:
        _demand(_inside(term.columns, len(design.columns)) and term.m > 0, "the random effects have columns")
        _demand(term.template.m == term.m, "a covariance template is as large as its term")
        codes = term.codes
        _demand(codes.shape == (n,) and codes.min() >= 0 and codes.max() < term.n_levels <= n, "every row has a level")


def _check_schema(design: Design, schema: Schema) -> None:
    p, n = design.p, design.n
    _demand(len(schema.fixed_names) == len(schema.assign) == len(schema.fixed.keys) == p, "fixed effects have names")
    _demand(_inside(schema.assign, len(schema.term_labels) + 1), "every fixed effect has a term")
    _check_encoding(schema.fixed)
    fixed = schema.fixed_terms
    known = len(fixed.names) == len(fixed.variables)
    _demand(known and all(_inside(term, len(fixed.names)) for term in fixed.terms), "fixed terms have variables")
    _demand(len(schema.terms) == len(design.terms), "every random term has names")
    for names, term in zip(schema.terms, design.terms, strict=True):
        _check_term(names, term.m, term.n_levels)
        alike = names.template == term.template.name and names.hom == getattr(term.template, "hom", False)
        _demand(alike, "a random term has the covariance structure it names")
    _check_bases(schema)
    _demand(len(schema.index) == n and schema.rows.shape == (n,), "every row has a label")
    _demand(len(schema.table_index) == schema.n_total, "every row of the table has a label")
    ascending = bool((np.diff(schema.rows) > 0).all())
    _demand(ascending and _inside((int(schema.rows[0]), int(schema.rows[-1])), schema.n_total), "the rows are in order")


def _check_bases(schema: Schema) -> None:
    """Evaluate every basis at one point: it must give as many columns as its variable has names."""
    encodings = [schema.fixed, *([] if schema.zeros is None else [schema.zeros]), *(t.encoding for t in schema.terms)]
    widths = {deparse(v.node): len(v.endings) for e in encodings for v in e.variables if v.endings is not None}
    for name, state in schema.states.items():
        sizes = [k for k in _whole_numbers(state) if k > _MOST_COLUMNS]
        _demand(not sizes, f"the basis {name} is of a size that data give")
        values = state.columns(np.zeros(1))
        _demand(values.shape == (1, widths.get(name, values.shape[1])), f"the basis {name} has its columns")


def _whole_numbers(state: BasisState) -> list[int]:
    parts = [getattr(state, f.name) for f in fields(state)]  # type: ignore[arg-type]
    found = [value for part in parts for value in (part.values() if isinstance(part, Mapping) else [part])]
    return [value for value in found if isinstance(value, int)]


def _check_term(names: TermSchema, m: int, n_levels: int) -> None:
    _demand(len(names.effects) == len(names.encoding.keys) == m, "every random effect has a name")
    _demand(len(names.levels) == n_levels == len(set(names.levels)), "every level has a name of its own")
    _demand(len(names.grouping) > 0, "every random term has a grouping factor")
    _check_encoding(names.encoding)


def _check_encoding(encoding: Encoding) -> None:
    _demand(len(encoding.keys) == len(encoding.names) == len(encoding.assign), "every column of a matrix has a name")
    variables = {variable.name: variable for variable in encoding.variables}
    for variable in variables.values():
        if variable.coding is not None:
            levels, width = len(variable.levels or ()), len(variable.coding.endings)
            _demand(variable.coding.matrix.shape == (levels, width), f"the contrasts of {variable.name} fit its levels")
    parts = {part for key in encoding.keys for part in key}
    _demand(
        all(p.variable in variables and p.column < _width(p, variables[p.variable]) for p in parts), "columns exist"
    )
    _demand(all(part.column >= 0 for part in parts), "columns count from 0")


def _width(part: Part, variable: Variable) -> int:
    """Number of columns that a coding of a variable has."""
    if variable.levels is None:
        return 0 if part.coding != "" else 1 if variable.endings is None else len(variable.endings)
    if part.coding == "dummy":
        return len(variable.levels)
    return len(variable.coding.endings) if variable.coding is not None and part.coding == variable.coding.name else 0


def _check_estimates(design: Design, record: FitRecord | GlmmRecord) -> None:
    sizes = [term.template.size for term in design.terms]
    _demand(record.n == design.n, "the estimates are of as many rows")
    _demand(record.theta.shape == (sum(sizes),), "theta has its length")
    _demand(record.beta.shape == (design.p,), "the fixed effects have estimates")
    _demand(len(record.Lambda) == len(record.modes) == len(design.terms), "every random term has estimates")
    for term, Lambda, modes in zip(design.terms, record.Lambda, record.modes, strict=True):
        _demand(Lambda.shape == (term.m, term.m) and modes.shape == (term.n_levels, term.m), "random effects fit")


def _check_linear(design: Design, schema: Schema, record: FitRecord) -> None:
    _demand(schema.zeros is None, "a linear fit has no zeros of its own")
    _demand(record.convergence.start.shape == record.theta.shape, "the start has its length")
    _demand(record.unscaled_vcov.shape == (design.p, design.p), "the fixed effects have a covariance matrix")
    _demand(0 < record.sigma < _LARGEST, "sigma is positive, and its square a number")


def _check_general(design: Design, schema: Schema, record: GlmmRecord) -> None:
    family, p, s = record.family, design.p, len(record.alpha)
    columns = record.auxiliary
    _demand(len(columns) == len(family.auxiliary), "every predictor of the family has its columns")
    _demand(all(c is None or (c.ndim == 2 and len(c) == design.n) for c in columns), "these have the rows of the table")
    _demand(all(c is None or bool(np.isfinite(c).all()) for c in columns), "these are finite")
    widths = [1 if c is None else c.shape[1] for c in columns]
    _demand(record.alpha.shape == (sum(widths),), "the family's own predictors have coefficients")
    if schema.zeros is None:
        _demand(all(c is None for c in columns), "columns of zeros have names")
    else:
        _demand(isinstance(family, ZeroInflated | Hurdle), "the zeros have a distribution")
        _check_encoding(schema.zeros)
        _demand(len(schema.zeros.names) == widths[-1], "columns of zeros have names")
        constant = schema.zeros.names == ("(Intercept)",)
        _demand((columns[-1] is None) == constant, "only a constant has no columns")
    m = np.ones(1) if design.weights is None else design.weights
    _demand(family.check(design.y, m) is None, "the response is one of the family")
    _demand(0 <= record.nagq <= MOST_NODES, "the number of nodes is in its range")
    _demand(not record.expected or family.has_expected, "the family has expected weights")
    _demand(record.vcov.shape == (p + s, p + s), "the coefficients have a covariance matrix")
    _demand(record.convergence.start.shape == (len(record.theta) + p + s,), "the start has its length")
    _demand(len(record.condvar) == len(design.terms), "every random term has conditional covariances")
    for term, condvar in zip(design.terms, record.condvar, strict=True):
        _demand(condvar.shape == (term.n_levels, term.m, term.m), "conditional covariances fit")
    values = (record.theta, record.beta, record.alpha, *record.modes, *record.Lambda)
    _demand(all(bool((np.abs(v) < _LARGEST).all()) for v in values), "the estimates are numbers")
    _demand(not family.has_scale or abs(float(record.alpha[0])) < _WIDEST, "the dispersion is a number")
