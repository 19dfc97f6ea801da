"""New responses drawn from a fitted model."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.errors import DataError
from mixedpy.inference.predictors import Predictors, TermRows
from mixedpy.inference.seeds import random_source
from mixedpy.inference.selection import Selection

__all__ = ["linear_predictors", "simulate"]


def simulate(
    predictors: Predictors,
    schema: Schema,
    record: FitRecord,
    given: Selection,
    *,
    nsim: int,
    seed: int | np.random.Generator | None,
) -> Floats:
    """Draw responses, (n, nsim).

    A term that ``given`` selects enters with its conditional modes; the effects of every other term are drawn anew for
    each simulation, b = sigma Lambda u with u standard normal; residuals have variance sigma^2 / weight.

    Raises
    ------
    ValueError
        If ``nsim`` is less than one, or ``given`` selects some but not all effects of a term.
    DataError
        If a level is missing, or a level of a term given by its modes is unknown to the fit.
    """
    _check_nsim(nsim)
    rng = random_source(seed)
    residual_sd = record.sigma if predictors.weights is None else record.sigma / np.sqrt(predictors.weights)[:, None]
    noise = residual_sd * rng.standard_normal((predictors.n, nsim))
    return noise + linear_predictors(
        predictors, schema, given, record.Lambda, record.modes, scale=record.sigma, nsim=nsim, rng=rng
    )


def _check_nsim(nsim: int) -> None:
    if not isinstance(nsim, int | np.integer) or nsim < 1:
        raise ValueError(f"nsim={nsim!r} must be a whole number, at least 1")


def linear_predictors(
    predictors: Predictors,
    schema: Schema,
    given: Selection,
    Lambdas: tuple[Floats, ...],
    modes: tuple[Floats, ...],
    *,
    scale: float,
    nsim: int,
    rng: np.random.Generator,
) -> Floats:
    """Draw linear predictors, (n, nsim): random effects are scale Lambda u, or the modes where ``given`` selects."""
    _check_nsim(nsim)
    y = np.repeat(predictors.fixed[:, None], nsim, axis=1)
    rows = zip(predictors.terms, schema.terms, given, Lambdas, modes, strict=True)
    for term, names, chosen, Lambda, effects in rows:
        if chosen.all():
            term.check_known(names, 'use re_form="NA" to draw its random effects')
            y += term.times(effects)[:, None]
            continue
        if chosen.any():
            raise ValueError(
                f"re_form holds some effects of the term {names.name} but not all ({', '.join(names.effects)}); "
                "the effects of one term are drawn together, so name all of them or none"
            )
        codes, n_levels = _codes_with_new_levels(term, names.group, len(names.levels))
        u = rng.standard_normal((n_levels, term.m, nsim))
        b = scale * (Lambda @ u)  # (J, m, nsim)
        for k, column in enumerate(term.columns):
            y += column[:, None] * b[codes, k]
    return y


def _codes_with_new_levels(term: TermRows, group: str, n_levels: int) -> tuple[NDArray[np.intp], int]:
    """Give levels unknown to the fit codes of their own: their effects are drawn like any others."""
    new = term.codes < 0
    if not new.any():
        return term.codes, n_levels
    assert term.labels is not None
    extra, found = pd.factorize(term.labels[new])
    if (extra < 0).any():
        raise DataError(
            f"the grouping column {group!r} is missing in {int((extra < 0).sum())} rows of newdata; "
            "simulate() needs the level of every row: fill them in or leave these rows out"
        )
    codes = term.codes.copy()
    codes[new] = n_levels + extra
    return codes, n_levels + len(found)
