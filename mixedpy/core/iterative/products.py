"""Products and sums over the blocks of two terms' cross-products, some blocks at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossBlocks, CrossProducts

__all__ = ["block_matrix", "chunks", "column_squares", "cross_dense", "left_product", "row_squares"]

Ints = NDArray[np.signedinteger[Any]]

_CHUNK = 1 << 18
"""Blocks handled at a time, so that no temporary has their number."""


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


def chunks(blocks: CrossBlocks) -> Iterator[tuple[slice, Ints, Ints, Floats]]:
    """Places, rows, columns and values (m_i, m_l, chunk) of the blocks, some at a time."""
    for start in range(0, len(blocks.rows), _CHUNK):
        own = slice(start, start + _CHUNK)
        yield own, blocks.rows[own], blocks.cols[own], blocks.values[..., own]


def left_product(B: Floats, levels: Ints, values: Floats) -> Floats:
    """B_j times the blocks (m, c, chunk) of the given levels."""
    if len(B) == 1:
        scaled: Floats = B[0, 0][levels] * values
        return scaled
    return np.einsum("abj,bcj->acj", B[:, :, levels], values)


def column_squares(blocks: CrossBlocks, B: Floats, J: int) -> Floats:
    """sum_j a_jl'B_j a_jl for every column level l of the blocks a, (m_l, m_l, J)."""
    m = blocks.values.shape[1]
    total = np.zeros((m, m, J))
    for _, rows, cols, values in chunks(blocks):
        Ba = left_product(B, rows, values)
        for a in range(m):
            for b in range(a + 1):
                total[a, b] += np.bincount(cols, (values[:, a] * Ba[:, b]).sum(0), J)
    return _symmetric(total)


def row_squares(blocks: CrossBlocks, G: Floats, J: int) -> Floats:
    """sum_l a_jl G_l a_jl' for every row level j of the blocks a, (m, m, J)."""
    m = blocks.values.shape[0]
    total = np.zeros((m, m, J))
    for _, rows, cols, values in chunks(blocks):
        aG = left_product(G, cols, values.transpose(1, 0, 2))  # (m_l, m, chunk)
        first = int(rows[0])
        for a in range(m):
            for b in range(a + 1):
                sums = np.bincount(rows - first, (values[a] * aG[:, b]).sum(0))
                total[a, b, first : first + len(sums)] += sums
    return _symmetric(total)


def _symmetric(total: Floats) -> Floats:
    """Copy the lower triangle of the blocks (m, m, J) onto the upper one."""
    for a in range(len(total)):
        for b in range(a):
            total[b, a] = total[a, b]
    return total
