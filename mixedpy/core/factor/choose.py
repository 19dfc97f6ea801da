"""Which factorization serves a design, by estimated cost; the choice can be forced and is visible in the fit record."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control, Factorization
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.chain import Chain
from mixedpy.core.factor.cholesky import analyze
from mixedpy.core.factor.dense import Dense
from mixedpy.core.factor.entries import CrossEntries, cross_entries, trailing_entries
from mixedpy.core.factor.protocol import Factor
from mixedpy.core.factor.schur import Schur
from mixedpy.core.factor.storage import DenseStorage, SparsePattern, SparseStorage
from mixedpy.core.iterative.factor import Iterative

__all__ = ["Cost", "blocked_cost", "choose_factor", "memory_limit", "searcher"]

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


_PATTERN_BYTES = 40
"""Bytes per pair of trailing columns while the pattern of S is found."""

_DEAR = 0.2
"""Seconds per evaluation beyond which "auto" searches iteratively before it takes exact steps."""

_SLOW = 2.0
"""Seconds per evaluation beyond which "auto" has an exact factorization for the last steps only."""

_TOO_SLOW = 5.0
"""Seconds per evaluation beyond which not even the last steps are exact."""

Counts = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an exact factorization is estimated to take.

    Attributes
    ----------
    seconds : float
        For value and gradient at one theta, on one thread.
    bytes : float
        Memory beyond the cross-products.
    """

    seconds: float
    bytes: float

    def within(self, seconds: float) -> bool:
        """Whether it fits into memory and takes no longer than this."""
        return self.bytes <= memory_limit() and self.seconds <= seconds


def memory_limit() -> float:
    """Bytes that a factorization may take: half of the physical memory, or 4 GB where that is not known."""
    if not hasattr(os, "sysconf"):
        return 4e9
    return 0.5 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def choose_factor(design: Design, cp: CrossProducts, kind: Factorization, control: Control | None = None) -> Factor:
    """Build the factorization of a design.

    Parameters
    ----------
    design : Design
        The arrays, for the dense oracle only.
    cp : CrossProducts
        Its cross-products.
    kind : {"auto", "blocked", "sparse", "iterative", "dense"}
        ``"auto"`` decides. A single term has nothing left to factor once it is eliminated, and terms nested in one
        another are eliminated in turn: all kinds but "dense" are the same for one term, and all but "dense" and
        "sparse" for nested ones.
    control : Control, optional
        Settings of the iterative factorization.
    """
    control = control or Control()
    if kind == "dense":
        return Dense(design, cp)
    if cp.k == 1 or (cp.chain and kind != "sparse"):
        return Chain(cp)
    if kind == "iterative":
        return _iterative(cp, control)
    if kind == "auto" and _order(cp) >= _SMALLEST_SPARSE:
        return _exact(cp, _SLOW) or _iterative(cp, control)
    entries = cross_entries(cp)
    return _sparse(cp, entries) if kind == "sparse" else _blocked(cp, entries)


def searcher(cp: CrossProducts, factor: Factor, control: Control) -> Factor:
    """Give the factorization with which to search before exact steps by ``factor``: itself unless it is dear."""
    if control.factorization != "auto" or not control.finish or not isinstance(factor, Schur):
        return factor
    sparse = factor.storage
    seconds = _sparse_seconds(sparse) if isinstance(sparse, SparseStorage) else blocked_cost(cp).seconds
    return _iterative(cp, control) if seconds > _DEAR else factor


def blocked_cost(cp: CrossProducts) -> Cost:
    """Estimate the blocked factorization: a dense S of order q, and the pairs of trailing columns that meet."""
    counts, m, q = _level_counts(cp), cp.m[0], float(_order(cp))
    heavy = counts > _heavy(cp)
    pairs = float((counts * (counts + 1.0))[~heavy].sum()) / 2.0
    dense = q * m * float(heavy.sum())
    copies = 3.0 if max(cp.m[1:]) == 1 else 5.0  # of S
    return Cost(
        seconds=q**3 / _DENSE_FLOPS + 2.0 * dense * q / _SYRK_FLOPS + _PAIR_SECONDS * pairs * m * (m + 1),
        bytes=8.0 * copies * q * q + 24.0 * dense + pairs * (4.0 + 4.0 * m * (m + 1)),
    )


def _exact(cp: CrossProducts, seconds: float) -> Factor | None:
    """The cheaper exact factorization if it is within memory and this time, else None."""
    counts = _level_counts(cp)
    entries = None
    if _few_pairs(cp, counts):
        entries = cross_entries(cp)
        rows, cols = _meeting(cp, entries)
        if len(rows) < _SPARSEST * entries.trailing.q**2 / 2.0:
            storage = _sparse_storage(cp, entries, rows, cols)
            if _sparse_is_cheaper(storage):
                return _over(cp, entries, storage) if _sparse_seconds(storage) <= seconds else None
    return _blocked(cp, entries or cross_entries(cp)) if blocked_cost(cp).within(seconds) else None


def _iterative(cp: CrossProducts, control: Control) -> Factor:
    return Iterative(
        cp,
        probes=control.probes,
        seed=control.seed,
        cg_tol=control.cg_tol,
        exact=partial(_exact, cp, _TOO_SLOW),
    )


def _over(cp: CrossProducts, entries: CrossEntries, storage: SparseStorage) -> Factor:
    return Schur(cp, entries, storage, np.zeros(cp.J[0], bool))


def _sparse(cp: CrossProducts, entries: CrossEntries) -> Factor:
    return _over(cp, entries, _sparse_storage(cp, entries, *_meeting(cp, entries)))


def _blocked(cp: CrossProducts, entries: CrossEntries) -> Factor:
    return Schur(cp, entries, DenseStorage(entries.trailing), np.diff(entries.pointer) > _heavy(cp))


def _order(cp: CrossProducts) -> int:
    """Number of trailing columns q."""
    return sum(m * J for m, J in zip(cp.m[1:], cp.J[1:], strict=True))


def _heavy(cp: CrossProducts) -> float:
    """Trailing columns from which on a level's share of S is cheaper by one dense product than by pairs."""
    q, m = _order(cp), cp.m[0]
    return float(np.sqrt(2.0 * q * q * m / _SYRK_FLOPS / (_PAIR_SECONDS * m * (m + 1) / 2)))


def _level_counts(cp: CrossProducts) -> Counts:
    """Trailing columns that each level of the eliminated term meets, (J,)."""
    counts = np.zeros(cp.J[0])
    for l in range(1, cp.k):
        counts += cp.m[l] * np.bincount(cp.cross[0, l].rows, minlength=cp.J[0])
    return counts


def _few_pairs(cp: CrossProducts, counts: Counts) -> bool:
    """Whether so few pairs of trailing columns meet that the pattern of S is worth a look."""
    q = float(_order(cp))
    pairs = float((counts * (counts + 1.0)).sum())
    return q >= _SMALLEST_SPARSE and pairs < q * (q + 1.0) and pairs * _PATTERN_BYTES / 2.0 < memory_limit()


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


def _sparse_seconds(storage: SparseStorage) -> float:
    """Value and gradient by the sparse factor, by the pairs of entries in its columns."""
    return _SPARSE_SECONDS * storage.cholesky.flops + _SPARSE_OVERHEAD


def _sparse_is_cheaper(storage: SparseStorage) -> bool:
    """Compare by fill: pairs of entries in the columns of L against the cube of the order."""
    return _sparse_seconds(storage) < float(storage.trailing.q) ** 3 / _DENSE_FLOPS
