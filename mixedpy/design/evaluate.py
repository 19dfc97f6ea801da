"""Values of the expressions in a formula, computed from a closed list of functions; text is never run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixedpy.design.columns import Column, Factor, Floats, Numeric, as_factor
from mixedpy.errors import DataError
from mixedpy.formula import deparse
from mixedpy.formula.syntax import Binary, Call, Name, Node, Number, Paren, String, Unary, left_spine

__all__ = ["CONSTANTS", "evaluate"]

CONSTANTS = {"pi": np.pi}
"""Names that stand for a number where the table has no such column."""

_Value: TypeAlias = float | str | NDArray[Any] | Factor

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

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    "%%": np.mod,
}

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
}


def evaluate(node: Node, columns: Mapping[str, Column]) -> Column:
    """Compute a variable of the model.

    Parameters
    ----------
    node : Node
        A column name or an expression that passed ``check_expression``.
    columns : mapping of str to Column
        The columns by name.

    Returns
    -------
    Numeric or Factor
        A comparison gives a boolean factor, as in R.

    Raises
    ------
    DataError
        If a factor is computed with, or the expression has no column.
    """
    if isinstance(node, Name) and node.name in columns:
        return columns[node.name]
    with np.errstate(all="ignore"):  # what cannot be computed is NaN here and is reported by column and row
        value = _value(node, columns)
    return _column(node, value)


def _column(node: Node, value: _Value) -> Column:
    if isinstance(value, Factor):
        return value
    if not isinstance(value, np.ndarray):
        raise DataError(f"`{deparse(node)}` is a constant; a term needs a column")
    if value.dtype == np.bool_:
        return Factor(value.astype(np.intp), ("FALSE", "TRUE"), logical=True)
    return Numeric(value)


def _value(node: Node, columns: Mapping[str, Column]) -> _Value:
    match node:
        case Number():
            return np.float64(node.value)
        case String():
            return node.value
        case Name():
            if node.name not in columns:
                return CONSTANTS[node.name]
            column = columns[node.name]
            return column if isinstance(column, Factor) else column.values
        case Paren():
            return _value(node.inner, columns)
        case Unary():
            operand = _number(node.operand, _value(node.operand, columns))
            return np.negative(operand) if node.operator == "-" else operand
        case Call():
            return _call(node, columns)
        case Binary():
            first, chain = left_spine(node)
            value, seen = _value(first, columns), first
            for operation in chain:
                value = _binary(operation, seen, value, _value(operation.right, columns))
                seen = operation
            return value


def _call(node: Call, columns: Mapping[str, Column]) -> _Value:
    first = _value(node.arguments[0], columns)
    if node.function == "I":
        return first
    if node.function in ("factor", "as.factor"):
        return as_factor(_column(node, first))
    value: _Value = _FUNCTIONS[node.function](_number(node.arguments[0], first))
    if len(node.arguments) == 2:  # log(x, base)
        base = _number(node.arguments[1], _value(node.arguments[1], columns))
        value = np.divide(value, np.log(base))  # type: ignore[arg-type]
    return value


def _binary(node: Binary, left_node: Node, left: _Value, right: _Value) -> _Value:
    if node.operator in _ARITHMETIC:
        result: _Value = _ARITHMETIC[node.operator](_number(left_node, left), _number(node.right, right))
        return result
    compare = _COMPARISONS[node.operator]
    if isinstance(left, str) and isinstance(right, Factor):
        mirrored = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(node.operator, node.operator)
        return _compare_levels(_COMPARISONS[mirrored], node, right, left)
    if isinstance(left, Factor) and isinstance(right, str):
        return _compare_levels(compare, node, left, right)
    outcome: _Value = compare(_number(left_node, left), _number(node.right, right))
    return outcome


def _compare_levels(compare: Callable[[Any, Any], Any], node: Binary, factor: Factor, level: str) -> NDArray[Any]:
    if level not in factor.levels and (factor.ordered or node.operator not in ("==", "!=")):
        raise DataError(f"`{deparse(node)}` compares with {level!r}, which is not a level of the factor")
    if node.operator not in ("==", "!=") and not factor.ordered:
        raise DataError(f"`{deparse(node)}` orders the levels of a factor that is not ordered; compare with == or !=")
    position = factor.levels.index(level) if level in factor.levels else len(factor.levels)
    outcome: NDArray[Any] = compare(factor.codes, position)
    return outcome


def _number(node: Node, value: _Value) -> float | Floats | NDArray[Any]:
    """Check that an operand can be computed with; a boolean counts as 0 and 1."""
    if isinstance(value, Factor):
        if value.logical:
            return value.codes.astype(np.float64)
        raise DataError(
            f"`{deparse(node)}` is not numeric, but the formula computes with it; convert the column to numbers"
        )
    if isinstance(value, str):
        raise DataError(f"{deparse(node)} is a text, but the formula computes with it")
    if isinstance(value, np.ndarray) and value.dtype == np.bool_:
        return value.astype(np.float64)
    return value
