"""Terms -> columns of a model matrix, with R's coding, order and names.

A column is a product of parts, one for each variable of its term; that description, not the numbers, is frozen, so the
same columns can be built again from new data, and equal columns of X and Z are recognized and stored once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from mixedpy.design.columns import Basis, Column, Factor, Floats, Numeric
from mixedpy.design.contrasts import Coding, coding_of
from mixedpy.formula import Terms
from mixedpy.formula.syntax import Node

__all__ = ["ColumnKey", "ColumnPool", "Encoding", "Part", "Variable", "encode"]

_NUMBERS = ""
_DUMMY = "dummy"


class Part(NamedTuple):
    """One factor of a column: numbers (coding ``""``), a level's indicator (``"dummy"``) or a contrast."""

    variable: str
    coding: str
    column: int


ColumnKey: TypeAlias = tuple[Part, ...]
"""The parts of a column in sorted order; the empty key is the intercept."""


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A variable of the model, frozen so that new data are coded alike.

    Attributes
    ----------
    name : str
        As R prints it.
    node : Node
        The expression.
    levels : tuple of str or None
        Levels of a factor; None for numbers.
    coding : Coding or None
        Contrasts of a factor.
    endings : tuple of str or None
        Endings of the names of several columns that the expression makes; None for anything else.
    """

    name: str
    node: Node
    levels: tuple[str, ...] | None
    coding: Coding | None
    endings: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """The columns of a model matrix.

    Attributes
    ----------
    variables : tuple of Variable
        The variables that the columns use.
    keys : tuple of ColumnKey
        The columns.
    names : tuple of str
        R's names.
    assign : tuple of int
        Term of each column; 0 is the intercept, terms count from 1.
    """

    variables: tuple[Variable, ...]
    keys: tuple[ColumnKey, ...]
    names: tuple[str, ...]
    assign: tuple[int, ...]

    def keep(self, positions: list[int]) -> Encoding:
        """Keep some of the columns."""
        return Encoding(
            self.variables,
            tuple(self.keys[k] for k in positions),
            tuple(self.names[k] for k in positions),
            tuple(self.assign[k] for k in positions),
        )


def encode(terms: Terms, values: Mapping[str, Column], contrasts: Mapping[str, Any] | None = None) -> Encoding:
    """Lay out the columns of R's ``model.matrix``.

    Parameters
    ----------
    terms : Terms
        The expanded formula.
    values : mapping of str to Column
        The values of its variables.
    contrasts : mapping of str to contrasts, optional
        See :func:`mixedpy.design.contrasts.coding_of`.

    Returns
    -------
    Encoding
        Columns in R's order: term by term, within a term the first variable varying fastest.
    """
    contrasts = contrasts or {}
    used = sorted({v for term in terms.terms for v in term})
    variables: dict[int, Variable] = {}
    for v in used:
        name, column = terms.names[v], values[terms.names[v]]
        if isinstance(column, Factor):
            coding = coding_of(name, column, contrasts.get(name))
            variables[v] = Variable(name, terms.variables[v], column.levels, coding)
        else:
            endings = column.endings if isinstance(column, Basis) else None
            variables[v] = Variable(name, terms.variables[v], None, None, endings)
    full = _coded_in_full(terms, {v for v in used if variables[v].coding is not None})
    keys: list[ColumnKey] = [()] if terms.intercept else []
    names = ["(Intercept)"] if terms.intercept else []
    assign = [0] if terms.intercept else []
    for t, term in enumerate(terms.terms):
        choices = [_parts(variables[v], (t, v) in full) for v in term]
        # `product` varies its last argument fastest, R's model.matrix the first variable of the term.
        for parts in product(*reversed(choices)):
            keys.append(tuple(sorted(part for part, _ in parts)))
            names.append(":".join(text for _, text in reversed(parts)))
            assign.append(t + 1)
    return Encoding(tuple(variables.values()), tuple(keys), tuple(names), tuple(assign))


def _coded_in_full(terms: Terms, factors: set[int]) -> set[tuple[int, int]]:
    """Find the (term, factor) pairs that take a column for every level.

    R's rule: contrasts if the term without the factor is contained in an earlier term or is empty, otherwise all
    levels; without an intercept the first factor of the first term that has one takes all levels as well.
    (Chambers & Hastie 1992, Statistical Models in S, p. 38.)
    """
    sets = [frozenset(term) for term in terms.terms]
    full = set()
    for t, term in enumerate(terms.terms):
        for v in term:
            margin = sets[t] - {v}
            if v in factors and margin and not any(margin <= earlier for earlier in sets[:t]):
                full.add((t, v))
    if not terms.intercept:
        first = next(((t, v) for t, term in enumerate(terms.terms) for v in term if v in factors), None)
        if first is not None:
            full.add(first)
    return full


def _parts(variable: Variable, full: bool) -> list[tuple[Part, str]]:
    name, coding = variable.name, variable.coding
    if coding is None or variable.levels is None:
        endings = ("",) if variable.endings is None else variable.endings
        return [(Part(name, _NUMBERS, j), name + ending) for j, ending in enumerate(endings)]
    if full:
        return [(Part(name, _DUMMY, j), name + level) for j, level in enumerate(variable.levels)]
    if coding.name == "treatment":  # the indicators of all levels but the first, shared with the full coding
        return [(Part(name, _DUMMY, j + 1), name + level) for j, level in enumerate(coding.endings)]
    return [(Part(name, coding.name, j), name + ending) for j, ending in enumerate(coding.endings)]


class ColumnPool:
    """The distinct columns of X and Z, each computed once; the column of ones comes first.

    Parameters
    ----------
    n : int
        Number of rows.
    """

    def __init__(self, n: int) -> None:
        self.arrays: list[Floats] = [_frozen(np.ones(n))]
        self._position: dict[ColumnKey, int] = {(): 0}
        self._parts: dict[Part, Floats] = {}

    def positions(self, encoding: Encoding, values: Mapping[str, Column]) -> tuple[int, ...]:
        """Place the columns of an encoding in the pool.

        Parameters
        ----------
        encoding : Encoding
            The columns.
        values : mapping of str to Column
            Values of the encoding's variables.

        Returns
        -------
        tuple of int
            Their positions in ``arrays``.
        """
        codings = {v.name: v.coding for v in encoding.variables}
        return tuple(self._place(key, codings, values) for key in encoding.keys)

    def _place(self, key: ColumnKey, codings: Mapping[str, Coding | None], values: Mapping[str, Column]) -> int:
        position = self._position.get(key)
        if position is not None:
            return position
        array = self._part(key[0], codings, values)
        for part in key[1:]:
            array = array * self._part(part, codings, values)
        self._position[key] = len(self.arrays)
        self.arrays.append(_frozen(array))
        return self._position[key]

    def _part(self, part: Part, codings: Mapping[str, Coding | None], values: Mapping[str, Column]) -> Floats:
        array = self._parts.get(part)
        if array is None:
            array = _part_values(part, codings[part.variable], values[part.variable])
            self._parts[part] = array
        return array


def _part_values(part: Part, coding: Coding | None, column: Column) -> Floats:
    if isinstance(column, Numeric):
        return np.array(column.stored, dtype=np.float64)  # a copy: the caller may change the table later
    if isinstance(column, Basis):
        return np.ascontiguousarray(column.values[:, part.column])
    if part.coding == _DUMMY:
        indicator: Floats = (column.codes == part.column).astype(np.float64)
        return indicator
    assert coding is not None  # a factor always has contrasts
    values: Floats = coding.matrix[:, part.column].take(column.codes)
    return values


def _frozen(array: Floats) -> Floats:
    array.flags.writeable = False
    return array
