"""Walk along a profile: zeta(x) = sign(x - estimate) sqrt(d(x) - d), outwards in even steps of zeta, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from mixedpy.core.profile.slices import Slice
from mixedpy.core.profile.solve import Point

__all__ = ["Branch", "End", "Limit", "find_limit", "walk", "zeta_at"]

_STEP = 0.5
"""Wanted difference of zeta between neighbouring points."""

_MOST_POINTS = 60
"""Points on one branch after which the profile counts as unbounded."""

_MOST_HALVINGS = 8
"""Times that a step is halved because the fit at its end failed."""

_LOWER = 1e-6
"""A deviance this far below that of the fit is another, better optimum, in units of the deviance."""

_BACKWARDS = 1e-3
"""A decrease of |zeta| by more than this is not rounding."""

_LIMIT_TOL = 1e-6
"""Accuracy of zeta at a limit."""


class End(Enum):
    """Why a branch of a profile ended."""

    REACHED = "the cutoff was reached"
    BOUND = "the parameter's bound was reached before the cutoff"
    UNBOUNDED = "the deviance levels off before the cutoff, so that the interval has no end on this side"
    BACKWARDS = "the profile is not monotone: the deviance falls again further out"
    LOWER = "a lower deviance than that of the fit was found; the fit is not the optimum"
    FAILED = "the constrained fit did not converge"


@dataclass(frozen=True, slots=True)
class Step:
    """One point of a profile."""

    x: float
    zeta: float
    point: Point


@dataclass(frozen=True, slots=True)
class Branch:
    """The points of a profile on one side of the estimate, outwards, the estimate first."""

    sign: int
    steps: tuple[Step, ...]
    end: End


@dataclass(frozen=True, slots=True)
class Limit:
    """Where |zeta| reaches a cutoff.

    Attributes
    ----------
    x : float
        The limit; the bound of the parameter if that came first, NaN if there is none.
    end : End
        How it was found, or why there is none.
    """

    x: float
    end: End


def zeta_at(slice_: Slice, x: float, estimate: Point, warm: Point) -> Step:
    """Evaluate the profile at x.

    zeta is NaN where the constrained fit failed, and has the other sign where it found a lower deviance than the fit.
    """
    point = slice_.solve(x, warm)
    gained = point.deviance - estimate.deviance
    sign = 1.0 if x > slice_.of(estimate) else -1.0
    size = np.sqrt(abs(gained))
    return Step(x, float(sign * (size if gained >= 0 else -size)), point)


def walk(slice_: Slice, estimate: Point, sign: int, cutoff: float, first: float) -> Branch:
    """Walk from the estimate to one side until |zeta| exceeds a cutoff or the parameter ends.

    Parameters
    ----------
    slice_ : Slice
        The parameter.
    estimate : Point
        The unconstrained minimum.
    sign : int
        1 upwards, -1 downwards.
    cutoff : float
        Value of |zeta| to exceed.
    first : float
        Length of the first step.
    """
    x0 = slice_.of(estimate)
    low, high = slice_.bounds
    bound = high if sign > 0 else low
    start = Step(x0, 0.0, estimate)
    steps = [start]
    if x0 == bound:
        return Branch(sign, tuple(steps), End.BOUND)
    h, halvings = abs(first), 0
    for _ in range(_MOST_POINTS):
        last = steps[-1]
        x, at_bound = _next(last.x, sign * h, bound, closed=slice_.closed)
        found = zeta_at(slice_, x, estimate, last.point)
        problem = _problem(found, last, sign)
        if problem is End.FAILED and halvings < _MOST_HALVINGS:
            halvings += 1
            h = 0.5 * abs(x - last.x)
            continue
        if problem is not None:
            return Branch(sign, tuple(steps), problem)
        gained = sign * (found.zeta - last.zeta)
        if gained > 4.0 * _STEP and len(steps) == 1 and h > 1e-8 * abs(x0) and abs(found.zeta) > cutoff:
            h *= _STEP / gained  # the first step was far too long; nothing is learnt from where it ended
            continue
        steps.append(found)
        if abs(found.zeta) >= cutoff:
            return Branch(sign, tuple(steps), End.REACHED)
        if at_bound:
            return Branch(sign, tuple(steps), End.BOUND)
        h = abs(found.x - last.x) * float(np.clip(_STEP / max(gained, 1e-8), 0.2, 3.0))
    return Branch(sign, tuple(steps), End.UNBOUNDED)


def _next(x: float, h: float, bound: float, *, closed: bool) -> tuple[float, bool]:
    """The next point, not beyond the bound; a bound that is not reached is approached by halves."""
    if np.isfinite(bound):
        room = bound - x
        if abs(h) >= (1.0 if closed else 0.5) * abs(room):
            return (bound, True) if closed else (x + 0.5 * room, False)
    return x + h, False


def _problem(found: Step, last: Step, sign: int) -> End | None:
    if not found.point.converged or not np.isfinite(found.zeta):
        return End.FAILED
    if sign * found.zeta < 0 and found.zeta**2 > _LOWER:
        return End.LOWER
    if sign * (last.zeta - found.zeta) > _BACKWARDS:
        return End.BACKWARDS
    return None


def find_limit(slice_: Slice, estimate: Point, branch: Branch, cutoff: float) -> Limit:
    """Solve |zeta| = cutoff on a branch, between its points and beyond them not at all.

    Parameters
    ----------
    slice_, estimate
        As for :func:`walk`.
    branch : Branch
        Of the side wanted, walked to at least this cutoff.
    cutoff : float
        Value of |zeta|.
    """
    size = np.array([abs(step.zeta) for step in branch.steps])
    beyond = np.flatnonzero(size >= cutoff)
    if not len(beyond):
        x = branch.steps[-1].x if branch.end is End.BOUND else float("nan")
        return Limit(x, branch.end)
    k = int(beyond[0])
    if k == 0:
        return Limit(branch.steps[0].x, End.REACHED)
    a, b = branch.steps[k - 1], branch.steps[k]
    side = 0
    fa, fb = abs(a.zeta) - cutoff, abs(b.zeta) - cutoff
    for _ in range(60):
        if abs(fb) < _LIMIT_TOL:
            break
        c = b.x - fb * (b.x - a.x) / (fb - fa)
        found = zeta_at(slice_, c, estimate, (a if abs(fa) < abs(fb) else b).point)
        if not found.point.converged or not np.isfinite(found.zeta):
            return Limit(float("nan"), End.FAILED)
        f = abs(found.zeta) - cutoff
        # regula falsi; the end that stays is given half its weight (Illinois)
        if f < 0:
            a, fa = found, f
            fb = 0.5 * fb if side == -1 else fb
            side = -1
        else:
            b, fb = found, f
            fa = 0.5 * fa if side == 1 else fa
            side = 1
        if abs(f) < _LIMIT_TOL or abs(b.x - a.x) <= 1e-12 * abs(b.x):
            return Limit(found.x, End.REACHED)
    return Limit(b.x, End.REACHED)
