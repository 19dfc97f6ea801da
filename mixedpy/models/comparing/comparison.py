"""Fits side by side: likelihood-ratio tables as lme4 prints them, and a ranking by information criteria."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from mixedpy.errors import IntervalWarning, MixedpyError, warn
from mixedpy.inference.bootstrap import check_nsim
from mixedpy.inference.criteria import Criteria, criteria
from mixedpy.inference.parallel import check_n_jobs
from mixedpy.models.comparing.callernames import names_of
from mixedpy.models.comparing.comparable import (
    Fits,
    by_ml,
    check_fits,
    check_likelihoods,
    check_names,
    check_same_data,
    one_fixed_part,
)
from mixedpy.models.comparing.ratios import SIMULATED, Comparison, order_by_size, ratio_table
from mixedpy.models.comparing.simulated_null import SimulatedNull, simulate_null
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.lmm import LmmFit

__all__ = ["Comparison", "anova", "compare"]

Simulate = Callable[[LmmFit | GlmmFit, LmmFit | GlmmFit], SimulatedNull]

_REFITTED = "refitting model(s) with ML (instead of REML)"


def anova(
    *fits: LmmFit | GlmmFit,
    refit: bool = True,
    boundary: bool = True,
    names: Sequence[str] | None = None,
    nsim: int | None = None,
    seed: int | np.random.Generator | None = None,
    progress: bool | None = None,
    n_jobs: int = 1,
) -> Comparison:
    """Compare nested models by likelihood-ratio tests.

    Parameters
    ----------
    *fits : LmmFit or GlmmFit
        Two or more fits to the same data, all linear or all generalized; they are put in order of their numbers of
        parameters.
    refit : bool
        Whether REML fits are refitted by maximum likelihood if their fixed parts differ (or if other fits are by
        maximum likelihood). REML fits with one and the same fixed part are compared by their REML criteria.
    boundary : bool
        Whether to add p values for variances on the boundary, and to say where models are not nested.
    names : sequence of str, optional
        Names of the rows; by default the names of the variables in the calling scope, as in R.
    nsim : int, optional
        Number of data sets to simulate from each smaller fit; both models are fitted to each. By default none is.
    seed : int or numpy Generator, optional
        Source of the random numbers; an int makes the result repeatable, whatever ``n_jobs``.
    progress, n_jobs
        A progress bar (by default after two seconds), and the number of workers, as in ``LmmFit.bootstrap``.

    Returns
    -------
    Comparison
        A DataFrame that prints as lme4's table, with boundary-corrected and simulated p values below it.

    Raises
    ------
    DataError
        If the fits are not to the same data: rows, response, weights, and predictors and grouping factors of the same
        name are compared by content.
    MixedpyError
        If ``refit`` is False and REML criteria are not commensurate, or generalized fits differ in ``nagq``, or in
        family or link, neither family being a limit of the other.

    Warns
    -----
    IntervalWarning
        If simulated data sets could not be fitted; they are left out and counted.

    Notes
    -----
    Under a smaller model that lacks a variance the statistic is not chi-square, since variances cannot be negative. One
    effect more in a term of r effects: 0.5 chi2(r) + 0.5 chi2(r + 1) (Stram & Lee 1994, Biometrics 50, 1171-1177).
    Several at once: a chi-bar-square distribution whose weights come from projections on the cone of covariance
    matrices in the metric of the expected information (Self & Liang 1987; Shapiro 1988). These hold for many levels and
    are conservative with few; so is chi-square itself for fixed effects, there too liberal. The simulated p value holds
    in samples of any size, for fixed effects and variances alike: the share of the simulated statistics that are as
    large, as R's ``pbkrtest::PBmodcomp`` has it (Halekoh & Hojsgaard 2014, J. Stat. Software 59(9)).

    Examples
    --------
    >>> import mixedpy as mp
    >>> sleepstudy = mp.datasets.load("sleepstudy")
    >>> m0 = mp.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy, reml=False)
    >>> m1 = mp.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy, reml=False)
    >>> print(mp.anova(m0, m1))  # doctest: +NORMALIZE_WHITESPACE
    Data: sleepstudy
    Models:
    m0: Reaction ~ Days + (1 | Subject)
    m1: Reaction ~ Days + (Days | Subject)
       npar    AIC    BIC  logLik deviance  Chisq Df Pr(>Chisq)
    m0    4 1802.1 1814.8 -897.04   1794.1
    m1    6 1763.9 1783.1 -875.97   1751.9 42.139  2  7.072e-10 ***
    ---
    Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
    Corrected for variances on the boundary:
    m1  3.961e-10  0.5 chi2(1) + 0.5 chi2(2), Stram & Lee
    >>> mp.anova(m0, m1, nsim=999, seed=1)["Pr(simulated)"]
    m0      NaN
    m1    0.001
    Name: Pr(simulated), dtype: float64
    """
    simulate = _checked(nsim, seed, progress, n_jobs)
    check_fits("anova", fits, 2)
    labels = names_of(fits, 2) if names is None else check_names("anova", names, len(fits))
    linear, generalized = _by_kind(fits)
    note = None
    found: Fits
    if linear:
        check_same_data(linear, labels)
        found, note = _commensurate(linear, labels, refit=refit)
    else:
        check_same_data(generalized, labels)
        check_likelihoods(generalized, labels, nested=True)
        found = generalized
    order = order_by_size(found)
    found, labels = [found[k] for k in order], [labels[k] for k in order]
    table = ratio_table(found, labels, note=note, boundary=boundary)
    return table if simulate is None else _simulated(table, found, simulate)


def _by_kind(fits: Sequence[LmmFit | GlmmFit]) -> tuple[list[LmmFit], list[GlmmFit]]:
    """Linear fits and generalized ones."""
    return [fit for fit in fits if isinstance(fit, LmmFit)], [fit for fit in fits if isinstance(fit, GlmmFit)]


def _checked(
    nsim: int | None, seed: int | np.random.Generator | None, progress: bool | None, n_jobs: int
) -> Simulate | None:
    """Bind the options of the simulation; None if none is wanted."""
    check_n_jobs(n_jobs)
    if nsim is None:
        return None
    return partial(simulate_null, nsim=check_nsim(nsim), seed=seed, progress=progress, n_jobs=n_jobs)


def _simulated(table: Comparison, fits: Fits, simulate: Simulate) -> Comparison:
    """Add the simulated p values of rows with more parameters than the row above."""
    pvalues, failed, nsim = np.full(len(fits), np.nan), {}, 0
    for k in range(1, len(fits)):
        if table["Df"].iloc[k] > 0:
            null = simulate(fits[k - 1], fits[k])
            pvalues[k], failed[str(table.index[k])] = null.pvalue(float(table["Chisq"].iloc[k])), null.failed
            nsim = len(null.statistics)
    table[SIMULATED] = pvalues
    table.attrs["nsim"], table.attrs["failed"] = nsim, failed
    if any(failed.values()):
        which = ", ".join(f"{count} for {name}" for name, count in failed.items() if count)
        warn(IntervalWarning(f"of {nsim} simulated data sets some could not be fitted and are left out: {which}"))
    return table


def _commensurate(
    fits: Sequence[LmmFit], labels: Sequence[str], *, refit: bool, remedy: str = "leave refit=True, or fit"
) -> tuple[list[LmmFit], str | None]:
    """Make the criteria comparable; the second value says what was done.

    ``remedy`` begins the advice where that must not be done.
    """
    reml = [fit.record.reml for fit in fits]
    if not any(reml) or (all(reml) and one_fixed_part(fits)):
        return list(fits), None
    if refit:
        return [by_ml(fit) for fit in fits], _REFITTED
    if all(reml):
        raise MixedpyError(
            f"{' and '.join(labels)} are REML fits with different fixed parts, whose REML criteria are not comparable; "
            f"{remedy} them with reml=False"
        )
    which = [label for label, one in zip(labels, reml, strict=True) if one]
    raise MixedpyError(
        f"{' and '.join(which)} {'is a REML fit' if len(which) == 1 else 'are REML fits'}, the others are by maximum "
        f"likelihood; {remedy} all with reml=False"
    )


def compare(
    *fits: LmmFit | GlmmFit,
    criterion: Literal["aic", "aicc", "bic", "caic"] = "aic",
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Rank models by an information criterion.

    Parameters
    ----------
    *fits : LmmFit or GlmmFit
        Two or more fits to the same data, nested or not, all linear or all generalized; generalized ones may differ in
        family and link, since their likelihoods have all constants.
    criterion : {"aic", "aicc", "bic", "caic"}
        What to rank by. The conditional AIC judges predictions for the levels at hand, by the likelihood given the
        random effects; it compares fits by REML with different fixed parts, too.
    names : sequence of str, optional
        Names of the rows; by default the names of the variables in the calling scope.

    Returns
    -------
    DataFrame
        One row per fit, the best first: ``npar``, ``loglik``, ``aic``, ``aicc``, ``bic`` (or ``df``, ``loglik`` given
        the random effects, and ``caic``), ``delta`` (difference to the best) and ``weight``, exp(-delta / 2) in shares
        of the sum (Burnham & Anderson 2002, section 2.9).

    Raises
    ------
    DataError
        If the fits are not to the same data by content.
    MixedpyError
        If REML fits have different fixed parts, REML and maximum likelihood are mixed, or generalized fits have
        different ``nagq``: their criteria are not comparable. For the conditional AIC of generalized fits.

    Examples
    --------
    >>> import mixedpy as mp
    >>> sleepstudy = mp.datasets.load("sleepstudy")
    >>> line = mp.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy, reml=False)
    >>> parallel = mp.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy, reml=False)
    >>> mp.compare(parallel, line).round(2)
              npar  loglik      aic     aicc      bic  delta  weight
    line         6 -875.97  1763.94  1764.42  1783.10   0.00     1.0
    parallel     4 -897.04  1802.08  1802.31  1814.85  38.14     0.0
    """
    check_fits("compare", fits, 2)
    if criterion not in ("aic", "aicc", "bic", "caic"):
        raise ValueError(f"criterion={criterion!r} is unknown; use 'aic', 'aicc', 'bic' or 'caic'")
    labels = names_of(fits, 2) if names is None else check_names("compare", names, len(fits))
    linear, generalized = _by_kind(fits)
    if linear:
        check_same_data(linear, labels)
        if criterion != "caic":
            _commensurate(linear, labels, refit=False, remedy="fit")
    else:
        check_same_data(generalized, labels)
        check_likelihoods(generalized, labels, nested=False)
        if criterion == "caic":
            raise MixedpyError(
                "the conditional AIC is for linear models, whose effective degrees of freedom are known exactly; rank "
                "generalized fits by 'aic', 'aicc' or 'bic'"
            )
    if criterion == "caic":
        table = pd.DataFrame([fit.caic() for fit in linear], index=labels)[["df", "loglik", "caic"]]
    else:
        table = _criteria_table([criteria(fit.record) for fit in fits], labels)
    table = table.sort_values(criterion, kind="stable")
    table["delta"] = table[criterion] - table[criterion].iloc[0]
    likelihood = np.exp(-0.5 * table["delta"])
    table["weight"] = likelihood / likelihood.sum()
    return table


def _criteria_table(every: Sequence[Criteria], labels: Sequence[str]) -> pd.DataFrame:
    names = ["npar", "loglik", "aic", "aicc", "bic"]
    return pd.DataFrame({name: [getattr(one, name) for one in every] for name in names}, index=list(labels))
