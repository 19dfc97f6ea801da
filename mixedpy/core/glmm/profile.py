"""Profile likelihood: the deviance with one parameter held and all others at their best.

zeta(x) = sign(x - x^) sqrt(D(x) - D(x^)) is nearly linear, so that its level of a normal quantile is found by a few
secants. Every held fit starts from its neighbour along the tangent of the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.covariance import Diagonal, Unstructured
from mixedpy.core.glmm.newton import Optimum, minimize_jointly
from mixedpy.core.glmm.objective import Objective
from mixedpy.core.glmm.polar import Polar
from mixedpy.core.glmm.problem import Problem, assemble
from mixedpy.core.glmm.quadrature import gauss_hermite
from mixedpy.core.glmm.record import GlmmRecord

__all__ = ["Profiler", "Trace", "profiler"]

_TOLERANCE = 1e-7
_MOST_FITS = 30
_CLOSE = 1e-4
"""A limit is found when zeta is this near to the quantile."""

_FLAT = 1e4
"""Directions beyond this are a correlation of one."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Points of a profile, from low to high.

    Attributes
    ----------
    x : (k,) array
        Values of the held parameter.
    zeta : (k,) array
        Signed roots of the deviance's increase.
    others : (k, P) array
        All parameters at each point.
    low, high : float
        Where zeta reaches -/+ the quantile; the bound of the parameter where it does not.
    """

    x: Floats
    zeta: Floats
    others: Floats
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Profiler:
    """A fit made ready for profiles.

    Attributes
    ----------
    objective : Objective
        Over standard deviations and directions, fixed effects and auxiliary coefficients.
    optimum : Optimum
        The fit.
    scale : (P,) array
        Units of the optimizer.
    """

    objective: Objective
    optimum: Optimum
    scale: Floats

    @property
    def x(self) -> Floats:
        """Estimates."""
        return self.optimum.evaluation.x

    def trace(self, k: int, quantile: float, *, low: float = -np.inf) -> Trace:
        """Profile parameter k to zeta = -/+ quantile, not below ``low``."""
        H = self.optimum.hessian
        covariance = 2.0 * np.linalg.pinv(H / np.outer(self.scale, self.scale), hermitian=True)
        se = float(np.sqrt(covariance[k, k])) / self.scale[k]
        points = [(float(self.x[k]), 0.0, self.x)]
        ends = []
        for sign in (-1.0, 1.0):
            found, limit = self._side(k, sign, quantile, se, low)
            points += found
            ends.append(limit)
        points.sort(key=lambda point: point[0])
        return Trace(
            np.array([p[0] for p in points]), np.array([p[1] for p in points]), np.array([p[2] for p in points]), *ends
        )

    def _side(
        self, k: int, sign: float, quantile: float, se: float, low: float
    ) -> tuple[list[tuple[float, float, Floats]], float]:
        """Secants on zeta from the estimate outwards."""
        x0 = float(self.x[k])
        inner, outer = (x0, 0.0), None
        points: list[tuple[float, float, Floats]] = []
        warm, x = self.optimum, x0 + sign * quantile * se
        for _ in range(_MOST_FITS):
            x = max(x, low)
            if abs(x) > _FLAT and k < self.objective.layout.k:
                return points, sign * np.inf
            found = self._held(warm, k, x)
            if found is None:  # no likelihood there: nearer to the last good point
                x = 0.5 * (x + inner[0])
                continue
            zeta = sign * float(np.sqrt(max(found.evaluation.deviance - self.optimum.evaluation.deviance, 0.0)))
            points.append((x, zeta, found.evaluation.x))
            size = abs(zeta)
            if abs(size - quantile) < _CLOSE:
                return points, x
            if size < quantile:
                if x <= low:
                    return points, low
                inner, warm = (x, size), found
            else:
                outer = (x, size)
            if outer is None:
                slope = (size - 0.0) / (x - x0)
                reach = (quantile - size) / slope if slope != 0.0 else sign * se
                x = x + np.clip(1.02 * reach, -4.0 * abs(x - x0) - se, 4.0 * abs(x - x0) + se)
            else:
                x = inner[0] + (quantile - inner[1]) * (outer[0] - inner[0]) / (outer[1] - inner[1])
        return points, x

    def _held(self, warm: Optimum, k: int, value: float) -> Optimum | None:
        """Minimize over all but parameter k, held at a value."""
        at, H = warm.evaluation, warm.hessian
        free = np.array([i for i in range(len(at.x)) if i != k])
        step = np.zeros(len(at.x))
        step[k] = value - at.x[k]
        step[free] = -np.linalg.lstsq(H[np.ix_(free, free)], H[free, k] * step[k], rcond=None)[0]
        length = float(np.linalg.norm(step * self.scale))
        tol = 1e-10 if self.objective.nodes is None else 1e-8
        for share in (1.0, 0.0):  # along the tangent, or the held parameter alone
            step[free] *= share
            us = self.objective.predicted_modes(at, step, length)
            first = self.objective.value(at.x + step, us, [None] * len(us), tol)
            if np.isfinite(first.deviance):
                return minimize_jointly(self.objective, first, self.scale, tol=_TOLERANCE, max_iterations=60, held=k)
        return None


def profiler(design: Design, record: GlmmRecord, control: Control) -> Profiler | None:
    """Make a fit ready for profiles; None where its covariance structures have no standard deviations of their own."""
    terms = []
    for term in design.terms:
        if isinstance(term.template, Unstructured):
            terms.append(replace(term, template=Polar(term.m)))
        elif isinstance(term.template, Diagonal) and term.template.size == term.m:
            terms.append(term)
        else:
            return None
    moved = replace(design, terms=tuple(terms))
    problem = assemble(moved, record.family, record.auxiliary, expected=record.expected)
    nodes = gauss_hermite(record.nagq, problem.whole.m) if record.nagq > 1 else None
    objective = Objective(problem, nodes)
    theta = problem.layout.parameters.join([record.Lambda[i] for i in problem.order])
    x = np.concatenate([theta, record.beta, record.alpha])
    scale = _scale(problem)
    none: list[None] = [None] * len(objective.blocks)
    first = objective.value(x, none, none, 1e-10)
    if not np.isfinite(first.deviance):
        return None
    optimum = minimize_jointly(objective, first, scale, tol=_TOLERANCE, max_iterations=control.max_iterations)
    return Profiler(objective, optimum, scale)


def _scale(problem: Problem) -> Floats:
    """Change of the linear predictor per unit of each parameter; directions count as they are."""
    rows = problem.whole

    def rms(z: Floats | None) -> float:
        return 1.0 if z is None else float(np.sqrt(z @ z / rows.n)) or 1.0

    out: list[float] = []
    for t, (term, template) in enumerate(zip(rows.terms, problem.layout.parameters.templates, strict=True)):
        out += [rms(rows.z(rows.column[t, a])) for a in range(term.m)]
        out += [0.5] * (template.size - term.m)
    out += [rms(column) for column in rows.X]
    out += [0.5 * rms(c) for columns in rows.auxiliary for c in ([None] if columns is None else columns)]
    return np.array(out)
