"""The terms that stay after the first is eliminated: their place in the Schur complement, and Lambda on it.

A trailing index is offset of the term + component x J + level, so that a term's rows reshape to (m, J, ...).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mixedpy.core.arrays import Floats

__all__ = ["Trailing"]


class Trailing:
    """Layout of the q trailing columns of terms with m_i effects over J_i levels."""

    def __init__(self, m: Sequence[int], J: Sequence[int]):
        self.m, self.J = tuple(m), tuple(J)
        sizes = [a * b for a, b in zip(m, J, strict=True)]
        self.offsets = tuple(np.cumsum([0, *sizes[:-1]]).tolist())
        self.q = sum(sizes)
        self.scalar = max(m) == 1

    def __len__(self) -> int:
        return len(self.m)

    def shares(self) -> Iterator[slice]:
        """Rows of each term."""
        for m, J, offset in zip(self.m, self.J, self.offsets, strict=True):
            yield slice(offset, offset + m * J)

    def split(self, B: Floats) -> list[Floats]:
        """Rows (q, ...) by term, each (m, J, ...)."""
        return [B[share].reshape(m, J, *B.shape[1:]) for share, m, J in zip(self.shares(), self.m, self.J, strict=True)]

    def diagonal(self, Lambdas: Sequence[Floats]) -> Floats:
        """Diagonal of the block-diagonal Lambda, (q,)."""
        return np.concatenate([np.repeat(np.diag(L), J) for L, J in zip(Lambdas, self.J, strict=True)])

    def multiply(self, Lambdas: Sequence[Floats], B: Floats, *, transposed: bool = False) -> Floats:
        """Lambda B or Lambda'B for B (q, c)."""
        if self.scalar:
            scaled: Floats = self.diagonal(Lambdas)[:, None] * B
            return scaled
        out = np.empty(B.shape)
        for share, L in zip(self.shares(), Lambdas, strict=True):
            out[share] = ((L.T if transposed else L) @ B[share].reshape(len(L), -1)).reshape(-1, B.shape[1])
        return out
