"""Random terms: ``(x | g)``, ``(x || g)``, ``(1 | g/h)`` -> one bar per covariance matrix, as lme4 expands them."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixedpy.errors import FormulaError
from mixedpy.formula.algebra import Terms, expand
from mixedpy.formula.deparse import deparse
from mixedpy.formula.expressions import check_expression
from mixedpy.formula.syntax import Binary, Call, Node, Number, Paren, String, Unary, left_spine, walk

__all__ = ["Bar", "expand_bar", "expand_double_bars", "split_bars"]

_BARS = frozenset({"|", "||"})
_SUM = frozenset({"+", "-"})


@dataclass(frozen=True, slots=True)
class Bar:
    """One random term: effects that vary together over the levels of one grouping factor.

    Attributes
    ----------
    effects : Terms
        Left side of the bar.
    group : tuple of Node
        The grouping factor; more than one expression is the interaction of them, the first varying slowest.
    name : str
        The grouping factor's text, such as ``"Subject"`` or ``"cask:batch"``.
    start, stop : int
        Where the bar stands in the formula as typed.
    """

    effects: Terms
    group: tuple[Node, ...]
    name: str
    start: int = field(compare=False)
    stop: int = field(compare=False)


def split_bars(node: Node, formula: str) -> tuple[Node | None, tuple[Binary, ...]]:
    """Separate the terms of the right side into fixed terms and bars.

    Parameters
    ----------
    node : Node
        Right side of the formula.
    formula : str
        The formula, for the caret.

    Returns
    -------
    tuple of Node or None and tuple of Binary
        What is left without the bars (None for nothing), and the bars in the order written.

    Raises
    ------
    FormulaError
        If a bar is not a parenthesized term added to the others.
    """
    if isinstance(node, Binary) and node.operator in _BARS:
        raise _bar_error("a random term stands in parentheses, such as (x | g)", node, formula)
    bars = tuple(part for part in walk(node) if isinstance(part, Binary) and part.operator in _BARS)
    if not bars:
        return node, ()
    if isinstance(node, Unary) and node.operator == "+":
        return split_bars(node.operand, formula)
    if isinstance(node, Paren):
        if isinstance(node.inner, Binary) and node.inner.operator in _BARS:
            if len(bars) > 1:
                raise _bar_error("a random term has one bar; write one term for each", bars[-1], formula)
            return None, bars
        inner, _ = split_bars(node.inner, formula)
        return (None if inner is None else Paren(inner, node.start, node.stop)), bars
    first, chain = left_spine(node, _SUM)
    if not chain:
        raise _bar_error("a random term can only be added to the other terms with +", bars[0], formula)
    rest, _ = split_bars(first, formula)
    for operation in chain:
        right, inside = split_bars(operation.right, formula)
        if inside and operation.operator == "-":
            raise _bar_error("a random term cannot be subtracted; leave it out of the formula", inside[0], formula)
        if right is not None:
            rest = _joined(rest, operation, right)
    return rest, bars


def _joined(rest: Node | None, operation: Binary, right: Node) -> Node:
    if rest is not None:
        return Binary(operation.operator, rest, right, operation.at, rest.start, right.stop)
    if operation.operator == "+":
        return right
    return Binary("-", Number(1.0), right, operation.at, right.start, right.stop)


def _bar_error(message: str, bar: Binary, formula: str) -> FormulaError:
    return FormulaError(message, formula, bar.at, bar.at + len(bar.operator))


def expand_bar(bar: Binary, formula: str) -> tuple[Bar, ...]:
    """Expand a bar as typed into one bar per covariance matrix.

    ``x || g`` becomes an intercept and a slope of their own, ``g/h`` becomes ``h:g`` and ``g``; a factor on the left
    of ``||`` stays one block, as in lme4.

    Parameters
    ----------
    bar : Binary
        The ``|`` or ``||`` node.
    formula : str
        The formula, for the caret.

    Returns
    -------
    tuple of Bar
        In lme4's order.
    """
    groups = _groups(bar.right, formula)
    bars = (
        Bar(effects, group, name, bar.start, bar.stop)
        for effects in _effects(bar, formula)
        for group, name in reversed(groups)
    )
    return tuple(bars)


def _effects(bar: Binary, formula: str) -> list[Terms]:
    effects = expand(bar.left, formula)
    if effects.offsets:
        raise FormulaError("an offset belongs to the fixed part", formula, bar.left.start, bar.left.stop)
    if not (effects.intercept or effects.terms):
        raise FormulaError(
            "the random term has no effect left of the bar; write 1 for an intercept or name a column",
            formula,
            bar.left.start,
            bar.left.stop,
        )
    if bar.operator == "|":
        return [effects]
    pieces = [Terms((), (), (), True)] if effects.intercept else []
    for term in effects.terms:
        variables = tuple(effects.variables[v] for v in term)
        labels = tuple(effects.names[v] for v in term)
        pieces.append(Terms(variables, labels, (tuple(range(len(term))),), False))
    return pieces


def _groups(node: Node, formula: str) -> list[tuple[tuple[Node, ...], str]]:
    """List the grouping factors of a right side, outermost first: ``g/h/k`` is g, h:g, k:(h:g)."""
    first, chain = left_spine(node, frozenset({"/"}))
    groups = [_interaction(first, formula)]
    for operation in chain:
        inner, inner_name = _interaction(operation.right, formula)
        outer, outer_name = groups[-1]
        outer_text = f"({outer_name})" if len(groups) > 1 or _is_interaction(operation.left) else outer_name
        inner_text = f"({inner_name})" if _is_interaction(operation.right) else inner_name
        groups.append((inner + outer, f"{inner_text}:{outer_text}"))
    return groups


def _is_interaction(node: Node) -> bool:
    return isinstance(node, Binary) and node.operator == ":"


def _interaction(node: Node, formula: str) -> tuple[tuple[Node, ...], str]:
    members: list[Node] = []
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, Paren):
            stack.append(part.inner)
        elif isinstance(part, Binary) and part.operator == ":":
            stack += (part.right, part.left)
        else:
            members.append(part)
    for member in members:
        _check_group(member, formula)
    return tuple(members), deparse(node)


def _check_group(node: Node, formula: str) -> None:
    if isinstance(node, Binary) and node.operator in ("*", "+", "-", "%in%", "/"):
        message = f"`{node.operator}` makes no grouping factor; write one random term for each factor, or g/h or g:h"
        raise FormulaError(message, formula, node.at, node.at + len(node.operator))
    if isinstance(node, Number | String) or (isinstance(node, Call) and node.function == "offset"):
        message = "the right side of a bar names a grouping factor; write a column there"
        raise FormulaError(message, formula, node.start, node.stop)
    check_expression(node, formula)


def expand_double_bars(node: Node, formula: str) -> Node:
    """Rewrite ``(x || g)`` as ``((1 | g) + (0 + x | g))``, the form in which lme4 prints it.

    Parameters
    ----------
    node : Node
        Right side of the formula.
    formula : str
        The formula, for the caret.

    Returns
    -------
    Node
        The right side with single bars only.
    """
    if isinstance(node, Unary):
        return Unary(node.operator, expand_double_bars(node.operand, formula), node.start, node.stop)
    if isinstance(node, Paren):
        inner = node.inner
        if isinstance(inner, Binary) and inner.operator == "||":
            return Paren(_independent(inner, formula))
        return Paren(expand_double_bars(inner, formula), node.start, node.stop)
    first, chain = left_spine(node, _SUM)
    if not chain:
        return node
    result = expand_double_bars(first, formula)
    for operation in chain:
        right = expand_double_bars(operation.right, formula)
        result = Binary(operation.operator, result, right, operation.at, operation.start, operation.stop)
    return result


def _independent(bar: Binary, formula: str) -> Node:
    pieces: list[Node] = []
    for effects in _effects(bar, formula):
        left: Node = Number(1.0)
        if not effects.intercept:
            label = effects.variables[0]
            for variable in effects.variables[1:]:
                label = Binary(":", label, variable)
            left = Binary("+", Number(0.0), label)
        pieces.append(Paren(Binary("|", left, bar.right)))
    result = pieces[0]
    for piece in pieces[1:]:
        result = Binary("+", result, piece)
    return result
