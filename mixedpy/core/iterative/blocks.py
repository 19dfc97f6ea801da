"""Block-diagonal matrices over the levels of the trailing terms: the preconditioner and its square root."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.factor.trailing import Trailing

__all__ = ["LevelBlocks", "apply_levels", "inverse_blocks"]


def apply_levels(blocks: Floats, V: Floats, *, transposed: bool = False) -> Floats:
    """Multiply the blocks (m, m, J), or their transposes, with V (m, J, c), level by level."""
    m = len(blocks)
    if m == 1:
        scaled: Floats = blocks[0, 0][:, None] * V
        return scaled
    out = np.empty(V.shape)
    for a in range(m):
        for b in range(m):
            term = (blocks[b, a] if transposed else blocks[a, b])[:, None] * V[b]
            if b:
                out[a] += term
            else:
                out[a] = term
    return out


def inverse_blocks(D: Floats) -> Floats:
    """Inverses of positive definite blocks (m, m, J)."""
    U = _transposed_inverse(_cholesky(D))
    return np.einsum("acj,bcj->abj", U, U)


class LevelBlocks:
    """A positive definite matrix D with one m x m block for every level of every trailing term, and its square root C.

    Parameters
    ----------
    trailing : Trailing
        Layout of the rows.
    blocks : sequence of (m, m, J) arrays
        The blocks of each term.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a block is not positive definite.
    """

    def __init__(self, trailing: Trailing, blocks: Sequence[Floats]):
        self.trailing = trailing
        self.lower = [_cholesky(D) for D in blocks]  # C, with D = CC'
        self.upper_inverse = [_transposed_inverse(C) for C in self.lower]  # C^-T
        self.inverse = [np.einsum("acj,bcj->abj", U, U) for U in self.upper_inverse]  # D^-1

    @property
    def logdet(self) -> float:
        """log|D|."""
        return 2.0 * sum(float(np.log(np.einsum("aaj->aj", C)).sum()) for C in self.lower)

    def _apply(self, blocks: Sequence[Floats], V: Floats, *, transposed: bool = False) -> Floats:
        out = np.empty(V.shape)
        for share, B, own in zip(self.trailing.shares(), blocks, self.trailing.split(V), strict=True):
            out[share] = apply_levels(B, own, transposed=transposed).reshape(-1, V.shape[1])
        return out

    def solve(self, V: Floats) -> Floats:
        """D^-1 V for V (q, c)."""
        return self._apply(self.inverse, V)

    def root(self, V: Floats) -> Floats:
        """C V."""
        return self._apply(self.lower, V)

    def root_transposed(self, V: Floats) -> Floats:
        """C'V."""
        return self._apply(self.lower, V, transposed=True)

    def root_inverse(self, V: Floats) -> Floats:
        """C^-1 V."""
        return self._apply(self.upper_inverse, V, transposed=True)

    def root_inverse_transposed(self, V: Floats) -> Floats:
        """C^-T V."""
        return self._apply(self.upper_inverse, V)


def _cholesky(D: Floats) -> Floats:
    """Lower triangular factors of the blocks (m, m, J), written out over the level axis."""
    m = len(D)
    C = np.zeros(D.shape)
    for a in range(m):
        for b in range(a + 1):
            v = D[a, b] - np.einsum("cj,cj->j", C[a, :b], C[b, :b])
            if a != b:
                C[a, b] = v / C[b, b]
                continue
            if not (v > 0).all():
                raise np.linalg.LinAlgError("a level block of the Schur complement is not positive definite")
            np.sqrt(v, out=C[a, a])
    return C


def _transposed_inverse(C: Floats) -> Floats:
    """C^-T of lower triangular blocks (m, m, J), by forward substitution on the unit vectors."""
    m = len(C)
    out = np.zeros(C.shape)  # upper triangular: out[b, a] = (C^-1)[a, b]
    for a in range(m):
        out[a, a] = 1.0 / C[a, a]
        for b in range(a):
            out[b, a] = -np.einsum("cj,cj->j", C[a, b:a], out[b, b:a]) * out[a, a]
    return out
