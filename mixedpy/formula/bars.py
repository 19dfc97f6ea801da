"""Random terms: ``(x | g)``, ``(x || g)``, ``cs(x | g)``, ``(1 | g/h)`` -> a bar per covariance matrix, as in lme4."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from mixedpy.errors import FormulaError
from mixedpy.formula.algebra import Terms, expand
from mixedpy.formula.deparse import deparse
from mixedpy.formula.expressions import check_expression
from mixedpy.formula.syntax import Binary, Call, Logical, Name, Node, Number, Paren, String, Unary, left_spine

__all__ = ["HOMOGENEOUS", "Bar", "TypedBar", "expand_bar", "expand_double_bars", "is_structured", "split_bars"]

_BARS = frozenset({"|", "||"})
_SUM = frozenset({"+", "-"})
_NONE: frozenset[str] = frozenset()

HOMOGENEOUS: dict[str, bool] = {"us": False, "diag": False, "cs": False, "ar1": True}
"""The covariance structures, and whether the effects share one standard deviation if ``hom=`` is not given."""


@dataclass(frozen=True, slots=True)
class TypedBar:
    """A bar as it stands in the formula.

    Attributes
    ----------
    bar : Binary
        The ``|`` or ``||`` node.
    structure : str or None
        Covariance structure that encloses it; None for plain parentheses.
    hom : bool
        Whether the effects share one standard deviation.
    """

    bar: Binary
    structure: str | None = None
    hom: bool = False


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
        The grouping factor's text, such as ``"Subject"`` or ``"cask:batch"``; as in lme4 a single column stands without
        its backticks.
    start, stop : int
        Where the bar stands in the formula as typed.
    structure : str or None
        Covariance structure named in the formula, ``"us"``, ``"diag"``, ``"cs"`` or ``"ar1"``; None if none is.
    hom : bool
        Whether the effects share one standard deviation.
    """

    effects: Terms
    group: tuple[Node, ...]
    name: str
    start: int = field(compare=False)
    stop: int = field(compare=False)
    structure: str | None = None
    hom: bool = False

    @property
    def typed(self) -> str:
        """The grouping factor as a formula has it, in backticks where it needs them."""
        first = self.group[0]
        return deparse(first) if isinstance(first, Name) and first.name == self.name else self.name


def is_structured(node: Node) -> bool:
    """Whether a node is a random term within a covariance structure, such as ``cs(x | g)``."""
    return isinstance(node, Call) and node.function in HOMOGENEOUS and _enclosed(node) is not None


def _enclosed(call: Call) -> Binary | None:
    """Find the bar that a covariance structure encloses; parentheses around it change nothing."""
    for keyword, argument in zip(call.keywords, call.arguments, strict=True):
        inner = argument
        while isinstance(inner, Paren):
            inner = inner.inner
        if keyword is None and isinstance(inner, Binary) and inner.operator in _BARS:
            return inner
    return None


def _typed_bars(node: Node) -> Iterator[Node]:
    """Visit bars and structured bars, left to right; within any other call a bar is the logical or."""
    stack = [node]
    while stack:
        part = stack.pop()
        match part:
            case Binary():
                if part.operator in _BARS:
                    yield part
                stack += (part.right, part.left)
            case Unary():
                stack.append(part.operand)
            case Paren():
                stack.append(part.inner)
            case Call() if is_structured(part):
                yield part
            case _:
                pass


def split_bars(node: Node, formula: str) -> tuple[Node | None, tuple[TypedBar, ...]]:
    """Separate the terms of the right side into fixed terms and bars.

    Parameters
    ----------
    node : Node
        Right side of the formula.
    formula : str
        The formula, for the caret.

    Returns
    -------
    tuple of Node or None and tuple of TypedBar
        What is left without the bars (None for nothing), and the bars in the order written.

    Raises
    ------
    FormulaError
        If a bar is not a parenthesized term added to the others.
    """
    if isinstance(node, Binary) and node.operator in _BARS:
        raise _bar_error("a random term stands in parentheses, such as (x | g)", node, formula)
    if isinstance(node, Call) and is_structured(node):
        return None, (_structured(node, formula),)
    found = tuple(_typed_bars(node))
    if not found:
        return node, ()
    if isinstance(node, Unary) and node.operator == "+":
        return split_bars(node.operand, formula)
    if isinstance(node, Paren):
        if isinstance(node.inner, Binary) and node.inner.operator in _BARS:
            if len(found) > 1:
                raise _bar_error("a random term has one bar; write one term for each", found[-1], formula)
            return None, (TypedBar(node.inner),)
        inner, bars = split_bars(node.inner, formula)
        return (None if inner is None else Paren(inner, node.start, node.stop)), bars
    first, chain = left_spine(node, _SUM)
    if not chain:
        raise _bar_error("a random term can only be added to the other terms with +", found[0], formula)
    rest, bars = split_bars(first, formula)
    every = list(bars)
    for operation in chain:
        right, inside = split_bars(operation.right, formula)
        if inside and operation.operator == "-":
            message = "a random term cannot be subtracted; leave it out of the formula"
            raise _bar_error(message, inside[0].bar, formula)
        every += inside
        if right is not None:
            rest = _joined(rest, operation, right)
    return rest, tuple(every)


def _structured(call: Call, formula: str) -> TypedBar:
    """Read ``cs(x | g, hom = TRUE)``."""
    bar = _enclosed(call)
    assert bar is not None
    if bar.operator == "||" or len(list(_typed_bars(bar))) > 1:
        message = f"{call.function}() encloses one random term with a single bar, such as {call.function}(x | g)"
        raise _bar_error(message, bar, formula)
    hom = HOMOGENEOUS[call.function]
    for keyword, argument in zip(call.keywords, call.arguments, strict=True):
        if argument.start <= bar.start < argument.stop or argument is bar:
            continue
        if keyword != "hom" or call.function == "us" or not isinstance(argument, Logical):
            wanted = "no further argument" if call.function == "us" else "hom = TRUE or hom = FALSE"
            message = f"{call.function}() takes a random term and {wanted}"
            raise FormulaError(message, formula, argument.start, argument.stop)
        hom = argument.value
    return TypedBar(bar, call.function, hom)


def _joined(rest: Node | None, operation: Binary, right: Node) -> Node:
    if rest is not None:
        return Binary(operation.operator, rest, right, operation.at, rest.start, right.stop)
    if operation.operator == "+":
        return right
    return Binary("-", Number(1.0), right, operation.at, right.start, right.stop)


def _bar_error(message: str, bar: Node, formula: str) -> FormulaError:
    if isinstance(bar, Binary):
        return FormulaError(message, formula, bar.at, bar.at + len(bar.operator))
    return FormulaError(message, formula, bar.start, bar.stop)


def expand_bar(typed: TypedBar, formula: str, functions: Collection[str] = _NONE) -> tuple[Bar, ...]:
    """Expand a bar as typed into one bar per covariance matrix.

    ``x || g`` becomes an intercept and a slope of their own, ``g/h`` becomes ``h:g`` and ``g``, ``g*h`` becomes ``g``,
    ``h`` and ``g:h``; a factor on the left of ``||`` stays one block, as in lme4.

    Parameters
    ----------
    typed : TypedBar
        The bar.
    formula : str
        The formula, for the caret.
    functions : collection of str
        Functions that the user added.

    Returns
    -------
    tuple of Bar
        In lme4's order.
    """
    bar = typed.bar
    groups = _groups(bar.right, formula, functions)
    return tuple(
        Bar(effects, group, _plain(group, name), bar.start, bar.stop, typed.structure, typed.hom)
        for effects in _effects(bar, formula, functions)
        for group, name in groups
    )


def _plain(group: tuple[Node, ...], text: str) -> str:
    """The text of a grouping factor, or the name of the column that it is."""
    first = group[0]
    return first.name if isinstance(first, Name) and text == deparse(first) else text


def _effects(bar: Binary, formula: str, functions: Collection[str]) -> list[Terms]:
    effects = expand(bar.left, formula, functions=functions)
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


def _groups(node: Node, formula: str, functions: Collection[str]) -> list[tuple[tuple[Node, ...], str]]:
    """List the grouping factors of a right side: ``g/h/k`` is k:(h:g), h:g, g and ``g*h`` is g, h, g:h."""
    inner = node
    while isinstance(inner, Paren):
        inner = inner.inner
    if isinstance(inner, Binary) and inner.operator == "*":
        return _crossed_groups(inner, formula, functions)
    first, chain = left_spine(node, frozenset({"/"}))
    groups = [_interaction(first, formula, functions)]
    for operation in chain:
        own, own_name = _interaction(operation.right, formula, functions)
        outer, outer_name = groups[-1]
        outer_text = f"({outer_name})" if len(groups) > 1 or _is_interaction(operation.left) else outer_name
        own_text = f"({own_name})" if _is_interaction(operation.right) else own_name
        groups.append((own + outer, f"{own_text}:{outer_text}"))
    return groups[::-1]


def _crossed_groups(node: Binary, formula: str, functions: Collection[str]) -> list[tuple[tuple[Node, ...], str]]:
    terms = expand(node, formula, functions=functions)
    for variable in terms.variables:
        _check_group(variable, formula, functions)
    return [
        (tuple(terms.variables[v] for v in term), label) for term, label in zip(terms.terms, terms.labels, strict=True)
    ]


def _is_interaction(node: Node) -> bool:
    return isinstance(node, Binary) and node.operator == ":"


def _interaction(node: Node, formula: str, functions: Collection[str]) -> tuple[tuple[Node, ...], str]:
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
        _check_group(member, formula, functions)
    return tuple(members), deparse(node)


def _check_group(node: Node, formula: str, functions: Collection[str]) -> None:
    if isinstance(node, Binary) and node.operator in ("*", "+", "-", "%in%", "/"):
        message = f"`{node.operator}` makes no grouping factor; write one random term for each factor, or g:h, g/h, g*h"
        raise FormulaError(message, formula, node.at, node.at + len(node.operator))
    if isinstance(node, Number | String | Logical) or (isinstance(node, Call) and node.function == "offset"):
        message = "the right side of a bar names a grouping factor; write a column there"
        raise FormulaError(message, formula, node.start, node.stop)
    check_expression(node, formula, functions)


def expand_double_bars(node: Node, formula: str, functions: Collection[str] = _NONE) -> Node:
    """Rewrite ``(x || g)`` as ``((1 | g) + (0 + x | g))``, the form in which lme4 prints it.

    Parameters
    ----------
    node : Node
        Right side of the formula.
    formula : str
        The formula, for the caret.
    functions : collection of str
        Functions that the user added.

    Returns
    -------
    Node
        The right side with single bars only.
    """
    if isinstance(node, Unary):
        return Unary(node.operator, expand_double_bars(node.operand, formula, functions), node.start, node.stop)
    if isinstance(node, Paren):
        inner = node.inner
        if isinstance(inner, Binary) and inner.operator == "||":
            return Paren(_independent(inner, formula, functions))
        return Paren(expand_double_bars(inner, formula, functions), node.start, node.stop)
    first, chain = left_spine(node, _SUM)
    if not chain:
        return node
    result = expand_double_bars(first, formula, functions)
    for operation in chain:
        right = expand_double_bars(operation.right, formula, functions)
        result = Binary(operation.operator, result, right, operation.at, operation.start, operation.stop)
    return result


def _independent(bar: Binary, formula: str, functions: Collection[str]) -> Node:
    pieces: list[Node] = []
    for effects in _effects(bar, formula, functions):
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
