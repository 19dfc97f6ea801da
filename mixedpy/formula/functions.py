"""Every function that a formula may call, with its arguments as R names them."""

from __future__ import annotations

from typing import NamedTuple

from mixedpy.formula.syntax import Call, Node

__all__ = ["FUNCTIONS", "Signature", "arguments"]


class Signature(NamedTuple):
    """The arguments of a function.

    Attributes
    ----------
    data : tuple of str
        Arguments that are columns or expressions, in order.
    options : tuple of str
        Arguments that are constants: numbers, texts, TRUE, FALSE or ``c(...)`` of those. They follow the data.
    required : int
        How many of the data must be given.
    """

    data: tuple[str, ...]
    options: tuple[str, ...] = ()
    required: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """All arguments in order."""
        return self.data + self.options


_ONE = Signature(("x",))

FUNCTIONS: dict[str, Signature] = {
    "I": _ONE,
    "log": Signature(("x", "base")),
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
    "factor": Signature(("x",), ("levels",)),
    "as.factor": _ONE,
    "ordered": Signature(("x",), ("levels",)),
    "relevel": Signature(("x",), ("ref",)),
    "interaction": Signature(tuple(f"f{k}" for k in range(1, 9)), required=2),
    "C": Signature(("object",), ("contr", "how.many")),
    "dummy": Signature(("f",), ("levelsToKeep",)),
    "poly": Signature(("x",), ("degree", "raw")),
    "scale": Signature(("x",), ("center", "scale")),
    "center": _ONE,
    "bs": Signature(("x",), ("df", "knots", "degree", "intercept", "Boundary.knots")),
    "ns": Signature(("x",), ("df", "knots", "intercept", "Boundary.knots")),
    "cr": Signature(("x",), ("df", "knots", "Boundary.knots")),
}
"""The closed list; users add to it by ``functions=``."""


def arguments(call: Call) -> dict[str, Node]:
    """Match the arguments of a call that passed ``check_expression``, named ones first, as R does.

    Examples
    --------
    >>> from mixedpy.formula.parser import parse_sides
    >>> list(arguments(parse_sides("y ~ log(base = 2, z)")[1]))
    ['base', 'x']
    """
    free = [name for name in FUNCTIONS[call.function].names if name not in call.keywords]
    rest = iter(free)
    return {k if k is not None else next(rest): a for k, a in zip(call.keywords, call.arguments, strict=True)}
