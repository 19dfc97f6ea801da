"""Algebra of stacks of small matrices, written out over their entries: the matrix axes lead, all other axes trail.

For matrices of two or three columns one array operation per entry over a long contiguous axis is many times faster
than a call of LAPACK per matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats

__all__ = ["Root", "multiply", "positive_inverse", "root", "stack_root", "transpose"]

_UNROLLED = 5
"""Order up to which matrices are factored entry by entry."""

_ROUNDING = 1e-15
"""Eigenvalues below this share of the largest, times the order, may be rounding errors of zero."""

_BY_ROWS = 16
"""Order up to which triangular matrices are inverted row by row."""


@dataclass(frozen=True, slots=True)
class Root:
    """Cholesky factors C of a stack of symmetric matrices.

    Attributes
    ----------
    inverse : (k, k, ...) array
        C^-1, lower triangular; NaN or infinite where the matrix is not positive definite.
    logdet : (...) array
        log|CC'|; NaN or -inf where the matrix is not positive definite.
    """

    inverse: Floats
    logdet: Floats


def transpose(A: Floats) -> Floats:
    """Transpose (k, l, ...) to (l, k, ...)."""
    return A.swapaxes(0, 1)


def multiply(A: Floats, B: Floats) -> Floats:
    """A (k, l, ...) times B (l, m, ...), trailing axes broadcast."""
    first = A[0, 0] * B[0, 0]
    out = np.empty((A.shape[0], B.shape[1], *first.shape))
    for i in range(A.shape[0]):
        for j in range(B.shape[1]):
            total = np.multiply(A[i, 0], B[0, j], out=out[i, j])
            for c in range(1, A.shape[1]):
                total += A[i, c] * B[c, j]
    return out


def root(M: Floats) -> Root:
    """Factor symmetric matrices (k, k, ...); where one is not positive definite its entries become NaN.

    Warnings of NumPy about such entries are the caller's to silence.
    """
    return _unrolled(M) if len(M) <= _UNROLLED else _lapack(M)


def _unrolled(M: Floats) -> Root:
    k = len(M)
    C: dict[tuple[int, int], Floats] = {}
    inverse = np.zeros_like(M)
    determinant = np.ones(M.shape[2:])
    for a in range(k):
        for b in range(a + 1):
            v = M[a, b]
            for c in range(b):
                v = v - C[a, c] * C[b, c]
            if a == b:
                determinant = determinant * np.where(v > 0, v, np.nan)
                inverse[a, a] = 1.0 / np.sqrt(v)
            else:
                C[a, b] = v * inverse[b, b]
    for a in range(k):
        for b in range(a):
            total = C[a, b] * inverse[b, b]
            for c in range(b + 1, a):
                total = total + C[a, c] * inverse[c, b]
            inverse[a, b] = -total * inverse[a, a]
    return Root(inverse, np.log(determinant))


def _lapack(M: Floats) -> Root:
    k, shape = len(M), M.shape[2:]
    found = stack_root(np.ascontiguousarray(M.reshape(k, k, -1).transpose(2, 0, 1)))
    diagonal = np.diagonal(found, axis1=1, axis2=2)
    return Root(found.transpose(1, 2, 0).reshape(M.shape), -2.0 * np.log(diagonal).sum(1).reshape(shape))


def stack_root(M: Floats) -> Floats:
    """C^-1 for symmetric matrices CC' = M, (B, k, k); NaN where one is not positive definite."""
    try:
        return _inverse_lower(np.linalg.cholesky(M))
    except np.linalg.LinAlgError:  # which of them is not said
        finite = np.flatnonzero(np.isfinite(M).all((1, 2)))
        w = np.linalg.eigvalsh(M[finite])
        good = finite[w[:, 0] > _ROUNDING * w.shape[1] * w[:, -1]]
    out = np.full_like(M, np.nan)
    out[good] = _inverse_lower(np.linalg.cholesky(M[good]))
    return out


def _inverse_lower(C: NDArray[np.floating[Any]]) -> Floats:
    """Inverses of lower triangular matrices (B, k, k), by halves and then row by row."""
    k = C.shape[1]
    out = np.zeros(C.shape)
    if k > _BY_ROWS:
        h = k // 2
        first, last = _inverse_lower(C[:, :h, :h]), _inverse_lower(C[:, h:, h:])
        out[:, :h, :h], out[:, h:, h:] = first, last
        np.matmul(-last, np.matmul(C[:, h:, :h], first), out=out[:, h:, :h])
        return out
    scale = 1.0 / np.diagonal(C, axis1=1, axis2=2)
    for i in range(k):
        out[:, i, i] = scale[:, i]
        if i:
            out[:, i, :i] = -scale[:, i, None] * np.matmul(C[:, i, None, :i], out[:, :i, :i])[:, 0]
    return out


def positive_inverse(M: Floats) -> tuple[Floats, Floats]:
    """Inverse (k, k, ...) and log-determinant (...) of symmetric positive definite matrices."""
    found = root(M)
    C = found.inverse
    if len(M) <= _UNROLLED:
        return multiply(transpose(C), C), found.logdet
    stack = C.reshape(len(M), len(M), -1).transpose(2, 0, 1)
    inverse = np.matmul(stack.transpose(0, 2, 1), stack)
    return inverse.transpose(1, 2, 0).reshape(M.shape), found.logdet
