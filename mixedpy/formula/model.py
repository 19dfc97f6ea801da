"""The formula of a mixed model: text -> a frozen description that knows no data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mixedpy.errors import FormulaError
from mixedpy.formula.algebra import Terms, expand
from mixedpy.formula.bars import Bar, expand_bar, expand_double_bars, split_bars
from mixedpy.formula.deparse import deparse
from mixedpy.formula.expressions import check_expression
from mixedpy.formula.parser import parse_sides
from mixedpy.formula.syntax import Call, Name, Node, walk

__all__ = ["Formula", "one_sided", "parse"]

_ONE_LINE = dict.fromkeys(map(ord, "\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")
"""Line breaks become spaces, one for one, so that a caret stands under what it points at."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A mixed-model formula, read but not yet applied to data.

    ``str(formula)`` is R's deparse of what was typed; parsing that text again gives an equal formula.

    Attributes
    ----------
    source : str
        The formula as typed; positions in errors refer to it.
    response : Node
        Left side.
    rhs : Node
        Right side as typed.
    fixed : Node or None
        Right side without the random terms; None if nothing is left, which means an intercept alone.
    bars : tuple of Bar
        Random terms, ``||`` and ``/`` expanded, in lme4's order before it sorts them by their numbers of levels.
    text : str
        R's deparse.
    functions : frozenset of str
        Functions that the user added to the closed list.

    Examples
    --------
    >>> formula = parse("log(y+1)~x*f+(x||g/h)")
    >>> str(formula)
    'log(y + 1) ~ x * f + (x || g/h)'
    >>> formula.fixed_terms().labels
    ('x', 'f', 'x:f')
    >>> [(bar.name, bar.effects.intercept, bar.effects.labels) for bar in formula.bars]
    [('h:g', True, ()), ('g', True, ()), ('h:g', False, ('x',)), ('g', False, ('x',))]
    """

    source: str
    response: Node
    rhs: Node
    fixed: Node | None
    bars: tuple[Bar, ...]
    text: str
    functions: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def expanded(self) -> str:
        """The text with ``||`` written out as independent terms, as lme4 prints a model's formula.

        Examples
        --------
        >>> parse("y ~ x + (x || g)").expanded
        'y ~ x + ((1 | g) + (0 + x | g))'
        """
        return f"{deparse(self.response)} ~ {deparse(expand_double_bars(self.rhs, self.source, self.functions))}"

    @property
    def counts(self) -> tuple[Node, Node] | None:
        """The successes and the failures of a response ``cbind(successes, failures)``; None for another."""
        if not _is_counts(self.response):
            return None
        assert isinstance(self.response, Call)
        first, second = self.response.arguments
        return first, second

    @property
    def has_dot(self) -> bool:
        """Whether the fixed part uses ``.``, all other columns."""
        return self.fixed is not None and any(isinstance(part, Name) and part.name == "." for part in walk(self.fixed))

    def fixed_terms(self, dot: Sequence[str] | None = None) -> Terms:
        """Expand the fixed part.

        Parameters
        ----------
        dot : sequence of str, optional
            The columns that ``.`` stands for.

        Returns
        -------
        Terms
            Variables and terms, in R's order.
        """
        return expand(self.fixed, self.source, dot=dot, functions=self.functions)


def parse(text: str, functions: Iterable[str] = ()) -> Formula:
    """Read a mixed-model formula.

    Parameters
    ----------
    text : str
        Such as ``"Reaction ~ Days + (Days | Subject)"``.
    functions : iterable of str
        Names of functions beyond the closed list that the formula may call.

    Returns
    -------
    Formula
        The frozen description.

    Raises
    ------
    FormulaError
        With a caret under what cannot be read or may not be used.

    Examples
    --------
    >>> parse("y~x+(1|g)").bars[0].name
    'g'
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text such as 'y ~ x + (1 | g)', not a {type(text).__name__}")
    return _parse(text.translate(_ONE_LINE), frozenset(functions))


def one_sided(text: str, functions: Iterable[str] = ()) -> Terms:
    """Read a formula of fixed terms without a response.

    Parameters
    ----------
    text : str
        Such as ``"~ x + f"``.
    functions : iterable of str
        Names of functions beyond the closed list that the formula may call.

    Raises
    ------
    FormulaError
        If it cannot be read, has a left side, or has random terms or an offset.

    Examples
    --------
    >>> one_sided("~ x * f").labels
    ('x', 'f', 'x:f')
    """
    if not isinstance(text, str) or not text.lstrip().startswith("~"):
        raise FormulaError(f"{text!r} is not a one-sided formula; give a text such as '~ x'")
    source = f"zeros {text.lstrip().translate(_ONE_LINE)}"
    _, rhs = parse_sides(source)
    fixed, bars = split_bars(rhs, source)
    if bars:
        raise FormulaError(
            "random terms are not available in this formula; give fixed terms", source, rhs.start, rhs.stop
        )
    found = expand(fixed, source, functions=frozenset(functions))
    for node in found.offsets[:1]:
        raise FormulaError("offset() is not available in this formula; leave it out", source, node.start, node.stop)
    return found


@lru_cache(maxsize=256)
def _parse(text: str, functions: frozenset[str]) -> Formula:
    response, rhs = parse_sides(text)
    _check_response(response, text, functions)
    fixed, typed = split_bars(rhs, text)
    if not typed:
        raise FormulaError(
            "no random effects terms specified in the formula; add one such as (1 | g), with g the grouping factor",
            text,
            rhs.start,
            rhs.stop,
        )
    formula = Formula(
        source=text,
        response=response,
        rhs=rhs,
        fixed=fixed,
        bars=tuple(bar for node in typed for bar in expand_bar(node, text, functions)),
        text=f"{deparse(response)} ~ {deparse(rhs)}",
        functions=functions,
    )
    if not formula.has_dot:
        formula.fixed_terms()
    return formula


def _is_counts(response: Node) -> bool:
    return isinstance(response, Call) and response.function == "cbind"


def _check_response(response: Node, text: str, functions: frozenset[str]) -> None:
    if isinstance(response, Name) and response.name == ".":
        raise FormulaError("the response cannot be `.`; name a column", text, response.start, response.stop)
    if not (isinstance(response, Call) and response.function == "cbind" and "cbind" not in functions):
        check_expression(response, text, functions)
        return
    if len(response.arguments) != 2 or any(response.keywords):
        message = "cbind() takes two columns, cbind(successes, failures)"
        raise FormulaError(message, text, response.start, response.stop)
    for argument in response.arguments:
        check_expression(argument, text, functions)
