"""The criterion of a generalized linear mixed model for searches of any kind, and the package's own search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from mixedpy.core.all_fit import named_starts
from mixedpy.core.arrays import Design, Floats
from mixedpy.core.conditioning import Conditioned
from mixedpy.core.control import Control
from mixedpy.core.glmm.estimate import estimate_glmm, prepare_glmm
from mixedpy.core.glmm.joint import joint_mode, profiled_derivatives
from mixedpy.core.glmm.objective import Evaluation, Objective
from mixedpy.core.glmm.problem import Problem
from mixedpy.core.glmm.quadrature import gauss_hermite
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.glmm.start import first_values
from mixedpy.core.parameters import Parameters
from mixedpy.core.searches import TRUST_REGION, Estimate, Found, run, search

__all__ = ["all_generalized"]

_MODE_TOL = 1e-10
"""Tolerance of the conditional modes, sought anew at every point so that the criterion is one function."""


class _Generalized:
    """The deviance over theta, fixed effects and auxiliary coefficients in units of the linear predictor.

    With nagq=0 the fixed effects are part of the mode, and it is a function of theta alone.
    """

    def __init__(self, design: Design, conditioned: Conditioned, problem: Problem, nagq: int):
        self.design, self.conditioned, self.problem = design, conditioned, problem
        self.objective = Objective(problem, gauss_hermite(nagq, problem.whole.m) if nagq > 1 else None)
        self.layout, self.joint = problem.layout, nagq == 0
        self.first = first_values(problem).x
        sizes = [float(np.sqrt(column @ column / problem.n)) or 1.0 for column in problem.whole.X]
        self.scale = np.concatenate([np.ones(self.layout.k), sizes, np.ones(self.layout.s)])
        self.free = self.layout.k if self.joint else self.layout.size

    def inward(self, x: Floats) -> Floats:
        """The parameters of the objective -> those of a search."""
        return (x * self.scale)[: self.free]

    def evaluate(self, z: Floats) -> Evaluation:
        """The objective at the parameters of a search."""
        x = self.first.copy()
        x[: self.free] = z / self.scale[: self.free]
        none: list[None] = [None] * len(self.objective.blocks)
        if not self.joint:
            return self.objective.value(x, none, none, _MODE_TOL)
        try:
            mode = joint_mode(self.objective, x, [np.zeros(block.rows.q) for block in self.objective.blocks])
        except np.linalg.LinAlgError:
            return Evaluation(x, np.inf)
        return self.objective.value(mode.x, mode.us, none, 1e-12)

    def value(self, x: Floats) -> float:
        return self.evaluate(x).deviance

    def value_and_gradient(self, x: Floats) -> tuple[float, Floats]:
        at = self.evaluate(x)
        if not np.isfinite(at.deviance):
            return np.inf, np.zeros_like(x)
        gradient = profiled_derivatives(self.objective, at)[0] if self.joint else self.objective.gradient(at)
        return at.deviance, gradient / self.scale[: self.free]

    def theta(self, x: Floats) -> Floats:
        """The user's theta."""
        Lambdas: list[Floats] = [np.empty(0)] * len(self.problem.order)
        parts = self.layout.parameters.Lambdas(x[: self.layout.k])
        for i, L in zip(self.problem.order, parts, strict=True):
            Lambdas[i] = self.conditioned.Lambda(i, L)
        return Parameters([term.template for term in self.design.terms]).join(Lambdas)

    def estimate(self, x: Floats) -> Estimate:
        at = self.evaluate(x)
        k, p = self.layout.k, self.layout.p
        return Estimate(self.theta(at.x), self.conditioned.beta(at.x[k : k + p]), at.x[k + p :].copy(), at.deviance)


def all_generalized(
    design: Design,
    record: GlmmRecord,
    *,
    optimizers: Sequence[str],
    starts: int,
    seed: int | np.random.Generator | None,
    most: int,
    control: Control,
) -> Iterator[Found]:
    """Fit a generalized model by each optimizer from each start; arguments as for `mixedpy.core.all_fit.all_linear`.

    Parameters
    ----------
    record : GlmmRecord
        A fit, which has the family and the kind of approximation.
    """
    conditioned, problem = prepare_glmm(design, record.family, record.auxiliary, expected=record.expected)
    criterion = _Generalized(design, conditioned, problem, record.nagq)
    k, layout = problem.layout.k, problem.layout
    identities = [conditioned.conditioned_Lambda(i, np.eye(design.terms[i].m)) for i in problem.order]
    identity = layout.parameters.join(identities)
    for name, theta in named_starts(criterion.first[:k], identity, starts, np.random.default_rng(seed)):
        x = np.concatenate([theta, criterion.first[k:]])
        for optimizer in optimizers:
            if optimizer == TRUST_REGION:
                yield run(partial(_own, design, record, criterion.theta(x), control), optimizer, name)
            else:
                yield search(criterion, optimizer, criterion.inward(x), name=name, most=most)


def _own(design: Design, record: GlmmRecord, start: Floats, control: Control) -> tuple[Estimate, int, bool, str]:
    found = estimate_glmm(
        design,
        record.family,
        auxiliary=record.auxiliary,
        nagq=record.nagq,
        expected=record.expected,
        start=start,
        control=control,
    )
    how = found.convergence
    estimate = Estimate(found.theta, found.beta, found.alpha, found.criterion)
    return estimate, how.evaluations, how.converged, how.status.value
