"""Adaptive Gauss-Hermite quadrature over the random effects of one term, with exact gradient, batched over levels.

    D = log|M| - 2 sum_j log sum_k exp(lw_k - F_j(u_jk)),   u_jk = u^_j + L_j^-T x_k,
    lw_k = log w_k + |x_k|^2 / 2 - (m / 2) log 2 pi,

for nodes x_k and weights w_k of the product rule; one node is the Laplace approximation. L is the Cholesky factor of M
in scaled effects: for m > 1 the value depends on which square root is used, ever less as nodes are added. Nodes move
with the parameters: with Phi the lower triangle of L^-1 dM L^-T, its diagonal halved, du_jk = du^_j - L^-T Phi'x_k.
(Pinheiro & Bates 1995, J. Comput. Graph. Stat. 4, 12; the gradient by differentiating it.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.hessian import total_eta, whitened_derivatives
from mixedpy.core.glmm.laplace import Block, Point, Tangents, times_z

__all__ = ["Nodes", "gauss_hermite", "integrate", "integrated_gradient"]


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """A product rule in m dimensions.

    Attributes
    ----------
    x : (K, m) array
        Nodes.
    log_weights : (K,) array
        lw_k above.
    """

    x: Floats
    log_weights: Floats


def gauss_hermite(points: int, m: int) -> Nodes:
    """Make the product rule of ``points`` nodes in each of m dimensions.

    Examples
    --------
    >>> rule = gauss_hermite(3, 1)
    >>> weights = np.exp(rule.log_weights - 0.5 * rule.x[:, 0] ** 2) * np.sqrt(2 * np.pi)
    >>> round(float(weights @ rule.x[:, 0] ** 2) / float(weights.sum()), 12)
    1.0
    """
    x, w = np.polynomial.hermite_e.hermegauss(points)
    nodes = np.array(list(product(x, repeat=m)))
    logs = np.array([sum(parts) for parts in product(np.log(w), repeat=m)])
    return Nodes(nodes, logs + 0.5 * (nodes**2).sum(1) - 0.5 * m * np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True, eq=False)
class Integral:
    """The quadrature at a point.

    Attributes
    ----------
    deviance : float
        Of the block, without the constants.
    shares : (K, J) array
        Posterior weight of every node.
    """

    deviance: float
    shares: Floats


_ENTRIES = 200_000
"""Nodes times rows that are evaluated together: enough for small tables to be one pass, few enough for the cache."""


def _batches(nodes: Nodes, n: int) -> Iterator[slice]:
    size = max(1, _ENTRIES // n)
    for start in range(0, len(nodes.x), size):
        yield slice(start, start + size)


def _at_nodes(block: Block, point: Point, x: Floats) -> tuple[Floats, Floats]:
    """u (K, m, J) and eta (K, n) at nodes x (K, m)."""
    rows, inner = block.rows, point.inner
    u = point.u.reshape(rows.m, -1) + np.einsum("baj,kb->kaj", point.precision.inverse_factor, x)
    eta = np.repeat(u[:, 0], rows.counts, axis=1)
    eta *= inner.zeta[0]
    for a in range(1, rows.m):
        eta += np.repeat(u[:, a], rows.counts, axis=1) * inner.zeta[a]
    eta += inner.fixed
    return u, eta


def integrate(block: Block, point: Point, nodes: Nodes) -> Integral:
    """Evaluate the integral at every level."""
    rows, inner = block.rows, point.inner
    logs = np.empty((len(nodes.x), rows.J))
    for batch in _batches(nodes, rows.n):
        u, eta = _at_nodes(block, point, nodes.x[batch])
        kernel = block.family.kernel(rows.y, rows.weights, eta, inner.xi)
        logs[batch] = np.add.reduceat(kernel, rows.starts, axis=1) - 0.5 * (u * u).sum(axis=1)
    logs = np.nan_to_num(logs, nan=-np.inf) + nodes.log_weights[:, None]
    most = logs.max(0)
    shares = np.exp(logs - most)
    total = shares.sum(0)
    deviance = point.precision.logdet - 2.0 * float((most + np.log(total)).sum())
    return Integral(deviance, shares / total)


def integrated_gradient(block: Block, point: Point, tangents: Tangents, nodes: Nodes, integral: Integral) -> Floats:
    """Gradient of the quadrature's deviance in psi, (P,)."""
    rows, inner, L = block.rows, point.inner, block.L
    m, J, nk = rows.m, rows.J, L + block.p
    gradient = np.zeros(len(tangents.gradient))
    slope = np.zeros((m, J))  # sum_k p_k (zeta'r_k - u_k)
    spread = np.zeros((m, m, J))  # sum_k p_k (zeta'r_k - u_k) x_k'
    mean_r = np.zeros(rows.n)
    for batch in _batches(nodes, rows.n):
        x, share = nodes.x[batch], integral.shares[batch]
        u, eta = _at_nodes(block, point, x)
        by_row = np.repeat(share, rows.counts, axis=1)
        r = block.family.slopes(rows.y, rows.weights, eta, inner.xi)[0]
        r = np.where(by_row > 0.0, r, 0.0) * by_row
        mean_r += r.sum(axis=0)
        for a in range(m):
            g = np.add.reduceat(r * inner.zeta[a], rows.starts, axis=1) - share * u[:, a]
            slope[a] += g.sum(axis=0)
            spread[a] += x.T @ g
        for k, entry in enumerate(block.entries):
            zr = np.add.reduceat(times_z(r, rows.z(entry.a)), rows.starts, axis=1)
            gradient[k] += float(np.vdot(zr, u[:, entry.b]))
        if len(gradient) > nk:
            gradient[nk:] += _auxiliary(block, eta, inner.xi, by_row)
    gradient[L:nk] = rows.X @ mean_r
    spread = np.einsum("daj,acj->dcj", point.precision.inverse_factor, spread)
    de = total_eta(block, point, tangents)
    X = whitened_derivatives(block, point, tangents, de, cross=0, auxiliary=True).X
    lower = np.tril(np.ones((m, m)), -1) + 0.5 * np.eye(m)
    for k in range(len(gradient)):
        Phi = lower[:, :, None] * X[k]
        gradient[k] += float((slope * tangents.dU[k].reshape(m, J)).sum())
        gradient[k] -= float(np.einsum("dcj,cdj->", spread, Phi)) + float(np.einsum("aaj->", Phi))
    return -2.0 * gradient


def _auxiliary(block: Block, eta: Floats, xi: tuple[Floats, ...], by_row: Floats) -> Floats:
    rows = block.rows
    out: list[float] = []
    slopes = block.family.auxiliary_slopes(rows.y, rows.weights, eta, xi)
    for columns, (dl, _, _) in zip(rows.auxiliary, slopes, strict=True):
        weighted = (np.where(by_row > 0.0, dl, 0.0) * by_row).sum(axis=0)
        out.extend([float(weighted.sum())] if columns is None else (columns @ weighted).tolist())
    return np.array(out)
