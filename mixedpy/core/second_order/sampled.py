"""Crossed terms with many columns: products with K from elsewhere, traces from its products with probes.

For z with independent random signs over the levels of term i, put into effect a (call it z_a),

    tr(K E_r)       = E sum_ab E_r[a, b] z'(K z_a)_b
    tr(K E_r K E_s) = E sum_ab E_r[a, b] (K z_a)'E_s (K z_b)

(Hutchinson 1990, Commun. Stat. Simul. Comput. 19, 433). Terms with few columns take every unit vector in the place of
random signs, which is exact. The probes are the same at every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts

__all__ = ["Products", "Sampled"]

_PROBED_LEVELS = 80_000
"""Probes times levels of an effect: a trace then has a standard error of sqrt(2 / 80,000) = 0.5 % of itself."""

_PROBES = (2, 40)
"""Fewest and most probes for an effect."""

FEW = 200
"""Terms with up to this many columns are treated exactly where products with K are cheap."""


class Products(Protocol):
    """What multiplies by K, at one set of factors."""

    def fixed_products(self) -> list[Floats]:
        """Z'V^-1[X y] of each term, (m, p + 1, J)."""

    def random_products(self, W: list[Floats]) -> list[Floats]:
        """K W; W and the result are lists of one (m, c, J) array for each term."""


class Sampled:
    """K of crossed terms, its traces up to a small Monte-Carlo error."""

    def __init__(self, cp: CrossProducts, logdet: float, gram: Floats, products: Products, few: int = FEW):
        self.m, self.J, self.logdet, self.gram, self.products, self.few = cp.m, cp.J, logdet, gram, products, few

    def fixed(self) -> list[Floats]:
        """Z'V^-1[X y]."""
        return self.products.fixed_products()

    def apply(self, W: list[Floats]) -> list[Floats]:
        """K W."""
        return self.products.random_products(W)

    def traces(self, directions: Sequence[Floats]) -> tuple[Floats, Floats]:
        """tr(K E_r), and tr(K E_r K E_s) from the probes of the term that is treated exactly, or of both."""
        rng = np.random.default_rng(0)
        g, share = 0, []
        for E in directions:
            share.append(slice(g, g + len(E)))
            g += len(E)
        trace, trace2 = np.empty(g), np.empty((g, g))
        exact = [m * J <= self.few for m, J in zip(self.m, self.J, strict=True)]
        for i, (m, J, E) in enumerate(zip(self.m, self.J, directions, strict=True)):
            count = min(max(_PROBES[0], -(-_PROBED_LEVELS // J)), _PROBES[1])
            z = np.eye(J) if exact[i] else rng.choice([-1.0, 1.0], (count, J))  # (c, J)
            count = 1 if exact[i] else len(z)
            Kz = [self._column(i, a, z) for a in range(m)]
            own = np.array([[np.vdot(z, Kz[a][i][b]) for b in range(m)] for a in range(m)]) / count
            trace[share[i]] = np.einsum("rab,ab->r", E, own)
            for l, other in enumerate(directions):
                KK = np.array([[_gram(Kz[a][l], Kz[b][l]) for b in range(m)] for a in range(m)]) / count
                found = np.einsum("rab,abcd,scd->rs", E, KK, other, optimize=True)
                if l == i:
                    trace2[share[i], share[i]] = 0.5 * (found + found.T)
                elif l > i:
                    trace2[share[i], share[l]] = found
                elif exact[i] == exact[l]:
                    trace2[share[l], share[i]] = 0.5 * (trace2[share[l], share[i]] + found.T)
                elif exact[i]:
                    trace2[share[l], share[i]] = found.T
        upper = np.triu_indices(g, 1)
        trace2[upper[1], upper[0]] = trace2[upper]
        return trace, trace2

    def _column(self, i: int, a: int, z: Floats) -> list[Floats]:
        """K times z (c, J) put into effect a of term i."""
        W = [np.zeros((m, len(z), J)) for m, J in zip(self.m, self.J, strict=True)]
        W[i][a] = z
        return self.products.random_products(W)


def _gram(A: Floats, B: Floats) -> Floats:
    """Sums over probes and levels of products of the effects, (m, m), for A and B (m, c, J)."""
    out: Floats = A.reshape(len(A), -1) @ B.reshape(len(B), -1).T
    return out
