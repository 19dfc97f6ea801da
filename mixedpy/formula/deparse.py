"""Syntax tree -> text, as R's deparse writes it."""

from __future__ import annotations

import re

from mixedpy.formula.syntax import Binary, Call, Logical, Name, Node, Number, Paren, String, Unary, left_spine

__all__ = ["deparse", "number_text"]

_SYNTACTIC = re.compile(r"(?:[^\W\d_]|\.(?!\d))[\w.]*\Z")
_RESERVED = frozenset(
    {"TRUE", "FALSE", "NULL", "NA", "NaN", "Inf", "if", "else", "for", "while", "repeat", "function", "next", "break"}
)
_TIGHT = frozenset({":", "^", "/", "%%", "%/%"})


def number_text(value: float) -> str:
    """Write a number as R does: at most 15 significant digits, fixed or scientific, whichever is shorter.

    Parameters
    ----------
    value : float
        A finite number.

    Returns
    -------
    str
        R's text.

    Examples
    --------
    >>> [number_text(v) for v in (0.1, 100000.0, 123456.0, 1e-5)]
    ['0.1', '1e+05', '123456', '1e-05']
    """
    mantissa, exponent = f"{value:.14e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    scientific = f"{mantissa}e{int(exponent):+03d}"
    decimals = max(len(mantissa.lstrip("-").replace(".", "")) - 1 - int(exponent), 0)
    fixed = f"{value:.{decimals}f}"
    return fixed if len(fixed) <= len(scientific) else scientific


def deparse(node: Node) -> str:
    """Write a syntax tree as R's ``deparse`` does.

    Parameters
    ----------
    node : Node
        The tree.

    Returns
    -------
    str
        Its text; parsing the text gives the tree back.
    """
    match node:
        case Name():
            plain = _SYNTACTIC.match(node.name) and node.name not in _RESERVED
            return node.name if plain else f"`{node.name}`"
        case Number():
            return f"{int(node.value)}L" if node.integer else number_text(node.value)
        case String():
            return '"' + node.value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case Logical():
            return "TRUE" if node.value else "FALSE"
        case Paren():
            return f"({deparse(node.inner)})"
        case Unary():
            return node.operator + deparse(node.operand)
        case Call():
            arguments = zip(node.keywords, node.arguments, strict=True)
            return f"{node.function}({', '.join(_argument(k, a) for k, a in arguments)})"
        case Binary():
            first, chain = left_spine(node)
            pieces = [deparse(first)]
            for operation in chain:
                operator = operation.operator
                pieces += (operator if operator in _TIGHT else f" {operator} ", deparse(operation.right))
            return "".join(pieces)


def _argument(keyword: str | None, value: Node) -> str:
    return deparse(value) if keyword is None else f"{keyword} = {deparse(value)}"
