"""Preconditioned conjugate gradients on many right-hand sides at once, with the coefficients they leave behind.

Every column has coefficients of its own; what the columns share is the pass over the matrix. With preconditioner
D = CC', the coefficients of a column r are those of the Lanczos recursion of C^-1 M C^-T started at C^-1 r (Golub &
Van Loan 2013, Matrix Computations, section 11.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats

__all__ = ["Solution", "conjugate_gradients"]

Product = Callable[[Floats], Floats]

_AT_LEAST = 3
"""Iterations before convergence counts: where M is almost D, it is their difference that must be known."""

_ROUNDING = 1e-14
"""Residuals below this share of the right-hand side end a column at once."""


@dataclass(frozen=True, slots=True)
class Solution:
    """Approximate solutions of M x = r for c right-hand sides.

    Attributes
    ----------
    x : (q, c) array
        Solutions.
    residual : (q, c) array
        r - M x.
    image : (q, c) array
        M D^-1 r, the product of the first iteration.
    alpha, beta : (s, c) arrays
        Step lengths and direction updates of the s iterations; alpha is 0 from the iteration on at which a column had
        converged.
    """

    x: Floats
    residual: Floats
    image: Floats
    alpha: Floats
    beta: Floats

    @property
    def iterations(self) -> int:
        """Number of products with M."""
        return len(self.alpha)


def conjugate_gradients(
    product: Product, precondition: Product, right: Floats, tol: float | Floats, max_iterations: int = 1000
) -> Solution:
    """Solve M x = r for every column from x = 0.

    Columns that have converged leave the block once they are half of it.

    Parameters
    ----------
    product : callable
        V -> M V for a positive definite matrix, (q, c) to (q, c) for any c.
    precondition : callable
        V -> D^-1 V.
    right : (q, c) array
        Right-hand sides.
    tol : float or (c,) array
        A column has converged when its residual, in the norm of D^-1, is below this share of the right-hand side's.
    max_iterations : int
        Limit.

    Raises
    ------
    numpy.linalg.LinAlgError
        If some column has not converged within the limit, or M is not positive definite.
    """
    count = right.shape[1]
    solution, residual, image = np.zeros(right.shape), right.copy(), np.zeros(right.shape)
    own = np.arange(count)  # columns of the block
    x, r = solution, residual
    z = precondition(r)
    p = z.copy()
    rz = np.einsum("ij,ij->j", r, z)
    goal = tol * tol * rz
    least = np.minimum(goal, _ROUNDING**2 * rz)
    alphas: list[Floats] = []
    betas: list[Floats] = []
    while (active := rz > (goal if len(alphas) >= _AT_LEAST else least)).any():
        if len(alphas) == max_iterations:
            raise np.linalg.LinAlgError(f"conjugate gradients did not converge in {max_iterations} iterations")
        if 2 * active.sum() <= len(own):
            if x is not solution:
                solution[:, own], residual[:, own] = x, r
            own, x, r, p = own[active], x[:, active], r[:, active], p[:, active]
            rz, goal, least = rz[active], goal[active], least[active]
            active = np.ones(len(own), bool)
        Mp = product(p)
        if not alphas:
            image[:, own] = Mp
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
        alphas.append(_spread(alpha, own, count))
        betas.append(_spread(beta, own, count))
    if x is not solution:
        solution[:, own], residual[:, own] = x, r
    steps = (len(alphas), count)
    return Solution(solution, residual, image, np.reshape(alphas, steps), np.reshape(betas, steps))


def _spread(values: Floats, own: NDArray[np.intp], count: int) -> Floats:
    """Values of the block's columns among all."""
    out = np.zeros(count)
    out[own] = values
    return out
