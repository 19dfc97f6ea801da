"""Where the Schur complement S is kept and factored: as a full matrix, or on its sparsity pattern.

Both work on M = Lambda'S Lambda + I, and give Gamma = Lambda M^-1 Lambda' where the gradient needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from mixedpy.core.arrays import Floats
from mixedpy.core.factor.cholesky import SparseCholesky
from mixedpy.core.factor.selected_inverse import SelectedInverse
from mixedpy.core.factor.trailing import Trailing

__all__ = ["DenseStorage", "Inverse", "SparsePattern", "SparseStorage", "Storage"]

Ints = NDArray[np.integer[Any]]

_MIRROR_BLOCK = 128


@dataclass(frozen=True, slots=True)
class Inverse:
    """What the gradient needs of M^-1.

    Attributes
    ----------
    traces : list of (m, m) arrays
        Sum over the levels of the diagonal blocks of M^-1, for each trailing term.
    gamma : (size,) array
        Lambda M^-1 Lambda' in storage, off-diagonals doubled.
    """

    traces: list[Floats]
    gamma: Floats


class Storage(Protocol):
    """Keeper of a symmetric q x q matrix as a flat array."""

    @property
    def name(self) -> str:
        """Which kind it is, for the fit record."""

    @property
    def analyses(self) -> int:
        """Number of symbolic analyses made."""

    @property
    def size(self) -> int:
        """Length of the flat array."""

    def position(self, rows: Ints, cols: Ints) -> Ints:
        """Place of entries (rows >= cols) in the flat array."""

    def factor(self, values: Floats, Lambdas: list[Floats]) -> float:
        """Factor M for S = values; returns log|M|."""

    def solve(self, B: Floats) -> Floats:
        """M^-1 B, (q, c)."""

    def multiply(self, values: Floats, B: Floats) -> Floats:
        """S B, (q, c)."""

    def inverse(self) -> Inverse:
        """Entries of the inverse; the factor is spent."""

    def blocks(self, gamma: Floats) -> list[Floats]:
        """Level blocks of Gamma, (m, m, J) for each trailing term."""


class DenseStorage:
    """A full column-major array of which the lower triangle counts; LAPACK does the work.

    Where all trailing terms are scalar, S + Lambda^-2 is factored instead of M: only the diagonal changes, no pass over
    the matrix scales it, and the inverse comes out multiplied by Lambda on both sides.
    """

    name = "schur-dense"
    analyses = 0

    def __init__(self, trailing: Trailing):
        self.trailing, self.q = trailing, trailing.q
        self.size = self.q * self.q
        self.Lambdas: list[Floats] = []
        self.scale: Floats | None = None  # 1 / diag(Lambda), where that form serves
        self.C: Floats | None = None

    def position(self, rows: Ints, cols: Ints) -> Ints:
        """Column-major position."""
        return rows + cols * rows.dtype.type(self.q)

    def factor(self, values: Floats, Lambdas: list[Floats]) -> float:
        """Cholesky factorization."""
        q = self.q
        self.Lambdas = Lambdas
        logdet = 0.0
        if self.trailing.scalar:
            diagonal = self.trailing.diagonal(Lambdas)
            self.scale = 1.0 / diagonal
            M = values.copy()
            M[:: q + 1] += self.scale * self.scale
            M = M.reshape(q, q, order="F")
            logdet = 2.0 * float(np.log(np.abs(diagonal)).sum())
        else:
            self.scale = None
            half = self.trailing.multiply(Lambdas, _mirror(values.reshape(q, q, order="F")).copy(), transposed=True)
            M = self.trailing.multiply(Lambdas, np.ascontiguousarray(half.T), transposed=True).T  # column-major
            M[np.diag_indices(q)] += 1.0
        self.C, info = lapack.dpotrf(M, lower=1, clean=0, overwrite_a=1)
        if info:
            raise np.linalg.LinAlgError("the Schur complement is not positive definite")
        return logdet + 2.0 * float(np.log(np.diag(self.C)).sum())

    def solve(self, B: Floats) -> Floats:
        """Two triangular solves."""
        C = self._factored()
        if self.scale is None:
            out: Floats = lapack.dpotrs(C, np.asfortranarray(B), lower=1)[0]
            return out
        scaled = np.asfortranarray(self.scale[:, None] * B)
        solved: Floats = lapack.dpotrs(C, scaled, lower=1, overwrite_b=1)[0]
        return self.scale[:, None] * solved

    def _factored(self) -> Floats:
        if self.C is None:
            raise RuntimeError("factor() comes first; inverse() spends the factor")
        return self.C

    def multiply(self, values: Floats, B: Floats) -> Floats:
        """One symmetric product."""
        S = values.reshape(self.q, self.q, order="F")
        out: Floats = blas.dsymm(1.0, S, np.asfortranarray(B), lower=1)
        return out

    def inverse(self) -> Inverse:
        """LAPACK's inverse from the factor, overwriting it."""
        inverse, info = lapack.dpotri(self._factored(), lower=1, overwrite_c=1)
        if info:
            raise np.linalg.LinAlgError("the Schur complement is singular")
        self.C = None
        q, trailing = self.q, self.trailing
        if self.scale is not None:
            gamma = inverse.ravel("K")
            diagonal = gamma[:: q + 1].copy()
            traces = [
                np.array([[share.sum()]])
                for share in np.split(diagonal * self.scale**2, np.array(trailing.offsets[1:], int))
            ]
        else:
            inverse = _mirror(inverse)
            traces = [
                np.einsum("ajbj->ab", inverse[share, share].reshape(m, J, m, J))
                for share, m, J in zip(trailing.shares(), trailing.m, trailing.J, strict=True)
            ]
            half = trailing.multiply(self.Lambdas, np.ascontiguousarray(inverse))
            gamma = trailing.multiply(self.Lambdas, np.ascontiguousarray(half.T)).ravel()  # symmetric
            diagonal = gamma[:: q + 1].copy()
        gamma *= 2.0
        gamma[:: q + 1] = diagonal
        return Inverse(traces, gamma)

    def blocks(self, gamma: Floats) -> list[Floats]:
        """Level blocks from the lower triangle."""
        G = gamma.reshape(self.q, self.q, order="F")
        out = []
        for m, J, offset in zip(self.trailing.m, self.trailing.J, self.trailing.offsets, strict=True):
            block = np.empty((m, m, J))
            level = offset + np.arange(J)
            for a in range(m):
                for b in range(a + 1):
                    own = G[level + a * J, level + b * J]
                    block[a, b] = block[b, a] = own if a == b else 0.5 * own
            out.append(block)
        return out


def _mirror(S: Floats) -> Floats:
    """Copy the lower triangle onto the upper one in place, block by block."""
    q = len(S)
    for start in range(0, q, _MIRROR_BLOCK):
        stop = min(start + _MIRROR_BLOCK, q)
        S[start:stop, stop:] = S[stop:, start:stop].T
        corner = S[start:stop, start:stop]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
    return S


@dataclass(frozen=True, slots=True)
class _BlockGroup:
    """The m_i x m_l blocks of one pair of trailing terms that are not zero."""

    i: int
    l: int
    rows: Ints  # (b,) level of term i
    cols: Ints  # (b,) level of term l
    start: int  # of its share of the storage, laid out (m_i, m_l, b)
    diagonal: Ints  # (J,) blocks with rows == cols when i == l, by level


class SparsePattern:
    """Which level blocks of S are not zero, and where each of its entries is kept."""

    def __init__(self, trailing: Trailing, pairs: list[tuple[Ints, Ints]]):
        self.trailing = trailing
        m, J = np.array(trailing.m), np.array(trailing.J)
        self.term = np.repeat(np.arange(len(m)), m * J).astype(np.int32)  # of each trailing column
        self.component = np.concatenate([np.repeat(np.arange(a), b) for a, b in zip(m, J, strict=True)]).astype(
            np.int32
        )
        first = np.concatenate([[0], np.cumsum(J)])
        self.block = np.concatenate([f + np.tile(np.arange(b), a) for f, a, b in zip(first, m, J, strict=False)])
        self.n_blocks = int(first[-1])
        own = np.arange(self.n_blocks)
        keys = [own * self.n_blocks + own, *(self._key(rows, cols) for rows, cols in pairs)]
        self.keys = np.unique(np.concatenate(keys))
        rows, cols = np.divmod(self.keys, self.n_blocks)
        term = np.repeat(np.arange(len(m)), J)
        groups, self.base, self.stride = [], np.empty(len(self.keys), np.int64), np.empty(len(self.keys), np.int64)
        start = 0
        for i in range(len(m)):
            for l in range(i + 1):
                own = np.flatnonzero((term[rows] == i) & (term[cols] == l))
                r, c = rows[own] - first[i], cols[own] - first[l]
                diagonal = np.flatnonzero(r == c) if i == l else np.empty(0, np.intp)
                groups.append(_BlockGroup(i, l, r, c, start, diagonal))
                self.base[own], self.stride[own] = start + np.arange(len(own)), len(own)
                start += len(own) * int(m[i] * m[l])
        self.groups, self.size = tuple(groups), start

    def _key(self, rows: Ints, cols: Ints) -> Ints:
        one, two = self.block[rows], self.block[cols]
        return np.maximum(one, two) * self.n_blocks + np.minimum(one, two)

    def position(self, rows: Ints, cols: Ints) -> Ints:
        """Place of scalar entries (rows >= cols) in the storage."""
        block = np.searchsorted(self.keys, self._key(rows, cols))
        # a block stands at (later level, earlier level), which may transpose an entry of two components
        swapped = self.block[rows] < self.block[cols]
        a, b = self.component[rows], self.component[cols]
        left, right = np.where(swapped, b, a), np.where(swapped, a, b)
        width = np.array(self.trailing.m)[self.term[cols]]
        place: Ints = self.base[block] + (left * width + right) * self.stride[block]
        return place

    def lower_triangle(self) -> tuple[Ints, Ints, Ints]:
        """Compressed columns of the lower triangle: pointer, rows, and the storage place of each entry."""
        rows, cols, places = [], [], []
        for g in self.groups:
            mi, ml, b = self.trailing.m[g.i], self.trailing.m[g.l], len(g.rows)
            for a in range(mi):
                for c in range(ml):
                    keep = slice(None) if g.i != g.l or a >= c else g.rows != g.cols
                    r = (self.trailing.offsets[g.i] + a * self.trailing.J[g.i] + g.rows)[keep]
                    k = (self.trailing.offsets[g.l] + c * self.trailing.J[g.l] + g.cols)[keep]
                    rows.append(np.maximum(r, k))
                    cols.append(np.minimum(r, k))
                    places.append((g.start + (a * ml + c) * b + np.arange(b))[keep])
        row, col, place = np.concatenate(rows), np.concatenate(cols), np.concatenate(places)
        order = np.lexsort((row, col))
        pointer = np.concatenate([[0], np.cumsum(np.bincount(col, minlength=self.trailing.q))])
        return pointer.astype(np.int32), row[order].astype(np.int32), place[order]


class SparseStorage:
    """S on its block pattern; a sparse Cholesky factor analyzed once, and Takahashi's recursion for the inverse."""

    name = "schur-sparse"

    def __init__(self, pattern: SparsePattern, cholesky: SparseCholesky, triangle: tuple[Ints, Ints, Ints]):
        self.pattern, self.trailing, self.size = pattern, pattern.trailing, pattern.size
        self.pointer, self.rows, self.place = triangle
        self.cholesky = cholesky
        self.inverter: SelectedInverse | None = None
        self.Lambdas: list[Floats] = []
        q = self.trailing.q
        self.diagonal = self.pointer[:q]  # a lower triangle's columns begin with their diagonal entry

    @property
    def analyses(self) -> int:
        """Symbolic analyses made."""
        return self.cholesky.analyses

    def position(self, rows: Ints, cols: Ints) -> Ints:
        """Place in the block storage."""
        return self.pattern.position(rows, cols)

    def _transform(self, values: Floats, Lambdas: list[Floats], *, transposed: bool) -> Floats:
        """Lambda'S Lambda (transposed) or Lambda S Lambda' block by block; both halves of diagonal blocks are read."""
        out = np.empty(self.size)
        for g in self.pattern.groups:
            left, right = Lambdas[g.i], Lambdas[g.l]
            if transposed:
                left, right = left.T, right.T
            share = slice(g.start, g.start + len(left) * len(right) * len(g.rows))
            block = values[share].reshape(len(left), len(right), -1)
            if len(left) == len(right) == 1:
                out[share] = values[share] * (left[0, 0] * right[0, 0])
            else:
                out[share] = np.einsum("ab,bdj,cd->acj", left, block, right, optimize=True).ravel()
        return out

    def _symmetric(self, values: Floats) -> Floats:
        """Fill the upper halves of the diagonal blocks in place."""
        for g in self.pattern.groups:
            m = self.trailing.m[g.i]
            if g.i == g.l and m > 1:
                block = values[g.start : g.start + m * m * len(g.rows)].reshape(m, m, -1)
                for a in range(m):
                    for b in range(a):
                        block[b, a, g.diagonal] = block[a, b, g.diagonal]
        return values

    def factor(self, values: Floats, Lambdas: list[Floats]) -> float:
        """Numeric factorization of M on the pattern analyzed once."""
        self.Lambdas = Lambdas
        M = self._transform(self._symmetric(values), Lambdas, transposed=True)[self.place]
        M[self.diagonal] += 1.0
        return self.cholesky.update(M)

    def solve(self, B: Floats) -> Floats:
        """Sparse triangular solves."""
        return self.cholesky.solve(B)

    def multiply(self, values: Floats, B: Floats) -> Floats:
        """Sparse symmetric product."""
        q = self.trailing.q
        entries = values[self.place]
        A = sp.csc_array((entries, self.rows, self.pointer), shape=(q, q))
        out: Floats = A @ B + A.T @ B - entries[self.diagonal][:, None] * B
        return out

    def inverse(self) -> Inverse:
        """Entries of the inverse on the pattern of the factor."""
        if self.inverter is None:
            self.inverter = SelectedInverse(self.cholesky)
        values = np.zeros(self.size)
        values[self.place] = self.inverter.compute()
        self._symmetric(values)
        gamma = self._transform(values, self.Lambdas, transposed=False)
        traces = []
        for g in self.pattern.groups:
            m = self.trailing.m[g.i]
            share = slice(g.start, g.start + m * self.trailing.m[g.l] * len(g.rows))
            own = gamma[share].reshape(m, -1, len(g.rows))
            if g.i == g.l:
                traces.append(values[share].reshape(m, m, -1)[:, :, g.diagonal].sum(2))
                kept = own[:, :, g.diagonal].copy()
                kept[~np.eye(m, dtype=bool)] *= 2.0
                own *= 2.0
                own[:, :, g.diagonal] = kept
            else:
                own *= 2.0
        return Inverse(traces, gamma)

    def blocks(self, gamma: Floats) -> list[Floats]:
        """Diagonal level blocks."""
        out = []
        for g in self.pattern.groups:
            if g.i == g.l:
                m = self.trailing.m[g.i]
                block = gamma[g.start : g.start + m * m * len(g.rows)].reshape(m, m, -1)[:, :, g.diagonal].copy()
                block[~np.eye(m, dtype=bool)] *= 0.5
                out.append(block)
        return out
