"""Preconditioned conjugate gradients on many right-hand sides at once, with the coefficients they leave behind.

Every column has coefficients of its own; what the columns share is the pass over the matrix. With preconditioner
D = CC', the coefficients of a column r are those of the Lanczos recursion of C^-1 M C^-T started at C^-1 r (Golub &
Van Loan 2013, Matrix Computations, section 11.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats

__all__ = ["Solution", "conjugate_gradients"]

Product = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Solution:
    """Approximate solutions of M x = r for c right-hand sides.

    Attributes
    ----------
    x : (q, c) array
        Solutions.
    residual : (q, c) array
        r - M x.
    alpha, beta : (s, c) arrays
        Step lengths and direction updates of the s iterations; alpha is 0 from the iteration on at which a column had
        converged.
    """

    x: Floats
    residual: Floats
    alpha: Floats
    beta: Floats

    @property
    def iterations(self) -> int:
        """Number of products with M."""
        return len(self.alpha)


def conjugate_gradients(
    product: Product, precondition: Product, right: Floats, tol: float, max_iterations: int = 1000
) -> Solution:
    """Solve M x = r for every column from x = 0.

    Parameters
    ----------
    product : callable
        V -> M V for a positive definite matrix, (q, c) to (q, c).
    precondition : callable
        V -> D^-1 V.
    right : (q, c) array
        Right-hand sides.
    tol : float
        A column has converged when its residual, in the norm of D^-1, is below this share of the right-hand side's.
    max_iterations : int
        Limit.

    Raises
    ------
    numpy.linalg.LinAlgError
        If some column has not converged within the limit, or M is not positive definite.
    """
    x, r = np.zeros(right.shape), right.copy()
    z = precondition(r)
    p = z.copy()
    rz = np.einsum("ij,ij->j", r, z)
    goal = tol * tol * rz
    alphas, betas = [], []
    for _ in range(max_iterations):
        active = rz > goal
        if not active.any():
            break
        Mp = product(p)
        pMp = np.einsum("ij,ij->j", p, Mp)
        if not (pMp[active] > 0).all():
            raise np.linalg.LinAlgError("the matrix of the conjugate gradients is not positive definite")
        alpha = np.divide(rz, pMp, out=np.zeros_like(rz), where=active)
        x += alpha * p
        Mp *= alpha
        r -= Mp
        z = precondition(r)
        new = np.einsum("ij,ij->j", r, z)
        beta = np.divide(new, rz, out=np.zeros_like(rz), where=active)
        p *= beta
        p += z
        rz = np.where(active, new, rz)
        alphas.append(alpha)
        betas.append(beta)
    else:
        raise np.linalg.LinAlgError(f"conjugate gradients did not converge in {max_iterations} iterations")
    empty = np.zeros((0, right.shape[1]))
    return Solution(x, r, np.array(alphas) if alphas else empty, np.array(betas) if betas else empty)
