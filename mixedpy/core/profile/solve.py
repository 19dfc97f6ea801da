"""Minimize the deviance under a constraint, from a nearby solution, and say where it led in the user's columns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.control import Control
from mixedpy.core.covariance import Unstructured
from mixedpy.core.deviance import Deviance
from mixedpy.core.estimate import Engine
from mixedpy.core.optimize import Minimum, minimize
from mixedpy.core.parameters import Parameters
from mixedpy.core.profile.objective import Absolute, ScaledDeviance
from mixedpy.core.record import FitRecord, Status

__all__ = [
    "Point",
    "failed",
    "minimize_turning",
    "outward_roots",
    "point_of",
    "relative_roots",
    "solve_absolute",
    "solve_scaled",
]

_PATIENCE = 8
"""Steps after which unstructured terms are turned round."""

_NUDGE = 1e-3
"""Free entries of L are started at least this far from zero: zero is stationary."""

_TOL = 1e-9


@dataclass(frozen=True, slots=True)
class Point:
    """A minimum of the deviance, as a rule under one constraint.

    Attributes
    ----------
    deviance : float
        ML deviance.
    roots : tuple of (m, m) arrays
        Square roots of the terms' covariances, in the user's columns, in the order of ``Design.terms``.
    sigma : float
        Residual standard deviation.
    beta : (p,) array
        Fixed effects.
    converged : bool
        Whether the optimizer's criteria were met.
    alpha : (s,) array or None
        Coefficients of the predictors of a family's own, of a generalized model.
    """

    deviance: float
    roots: tuple[Floats, ...]
    sigma: float
    beta: Floats
    converged: bool
    alpha: Floats | None = None

    def sd(self, term: int, a: int) -> float:
        """Standard deviation of an effect."""
        return float(np.linalg.norm(self.roots[term][a]))

    def correlation(self, term: int, a: int, b: int) -> float:
        """Correlation of two effects; NaN if a standard deviation is zero."""
        L = self.roots[term]
        size = self.sd(term, a) * self.sd(term, b)
        return float(np.clip(L[a] @ L[b] / size, -1.0, 1.0)) if size > 0 else float("nan")


def point_of(record: FitRecord) -> Point:
    """The unconstrained minimum."""
    roots = tuple(record.sigma * L for L in record.Lambda)
    return Point(record.criterion, roots, record.sigma, record.beta, record.convergence.converged)


def relative_roots(engine: Engine, point: Point) -> list[Floats]:
    """Relative square roots in conditioned columns, in the order of the cross-products."""
    return [engine.conditioned.conditioned_Lambda(i, point.roots[i] / point.sigma) for i in engine.cross_products.order]


def outward_roots(engine: Engine, absolute: list[Floats]) -> tuple[Floats, ...]:
    """Absolute square roots in conditioned columns, as given -> in the user's columns, in the order of the terms."""
    roots: list[Floats] = [np.empty(0)] * len(absolute)
    for i, L in zip(engine.cross_products.order, absolute, strict=True):
        T = engine.conditioned.terms[i]
        roots[i] = L if T is None else T @ L
    return tuple(roots)


def failed(warm: Point) -> Point:
    """Stand for a minimum that was not found."""
    return replace(warm, deviance=float("nan"), converged=False)


def minimize_turning(
    objective: Deviance, parameters: Parameters, start: Floats, control: Control, n: int
) -> tuple[Minimum, Deviance]:
    """Minimize the profiled deviance; after some steps go on with the effects in reverse order."""
    minimum = minimize(objective, start, n=n, tol=_TOL, max_iterations=min(_PATIENCE, control.max_iterations))
    if minimum.status is not Status.CONVERGED and np.isfinite(minimum.value):
        turned = _turned(parameters)
        objective = objective.reparametrized(turned)
        theta = turned.join(parameters.Lambdas(minimum.theta))
        minimum = minimize(objective, theta, n=n, tol=_TOL, max_iterations=control.max_iterations)
    if np.isfinite(minimum.value) and not np.array_equal(objective.theta, minimum.theta):
        objective.value(minimum.theta)
    return minimum, objective


def _turned(parameters: Parameters) -> Parameters:
    return Parameters(
        [Unstructured(t.m, flipped=True) if isinstance(t, Unstructured) else t for t in parameters.templates]
    )


def solve_absolute(
    engine: Engine, warm: Point, control: Control, term: int, fixed: Floats, basis: Floats, phi: Floats
) -> Point:
    """Minimize with one term on the absolute scale; fixed and basis are in the user's columns."""
    T = engine.conditioned.terms[term]
    if T is not None:
        inverse = np.linalg.inv(T)
        fixed, basis = inverse @ fixed, np.matmul(inverse, basis)
    # whatever the units, a free entry of size one moves the conditioned columns by sigma
    unit = warm.sigma / np.abs(basis).max((1, 2))
    phi = phi / unit
    phi = np.where(np.abs(phi) < _NUDGE, np.where(phi < 0, -_NUDGE, _NUDGE), phi)
    absolute = Absolute(engine.cross_products.order.index(term), fixed, unit[:, None, None] * basis)
    return solve_scaled(engine, warm, control, absolute=absolute, phi=phi)


def solve_scaled(
    engine: Engine,
    warm: Point,
    control: Control,
    *,
    sigma: float | None = None,
    absolute: Absolute | None = None,
    phi: Floats | None = None,
) -> Point:
    """Minimize with sigma held, or with one term on the absolute scale, started at phi.

    Parameters
    ----------
    engine : Engine
        The prepared model.
    warm : Point
        Nearby solution, the start of all that is relative, and of sigma.
    control : Control
        Settings.
    sigma : float, optional
        Residual standard deviation, if it is held.
    absolute : Absolute, optional
        The term on the absolute scale, in conditioned columns.
    phi : array, optional
        Start of its free entries.
    """
    cp = engine.cross_products
    parameters = engine.parameters
    relative = relative_roots(engine, warm)
    minimum: Minimum | None = None
    objective: ScaledDeviance | None = None
    limits = (min(_PATIENCE, control.max_iterations), control.max_iterations)
    for attempt, limit in enumerate(limits):
        if attempt:
            assert objective is not None
            assert minimum is not None
            relative = objective.Lambdas(minimum.theta)
            parameters = _turned(parameters)
            phi = minimum.theta[objective.own] if absolute is not None else None
            warm = replace(warm, sigma=objective.sigma(minimum.theta))
        objective = ScaledDeviance(engine.factor, parameters, cp.n, cp.log_weights, absolute=absolute, sigma=sigma)
        parts = [parameters.templates[i].parameters(relative[i]) for i in objective.relative]
        if phi is not None:
            parts.append(phi)
        if sigma is None:
            parts.append(np.array([np.log(warm.sigma)]))
        start = np.concatenate(parts) if parts else np.empty(0)
        minimum = minimize(objective, start, n=cp.n, tol=_TOL, max_iterations=limit)
        if minimum.status is Status.CONVERGED or not np.isfinite(minimum.value):
            break
    assert minimum is not None
    assert objective is not None
    if not np.isfinite(minimum.value):
        return failed(warm)
    if not np.array_equal(objective.theta, minimum.theta):
        objective.value(minimum.theta)
    done = objective.profiled
    assert done is not None
    found = objective.sigma(minimum.theta)
    roots = outward_roots(engine, [found * L for L in objective.Lambdas(minimum.theta)])
    beta = engine.conditioned.beta(done.beta)
    return Point(minimum.value, roots, found, beta, minimum.status is Status.CONVERGED)
