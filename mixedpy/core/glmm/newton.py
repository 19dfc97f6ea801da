"""Trust-region Newton on (theta, beta, alpha) jointly, with the exact Hessian, in units of the linear predictor.

The deviance is even in the sign of a column of Lambda, so theta is not bounded. Where the cross-level part of the
Hessian is dear it is formed for covariance parameters first, held while steps are short, and formed in full once near
the optimum; that one gives the standard errors.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.objective import Evaluation, Objective
from mixedpy.core.glmm.precision import Precision
from mixedpy.core.optimize import trust_region_step
from mixedpy.core.record import Status

__all__ = ["Optimum", "minimize_jointly"]

_CHEAP = 1e-3
"""Eliminations cheaper than this many seconds form the whole Hessian at every step near the optimum."""

_SHORT_STEP = 0.03
_NEAR = 0.05
"""The full Hessian is formed once a step promises less than this."""

_SMALLEST_RADIUS = 1e-7
_ROUNDING = 1e-11
"""Relative rounding error of a deviance."""


@dataclass(slots=True, eq=False)
class Optimum:
    """Where the optimizer stopped.

    Attributes
    ----------
    evaluation : Evaluation
        Last point, its derivatives known.
    gradient, hessian : arrays
        There, in (theta, beta, alpha).
    step : (P,) array
        Newton step from there, which promises less than the tolerance.
    predicted : float
        What the step promises.
    """

    evaluation: Evaluation
    gradient: Floats
    hessian: Floats
    step: Floats
    predicted: float
    status: Status
    iterations: int
    refused: int
    eigenvalues: Floats


def inner_tolerance(objective: Objective, predicted: float) -> float:
    """Decrement at which the modes are good enough for a step that promises ``predicted``."""
    if objective.nodes is not None:
        return 1e-8
    if objective.problem.single:
        return 1e-4  # what remains after the last step is of its square
    return min(1e-4, max(1e-11, 1e-3 * predicted * min(predicted, 1.0)))


def minimize_jointly(
    objective: Objective,
    first: Evaluation,
    scale: Floats,
    *,
    tol: float,
    max_iterations: int,
    held: Collection[int] = (),
    effort: float = np.inf,
) -> Optimum:
    """Minimize from an evaluated point.

    Parameters
    ----------
    objective : Objective
        What to minimize.
    first : Evaluation
        Where to start, with a finite deviance.
    scale : (P,) array
        Change of the linear predictor per unit of each parameter.
    tol : float
        Stop when a step promises less.
    max_iterations : int
        Limit on steps tried.
    held : collection of int
        Parameters that stay as they are.
    effort : float
        Limit on steps towards the modes, halved ones included; at the edge of what a link allows each is halved often.
    """
    effort += objective.steps + objective.halvings
    free = np.array([k for k in range(len(first.x)) if k not in held], dtype=int)
    inside = np.ix_(free, free)
    units = np.outer(scale[free], scale[free])
    layout, store = objective.layout, objective.problem.whole.store
    n_all = layout.psi(first.x).size - layout.s
    n_theta = n_all - layout.p
    crossed = store is not None
    cheap = store is not None and store.seconds < _CHEAP
    at = first
    gradient, H, trace = objective.derivatives(at, cross=n_theta if crossed else 0)
    complete = not crossed
    if not len(free):
        return Optimum(at, gradient, H, np.zeros(len(at.x)), 0.0, Status.CONVERGED, 0, 0, np.zeros(1))
    radius, refused, iterations = 1.0, 0, 0
    status = Status.ITERATION_LIMIT
    while True:
        scaled = H[inside] / units
        found = trust_region_step(gradient[free] / scale[free], scaled, radius)
        step, predicted, length = np.zeros(len(at.x)), found.predicted, float(np.linalg.norm(found.step))
        step[free] = found.step / scale[free]
        if predicted < tol and found.min_eigenvalue > -1e-6 * float(np.abs(scaled).max()):
            if complete:
                status = Status.CONVERGED
                break
            gradient, H, trace = objective.derivatives(at, cross=n_all)
            complete = True
            continue
        if iterations >= max_iterations or objective.steps + objective.halvings > effort:
            break
        iterations += 1
        us = objective.predicted_modes(at, step, length)
        chords: list[Precision | None] = [p.curvature for p in at.points]
        trial = objective.value(at.x + step, us, chords, inner_tolerance(objective, predicted))
        ratio = (at.deviance - trial.deviance) / predicted
        if ratio > 0.75:
            radius = max(radius, 2.0 * length)
        elif not ratio > 0.1:
            radius = 0.3 * length
        if trial.deviance < at.deviance:
            cross = 0
            if crossed:
                late = predicted < _NEAR and not complete
                if late or (complete and cheap):
                    cross, complete = n_all, True
                elif not complete and (cheap or length > _SHORT_STEP):
                    cross = n_theta
            at = trial
            gradient, H, trace = objective.derivatives(at, cross=cross, held=trace)
            continue
        refused += 1
        if predicted < _ROUNDING * max(1.0, abs(at.deviance)):
            status = Status.CONVERGED
            break
        if radius < _SMALLEST_RADIUS:
            status = Status.STALLED
            break
    if not complete:
        gradient, H, trace = objective.derivatives(at, cross=n_all)
    eigenvalues: Floats = np.linalg.eigvalsh(H / np.outer(scale, scale)).astype(np.float64)
    return Optimum(at, gradient, H, step, predicted, status, iterations, refused, eigenvalues)
