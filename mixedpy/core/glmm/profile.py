"""Profile likelihood: one parameter of a generalized model held at a value, the deviance minimized over all others.

Every held fit starts from its neighbour along the tangent of the optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

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
from mixedpy.core.profile.solve import Point
from mixedpy.core.record import Status

__all__ = ["GlmmPoint", "GlmmSlice", "Profiler", "has_profiles", "profiler"]

_TOLERANCE = 1e-7
_HELD_ITERATIONS = 25
_HELD_EFFORT = 400
_SLICE_EFFORT = 1500
"""Steps towards the modes, halved ones included, of one held fit and of all of a parameter. Usual fits from a neighbour
take some 5 and never 50; at the edge of what a link allows steps are halved without end."""

_FLAT = 1e4
"""A direction of this length is a correlation of one."""


@dataclass(frozen=True, slots=True)
class GlmmPoint(Point):
    """A minimum of the deviance, with what it takes to start from it.

    Attributes
    ----------
    ready : Profiler or None
        Whose parameters the optimum is in; None for a point that is no start.
    optimum : Optimum or None
        The minimum in these parameters.
    """

    ready: Profiler | None = None
    optimum: Optimum | None = None


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
    orders : tuple of tuple of int
        The effects of each term of the design, in the order in which the parameters have them.
    """

    objective: Objective
    optimum: Optimum
    scale: Floats
    orders: tuple[tuple[int, ...], ...]

    @property
    def effort(self) -> int:
        """Steps towards the modes so far, halved ones included."""
        return int(self.objective.steps + self.objective.halvings)

    def point(self, optimum: Optimum) -> GlmmPoint:
        """Say where an optimum is in the user's columns."""
        problem, layout, x = self.objective.problem, self.objective.layout, optimum.evaluation.x
        roots: list[Floats] = [np.empty(0)] * len(problem.order)
        for i, L in zip(problem.order, layout.parameters.Lambdas(x[: layout.k]), strict=True):
            roots[i] = np.empty_like(L)
            roots[i][list(self.orders[i])] = L
        return GlmmPoint(
            deviance=optimum.evaluation.deviance,
            roots=tuple(roots),
            sigma=1.0,
            beta=x[layout.k : layout.k + layout.p],
            converged=optimum.status is Status.CONVERGED,
            alpha=x[layout.k + layout.p :],
            ready=self,
            optimum=optimum,
        )

    def se(self, k: int) -> float:
        """Standard error of parameter k."""
        H = self.optimum.hessian / np.outer(self.scale, self.scale)
        variance = 2.0 * np.linalg.pinv(H, hermitian=True)[k, k]
        return float(np.sqrt(max(variance, 0.0)) / self.scale[k])

    def position(self, kind: str, term: int, a: int) -> int:
        """Where a parameter is: the standard deviation of an effect, the first correlation of a term, a coefficient."""
        layout = self.objective.layout
        if kind == "fixed":
            return layout.k + a
        if kind == "family":
            return layout.k + layout.p + a
        share = layout.parameters.slices[self.objective.problem.order.index(term)]
        if kind == "sd":
            return share.start + self.orders[term].index(a)
        return share.start + len(self.orders[term])

    def held(self, warm: Optimum, k: int, value: float, along: float) -> Optimum | None:
        """Minimize over all but parameter k, held at a value; None where there is no likelihood.

        The others start where they are after a step ``along`` of the parameter, to first order.
        """
        at, H = warm.evaluation, warm.hessian
        free = np.array([i for i in range(len(at.x)) if i != k], dtype=int)
        step = np.zeros(len(at.x))
        step[k] = value - at.x[k]
        step[free] = -np.linalg.lstsq(H[np.ix_(free, free)], H[free, k] * along, rcond=None)[0]
        length = float(np.linalg.norm(step * self.scale))
        tol = 1e-10 if self.objective.nodes is None else 1e-8
        for share in (1.0, 0.0):  # along the tangent, or the held parameter alone
            step[free] *= share
            us = self.objective.predicted_modes(at, step, length)
            first = self.objective.value(at.x + step, us, [None] * len(us), tol)
            if np.isfinite(first.deviance):
                return minimize_jointly(
                    self.objective,
                    first,
                    self.scale,
                    tol=_TOLERANCE,
                    max_iterations=_HELD_ITERATIONS,
                    held=(k,),
                    effort=_HELD_EFFORT,
                )
        return None


@dataclass(slots=True, eq=False)
class _Tally:
    """Steps that the held fits of a parameter took."""

    spent: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class GlmmSlice:
    """One parameter held.

    Attributes
    ----------
    ready : Profiler
        The fit, with the parameter in a place of its own.
    kind : {"sd", "cor", "fixed", "family"}
        What it is.
    term, a, b : int
        Term and effects of a standard deviation or correlation; position a of a coefficient.
    tally : _Tally
        What its fits took so far; beyond a limit none is tried.
    """

    ready: Profiler
    kind: Literal["sd", "cor", "fixed", "family"]
    term: int
    a: int
    b: int
    tally: _Tally = field(default_factory=_Tally)

    @property
    def bounds(self) -> tuple[float, float]:
        """Ends of its range."""
        return {"sd": (0.0, np.inf), "cor": (-1.0, 1.0)}.get(self.kind, (-np.inf, np.inf))

    @property
    def closed(self) -> bool:
        """Yes: standard deviations may be zero and correlations one."""
        return True

    @property
    def first(self) -> float:
        """Its standard error."""
        k = self.ready.position(self.kind, self.term, self.a)
        error = self.ready.se(k)
        if self.kind == "cor":
            error *= (1.0 + self.ready.optimum.evaluation.x[k] ** 2) ** -1.5  # r = t / sqrt(1 + t^2)
        return error

    def of(self, point: Point) -> float:
        """Its value at a point."""
        if self.kind == "sd":
            return point.sd(self.term, self.a)
        if self.kind == "cor":
            return point.correlation(self.term, self.a, self.b)
        assert point.alpha is not None
        return float((point.beta if self.kind == "fixed" else point.alpha)[self.a])

    def solve(self, x: float, warm: Point) -> Point:
        """Minimize with the parameter held at x, from a nearby solution."""
        assert isinstance(warm, GlmmPoint)
        ready, found = self.ready, None
        before, k = ready.effort, ready.position(self.kind, self.term, self.a)
        start = warm.optimum if warm.ready is ready and warm.optimum is not None else ready.optimum
        t = float(start.evaluation.x[k])
        value, along = x, x - t
        if self.kind == "cor":  # a parameter t with r = t / sqrt(1 + t^2), in which the others are far from linear
            value = float(np.sign(x) * min(abs(x) / np.sqrt(max(1.0 - x * x, 1e-300)), _FLAT))
            along = (x - t / np.sqrt(1.0 + t * t)) * (1.0 + t * t) ** 1.5
            along = float(np.clip(along, -abs(value - t), abs(value - t)))
        if self.tally.spent < _SLICE_EFFORT:
            with np.errstate(all="ignore"), suppress(np.linalg.LinAlgError):
                found = ready.held(start, k, value, along)
        self.tally.spent += ready.effort - before
        if found is None:
            return replace(warm, deviance=np.nan, converged=False)
        return ready.point(found)


def has_profiles(design: Design) -> bool:
    """Whether the covariance structures have standard deviations of their own."""
    templates = [term.template for term in design.terms]
    return all(isinstance(t, Unstructured) or (isinstance(t, Diagonal) and t.size == t.m) for t in templates)


def profiler(
    design: Design, record: GlmmRecord, control: Control, first: tuple[int, Sequence[int]] | None = None
) -> Profiler | None:
    """Make a fit ready for profiles; None where its deviance has no finite derivatives.

    Parameters
    ----------
    design, record, control
        The fit, with covariance structures that have profiles.
    first : (int, sequence of int), optional
        A term and the effects of it that come first among its parameters.
    """
    orders = [tuple(range(term.m)) for term in design.terms]
    if first is not None:
        i, effects = first
        orders[i] = (*effects, *(a for a in orders[i] if a not in effects))
    terms = [
        replace(
            term,
            columns=tuple(term.columns[a] for a in order),
            template=Polar(term.m) if isinstance(term.template, Unstructured) else term.template,
        )
        for term, order in zip(design.terms, orders, strict=True)
    ]
    moved = replace(design, terms=tuple(terms))
    problem = assemble(moved, record.family, record.auxiliary, expected=record.expected)
    nodes = gauss_hermite(record.nagq, problem.whole.m) if record.nagq > 1 else None
    objective = Objective(problem, nodes)
    theta = problem.layout.parameters.join([record.Lambda[i][list(orders[i])] for i in problem.order])
    x = np.concatenate([theta, record.beta, record.alpha])
    scale = _scale(problem)
    none: list[None] = [None] * len(objective.blocks)
    with np.errstate(all="ignore"):
        start = objective.value(x, none, none, 1e-10)
        if not np.isfinite(start.deviance):
            return None
        try:
            optimum = minimize_jointly(objective, start, scale, tol=_TOLERANCE, max_iterations=control.max_iterations)
        except np.linalg.LinAlgError:
            return None
    return Profiler(objective, optimum, scale, tuple(orders))


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
