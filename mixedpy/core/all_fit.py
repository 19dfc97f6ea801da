"""The criterion of a linear mixed model for searches of any kind, and the package's own search from the same starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.estimate import Engine, estimate_prepared, prepare
from mixedpy.core.moments import moment_start
from mixedpy.core.parameters import Parameters
from mixedpy.core.searches import TRUST_REGION, Estimate, Found, run, search

__all__ = ["all_linear", "named_starts"]


class _Linear:
    """The profiled deviance over theta of the conditioned problem."""

    def __init__(self, engine: Engine, *, reml: bool):
        self.engine, self.reml = engine, reml
        self.objective = engine.objective(reml=reml)

    def value(self, x: Floats) -> float:
        try:
            return self.objective.value(x)
        except np.linalg.LinAlgError:
            return np.inf

    def value_and_gradient(self, x: Floats) -> tuple[float, Floats]:
        value = self.value(x)
        return value, self.objective.derivatives()[0] if np.isfinite(value) else np.zeros_like(x)

    def theta(self, x: Floats) -> Floats:
        """The user's theta."""
        templates = [term.template for term in self.engine.conditioned.design.terms]
        return Parameters(templates).join(self.engine.outward(x))

    def estimate(self, x: Floats) -> Estimate:
        conditioned = self.engine.conditioned
        value = self.objective.value(x) + (2.0 * conditioned.log_scale if self.reml else 0.0)
        profiled = self.objective.profiled
        assert profiled is not None
        sigma = np.array([np.sqrt(profiled.sigma2)])
        return Estimate(self.theta(x), conditioned.beta(profiled.beta), sigma, value)


def all_linear(
    design: Design,
    *,
    reml: bool,
    optimizers: Sequence[str],
    starts: int,
    seed: int | np.random.Generator | None,
    most: int,
    control: Control,
) -> Iterator[Found]:
    """Fit a linear mixed model by each optimizer from each start.

    Parameters
    ----------
    design : Design
        The model's arrays.
    reml : bool
        REML criterion rather than ML deviance.
    optimizers : sequence of str
        ``TRUST_REGION`` and any of :func:`mixedpy.core.searches.available`.
    starts : int
        Number of starts, see :func:`named_starts`.
    seed : int or Generator, optional
        Of the random starts.
    most : int
        Limit on evaluations of a search; the own one has ``control.max_iterations``.
    control : Control
        Of the own search.
    """
    engine = prepare(design, control)
    criterion = _Linear(engine, reml=reml)
    templates = engine.parameters.templates
    sds = moment_start(engine.cross_products)
    moments = np.concatenate([t.from_variances(sd) for t, sd in zip(templates, sds, strict=True)])
    eyes = [np.eye(term.m) for term in design.terms]
    order = engine.cross_products.order
    identity = engine.parameters.join([engine.conditioned.conditioned_Lambda(i, eyes[i]) for i in order])
    for name, x in named_starts(moments, identity, starts, np.random.default_rng(seed)):
        for optimizer in optimizers:
            if optimizer == TRUST_REGION:
                yield run(partial(_own, criterion, x, control), optimizer, name)
            else:
                yield search(criterion, optimizer, x, name=name, most=most)


def named_starts(
    moments: Floats, identity: Floats, count: int, rng: np.random.Generator
) -> Iterator[tuple[str, Floats]]:
    """The starts: from moments of the response; Lambda = I, as in lme4; random multiples of the first."""
    for k in range(count):
        if k == 0:
            yield "moments", moments
        elif k == 1:
            yield "identity", identity
        else:
            factors, shifts = rng.normal(size=(2, len(moments)))
            yield f"random {k - 1}", moments * np.exp(factors) + 0.1 * shifts


def _own(criterion: _Linear, x: Floats, control: Control) -> tuple[Estimate, int, bool, str]:
    record = estimate_prepared(criterion.engine, reml=criterion.reml, start=criterion.theta(x), control=control)
    how = record.convergence
    estimate = Estimate(record.theta, record.beta, np.array([record.sigma]), record.criterion)
    return estimate, how.evaluations, how.converged, how.status.value
