"""Sparse products on several threads: the rows are cut into parts with about the same number of entries.

SciPy's product with a block of vectors lets go of the interpreter's lock, so that threads run side by side.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from mixedpy.core.arrays import Floats

__all__ = ["SplitMatrix", "available_threads"]

_WORTH = 1_000_000
"""Entries from which on a second thread is worth its start."""


def available_threads() -> int:
    """As many as ``OMP_NUM_THREADS`` says, as for BLAS, or else as the process has processors.

    Examples
    --------
    >>> available_threads() >= 1
    True
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class SplitMatrix:
    """A sparse matrix in compressed rows, multiplied with blocks of vectors.

    Parameters
    ----------
    matrix : sparse (r, q) array
        In compressed rows; the parts share its entries.
    threads : int
        Largest number of parts.
    """

    def __init__(self, matrix: sp.csr_array, threads: int):
        self.shape = matrix.shape
        count = max(1, min(threads, matrix.nnz // _WORTH + 1, matrix.shape[0]))
        goals = np.linspace(0, matrix.nnz, count + 1)[1:-1]
        cuts = np.unique([0, *np.searchsorted(matrix.indptr, goals).tolist(), matrix.shape[0]]).tolist()
        self.parts = [(slice(a, b), _rows(matrix, a, b)) for a, b in pairwise(cuts)]

    def multiply(self, V: Floats) -> Floats:
        """Product with V (q, c), (r, c)."""
        if len(self.parts) == 1:
            return self.parts[0][1] @ V
        out = np.empty((self.shape[0], V.shape[1]))

        def fill(own: slice, part: sp.csr_array) -> Floats:
            out[own] = part @ V
            return out[own]

        self._run(fill)
        return out

    def multiply_transposed(self, W: Floats) -> Floats:
        """Product of the transposed matrix with W (r, c), (q, c)."""
        if len(self.parts) == 1:
            return self.parts[0][1].T @ W
        sums = self._run(lambda own, part: part.T @ W[own])
        total: Floats = sums[0]
        for one in sums[1:]:
            total += one
        return total

    def _run(self, task: Callable[[slice, sp.csr_array], Floats]) -> list[Floats]:
        # threads of a pool kept from one call to the next would be missing in a forked process
        with ThreadPoolExecutor(len(self.parts)) as pool:
            return list(pool.map(lambda part: task(*part), self.parts))


def _rows(matrix: sp.csr_array, start: int, stop: int) -> sp.csr_array:
    """Rows of a matrix, sharing its arrays."""
    own = slice(int(matrix.indptr[start]), int(matrix.indptr[stop]))
    pointer = matrix.indptr[start : stop + 1] - matrix.indptr[start]
    return sp.csr_array((matrix.data[own], matrix.indices[own], pointer), shape=(stop - start, matrix.shape[1]))
