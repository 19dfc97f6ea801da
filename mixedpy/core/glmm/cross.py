"""Cross-products of the main term with the others: a dense array, or the non-zero entries with their pairs in a level.

K is the whitened block L_j^-1 C_j of every level, and K'K what eliminating the main term takes from the rest. Nested
factors have few pairs or none; partially crossed ones far fewer than the product of their sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats

__all__ = ["CrossStore", "DenseCross", "PairCross", "cross_store"]

Codes = NDArray[np.integer[Any]]

_DENSE_FLOP = 4e-11
"""Seconds per multiplication of a symmetric rank-k product, one thread."""

_DENSE_ENTRY = 4e-9
"""Seconds per entry of a dense block that is built and read."""

_PAIR = 2e-8
"""Seconds per pair of entries in a level."""

_PAIR_ENTRY = 1e-8
"""Seconds per stored entry."""


class CrossStore(Protocol):
    """How the blocks main term x rest are kept and multiplied; arrays are (m, ...), the store decides the rest."""

    @property
    def name(self) -> str:
        """Which store it is."""

    @property
    def seconds(self) -> float:
        """Estimated time of one elimination."""

    def build(self, weighted: Sequence[Sequence[Floats]]) -> Floats:
        """Sum rows: ``weighted[a][k]`` (n,) for effect a of the main term and effect column k of the rest."""

    def by_entry(self, levels: Floats) -> Floats:
        """Spread values per level (J,) so that they multiply a block."""

    def gram(self, K: Floats) -> Floats:
        """K'K, (q2, q2)."""

    def symmetric(self, T: Floats, K: Floats) -> Floats:
        """T'K + K'T, (q2, q2)."""

    def right(self, K: Floats, R: Floats) -> Floats:
        """K R on the pattern, R symmetric (q2, q2)."""

    def level_products(self, K: Floats, Q: Floats) -> Floats:
        """Inner products over each level, (m, m, J)."""

    def take(self, Q: Floats, k: int) -> Floats:
        """Entries of one effect's block Q at the rows of effect column k of the rest, (n,)."""

    def times(self, K: Floats, x: Floats) -> Floats:
        """K x for x (P, q2): (P, m, J)."""

    def transposed(self, K: Floats, z: Floats) -> Floats:
        """K'z for z (P, m, J): (P, q2)."""


def cross_store(codes: Codes, trailing: Sequence[Codes], J: int, m: int, q2: int) -> CrossStore:
    """Choose the store by estimated time.

    Parameters
    ----------
    codes : (n,) array
        Levels of the main term.
    trailing : sequence of (n,) arrays
        Trailing index of each row, per effect column of the rest.
    """
    flat = [codes * q2 + t for t in trailing]
    dense_seconds = _DENSE_FLOP * q2 * q2 * J * m + _DENSE_ENTRY * q2 * J * m
    if dense_seconds < 1e-4:
        return DenseCross(flat, J, m, q2, dense_seconds)
    sparse = PairCross(flat, J, m, q2)
    if sparse.seconds < dense_seconds:
        sparse.expand_pairs()
        return sparse
    return DenseCross(flat, J, m, q2, dense_seconds)


class DenseCross:
    """Blocks as an array (m, J, q2)."""

    name = "dense"

    def __init__(self, flat: Sequence[Codes], J: int, m: int, q2: int, seconds: float):
        self.flat, self.J, self.m, self.q2, self.seconds = flat, J, m, q2, seconds

    def build(self, weighted: Sequence[Sequence[Floats]]) -> Floats:
        """Sum rows into a dense array."""
        size = self.J * self.q2
        out = np.empty((self.m, self.J, self.q2))
        for a, columns in enumerate(weighted):
            total = np.bincount(self.flat[0], columns[0], size)
            for position, values in zip(self.flat[1:], columns[1:], strict=True):
                total += np.bincount(position, values, size)
            out[a] = total.reshape(self.J, self.q2)
        return out

    def by_entry(self, levels: Floats) -> Floats:
        """A column beside the rows of a block."""
        return levels[:, None]

    def gram(self, K: Floats) -> Floats:
        """One symmetric rank-k product."""
        flat = K.reshape(-1, self.q2)
        return flat.T @ flat

    def symmetric(self, T: Floats, K: Floats) -> Floats:
        """One product and its transpose."""
        G = T.reshape(-1, self.q2).T @ K.reshape(-1, self.q2)
        return G + G.T

    def right(self, K: Floats, R: Floats) -> Floats:
        """One product."""
        return (K.reshape(-1, self.q2) @ R).reshape(K.shape)

    def level_products(self, K: Floats, Q: Floats) -> Floats:
        """Row by row."""
        return np.array([[np.einsum("jc,jc->j", a, b) for b in Q] for a in K])

    def take(self, Q: Floats, k: int) -> Floats:
        """Look up."""
        return Q.ravel().take(self.flat[k])

    def times(self, K: Floats, x: Floats) -> Floats:
        """One product."""
        return (x @ K.reshape(-1, self.q2).T).reshape(-1, self.m, self.J)

    def transposed(self, K: Floats, z: Floats) -> Floats:
        """One product."""
        return z.reshape(len(z), -1) @ K.reshape(-1, self.q2)


class PairCross:
    """Blocks as (m, E) arrays over the E non-zero entries, sorted by level."""

    name = "pairs"

    def __init__(self, flat: Sequence[Codes], J: int, m: int, q2: int):
        self.J, self.m, self.q2 = J, m, q2
        n = len(flat[0])
        found, inverse = np.unique(np.concatenate(flat), return_inverse=True)
        self.E = len(found)
        self.entries = [inverse[k * n : (k + 1) * n] for k in range(len(flat))]
        self.level, self.col = found // q2, found % q2
        self.starts = np.searchsorted(self.level, np.arange(J))
        rank = np.arange(self.E) - self.starts[self.level]
        self.n_pairs = int(rank.sum())
        self.seconds = _PAIR * self.n_pairs * m + _PAIR_ENTRY * self.E * m

    def expand_pairs(self) -> None:
        """List all pairs of entries within a level: each entry with those before it."""
        rank = np.arange(self.E) - self.starts[self.level]
        self.one = np.repeat(np.arange(self.E), rank)
        before = np.arange(self.n_pairs) - np.repeat(np.cumsum(rank) - rank, rank)
        self.two = self.starts[self.level[self.one]] + before
        self.where = self.col[self.one] * self.q2 + self.col[self.two]

    def build(self, weighted: Sequence[Sequence[Floats]]) -> Floats:
        """Sum rows into the entries."""
        out = np.zeros((self.m, self.E))
        for a, columns in enumerate(weighted):
            for position, values in zip(self.entries, columns, strict=True):
                out[a] += np.bincount(position, values, self.E)
        return out

    def by_entry(self, levels: Floats) -> Floats:
        """The value of each entry's level."""
        return levels.take(self.level)

    def _full(self, pairs: Floats, diagonal: Floats) -> Floats:
        G = np.zeros((self.q2, self.q2))
        if self.n_pairs:
            G += np.bincount(self.where, pairs, self.q2 * self.q2).reshape(self.q2, self.q2)
            G += G.T.copy()
        G[np.diag_indices(self.q2)] += np.bincount(self.col, diagonal, self.q2)
        return G

    def gram(self, K: Floats) -> Floats:
        """By pairs."""
        pairs = sum((k.take(self.one) * k.take(self.two) for k in K), np.zeros(self.n_pairs))
        return self._full(pairs, np.asarray((K * K).sum(0), np.float64))

    def symmetric(self, T: Floats, K: Floats) -> Floats:
        """By pairs."""
        pairs = np.zeros(self.n_pairs)
        for t, k in zip(T, K, strict=True):
            pairs += t.take(self.one) * k.take(self.two) + t.take(self.two) * k.take(self.one)
        return self._full(pairs, np.asarray(2.0 * (T * K).sum(0), np.float64))

    def right(self, K: Floats, R: Floats) -> Floats:
        """By pairs, on the pattern only."""
        Q = np.diagonal(R).take(self.col) * K
        if self.n_pairs:
            r = R.ravel().take(self.where)
            for q, k in zip(Q, K, strict=True):
                q += np.bincount(self.one, r * k.take(self.two), self.E)
                q += np.bincount(self.two, r * k.take(self.one), self.E)
        return Q

    def level_products(self, K: Floats, Q: Floats) -> Floats:
        """Sums over the entries of a level."""
        return np.array([[np.add.reduceat(a * b, self.starts) for b in Q] for a in K])

    def take(self, Q: Floats, k: int) -> Floats:
        """Look up."""
        return Q.take(self.entries[k])

    def times(self, K: Floats, x: Floats) -> Floats:
        """Sums over the entries of a level."""
        return np.stack([np.stack([np.add.reduceat(k * v.take(self.col), self.starts) for k in K]) for v in x])

    def transposed(self, K: Floats, z: Floats) -> Floats:
        """Sums over the entries of a column."""
        return np.stack(
            [
                np.bincount(self.col, sum(k * v.take(self.level) for k, v in zip(K, levels, strict=True)), self.q2)
                for levels in z
            ]
        )
