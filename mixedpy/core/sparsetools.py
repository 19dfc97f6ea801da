"""Counting sort, and products with a compressed matrix that add into an array in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["CompressedColumns", "counting_sort"]

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]

try:  # SciPy's own kernels add into the output array; the public product allocates and clears one at every call
    from scipy.sparse._sparsetools import csc_matvec, csr_matvec

    _csc_matvec: Callable[..., None] | None = csc_matvec
    _csr_matvec: Callable[..., None] | None = csr_matvec
except ImportError:  # pragma: no cover - a SciPy that moved its private module
    _csc_matvec = _csr_matvec = None


def counting_sort(codes: Ints, size: int, order: Ints | None = None) -> tuple[Ints, Ints]:
    """Sort rows by an integer code in O(n + size), stably.

    Parameters
    ----------
    codes : (n,) array
        Codes from 0 to ``size - 1``.
    size : int
        Number of codes.
    order : (n,) array, optional
        A permutation already applied; ties keep its order.

    Returns
    -------
    permutation : (n,) array
        Row numbers by increasing code.
    pointer : (size + 1,) array
        Rows of code k stand at ``permutation[pointer[k]:pointer[k + 1]]``.

    Examples
    --------
    >>> permutation, pointer = counting_sort(np.array([2, 0, 2, 1]), 3)
    >>> permutation.tolist(), pointer.tolist()
    ([1, 3, 0, 2], [0, 1, 2, 4])
    """
    n = len(codes)
    by_column = codes if order is None else codes[order]
    # one entry per column; the conversion from compressed columns to compressed rows is a counting sort
    columns = sp.csc_array((np.empty(n, np.int8), by_column, np.arange(n + 1)), shape=(size, n))
    rows = columns.tocsr()
    return (rows.indices if order is None else order[rows.indices]), rows.indptr


class CompressedColumns:
    """The pattern of an N x J matrix by columns, and products with several sets of values on it.

    Parameters
    ----------
    pointer : (J + 1,) int32 array
        Start of every column.
    position : (nnz,) int32 array
        Row of every entry; a row may recur within a column.
    size : int
        Number of rows N.
    """

    __slots__ = ("pointer", "position", "size")

    def __init__(self, pointer: Ints, position: Ints, size: int):
        self.pointer = pointer.astype(np.int32, copy=False)
        self.position = position.astype(np.int32, copy=False)
        self.size = size

    @property
    def n_columns(self) -> int:
        """Number of columns J."""
        return len(self.pointer) - 1

    def add_product(self, values: Floats, x: Floats, out: Floats) -> None:
        """Add the product of the matrix with x (J,) to out (N,)."""
        if _csc_matvec is not None:
            x = np.ascontiguousarray(x)
            _csc_matvec(self.size, self.n_columns, self.pointer, self.position, values, x, out)
        else:  # pragma: no cover
            out += self._matrix(values) @ x

    def transposed_product(self, values: Floats, x: Floats) -> Floats:
        """Product of the transposed matrix with x (N,), (J,)."""
        if _csr_matvec is not None:
            out = np.zeros(self.n_columns)
            _csr_matvec(self.n_columns, self.size, self.pointer, self.position, values, np.ascontiguousarray(x), out)
            return out
        return self._matrix(values).T @ x  # pragma: no cover

    def _matrix(self, values: Floats) -> sp.csc_array:  # pragma: no cover
        return sp.csc_array((values, self.position, self.pointer), shape=(self.size, self.n_columns))
