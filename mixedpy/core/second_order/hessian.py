"""Exact first and second derivatives of the ML and REML deviance from the second-order blocks.

With sigma free, nu = n (ML) or n - p (REML), tau the coordinates of the relative covariances in the directions E_r, and
the terms in brackets for REML only (P and Q are split into the blocks of X and of f):

    d         = log|V| [+ log|S|] + r2 / sigma^2 + nu log(2 pi sigma^2) - sum log w
    d_tau     = tr(K E_r) [- tr(S^-1 P_r^XX)] - P_r^ff / sigma^2
    d_tau,tau = -tr(K E_r K E_s) [+ 2 tr(S^-1 Q_rs^XX) - tr(S^-1 P_r^XX S^-1 P_s^XX)]
                + 2 (Q_rs^ff - P_r^fX S^-1 P_s^Xf) / sigma^2
    d_sigma   = -2 r2 / sigma^3 + 2 nu / sigma
    d_sigma,sigma = 6 r2 / sigma^4 - 2 nu / sigma^2           d_tau,sigma = 2 P_r^ff / sigma^3
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.second_order.blocks import SecondOrder

__all__ = ["Expansion", "expand", "in_parameters"]


@dataclass(frozen=True, slots=True)
class Expansion:
    """Gradient and Hessian of the deviance in g covariance coordinates and sigma.

    Attributes
    ----------
    gradient : (g,) array
        In the coordinates.
    hessian : (g, g) array
        In the coordinates.
    by_sigma, by_sigma2 : float
        First and second derivative in sigma.
    mixed : (g,) array
        Second derivatives in the coordinates and sigma.
    """

    gradient: Floats
    hessian: Floats
    by_sigma: float
    by_sigma2: float
    mixed: Floats

    @property
    def joint(self) -> Floats:
        """Hessian in (coordinates, sigma), (g + 1, g + 1)."""
        return np.block([[self.hessian, self.mixed[:, None]], [self.mixed[None, :], np.array([[self.by_sigma2]])]])

    @property
    def profiled(self) -> Floats:
        """Hessian in the coordinates with sigma profiled out, (g, g)."""
        return self.hessian - np.outer(self.mixed, self.mixed) / self.by_sigma2


def expand(blocks: SecondOrder, n: int, sigma: float, *, reml: bool) -> Expansion:
    """Differentiate the deviance in the directions of the blocks and in sigma.

    Parameters
    ----------
    blocks : SecondOrder
        At the covariance factors in question.
    n : int
        Number of rows.
    sigma : float
        Residual standard deviation, not necessarily the one that minimizes the deviance.
    reml : bool
        REML criterion rather than ML deviance.
    """
    p, P, Q = blocks.p, blocks.P, blocks.Q
    s2, nu = sigma**2, n - p if reml else n
    S1 = blocks.S_inverse
    Pff, PXf = P[:, p, p], P[:, :p, p]
    gradient = blocks.trace - Pff / s2
    hessian = -blocks.trace2 + (2.0 / s2) * (Q[:, :, p, p] - PXf @ S1 @ PXf.T)
    if reml:
        SP = S1 @ P[:, :p, :p]
        gradient = gradient - np.einsum("raa->r", SP)
        hessian = hessian + 2.0 * np.einsum("ab,rsba->rs", S1, Q[:, :, :p, :p]) - np.einsum("rab,sba->rs", SP, SP)
    return Expansion(
        gradient=gradient,
        hessian=0.5 * (hessian + hessian.T),
        by_sigma=-2.0 * blocks.r2 / sigma**3 + 2.0 * nu / sigma,
        by_sigma2=6.0 * blocks.r2 / s2**2 - 2.0 * nu / s2,
        mixed=2.0 * Pff / sigma**3,
    )


def in_parameters(expansion: Expansion, jacobian: Floats, curvature: Floats) -> Expansion:
    """Change from the coordinates tau to parameters phi.

    Parameters
    ----------
    expansion : Expansion
        In tau, (g,).
    jacobian : (g, k) array
        d tau / d phi.
    curvature : (g, k, k) array
        d2 tau / d phi2.
    """
    hessian = jacobian.T @ expansion.hessian @ jacobian + np.einsum("r,rkl->kl", expansion.gradient, curvature)
    return Expansion(
        gradient=jacobian.T @ expansion.gradient,
        hessian=0.5 * (hessian + hessian.T),
        by_sigma=expansion.by_sigma,
        by_sigma2=expansion.by_sigma2,
        mixed=jacobian.T @ expansion.mixed,
    )
