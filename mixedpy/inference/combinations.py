"""Linear combinations of coefficients written as in algebra: "Ab - Ac", "(Intercept) + 9 * Days"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.errors import DataError

__all__ = ["combination_of"]

_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[\w.:()^]+")
_MOST, _DEEPEST = 2_000, 100
"""Longest text that is read, in characters, and the deepest nesting of signs and parentheses."""


def combination_of(text: str, names: Sequence[str]) -> Floats:
    """Read the weights of coefficients from a sum.

    Parameters
    ----------
    text : str
        Coefficients with ``+``, ``-``, numbers, ``*``, ``/`` and parentheses. Names are read as long as they go, so
        that "Ab:Bv" is one coefficient, and so is "I(x^2)".
    names : sequence of str
        The p coefficients.

    Returns
    -------
    (p,) array
        Their weights.

    Raises
    ------
    DataError
        If the text names an unknown coefficient, is no sum, or is not linear.

    Examples
    --------
    >>> combination_of("(Intercept) + 9*Days", ["(Intercept)", "Days"]).tolist()
    [1.0, 9.0]
    >>> combination_of("(Ab + Ac)/2 - Ad", ["Ab", "Ac", "Ad"]).tolist()
    [0.5, 0.5, -1.0]
    """
    if len(text) > _MOST:
        raise DataError(f"contrast: the text has {len(text)} characters; at most {_MOST} are read")
    reader = _Reader(text, tuple(names), _tokens(text, names))
    found = reader.sum()
    if reader.position < len(reader.tokens):
        raise reader.error()
    if found[-1] != 0.0:
        raise DataError(f"contrast: {text!r} has a number without a coefficient; give values of the hypothesis as rhs=")
    return found[:-1]


def _tokens(text: str, names: Sequence[str]) -> list[str]:
    longest_first = sorted(names, key=len, reverse=True)
    tokens, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        name = next((name for name in longest_first if text.startswith(name, at) and _ends(text, at + len(name))), None)
        number = _NUMBER.match(text, at)
        if name is not None:
            tokens.append(name)
        elif number is not None and _ends(text, number.end()):
            tokens.append(number.group())
        elif text[at] in "+-*/()":
            tokens.append(text[at])
        else:
            word = _WORD.match(text, at)
            seen = word.group() if word else text[at]
            known = f"the fixed effects are {', '.join(names)}" if names else "the model has none"
            raise DataError(f"contrast: there is no fixed effect {seen!r}; {known}")
        at += len(tokens[-1])
    return tokens


def _ends(text: str, at: int) -> bool:
    """Whether a name may end here: no letter, digit, dot or colon follows."""
    return at == len(text) or not (text[at].isalnum() or text[at] in "_.:")


@dataclass(slots=True)
class _Reader:
    """Reads tokens by operator precedence; values are weights of the coefficients and, last, a number."""

    text: str
    names: tuple[str, ...]
    tokens: list[str]
    position: int = 0
    depth: int = 0

    def error(self) -> DataError:
        where = repr(self.tokens[self.position]) if self.position < len(self.tokens) else "the end"
        return DataError(
            f"contrast: {self.text!r} cannot be read at {where}; write a sum of coefficients such as 'Ab - Ac'"
        )

    def take(self, choices: str) -> str | None:
        """The next token, if it is one of these operators."""
        if self.position < len(self.tokens) and self.tokens[self.position] in tuple(choices):
            self.position += 1
            return self.tokens[self.position - 1]
        return None

    def sum(self) -> Floats:
        value = self.product()
        while sign := self.take("+-"):
            right = self.product()
            value = value + right if sign == "+" else value - right
        return value

    def product(self) -> Floats:
        value = self.factor()
        while operator := self.take("*/"):
            right = self.factor()
            if operator == "*" and not value[:-1].any():
                value, right = right, value
            if right[:-1].any() or (operator == "/" and right[-1] == 0.0):
                raise DataError(f"contrast: {self.text!r} is not linear in the coefficients")
            value = value * right[-1] if operator == "*" else value / right[-1]
        return value

    def factor(self) -> Floats:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.error()
        value = self.operand()
        self.depth -= 1
        return value

    def operand(self) -> Floats:
        if sign := self.take("+-"):
            return self.factor() if sign == "+" else -self.factor()
        if self.take("("):
            value = self.sum()
            if not self.take(")"):
                raise self.error()
            return value
        if self.position == len(self.tokens):
            raise self.error()
        token = self.tokens[self.position]
        value = np.zeros(len(self.names) + 1)
        if token in self.names:
            value[self.names.index(token)] = 1.0
        elif _NUMBER.fullmatch(token):
            value[-1] = float(token)
        else:
            raise self.error()
        self.position += 1
        return value
