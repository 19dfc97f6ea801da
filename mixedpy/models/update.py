"""Formulas changed by a template in which a dot stands for the old side, as R's ``update.formula``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from mixedpy.errors import FormulaError
from mixedpy.formula.algebra import expand
from mixedpy.formula.bars import is_structured
from mixedpy.formula.deparse import deparse
from mixedpy.formula.model import parse
from mixedpy.formula.parser import parse_sides
from mixedpy.formula.syntax import Binary, Call, Name, Node, Paren, Unary, left_spine

__all__ = ["remaining_contrasts", "update_formula"]


def update_formula(old: str, template: str, functions: Collection[str] = ()) -> str:
    """Put the sides of a formula in the place of the dots of a template, and simplify.

    Parameters
    ----------
    old : str
        The formula to change.
    template : str
        The new formula; a left side left out stays as it was.
    functions : collection of str
        Functions that the user added.

    Returns
    -------
    str
        The terms written out, lower orders first.

    Examples
    --------
    >>> update_formula("y ~ x + (x | g)", ". ~ . + z - (x | g) + (1 | g)")
    'y ~ x + z + (1 | g)'
    >>> update_formula("y ~ a * b + (1 | g)", "log(.) ~ . - a:b")
    'log(y) ~ a + b + (1 | g)'
    >>> update_formula("y ~ x + (1 | g)", "~ . - 1")
    'y ~ x + (1 | g) - 1'
    """
    response, terms = parse_sides(old)
    if template.lstrip().startswith("~"):
        template = f". {template.lstrip()}"
    new_response, new_terms = parse_sides(template)
    bars: dict[str, str] = {}
    right = _name_bars(_replace_dots(new_terms, Paren(terms)), bars)
    expanded = expand(right, template, functions=functions)
    labels = [bars.get(label, label) for label in expanded.labels]
    for bar, text in bars.items():
        if any(bar in label for label in labels):
            raise FormulaError(f"the random term {text} cannot be part of an interaction; add it with +", template, 0)
    labels += [f"offset({deparse(node)})" for node in expanded.offsets]
    if not labels:
        labels = ["1"] if expanded.intercept else ["0"]
    elif not expanded.intercept:
        labels[-1] += " - 1"
    return f"{deparse(_replace_dots(new_response, response))} ~ {' + '.join(labels)}"


def remaining_contrasts(
    contrasts: Mapping[str, Any] | None, formula: str, functions: Collection[str] | None
) -> Mapping[str, Any] | None:
    """The contrasts of a fit that are of factors in the fixed part of another formula, which may lack some.

    Examples
    --------
    >>> remaining_contrasts({"a": "contr.sum", "b": "contr.sum"}, "y ~ a + x + (1 | g)", None)
    {'a': 'contr.sum'}
    """
    parsed = parse(formula, functions or ())
    if not contrasts or parsed.has_dot:
        return contrasts
    terms = parsed.fixed_terms()
    used = {terms.names[v] for term in terms.terms for v in term}
    return {name: given for name, given in contrasts.items() if name in used}


def _replace_dots(node: Node, by: Node) -> Node:
    return _rewrite(node, lambda part: by if isinstance(part, Name) and part.name == "." else None)


def _name_bars(node: Node, bars: dict[str, str]) -> Node:
    """Put a name in the place of each random term, so that the algebra adds and removes it as a variable."""

    def stand_in(part: Node) -> Node | None:
        bar = isinstance(part, Paren) and isinstance(part.inner, Binary) and part.inner.operator in ("|", "||")
        if not (bar or is_structured(part)):
            return None
        name = Name(deparse(part))
        bars[deparse(name)] = name.name
        return name

    return _rewrite(node, stand_in)


def _rewrite(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """Replace the parts for which ``change`` gives another; long sums are walked in a loop, as deep trees cannot be."""
    changed = change(node)
    if changed is not None:
        return changed
    match node:
        case Binary():
            first, chain = left_spine(node)
            result = _rewrite(first, change)
            for operation in chain:
                result = replace(operation, left=result, right=_rewrite(operation.right, change))
            return result
        case Unary():
            return replace(node, operand=_rewrite(node.operand, change))
        case Paren():
            return replace(node, inner=_rewrite(node.inner, change))
        case Call():
            return replace(node, arguments=tuple(_rewrite(a, change) for a in node.arguments))
        case _:
            return node
