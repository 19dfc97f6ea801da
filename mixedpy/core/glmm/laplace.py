"""The Laplace deviance of one block with its exact gradient, and the tangents of the conditional modes.

With h_i = zeta_i'M^-1 zeta_i, c = v1 h, a = M^-1 zeta'c (the adjoint), t = zeta a, res = c - 2 r - w t:

    dD/dbeta       = X'res
    dD/dLambda_ab  = sum_i { res_i z_ia u_b + r_i z_ia a_b + 2 v_i z_ia (M^-1 zeta_i)_b }
    dD/dalpha      = sum_i { -2 dl_i + h_i dv_i } + a'zeta'dr
    du^/dpsi_k     = M^-1 (rho_k - zeta'W e_k)

where e_k is the derivative of eta at fixed u and rho_k that of zeta'r at fixed eta. v are the weights in log|M|: w
(observed) or their expectations; the adjoint uses the observed ones in either case. With g_u = zeta'r - u at the u in
hand,

    D += a'g_u - g_u'M^-1 g_u,      dD/dpsi_k -= 2 (du^/dpsi_k)'g_u

leave D with the second-order error of log|M| alone, and take the likelihood's share, by far the larger, out of the
error of the gradient. Without them the fit stops short, since the likelihood's gradient in beta sees X'W zeta (u - u^).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.family.protocol import Family
from mixedpy.core.glmm.modes import Inner, find_modes, first_modes
from mixedpy.core.glmm.precision import Inverse, Precision, factorize
from mixedpy.core.glmm.rows import Entry, Rows

__all__ = ["Block", "Point", "Tangents", "times_z"]


def times_z(x: Floats, z: Floats | None) -> Floats:
    """x times an unscaled column; None is a column of ones."""
    return x if z is None else x * z


@dataclass(slots=True, eq=False)
class Point:
    """A block at some parameters, with everything that the derivatives use.

    Attributes
    ----------
    deviance : float
        Corrected Laplace deviance of the block, without the constants.
    u : (q,) array
        Modes.
    """

    psi: Floats
    Lambdas: list[Floats]
    inner: Inner
    u: Floats
    eta: Floats
    r: Floats
    w: Floats
    w1: Floats
    v: Floats
    v1: Floats
    v2: Floats
    g_u: Floats
    curvature: Precision  # of F: observed weights
    precision: Precision  # of log|M|
    inverse: Inverse
    vv: list[Floats]
    h: Floats
    c: Floats
    a: Floats
    t: Floats
    deviance: float
    steps: int
    halvings: int
    inner_converged: bool


@dataclass(slots=True, eq=False)
class Tangents:
    """First-order behaviour of a block.

    Attributes
    ----------
    gradient : (P,) array
        Of the deviance.
    dU : (P, q) array
        Derivatives of the modes.
    e : (L + p, n) array
        Derivatives of eta at fixed u, for lambda and beta.
    """

    gradient: Floats
    dU: Floats
    e: Floats
    dt: Floats
    rho: Floats
    kappa: Floats
    auxiliary: list[tuple[Floats, Floats, Floats]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block of levels with a family and the layout of the parameters.

    Attributes
    ----------
    rows : Rows
        The rows.
    family : Family
        Distribution of the response.
    entries : tuple of Entry
        The L free entries of the relative covariance factors, in the order of psi.
    expected : bool
        Whether log|M| takes expected rather than observed weights.
    """

    rows: Rows
    family: Family
    entries: tuple[Entry, ...]
    expected: bool = False

    @property
    def L(self) -> int:
        """Number of covariance entries."""
        return len(self.entries)

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return self.rows.p

    def Lambdas(self, psi: Floats) -> list[Floats]:
        """Relative covariance factors of the terms."""
        out = [np.zeros((term.m, term.m)) for term in self.rows.terms]
        for value, entry in zip(psi.tolist(), self.entries, strict=False):
            out[entry.term][entry.a, entry.b] = value
        return out

    def inner(self, psi: Floats, Lambdas: Sequence[Floats] | None = None) -> Inner:
        """The inner problem at psi."""
        rows = self.rows
        beta, alpha = psi[self.L : self.L + self.p], psi[self.L + self.p :]
        zeta = rows.scaled(self.Lambdas(psi) if Lambdas is None else Lambdas)
        return Inner(rows, self.family, rows.fixed_part(beta), rows.auxiliaries(alpha), zeta)

    def evaluate(self, psi: Floats, u: Floats | None, chord: Precision | None, tol: float) -> Point:
        """Find the modes and the corrected deviance.

        Raises
        ------
        numpy.linalg.LinAlgError
            Where they do not exist.
        """
        Lambdas = self.Lambdas(psi)
        inner = self.inner(psi, Lambdas)
        modes = find_modes(inner, first_modes(inner) if u is None else u, chord, tol=tol)
        return self.at(psi, Lambdas, inner, modes.u, modes.steps, modes.halvings, modes.converged)

    def at(
        self,
        psi: Floats,
        Lambdas: list[Floats],
        inner: Inner,
        u: Floats,
        steps: int = 0,
        halvings: int = 0,
        inner_converged: bool = True,
    ) -> Point:
        """Evaluate the deviance at given u."""
        rows, family, xi, zeta = self.rows, self.family, inner.xi, inner.zeta
        y, m = rows.y, rows.weights
        eta = inner.eta(u)
        r, w, w1, w2 = family.derivatives(y, m, eta, xi)
        v, v1, v2 = family.expected(y, m, eta, xi) if self.expected else (w, w1, w2)
        g_u = rows.transposed(zeta, r) - u
        curvature = factorize(rows, w, zeta)
        precision = factorize(rows, v, zeta) if self.expected else curvature
        inverse = Inverse(precision)
        vv = inverse.times(zeta)
        h = vv[0] * zeta[0]
        for k in range(1, len(vv)):
            h += vv[k] * zeta[k]
        c = v1 * h
        a = curvature.solve(rows.transposed(zeta, c))
        t = rows.times(zeta, a)
        deviance = -2.0 * float(family.kernel(y, m, eta, xi).sum()) + float(u @ u) + precision.logdet
        deviance += float((a - curvature.solve(g_u)) @ g_u)
        return Point(
            psi, Lambdas, inner, u, eta, r, w, w1, v, v1, v2, g_u, curvature, precision, inverse, vv, h, c, a, t,
            deviance, steps, halvings, inner_converged,
        )  # fmt: skip

    def tangents(self, point: Point) -> Tangents:
        """Gradient of the deviance and derivatives of the modes."""
        rows, L, nk = self.rows, self.L, self.L + self.p
        s = point
        zeta = s.inner.zeta
        res = s.c - 2.0 * s.r - s.w * s.t
        auxiliary = self._auxiliary(point)
        P = nk + len(auxiliary)
        e, dt = np.empty((nk, rows.n)), np.empty((L, rows.n))
        rho, kappa = np.zeros((P, rows.q)), np.zeros((L, rows.q))
        gradient = np.zeros(P)
        e[L:] = rows.X
        for k, entry in enumerate(self.entries):
            i, j = rows.column[entry.term, entry.a], rows.column[entry.term, entry.b]
            z, effect = rows.z(i), rows.effects[j]
            e[k] = times_z(rows.expand(j, s.u), z)
            dt[k] = times_z(rows.expand(j, s.a), z)
            rho[k, effect.start : effect.stop] = rows.level_sums(i, times_z(s.r, z))
            kappa[k, effect.start : effect.stop] = rows.level_sums(i, times_z(res, z))
            gradient[k] = dt[k] @ s.r + 2.0 * (times_z(s.v, z) @ s.vv[j])
        gradient[:nk] += e @ res
        for k, (dl, dr, dv) in enumerate(auxiliary, start=nk):
            rho[k] = rows.transposed(zeta, dr)
            gradient[k] = -2.0 * dl.sum() + s.h @ dv + s.a @ rho[k]
        right = rho.copy()
        for k in range(nk):
            right[k] -= rows.transposed(zeta, s.w * e[k])
        dU = s.curvature.solve(right)
        gradient -= 2.0 * (dU @ s.g_u)
        return Tangents(gradient, dU, e, dt, rho, kappa, auxiliary)

    def _auxiliary(self, point: Point) -> list[tuple[Floats, Floats, Floats]]:
        """dl, dr and dv along every coefficient of the auxiliary predictors."""
        rows, inner = self.rows, point.inner
        if not rows.auxiliary:
            return []
        out: list[tuple[Floats, Floats, Floats]] = []
        slopes = self.family.auxiliary_slopes(rows.y, rows.weights, point.eta, inner.xi)
        for columns, (dl, dr, dw) in zip(rows.auxiliary, slopes, strict=True):
            dv = point.v if self.expected else dw  # expected weights of a dispersion family are linear in 1 / phi
            if columns is None:
                out.append((dl, dr, dv))
            else:
                out.extend((dl * x, dr * x, dv * x) for x in columns)
        return out
