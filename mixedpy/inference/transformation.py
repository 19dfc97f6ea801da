"""The transformation that a formula applies to its response, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.family import BetaBinomial, Binomial, Family, Hurdle, Poisson, ZeroInflated
from mixedpy.design.bases import BasisState
from mixedpy.formula import deparse
from mixedpy.formula.syntax import Binary, Call, Name, Node, Number, Paren

__all__ = ["Transformation", "link_transformation", "transformation_of"]

_Function = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Transformation:
    """A monotone function of the response.

    Attributes
    ----------
    name : str
        As the formula has it: "log", "sqrt".
    inverse, slope : callable
        The response at a value of the scale of the model, and the derivative there.
    ratio : bool
        Whether differences on the scale of the model are ratios of responses, or of odds.
    column : str
        Name of a column of responses.
    ratios : str
        Name of a column of ratios.
    differences : Transformation or None
        That of differences, where it is not the same.
    """

    name: str
    inverse: _Function
    slope: _Function
    ratio: bool
    column: str = "response"
    ratios: str = "ratio"
    differences: Transformation | None = None


def _logarithm(base: float) -> tuple[_Function, _Function]:
    scale = np.log(base)
    return (lambda x: np.exp(scale * x)), (lambda x: scale * np.exp(scale * x))


_KNOWN: dict[str, tuple[_Function, _Function]] = {
    "log": _logarithm(np.e),
    "log2": _logarithm(2.0),
    "log10": _logarithm(10.0),
    "log1p": (np.expm1, np.exp),
    "sqrt": (np.square, lambda x: 2.0 * x),
    "exp": (np.log, lambda x: 1.0 / x),
}


def transformation_of(response: Node, states: Mapping[str, BasisState] | None = None) -> Transformation | None:
    """Recognize the transformation of a response such as ``log(y)`` or ``sqrt(y + 0.5)``; None if there is none known.

    Parameters
    ----------
    response : Node
        Left side of the formula.
    states : mapping of str to BasisState, optional
        Constants of the fit by the texts of calls, for ``scale(y)``.

    Examples
    --------
    >>> from mixedpy.formula import parse
    >>> found = transformation_of(parse("log(y + 1) ~ x + (1 | g)").response)
    >>> found.name, round(float(found.inverse(np.log(5.0))), 12), found.ratio
    ('log(mu + 1)', 4.0, False)
    """
    if not isinstance(response, Call):
        return None
    if response.function in ("scale", "center") and isinstance(response.arguments[0], Name):
        return _standardization((states or {})[deparse(response)])
    if response.function not in _KNOWN or len(response.arguments) != 1:
        return None
    inner = response.arguments[0]
    inverse, slope = _KNOWN[response.function]
    if isinstance(inner, Binary) and inner.operator in ("+", "-") and _constant(inner.right) is not None:
        shift = _constant(inner.right) or 0.0
        if inner.operator == "-":
            shift = -shift
        name = f"{response.function}(mu {inner.operator} {deparse(inner.right)})"
        return Transformation(name, lambda x: inverse(x) - shift, slope, ratio=False)
    return Transformation(response.function, inverse, slope, ratio=response.function in ("log", "log2", "log10"))


def _standardization(state: BasisState) -> Transformation:
    """(y - center) / scale, whose constants are read off two of its values."""
    at_zero, at_one = state.columns(np.array([0.0, 1.0]))[:, 0].tolist()
    scale = 1.0 / (at_one - at_zero)
    center = 0.0 - at_zero * scale
    name = f"scale({center:.3g}, {scale:.3g})"
    return Transformation(name, lambda x: center + scale * x, lambda x: np.full_like(x, scale), ratio=False)


def link_transformation(family: Family) -> Transformation | None:
    """Make the transformation of the mean that a link is, with R's names; None for the identity.

    Examples
    --------
    >>> from mixedpy.core.family import Binomial
    >>> found = link_transformation(Binomial("logit"))
    >>> found.column, found.inverse(np.zeros(1)).tolist(), found.differences.name
    ('prob', [0.5], 'log odds ratio')
    """
    if family.link == "identity":
        return None
    link = family.linkage
    while isinstance(family, ZeroInflated | Hurdle):
        family = family.counts
    column = "response"
    if isinstance(family, Binomial | BetaBinomial):
        column = "prob"
    elif isinstance(family, Poisson):
        column = "rate"
    odds = None
    if link.name == "logit":
        odds = Transformation("log odds ratio", np.exp, np.exp, ratio=True, ratios="odds.ratio")
    ratio = link.name in ("log", "logit")
    return Transformation(link.name, link.inverse, lambda x: link.derivatives(x)[1], ratio, column, differences=odds)


def _constant(node: Node) -> float | None:
    if isinstance(node, Paren):
        return _constant(node.inner)
    return node.value if isinstance(node, Number) else None
