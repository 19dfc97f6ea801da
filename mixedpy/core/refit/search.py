"""Trust-region Newton for many replicates at once: every array operation serves all of them, the finished ones leave.

The steps, and what ends them, are those of :mod:`mixedpy.core.optimize`, which handles one model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.refit.algebra import root

__all__ = ["Lockstep", "Objective", "State", "minimize_all"]

_ROUNDING = 1e-13
"""Relative rounding error of a deviance, per unit of its number of observations."""

_SMALLEST_RADIUS = 1e-9

_SLOW = 0.02
_NEAR = 1.0
"""Where corrections of the average information begin; see :mod:`mixedpy.core.optimize`."""

_NEARLY_SINGULAR = 1e-9
"""Hessians with an eigenvalue below this share of the largest are handled through their eigenvectors."""


class State(Protocol):
    """Values of some replicates, and what their derivatives need."""

    @property
    def value(self) -> Floats:
        """Objective, (B,); NaN where it has none."""

    def take(self, chosen: NDArray[np.intp]) -> Self:
        """Those of some replicates."""


S = TypeVar("S", bound=State)


class Objective(Protocol[S]):
    """Objectives of B replicates, evaluated together."""

    n: int
    exact: bool  # whether the Hessians are the second derivatives, not the average information

    def values(self, theta: Floats) -> S:
        """Values at theta (k, B)."""

    def derivatives(self, state: S) -> tuple[Floats, Floats]:
        """Gradients (k, B) and Hessians (k, k, B)."""

    def take(self, chosen: NDArray[np.intp]) -> Self:
        """The same for some of the replicates."""


@dataclass(frozen=True, slots=True)
class Lockstep:
    """Where the replicates stopped.

    Attributes
    ----------
    theta : (k, B) array
        Best points.
    value : (B,) array
        Objective there; NaN where it has no finite value.
    iterations : (B,) int array
        Steps tried.
    converged : (B,) bool array
        Whether no further step promises more than the tolerance.
    """

    theta: Floats
    value: Floats
    iterations: NDArray[np.intp]
    converged: NDArray[np.bool_]


@np.errstate(invalid="ignore", divide="ignore", over="ignore")
def minimize_all(objective: Objective[S], start: Floats, *, tol: float = 1e-8, max_iterations: int = 100) -> Lockstep:
    """Minimize the objectives of B replicates from their starts.

    Parameters
    ----------
    objective : Objective
        Values and derivatives.
    start : (k, B) array
        First points, not stationary.
    tol : float
        A replicate is finished when a step is expected to gain less than this.
    max_iterations : int
        Limit on steps tried.
    """
    theta = start.copy()
    B = start.shape[1]
    rounding = _ROUNDING * objective.n
    done = Lockstep(theta.copy(), np.full(B, np.nan), np.zeros(B, np.intp), np.zeros(B, bool))
    state = objective.values(theta)
    ids = np.arange(B)
    finite = np.flatnonzero(np.isfinite(state.value))
    if len(finite) < B:
        objective, state, theta, ids = objective.take(finite), state.take(finite), theta[:, finite], ids[finite]
    value = state.value.copy()
    gradient, hessian = objective.derivatives(state)
    correction = np.zeros_like(hessian)
    radius = np.maximum(1.0, 0.5 * np.sqrt((theta**2).sum(0)))
    before = np.full(len(ids), np.nan)  # what the last full Newton step promised
    for iteration in range(1, max_iterations + 1):
        if not len(ids):
            break
        step, predicted, newton = _steps(gradient, hessian + correction, radius)
        there = theta + step
        state = objective.values(there)
        reached = state.value
        gained = value - reached
        ratio = gained / predicted
        length = np.sqrt((step**2).sum(0))
        missed = np.where(predicted > 100.0 * rounding, 4.0 * (ratio - 1.0) ** 2, 0.0)
        left = predicted * np.maximum(np.minimum(1.0, predicted / before), missed)  # NaN without a step before
        small = predicted < tol
        corrected = correction.any((0, 1))  # may promise too little; a refused step says first that it is wrong
        last = newton & ~corrected & (predicted < 1e-2) & (left < tol)
        better = reached < value + np.where(predicted < 1e-6, rounding, 0.0)
        lost = ~better & (predicted < 10.0 * rounding)
        stalled = ~better & ~corrected & (0.25 * length < _SMALLEST_RADIUS)
        converged = small | (last & (reached <= value + rounding)) | lost
        accept = better | (small & (reached <= value))
        radius = np.where(
            accept,
            np.where(ratio > 0.75, np.maximum(radius, 2.0 * length), np.where(ratio < 0.25, 0.5 * length, radius)),
            np.where(corrected, radius, 0.25 * length),
        )
        slow = newton & accept & (_SLOW * before < predicted) & (predicted < _NEAR)
        correction = np.where(accept, correction, 0.0)
        before = np.where(accept & newton, predicted, np.nan)
        theta = np.where(accept, there, theta)
        value = np.where(accept, reached, value)
        stop = converged | stalled | (iteration == max_iterations)
        over = np.flatnonzero(stop)
        if len(over):
            done.theta[:, ids[over]], done.value[ids[over]] = theta[:, over], value[over]
            done.iterations[ids[over]], done.converged[ids[over]] = iteration, converged[over]
            rest = np.flatnonzero(~stop)
            if not len(rest):
                break
            objective, state, ids = objective.take(rest), state.take(rest), ids[rest]
            theta, value, radius, before = theta[:, rest], value[rest], radius[rest], before[rest]
            gradient, hessian, accept = gradient[:, rest], hessian[:, :, rest], accept[rest]
            correction, slow, step = correction[:, :, rest], slow[rest], step[:, rest]
        new_gradient, new_hessian = objective.derivatives(state)
        if not objective.exact:
            changing = np.flatnonzero(accept & (slow | correction.any((0, 1))))
            if len(changing):
                average = 0.5 * (hessian + new_hessian)[:, :, changing]
                moved = step[:, changing]
                missing = (new_gradient - gradient)[:, changing] - np.einsum("klb,lb->kb", average, moved)
                correction[:, :, changing] = _corrected(
                    correction[:, :, changing], new_hessian[:, :, changing], moved, missing
                )
        gradient = np.where(accept, new_gradient, gradient)
        hessian = np.where(accept, new_hessian, hessian)
    return done


def _corrected(correction: Floats, hessian: Floats, step: Floats, missing: Floats) -> Floats:
    """Symmetric rank-one updates so that a correction maps the step to the change of gradient the model missed."""
    rest = missing - np.einsum("klb,lb->kb", correction, step)
    product = (rest * step).sum(0)
    useful = np.abs(product) > 1e-8 * np.sqrt((rest**2).sum(0) * (step**2).sum(0))
    updated = correction + np.where(useful, rest[:, None] * rest / product, 0.0)
    plain = np.linalg.eigvalsh(hessian.transpose(2, 0, 1))[:, 0]
    with_it = np.linalg.eigvalsh((hessian + updated).transpose(2, 0, 1))[:, 0]
    return np.where(~useful | (with_it > 0.1 * plain), updated, 0.0)


def _steps(gradient: Floats, hessian: Floats, radius: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Trust-region steps (k, B), the decreases they promise, and whether they are full Newton steps.

    A positive definite Hessian whose Newton step stays inside the radius needs a Cholesky factor only.
    """
    inverse = root(hessian).inverse
    half = np.einsum("klb,lb->kb", inverse, gradient)
    step = -np.einsum("lkb,lb->kb", inverse, half)
    length2 = (step**2).sum(0)
    diagonal = np.abs(np.einsum("kkb->kb", hessian)).max(0)
    smallest = 1.0 / (inverse**2).sum((0, 1))  # a lower bound of the smallest eigenvalue
    newton = (length2 <= radius**2) & (smallest > _NEARLY_SINGULAR * diagonal)
    predicted = 0.5 * (half**2).sum(0)
    hard = np.flatnonzero(~newton)
    if len(hard):
        found = _solve(gradient[:, hard], hessian[:, :, hard], radius[hard])
        step[:, hard], predicted[hard], newton[hard] = found
    return step, predicted, newton


def _solve(gradient: Floats, hessian: Floats, radius: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Minimize g's + s'H s / 2 over |s| <= radius, in the eigenvectors of H (More & Sorensen 1983)."""
    w, vectors = np.linalg.eigh(np.ascontiguousarray(hessian.transpose(2, 0, 1)))  # (B, k), (B, k, k)
    along = np.einsum("bij,ib->bj", vectors, gradient)
    floor = np.maximum(1e-9 * np.abs(w[:, -1]), 1e-12)
    shift = np.maximum(0.0, floor - w[:, 0])
    step = -along / (w + shift[:, None])
    newton = shift == 0.0
    long = (step**2).sum(1) > radius**2
    if long.any():
        low, high = shift.copy(), shift + np.sqrt((along**2).sum(1)) / radius
        for _ in range(40):
            middle = 0.5 * (low + high)
            length2 = ((along / (w + middle[:, None])) ** 2).sum(1)
            low = np.where(length2 > radius**2, middle, low)
            high = np.where(length2 > radius**2, high, middle)
        step = np.where(long[:, None], -along / (w + high[:, None]), step)
        newton = newton & ~long
    saddle = ~long & (w[:, 0] < -1e-6 * np.maximum(1.0, np.abs(w[:, -1])))
    # where the gradient has no component along a direction of negative curvature, go to the radius along it
    rest = np.sqrt(np.maximum(radius**2 - (step**2).sum(1), 0.0))
    step[:, 0] += np.where(saddle, np.copysign(rest, step[:, 0]), 0.0)
    predicted = -((along * step).sum(1) + 0.5 * (w * step**2).sum(1))
    return np.einsum("bij,bj->ib", vectors, step), predicted, newton
