"""The log-determinant of a matrix from the coefficients of conjugate gradients on random right-hand sides.

For z of independent signs, E z'log(A) z = tr log(A) = log|A|. A Lanczos recursion of A started at z gives a tridiagonal
T with z'log(A) z = |z|^2 e1'log(T) e1 to the accuracy of a Gauss rule (Ubaru, Chen & Saad 2017, SIAM J. Matrix Anal.
Appl. 38(4), 1075-1099).
"""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats

__all__ = ["lanczos_logarithms"]


def lanczos_logarithms(alpha: Floats, beta: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Quadratic forms of log(A) and of A in the starting vectors of c Lanczos recursions.

    Parameters
    ----------
    alpha, beta : (s, c) arrays
        Coefficients of conjugate gradients; a column ends at its first alpha of zero.
    squares : (c,) array
        Squared lengths of the starting vectors.

    Returns
    -------
    logarithms, firsts : (c,) arrays
        z'log(A) z and z'A z.

    Examples
    --------
    One step suffices for a multiple of the identity, A = 2 I, whose step length is 1/2:

    >>> logarithms, firsts = lanczos_logarithms(np.array([[0.5]]), np.array([[0.0]]), np.array([3.0]))
    >>> bool(np.isclose(logarithms[0], 3 * np.log(2.0))), float(firsts[0])
    (True, 6.0)
    """
    logarithms, firsts = np.zeros(len(squares)), np.zeros(len(squares))
    for c, square in enumerate(squares):
        a = alpha[alpha[:, c] > 0, c]
        b = beta[: len(a), c]
        if len(a) == 0:
            continue
        diagonal = 1.0 / a
        firsts[c] = square * diagonal[0]
        diagonal[1:] += b[:-1] / a[:-1]
        off = np.sqrt(b[:-1]) / a[:-1]
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))
        logarithms[c] = square * (vectors[0] ** 2 @ np.log(values))
    return logarithms, firsts
