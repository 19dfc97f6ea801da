"""nAGQ = 0: fixed effects are part of the conditional mode, and only theta is optimized.

For given theta, (u, beta) minimize F jointly by Newton steps on the bordered system; the deviance 2 F + log|M| there is
a function of theta alone. Its gradient and Hessian follow from those of the full problem through d beta^/d theta =
-H1_bb^-1 H1_bt, with H1 the Hessian of min_u 2 F (lme4's fast fit; Bates et al. 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.hessian import total_eta
from mixedpy.core.glmm.laplace import Block, Point, Tangents
from mixedpy.core.glmm.newton import Optimum
from mixedpy.core.glmm.objective import Evaluation, Objective
from mixedpy.core.optimize import trust_region_step
from mixedpy.core.record import Status

__all__ = ["JointMode", "at_mode", "joint_mode", "minimize_profiled", "profiled_derivatives"]

_MOST_STEPS = 60


@dataclass(slots=True, eq=False)
class JointMode:
    """Joint mode of (u, beta) at a theta.

    Attributes
    ----------
    x : (P,) array
        theta and beta.
    us : list of (q,) arrays
        Modes of the blocks.
    """

    x: Floats
    us: list[Floats]


@dataclass(slots=True, eq=False)
class _Border:
    """One block's part of a bordered Newton step: slopes, M^-1 g_u, -M^-1 zeta'WX, and X'W_M X."""

    g_u: Floats
    g_beta: Floats
    direction: Floats
    dU: Floats
    schur: Floats


def _border(block: Block, psi: Floats, u: Floats) -> _Border:
    rows = block.rows
    inner = block.inner(psi)
    eta = inner.eta(u)
    r, w = block.family.slopes(rows.y, rows.weights, eta, inner.xi)
    factor = inner.curvature(w)
    g_u = rows.transposed(inner.zeta, r) - u
    C = np.stack([rows.transposed(inner.zeta, w * x) for x in rows.X]) if rows.p else np.empty((0, rows.q))
    dU = -factor.solve(C) if rows.p else C
    return _Border(g_u, rows.X @ r, factor.solve(g_u), dU, (rows.X * w) @ rows.X.T + dU @ C.T)


def joint_mode(objective: Objective, x: Floats, us: list[Floats], *, tol: float = 1e-12) -> JointMode:
    """Find the joint mode at the theta of x, from the beta of x and ``us``.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the steps do not converge.
    """
    layout, blocks = objective.layout, objective.blocks
    share = slice(layout.k, layout.k + layout.p)
    x, us = x.copy(), list(us)
    before: tuple[Floats, list[Floats], Floats, list[Floats], float] | None = None
    length = 1.0
    for _ in range(_MOST_STEPS):
        psi = layout.psi(x)
        with np.errstate(all="ignore"):
            borders = [_border(block, psi, u) for block, u in zip(blocks, us, strict=True)]
        if before is not None:
            beta, old, step, moves, slope = before
            now = sum(float(b.g_beta @ step + b.g_u @ move) for b, move in zip(borders, moves, strict=True))
            if not now >= -0.9 * slope and length > 1e-6:
                length *= 0.5
                x[share] = beta + length * step
                us = [u + length * move for u, move in zip(old, moves, strict=True)]
                continue
        S = np.sum([b.schur for b in borders], axis=0)
        step = np.linalg.solve(S, np.sum([b.g_beta + b.dU @ b.g_u for b in borders], axis=0))
        moves = [b.direction + step @ b.dU for b in borders]
        slope = sum(float(b.g_beta @ step + b.g_u @ move) for b, move in zip(borders, moves, strict=True))
        if slope < tol:
            return JointMode(x, us)
        before, length = (x[share].copy(), us, step, moves, slope), 1.0
        x[share] = x[share] + step
        us = [u + move for u, move in zip(us, moves, strict=True)]
    raise np.linalg.LinAlgError("the joint mode of fixed and random effects was not found")


def _mode_hessian(block: Block, point: Point, tangents: Tangents) -> Floats:
    """Hessian of min_u 2 F in (lambda, beta): 2 (de W de' + dU dU' - rho dU' - dU rho')."""
    L, nk = block.L, block.L + block.p
    de = total_eta(block, point, tangents)
    dU = tangents.dU[:nk]
    H = 2.0 * ((de * point.w) @ de.T + dU @ dU.T)
    cross = -2.0 * tangents.rho[:L] @ dU.T
    H[:L] += cross
    H[:, :L] += cross.T
    return H


def profiled_derivatives(objective: Objective, at: Evaluation) -> tuple[Floats, Floats, Floats, Floats]:
    """Gradient and Hessian in theta along the joint mode, d x / d theta, and the curvature of the mode in beta."""
    layout = objective.layout
    gradient, H, _ = objective.derivatives(at)
    with np.errstate(all="ignore"):
        parts = [_mode_hessian(b, p, t) for b, p, t in zip(objective.blocks, at.points, at.tangents, strict=True)]
    H1 = layout.pull_back(at.x, np.zeros(len(layout.entries) + layout.p), np.sum(parts, axis=0))[1]
    assert H1 is not None
    k = layout.k
    follow = np.zeros((layout.size, k))
    follow[:k] = np.eye(k)
    follow[k:] = -np.linalg.solve(H1[k:, k:], H1[k:, :k])
    return follow.T @ gradient, follow.T @ H @ follow, follow, H1[k:, k:]


def minimize_profiled(objective: Objective, x: Floats, scale: Floats, *, tol: float, max_iterations: int) -> Optimum:
    """Minimize over theta, with (u, beta) at their joint mode.

    Parameters
    ----------
    objective : Objective
        The problem, without auxiliary predictors.
    x : (P,) array
        Start.
    scale : (P,) array
        Change of the linear predictor per unit of each parameter.

    Returns
    -------
    Optimum
        Its Hessian is block diagonal: the profiled one of theta, and the curvature of the joint mode in beta, so that
        its inverse has lme4's covariance matrix of the fixed effects.
    """
    layout = objective.layout
    k = layout.k
    units = scale[:k]
    at = at_mode(objective, x, [np.zeros(block.rows.q) for block in objective.blocks])
    if not np.isfinite(at.deviance):
        raise np.linalg.LinAlgError("the deviance has no finite value at the start")
    gradient, H, follow, curvature = profiled_derivatives(objective, at)
    radius, refused, iterations = 1.0, 0, 0
    status = Status.ITERATION_LIMIT
    while True:
        found = trust_region_step(gradient / units, H / np.outer(units, units), radius)
        step, length = found.step / units, float(np.linalg.norm(found.step))
        if found.predicted < tol and found.min_eigenvalue > -1e-6:
            status = Status.CONVERGED
            break
        if iterations >= max_iterations:
            break
        iterations += 1
        us = [u for u in objective.predicted_modes(at, follow @ step, length) if u is not None]
        trial = at_mode(objective, at.x + follow @ step, us)
        ratio = (at.deviance - trial.deviance) / found.predicted
        if ratio > 0.75:
            radius = max(radius, 2.0 * length)
        elif not ratio > 0.1:
            radius = 0.3 * length
        if trial.deviance < at.deviance:
            at = trial
            gradient, H, follow, curvature = profiled_derivatives(objective, at)
            continue
        refused += 1
        if radius < 1e-7:
            status = Status.CONVERGED if found.predicted < 1e-7 else Status.STALLED
            break
    full, g = np.zeros((layout.size, layout.size)), np.zeros(layout.size)
    full[:k, :k], full[k:, k:], g[:k] = H, curvature, gradient
    eigenvalues = np.asarray(np.linalg.eigvalsh(full / np.outer(scale, scale)), np.float64)
    return Optimum(at, g, full, follow @ step, found.predicted, status, iterations, refused, eigenvalues)


def at_mode(objective: Objective, x: Floats, us: list[Floats]) -> Evaluation:
    """Deviance at theta and alpha of x, with the fixed effects at their joint mode with the random ones."""
    try:
        mode = joint_mode(objective, x, us)
    except np.linalg.LinAlgError:
        return Evaluation(x, np.inf)
    return objective.value(mode.x, mode.us, [None] * len(mode.us), 1e-12)
