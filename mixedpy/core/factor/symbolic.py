"""Symbolic sparse Cholesky factorization: the pattern of L from that of A and a permutation, before any arithmetic.

Row i of L is a subtree of the elimination tree: the union of the tree's paths from every k with a_ik != 0 up to i
(Liu 1990, SIAM J. Matrix Anal. Appl. 11(1), sec. 4). With the tree in postorder the union falls into disjoint paths,
each from one k up to its lowest common ancestor with the next k, so that counting and listing entries need no marks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree

__all__ = ["Symbolic", "symbolic_cholesky"]

Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Symbolic:
    """Elimination tree and column counts of L, with L L' = A[P][:, P].

    Attributes
    ----------
    permutation : (q,) array
        P; row k of the permuted matrix is row ``permutation[k]`` of A.
    parent : (q,) array
        Parent of every column in the elimination tree, -1 for a root.
    counts : (q,) array
        Entries of every column of L, the diagonal counted.
    """

    permutation: Ints
    parent: Ints
    counts: Ints
    paths: tuple[Ints, Ints, Ints]

    @property
    def nnz(self) -> int:
        """Entries of L."""
        return int(self.counts.sum())

    @property
    def indptr(self) -> Ints:
        """Start of every column of L, (q + 1,)."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    def indices(self) -> Ints:
        """Rows of the entries of L by columns, sorted, the diagonal first, (nnz,)."""
        q = len(self.parent)
        row, vertex, stop = self.paths
        diagonal: Ints = np.arange(q, dtype=np.int32)
        rows, columns = [diagonal], [diagonal]
        while len(row):  # one step up every path that has not reached its end
            rows.append(row)
            columns.append(vertex)
            vertex = self.parent[vertex]
            goes_on = vertex != stop
            row, vertex, stop = row[goes_on], vertex[goes_on], stop[goes_on]
        i, j = np.concatenate(rows), np.concatenate(columns)
        by_row = sp.csr_array((np.empty(len(i), np.int8), (i, j)), shape=(q, q))
        indices: Ints = by_row.tocsc().indices  # going through the rows leaves every column sorted
        return indices


def symbolic_cholesky(indptr: Ints, indices: Ints, permutation: Ints) -> Symbolic:
    """Find elimination tree and column counts of the Cholesky factor of a permuted symmetric matrix.

    The permutation may come back changed: it is followed by a postordering of the elimination tree, which leaves the
    fill as it is, and the permutation too where the tree was in postorder already.

    Parameters
    ----------
    indptr, indices : arrays
        Lower triangle by columns, with the full diagonal.
    permutation : (q,) array
        Elimination order.

    Returns
    -------
    Symbolic

    Examples
    --------
    An arrow whose tip is eliminated last does not fill in.

    >>> symbolic_cholesky(np.array([0, 2, 4, 5]), np.array([0, 2, 1, 2, 2]), np.arange(3)).counts.tolist()
    [2, 2, 1]
    """
    q = len(indptr) - 1
    columns = np.repeat(np.arange(q, dtype=np.int32), np.diff(indptr))
    off = indices != columns
    r, c = indices[off], columns[off]
    permutation = permutation.astype(np.int32)
    for _ in range(2):
        inverse = np.empty(q, np.int32)
        inverse[permutation] = np.arange(q, dtype=np.int32)
        a, b = inverse[r], inverse[c]
        i, k = np.maximum(a, b), np.minimum(a, b)
        parent = _elimination_tree(i, k, q)
        order, first = _postorder(parent)
        if order is None:
            break
        permutation = permutation[order]
    by_row = sp.csr_array((np.empty(len(i), np.int8), (i, k)), shape=(q, q))
    by_row.sort_indices()
    row = np.repeat(np.arange(q, dtype=np.int32), np.diff(by_row.indptr))
    start = by_row.indices.astype(np.int32, copy=False)
    following = row.copy()  # the path of a row's last entry ends in the diagonal
    same = row[1:] == row[:-1]
    following[:-1][same] = start[1:][same]
    stop = _range_maximum(parent, start, following)  # lowest common ancestor, as the tree is in postorder
    ends = np.bincount(start, minlength=q) - np.bincount(stop, minlength=q)
    below = np.concatenate([[0], np.cumsum(ends)])
    counts = 1 + below[1:] - below[first]
    return Symbolic(permutation, parent, counts, (row, start, stop))


def _elimination_tree(i: Ints, k: Ints, q: int) -> Ints:
    """Parents of the columns for the entries (i, k), i > k.

    Column i becomes the parent of every tree that its entries k reach. Reaching goes by connection among the columns
    before i, and a minimum spanning tree under the weight max(i, k) = i keeps all such connections in q - 1 entries.
    """
    graph = sp.csr_array((i.astype(np.float64), (i, k)), shape=(q, q))
    tree = minimum_spanning_tree(graph).tocoo()
    order = np.argsort(tree.row, kind="stable")
    parent, root = [-1] * q, list(range(q))
    # Union of sets is sequential by nature; the loop is over at most q - 1 entries and runs once for a design.
    for i_, k_ in zip(tree.row[order].tolist(), tree.col[order].tolist(), strict=True):
        path = k_
        while root[path] != path:
            root[path] = path = root[root[path]]
        parent[path] = root[path] = i_
    return np.array(parent, dtype=np.int32)


def _postorder(parent: Ints) -> tuple[Ints | None, Ints]:
    """Postorder of the columns (None where it is the order they have), and the first descendant of each."""
    q = len(parent)
    up = parent.tolist()
    size, first = [1] * q, list(range(q))
    for j, p in enumerate(up):
        if p >= 0:
            size[p] += size[j]
            if first[j] < first[p]:
                first[p] = first[j]
    firsts = np.array(first, dtype=np.int32)
    if (firsts == np.arange(1, q + 1) - np.array(size)).all():
        return None, firsts
    start, place = 0, [0] * q  # a parent's share of the order is handed out to its children from the left
    left = [0] * q
    for j in range(q - 1, -1, -1):
        p = up[j]
        if p < 0:
            left[j] = start
            start += size[j]
        else:
            left[j] = left[p]
            left[p] += size[j]
        place[j] = left[j] + size[j] - 1
    order = np.empty(q, np.int32)
    order[place] = np.arange(q)
    return order, firsts


def _range_maximum(values: Ints, start: Ints, stop: Ints) -> Ints:
    """Maxima of values[start:stop], non-empty ranges."""
    length = stop - start
    if not len(length):
        return stop
    level = np.frexp(length.astype(np.float64))[1] - 1  # 2^level <= length
    tables = [values]
    for j in range(int(level.max())):
        tables.append(np.maximum(tables[-1][: -(1 << j)], tables[-1][1 << j :]))
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in tables])])
    flat = np.concatenate(tables)
    at = offsets[level]
    maxima: Ints = np.maximum(flat[at + start], flat[at + stop - (1 << level)])
    return maxima
