"""Products with K by conjugate gradients, for crossed terms whose Schur complement cannot be factored.

The reduced system M = I + Lambda'S Lambda of all terms but the first is solved as the iterative factorization solves
it; with H = Lambda M^-1 Lambda' and R = (I + A11 Sigma)^-1 A12,

    K w = [D w1 + R (w2 - H t); t - S H t],   t = R'w1 + S w2
"""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.iterative.conjugate import conjugate_gradients
from mixedpy.core.iterative.system import Operator, Pattern
from mixedpy.core.levelwise import apply_left, level_kernel, posterior

__all__ = ["Conjugate"]

_TOLERANCE = 1e-6
"""Relative residual at which a column stops; products with K have half as many digits again, being quadratic forms."""


class Conjugate:
    """K of two or more crossed terms at one set of factors, nothing factored."""

    logdet = np.nan

    def __init__(self, cp: CrossProducts, Lambdas: list[Floats]):
        self.m, self.J = cp.m[0], cp.J[0]
        self.Sigma = Lambdas[0] @ Lambdas[0].T
        stack = np.concatenate([cp.own[0], cp.right[0]], axis=1)
        self.eliminated = level_kernel(stack).eliminate(self.Sigma, Lambdas[0])
        pattern = Pattern(cp, range(1, cp.k))
        self.trailing, self.A12 = pattern.trailing, pattern.A12
        self.operator = Operator(pattern, posterior(self.Sigma, self.eliminated.K), Lambdas[1:])
        SigmaY = apply_left(self.Sigma, self.eliminated.Y)
        right = np.concatenate([block.transpose(0, 2, 1).reshape(-1, cp.p + 1) for block in cp.right[1:]])
        self.right = right - self.A12.multiply_transposed(self._rows(SigmaY))  # Z2'V1^-1[X y]
        self.Hr = self._H(self.right)
        gram = cp.fixed - np.matmul(stack[:, self.m :], SigmaY.transpose(0, 2, 1)).sum(0) - self.right.T @ self.Hr
        self.gram: Floats = 0.5 * (gram + gram.T)

    def _rows(self, block: Floats) -> Floats:
        """(m, c, J) as the rows of A12, (m J, c)."""
        return np.ascontiguousarray(block.transpose(0, 2, 1)).reshape(self.m * self.J, -1)

    def _H(self, B: Floats) -> Floats:
        """Lambda M^-1 Lambda'B for B (q, c)."""
        operator = self.operator
        solved = conjugate_gradients(operator.M, operator.D.solve, operator.restrict(B), _TOLERANCE)
        return operator.expand(solved.x)

    def _R(self, B: Floats) -> Floats:
        """R B = (I + A11 Sigma)^-1 A12 B as (m, c, J), for B (q, c)."""
        block = self.operator.eliminated(B).transpose(0, 2, 1)  # (m, c, J)
        lost = np.einsum("abj,bcj->acj", self.eliminated.K, apply_left(self.Sigma, np.ascontiguousarray(block)))
        return block - lost

    def fixed_products(self) -> list[Floats]:
        """Z'V^-1[X y] of each term, (m, p + 1, J)."""
        rest = self.trailing.split(self.right - self.operator.S(self.Hr))
        return [self.eliminated.Y - self._R(self.Hr), *(block.transpose(0, 2, 1).copy() for block in rest)]

    def random_products(self, W: list[Floats]) -> list[Floats]:
        """K W; W and the result are lists of one (m, c, J) array for each term."""
        own = np.einsum("abj,bcj->acj", self.eliminated.K, W[0])
        w2 = np.concatenate([block.transpose(0, 2, 1).reshape(-1, block.shape[1]) for block in W[1:]])
        t = self.A12.multiply_transposed(self._rows(W[0] - apply_left(self.Sigma, own))) + self.operator.S(w2)
        Ht = self._H(t)
        rest = self.trailing.split(t - self.operator.S(Ht))
        return [own + self._R(w2 - Ht), *(block.transpose(0, 2, 1).copy() for block in rest)]
