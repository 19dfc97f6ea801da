"""Terms of the system nested in one another: a change of variables that keeps the block-diagonal preconditioner good.

Where every level of an inner term i lies in one level of an outer term b, raising a level of b and lowering all its
levels of i hardly changes the model, and block-diagonal preconditioning does not see it. With the inner effects
measured from where they settle for given outer ones,

    u_i = v_i - G_i v_b,   G_i = D_i^-1 Lambda_i'S_ii[:, columns of b] Lambda_b,   D_i = I + Lambda_i'S_ii Lambda_i,

or u = T v with |T| = 1, the system of v is M' = T'T + (Lambda T)'S (Lambda T), with the determinant of M, and an outer
level's direction no longer moves its inner levels. G_i is what elimination of i would give if no two levels of i met in
a level of term 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossBlocks, CrossProducts
from mixedpy.core.iterative.blocks import inverse_blocks
from mixedpy.core.iterative.products import block_matrix, chunks

__all__ = ["Nest", "Swept", "find_nests"]

Ints = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Nest:
    """An inner term of the system, and an outer one whose columns are among the inner one's.

    Attributes
    ----------
    inner, outer : int
        Positions in the system's terms.
    parent : (J_i,) array
        Level of the outer term that holds each inner level.
    columns : list of int
        For each effect of the outer term the effect of the inner one with the same column.
    position : (e,) array
        For each block of Z_1'Z_i, the block of Z_1'Z_b with the same level of term 1 and the parent.
    """

    inner: int
    outer: int
    parent: Ints
    columns: list[int]
    position: Ints


def find_nests(cp: CrossProducts, terms: Sequence[int]) -> tuple[Nest, ...]:
    """For every term of the system in which another is nested, the one with most columns; that one has none in it."""
    nests = []
    for outer, b in enumerate(terms):
        for inner, i in enumerate(terms[:outer]):
            columns = _shared_columns(cp, i, b) if cp.cross[i, b].nested else None
            if columns is not None:
                parent = cp.cross[i, b].cols
                nests.append(Nest(inner, outer, parent, columns, _positions(cp, i, b, parent)))
                break
    return tuple(nests)


def _shared_columns(cp: CrossProducts, i: int, b: int) -> list[int] | None:
    """Effects of term i with the columns of term b, told by their products being the same numbers."""
    met, own = cp.cross[i, b].values, cp.own[i]
    found = []
    for c in range(cp.m[b]):
        same = [a for a in range(cp.m[i]) if np.array_equal(met[:, c], own[:, a])]
        if not same:
            return None
        found.append(same[0])
    return found


def _positions(cp: CrossProducts, i: int, b: int, parent: Ints) -> Ints:
    inner, outer = cp.cross[0, i], cp.cross[0, b]
    width = np.int64(cp.J[b])
    keys = outer.rows * width + outer.cols
    out = np.empty(len(inner.rows), np.int32)
    for own, rows, cols, _ in chunks(inner):
        out[own] = np.searchsorted(keys, rows * width + parent[cols])
    return out


class Swept:
    """The change of variables of one nest at one theta.

    Parameters
    ----------
    cp : CrossProducts
        Of the model.
    terms : sequence of int
        The system's terms.
    nest : Nest
        Which two.
    S : (m_i, m_i, J_i) array
        Level blocks of S for the inner term.
    D : (m_i, m_i, J_i) array
        Level blocks of M for the inner term.
    Lambdas : list of (m, m) arrays
        Relative covariance factors of the system's terms.

    Attributes
    ----------
    G : (m_i, m_b, J_i) array
        u_i = v_i - G v_b.
    matrix : sparse (m_i J_i, m_b J_b) array
        The same for all levels at once.
    blocks : CrossBlocks
        A12 Lambda T in the columns of the outer term.
    own : (m_b, m_b, J_b) array
        Level blocks of T'T + (Lambda T)'A22 (Lambda T) for the outer term.
    """

    def __init__(
        self,
        cp: CrossProducts,
        terms: Sequence[int],
        nest: Nest,
        S: Floats,
        D: Floats,
        Lambdas: list[Floats],
    ):
        self.nest = nest
        i, b = terms[nest.inner], terms[nest.outer]
        Li, Lb = Lambdas[nest.inner], Lambdas[nest.outer]
        inner_S = np.einsum("ca,cdj->adj", Li, S[:, nest.columns])
        self.G = np.einsum("abj,bcj,cd->adj", inverse_blocks(D), inner_S, Lb, optimize=True)
        index = np.arange(cp.J[i], dtype=nest.parent.dtype)
        self.matrix: sp.csr_array = block_matrix(
            CrossBlocks(index, nest.parent, self.G, nested=True), (cp.m[i], cp.m[b]), (cp.J[i], cp.J[b])
        )
        self.H = np.einsum("ac,cbj->abj", Li, self.G)  # Lambda_i G
        self.blocks = self._columns(cp, i, b, Lb)
        own_i, met = cp.own[i], cp.cross[i, b].values
        crossed = np.einsum("da,cdj,cbj->abj", Lb, met, self.H, optimize=True)
        squares = np.einsum("caj,cdj,dbj->abj", self.H, own_i, self.H, optimize=True)
        squares += np.einsum("caj,cbj->abj", self.G, self.G)
        gained = _by_parent(squares - crossed - crossed.transpose(1, 0, 2), nest.parent, cp.J[b])
        self.own = np.einsum("ca,cdj,db->abj", Lb, cp.own[b], Lb, optimize=True) + gained
        self.own[np.diag_indices(len(Lb))] += 1.0

    def _columns(self, cp: CrossProducts, i: int, b: int, Lb: Floats) -> CrossBlocks:
        """A12_b Lambda_b - A12_i Lambda_i G, block by block."""
        inner, outer = cp.cross[0, i], cp.cross[0, b]
        values = np.einsum("acj,cb->abj", outer.values, Lb)
        for own, _, cols, part in chunks(inner):
            moved = np.einsum("acj,cbj->abj", part, self.H[:, :, cols])
            first, place = _window(self.nest.position[own])
            for a in range(len(values)):
                for c in range(len(Lb)):
                    sums = np.bincount(place, moved[a, c])
                    values[a, c, first : first + len(sums)] -= sums
        return CrossBlocks(outer.rows, outer.cols, values, nested=outer.nested)


def _window(place: Ints) -> tuple[int, Ints]:
    """Smallest place, and the places from there."""
    first = int(place.min())
    return first, place - first


def _by_parent(blocks: Floats, parent: Ints, J: int) -> Floats:
    """Sum level blocks (m, m, J_i) over the levels of the outer term."""
    out = np.empty((*blocks.shape[:2], J))
    for a in range(len(blocks)):
        for b in range(len(blocks)):
            out[a, b] = np.bincount(parent, blocks[a, b], J)
    return out
