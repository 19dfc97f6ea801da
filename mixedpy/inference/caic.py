"""The conditional AIC of Greven & Kneib (2010, Biometrika 97, 773), with exact effective degrees of freedom.

The degrees of freedom are the trace of the derivative of the fitted values in the data, the estimates of the covariance
parameters followed, plus one for sigma (their theorem 3, corrected for the unknown residual variance by the exact
derivative; Säfken, Rügamer, Kneib & Greven 2021, J. Stat. Softw. 99(8)). With P = V^-1 - V^-1X S^-1 X'V^-1 relative to
sigma^2, the residuals are Py, and with e = Py, t = y'Py, nu = n or n - p

    df = n - tr P + tr(B^-1 C) + 1
    B = (t / nu) / 2 times the Hessian of the deviance, or REML criterion, with sigma profiled out
    C_jk = e'G_j P^2 G_k e - q_j e'P G_k e / t,   q_j = e'G_j e

in the parameters theta; G_j is the derivative of V. All follows from the second-order blocks, since P^2 = P - sum_s
tau_s P G_s P. A parameter on the boundary does not move with the data, and has no part in B and C. (The R package cAIC4
1.0 has a factor 1/2 too many in the second term of C.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.record import FitRecord
from mixedpy.core.second_order.fit import FitBlocks
from mixedpy.inference.fitted import residuals

__all__ = ["ConditionalAic", "conditional_aic", "conditional_loglik", "effective_df"]

_FLAT = 1e-8
"""Directions in which the Hessian, scaled to a unit diagonal, is flatter than this do not move with the data."""


@dataclass(frozen=True, slots=True)
class ConditionalAic:
    """The conditional AIC.

    Attributes
    ----------
    df : float
        Effective degrees of freedom, the residual variance counted.
    loglik : float
        Log-likelihood of the data given the conditional modes.
    """

    df: float
    loglik: float

    @property
    def caic(self) -> float:
        """-2 loglik + 2 df."""
        return -2.0 * self.loglik + 2.0 * self.df


def conditional_aic(design: Design, record: FitRecord, blocks: FitBlocks) -> ConditionalAic:
    """Compute the conditional AIC of a fit from its second-order blocks."""
    return ConditionalAic(effective_df(blocks), conditional_loglik(design, record))


def conditional_loglik(design: Design, record: FitRecord) -> float:
    """Compute the log-likelihood of the data given the conditional modes of the random effects."""
    scaled = residuals(design, record, "scaled")
    log_weights = 0.0 if design.weights is None else float(np.log(design.weights).sum())
    return -0.5 * (float(scaled @ scaled) + design.n * float(np.log(2.0 * np.pi * record.sigma**2)) - log_weights)


def effective_df(blocks: FitBlocks) -> float:
    """Compute the derivative of the fitted values in the data, summed, plus one for the residual variance."""
    found, tau, p, n = blocks.blocks, blocks.tau, blocks.p, blocks.n
    S1 = found.S_inverse
    PX, PXf, q = found.P[:, :p, :p], found.P[:, :p, p], found.P[:, p, p]
    residual = found.gram[:p, :p] - np.tensordot(tau, PX, 1)  # X'V^-2X
    trace_P = n - tau @ found.trace - np.sum(S1 * residual)
    M = found.Q[:, :, p, p] - PXf @ S1 @ PXf.T  # e'G_j P G_k e
    t = found.r2
    C = M - np.einsum("jsk,s->jk", found.cubic, tau) - np.outer(q, q - tau @ M) / t
    nu = n - p if blocks.reml else n
    B = 0.5 * t / nu * blocks.expansion.profiled
    J = blocks.jacobian
    return float(n - trace_P + np.sum(_inverse(B) * (J.T @ C @ J)) + 1.0)


def _inverse(B: Floats) -> Floats:
    """Inverse over the directions that are not flat."""
    diagonal = np.diag(B)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(B * np.outer(scale, scale))
    steep = values > _FLAT
    half = scale[:, None] * vectors[:, steep] / np.sqrt(values[steep])
    return half @ half.T
