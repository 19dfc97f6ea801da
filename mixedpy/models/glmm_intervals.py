"""Intervals and comparisons of generalized fits, behind the methods of ``GlmmFit``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from mixedpy.core.covariance import Template
from mixedpy.errors import DataError, MixedpyError
from mixedpy.inference.glmm.bootstrap import GlmmBootstrap, refits
from mixedpy.inference.glmm.intervals import (
    GlmmProfile,
    Place,
    interval_names,
    parameter_places,
    parameter_values,
    profile_glmm,
)
from mixedpy.inference.glmm.wald import wald_intervals

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["Method", "bootstrap_fit", "compare_fits", "intervals", "profile_fit"]

Method = Literal["profile", "wald", "boot"]

_ROUNDING = 1e-6
"""A larger model whose deviance is not lower by more than this has the statistic zero."""


def _places(fit: GlmmFit) -> list[Place]:
    return parameter_places(fit.design, fit.schema.fixed_names, list(fit.auxiliary.index))


def _chosen(fit: GlmmFit, parm: str | Sequence[str] | None) -> list[str]:
    known = [place.name for place in _places(fit)]
    if parm is None:
        return known
    wanted = [parm] if isinstance(parm, str) else list(parm)
    groups = {"theta_": [n for n in known if n.startswith(".sig")], "beta_": list(fit.schema.fixed_names)}
    names = [name for item in wanted for name in groups.get(item, [item])]
    for name in names:
        if name not in known:
            raise ValueError(f"parm names {name!r}; the parameters are {', '.join(map(repr, known))}")
    return [name for name in known if name in names]


def profile_fit(fit: GlmmFit, parm: str | Sequence[str] | None, level: float) -> GlmmProfile:
    """Profile the likelihood."""
    return profile_glmm(fit.design, fit.record, fit.request.control, _places(fit), _chosen(fit, parm), level)


def bootstrap_fit(
    fit: GlmmFit, nsim: int, statistic: Callable[[GlmmFit], pd.Series[float]] | None, seed: int | None
) -> GlmmBootstrap:
    """Simulate, refit, collect."""
    responses = fit.simulate(nsim, seed=seed).dropna().to_numpy()
    places = _places(fit)
    if statistic is None:
        names = [place.name for place in places]
        return refits(
            fit.design, fit.record, fit.request.control, responses, lambda r: parameter_values(places, r), names
        )
    given = statistic
    names = list(given(fit).index)
    return refits(
        fit.design,
        fit.record,
        fit.request.control,
        responses,
        lambda r: np.asarray(given(replace(fit, record=r)), np.float64),
        names,
    )


def intervals(
    fit: GlmmFit, method: Method, level: float, parm: str | Sequence[str] | None, nsim: int, seed: int | None
) -> pd.DataFrame:
    """Compute confidence intervals by one of the methods."""
    if method == "profile":
        return profile_fit(fit, parm, level).confint()
    if method == "boot":
        return bootstrap_fit(fit, nsim, None, seed).confint(level).loc[_chosen(fit, parm)]
    if method == "wald":
        table = pd.DataFrame(np.nan, index=[place.name for place in _places(fit)], columns=interval_names(level))
        fixed = wald_intervals(fit.schema, fit.record, level)
        table.loc[fixed.index] = fixed
        return table.loc[_chosen(fit, parm)]
    raise ValueError(f"method={method!r} is unknown; use 'profile', 'wald' or 'boot'")


def compare_fits(fits: Sequence[GlmmFit], names: Sequence[str] | None) -> pd.DataFrame:
    """Make a likelihood-ratio table of nested fits, in order of their numbers of parameters."""
    labels = [f"m{k}" for k in range(len(fits))] if names is None else list(names)
    if len(labels) != len(fits):
        raise ValueError(f"names has {len(labels)} entries for {len(fits)} fits; give one for each")
    _check_same_data(fits, labels)
    order = sorted(range(len(fits)), key=lambda k: fits[k].record.npar)
    found, labels = [fits[k] for k in order], [labels[k] for k in order]
    chisq, df = [np.nan], [np.nan]
    pvalue, boundary = [np.nan], [np.nan]
    for small, large in pairwise(found):
        statistic = small.deviance - large.deviance
        chisq.append(statistic if statistic > _ROUNDING else 0.0)
        df.append(large.record.npar - small.record.npar)
        pvalue.append(float(chdtrc(df[-1], chisq[-1])) if df[-1] > 0 else np.nan)
        boundary.append(_mixture(small, large, chisq[-1], int(df[-1])))
    columns = {
        "npar": [fit.record.npar for fit in found],
        "AIC": [fit.aic for fit in found],
        "BIC": [fit.bic for fit in found],
        "logLik": [fit.loglik for fit in found],
        "deviance": [fit.deviance for fit in found],
        "Chisq": chisq,
        "Df": df,
        "Pr(>Chisq)": pvalue,
        "Pr(boundary)": boundary,
    }
    return pd.DataFrame(columns, index=labels)


def _check_same_data(fits: Sequence[GlmmFit], labels: Sequence[str]) -> None:
    first = fits[0]
    for fit, label in zip(fits[1:], labels[1:], strict=True):
        if fit.nobs != first.nobs or not np.array_equal(fit.design.y, first.design.y):
            raise DataError(
                f"{labels[0]} and {label} were fitted to different rows or responses; likelihoods of different data "
                "cannot be compared"
            )
        if min(fit.record.nagq, first.record.nagq) != max(fit.record.nagq, first.record.nagq):
            raise MixedpyError(
                f"{labels[0]} was fitted with nagq={first.record.nagq}, {label} with nagq={fit.record.nagq}; fit both "
                "with the same"
            )


def _mixture(small: GlmmFit, large: GlmmFit, statistic: float, df: int) -> float:
    """p value where the smaller model lacks one variance: 0.5 chi2(df - 1) + 0.5 chi2(df) (Stram & Lee 1994)."""
    lacking = _variances(large) - _variances(small)
    if lacking != 1 or df < 1:
        return float("nan")
    lower = float(chdtrc(df - 1, statistic)) if df > 1 else float(statistic <= 0.0)
    return 0.5 * lower + 0.5 * float(chdtrc(df, statistic))


def _variances(fit: GlmmFit) -> int:
    templates: list[Template] = [term.template for term in fit.design.terms]
    return sum(template.m for template in templates)
