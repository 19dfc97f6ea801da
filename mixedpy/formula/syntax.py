"""The syntax tree of a formula: what the text says, before it is given a meaning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = [
    "Binary",
    "Call",
    "Logical",
    "Name",
    "Node",
    "Number",
    "Paren",
    "String",
    "Unary",
    "left_spine",
    "walk",
]


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric literal; ``integer`` if written with R's suffix ``L``."""

    value: float
    integer: bool = False
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class String:
    """A quoted text."""

    value: str
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Logical:
    """TRUE or FALSE."""

    value: bool
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a column (or the dot, which stands for all other columns)."""

    name: str
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; ``keywords`` has the name of each argument, or None."""

    function: str
    arguments: tuple[Node, ...]
    keywords: tuple[str | None, ...]
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign or ``!`` before an operand."""

    operator: str
    operand: Node
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two operands; ``at`` is the operator's position."""

    operator: str
    left: Node
    right: Node
    at: int = field(default=0, compare=False)
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Paren:
    """A parenthesized expression, kept because R prints the parentheses."""

    inner: Node
    start: int = field(default=0, compare=False)
    stop: int = field(default=0, compare=False)


Node: TypeAlias = Number | String | Logical | Name | Call | Unary | Binary | Paren


def left_spine(node: Node, operators: frozenset[str] | None = None) -> tuple[Node, list[Binary]]:
    """Unroll a chain such as ``a + b + c`` into its first operand and the operations that follow, left to right.

    Long sums are deep on the left only; walking the spine in a loop keeps recursion to the depth of the parentheses.

    Parameters
    ----------
    node : Node
        Where to start.
    operators : frozenset of str, optional
        Operators that belong to the chain; all by default.

    Returns
    -------
    tuple of Node and list of Binary
        The leftmost operand, and the binary nodes from the innermost to the outermost.
    """
    chain: list[Binary] = []
    while isinstance(node, Binary) and (operators is None or node.operator in operators):
        chain.append(node)
        node = node.left
    chain.reverse()
    return node, chain


def walk(node: Node) -> Iterator[Node]:
    """Visit a node and everything below it, left to right."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        match node:
            case Binary():
                stack += (node.right, node.left)
            case Unary():
                stack.append(node.operand)
            case Paren():
                stack.append(node.inner)
            case Call():
                stack += reversed(node.arguments)
            case _:
                pass
