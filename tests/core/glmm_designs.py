"""Blocks of rows with random effects for every family, and differences of functions of a vector."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixedpy.core.family import Family
from mixedpy.core.glmm.laplace import Block
from mixedpy.core.glmm.rows import Entry, Rows, Term
from tests.core.families import auxiliaries, predictor, weights

STRUCTURES = {
    "intercept": (False, 0),
    "slope": (True, 0),
    "crossed": (False, 1),
    "three crossed, slopes": (True, 2),
}
"""Whether the terms have slopes, and how many terms cross the first."""


def block(
    family: Family, structure: str, seed: int = 1, n: int = 300, *, expected: bool = False
) -> tuple[Block, np.ndarray]:
    """A block, and parameters near those that made it."""
    slopes, crossed = STRUCTURES[structure]
    rng = np.random.default_rng(seed)

    def codes(J: int) -> np.ndarray:
        return np.concatenate([np.arange(J), rng.integers(0, J, n - J)])

    x = 0.3 * rng.normal(size=n)
    own = (None, x) if slopes else (None,)
    terms = [Term(np.sort(codes(30)), 30, own)]
    terms += [Term(codes(12), 12, own)] if crossed else []
    terms += [Term(codes(7), 7, (None,))] if crossed > 1 else []
    eta = predictor(family, rng, n, 0.3)
    xi, m = auxiliaries(family, rng), weights(family, rng, n)
    y = family.draw(rng, m, eta, xi)
    offset = None if family.link in ("inverse", "1/mu^2") else 0.05 * rng.normal(size=n)
    rows = Rows(y, m, np.stack([np.ones(n), x]), offset, terms, [None for _ in family.auxiliary], 0.0)
    entries = tuple(Entry(t, a, b) for t, term in enumerate(terms) for b in range(term.m) for a in range(b, term.m))
    lam = [0.12 if e.a == e.b else 0.05 for e in entries]
    psi = np.concatenate([lam, [float(eta.mean()), 0.05], [float(value[0]) for value in xi]])
    return Block(rows, family, entries, expected), psi


def differences(f: Callable[[np.ndarray], np.ndarray | float], x: np.ndarray, h: float = 2e-3) -> np.ndarray:
    """Fourth-order central differences of f along every coordinate, (len(x), ...)."""
    steps = h * np.eye(len(x))
    return np.array([(8.0 * (f(x + e) - f(x - e)) - (f(x + 2.0 * e) - f(x - 2.0 * e))) / (12.0 * h) for e in steps])


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference over the largest entry."""
    return float(np.abs(a - b).max() / np.abs(b).max())
