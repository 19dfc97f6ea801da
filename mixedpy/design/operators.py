"""The operators of expressions: arithmetic, comparison and logic as R has them, on numbers and factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixedpy.design.columns import Basis, Factor, Floats
from mixedpy.errors import DataError
from mixedpy.formula import deparse
from mixedpy.formula.syntax import Binary, Node

__all__ = ["Value", "apply_binary", "as_number", "as_truth", "column_of_numbers"]

Value: TypeAlias = float | str | bool | NDArray[Any] | Factor | Basis
"""What an expression may evaluate to."""

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    "%%": np.mod,
    "%/%": np.floor_divide,
}

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
}

_LOGIC: dict[str, Callable[[Any, Any], Any]] = {"&": np.logical_and, "|": np.logical_or}


def apply_binary(node: Binary, left_node: Node, left: Value, right: Value) -> Value:
    """Apply a binary operator to the values of its operands; ``left_node`` is what the left value came from."""
    if node.operator in _ARITHMETIC:
        result: Value = _ARITHMETIC[node.operator](as_number(left_node, left), as_number(node.right, right))
        return result
    if node.operator in _LOGIC:
        both: Value = _LOGIC[node.operator](as_truth(left_node, left), as_truth(node.right, right))
        return both
    compare = _COMPARISONS[node.operator]
    if isinstance(left, str) and isinstance(right, Factor):
        mirrored = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(node.operator, node.operator)
        return _compare_levels(_COMPARISONS[mirrored], node, right, left)
    if isinstance(left, Factor) and isinstance(right, str):
        return _compare_levels(compare, node, left, right)
    outcome: Value = compare(as_number(left_node, left), as_number(node.right, right))
    return outcome


def _compare_levels(compare: Callable[[Any, Any], Any], node: Binary, factor: Factor, level: str) -> NDArray[Any]:
    if level not in factor.levels and (factor.ordered or node.operator not in ("==", "!=")):
        raise DataError(f"`{deparse(node)}` compares with {level!r}, which is not a level of the factor")
    if node.operator not in ("==", "!=") and not factor.ordered:
        raise DataError(f"`{deparse(node)}` orders the levels of a factor that is not ordered; compare with == or !=")
    position = factor.levels.index(level) if level in factor.levels else len(factor.levels)
    outcome: NDArray[Any] = compare(factor.codes, position)
    return outcome


def as_truth(node: Node, value: Value) -> NDArray[np.bool_] | np.bool_:
    """Operand of a logical operator; a number is true unless zero."""
    return np.not_equal(as_number(node, value), 0.0)


def as_number(node: Node, value: Value) -> float | Floats | NDArray[Any]:
    """Check that an operand can be computed with; a boolean counts as 0 and 1."""
    if isinstance(value, Factor):
        if value.logical:
            return value.codes.astype(np.float64)
        raise DataError(
            f"`{deparse(node)}` is not numeric but a factor with {len(value.levels)} levels; the formula computes with "
            "it, so convert the column to numbers"
        )
    if isinstance(value, Basis):
        if value.values.shape[1] > 1:
            raise DataError(
                f"`{deparse(node)}` has {value.values.shape[1]} columns; the formula computes with one only"
            )
        return np.ascontiguousarray(value.values[:, 0])
    if isinstance(value, str):
        raise DataError(f"{deparse(node)} is a text, but the formula computes with it")
    if isinstance(value, np.ndarray):
        return value.astype(np.float64) if value.dtype == np.bool_ else value
    return float(value)  # a constant; TRUE counts as one


def column_of_numbers(node: Node, value: Value) -> Floats:
    """Check that a value is a number for each row, (n,)."""
    numbers = as_number(node, value)
    if not isinstance(numbers, np.ndarray) or numbers.ndim == 0:
        raise DataError(f"`{deparse(node)}` is a constant; a term needs a column")
    return np.asarray(numbers, dtype=np.float64)
