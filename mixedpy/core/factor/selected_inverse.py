"""Entries of A^-1 on the pattern of A, from a sparse Cholesky factor and without the rest of the inverse.

With A[P][:, P] = L D L', L unit lower triangular, and Z = A[P][:, P]^-1, Takahashi's recursion runs up the columns: for
the rows R of column j below its diagonal,

    Z_Rj = -Z_RR L_Rj,        Z_jj = 1 / d_j - L_Rj' Z_Rj,

and needs no entry of Z outside the pattern of L (Takahashi, Fagan & Chin 1973; Erisman & Tinney 1975, Commun. ACM
18(3)). A column waits for its ancestors in the elimination tree only. Hence three regimes, all planned once:

- the trailing columns, where L is nearly full and the tree a chain, are one dense matrix inverted by LAPACK;
- heavy supernodes (neighbouring columns with one pattern) are dense blocks, each finding Z_RR in its parent's block;
- all other columns go level by level of the tree: one gather and two sparse products for all columns of a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import lapack

from mixedpy.core.arrays import Floats
from mixedpy.core.factor.cholesky import SparseCholesky
from mixedpy.core.sparsetools import CompressedColumns

__all__ = ["SelectedInverse"]

Ints = NDArray[np.integer[Any]]

_LEVEL, _BLOCK, _TAIL = 0, 1, 2  # regimes

# Seconds, measured on one core; they only steer the choice between the regimes.
_PER_PAIR = 2.0e-9
"""A pair of entries of one column in the level-wise regime."""
_PER_LEVEL = 8.0e-6
"""A level of the tree in the level-wise regime."""
_PER_BLOCK = 3.0e-5
"""A dense block, however small."""
_PER_ENTRY = 3.0e-9
"""An entry of a dense block, gathered or scattered."""
_PER_FLOP = 4.0e-11
"""A multiplication and addition in dense arithmetic."""
_MOST_PAIRS = 40_000_000
"""Limit on the pairs kept for the level-wise regime, 8 bytes each."""


@dataclass(frozen=True, slots=True)
class _Level:
    """Columns of the elimination tree that are ready together; positions are in the storage of Z."""

    diagonal: slice
    below: slice
    gathered: Ints
    """Position of Z_rs for every pair (r, s) of rows of a column, by r."""
    pairs: CompressedColumns
    """One column for every r, holding the positions of L_sj."""
    columns: CompressedColumns
    """One column for every j, holding its entries, counted from the first of the level."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A heavy supernode: width columns with one pattern, rows below them shared."""

    width: int
    size: int
    """Rows in all, the supernode's own first."""
    storage: slice
    panel: Ints
    """Place of the supernode's entries of L in a (size, width) Fortran-ordered panel."""
    parent: int
    """Position of the parent block, -1 for the dense tail, -2 for none."""
    inside: Ints
    """Place of the rows below in the parent's block."""
    children: int
    """Heavy supernodes whose parent this is."""


class SelectedInverse:
    """Entries of A^-1 on the analysed lower triangle of a sparse Cholesky factorization.

    Parameters
    ----------
    cholesky : SparseCholesky
        The factorization; only its symbolic part is used until ``compute``.

    Examples
    --------
    >>> from mixedpy.core.factor.cholesky import analyze
    >>> factor = analyze(np.array([0, 2, 3]), np.array([0, 1, 1]), 2, backend="superlu")
    >>> inverse = SelectedInverse(factor)
    >>> logdet = factor.update(np.array([4.0, 2.0, 3.0]))
    >>> inverse.compute().round(3).tolist()
    [0.375, -0.25, 0.5]
    """

    def __init__(self, cholesky: SparseCholesky):
        self._cholesky = cholesky
        q, indptr, indices = cholesky.q, cholesky.L_indptr.astype(np.int64), cholesky.L_indices
        parent, counts = cholesky.symbolic.parent, cholesky.symbolic.counts
        self._nnz = len(indices)
        regime = _plan(parent, counts)
        blocks, tail, heavy = regime == _BLOCK, regime == _TAIL, regime != _LEVEL
        levels = _levels(parent, heavy)
        light = np.flatnonzero(~heavy)
        light = light[np.argsort(levels[light], kind="stable")]
        bounds = np.searchsorted(levels[light], np.arange(int(levels.max(initial=-1)) + 2))
        below = counts[light] - 1
        entries = _ranges(indptr[light] + 1, below)

        # Storage of L and Z: blocks, the tail, diagonals of the other columns by level, what is below those.
        at_blocks = np.flatnonzero(np.repeat(blocks, counts))
        at_tail = np.flatnonzero(np.repeat(tail, counts))
        self._order = np.concatenate([at_blocks, at_tail, indptr[light], entries])
        self._tail = slice(len(at_blocks), len(at_blocks) + len(at_tail))
        self._pivots = slice(self._tail.stop, self._tail.stop + len(light))
        self._below = slice(self._pivots.stop, self._nnz)
        place = np.empty(self._nnz, np.int32)
        place[self._order] = np.arange(self._nnz)
        position = sp.csc_array((place, indices, cholesky.L_indptr), shape=(q, q))

        self._levels = _level_tables(position, indices[entries], below, bounds, self._pivots)
        self._tail_size = int(tail.sum())
        in_tail = np.cumsum(tail) - 1  # row and column in the (t, t) tail
        self._tail_panel = in_tail[indices[at_tail]] + self._tail_size * np.repeat(in_tail[tail], counts[tail])
        self._blocks = _blocks(blocks, in_tail, parent, counts, indptr, indices)

        inverse = np.empty(q, np.int32)
        inverse[cholesky.permutation] = np.arange(q)
        r, c = inverse[cholesky.indices], np.repeat(inverse, np.diff(cholesky.indptr))
        self._back = _lookup(position, np.maximum(r, c), np.minimum(r, c))

    def compute(self) -> Floats:
        """Entries of A^-1 at the last update, in the order of the analysed lower triangle of A.

        Returns
        -------
        (nnz of the analysed pattern,) array
        """
        values = self._cholesky.unit_lower()[self._order]
        Z = np.empty(self._nnz)
        self._invert_blocks(values, Z, self._invert_tail(values, Z))
        np.divide(1.0, values[self._pivots], out=Z[self._pivots])
        np.negative(values[self._below], out=values[self._below])
        for level in self._levels:
            Z[level.below] = level.pairs.transposed_product(Z[level.gathered], values)
            Z[level.diagonal] += level.columns.transposed_product(values[level.below], Z[level.below])
        result: Floats = Z[self._back]
        return result

    def _invert_tail(self, values: Floats, Z: Floats) -> Floats:
        """Inverse of the trailing Schur complement, (t, t), symmetric where a block will read it."""
        t = self._tail_size
        L = np.zeros((t, t), order="F")
        if not t:
            return L
        flat = L.reshape(-1, order="F")
        flat[self._tail_panel] = values[self._tail]
        root = np.sqrt(flat[:: t + 1])
        flat[:: t + 1] = 1.0
        L *= root
        inverse: Floats = lapack.dpotri(L, lower=1, overwrite_c=1)[0]
        Z[self._tail] = inverse.reshape(-1, order="F")[self._tail_panel]
        if self._blocks:
            inverse += np.tril(inverse, -1).T
        return inverse

    def _invert_blocks(self, values: Floats, Z: Floats, tail: Floats) -> None:
        """Go down the tree through the heavy supernodes; a block lives until its children have read it."""
        alive: dict[int, tuple[Floats, int]] = {-1: (tail, -1)}
        for number, block in enumerate(self._blocks):
            w, n = block.width, block.size
            panel = np.zeros(n * w)
            panel[block.panel] = values[block.storage]
            L = panel.reshape((n, w), order="F")
            d = L.diagonal().copy()
            unit, _ = lapack.dtrtri(L[:w], lower=1, unitdiag=1)
            np.fill_diagonal(unit, 1.0)  # the inverse of the supernode's own triangle
            front = np.empty((n, n), order="F")
            corner = front[:w, :w]
            corner[:] = (unit.T / d) @ unit
            if n > w:
                around, waiting = alive[block.parent]
                inner = around[block.inside[:, None], block.inside]
                multipliers = L[w:] @ unit
                below = -inner @ multipliers
                corner -= multipliers.T @ below
                front[w:, :w] = below
                if block.children:
                    front[:w, w:] = below.T
                    front[w:, w:] = inner
                if block.parent >= 0:
                    alive[block.parent] = around, waiting - 1
                    if waiting == 1:
                        del alive[block.parent]
            Z[block.storage] = front[:, :w].reshape(-1, order="F")[block.panel]
            if block.children:
                alive[number] = front, block.children


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """starts[0], starts[0] + 1, ... of the given lengths, one after the other."""
    shift = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else lengths
    result: Ints = np.repeat(starts - shift, lengths) + np.arange(int(lengths.sum()))
    return result


def _lookup(position: Any, r: Ints, c: Ints) -> Ints:
    """Storage positions of the entries (r, c), r >= c, of the pattern of L."""
    if not len(r):
        return np.empty(0, np.int32)
    found: Ints = np.asarray(position[r, c]).ravel().astype(np.int32, copy=False)
    return found


def _supernodes(parent: Ints, counts: Ints, among: NDArray[np.bool_]) -> Ints:
    """Bounds of the maximal runs of columns in which every one has the pattern of the next; runs lie in ``among``."""
    q = len(parent)
    j = np.arange(1, q)
    joins = (parent[:-1] == j) & (counts[:-1] == counts[1:] + 1) & among[:-1] & among[1:]
    return np.concatenate([[0], j[~joins], [q]])


def _block_cost(width: Ints, size: Ints) -> Floats:
    w, n = width.astype(np.float64), size.astype(np.float64)
    r = n - w
    cost: Floats = _PER_BLOCK + _PER_ENTRY * n * n + _PER_FLOP * (r * r * w + 2 * r * w * w + w**3)
    return cost


def _plan(parent: Ints, counts: Ints) -> NDArray[np.int8]:
    """Choose the regime of every column."""
    q, up = len(parent), parent.tolist()
    bounds = _supernodes(parent, counts, np.ones(q, bool))
    width, size = np.diff(bounds), counts[bounds[:-1]]
    squares = np.square(counts, dtype=np.float64)
    by_level = _PER_PAIR * np.add.reduceat(squares, bounds[:-1])
    as_block = _block_cost(width, size) < by_level
    each = np.repeat(np.minimum(_block_cost(width, size), by_level) / width, width)

    # The tail ends the columns in the order of the work below them, and so holds all ancestors of its columns.
    work = squares.tolist()
    for j, p in enumerate(up):
        if p >= 0:
            work[p] += work[j]
    order = np.argsort(work, kind="stable")
    # levels that stay before a tail: the longest chain of columns done by level in what is left of the tree
    height, chain = [0] * q, (~np.repeat(as_block, width)).astype(int).tolist()
    for j, p in enumerate(up):
        height[j] += chain[j]
        if p >= 0 and height[p] < height[j]:
            height[p] = height[j]
    levels = np.maximum.accumulate(np.append(0, np.array(height)[order]))
    t = np.arange(q, -1, -1.0)
    cost = np.append(0.0, np.cumsum(each[order])) + _PER_LEVEL * levels
    cost += (t > 0) * _PER_BLOCK + _PER_ENTRY * t * t + (2 / 3) * _PER_FLOP * t**3

    # Blocks also take the columns whose pairs would be too many, and, reading their parents' blocks, all ancestors.
    smallest = np.sort(counts)
    fitting = int(np.searchsorted(np.cumsum(np.square(smallest, dtype=np.float64)), _MOST_PAIRS, side="right"))
    dense = np.repeat(as_block, width) | (counts >= (smallest[fitting] if fitting < q else q + 1))
    closed = dense.tolist()
    for j, p in enumerate(up):
        if p >= 0 and closed[j]:
            closed[p] = True
    regime = np.where(closed, _BLOCK, _LEVEL).astype(np.int8)
    regime[order[int(np.argmin(cost)) :]] = _TAIL
    return regime


def _levels(parent: Ints, heavy: NDArray[np.bool_]) -> Ints:
    """Level of every column: -1 where heavy, else one more than its parent's."""
    level = [-1] * len(parent)
    is_heavy, up = heavy.tolist(), parent.tolist()
    for j in range(len(level) - 1, -1, -1):
        if not is_heavy[j]:
            level[j] = level[up[j]] + 1 if up[j] >= 0 else 0
    return np.array(level)


def _level_tables(position: Any, rows: Ints, below: Ints, bounds: Ints, pivots: slice) -> list[_Level]:
    """Tables of the level-wise regime for the light columns in level order.

    ``rows`` are the rows of their entries below the diagonal, ``below`` their numbers; ``bounds`` part the levels.
    """
    before = np.concatenate([[0], np.cumsum(below)])
    partners = np.repeat(below, below)  # every entry pairs with all entries of its column
    pointer = np.concatenate([[0], np.cumsum(partners)])
    s = _ranges(np.repeat(before[:-1], below), partners).astype(np.int32)
    r = np.repeat(rows, partners)
    gathered = _lookup(position, np.maximum(r, rows[s]), np.minimum(r, rows[s]))
    s += pivots.stop
    counter = np.arange(int(np.diff(before[bounds]).max(initial=0)), dtype=np.int32)
    out = []
    for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        i, j = int(before[a]), int(before[b])
        x, y = int(pointer[i]), int(pointer[j])
        out.append(
            _Level(
                slice(pivots.start + a, pivots.start + b),
                slice(pivots.stop + i, pivots.stop + j),
                gathered[x:y],
                CompressedColumns(pointer[i : j + 1] - x, s[x:y], pivots.stop + len(rows)),
                CompressedColumns(before[a : b + 1] - i, counter[: j - i], j - i),
            )
        )
    return out


def _blocks(
    chosen: NDArray[np.bool_], in_tail: Ints, parent: Ints, counts: Ints, indptr: Ints, indices: Ints
) -> tuple[_Block, ...]:
    """Supernodes of the chosen columns, ancestors first; other ancestors of theirs are at ``in_tail`` in the tail."""
    bounds = _supernodes(parent, counts, chosen)
    runs = chosen[bounds[:-1]]
    starts, stops = bounds[:-1][runs], bounds[1:][runs]
    stored = np.concatenate([[0], np.cumsum(chosen * counts)])
    number: dict[int, int] = {}
    rows_of: list[Ints] = []
    parts: list[tuple[int, int, slice, Ints, int, Ints]] = []
    children: list[int] = []
    for a, b in zip(starts[::-1].tolist(), stops[::-1].tolist(), strict=True):
        rows = indices[indptr[a] : indptr[a + 1]]
        w, n = b - a, len(rows)
        at = np.arange(w)
        panel = _ranges(at * (n + 1), n - at)
        above, inside = -2, rows[w:]
        if n > w:
            above = number.get(int(parent[b - 1]), -1)
            if above < 0:
                inside = in_tail[inside]
            else:
                inside = np.searchsorted(rows_of[above], inside)
                children[above] += 1
        number.update(dict.fromkeys(range(a, b), len(parts)))
        rows_of.append(rows)
        children.append(0)
        parts.append((w, n, slice(int(stored[a]), int(stored[b])), panel, above, inside))
    return tuple(_Block(*part, count) for part, count in zip(parts, children, strict=True))
