"""The parametric bootstrap of a generalized fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.estimate import estimate_glmm
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.inference import selection
from mixedpy.inference.bootstrap import Batch, Block, check_nsim, failed_block, parameter_scales
from mixedpy.inference.glmm.response import auxiliary_predictors
from mixedpy.inference.glmm.simulate import simulate_glmm
from mixedpy.inference.names import Parameter, choose_parameters, parameter_list, parameter_values
from mixedpy.inference.parallel import check_n_jobs
from mixedpy.inference.predictors import of_fit
from mixedpy.models.bootstrap import SINGLE, Bootstrap, check_statistic, collect, evaluated, joined, statistic_block

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["bootstrap", "draw_responses", "parameters_of", "refit_record"]

Statistic = Callable[["GlmmFit"], Any]


def parameters_of(fit: GlmmFit, parm: Any = None) -> tuple[Parameter, ...]:
    """Choose parameters of a fit, by default all."""
    return tuple(choose_parameters(parameter_list(fit.design, fit.schema, list(fit.auxiliary.index)), parm))


def bootstrap(
    fit: GlmmFit,
    nsim: int,
    statistic: Statistic | None,
    seed: int | np.random.Generator | None,
    progress: bool | None,
    n_jobs: int,
    parm: Any = None,
) -> Bootstrap:
    """Draw and refit replicates; see :meth:`GlmmFit.bootstrap`."""
    nsim = check_nsim(nsim)
    check_n_jobs(n_jobs)
    parameters = parameters_of(fit, parm)
    if statistic is None:
        names = tuple(one.name for one in parameters)
        values, errors = _values(parameters, fit.record), _errors(parameters, fit.record)
        plain = replace(fit, request=replace(fit.request, data=None))
    else:
        check_statistic(statistic)
        names, values, errors = evaluated(statistic(fit))
        plain = fit
    job = _Job(plain, parameters, statistic, names)
    scales = parameter_scales(parameters) if statistic is None else {}
    return collect(job, values, errors, scales, nsim, seed, progress, n_jobs, "parametric")


def draw_responses(fit: GlmmFit, nsim: int, rng: np.random.Generator) -> Floats:
    """Draw responses of the rows used, (n, nsim), all random effects anew."""
    parts, xi = of_fit(fit.design, fit.schema, fit.record), auxiliary_predictors(fit.record)
    none = selection.select(fit.schema, "NA")
    return simulate_glmm(parts, fit.schema, fit.record, xi, none, nsim=nsim, seed=rng)


def refit_record(fit: GlmmFit, y: Floats) -> GlmmRecord:
    """Estimate the model of a fit for another response (n,).

    Raises
    ------
    numpy.linalg.LinAlgError
        If the deviance has no finite value.
    """
    record = fit.record
    return estimate_glmm(
        replace(fit.design, y=np.ascontiguousarray(y)),
        record.family,
        auxiliary=record.auxiliary,
        nagq=record.nagq,
        expected=record.expected,
        control=fit.request.control,
    )


@dataclass(frozen=True, slots=True)
class _Job:
    """What workers need, all of it plain data."""

    fit: GlmmFit
    parameters: tuple[Parameter, ...]
    statistic: Statistic | None
    names: tuple[str, ...]

    @property
    def batch(self) -> int:
        """Replicates per batch."""
        return SINGLE

    def worker(self) -> _Job:
        """Nothing is prepared."""
        return self

    def run(self, batch: Batch) -> Block:
        """Draw and refit one batch."""
        Y = draw_responses(self.fit, batch.count, np.random.default_rng(batch.seed))
        return joined([self._refitted(y) for y in Y.T])

    def _refitted(self, y: Floats) -> Block:
        """One fit, and its statistics."""
        try:
            record = refit_record(self.fit, y)
        except np.linalg.LinAlgError:
            return failed_block(len(self.names), "the criterion has no finite value")
        if not record.convergence.converged:
            return failed_block(len(self.names), "the fit did not converge")
        if self.statistic is None:
            return Block(_values(self.parameters, record)[None], _errors(self.parameters, record)[None], (None,))
        fit = self.fit
        again = replace(
            fit, record=record, design=replace(fit.design, y=y), request=replace(fit.request, refitted=True)
        )
        return statistic_block(self.statistic, again, self.names)


def _values(parameters: tuple[Parameter, ...], record: GlmmRecord) -> Floats:
    return parameter_values(parameters, record.Lambda, 1.0, record.beta, record.alpha)


def _errors(parameters: tuple[Parameter, ...], record: GlmmRecord) -> Floats:
    """Standard errors of the coefficients, NaN for parameters of the random effects."""
    errors = np.sqrt(np.diag(record.vcov))
    first = {"fixed": 0, "family": record.p}
    return np.array([errors[first[one.kind] + one.a] if one.kind in first else np.nan for one in parameters])
