"""A design and a family -> the fit record of a generalized linear mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.conditioning import Conditioned, condition
from mixedpy.core.control import Control
from mixedpy.core.covariance import Unstructured
from mixedpy.core.family.protocol import Family
from mixedpy.core.glmm.joint import at_mode, minimize_profiled
from mixedpy.core.glmm.layout import make_layout
from mixedpy.core.glmm.newton import Optimum, minimize_jointly
from mixedpy.core.glmm.objective import Evaluation, Objective
from mixedpy.core.glmm.problem import Problem, assemble
from mixedpy.core.glmm.quadrature import gauss_hermite
from mixedpy.core.glmm.record import GlmmConvergence, GlmmRecord
from mixedpy.core.glmm.start import first_values
from mixedpy.core.parameters import Parameters
from mixedpy.core.record import Status
from mixedpy.core.threads import one_blas_thread

__all__ = ["estimate_glmm", "prepare_glmm"]

_TOLERANCE = 100.0
"""The last Newton step is part of the estimate, so that it may promise this many times ``Control.tol``."""

_PATIENCE = 12
"""Steps after which unstructured terms are turned round, as for linear models."""

_AUXILIARY_SCALE = 0.5
"""Change of the linear predictor that a unit change of an auxiliary predictor is worth."""

_LARGE = 1000
"""Order of the Schur complement from which BLAS may use all its threads."""

_NEAR_ZERO = 1e-3
"""Parameters nearer than this to the boundary, in units of the linear predictor, are tried at the boundary itself."""

_DIFFERENCE = 1e-4
"""Step, in eta units, of the differences that give the Hessian of a quadrature."""


def estimate_glmm(
    design: Design,
    family: Family,
    *,
    auxiliary: Sequence[Floats | None] = (),
    nagq: int = 1,
    expected: bool = False,
    start: Floats | None = None,
    start_fixed: Floats | None = None,
    control: Control | None = None,
) -> GlmmRecord:
    """Fit a generalized linear mixed model.

    Parameters
    ----------
    design : Design
        The model's arrays; X of full rank.
    family : Family
        Distribution of the response.
    auxiliary : sequence of (n, k) array or None
        Columns of each auxiliary predictor of the family; None for a constant.
    nagq : int
        Nodes of the quadrature per effect; 1 is the Laplace approximation, 0 the joint mode of fixed and random
        effects.
    expected : bool
        Whether the Laplace approximation takes expected rather than observed weights.
    start : (k,) array, optional
        Starting theta, in the order of ``design.terms``.
    start_fixed : (p,) array, optional
        Starting fixed effects.
    control : Control, optional
        Settings.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the deviance has no finite value at the start.
    """
    control = control or Control()
    conditioned, problem = prepare_glmm(design, family, auxiliary, expected=expected)
    with one_blas_thread(problem.whole.q2 < _LARGE):
        return _estimate(design, conditioned, problem, auxiliary, nagq, expected, (start, start_fixed), control)


def _estimate(
    design: Design,
    conditioned: Conditioned,
    problem: Problem,
    auxiliary: Sequence[Floats | None],
    nagq: int,
    expected: bool,
    start: tuple[Floats | None, Floats | None],
    control: Control,
) -> GlmmRecord:
    objective = Objective(problem)
    chosen = first_values(problem)
    x, unit = chosen.x, chosen.unit
    theta, beta = start
    k, p = problem.layout.k, problem.layout.p
    if theta is not None:
        x = np.concatenate([_inward(design, conditioned, problem, theta), x[k:]])
    if beta is not None:
        x = np.concatenate([x[:k], np.linalg.solve(conditioned.T, beta), x[k + p :]])
    scale = _scales(objective, x, unit)
    tol = _TOLERANCE * control.tol
    columns = tuple(auxiliary) if auxiliary else tuple(None for _ in problem.family.auxiliary)
    if nagq == 0:
        optimum = minimize_profiled(objective, x, scale, tol=tol, max_iterations=control.max_iterations)
        optimum = _on_the_boundary(objective, optimum, unit, tol, nagq)
        return _record(design, conditioned, objective, optimum, x, nagq, expected, scale, columns)
    first = _first(objective, x)
    optimum, objective = _minimize(objective, first, scale, unit, tol, control.max_iterations)
    scale = _scales(objective, optimum.evaluation.x, unit)
    if nagq > 1:
        nodes = gauss_hermite(nagq, problem.whole.m)
        integral = Objective(problem, nodes).turned(objective.layout)
        integral.evaluations, integral.steps = objective.evaluations, objective.steps
        us = [point.u for point in optimum.evaluation.points]
        first = integral.value(optimum.evaluation.x, us, [None] * len(us), 1e-8)
        left = max(control.max_iterations - optimum.iterations, 1)
        second = minimize_jointly(integral, first, scale, tol=tol, max_iterations=left)
        optimum, objective = _with_exact_hessian(integral, second, scale), integral
    optimum = _on_the_boundary(objective, optimum, unit, tol, nagq)
    return _record(design, conditioned, objective, optimum, x, nagq, expected, scale, columns)


def prepare_glmm(
    design: Design, family: Family, auxiliary: Sequence[Floats | None], *, expected: bool = False
) -> tuple[Conditioned, Problem]:
    """Condition the columns, not the response, and sort the rows."""
    conditioned = condition(replace(design, y=np.zeros(design.n), offset=None))
    moved = replace(conditioned.design, y=design.y, offset=design.offset)
    columns = tuple(auxiliary) if auxiliary else tuple(None for _ in family.auxiliary)
    return conditioned, assemble(moved, family, columns, expected=expected)


def _inward(design: Design, conditioned: Conditioned, problem: Problem, theta: Floats) -> Floats:
    theirs = Parameters([t.template for t in design.terms]).Lambdas(theta)
    return problem.layout.parameters.join([conditioned.conditioned_Lambda(i, theirs[i]) for i in problem.order])


def _scales(objective: Objective, x: Floats, unit: float) -> Floats:
    """Change of the linear predictor, in units of ``unit``, per unit of each parameter."""
    rows, layout = objective.problem.whole, objective.layout

    def rms(z: Floats | None) -> float:
        return 1.0 if z is None else float(np.sqrt(z @ z / rows.n)) or 1.0

    entries = np.array([rms(rows.z(rows.column[e.term, e.a])) for e in layout.entries])
    J = layout.jacobian(x)[: len(layout.entries), : layout.k]
    theta = np.sqrt((J * J).T @ (entries * entries)) / unit
    beta = np.array([rms(column) for column in rows.X]) / unit
    alpha = [rms(column) for columns in rows.auxiliary for column in ([None] if columns is None else columns)]
    return np.concatenate([theta, beta, _AUXILIARY_SCALE * np.array(alpha)])


def _first(objective: Objective, x: Floats) -> Evaluation:
    """Evaluate the start; where it has no likelihood, with ever smaller variances."""
    k = objective.layout.k
    none: list[None] = [None] * len(objective.blocks)
    for _ in range(6):
        first = objective.value(x, none, none, 1e-2 if objective.problem.single else 1e-4)
        if np.isfinite(first.deviance):
            return first
        x = x.copy()
        x[:k] *= 0.3
    raise np.linalg.LinAlgError("the deviance has no finite value at the start")


def _minimize(
    objective: Objective, first: Evaluation, scale: Floats, unit: float, tol: float, limit: int
) -> tuple[Optimum, Objective]:
    """Minimize; a search that has not ended after some steps goes on with the effects in reverse order."""
    layout = objective.layout
    templates = layout.parameters.templates
    turnable = any(isinstance(t, Unstructured) and t.m > 1 for t in templates)
    patience = min(_PATIENCE, limit) if turnable else limit
    optimum = minimize_jointly(objective, first, scale, tol=tol, max_iterations=patience)
    if optimum.status is Status.CONVERGED or patience == limit:
        return optimum, objective
    turned = [Unstructured(t.m, flipped=True) if isinstance(t, Unstructured) else t for t in templates]
    other = make_layout(turned, layout.p, layout.s)
    at = optimum.evaluation
    theta = other.parameters.join(layout.parameters.Lambdas(at.x[: layout.k]))
    before, objective = objective, objective.turned(other)
    x = np.concatenate([theta, at.x[layout.k :]])
    none: list[None] = [None] * len(objective.blocks)
    again = objective.value(x, none, none, 1e-6)
    if not np.isfinite(again.deviance):  # modes that were found from a neighbour may not be found from zero
        return optimum, before
    second = minimize_jointly(objective, again, _scales(objective, x, unit), tol=tol, max_iterations=limit - patience)
    second.iterations += optimum.iterations
    second.refused += optimum.refused
    return second, objective


def _with_exact_hessian(objective: Objective, optimum: Optimum, scale: Floats) -> Optimum:
    """Hessian of a quadrature by differences of its exact gradient, and the Newton step that it gives."""
    at = optimum.evaluation
    P = len(at.x)
    H = np.empty((P, P))
    none: list[None] = [None] * len(at.points)
    for k in range(P):
        x = at.x.copy()
        x[k] += _DIFFERENCE / scale[k]
        there = objective.value(x, objective.predicted_modes(at, x - at.x, _DIFFERENCE), none, 1e-10)
        if not np.isfinite(there.deviance):
            return optimum
        H[k] = (objective.gradient(there) - optimum.gradient) * scale[k] / _DIFFERENCE
    H = 0.5 * (H + H.T)
    eigenvalues = np.asarray(np.linalg.eigvalsh(H / np.outer(scale, scale)), np.float64)
    if eigenvalues[0] <= 0.0:
        return optimum
    step = -np.asarray(np.linalg.solve(H, optimum.gradient), np.float64)
    predicted = float(-0.5 * optimum.gradient @ step)
    return _with_hessian(optimum, H, step, predicted, eigenvalues)


def _with_hessian(optimum: Optimum, H: Floats, step: Floats, predicted: float, eigenvalues: Floats) -> Optimum:
    """The same optimum with another Hessian."""
    return Optimum(
        optimum.evaluation,
        optimum.gradient,
        H,
        step,
        predicted,
        optimum.status,
        optimum.iterations,
        optimum.refused,
        eigenvalues,
    )


def _on_the_boundary(objective: Objective, optimum: Optimum, unit: float, tol: float, nagq: int) -> Optimum:
    """Put parameters that are nearly on the boundary at the boundary where the deviance does not mind.

    What is near is judged in units of the linear predictor; the other parameters take a Newton step from there.
    """
    at, k, parameters = optimum.evaluation, objective.layout.k, objective.layout.parameters
    if optimum.status is not Status.CONVERGED:
        return optimum
    x = at.x + optimum.step
    relative = parameters.join([L / unit for L in parameters.Lambdas(x[:k])])
    snapped = parameters.snapped(relative, _NEAR_ZERO)
    moved = np.flatnonzero(snapped != relative)
    if not len(moved):
        return optimum
    x[moved] = snapped[moved]
    us = [point.u for point in at.points]
    none: list[None] = [None] * len(us)
    there = at_mode(objective, x, us) if nagq == 0 else objective.value(x, us, none, 1e-12)
    if there.deviance > at.deviance - optimum.predicted + tol:
        return optimum
    gradient, step = objective.gradient(there), np.zeros_like(x)
    if nagq > 0:
        free = np.setdiff1d(np.arange(len(x)), moved)
        step[free] = -np.linalg.pinv(optimum.hessian[np.ix_(free, free)], hermitian=True) @ gradient[free]
    predicted = float(-0.5 * gradient @ step)
    if not 0.0 <= predicted <= tol:
        step, predicted = np.zeros_like(x), 0.0
    moved_there = _with_hessian(optimum, optimum.hessian, step, predicted, optimum.eigenvalues)
    moved_there.evaluation, moved_there.gradient = there, gradient
    return moved_there


def _record(
    design: Design,
    conditioned: Conditioned,
    objective: Objective,
    optimum: Optimum,
    start: Floats,
    nagq: int,
    expected: bool,
    scale: Floats,
    auxiliary: tuple[Floats | None, ...],
) -> GlmmRecord:
    """Take the last Newton step, and undo conditioning and sorting."""
    problem, layout, at = objective.problem, objective.layout, optimum.evaluation
    converged = optimum.status is Status.CONVERGED
    step = optimum.step if converged else np.zeros_like(at.x)
    x = at.x + step
    criterion = at.deviance - (optimum.predicted if converged else 0.0)
    k, p = layout.k, layout.p
    Lambdas: list[Floats] = [np.empty(0)] * len(problem.order)
    for i, L in zip(problem.order, layout.parameters.Lambdas(x[:k]), strict=True):
        Lambdas[i] = conditioned.Lambda(i, L)
    modes, condvar = _effects(design, conditioned, objective, at, step, x)
    T = np.zeros((p + layout.s, p + layout.s))
    T[:p, :p] = conditioned.T
    T[p:, p:] = np.eye(layout.s)
    inverse = 2.0 * np.linalg.pinv(optimum.hessian / np.outer(scale, scale), hermitian=True) / np.outer(scale, scale)
    vcov = T @ inverse[k:, k:] @ T.T
    store = problem.whole.store
    convergence = GlmmConvergence(
        status=optimum.status,
        iterations=optimum.iterations,
        evaluations=objective.evaluations,
        refused=optimum.refused,
        inner_steps=objective.steps,
        halvings=objective.halvings,
        inner_converged=all(point.inner_converged for point in at.points),
        gradient_norm=float(np.abs(optimum.gradient / scale).max()),
        decrement=optimum.predicted,
        min_eigenvalue=float(optimum.eigenvalues[0]),
        max_eigenvalue=float(optimum.eigenvalues[-1]),
        largest_eta=max(float(np.abs(point.eta).max()) for point in at.points),
        start=start,
        factorization="blocks" if store is None else store.name,
    )
    return GlmmRecord(
        family=problem.family,
        nagq=nagq,
        expected=expected,
        theta=Parameters([t.template for t in design.terms]).join(Lambdas),
        Lambda=tuple(Lambdas),
        beta=conditioned.beta(x[k : k + p]),
        alpha=x[k + p :].copy(),
        criterion=criterion,
        vcov=0.5 * (vcov + vcov.T),
        modes=modes,
        condvar=condvar,
        auxiliary=auxiliary,
        n=problem.n,
        convergence=convergence,
    )


def _effects(
    design: Design, conditioned: Conditioned, objective: Objective, at: Evaluation, step: Floats, x: Floats
) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
    """Conditional modes and covariances of the random effects in the user's columns and levels."""
    problem, layout = objective.problem, objective.layout
    change = layout.psi(x) - layout.psi(at.x)
    us, variances = [], []
    with np.errstate(all="ignore"):
        for point, tangents in zip(at.points, at.tangents, strict=True):
            us.append(point.u + point.curvature.solve(point.g_u) + change @ tangents.dU)
            variances.append(point.inverse.blocks())
    modes: list[Floats] = [np.empty(0)] * len(problem.order)
    condvar: list[Floats] = [np.empty(0)] * len(problem.order)
    start = 0
    for t, (i, L) in enumerate(zip(problem.order, layout.parameters.Lambdas(x[: layout.k]), strict=True)):
        term, kept = design.terms[i], problem.levels[t]
        if problem.single:
            u = np.concatenate([part.reshape(term.m, -1) for part in us], axis=1)
            V = np.concatenate([part[0] for part in variances], axis=2)
        else:
            size = term.m * len(kept)
            u, V = us[0][start : start + size].reshape(term.m, -1), variances[0][t]
            start += size
        modes[i] = np.zeros((term.n_levels, term.m))
        modes[i][kept] = conditioned.modes(i, L @ u)
        prior = np.repeat((L @ L.T)[:, :, None], term.n_levels, axis=2)
        prior[:, :, kept] = np.einsum("ac,cdj,bd->abj", L, V, L, optimize=True)
        condvar[i] = conditioned.covariance(i, prior)
    return tuple(modes), tuple(condvar)
