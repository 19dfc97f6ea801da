"""The reduced system of the crossed terms as an operator: products, level blocks, nothing assembled.

After term 1 is eliminated level by level with B_j = Sigma_1 (I + A_j Sigma_1)^-1, the trailing terms 2 have

    S = A22 - A21 B A12        M = I + Lambda'S Lambda        M' = T'M T

with T the change of variables of nested terms (``nested``), the identity where there are none. A product with M' is one
pass over A12 and one over its transpose; S itself is never formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.trailing import Trailing
from mixedpy.core.iterative.blocks import LevelBlocks, apply_levels
from mixedpy.core.iterative.nested import Swept, find_nests
from mixedpy.core.iterative.products import block_matrix, column_squares, row_squares
from mixedpy.core.iterative.threads import SplitMatrix, available_threads

__all__ = ["Operator", "Pattern"]


class Pattern:
    """What does not depend on theta: A12, A22 and the level blocks, for a chosen set of trailing terms.

    Parameters
    ----------
    cp : CrossProducts
        At least two terms.
    terms : sequence of int
        The trailing terms that stay in the system, increasing, without term 0.
    """

    def __init__(self, cp: CrossProducts, terms: Sequence[int]):
        self.cp, self.terms = cp, tuple(terms)
        self.trailing = Trailing([cp.m[l] for l in terms], [cp.J[l] for l in terms])
        self.m, self.J = cp.m[0], cp.J[0]
        parts = [block_matrix(cp.cross[0, l], (cp.m[0], cp.m[l]), (cp.J[0], cp.J[l])) for l in terms]
        A12 = parts[0] if len(parts) == 1 else sp.csr_array(sp.hstack(parts, format="csr"))
        self.A12 = SplitMatrix(A12, available_threads())
        self.A22 = self._own()
        self.nests = find_nests(cp, self.terms)

    def _own(self) -> sp.csr_array:
        """Z2'WZ2, (q, q)."""
        cp, count = self.cp, len(self.terms)
        parts: list[list[Any]] = [[None] * count for _ in range(count)]
        for s, i in enumerate(self.terms):
            own = cp.own[i]
            diagonals = [[sp.diags_array(own[a, b]) for b in range(cp.m[i])] for a in range(cp.m[i])]
            parts[s][s] = sp.block_array(diagonals, format="csr")
            for t in range(s + 1, count):
                l = self.terms[t]
                parts[s][t] = block_matrix(cp.cross[i, l], (cp.m[i], cp.m[l]), (cp.J[i], cp.J[l]))
                parts[t][s] = parts[s][t].T
        return sp.csr_array(sp.block_array(parts, format="csr"))


class Operator:
    """S and M' at one theta.

    Parameters
    ----------
    pattern : Pattern
        The matrices behind them.
    B : (m, m, J) array
        Posterior covariance blocks of the eliminated term.
    Lambdas : list of (m, m) arrays
        Relative covariance factors of the trailing terms.

    Attributes
    ----------
    D : LevelBlocks
        The block diagonal of M'.
    sweeps : tuple of Swept
        The changes of variables that make up T.
    """

    def __init__(self, pattern: Pattern, B: Floats, Lambdas: list[Floats]):
        self.pattern, self.B, self.Lambdas = pattern, B, Lambdas
        self.shares = list(pattern.trailing.shares())
        cp, terms = pattern.cp, pattern.terms
        S = {}
        blocks: list[Floats] = [np.empty(0)] * len(terms)
        for s in set(range(len(terms))) - {nest.outer for nest in pattern.nests}:
            S[s] = cp.own[terms[s]] - column_squares(cp.cross[0, terms[s]], B, cp.J[terms[s]])
            blocks[s] = np.einsum("ca,cdj,db->abj", Lambdas[s], S[s], Lambdas[s], optimize=True)
            blocks[s][np.diag_indices(len(Lambdas[s]))] += 1.0
        sweeps = []
        for nest in pattern.nests:
            swept = Swept(cp, terms, nest, S[nest.inner], blocks[nest.inner], Lambdas)
            blocks[nest.outer] = swept.own - column_squares(swept.blocks, B, cp.J[terms[nest.outer]])
            sweeps.append(swept)
        self.sweeps = tuple(sweeps)
        self.D = LevelBlocks(pattern.trailing, blocks)

    def turn(self, V: Floats) -> Floats:
        """T V for V (q, c)."""
        if not self.sweeps:
            return V
        out = V.copy()
        for swept in self.sweeps:
            out[self.shares[swept.nest.inner]] -= swept.matrix @ V[self.shares[swept.nest.outer]]
        return out

    def turn_transposed(self, V: Floats) -> Floats:
        """T'V."""
        if not self.sweeps:
            return V
        out = V.copy()
        for swept in self.sweeps:
            out[self.shares[swept.nest.outer]] -= swept.matrix.T @ V[self.shares[swept.nest.inner]]
        return out

    def expand(self, V: Floats) -> Floats:
        """Lambda T V: the random effects of the coordinates V."""
        return self.pattern.trailing.multiply(self.Lambdas, self.turn(V))

    def restrict(self, V: Floats) -> Floats:
        """T'Lambda'V."""
        return self.turn_transposed(self.pattern.trailing.multiply(self.Lambdas, V, transposed=True))

    def eliminated(self, V: Floats) -> Floats:
        """A12 V for V (q, c), as (m, J, c)."""
        pattern = self.pattern
        return pattern.A12.multiply(V).reshape(pattern.m, pattern.J, -1)

    def S(self, V: Floats) -> Floats:
        """S V for V (q, c)."""
        pattern = self.pattern
        inner = apply_levels(self.B, self.eliminated(V))
        out: Floats = pattern.A22 @ V
        out -= pattern.A12.multiply_transposed(inner.reshape(pattern.m * pattern.J, -1))
        return out

    def M(self, V: Floats) -> Floats:
        """M' V for V (q, c)."""
        trailing, turned = self.pattern.trailing, self.turn(V)
        out = trailing.multiply(self.Lambdas, self.S(trailing.multiply(self.Lambdas, turned)), transposed=True)
        out += turned
        return self.turn_transposed(out)

    def known_squares(self) -> Floats:
        """Level blocks of A12 Lambda T D^-1 T'Lambda'A21, (m, m, J)."""
        cp, J = self.pattern.cp, self.pattern.J
        outer = {swept.nest.outer: swept for swept in self.sweeps}
        total = np.zeros((self.pattern.m, self.pattern.m, J))
        for s, (l, L, inverse) in enumerate(zip(self.pattern.terms, self.Lambdas, self.D.inverse, strict=True)):
            if s in outer:
                total += row_squares(outer[s].blocks, inverse, J)
            else:
                total += row_squares(cp.cross[0, l], np.einsum("ac,cdj,bd->abj", L, inverse, L, optimize=True), J)
        return total

    def known_inverse(self, s: int) -> Floats:
        """Sum of the level blocks of T D^-1 T' for a term of the system, (m, m)."""
        total: Floats = self.D.inverse[s].sum(2)
        for swept in self.sweeps:
            if swept.nest.inner == s:
                GD = np.einsum("acj,cbj->abj", swept.G, self.D.inverse[swept.nest.outer][:, :, swept.nest.parent])
                total = total + np.einsum("acj,bcj->ab", GD, swept.G)
        return total
