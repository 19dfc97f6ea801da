"""The null distribution of a likelihood-ratio statistic: responses drawn from the smaller fit, both models refitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.refit.ratio import LikelihoodRatio
from mixedpy.core.refit.replicate import draw_responses, interior
from mixedpy.inference.bootstrap import Batch, batches
from mixedpy.inference.parallel import run_batches
from mixedpy.models.generalized.bootstrap import draw_responses as glmm_responses
from mixedpy.models.generalized.bootstrap import refit_record
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.lmm import LmmFit

__all__ = ["SimulatedNull", "simulate_null"]

_NUMBERS = 4_000_000
"""Numbers drawn at a time."""

_SINGLE = 25
"""Simulations per batch where each is a fit of its own."""

_TIES = 1e-6
"""Statistics are equal up to this, the error of two optima."""


@dataclass(frozen=True, slots=True)
class SimulatedNull:
    """Statistics under the smaller model.

    Attributes
    ----------
    statistics : (nsim,) array
        Twice the differences of the log-likelihoods; NaN where a fit failed.
    """

    statistics: Floats

    @property
    def failed(self) -> int:
        """Number of simulations without a statistic."""
        return int(np.isnan(self.statistics).sum())

    def pvalue(self, statistic: float) -> float:
        """Share of the statistics that are as large, the observed one among them (Davison & Hinkley 1997, 4.11)."""
        found = self.statistics[~np.isnan(self.statistics)]
        above = int((found >= statistic - _TIES).sum())
        return (1 + above) / (1 + len(found)) if len(found) else float("nan")


def simulate_null(
    smaller: LmmFit | GlmmFit,
    larger: LmmFit | GlmmFit,
    nsim: int,
    *,
    seed: int | np.random.Generator | None,
    progress: bool | None,
    n_jobs: int,
) -> SimulatedNull:
    """Simulate the statistic of two fits by the same criterion.

    Parameters
    ----------
    smaller, larger : LmmFit or GlmmFit
        Both linear, by REML or both by maximum likelihood, or both generalized.
    nsim : int
        Number of simulations.
    seed : int or numpy Generator, optional
        Source of the random numbers; what is drawn does not depend on ``n_jobs``.
    progress, n_jobs
        As in ``bootstrap``.
    """
    job = _Job(_without_table(smaller), _without_table(larger))
    size = int(np.clip(_NUMBERS // smaller.nobs, 10, 500)) if isinstance(smaller, LmmFit) else _SINGLE
    plan = batches(nsim, size, seed)
    found = run_batches(job.worker, plan, n_jobs=n_jobs, progress=progress, unit="data set")
    return SimulatedNull(np.concatenate(found))


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker needs, all of it plain data."""

    smaller: LmmFit | GlmmFit
    larger: LmmFit | GlmmFit

    def worker(self) -> Callable[[Batch], Floats]:
        """Do what serves all batches."""
        if isinstance(self.smaller, LmmFit) and isinstance(self.larger, LmmFit):
            return _linear(self.smaller, self.larger)
        assert isinstance(self.smaller, GlmmFit)
        assert isinstance(self.larger, GlmmFit)
        return partial(_generalized, self.smaller, self.larger)


def _without_table(fit: Any) -> Any:
    """The fit less the caller's table, which need not travel to workers."""
    return replace(fit, request=replace(fit.request, data=None))


def _linear(smaller: LmmFit, larger: LmmFit) -> Callable[[Batch], Floats]:
    record, design = smaller.record, smaller.design
    start = record.theta if interior(record.Lambda) else None
    ratio = LikelihoodRatio(
        design, larger.design, reml=record.reml, control=larger.request.control, smaller_start=start
    )

    def run(batch: Batch) -> Floats:
        rng = np.random.default_rng(batch.seed)
        return ratio.statistics(draw_responses(design, record.beta, record.Lambda, record.sigma, batch.count, rng))

    return run


def _generalized(smaller: GlmmFit, larger: GlmmFit, batch: Batch) -> Floats:
    Y = glmm_responses(smaller, batch.count, np.random.default_rng(batch.seed))
    gained = np.array([_deviance(smaller, y) - _deviance(larger, y) for y in Y.T])
    return np.maximum(gained, 0.0)


def _deviance(fit: GlmmFit, y: Floats) -> float:
    """Deviance of the model of a fit for another response; NaN where the fit fails."""
    try:
        again = refit_record(fit, y)
    except np.linalg.LinAlgError:
        return float("nan")
    return again.criterion if again.convergence.converged else float("nan")
