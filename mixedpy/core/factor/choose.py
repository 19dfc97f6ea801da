"""Which factorization serves a design, by estimated cost; the choice can be forced and is visible in the fit record."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mixedpy.core.arrays import Design
from mixedpy.core.control import Factorization
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.chain import Chain
from mixedpy.core.factor.cholesky import analyze
from mixedpy.core.factor.dense import Dense
from mixedpy.core.factor.entries import CrossEntries, cross_entries, trailing_entries
from mixedpy.core.factor.protocol import Factor
from mixedpy.core.factor.schur import Schur
from mixedpy.core.factor.storage import DenseStorage, SparsePattern, SparseStorage

__all__ = ["choose_factor"]

Ints = NDArray[np.integer[Any]]

_SMALLEST_SPARSE = 300
"""Below this order a dense factorization is always as cheap."""

_SPARSEST = 0.1
"""Largest share of non-zero entries of S at which a sparse factor is worth analyzing."""

_DENSE_FLOPS = 4e10
"""Floating-point operations per second of LAPACK's Cholesky factorization and inverse, one thread."""

_SPARSE_SECONDS = 1.5e-9
"""Seconds per pair of entries in a column of L: simplicial factorization and selected inverse together."""

_SPARSE_OVERHEAD = 1e-3
"""Seconds that a sparse factorization costs whatever its size."""

_PAIR_SECONDS = 1.3e-9
"""Seconds per stored pair of a level in the assembly of S."""

_SYRK_FLOPS = 5.5e10
"""Floating-point operations per second of a symmetric rank-k product, one thread."""


def choose_factor(design: Design, cp: CrossProducts, kind: Factorization) -> Factor:
    """Build the factorization of a design.

    Parameters
    ----------
    design : Design
        The arrays, for the dense oracle only.
    cp : CrossProducts
        Its cross-products.
    kind : {"auto", "blocked", "sparse", "dense"}
        ``"auto"`` decides. A single term has nothing left to factor once it is eliminated, so that "blocked" and
        "sparse" are the same there.
    """
    if kind == "dense":
        return Dense(design, cp)
    if cp.k == 1 or (cp.chain and kind != "sparse"):
        return Chain(cp)
    entries = cross_entries(cp)
    q, m = entries.trailing.q, cp.m[0]
    if kind == "sparse" or (kind == "auto" and _few_pairs(entries)):
        rows, cols = _meeting(cp, entries)
        if kind == "sparse" or len(rows) < _SPARSEST * q * q / 2.0:
            storage = _sparse_storage(cp, entries, rows, cols)
            if kind == "sparse" or _sparse_is_cheaper(storage):
                return Schur(cp, entries, storage, np.zeros(cp.J[0], bool))
    heavy = np.sqrt(2.0 * q * q * m / _SYRK_FLOPS / (_PAIR_SECONDS * m * (m + 1) / 2))
    return Schur(cp, entries, DenseStorage(entries.trailing), np.diff(entries.pointer) > heavy)


def _few_pairs(entries: CrossEntries) -> bool:
    """Whether so few pairs of trailing columns meet that the pattern of S is worth a look."""
    q = entries.trailing.q
    counts = np.diff(entries.pointer).astype(float)
    return q >= _SMALLEST_SPARSE and bool((counts * (counts + 1.0)).sum() < q * (q + 1.0))


def _meeting(cp: CrossProducts, entries: CrossEntries) -> tuple[Ints, Ints]:
    """Rows and columns of the lower triangle of A21 A12 that are not zero."""
    first = entries.sparse(cp.m[0], cp.J[0])[: cp.J[0]]  # every effect of the eliminated term has the same pattern
    first.data = np.ones(len(first.data), np.int32)
    product = sp.tril(first.T @ first, format="coo")
    return product.row.astype(np.int64), product.col.astype(np.int64)


def _sparse_storage(cp: CrossProducts, entries: CrossEntries, rows: Ints, cols: Ints) -> SparseStorage:
    """Block pattern of S and its symbolic analysis."""
    own_rows, own_cols, _ = trailing_entries(cp, entries.trailing)
    pattern = SparsePattern(entries.trailing, [(rows, cols), (own_rows, own_cols)])
    triangle = pattern.lower_triangle()
    return SparseStorage(pattern, analyze(triangle[0], triangle[1], entries.trailing.q), triangle)


def _sparse_is_cheaper(storage: SparseStorage) -> bool:
    """Compare by fill: pairs of entries in the columns of L against the cube of the order."""
    q = float(storage.trailing.q)
    return _SPARSE_SECONDS * storage.cholesky.flops + _SPARSE_OVERHEAD < q**3 / _DENSE_FLOPS
