"""Power of a Wald test of fixed effects of a generalized fit, by simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mixedpy.core.arrays import Floats
from mixedpy.core.parameters import Parameters
from mixedpy.errors import MixedpyError
from mixedpy.inference.bootstrap import Batch, check_nsim
from mixedpy.inference.ddf import asymptotic, f_test
from mixedpy.inference.names import start_values
from mixedpy.inference.parallel import check_n_jobs
from mixedpy.models.bootstrap import SINGLE
from mixedpy.models.generalized.bootstrap import draw_responses, refit_record
from mixedpy.models.power import Power, changed_fixef, check_alpha, simulated_power, tested_columns

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["glmm_power"]


def glmm_power(
    fit: GlmmFit,
    test: str,
    nsim: int,
    *,
    alpha: float,
    seed: int | np.random.Generator | None,
    fixef: Mapping[str, float] | None,
    theta: npt.ArrayLike | None,
    progress: bool | None,
    n_jobs: int,
) -> Power:
    """Simulate the power of a test; see :meth:`GlmmFit.power`."""
    nsim = check_nsim(nsim)
    check_n_jobs(n_jobs)
    check_alpha(alpha)
    schema, record = fit.schema, fit.record
    columns = tested_columns(schema, test)
    if not columns:
        known = dict.fromkeys([*schema.fixed_names, *schema.term_labels])
        raise MixedpyError(
            f"test={test!r} is neither a fixed effect nor a fixed term ({', '.join(known)}); the power of tests of "
            "random terms is not available for generalized fits"
        )
    Lambda = record.Lambda
    if theta is not None:
        values = start_values(fit.design, schema, theta, "theta")
        Lambda = tuple(Parameters([term.template for term in fit.design.terms]).Lambdas(values))
    changed = replace(record, beta=changed_fixef(schema, record.beta, fixef), Lambda=Lambda)
    plain = replace(fit, record=changed, request=replace(fit.request, data=None))
    label = f"{test}, Wald {'z' if len(columns) == 1 else 'chi-square'} test"
    return simulated_power(label, alpha, _Job(plain, np.eye(record.p)[columns]), nsim, seed, progress, n_jobs)


@dataclass(frozen=True, slots=True)
class _Job:
    """What workers need, all of it plain data."""

    fit: GlmmFit
    L: Floats

    @property
    def batch(self) -> int:
        """Simulations per batch."""
        return SINGLE

    def worker(self) -> Callable[[Batch], Floats]:
        """Nothing is prepared."""
        return self._run

    def _run(self, batch: Batch) -> Floats:
        """p values of one batch."""
        Y = draw_responses(self.fit, batch.count, np.random.default_rng(batch.seed))
        return np.array([self._pvalue(y) for y in Y.T])

    def _pvalue(self, y: Floats) -> float:
        try:
            record = refit_record(self.fit, y)
        except np.linalg.LinAlgError:
            return float("nan")
        if not record.convergence.converged:
            return float("nan")
        return f_test(asymptotic(record.beta, record.vcov[: record.p, : record.p]), self.L).pvalue
