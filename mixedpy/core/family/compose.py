"""Derivatives of a composed function, and l of a mean through its link (Faa di Bruno to fourth order)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["chain", "through_link"]

Floats = NDArray[np.float64]


def chain(outer: tuple[Floats, ...], inner: tuple[Floats, ...]) -> tuple[Floats, Floats, Floats, Floats]:
    """First four derivatives of f(g(x)) from those of f at g and those of g at x.

    Examples
    --------
    >>> x = np.array([0.5])
    >>> e = np.exp(x)
    >>> [float(d[0]) for d in chain((2 * e, 2 * np.ones(1), np.zeros(1), np.zeros(1)), (e, e, e, e))]  # exp(2 x)
    [5.43..., 10.87..., 21.74..., 43.49...]
    """
    f1, f2, f3, f4 = outer
    g1, g2, g3, g4 = inner
    square = g1 * g1
    return (
        f1 * g1,
        f2 * square + f1 * g2,
        f3 * square * g1 + 3.0 * f2 * g1 * g2 + f1 * g3,
        f4 * square * square + 6.0 * f3 * square * g2 + f2 * (4.0 * g1 * g3 + 3.0 * g2 * g2) + f1 * g4,
    )


def through_link(score: tuple[Floats, ...], mean: tuple[Floats, ...]) -> tuple[Floats, Floats, Floats, Floats]:
    """r, w, w1, w2 from dl/dmu and its first three derivatives, and from (mu, mu', ...)."""
    l1, l2, l3, l4 = chain(score, mean[1:])
    return l1, -l2, -l3, -l4
