"""Kenward and Roger's adjusted covariance and degrees of freedom (1997, Biometrics 53, 983), free of n.

gamma are the variances and covariances themselves: sigma^2 tau for the coordinates tau of the relative covariances,
and sigma^2. The derivatives of the covariance sigma^2 V in sigma^2 tau_r are G_r = Z E_r Z'; that of the residual part
is the identity, which is V - sum_r tau_r G_r, so that

    P_e = S - sum_s tau_s P_s      Q_re = P_r - sum_s tau_s Q_rs      Q_ee = P_e - sum_s tau_s Q_es
    t_re = t_r - sum_s tau_s t_rs                                     t_ee = (n - sum_s tau_s t_s) - sum_s tau_s t_es

with P_r = X'V^-1 G_r V^-1X, Q_rs = X'V^-1 G_r V^-1 G_s V^-1X, t_r = tr(V^-1 G_r), t_rs = tr(V^-1 G_r V^-1 G_s). Prior
weights are part of V. A covariance that is not linear in its parameters is linearized at the estimate, as by SAS's
``ddfm=kr(firstorder)``.
"""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.second_order.fit import FitBlocks

__all__ = ["KenwardRoger"]

_SINGULAR = 1e-10
"""Eigenvalues of the information, scaled to a unit diagonal, below this are taken as zero."""

_ZERO = 1e-10
_SATURATED = 1e-14


class KenwardRoger:
    """Adjusted covariance, and degrees of freedom with the scaling of F, of a REML fit."""

    label = "Kenward-Roger's"

    def __init__(self, blocks: FitBlocks):
        self.T = blocks.T
        s2, p = blocks.sigma**2, blocks.p
        self.Phi = s2 * blocks.blocks.S_inverse  # of the conditioned columns, like P and Q
        P, Q, t = _with_residual(blocks)
        P, Q, t = -P / s2**2, Q / s2**3, t / s2**2
        PhiP = self.Phi @ P
        information = t - 2.0 * np.einsum("ab,rsba->rs", self.Phi, Q) + np.einsum("rab,sba->rs", PhiP, PhiP)
        self.W = 2.0 * _scaled_inverse(0.5 * (information + information.T))  # covariance of gamma
        inner = np.einsum("rs,rsab->ab", self.W, Q) - np.einsum("rs,rab,sbc->ac", self.W, P, PhiP, optimize=True)
        adjusted = self.Phi + 2.0 * self.Phi @ inner @ self.Phi
        self.adjusted = 0.5 * (adjusted + adjusted.T).reshape(p, p)
        self.dPhi = PhiP @ self.Phi  # minus the derivatives of Phi in gamma

    def vcov(self) -> Floats:
        """Covariance of the fixed effects, adjusted for the estimation of the covariance parameters."""
        return self.T @ self.adjusted @ self.T.T

    def df(self, L: Floats) -> Floats:
        """Degrees of freedom of each row of L (r, p), (r,)."""
        return np.array([self._degrees(row[None, :] @ self.T)[1] for row in L])

    def f_scaling(self, L: Floats, variances: Floats) -> tuple[float, float]:
        """Scaling and degrees of freedom of the F statistic of L (q, p) of full rank."""
        return self._degrees(L @ self.T)

    def _degrees(self, L: Floats) -> tuple[float, float]:
        """Scaling and degrees of freedom by matching two moments of F (Kenward & Roger 1997, section 3)."""
        q = len(L)
        Theta = L.T @ np.linalg.solve(L @ self.Phi @ L.T, L)
        U = Theta @ self.dPhi  # (parameters, p, p)
        trace = np.einsum("raa->r", U)
        A1 = float(trace @ self.W @ trace)
        A2 = float(np.einsum("rs,rab,sba->", self.W, U, U, optimize=True))
        B = (A1 + 6.0 * A2) / (2.0 * q)
        g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2)
        d = 3.0 * q + 2.0 * (1.0 - g)
        V0, V1, V2 = 1.0 + g / d * B, 1.0 - (q - g) / d * B, 1.0 - (q + 2.0 - g) / d * B
        if abs(V0) < _ZERO:
            V0 = 0.0
        E = 1.0 - A2 / q
        ratio = 1.0 if max(abs(E), abs(V1)) < _SATURATED else E / V1
        rho = ratio**2 * V0 / V2 / q
        df = 4.0 + (q + 2.0) / (q * rho - 1.0)
        # at df = 2 both df - 2 and E vanish
        return (1.0 if abs(df - 2.0) < 0.01 else df * E / (df - 2.0)), df


def _with_residual(blocks: FitBlocks) -> tuple[Floats, Floats, Floats]:
    """P, Q and t over the covariances of the random effects, or their parameters, and the residual variance."""
    found, tau, p = blocks.blocks, blocks.tau, blocks.p
    g = len(tau)
    S = found.gram[:p, :p]
    P, Q = np.empty((g + 1, p, p)), np.empty((g + 1, g + 1, p, p))
    P[:g], Q[:g, :g] = found.P[:, :p, :p], found.Q[:, :, :p, :p]
    P[g] = S - np.tensordot(tau, P[:g], 1)
    Q[:g, g] = P[:g] - np.tensordot(Q[:g, :g], tau, (1, 0))
    Q[g, :g] = Q[:g, g].transpose(0, 2, 1)
    Q[g, g] = P[g] - np.tensordot(tau, Q[g, :g], 1)
    t = np.empty((g + 1, g + 1))
    t[:g, :g] = found.trace2
    t[:g, g] = t[g, :g] = found.trace - found.trace2 @ tau
    t[g, g] = (blocks.n - tau @ found.trace) - tau @ t[:g, g]
    if blocks.jacobian.shape[1] == g:  # as many parameters as coordinates: linear
        return P, Q, t
    C = np.zeros((g + 1, blocks.jacobian.shape[1] + 1))
    C[:g, :-1], C[g, -1] = blocks.jacobian, 1.0
    return np.tensordot(C.T, P, 1), np.einsum("rk,sl,rsab->klab", C, C, Q, optimize=True), C.T @ t @ C


def _scaled_inverse(M: Floats) -> Floats:
    """Inverse of a symmetric matrix after scaling to a unit diagonal; directions without information are left out."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(M), 1e-300))
    values, vectors = np.linalg.eigh(M * np.outer(scale, scale))
    kept = values > _SINGULAR
    half = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    return half @ half.T
