"""Time the stages of a fit by mixedpy, in a process of its own: ``stages.py PROBLEM REPEATS BUDGET`` prints JSON."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

from measure import clock
from problems import problem

import mixedpy as mp
from mixedpy.core.conditioning import condition
from mixedpy.core.crossproducts import cross_products
from mixedpy.core.estimate import estimate, prepare
from mixedpy.core.factor.choose import choose_factor
from mixedpy.core.moments import moment_start
from mixedpy.design import build

__all__ = ["Stages", "stages"]


@dataclass(frozen=True, slots=True)
class Stages:
    """Median seconds of each stage, and the counts that explain them.

    Attributes
    ----------
    whole : float
        ``mixedpy.lmer``, table to fit.
    design : float
        Formula and table to arrays.
    estimate : float
        Arrays to fit record; the next six are its parts.
    condition, cross_products, symbolic, start : float
        Conditioned columns, pass over the rows, choice and set-up of the factorization, starting values.
    value, gradient : float
        One deviance; one gradient with average information from the factor at hand.
    evaluations, gradients : int
        How many of each the optimizer took.
    factorization : str
        Which one served.
    loglik : float
        Restricted log-likelihood.
    """

    whole: float
    design: float
    estimate: float
    condition: float
    cross_products: float
    symbolic: float
    start: float
    value: float
    gradient: float
    evaluations: int
    gradients: int
    factorization: str
    loglik: float


def stages(name: str, repeats: int, budget: float) -> Stages:
    """Time each stage by itself."""

    def timed(call: Callable[[], object]) -> float:
        call()
        return median(clock(call, repeats, budget))

    one = problem(name)
    table = one.table()
    fit = mp.lmer(one.formula, table)
    built = build(one.formula, table).design
    conditioned = condition(built).design
    products = cross_products(conditioned)
    engine = prepare(built)
    objective, theta = engine.objective(reml=True), engine.inward(fit.record.theta)

    def gradient() -> float:
        """Seconds of the derivatives alone: they spend the factor, so that each needs a value before it."""
        seconds: list[float] = []
        for _ in range(repeats):
            objective.value(theta)
            seconds += clock(objective.derivatives, 1, budget)
        return median(seconds)

    return Stages(
        whole=timed(lambda: mp.lmer(one.formula, table)),
        design=timed(lambda: build(one.formula, table)),
        estimate=timed(lambda: estimate(built, reml=True)),
        condition=timed(lambda: condition(built)),
        cross_products=timed(lambda: cross_products(conditioned)),
        symbolic=timed(lambda: choose_factor(conditioned, products, "auto")),
        start=timed(lambda: moment_start(products)),
        value=timed(lambda: objective.value(theta)),
        gradient=gradient(),
        evaluations=fit.convergence.evaluations,
        gradients=fit.convergence.gradients,
        factorization=fit.convergence.factorization,
        loglik=fit.loglik,
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _, on, times, limit = sys.argv
    print(json.dumps(asdict(stages(on, int(times), float(limit)))))
