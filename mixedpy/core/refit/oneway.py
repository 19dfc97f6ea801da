"""The deviance of many replicates of a model with one random term: value, gradient and exact Hessian in lockstep.

The responses of B replicates share Z'Z and X. With W_j = Z_j'[X y], N = (I + A Sigma)^-1 and K = N A,

    log|V| = sum_j log|I + A_j Sigma|        [X y]'V^-1[X y] = [X y]'[X y] - sum_j W_j'B W_j,    B = Sigma N
    F = Z'V^-1[X y] = N W                    tr(K E_r K E_s), F'E_r F and F'E_r K E_s F

and A_j is all that N, K and B depend on. So levels with the same A_j form a class, of which only the second moments
sum_j W_j (x) W_j enter: in a balanced design no cost depends on the number of levels. Arrays are (..., C, B), classes
then replicates. Derivatives with respect to tau, the lower triangle of Sigma, go over to theta at the end.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.refit.algebra import multiply, positive_inverse, transpose
from mixedpy.core.refit.classes import eliminate, trace_products
from mixedpy.core.refit.entries import Entries
from mixedpy.core.refit.errors import joint_covariance
from mixedpy.core.refit.responses import Responses

__all__ = ["OneWay", "OneWayState"]

_EXACT = 1e-14
"""A share of y'y below which what is left of it is rounding error: such a response has no likelihood."""

_LOG_2PI_E = 1.0 + np.log(2.0 * np.pi)


@dataclass(frozen=True, slots=True)
class OneWayState:
    """What the values of B replicates leave for their derivatives.

    Attributes
    ----------
    value, sigma2 : (B,) array
        Deviance, NaN where it has none, and residual variance.
    beta : (p, B) array
        Fixed effects.
    S_inverse : (p, p, B) array
        (X'V^-1X)^-1.
    Lambda : (m, m, B) array
        Relative covariance factor.
    B : (m, m, C, B) array
        Sigma (I + A Sigma)^-1.
    """

    value: Floats
    sigma2: Floats
    beta: Floats
    S_inverse: Floats
    Lambda: Floats
    B: Floats

    @property
    def Lambdas(self) -> tuple[Floats, ...]:
        """Relative covariance factors of all terms."""
        return (self.Lambda,)

    def take(self, chosen: NDArray[np.intp]) -> OneWayState:
        """Those of some replicates."""
        return OneWayState(*(getattr(self, f.name)[..., chosen] for f in fields(self)))


@dataclass(frozen=True, slots=True)
class _Classes:
    """Levels with equal blocks: representatives, member counts, and the (C, J) matrix that sums over the members."""

    A: Floats  # (m, m, C, 1)
    counts: Floats  # (C, 1)
    total: sp.csr_array


class OneWay:
    """Deviances of B replicates of a model with one random term.

    Parameters
    ----------
    cp : CrossProducts
        Of a design with one term.
    responses : Responses
        The replicates.
    entries : Entries
        Layout of theta.
    classes : (J,) intp array
        Class of each level, from :func:`classes_of`.
    reml : bool
        REML criterion rather than ML deviance.
    """

    exact = True

    def __init__(
        self, cp: CrossProducts, responses: Responses, entries: Entries, classes: NDArray[np.intp], *, reml: bool
    ):
        self.entries, self.reml = entries, reml
        self.n, self.p, self.m = cp.n, cp.p, cp.m[0]
        self.nu = cp.n - cp.p if reml else cp.n
        self.log_weights = cp.log_weights
        self.classes = _classes(cp.own[0], classes)
        self.XX = cp.fixed[: cp.p, : cp.p]
        self.Xy, self.yy = responses.fixed, responses.square
        X = cp.right[0][:, : cp.p]  # (m, p, J)
        m, p, C = self.m, self.p, len(self.classes.counts)
        products = np.einsum("axj,dyj->xyadj", X, X).reshape(-1, cp.J[0])
        # second moments by class, entries (a, d) of Z_j's columns and the class in one axis of length K = m m C
        self.mXX = (self.classes.total @ products.T).T.reshape(p * p, m * m * C)
        z = responses.random[0]  # (m, J, B)
        self.mXy = self._mixed(X, z).reshape(p, m * m * C, -1)
        self.myy = np.stack([self.classes.total @ (z[a] * z[d]) for a in range(m) for d in range(m)])
        self.myy = self.myy.reshape(m * m * C, -1)

    def _mixed(self, X: Floats, z: Floats) -> Floats:
        """Sums over the members of X_ax z_d, (p, m, m, C, B)."""
        m, p, _ = X.shape
        C = len(self.classes.counts)
        out = np.empty((p, m, m, C, z.shape[2]))
        for a in range(m):
            for x in range(p):
                weighted = self.classes.total.copy()
                weighted.data = X[a, x][weighted.indices]
                for d in range(m):
                    out[x, a, d] = weighted @ z[d]
        return out

    def take(self, chosen: NDArray[np.intp]) -> OneWay:
        """The same for some of the replicates."""
        other = copy(self)
        other.Xy, other.yy = self.Xy[:, chosen], self.yy[chosen]
        other.mXy, other.myy = self.mXy[:, :, chosen], self.myy[:, chosen]
        return other

    def reparametrized(self, entries: Entries) -> OneWay:
        """The same over other entries."""
        other = copy(self)
        other.entries = entries
        return other

    def values(self, theta: Floats) -> OneWayState:
        """Deviances at theta (k, B)."""
        (Lambda,) = self.entries.Lambdas(theta)
        p = self.p
        B, logdet = eliminate(self.classes.A, Lambda)
        flat = B.reshape(len(self.myy), -1)
        S = self.XX[:, :, None] - (self.mXX @ flat).reshape(p, p, -1)
        Sy = self.Xy - np.einsum("xkb,kb->xb", self.mXy, flat)
        S_inverse, logdet_S = positive_inverse(S) if p else (S, np.zeros(theta.shape[1]))
        beta = np.einsum("xyb,yb->xb", S_inverse, Sy)
        r2 = self.yy - np.einsum("kb,kb->b", flat, self.myy) - np.einsum("xb,xb->b", beta, Sy)
        sigma2 = np.where(r2 > _EXACT * self.yy, r2, np.nan) / self.nu
        value = np.einsum("cb,ci->b", logdet, self.classes.counts)
        value += self.nu * (_LOG_2PI_E + np.log(sigma2)) - self.log_weights
        if self.reml:
            value += logdet_S
        return OneWayState(value, sigma2, beta, S_inverse, Lambda, B)

    def derivatives(self, state: OneWayState) -> tuple[Floats, Floats]:
        """Gradients (k, B) and Hessians (k, k, B) in theta."""
        gradient, hessian, _ = self._derivatives(state)
        return gradient, hessian

    def covariance(self, state: OneWayState) -> Floats:
        """Covariance of (theta, sigma), (k + 1, k + 1, B), from the Hessian."""
        _, hessian, score = self._derivatives(state)
        sigma = np.sqrt(state.sigma2)
        return joint_covariance(hessian, -score / (2.0 * self.nu * sigma), sigma, self.nu)

    def _derivatives(self, state: OneWayState) -> tuple[Floats, Floats, Floats]:
        """Gradient, Hessian, and f'(dSigma_k) f, which is minus the derivative of y'Py, (k, B)."""
        m, p = self.m, self.p
        A, counts = self.classes.A, self.classes.counts
        shape = (m, m, len(counts), -1)
        N = -multiply(A, state.B)
        for a in range(m):
            N[a, a] += 1.0
        K = multiply(N, A)
        NT = transpose(N)
        # moments of the residual y - X beta, of X with it, and of X weighted by (X'V^-1X)^-1
        fitted = np.einsum("xkb,xb->kb", self.mXy, state.beta).reshape(shape)
        weights = np.einsum("xb,yb->xyb", state.beta, state.beta).reshape(p * p, -1)
        ee = self.myy.reshape(shape) - fitted - transpose(fitted) + (self.mXX.T @ weights).reshape(shape)
        Xe = self.mXy - np.matmul(self.mXX.reshape(p, p, -1).transpose(0, 2, 1), state.beta)
        FF = multiply(multiply(N, ee), NT)  # sum of f f', f = Z'Py
        gradient = counts * K - FF / state.sigma2
        curvature = (2.0 / state.sigma2) * FF - counts * K
        if self.reml:
            XX = (self.mXX.T @ state.S_inverse.reshape(p * p, -1)).reshape(shape)
            FX = multiply(multiply(N, XX), NT)
            gradient -= FX
            curvature += 2.0 * FX
        return self._to_theta(state, gradient.sum(2), K, curvature, N, FF.sum(2), Xe)

    def _to_theta(
        self,
        state: OneWayState,
        dSigma: Floats,
        K: Floats,
        curvature: Floats,
        N: Floats,
        score: Floats,
        Xe: Floats,
    ) -> tuple[Floats, Floats, Floats]:
        """Collect the derivatives in tau and turn them into those in theta."""
        p, B = self.p, state.value.shape[0]
        (pairs,) = self.entries.pairs
        rows, columns = pairs
        g = len(rows)
        twice = np.where(rows == columns, 1.0, 2.0)[:, None]
        H = trace_products(K, curvature, pairs)
        T = np.empty((g, len(self.myy), B))  # N'E_r N
        for r, (a, d) in enumerate(zip(rows, columns, strict=True)):
            product = np.multiply(N[a, :, None], N[d, None, :])
            T[r] = (product if a == d else product + product.swapaxes(0, 1)).reshape(-1, B)
        own = twice * score[rows, columns]  # f'E_r f
        PXe = np.einsum("xkb,rkb->rxb", Xe, T)
        half = np.einsum("rxb,xyb->ryb", PXe, state.S_inverse)
        H -= (2.0 / state.sigma2) * np.einsum("ryb,syb->rsb", half, PXe)
        H -= own[:, None] * own / (state.sigma2**2 * self.nu)
        if self.reml:
            PX = np.stack([(self.mXX @ t).reshape(p, p, B) for t in T])  # (g, p, p, B)
            SP = np.einsum("xyb,ryzb->rxzb", state.S_inverse, PX)
            H -= np.einsum("rxyb,syxb->rsb", SP, SP)
        return self.entries.chain_rule((state.Lambda,), [dSigma], H, own)


def _classes(own: Floats, classes: NDArray[np.intp]) -> _Classes:
    J = len(classes)
    members, first = np.unique(classes, return_index=True)
    total = sp.csr_array((np.ones(J), (classes, np.arange(J))), shape=(len(members), J))
    counts = np.bincount(classes, minlength=len(members)).astype(float)
    return _Classes(own[:, :, first][..., None], counts[:, None], total)
