"""Values of the expressions in a formula, computed from a closed list of functions; text is never run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from mixedpy.design.bases import BASES, BasisError, BasisState, Option, fit_basis
from mixedpy.design.columns import (
    Basis,
    Column,
    Contrast,
    Factor,
    Floats,
    Numeric,
    as_factor,
    crossed,
    n_rows,
    used_levels,
)
from mixedpy.design.operators import Value, apply_binary, as_number, as_truth, column_of_numbers
from mixedpy.design.reader import read_column
from mixedpy.design.stamps import without_type
from mixedpy.errors import DataError, FormulaError
from mixedpy.formula import deparse
from mixedpy.formula.functions import arguments
from mixedpy.formula.syntax import Binary, Call, Logical, Name, Node, Number, Paren, String, Unary, left_spine

__all__ = ["CONSTANTS", "Evaluator", "UserFunction"]

CONSTANTS = {"pi": np.pi}
"""Names that stand for a number where the table has no such column."""

UserFunction: TypeAlias = Callable[..., Any]

_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
}


class Evaluator:
    """Computes the variables of a model from the columns of a table.

    Parameters
    ----------
    columns : mapping of str to Column
        The columns by name.
    source : str
        The formula, for carets.
    functions : mapping of str to callable
        Functions that the user added.
    states : mapping of str to BasisState, optional
        Constants of the bases, by the text of their calls. Without it they are taken from the columns and can be read
        from ``states`` afterwards.
    whole : mapping of str to Column, optional
        The columns before rows with missing values were dropped. R computes the constants of a basis from all values
        that its own columns have.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        *,
        source: str = "",
        functions: Mapping[str, UserFunction] | None = None,
        states: Mapping[str, BasisState] | None = None,
        whole: Mapping[str, Column] | None = None,
    ) -> None:
        self.columns = columns
        self.source = source
        self.functions = functions or {}
        self.learning = states is None
        self.states: dict[str, BasisState] = dict(states or {})
        self.whole = whole

    def column(self, node: Node) -> Column:
        """Compute a variable of the model.

        Parameters
        ----------
        node : Node
            A column name or an expression that passed ``check_expression``.

        Returns
        -------
        Column
            A comparison gives a boolean factor, as in R.

        Raises
        ------
        DataError
            If a factor is computed with, or the expression has no column.
        FormulaError
            If an option of a function does not suit.
        """
        if isinstance(node, Name) and node.name in self.columns:
            return self.columns[node.name]
        with np.errstate(all="ignore"):  # what cannot be computed is NaN here and is reported by column and row
            value = self._value(node)
        return _column(node, value)

    def _error(self, message: str, node: Node) -> FormulaError:
        return FormulaError(message, self.source or None, node.start, node.stop)

    def _value(self, node: Node) -> Value:
        match node:
            case Number():
                return np.float64(node.value)
            case String() | Logical():
                return node.value
            case Name():
                if node.name not in self.columns:
                    return CONSTANTS[node.name]
                column = self.columns[node.name]
                return column.values if isinstance(column, Numeric) else column
            case Paren():
                return self._value(node.inner)
            case Unary():
                operand = self._value(node.operand)
                if node.operator == "!":
                    return np.logical_not(as_truth(node.operand, operand))
                number = as_number(node.operand, operand)
                return np.negative(number) if node.operator == "-" else number
            case Call():
                return self._call(node)
            case Binary():
                first, chain = left_spine(node)
                value, seen = self._value(first), first
                for operation in chain:
                    value = apply_binary(operation, seen, value, self._value(operation.right))
                    seen = operation
                return value

    def _call(self, node: Call) -> Value:
        if node.function in self.functions:
            return self._user(node)
        given = arguments(node)
        if node.function in BASES:
            return self._basis(node, given)
        if node.function in _FUNCTIONS:
            value: Value = _FUNCTIONS[node.function](as_number(given["x"], self._value(given["x"])))
            if "base" in given:
                base = as_number(given["base"], self._value(given["base"]))
                value = np.divide(value, np.log(base))  # type: ignore[arg-type]
            return value
        if node.function == "I":
            return self._value(given["x"])
        return self._factor(node, given)

    def _factor(self, node: Call, given: Mapping[str, Node]) -> Value:
        """The functions that make factors."""
        data = [a for name, a in given.items() if name in ("x", "f", "object") or name.startswith("f")]
        factors = [without_type(as_factor(_column(a, self._value(a)))) for a in data]
        match node.function:
            case "C":
                many = self._option(given, "how.many")
                if many is not None and (not isinstance(many, float) or many != int(many)):
                    raise self._error("`how.many` must be a whole number", given["how.many"])
                return replace(factors[0], contrast=_contrast(given, factors[0], None if many is None else int(many)))
            case "interaction":
                crossing = factors[0]
                for factor in factors[1:]:
                    crossing = crossed(factor, crossing, dotted=True)
                return crossing
            case "dummy":
                return self._dummy(node, factors[0], given)
            case "relevel":
                return self._relevel(node, factors[0], given)
        factor = factors[0]
        if "levels" in given:
            factor = self._relabelled(node, factor, _texts(self._option(given, "levels")))
        return replace(factor, ordered=True) if node.function == "ordered" else factor

    def _relabelled(self, node: Call, factor: Factor, levels: Sequence[str]) -> Factor:
        other = [level for level in factor.levels if level not in levels]
        if other:
            raise self._error(f"`levels` of {deparse(node)} lacks {', '.join(map(repr, other[:5]))}; name all", node)
        position = np.array([levels.index(level) for level in factor.levels] + [-1], dtype=np.intp)
        return used_levels(replace(factor, codes=position[factor.codes], levels=tuple(levels)))

    def _relevel(self, node: Call, factor: Factor, given: Mapping[str, Node]) -> Factor:
        (first,) = _texts(self._option(given, "ref"))[:1] or (factor.levels[0],)
        if first not in factor.levels:
            if not self.learning:  # the order of the levels is the model's
                return factor
            known = ", ".join(map(repr, factor.levels[:12]))
            raise self._error(f"`ref` of {deparse(node)} is no level; there are {known}", given["ref"])
        return self._relabelled(node, factor, [first, *(level for level in factor.levels if level != first)])

    def _dummy(self, node: Call, factor: Factor, given: Mapping[str, Node]) -> Basis:
        """Indicators of some levels, by default all but the first; those of the model in new data."""
        text = deparse(node)
        if self.learning:
            chosen = _texts(self._option(given, "levelsToKeep")) or list(factor.levels[1:])
            for level in chosen:
                if level not in factor.levels:
                    known = ", ".join(map(repr, factor.levels[:12]))
                    raise self._error(f"{level!r} is no level of the factor in {text}; there are {known}", node)
            self.states[text] = _Indicators(tuple(chosen))
        state = self.states[text]
        assert isinstance(state, _Indicators)
        known_as = {level: k for k, level in enumerate(factor.levels)}
        kept = np.array([known_as.get(level, len(factor.levels)) for level in state.levels])
        return Basis((factor.codes[:, None] == kept).astype(np.float64), _endings(state.levels))

    def _basis(self, node: Call, given: Mapping[str, Node]) -> Basis:
        text = deparse(node)
        values = column_of_numbers(given["x"], self._value(given["x"]))
        if self.learning and text not in self.states:
            options = {name: self._constant(option) for name, option in given.items() if name != "x"}
            seen = values if self.whole is None else self._over_all_rows(given["x"])
            try:
                self.states[text] = fit_basis(node.function, seen[~np.isnan(seen)], options)
            except BasisError as error:
                where = node if error.option is None else given.get(error.option, node)
                raise self._error(f"{text}: {error}", where) from error
        columns = np.full((len(values), 1), np.nan)
        complete = ~np.isnan(values)
        found = self.states[text].columns(values[complete])
        if found.shape[1] > 1:
            columns = np.full((len(values), found.shape[1]), np.nan)
        columns[complete] = found
        return Basis(columns, _endings([str(k + 1) for k in range(columns.shape[1])]))

    def _over_all_rows(self, node: Node) -> Floats:
        assert self.whole is not None
        every = Evaluator(self.whole, source=self.source, functions=self.functions)
        return column_of_numbers(node, every._value(node))

    def _user(self, node: Call) -> Value:
        """Call a function of the user with numbers, and factors as arrays of labels."""
        positional = [_plain(self._value(a)) for k, a in zip(node.keywords, node.arguments, strict=True) if k is None]
        named = {k: _plain(self._value(a)) for k, a in zip(node.keywords, node.arguments, strict=True) if k is not None}
        text = deparse(node)
        try:
            result = self.functions[node.function](*positional, **named)
        except Exception as error:
            raise DataError(f"the function in `{text}` failed: {type(error).__name__}: {error}") from error
        n = n_rows(next(iter(self.columns.values())))
        shape = np.shape(result)
        if len(shape) not in (1, 2) or shape[0] != n:
            raise DataError(f"the function in `{text}` returned shape {shape}; a value for each of {n} rows is wanted")
        if len(shape) == 2:
            return Basis(np.array(result, dtype=np.float64), _endings([str(k + 1) for k in range(shape[1])]))
        column = read_column(text, result)
        return column.values if isinstance(column, Numeric) else column

    def _option(self, given: Mapping[str, Node], name: str) -> Option | None:
        return self._constant(given[name]) if name in given else None

    def _constant(self, node: Node) -> Option:
        """Value of an option, which ``check_expression`` found to be a constant."""
        match node:
            case Number():
                return float(node.value)
            case String() | Logical():
                return node.value
            case Paren():
                return self._constant(node.inner)
            case Unary():
                value = self._constant(node.operand)
                if isinstance(value, bool) or not isinstance(value, float):
                    raise self._error("a sign stands before a number only", node)
                return -value if node.operator == "-" else value
            case Call():
                listed: list[Any] = []
                for argument in node.arguments:
                    value = self._constant(argument)
                    listed += value if isinstance(value, list) else [value]
                return listed
        raise self._error("a constant is wanted here", node)


@dataclass(frozen=True, slots=True)
class _Indicators:
    """The levels that ``dummy`` keeps."""

    levels: tuple[str, ...]

    def columns(self, x: Floats) -> Floats:
        """Indicators of positions among the levels, (n, k)."""
        return (x[:, None] == np.arange(len(self.levels))).astype(np.float64)


def _contrast(given: Mapping[str, Node], factor: Factor, how_many: int | None) -> Contrast:
    """The coding of ``C()``: a function such as contr.sum, its short name such as sum, or its name as a text."""
    node = given.get("contr")
    if node is None:
        return Contrast("poly" if factor.ordered else "treatment", how_many, numbered=False)
    name = node.name if isinstance(node, Name) else node.value if isinstance(node, String) else ""
    plain = name.removeprefix("contr.")
    return Contrast(plain, how_many, numbered=isinstance(node, Name) and plain != name)


def _texts(value: Option | None) -> list[str]:
    """Levels given as an option: numbers as R labels them."""
    if value is None:
        return []
    listed = value if isinstance(value, list) else [value]
    return [v if isinstance(v, str) else f"{v:.15g}" if not isinstance(v, bool) else str(v).upper() for v in listed]


def _endings(labels: Sequence[str]) -> tuple[str, ...]:
    """R writes the number or label of a column only where there are several."""
    return ("",) if len(labels) == 1 else tuple(labels)


def _plain(value: Value) -> Any:
    match value:
        case Factor():
            if value.logical:
                return value.codes.astype(bool)
            return np.array(value.levels, dtype=object)[value.codes]
        case Basis():
            return value.values.copy()
        case np.ndarray():
            return value.copy()
        case _:
            return value


def _column(node: Node, value: Value) -> Column:
    if isinstance(value, Factor | Basis):
        return value
    if not isinstance(value, np.ndarray):
        raise DataError(f"`{deparse(node)}` is a constant; a term needs a column")
    if value.dtype == np.bool_:
        return Factor(value.astype(np.intp), ("FALSE", "TRUE"), logical=True)
    return Numeric(value)
