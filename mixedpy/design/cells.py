"""Other encodings of the fixed part: an indicator for every cell of every term, and treatment contrasts throughout."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from mixedpy.design.encode import ColumnKey, Encoding, Part, Variable
from mixedpy.design.schema import Schema
from mixedpy.formula import Terms

__all__ = ["cell_encoding", "contrast_coded", "treatment_encoding"]


def contrast_coded(terms: Terms) -> frozenset[tuple[int, int]]:
    """Find the (term, variable) pairs whose margin, the term without the variable, is empty or part of an earlier term.

    There R codes a factor by contrasts, elsewhere by an indicator for every level (Chambers & Hastie 1992,
    Statistical Models in S, p. 38); the rule extends to numeric variables.

    Examples
    --------
    >>> from mixedpy.formula import parse
    >>> sorted(contrast_coded(parse("y ~ a + a:b + (1 | g)").fixed_terms()))
    [(0, 0), (1, 1)]
    """
    sets = [frozenset(term) for term in terms.terms]
    return frozenset(
        (t, v)
        for t, term in enumerate(sets)
        for v in term
        if term == {v} or any(term - {v} <= earlier for earlier in sets[:t])
    )


def cell_encoding(schema: Schema) -> Encoding:
    """Encode an intercept, if the model has one, and for every term the products of indicators of all levels."""
    return _encoded(schema, full=lambda t, v: True)


def treatment_encoding(schema: Schema) -> Encoding:
    """Encode the fixed part as R does where every factor has treatment contrasts; columns may depend on one another."""
    terms = schema.fixed_terms
    by_contrasts = contrast_coded(terms)
    levels = {variable.name: variable.levels for variable in schema.fixed.variables}
    first = None
    if not terms.intercept:  # the first factor then stands for the intercept
        first = next(((t, v) for t, term in enumerate(terms.terms) for v in term if levels[terms.names[v]]), None)
    return _encoded(schema, full=lambda t, v: (t, v) not in by_contrasts or (t, v) == first)


def _encoded(schema: Schema, full: Callable[[int, int], bool]) -> Encoding:
    terms = schema.fixed_terms
    variables = {variable.name: variable for variable in schema.fixed.variables}
    keys: list[ColumnKey] = [()] if terms.intercept else []
    names = ["(Intercept)"] if terms.intercept else []
    assign = [0] if terms.intercept else []
    for t, term in enumerate(terms.terms):
        choices = [_parts(variables[terms.names[v]], full(t, v)) for v in term]
        for parts in product(*reversed(choices)):  # the first variable of the term varies fastest
            keys.append(tuple(sorted(part for part, _ in parts)))
            names.append(":".join(text for _, text in reversed(parts)))
            assign.append(t + 1)
    return Encoding(schema.fixed.variables, tuple(keys), tuple(names), tuple(assign))


def _parts(variable: Variable, full: bool) -> list[tuple[Part, str]]:
    if variable.levels is None:
        endings = ("",) if variable.endings is None else variable.endings
        return [(Part(variable.name, "", j), variable.name + ending) for j, ending in enumerate(endings)]
    levels = [(Part(variable.name, "dummy", j), variable.name + level) for j, level in enumerate(variable.levels)]
    return levels if full else levels[1:]
