"""The Schur complement as a linear function of the eliminated term's level blocks.

vec(S) = vec(A22) - sum_{a >= b} P_ab vec(B_ab), where B is the posterior covariance block of every level. P holds, for
each level, all pairs of trailing columns that meet in it. Building S is then one sparse product, and the trace terms of
the gradient are one product with the transpose on the same arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.sparsetools import CompressedColumns

__all__ = ["LevelPairs", "lower_pairs"]

Ints = NDArray[np.integer[Any]]

_CHUNK = 1 << 15
"""Entries expanded at a time: larger work arrays cost more in page faults than in arithmetic."""


def lower_pairs(m: int) -> list[tuple[int, int]]:
    """Positions of a lower triangle, row by row."""
    return [(a, b) for a in range(m) for b in range(a + 1)]


class LevelPairs:
    """All pairs of entries within each level.

    Parameters
    ----------
    pointer : (J + 1,) array
        Entries of level j stand at ``pointer[j]:pointer[j + 1]``.
    columns : (e,) array
        Trailing column of every entry, increasing within a level.
    values : (m, e) array
        The entry's row of Z_1'Z_2 for each effect of the eliminated term.
    use : (J,) bool array
        Levels to expand; the others have no pairs.
    position : callable
        Storage position of trailing row r and column c, r >= c.
    size : int
        Length of the storage.
    """

    def __init__(
        self,
        pointer: Ints,
        columns: Ints,
        values: Floats,
        use: NDArray[np.bool_],
        position: Callable[[Ints, Ints], Ints],
        size: int,
    ):
        m, counts = len(values), np.diff(pointer)
        entries = np.flatnonzero(np.repeat(use, counts))  # every entry pairs with itself and those before it
        first = np.repeat(pointer[:-1], counts)[entries]
        partners = entries - first + 1
        ends = np.concatenate([[0], np.cumsum(partners)])
        n_pairs = int(ends[-1])
        per_level = np.where(use, counts * (counts + 1) // 2, 0)
        where = np.empty(n_pairs, np.int32)
        self.values = [np.empty(n_pairs) for _ in lower_pairs(m)]
        cuts = np.unique(np.append(np.searchsorted(ends, np.arange(0, n_pairs, _CHUNK)), len(entries)))
        for start, stop in pairwise(cuts.tolist()):
            repeats = partners[start:stop]
            low, high = ends[start], ends[stop]
            other = np.repeat(first[start:stop] - ends[start:stop], repeats)
            other += np.arange(low, high)
            here = entries[start:stop]
            where[low:high] = position(np.repeat(columns[here], repeats), columns[other])
            ours = [np.repeat(values[a, here], repeats) for a in range(m)]
            theirs = [values[a][other] for a in range(m)]
            for target, (a, b) in zip(self.values, lower_pairs(m), strict=True):
                np.multiply(ours[a], theirs[b], out=target[low:high])
                if a != b:
                    target[low:high] += theirs[a] * ours[b]
        self.m = m
        self.compressed = CompressedColumns(np.concatenate([[0], np.cumsum(per_level)]), where, size)

    def subtract(self, B: Floats, storage: Floats) -> None:
        """storage -= sum_ab P_ab B_ab for level blocks B (m, m, J)."""
        for (a, b), values in zip(lower_pairs(self.m), self.values, strict=True):
            self.compressed.add_product(values, -B[a, b], storage)

    def traces(self, gamma: Floats) -> Floats:
        """a_j' Gamma a_j for every level, (m, m, J); gamma is Gamma in storage with its off-diagonals doubled."""
        out = np.empty((self.m, self.m, self.compressed.n_columns))
        for (a, b), values in zip(lower_pairs(self.m), self.values, strict=True):
            out[a, b] = self.compressed.transposed_product(values, gamma)
            if a != b:
                out[a, b] *= 0.5
                out[b, a] = out[a, b]
        return out
