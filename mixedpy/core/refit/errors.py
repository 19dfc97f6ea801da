"""Standard errors of standard deviations and correlations, by the delta method from the Hessian of the criterion.

With H the Hessian of the deviance (REML criterion) in theta, sigma profiled out, and s = dsigma/dtheta,

    var(theta) = 2 H^-1      cov(theta, sigma) = var(theta) s      var(sigma) = sigma^2 / (2 nu) + s'var(theta) s

and sd_a = sigma sqrt(tau_aa), cor_ab = tau_ab / sqrt(tau_aa tau_bb) for relative covariances tau(theta).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.estimate import Engine
from mixedpy.core.record import FitRecord
from mixedpy.core.refit.algebra import multiply, positive_inverse, transpose
from mixedpy.core.second_order.fit import engine_blocks

__all__ = ["Errors", "joint_covariance", "record_errors", "sd_cor_errors"]


_BOUND = 1.0 - 1e-6
"""Correlations from here on lie on the boundary and have no standard error."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Standard errors of B replicates; NaN on the boundary or where the Hessian is not positive definite.

    Attributes
    ----------
    terms : tuple of (B, m, m) arrays
        For each term, in the order of ``Design.terms``: of standard deviations on the diagonal, of correlations
        beside it.
    sigma : (B,) array
        Of the residual standard deviation.
    """

    terms: tuple[Floats, ...]
    sigma: Floats

    @classmethod
    def joined(cls, parts: Sequence[Errors]) -> Errors:
        """Those of several batches, one after another."""
        terms = zip(*(part.terms for part in parts), strict=True)
        return cls(tuple(np.concatenate(one) for one in terms), np.concatenate([part.sigma for part in parts]))


def joint_covariance(hessian: Floats, slope: Floats, sigma: Floats, nu: int) -> Floats:
    """Covariance of (theta, sigma), (k + 1, k + 1, B).

    Parameters
    ----------
    hessian : (k, k, B) array
        Of the deviance in theta, sigma profiled out.
    slope : (k, B) array
        dsigma/dtheta.
    sigma : (B,) array
        Residual standard deviations.
    nu : int
        n, or n - p for REML.
    """
    k, B = slope.shape
    with np.errstate(invalid="ignore", divide="ignore"):
        theta = 2.0 * positive_inverse(hessian)[0]
    across = np.einsum("klb,lb->kb", theta, slope)
    V = np.empty((k + 1, k + 1, B))
    V[:k, :k] = theta
    V[:k, k] = V[k, :k] = across
    V[k, k] = sigma**2 / (2.0 * nu) + np.einsum("kb,kb->b", slope, across)
    return V


def sd_cor_errors(
    Lambdas: Sequence[Floats],
    jacobians: Sequence[Floats],
    columns: Sequence[Floats | None],
    order: Sequence[int],
    sigma: Floats,
    V: Floats,
) -> Errors:
    """Carry the covariance of (theta, sigma) over to standard deviations and correlations.

    Parameters
    ----------
    Lambdas : sequence of (m, m, B) arrays
        Relative covariance factors in conditioned columns, terms in the order of the cross-products.
    jacobians : sequence of (T, m, m, B) arrays
        Their derivatives in the terms' shares of theta (a last axis of one serves all replicates).
    columns : sequence of (m, m) arrays or None
        b = T_i b' for each term in the order of ``Design.terms``; None for the identity.
    order : sequence of int
        Position in ``Design.terms`` of each term.
    sigma : (B,) array
        Residual standard deviations.
    V : (k + 1, k + 1, B) array
        Covariance of (theta, sigma).
    """
    k = V.shape[0] - 1
    terms: list[Floats] = [np.empty(0)] * len(order)
    start = 0
    for i, L, dL in zip(order, Lambdas, jacobians, strict=True):
        T = columns[i]
        R = L if T is None else np.einsum("ab,bcr->acr", T, L)
        dR = dL if T is None else np.einsum("ab,tbcr->tacr", T, dL)
        m, count, B = len(R), len(dR), R.shape[2]
        tau = multiply(R, transpose(R))
        slopes = np.einsum("tacr,bcr->tabr", dR, R)
        slopes = slopes + slopes.swapaxes(1, 2)  # d tau
        own = slice(start, start + count)
        errors = np.full((B, m, m), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.sqrt(np.einsum("aab->ab", tau))
            for a in range(m):
                gradient = np.zeros((k + 1, B))
                gradient[own] = sigma * slopes[:, a, a] / (2.0 * size[a])
                gradient[k] = size[a]
                errors[:, a, a] = np.sqrt(np.einsum("kb,klb,lb->b", gradient, V, gradient))
                for b in range(a):
                    cor = tau[a, b] / (size[a] * size[b])
                    gradient = np.zeros((k + 1, B))
                    gradient[own] = slopes[:, a, b] / (size[a] * size[b])
                    gradient[own] -= 0.5 * cor * (slopes[:, a, a] / tau[a, a] + slopes[:, b, b] / tau[b, b])
                    found = np.sqrt(np.einsum("kb,klb,lb->b", gradient, V, gradient))
                    errors[:, a, b] = errors[:, b, a] = np.where(np.abs(cor) < _BOUND, found, np.nan)
        terms[i] = errors
        start += count
    with np.errstate(invalid="ignore"):
        return Errors(tuple(terms), np.sqrt(V[k, k]))


def record_errors(engine: Engine, record: FitRecord) -> Errors:
    """Standard errors of one fit of a prepared model, from the exact Hessian."""
    blocks, parameters = engine_blocks(engine, record), engine.parameters
    joint = blocks.expansion.joint
    with np.errstate(invalid="ignore", divide="ignore"):
        V = 2.0 * positive_inverse(joint[:, :, None])[0]
    theta = engine.inward(record.theta)
    Lambdas = [L[:, :, None] for L in parameters.Lambdas(theta)]
    jacobians = [
        template.jacobian(theta[share])[..., None]
        for template, share in zip(parameters.templates, parameters.slices, strict=True)
    ]
    columns, order = engine.conditioned.terms, engine.cross_products.order
    return sd_cor_errors(Lambdas, jacobians, columns, order, np.array([record.sigma]), V)
