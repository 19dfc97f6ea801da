"""Satterthwaite's degrees of freedom from exact derivatives.

With C(theta, sigma) = sigma^2 (X'V^-1X)^-1 and A = 2 H^-1 the asymptotic covariance of (theta, sigma), H the Hessian of
the deviance, a combination c has 2 (c'Cc)^2 / (g'Ag) degrees of freedom, g the gradient of c'Cc (Giesbrecht & Burns
1985, Biometrics 41, 477). Several combinations are taken together as by Fai & Cornelius (1996, J. Stat. Comput.
Simul. 54, 363).
"""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.second_order.fit import FitBlocks

__all__ = ["Satterthwaite", "combined_df"]

_FLAT = 1e-8
"""Directions in which the Hessian, scaled to a unit diagonal, is flatter than this carry no information: on the
boundary the deviance does not depend on them, and neither does C."""

_EQUAL = 1e-8
"""Degrees of freedom that differ by less are the same."""


class Satterthwaite:
    """Degrees of freedom of linear combinations of the fixed effects."""

    label = "Satterthwaite's"

    def __init__(self, blocks: FitBlocks):
        self.blocks = blocks
        H = blocks.expansion.joint
        diagonal = np.diag(H)
        scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))  # frees the verdict of the units
        values, vectors = np.linalg.eigh(H * np.outer(scale, scale))
        steep = values > _FLAT
        half = scale[:, None] * vectors[:, steep] / np.sqrt(values[steep])
        self.root = np.sqrt(2.0) * half  # A = root root'

    def vcov(self) -> Floats:
        """sigma^2 (X'V^-1X)^-1."""
        T = self.blocks.T
        return self.blocks.sigma**2 * T @ self.blocks.blocks.S_inverse @ T.T

    def df(self, L: Floats) -> Floats:
        """Degrees of freedom of each row of L (r, p), (r,)."""
        found, p, sigma = self.blocks.blocks, self.blocks.p, self.blocks.sigma
        c = L @ self.blocks.T
        s = c @ found.S_inverse  # (r, p)
        variance = np.einsum("ra,ra->r", c, s)  # over sigma^2
        by_tau = np.einsum("ra,tab,rb->rt", s, found.P[:, :p, :p], s)
        gradient = np.column_stack([sigma**2 * by_tau @ self.blocks.jacobian, 2.0 * sigma * variance])
        return 2.0 * (sigma**2 * variance) ** 2 / np.sum((gradient @ self.root) ** 2, axis=1)

    def f_scaling(self, L: Floats, variances: Floats) -> tuple[float, float]:
        """One, and the combined degrees of freedom of the rows of L."""
        return 1.0, combined_df(self.df(L))


def combined_df(df: Floats) -> float:
    """Combine the degrees of freedom of independent t statistics into those of the F statistic they make.

    q F is the sum of their squares; its expectation sum nu / (nu - 2) is that of q F(q, nu) at the result. It is the
    common value where all are equal, and 2 where an expectation does not exist.

    Examples
    --------
    >>> combined_df(np.array([10.0, 10.0])), combined_df(np.array([1.5, 30.0]))
    (10.0, 2.0)
    >>> round(combined_df(np.array([5.0, 9.0])), 3)
    6.2
    """
    if np.all(np.abs(np.diff(df)) < _EQUAL):
        return float(df.mean())
    if np.any(df <= 2.0):
        return 2.0
    total = float(np.sum(df / (df - 2.0)))
    return 2.0 * total / (total - len(df))
