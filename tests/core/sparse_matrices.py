"""Sparse symmetric positive definite matrices of the shapes that mixed models give, as lower triangles by columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

BACKENDS = ("cholmod", "superlu")


@dataclass(frozen=True)
class Lower:
    """A lower triangle by columns, rows sorted, the diagonal full."""

    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray

    @property
    def q(self) -> int:
        return len(self.indptr) - 1

    @property
    def columns(self) -> np.ndarray:
        return np.repeat(np.arange(self.q), np.diff(self.indptr))

    def dense(self, values: np.ndarray | None = None) -> np.ndarray:
        values = self.values if values is None else values
        A = np.zeros((self.q, self.q))
        A[self.indices, self.columns] = values
        A[self.columns, self.indices] = values
        return A


def positive_definite(q: int, rows, columns, seed: int = 0) -> Lower:
    """Random values of either sign at the entries, and a diagonal that dominates them."""
    rows, columns = np.asarray(rows, dtype=int), np.asarray(columns, dtype=int)
    off = rows != columns
    r, c = np.maximum(rows, columns)[off], np.minimum(rows, columns)[off]
    key = np.unique(c * q + r)
    r, c = key % q, key // q
    rng = np.random.default_rng(seed)
    x = rng.normal(size=len(r))
    weight = np.bincount(r, np.abs(x), q) + np.bincount(c, np.abs(x), q) + rng.uniform(0.1, 2, q)
    both = sp.csc_array(
        (np.concatenate([weight, x]), (np.append(np.arange(q), r), np.append(np.arange(q), c))), shape=(q, q)
    )
    both.sort_indices()
    return Lower(both.indptr, both.indices, both.data)


def random_matrix(q: int, entries: int, seed: int) -> Lower:
    rng = np.random.default_rng(seed)
    return positive_definite(q, rng.integers(0, q, entries), rng.integers(0, q, entries), seed)


def diagonal(q: int) -> Lower:
    return positive_definite(q, [], [])


def banded(q: int, width: int) -> Lower:
    i = np.arange(q)
    pairs = [(i[k:], i[:-k]) for k in range(1, width + 1)]
    return positive_definite(q, np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs]))


def arrow(blocks: int, size: int, border: int) -> Lower:
    """Dense diagonal blocks, each joined to a common border, in shuffled order."""
    q = blocks * size + border
    i, j = np.tril_indices(size, -1)
    start = size * np.arange(blocks)[:, None]
    body, edge = np.arange(blocks * size), blocks * size + np.arange(border)
    rows = np.concatenate([(start + i).ravel(), np.tile(edge, len(body)), np.repeat(edge, border)])
    columns = np.concatenate([(start + j).ravel(), np.repeat(body, border), np.tile(edge, border)])
    shuffle = np.random.default_rng(3).permutation(q)
    return positive_definite(q, shuffle[rows], shuffle[columns])


def grid(side: int) -> Lower:
    """A square grid, whose good orderings are nested dissections."""
    k = np.arange(side * side).reshape(side, side)
    rows = np.concatenate([k[1:].ravel(), k[:, 1:].ravel()])
    return positive_definite(side * side, rows, np.concatenate([k[:-1].ravel(), k[:, :-1].ravel()]))


def full(q: int) -> Lower:
    return positive_definite(q, *np.tril_indices(q, -1))


def forest() -> Lower:
    """Unconnected parts, among them single columns."""
    return positive_definite(90, [1, 2, 40, 41, 42, 43, 80], [0, 1, 39, 39, 39, 42, 20])


SHAPES = {
    "one": diagonal(1),
    "two": full(2),
    "diagonal": diagonal(25),
    "forest": forest(),
    "tridiagonal": banded(120, 1),
    "banded": banded(150, 6),
    "arrow": arrow(12, 5, 4),
    "grid": grid(18),
    "full": full(45),
    "random": random_matrix(200, 320, 5),
    "filling": random_matrix(120, 700, 6),
}


@st.composite
def matrices(draw: st.DrawFn, largest: int = 40) -> Lower:
    q = draw(st.integers(1, largest))
    return random_matrix(q, draw(st.integers(0, 4 * q)), draw(st.integers(0, 2**32 - 1)))
