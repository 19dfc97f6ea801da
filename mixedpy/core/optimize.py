"""Trust-region Newton on the average-information matrix, over unconstrained theta.

The deviance is even in the sign of a column of Lambda, so no bounds are needed; signs are put right afterwards. The
value comes first and the derivatives, up to twice as dear, only where they are used: the last point has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import lapack

from mixedpy.core.arrays import Floats
from mixedpy.core.record import Status

__all__ = ["Minimum", "Objective", "Step", "minimize", "trust_region_step"]

_ROUNDING = 1e-13
"""Relative rounding error of a deviance, per unit of its number of observations."""

_NOISE_SHARE = 0.1
"""A decrement below this share of the Monte-Carlo error of decrements is not worth a step."""

_SMALLEST_RADIUS = 1e-9

_SLOW = 0.02
"""A Newton step that promises more than this share of the one before shows that the model's curvature is off."""

_NEAR = 1.0
"""Curvature is corrected only where a step promises less than this, in units of the deviance."""


class Objective(Protocol):
    """A function of theta in two phases."""

    @property
    def noise(self) -> float:
        """Part of a step's gain that may be Monte-Carlo error, as of the last derivatives; 0 for an exact function."""

    def value(self, theta: Floats) -> float:
        """Value at theta; raises ``numpy.linalg.LinAlgError`` where it has none."""

    def derivatives(self) -> tuple[Floats, Floats]:
        """Gradient and Hessian approximation at the theta of the last value."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where the optimizer stopped.

    Attributes
    ----------
    theta : (k,) array
        Best point.
    value : float
        Objective there.
    status : Status
        Why it stopped.
    iterations : int
        Trust-region steps tried.
    gradient_norm : float
        Largest absolute entry of the last gradient computed.
    decrement : float
        Estimate of what a further step would gain.
    min_eigenvalue : float
        Smallest eigenvalue of the last Hessian approximation.
    """

    theta: Floats
    value: float
    status: Status
    iterations: int
    gradient_norm: float
    decrement: float
    min_eigenvalue: float


@dataclass(frozen=True, slots=True)
class Step:
    """Solution of a trust-region problem.

    Attributes
    ----------
    step : (k,) array
        The step.
    predicted : float
        Decrease of the quadratic model.
    newton : bool
        Whether this is the full Newton step of a positive definite model.
    min_eigenvalue : float
        Smallest eigenvalue of the Hessian.
    """

    step: Floats
    predicted: float
    newton: bool
    min_eigenvalue: float


def minimize(objective: Objective, start: Floats, *, n: int, tol: float = 1e-8, max_iterations: int = 100) -> Minimum:
    """Minimize an objective from a start.

    Parameters
    ----------
    objective : Objective
        Value and derivatives.
    start : (k,) array
        First point; not a stationary one.
    n : int
        Number of observations, the scale of the objective's rounding error.
    tol : float
        Stop when a step is expected to gain less than this, or less than Monte-Carlo error may have made up.
    max_iterations : int
        Limit on steps tried.

    Returns
    -------
    Minimum
        With status ``CONVERGED`` only where the model was positive (semi)definite and the expected gain below ``tol``.

    Notes
    -----
    With d the decrease that a Newton step promised and d / d_before the contraction seen so far, the step about to be
    taken leaves about d (d / d_before); (f - f1) / d - 1 measures the error of the model once more. Where both say that
    less than ``tol`` is left after the step, its end point needs no derivatives.

    Average information is the mean of the observed and the expected information. Where the data disagree with the
    model they differ, and Newton's method contracts only linearly; symmetric rank-one corrections from the gradients
    then supply what is missing.
    """
    theta = start
    try:
        value = objective.value(theta)
    except np.linalg.LinAlgError:
        value = np.inf
    if not np.isfinite(value):
        return Minimum(theta, float("nan"), Status.NOT_FINITE, 0, np.nan, np.nan, np.nan)
    gradient, hessian = objective.derivatives()
    correction = np.zeros_like(hessian)
    radius = 1.0
    before: float | None = None  # what the last full Newton step promised
    left = np.inf
    status = Status.ITERATION_LIMIT
    iterations = 0
    while iterations < max_iterations:
        iterations += 1
        rounding = max(_ROUNDING * n, objective.noise)
        goal = max(tol, _NOISE_SHARE * objective.noise)
        scale = np.maximum(1.0, np.abs(theta))  # steps are measured against parameters that are large
        trial = trust_region_step(gradient * scale, (hessian + correction) * scale * scale[:, None], radius)
        if trial.predicted < goal:
            left, status = trial.predicted, Status.CONVERGED
            break
        there = theta + scale * trial.step
        try:
            value_there = objective.value(there)
        except np.linalg.LinAlgError:
            value_there = np.inf
        ratio = (value - value_there) / trial.predicted
        if trial.newton and trial.predicted < 1e-2 and before is not None and not correction.any():
            missed = 4.0 * (ratio - 1.0) ** 2 if trial.predicted > 100.0 * rounding else 0.0
            left = trial.predicted * max(min(1.0, trial.predicted / before), missed)
            if left < goal and value_there <= value + rounding:
                theta, value, status = there, value_there, Status.CONVERGED
                break
        left = trial.predicted
        if not value_there < value + (rounding if trial.predicted < max(1e-6, 10.0 * objective.noise) else 0.0):
            if trial.predicted < 10.0 * rounding:  # the promised gain is lost in rounding error
                status = Status.CONVERGED
                break
            before = None
            if correction.any():
                correction = np.zeros_like(correction)
                continue
            radius = 0.25 * float(np.linalg.norm(trial.step))
            if radius < _SMALLEST_RADIUS:
                status = Status.STALLED
                break
            continue
        slow = trial.newton and before is not None and _SLOW * before < trial.predicted < _NEAR
        before = trial.predicted if trial.newton else None
        if ratio > 0.75:
            radius = max(radius, 2.0 * float(np.linalg.norm(trial.step)))
        elif ratio < 0.25:
            radius = 0.5 * float(np.linalg.norm(trial.step))
        theta, value = there, value_there
        old_gradient, old_hessian = gradient, hessian
        gradient, hessian = objective.derivatives()
        if slow or correction.any():
            average = 0.5 * (hessian + old_hessian)
            step = scale * trial.step
            correction = _corrected(correction, hessian, step, gradient - old_gradient - average @ step)
    return Minimum(
        theta,
        value,
        status,
        iterations,
        gradient_norm=float(np.abs(gradient).max()),
        decrement=float(left),
        min_eigenvalue=float(_eigen(hessian)[0][0]),
    )


def _corrected(correction: Floats, hessian: Floats, step: Floats, missing: Floats) -> Floats:
    """Symmetric rank-one update so that the correction maps the step to the change of gradient the model missed."""
    rest = missing - correction @ step
    product = float(rest @ step)
    if abs(product) <= 1e-8 * float(np.linalg.norm(rest) * np.linalg.norm(step)):
        return correction
    updated = correction + np.outer(rest, rest) / product
    if np.linalg.eigvalsh(hessian + updated)[0] > 0.1 * np.linalg.eigvalsh(hessian)[0]:
        return updated
    return np.zeros_like(correction)


def _eigen(hessian: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues, increasing, and eigenvectors; LAPACK itself, since the matrices are tiny."""
    w, vectors, info = lapack.dsyev(hessian)
    if info:
        raise np.linalg.LinAlgError("the eigenvalues of the Hessian did not converge")
    return w, vectors


def trust_region_step(gradient: Floats, hessian: Floats, radius: float) -> Step:
    """Minimize g's + s'H s / 2 over |s| <= radius, in the eigenvectors of H (More & Sorensen 1983).

    Where H has a negative eigenvalue and the gradient no component along its eigenvector, as at a variance of zero that
    wants to grow, the step is completed to the radius along that eigenvector.
    """
    w, vectors = _eigen(hessian)
    along = vectors.T @ gradient
    floor = max(1e-9 * abs(w[-1]), 1e-12)
    shift = max(0.0, floor - w[0])
    step = -along / (w + shift)
    newton = shift == 0.0
    if step @ step > radius * radius:
        newton = False
        low, high = shift, shift + float(np.sqrt(along @ along)) / radius
        for _ in range(40):
            middle = 0.5 * (low + high)
            length = float(np.sum((along / (w + middle)) ** 2))
            if length > radius * radius:
                low = middle
            else:
                high = middle
                if length > 0.81 * radius * radius:
                    break
        step = -along / (w + high)
    elif w[0] < -1e-6 * max(1.0, abs(w[-1])):
        step = step.copy()
        step[0] += np.copysign(np.sqrt(radius * radius - step @ step), step[0])
    predicted = -float(along @ step + 0.5 * step @ (w * step))
    return Step(vectors @ step, predicted, newton, float(w[0]))
