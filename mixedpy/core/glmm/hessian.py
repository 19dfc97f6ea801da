"""The exact Hessian of the Laplace deviance of one block.

With the total derivatives de_k = e_k + zeta du^/dpsi_k and omega = 2 w - w1 t + v2 h:

    H_kl = sum omega de_k de_l + 2 dU_k'dU_l + Y_kl + Y_lk + A_kl - tr(M^-1 dM_k M^-1 dM_l)
    Y_kl (k a covariance entry) = kappa_k'dU_l + sum_i (2 v1 z_a vv_b - w z_a a_b) de_l
    A_kl (both covariance entries) = 2 sum_i v z_a z_c (M^-1)_(t,b),(t',d)

2 F + log|M| - a'F_u with a held is stationary in u, so that no second derivative of u^ is needed. The trace splits:
with X = L^-1 dM_11 L^-T, x = L^-1 dM_12, y = x - X K and G = dM_22 - sym((x + y) / 2, K) it is <X_k, X_l> + 2 <y_k R,
y_l> + tr(R G_k R G_l); the last two, products as dear as a factorization, are the cross-level part. Rows of alpha are
differences of the exact gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.laplace import Block, Point, Tangents, times_z
from mixedpy.core.glmm.precision import multiply_levels

__all__ = ["Whitened", "hessian", "whitened_derivatives"]

_SINGLE_PRECISION = 1e-3
"""Eliminations dearer than this many seconds form the cross-level part in single precision."""

_DIFFERENCE = 1e-4
"""Step of the differences in alpha."""


@dataclass(slots=True, eq=False)
class Whitened:
    """Derivatives of M along the tangents, whitened.

    Attributes
    ----------
    X : (P, m, m, J) array
        L^-1 dM_11 L^-T.
    trace : (nk, nk) array
        Cross-level part of tr(M^-1 dM_k M^-1 dM_l); zero where it was not asked for.
    """

    X: Floats
    trace: Floats


def total_eta(block: Block, point: Point, tangents: Tangents) -> Floats:
    """Total derivatives of eta along lambda and beta, (L + p, n)."""
    de = tangents.e.copy()
    for k in range(len(de)):
        de[k] += block.rows.times(point.inner.zeta, tangents.dU[k])
    return de


def whitened_derivatives(
    block: Block, point: Point, tangents: Tangents, de: Floats, *, cross: int, auxiliary: bool = False
) -> Whitened:
    """Whiten dM along lambda, beta and, if asked, alpha; the cross-level trace for the first ``cross`` parameters."""
    rows, L = block.rows, block.L
    nk, m = len(de), rows.m
    zeta, I = point.inner.zeta, point.precision.inverse_factor
    extra = tangents.auxiliary if auxiliary else []
    X = np.empty((nk + len(extra), m, m, rows.J))
    trace = np.zeros((nk, nk))
    store = rows.store
    single = store is not None and store.seconds > _SINGLE_PRECISION

    def rounded(block: Floats) -> Floats:
        # single precision is plenty for a trace that only the Hessian uses, and twice as fast
        return block.astype(np.float32) if single else block

    if store is not None and cross:
        assert point.precision.K is not None
        assert point.inverse.R is not None
        K, R = rounded(point.precision.K), rounded(point.inverse.R)
    ys: list[tuple[Floats, Floats]] = []
    Gs: list[tuple[Floats, Floats]] = []
    for k in range(len(X)):
        moved = None
        if k < nk:
            weights = point.v1 * de[k]
            if k < L:
                entry = block.entries[k]
                column = rows.column[entry.term, entry.b]
                moved = (point.v, column, rows.z(rows.column[entry.term, entry.a]))
        else:
            weights = point.v1 * rows.times(zeta, tangents.dU[k]) + extra[k - nk][2]
        A, C, B = rows.products(weights, zeta, moved, cross=store is not None and k < cross)
        X[k] = point.precision.inverse_block * A if m == 1 else np.einsum("abj,bcj,dcj->adj", I, A, I, optimize=True)
        if store is not None and k < cross:
            assert C is not None
            assert B is not None
            x = rounded(multiply_levels(rows, I, C))
            y = x - multiply_levels(rows, rounded(X[k]), K)
            G = R @ (rounded(B) - store.symmetric(0.5 * (x + y), K))
            ys.append((y.ravel(), store.right(y, R).ravel()))
            Gs.append((G.ravel(), np.ascontiguousarray(G.T).ravel()))
    for k in range(len(ys)):
        for l in range(k + 1):
            value = 2.0 * float(ys[k][0] @ ys[l][1]) + float(Gs[k][0] @ Gs[l][1])
            trace[k, l] = trace[l, k] = value
    return Whitened(X, trace)


def hessian(
    block: Block, point: Point, tangents: Tangents, *, cross: int | None = None, held: Floats | None = None
) -> tuple[Floats, Floats]:
    """Hessian of the block's deviance in psi.

    Parameters
    ----------
    block, point, tangents
        The block, evaluated.
    cross : int, optional
        Number of leading parameters whose cross-level traces are computed; all of lambda and beta by default.
    held : (L + p, L + p) array, optional
        Cross-level traces from another point, used where ``cross`` is 0.

    Returns
    -------
    H : (P, P) array
        The Hessian.
    trace : (L + p, L + p) array
        The cross-level traces in it.
    """
    rows, L, s = block.rows, block.L, point
    nk, P = L + block.p, len(tangents.gradient)
    de = total_eta(block, point, tangents)
    dU = tangents.dU[:nk]
    H = (de * (2.0 * s.w - s.w1 * s.t + s.v2 * s.h)) @ de.T + 2.0 * dU @ dU.T
    Y = tangents.kappa @ dU.T
    for k, entry in enumerate(block.entries):
        z = rows.z(rows.column[entry.term, entry.a])
        Y[k] += de @ (2.0 * times_z(s.v1 * s.vv[rows.column[entry.term, entry.b]], z) - s.w * tangents.dt[k])
    H[:L] += Y
    H[:, :L] += Y.T
    for k, entry in enumerate(block.entries):
        vz = times_z(s.v, rows.z(rows.column[entry.term, entry.a]))
        for l, other in enumerate(block.entries[: k + 1]):
            weighted = times_z(vz, rows.z(rows.column[other.term, other.a]))
            both = s.inverse.at(rows.column[entry.term, entry.b], rows.column[other.term, other.b])
            value = 2.0 * float(weighted @ both)
            H[k, l] += value
            if l < k:
                H[l, k] += value
    cross = nk if cross is None else cross
    whitened = whitened_derivatives(block, point, tangents, de, cross=cross)
    flat = whitened.X.reshape(nk, -1)
    H -= flat @ flat.T
    trace = held if cross == 0 and held is not None else whitened.trace
    H -= trace
    if len(tangents.gradient) == nk:
        return H, trace
    full = np.empty((P, P))
    full[:nk, :nk] = H
    for k in range(nk, P):
        psi = s.psi.copy()
        psi[k] += _DIFFERENCE
        moved = block.evaluate(psi, s.u + _DIFFERENCE * tangents.dU[k], s.curvature, 1e-10)
        full[k] = (block.tangents(moved).gradient - tangents.gradient) / _DIFFERENCE
        full[:nk, k] = full[k, :nk]
    corner = full[nk:, nk:]
    full[nk:, nk:] = 0.5 * (corner + corner.T)
    return full, trace
