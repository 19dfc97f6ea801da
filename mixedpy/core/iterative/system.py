"""The reduced system of the crossed terms as an operator: products, level blocks, nothing assembled.

After term 1 is eliminated level by level with B_j = Sigma_1 (I + A_j Sigma_1)^-1, the trailing terms 2 have

    S = A22 - A21 B A12        M = I + Lambda'S Lambda

A product with M is one pass over A12 and one over its transpose; S itself is never formed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossBlocks, CrossProducts
from mixedpy.core.factor.trailing import Trailing
from mixedpy.core.iterative.blocks import apply_levels

__all__ = ["Operator", "Pattern", "block_matrix", "cross_dense"]

Ints = NDArray[np.integer[Any]]

_CHUNK = 1 << 18
"""Blocks of A12 handled at a time where products of their entries are summed: no temporary is of their number."""


def block_matrix(blocks: CrossBlocks, m: tuple[int, int], J: tuple[int, int]) -> sp.csr_array:
    """Z_i'WZ_l of two terms with rows and columns effect x J + level; the arrays are shared where both are scalar."""
    pointer = np.zeros(J[0] + 1, np.int64)
    np.cumsum(np.bincount(blocks.rows, minlength=J[0]), out=pointer[1:])
    if pointer[-1] < np.iinfo(np.int32).max:
        pointer = pointer.astype(np.int32)
    parts = [
        [sp.csr_array((blocks.values[a, b], blocks.cols, pointer), shape=J) for b in range(m[1])] for a in range(m[0])
    ]
    return parts[0][0] if m == (1, 1) else sp.csr_array(sp.block_array(parts, format="csr"))


def cross_dense(cp: CrossProducts, i: int, l: int) -> Floats:
    """Z_i'WZ_l of two terms, i < l, densely: (m_i J_i, m_l J_l)."""
    blocks, (mi, ml), (Ji, Jl) = cp.cross[i, l], (cp.m[i], cp.m[l]), (cp.J[i], cp.J[l])
    out = np.zeros((mi, Ji, ml, Jl))
    for a in range(mi):
        for b in range(ml):
            out[a, blocks.rows, b, blocks.cols] = blocks.values[a, b]
    return out.reshape(mi * Ji, ml * Jl)


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
        self.A12 = parts[0] if len(parts) == 1 else sp.csr_array(sp.hstack(parts, format="csr"))
        self.A21 = self.A12.T
        self.A22 = self._own()

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

    def squares(self, B: Floats) -> list[Floats]:
        """Level blocks of A21 B A12 for B (m, m, J): sum_j a_jl'B_j a_jl, (m_l, m_l, J_l) for each trailing term."""
        out = []
        for l in self.terms:
            blocks, m = self.cp.cross[0, l], self.cp.m[l]
            total = np.zeros((m, m, self.cp.J[l]))
            for rows, cols, values in _chunks(blocks):
                Ba = _left(B, rows, values)
                for a in range(m):
                    for b in range(a + 1):
                        total[a, b] += np.bincount(cols, (values[:, a] * Ba[:, b]).sum(0), self.cp.J[l])
            out.append(_symmetric(total))
        return out

    def swept_squares(self, G: Sequence[Floats]) -> Floats:
        """Level blocks of A12 G A21 for level blocks G (m_l, m_l, J_l): sum_l a_jl G_l a_jl', (m, m, J)."""
        total = np.zeros((self.m, self.m, self.J))
        for l, own in zip(self.terms, G, strict=True):
            for rows, cols, values in _chunks(self.cp.cross[0, l]):
                aG = _left(own, cols, values.transpose(1, 0, 2))  # (m_l, m, chunk)
                for a in range(self.m):
                    for b in range(a + 1):
                        first = int(rows[0])
                        sums = np.bincount(rows - first, (values[a] * aG[:, b]).sum(0))
                        total[a, b, first : first + len(sums)] += sums
        return _symmetric(total)


def _chunks(blocks: CrossBlocks) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Rows, columns and values (m_i, m_l, chunk) of the blocks, some at a time."""
    for start in range(0, len(blocks.rows), _CHUNK):
        own = slice(start, start + _CHUNK)
        yield blocks.rows[own], blocks.cols[own], blocks.values[..., own]


def _left(B: Floats, levels: Ints, values: Floats) -> Floats:
    """B_j times the blocks (m, c, chunk) of the given levels."""
    if len(B) == 1:
        scaled: Floats = B[0, 0][levels] * values
        return scaled
    return np.einsum("abj,bcj->acj", B[:, :, levels], values)


def _symmetric(total: Floats) -> Floats:
    """Copy the lower triangle of the blocks (m, m, J) onto the upper one."""
    for a in range(len(total)):
        for b in range(a):
            total[b, a] = total[a, b]
    return total


@dataclass(frozen=True, slots=True)
class Operator:
    """S and M at one theta.

    Attributes
    ----------
    pattern : Pattern
        The matrices behind them.
    B : (m, m, J) array
        Posterior covariance blocks of the eliminated term.
    Lambdas : list of (m, m) arrays
        Relative covariance factors of the trailing terms.
    """

    pattern: Pattern
    B: Floats
    Lambdas: list[Floats]

    def eliminated(self, V: Floats) -> Floats:
        """A12 V for V (q, c), as (m, J, c)."""
        pattern = self.pattern
        return (pattern.A12 @ V).reshape(pattern.m, pattern.J, -1)

    def S(self, V: Floats) -> Floats:
        """S V for V (q, c)."""
        pattern = self.pattern
        inner = apply_levels(self.B, self.eliminated(V))
        out: Floats = pattern.A22 @ V
        out -= pattern.A21 @ inner.reshape(pattern.m * pattern.J, -1)
        return out

    def M(self, V: Floats) -> Floats:
        """M V for V (q, c)."""
        trailing = self.pattern.trailing
        out = trailing.multiply(self.Lambdas, self.S(trailing.multiply(self.Lambdas, V)), transposed=True)
        out += V
        return out

    def blocks(self) -> list[Floats]:
        """Level blocks of M, (m, m, J) for each trailing term."""
        out = []
        for l, W, L in zip(self.pattern.terms, self.pattern.squares(self.B), self.Lambdas, strict=True):
            D = np.einsum("ca,cdj,db->abj", L, self.pattern.cp.own[l] - W, L, optimize=True)
            D[np.diag_indices(len(L))] += 1.0
            out.append(D)
        return out
