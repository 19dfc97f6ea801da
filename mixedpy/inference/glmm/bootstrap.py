"""Parametric bootstrap of a generalized fit: simulate from it, fit again, collect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.glmm.estimate import estimate_glmm
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.inference.glmm.intervals import interval_names

__all__ = ["GlmmBootstrap", "refits"]


@dataclass(frozen=True, slots=True)
class GlmmBootstrap:
    """Statistics of fits to simulated responses.

    Attributes
    ----------
    estimate : Series
        Of the fit itself.
    replicates : DataFrame
        One row per simulation.
    failures : int
        Simulations whose fit did not converge; their rows are left out.
    """

    estimate: pd.Series[float]
    replicates: pd.DataFrame
    failures: int

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Return percentile intervals."""
        columns = interval_names(level)
        limits = self.replicates.quantile([(1.0 - level) / 2.0, (1.0 + level) / 2.0]).T
        limits.columns = pd.Index(columns)
        return limits


def refits(
    design: Design,
    record: GlmmRecord,
    control: Control,
    responses: Floats,
    statistic: Callable[[GlmmRecord], Sequence[float] | Floats],
    names: Sequence[str],
) -> GlmmBootstrap:
    """Fit every column of ``responses`` (n, nsim) and collect a statistic of the records."""
    rows, failures = [], 0
    for y in responses.T:
        try:
            again = estimate_glmm(
                replace(design, y=np.ascontiguousarray(y)),
                record.family,
                auxiliary=record.auxiliary,
                nagq=record.nagq,
                expected=record.expected,
                control=control,
            )
        except np.linalg.LinAlgError:
            failures += 1
            continue
        if again.convergence.converged:
            rows.append(np.asarray(statistic(again), np.float64))
        else:
            failures += 1
    labels = list(names)
    values = np.array(rows).reshape(len(rows), len(labels))
    estimate = pd.Series(np.asarray(statistic(record), np.float64), index=labels)
    return GlmmBootstrap(estimate, pd.DataFrame(values, columns=labels), failures)
