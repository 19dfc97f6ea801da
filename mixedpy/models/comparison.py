"""Fits side by side: likelihood-ratio tables as lme4 prints them, and a ranking by information criteria."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import Literal

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.core.distributions import chi2_sf
from mixedpy.errors import IntervalWarning, MixedpyError, warn
from mixedpy.inference.bootstrap import check_nsim
from mixedpy.inference.criteria import Criteria, criteria
from mixedpy.inference.mixture import Mixture, mixture
from mixedpy.inference.nesting import embed
from mixedpy.inference.parallel import check_n_jobs
from mixedpy.models.callernames import names_of
from mixedpy.models.comparable import by_ml, check_fits, check_names, check_same_data, one_fixed_part
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.glmm_intervals import compare_fits
from mixedpy.models.lmm import LmmFit
from mixedpy.models.printed import AnovaTable
from mixedpy.models.simulated_null import SimulatedNull, simulate_null
from mixedpy.report.anova import AnovaRecord, anova_html, anova_text
from mixedpy.report.coefmat import format_pvalues

__all__ = ["Comparison", "anova", "compare"]

Simulate = Callable[[LmmFit | GlmmFit, LmmFit | GlmmFit], SimulatedNull]

_REFITTED = "refitting model(s) with ML (instead of REML)"
_BOUNDARY = "Pr(boundary)"
_SIMULATED = "Pr(simulated)"
_COLUMNS = ("npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)")

_ROUNDING = 1e-6
"""A larger model whose deviance is not lower by more than this has the statistic zero."""


class Comparison(AnovaTable):
    """Likelihood-ratio tests of a sequence of models, one row for each; prints as lme4's ``anova(m0, m1)``.

    It is a DataFrame with lme4's columns and, after them, ``Pr(boundary)``: the p value from the mixture of chi-square
    distributions that holds when the row above puts variances on the boundary, NaN where it does not. The print-out
    has lme4's table as it is and these p values with their mixtures below it. ``attrs["mixtures"]`` has the names of
    the mixtures by row, ``attrs["note"]`` what was refitted. With ``nsim`` the column ``Pr(simulated)`` and
    ``attrs["failed"]``, the number of simulations without a statistic by row, come last.
    """

    def _record(self) -> AnovaRecord:
        values = self[list(_COLUMNS)].to_numpy(np.float64)
        return AnovaRecord(self.attrs["heading"], _COLUMNS, tuple(map(str, self.index)), values)

    def _below(self) -> list[str]:
        lines = []
        if _BOUNDARY in self.columns and self.attrs["mixtures"]:
            lines += ["Corrected for variances on the boundary:", *self._pvalues(_BOUNDARY, self.attrs["mixtures"])]
        if _SIMULATED in self.columns:
            nsim, failed = self.attrs["nsim"], self.attrs["failed"]
            remarks = {name: f"{count} failed" if count else "" for name, count in failed.items()}
            lines += [f"By {nsim} data sets simulated from the row above:", *self._pvalues(_SIMULATED, remarks)]
        return lines

    def _pvalues(self, column: str, remarks: dict[str, str]) -> list[str]:
        """One line for each row: name, p value, remark."""
        found = format_pvalues([float(self.loc[name, column]) for name in remarks], 4)  # type: ignore[arg-type]
        width = max(map(len, remarks), default=0)
        pairs = zip(remarks.items(), found, strict=True)
        return [f"{name.ljust(width)}  {p.strip()}  {remark}".rstrip() for (name, remark), p in pairs]

    def __str__(self) -> str:
        above = [self.attrs["note"]] if self.attrs["note"] else []
        return "\n".join([*above, anova_text(self._record()), *self._below()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        above = f"<p>{escape(self.attrs['note'])}</p>" if self.attrs["note"] else ""
        below = "<br>".join(map(escape, self._below()))
        return above + anova_html(self._record()) + (f"<p>{below}</p>" if below else "")


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
        Whether to add p values for variances on the boundary.
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
        If the fits are not to the same rows, response and weights.
    MixedpyError
        If ``refit`` is False and REML criteria are not commensurate.

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
    generalized = [fit for fit in fits if isinstance(fit, GlmmFit)]
    if len(generalized) == len(fits) > 1:
        labels = names_of(fits, 2) if names is None else check_names("anova", names, len(fits))
        return _generalized(generalized, labels, simulate, boundary=boundary)
    check_fits("anova", fits, 2)
    linear = [fit for fit in fits if isinstance(fit, LmmFit)]
    labels = names_of(fits, 2) if names is None else check_names("anova", names, len(fits))
    check_same_data(linear, labels)
    found, note = _commensurate(linear, labels, refit=refit)
    every = [criteria(fit.record) for fit in found]
    order = sorted(range(len(found)), key=lambda k: every[k].npar)  # stable, as R's order()
    found, labels, every = [found[k] for k in order], [labels[k] for k in order], [every[k] for k in order]
    columns = _columns(every)
    mixtures: dict[str, str] = {}
    if boundary:
        corrected = np.full(len(found), np.nan)
        for k in range(1, len(found)):
            mixed = _mixture(found[k - 1], found[k])
            if mixed is not None:
                statistic = float(columns["Chisq"][k])
                corrected[k] = mixed.pvalue(statistic if statistic > _ROUNDING else 0.0)
                mixtures[labels[k]] = mixed.name
        columns[_BOUNDARY] = corrected
    table = Comparison(columns, index=labels)
    data = found[0].schema.data_name
    table.attrs["heading"] = (
        *([f"Data: {data}"] if data else []),
        "Models:",
        *(f"{name}: {fit.schema.formula.expanded}" for name, fit in zip(labels, found, strict=True)),
    )
    table.attrs["note"] = note
    table.attrs["mixtures"] = mixtures
    return table if simulate is None else _simulated(table, found, simulate)


def _checked(
    nsim: int | None, seed: int | np.random.Generator | None, progress: bool | None, n_jobs: int
) -> Simulate | None:
    """Bind the options of the simulation; None if none is wanted."""
    check_n_jobs(n_jobs)
    if nsim is None:
        return None
    return partial(simulate_null, nsim=check_nsim(nsim), seed=seed, progress=progress, n_jobs=n_jobs)


def _simulated(table: Comparison, fits: Sequence[LmmFit] | Sequence[GlmmFit], simulate: Simulate) -> Comparison:
    """Add the simulated p values of rows with more parameters than the row above."""
    pvalues, failed, nsim = np.full(len(fits), np.nan), {}, 0
    for k in range(1, len(fits)):
        if table["Df"].iloc[k] > 0:
            null = simulate(fits[k - 1], fits[k])
            pvalues[k], failed[str(table.index[k])] = null.pvalue(float(table["Chisq"].iloc[k])), null.failed
            nsim = len(null.statistics)
    table[_SIMULATED] = pvalues
    table.attrs["nsim"], table.attrs["failed"] = nsim, failed
    if any(failed.values()):
        which = ", ".join(f"{count} for {name}" for name, count in failed.items() if count)
        warn(IntervalWarning(f"of {nsim} simulated data sets some could not be fitted and are left out: {which}"))
    return table


def _generalized(
    fits: Sequence[GlmmFit], labels: Sequence[str], simulate: Simulate | None, *, boundary: bool
) -> Comparison:
    """Generalized fits are by maximum likelihood: nothing is refitted."""
    values = compare_fits(fits, labels)
    mixtures: dict[str, str] = {}
    if boundary:
        for label in values.index[values[_BOUNDARY].notna()]:
            df = int(values.loc[label, "Df"])
            mixtures[str(label)] = f"0.5 chi2({df - 1}) + 0.5 chi2({df}), Stram & Lee"
    else:
        values = values.drop(columns=_BOUNDARY)
    by_label = dict(zip(labels, fits, strict=True))
    data = fits[0].schema.data_name
    table = Comparison(values)
    table.attrs["heading"] = (
        *([f"Data: {data}"] if data else []),
        "Models:",
        *(f"{name}: {by_label[str(name)].schema.formula.expanded}" for name in values.index),
    )
    table.attrs["note"] = None
    table.attrs["mixtures"] = mixtures
    return table if simulate is None else _simulated(table, [by_label[str(name)] for name in values.index], simulate)


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


def _columns(every: Sequence[Criteria]) -> dict[str, Floats]:
    loglik = np.array([one.loglik for one in every])
    npar = np.array([one.npar for one in every])
    statistic = np.concatenate([[np.nan], 2.0 * np.maximum(np.diff(loglik), 0.0)])
    df = np.concatenate([[np.nan], np.diff(npar)])
    return {
        "npar": npar,
        "AIC": np.array([one.aic for one in every]),
        "BIC": np.array([one.bic for one in every]),
        "logLik": loglik,
        "deviance": -2.0 * loglik,
        "Chisq": statistic,
        "Df": df,
        "Pr(>Chisq)": chi2_sf(statistic, np.where(df > 0, df, np.nan)),
    }


def _mixture(smaller: LmmFit, larger: LmmFit) -> Mixture | None:
    """The mixture for two neighbours, or None where chi-square holds or the random parts are not nested."""
    control = larger.request.control
    embedding = embed(smaller.design, smaller.record, larger.design, control.singular_tol)
    if embedding is None:
        return None
    extra = larger.record.p - smaller.record.p
    if extra < 0:
        return None
    return mixture(embedding, larger.design, control, extra=extra, reml=larger.record.reml)


def compare(
    *fits: LmmFit,
    criterion: Literal["aic", "aicc", "bic", "caic"] = "aic",
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Rank models by an information criterion.

    Parameters
    ----------
    *fits : LmmFit
        Two or more fits to the same data, nested or not.
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
        If the fits are not to the same rows, response and weights.
    MixedpyError
        If REML fits have different fixed parts, or REML and maximum likelihood are mixed: their criteria are not
        comparable.

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
    check_same_data(fits, labels)
    if criterion == "caic":
        table = pd.DataFrame([fit.caic() for fit in fits], index=labels)[["df", "loglik", "caic"]]
    else:
        _commensurate(fits, labels, refit=False, remedy="fit")
        table = _criteria_table([criteria(fit.record) for fit in fits], labels)
    table = table.sort_values(criterion, kind="stable")
    table["delta"] = table[criterion] - table[criterion].iloc[0]
    likelihood = np.exp(-0.5 * table["delta"])
    table["weight"] = likelihood / likelihood.sum()
    return table


def _criteria_table(every: Sequence[Criteria], labels: Sequence[str]) -> pd.DataFrame:
    names = ["npar", "loglik", "aic", "aicc", "bic"]
    return pd.DataFrame({name: [getattr(one, name) for one in every] for name in names}, index=list(labels))
