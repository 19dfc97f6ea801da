"""What an expression in a formula may contain: a closed list of functions and operators, checked before any use."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from mixedpy.errors import FormulaError
from mixedpy.formula.syntax import Binary, Call, Node, walk

__all__ = ["FUNCTIONS", "Arity", "check_expression"]


class Arity(NamedTuple):
    """How many arguments a function takes, and the names they may be given by."""

    fewest: int
    most: int
    keywords: tuple[str, ...]


_ONE = Arity(1, 1, ("x",))

FUNCTIONS: dict[str, Arity] = {
    "I": _ONE,
    "log": Arity(1, 2, ("x", "base")),
    "log2": _ONE,
    "log10": _ONE,
    "log1p": _ONE,
    "exp": _ONE,
    "expm1": _ONE,
    "sqrt": _ONE,
    "abs": _ONE,
    "sin": _ONE,
    "cos": _ONE,
    "tan": _ONE,
    "factor": _ONE,
    "as.factor": _ONE,
}
"""Every function that a formula may call."""

_OPERATORS = frozenset({"+", "-", "*", "/", "^", "%%", "==", "!=", "<", ">", "<=", ">="})


def check_expression(node: Node, formula: str) -> None:
    """Refuse an expression that uses anything but columns, numbers, texts and the listed functions and operators.

    Parameters
    ----------
    node : Node
        An expression that stands for one variable of the model.
    formula : str
        The formula, for the caret.

    Raises
    ------
    FormulaError
        With a caret under the function or operator that is not listed.
    """
    for part in walk(node):
        if isinstance(part, Call):
            _check_call(part, formula)
        elif isinstance(part, Binary) and part.operator not in _OPERATORS:
            stop = part.at + len(part.operator)
            raise FormulaError(_misplaced(part.operator), formula, part.at, stop)


def _misplaced(operator: str) -> str:
    if operator in ("|", "||"):
        return f"`{operator}` belongs to a random term such as (1 {operator} g), which is added with +"
    return f"`{operator}` has no meaning inside an expression; it combines terms outside functions"


def _check_call(call: Call, formula: str) -> None:
    arity = FUNCTIONS.get(call.function)
    name_stop = call.start + len(call.function)
    if arity is None:
        if call.function == "offset":
            message = "offset() must be a term of its own in the fixed part, added with +"
        else:
            near = difflib.get_close_matches(call.function, FUNCTIONS, n=1)
            hint = f"did you mean {near[0]}()?" if near else f"known are {', '.join(FUNCTIONS)} and offset"
            message = f"the function {call.function}() is not known; {hint}"
        raise FormulaError(message, formula, call.start, name_stop)
    given = len(call.arguments)
    if not arity.fewest <= given <= arity.most:
        wanted = str(arity.fewest) if arity.fewest == arity.most else f"{arity.fewest} to {arity.most}"
        raise FormulaError(f"{call.function}() takes {wanted} argument(s), not {given}", formula, call.start, call.stop)
    for position, keyword in enumerate(call.keywords):
        if keyword is not None and keyword != arity.keywords[position]:
            wanted = ", ".join(arity.keywords)
            raise FormulaError(
                f"{call.function}() has no argument `{keyword}` in this place; its arguments are {wanted}",
                formula,
                call.arguments[position].start,
                call.arguments[position].stop,
            )
