"""Trailing terms with few columns: solved for exactly, as right-hand sides beside [X y].

A handful of columns (departments, years) is cheap to solve for, and their share of log|V| must not be left to random
probes: a variance estimated from 14 levels has few levels to average over. With V_b the covariance of all other terms,
Zc the columns of the few, and G = [X y Zc]'V_b^-1[X y Zc],

    N = I + Lambda_c'G_cc Lambda_c        Gamma = Lambda_c N^-1 Lambda_c'
    log|V| = log|V_b| + log|N|            [X y]'V^-1[X y] = T'G T,  T = (I, -Gamma G_cx)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from mixedpy.core.arrays import Floats

__all__ = ["Border", "bordered"]


@dataclass(frozen=True, slots=True)
class Border:
    """The few columns eliminated last.

    Attributes
    ----------
    G : (r, r) array
        [X y Zc]'V_b^-1[X y Zc].
    T : (r, p + 1) array
        V^-1[X y] = V_b^-1[X y Zc] T.
    Gamma : (r - p - 1, r - p - 1) array
        Conditional covariance of the few random effects, relative to sigma^2.
    logdet : float
        log|N|.
    """

    G: Floats
    T: Floats
    Gamma: Floats
    logdet: float

    @property
    def width(self) -> int:
        """p + 1."""
        return self.T.shape[1]

    @property
    def gram(self) -> Floats:
        """[X y]'V^-1[X y]."""
        gram: Floats = self.G[: self.width] @ self.T
        return 0.5 * (gram + gram.T)

    def seed(self, Omega: Floats) -> Floats:
        """d(deviance - log|V_b|)/dG, (r, r), from d(deviance)/d([X y]'V^-1[X y])."""
        out: Floats = self.T @ Omega @ self.T.T
        out[self.width :, self.width :] += self.Gamma
        return out

    def inner(self, K: Floats, left: Floats, right: Floats) -> Floats:
        """Turn a product with V_b^-1, K = A'V_b^-1 B, into A'V^-1 B; left and right are Zc'V_b^-1 A and Zc'V_b^-1 B."""
        corrected: Floats = K - left.T @ self.Gamma @ right
        return corrected


def bordered(G: Floats, width: int, Lambdas: list[Floats], J: list[int]) -> Border:
    """Eliminate the columns after the first ``width`` of G.

    Parameters
    ----------
    G : (r, r) array
        [X y Zc]'V_b^-1[X y Zc]; columns of Zc stand term by term, effect x J + level.
    width : int
        p + 1.
    Lambdas : list of (m, m) arrays
        Relative covariance factors of the few terms.
    J : list of int
        Their numbers of levels.
    """
    if not Lambdas:
        return Border(G, np.eye(width), np.empty((0, 0)), 0.0)
    Lambda = block_diag(*(np.kron(L, np.eye(levels)) for L, levels in zip(Lambdas, J, strict=True)))
    N = np.eye(len(Lambda)) + Lambda.T @ G[width:, width:] @ Lambda
    C = np.linalg.cholesky(N)
    half = np.linalg.solve(C, Lambda.T)
    Gamma = half.T @ half
    T = np.concatenate([np.eye(width), -Gamma @ G[width:, :width]])
    return Border(G, T, Gamma, 2.0 * float(np.log(np.diag(C)).sum()))
