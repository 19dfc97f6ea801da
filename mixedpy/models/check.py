"""``check``: what commonly goes wrong with a fit, in words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from mixedpy.core.arrays import Floats
from mixedpy.core.family import Binomial
from mixedpy.core.glmm.record import GlmmConvergence, GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import TermSchema
from mixedpy.formula import deparse
from mixedpy.inference import influence
from mixedpy.inference.fitted import fitted
from mixedpy.inference.glmm.diagnose import alike_levels, separation
from mixedpy.inference.glmm.residuals import quantile_residuals
from mixedpy.inference.glmm.response import of_rows
from mixedpy.inference.glmm.variance import overdispersion
from mixedpy.inference.influence import Influence
from mixedpy.inference.leverage import residuals
from mixedpy.inference.singular import scaled_factors

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit

__all__ = ["Check", "Finding", "check_fit"]

Verdict = Literal["ok", "note", "problem"]

_FEW_LEVELS = 5
_SCALES_APART = 1e3
_INFLATION = 10.0
_SMALL_P = 1e-3
_OUTLIER_P = 0.01
_INFLUENTIAL = 1.0
_MOST_WORK = 2_000_000
"""Rows times groups up to which groups that are not independent are left out one by one."""

_MOST_GENERAL_WORK = 50_000
"""The same for a generalized model, which is fitted anew without each group."""

_OVERDISPERSED = 1.2
_TINY = 1e-15
"""Probabilities nearer than this to 0 or 1 have no finite normal quantile."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes
    ----------
    topic : str
        What was looked at.
    verdict : {"ok", "note", "problem"}
        Whether something should be done.
    text : str
        What was seen.
    advice : str
        What to do; empty if nothing.
    """

    topic: str
    verdict: Verdict
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Check:
    """What ``fit.check()`` found; prints as a list.

    Attributes
    ----------
    findings : tuple of Finding
        One or more for each topic.
    """

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return all(finding.verdict != "problem" for finding in self.findings)

    def to_frame(self) -> pd.DataFrame:
        """Lay out the findings, indexed by topic: ``verdict``, ``text``, ``advice``."""
        rows = [(f.verdict, f.text, f.advice) for f in self.findings]
        index = pd.Index([f.topic for f in self.findings], name="topic")
        return pd.DataFrame(rows, index=index, columns=["verdict", "text", "advice"])

    def __str__(self) -> str:
        marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
        lines = []
        for f in self.findings:
            said = f"{marks[f.verdict]}  {f.topic}: {f.text}" + (f" {f.advice}" if f.advice else "")
            lines.append(textwrap.fill(said, 100, subsequent_indent=" " * 9))
        return "\n".join(lines)

    __repr__ = __str__


def check_fit(fit: Fit) -> Check:
    """Look at a fit from all sides."""
    looks = (
        _convergence, _separation, _singularity, _levels, _rows, _scaling, _collinearity, _dispersion, _residuals,
        _influence,
    )  # fmt: skip
    return Check(tuple(finding for look in looks for finding in look(fit)))


def _convergence(fit: Fit) -> list[Finding]:
    c = fit.convergence
    if isinstance(c, GlmmConvergence) and c.converged and not c.inner_converged:
        text = "the conditional modes of the random effects did not converge."
        return [Finding("convergence", "problem", text, "Rescale the columns or simplify the model.")]
    if c.converged:
        return [Finding("convergence", "ok", "the optimizer met its criteria.")]
    what, _, advice = c.status.value.partition("; ")
    return [Finding("convergence", "problem", f"the optimizer gave up: {what}.", _sentence(advice))]


def _separation(fit: Fit) -> list[Finding]:
    """Name coefficients and variances of a generalized model that have no finite estimate."""
    if isinstance(fit.record, FitRecord):
        return []
    said = [look(fit.design, fit.schema, fit.record) for look in (separation, alike_levels)]
    return [Finding("separation", "problem", f"{text}.") for text in said if text is not None]


def _dispersion(fit: Fit) -> list[Finding]:
    """Compare the variance of counts and shares with that of a family that has none of its own to fit."""
    record = fit.record
    if isinstance(record, FitRecord) or not record.family.discrete or record.family.auxiliary:
        return []
    if isinstance(record.family, Binomial) and (fit.design.weights is None or fit.design.weights.max() <= 1.0):
        return []  # a single trial says nothing of its variance
    found = overdispersion(fit.design, record)
    if found.ratio <= _OVERDISPERSED or found.pvalue >= _SMALL_P:
        return [Finding("dispersion", "ok", f"responses vary {found.ratio:.2f} times as much as the family says.")]
    text = f"responses vary {found.ratio:.1f} times as much as the family {record.family.name} says."
    other = "beta_binomial" if isinstance(record.family, Binomial) else "nbinom2"
    advice = f'Standard errors are too small; try family="{other}", or a random effect for each row.'
    return [Finding("dispersion", "problem", text, advice)]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _singularity(fit: Fit) -> list[Finding]:
    """Name the directions of each term in which the estimated variance is zero."""
    findings = []
    tol = fit.request.control.singular_tol
    for term, Lambda in zip(fit.schema.terms, scaled_factors(fit.design, fit.record), strict=True):
        sd = np.sqrt(np.einsum("ab,ab->a", Lambda, Lambda))
        none = [name for name, s in zip(term.effects, sd, strict=True) if s < tol]
        left = sd >= tol
        rank = int((np.linalg.svd(Lambda[left], compute_uv=False) >= tol).sum())
        if none:
            text = f"among the random effects of {term.name} the variance of {_and(none)} is estimated as zero."
            advice = (
                f"The data do not show that {_and(none)} varies between levels of {term.group}; leaving it out of the "
                "random part gives the same fit with fewer parameters."
            )
            findings.append(Finding("singularity", "problem", text, advice))
        if rank < left.sum():
            text = (
                f"the {int(left.sum())} random effects of {term.name} vary in only {rank} "
                f"{'direction' if rank == 1 else 'directions'}: a correlation, or several together, is at its limit."
            )
            advice = (
                f"Try (... || {_typed(term)}) without correlations, or leave out the effect with the least variance; "
                "see repca()."
            )
            findings.append(Finding("singularity", "problem", text, advice))
    return findings or [Finding("singularity", "ok", "no variance is zero and no correlation is at its limit.")]


def _typed(term: TermSchema) -> str:
    """The grouping factor of a term as a formula has it."""
    return deparse(term.grouping[0]) if len(term.grouping) == 1 else term.group


def _and(names: list[str]) -> str:
    names = ["the intercept" if name == "(Intercept)" else name for name in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _levels(fit: Fit) -> list[Finding]:
    few = {term.group: len(term.levels) for term in fit.schema.terms if len(term.levels) < _FEW_LEVELS}
    if not few:
        least = min(fit.ngroups.items(), key=lambda item: item[1])
        return [Finding("levels", "ok", f"every grouping factor has at least {least[1]} levels ({least[0]}).")]
    text = f"{_and([f'{group} has {count} levels' for group, count in few.items()])}."
    advice = (
        "So few hardly determine a variance; consider a fixed effect instead, or read its standard deviation with care."
    )
    return [Finding("levels", "note", text, advice)]


def _rows(fit: Fit) -> list[Finding]:
    findings = []
    if fit.schema.dropped:
        text = f"{_and(list(fit.schema.dropped))} was left out of the fixed effects, being determined by other columns."
        findings.append(Finding("columns", "note", text, "Take it out of the formula, or recode the predictors."))
    if fit.schema.n_missing_rows:
        worst = ", ".join(f"{name} in {count}" for name, count in fit.schema.missing)
        text = f"{fit.schema.n_missing_rows} of {fit.schema.n_total} rows were left out for missing values ({worst})."
        findings.append(Finding("rows", "note", text, "Ask why they are missing."))
    return findings


def _scaling(fit: Fit) -> list[Finding]:
    design = fit.design
    positions = {c: name for c, name in zip(design.fixed, fit.schema.fixed_names, strict=True) if c != 0}
    for term, names in zip(design.terms, fit.schema.terms, strict=True):
        positions.update({c: name for c, name in zip(term.columns, names.effects, strict=True) if c != 0})
    sds = {name: float(np.std(design.columns[c])) for c, name in positions.items()}
    means = {name: abs(float(np.mean(design.columns[c]))) for c, name in positions.items()}
    varying = {name: sd for name, sd in sds.items() if sd > 0}
    findings = []
    if varying and max(varying.values()) > _SCALES_APART * min(varying.values()):
        large, small = max(varying, key=varying.__getitem__), min(varying, key=varying.__getitem__)
        text = f"{large} (sd {varying[large]:.3g}) and {small} (sd {varying[small]:.3g}) are on very different scales."
        advice = (
            f"The fit allows for it, but coefficients read better in other units: divide {large} by a round number."
        )
        findings.append(Finding("scaling", "note", text, advice))
    far = [name for name, sd in varying.items() if means[name] > 50 * sd]
    if far:
        text = (
            f"{_and(far)} lies far from zero, so that the intercept and its variance speak of a point outside the data."
        )
        findings.append(
            Finding("scaling", "note", text, f"Subtract a typical value, such as {far[0]} - {means[far[0]]:.0f}.")
        )
    return findings or [Finding("scaling", "ok", "the predictors are on comparable scales.")]


def _collinearity(fit: Fit) -> list[Finding]:
    """Variance inflation from the correlations of the estimates, intercept left out."""
    keep = [k for k, c in enumerate(fit.design.fixed) if c != 0]
    if len(keep) < 2:
        return []
    V = fit.record.fixed_vcov[np.ix_(keep, keep)]
    sd = np.sqrt(np.diag(V))
    inflation = np.diag(np.linalg.inv(V / np.outer(sd, sd)))
    worst = int(np.argmax(inflation))
    name = fit.schema.fixed_names[keep[worst]]
    if inflation[worst] <= _INFLATION:
        return [Finding("collinearity", "ok", f"variance inflation is at most {inflation[worst]:.1f} ({name}).")]
    high = [fit.schema.fixed_names[keep[k]] for k in np.flatnonzero(inflation > _INFLATION)]
    text = f"the coefficients of {_and(high)} hang together: variance inflation up to {inflation[worst]:.0f}."
    advice = "Centre predictors that interact, and keep one of those that measure the same."
    return [Finding("collinearity", "note", text, advice)]


def _residuals(fit: Fit) -> list[Finding]:
    """Outliers, a spread that changes with the fitted value, and a trend, by rank correlations."""
    r, mu = _normal_residuals(fit)
    known = np.flatnonzero(~np.isnan(r))
    r, mu = r[known], mu[known]
    findings = []
    share = 2.0 * len(r) * ndtr(-np.abs(r))  # expected number of rows as far out
    out = np.flatnonzero(share < _OUTLIER_P)
    if len(out):
        worst = int(np.argmax(np.abs(r)))
        label = fit.schema.index[known[worst]]
        text = (
            f"{len(out)} of {len(r)} rows are outliers, the worst (row {label!r}) {abs(r[worst]):.1f} standard "
            "deviations off."
        )
        findings.append(
            Finding("residuals", "note", text, "Look at these rows, and fit without them to see what changes.")
        )
    trend, p_spread = _rank_correlation(np.abs(r), mu)
    if p_spread < _SMALL_P and abs(trend) > 0.1:
        way = "grow" if trend > 0 else "shrink"
        text = f"residuals {way} with the fitted value (rank correlation of their size {trend:.2f})."
        findings.append(Finding("residuals", "note", text, _spread_advice(fit)))
    bend, p_bend = _rank_correlation(r, np.abs(mu - np.median(mu)))
    if p_bend < _SMALL_P and abs(bend) > 0.1:
        text = (
            f"residuals at the ends differ from those in the middle (rank correlation {bend:.2f}): a curve is missing."
        )
        findings.append(Finding("residuals", "note", text, "Try a square, a spline, or a transformed predictor."))
    return findings or [
        Finding("residuals", "ok", "no outliers, no change of spread and no curve against the fitted value.")
    ]


def _spread_advice(fit: Fit) -> str:
    if isinstance(fit.record, FitRecord):
        return "Try the logarithm or the root of the response, or weights."
    return "Try a family with another variance, or another link."


def _normal_residuals(fit: Fit) -> tuple[Floats, Floats]:
    """Residuals that are standard normal where the model holds, and what they are held against."""
    if isinstance(fit.record, FitRecord):
        return residuals(fit.design, fit.record, "studentized"), fitted(fit.design, fit.record)
    response = of_rows(fit.design, fit.record)
    u = quantile_residuals(fit.design.y, response, 0)
    return ndtri(np.clip(u, _TINY, 1.0 - _TINY)), response.eta


def _rank_correlation(x: Floats, y: Floats) -> tuple[float, float]:
    """Spearman's correlation and its p value in the normal approximation."""
    a = np.asarray(pd.Series(x).rank(), dtype=float)
    b = np.asarray(pd.Series(y).rank(), dtype=float)
    if a.std() == 0 or b.std() == 0:
        return 0.0, 1.0
    rho = float(np.corrcoef(a, b)[0, 1])
    return rho, float(2.0 * ndtr(-abs(rho) * np.sqrt(len(x) - 1.0)))


def _influence(fit: Fit) -> list[Finding]:
    findings: list[Finding] = []
    if isinstance(fit.record, GlmmRecord) and not fit.converged:
        return findings  # fits without some of the rows would not converge either
    for group in fit.ngroups if fit.design.p else ():
        term = next(i for i, t in enumerate(fit.schema.terms) if t.group == group)
        codes, levels = fit.design.terms[term].codes, fit.schema.terms[term].levels
        found = _leaving_out(fit, codes, len(levels))
        if found is None:
            text = f"the levels of {group} are too many to be left out one by one here."
            findings.append(Finding("influence", "note", text, f'fit.influence("{group}") does it.'))
            continue
        distance = np.nan_to_num(found.cooks_distance)
        high, apart = np.flatnonzero(distance > _INFLUENTIAL), np.flatnonzero(distance > _standing_out(distance))
        if len(high):
            named = [levels[j] for j in high[np.argsort(-distance[high])][:5]]
            text = (
                f"leaving out {_and(named)} of {group} moves the fixed effects much (Cook's distance up to "
                f"{distance.max():.1f})."
            )
            advice = f'See fit.influence("{group}").fixef for the estimates without it.'
            findings.append(Finding("influence", "problem", text, advice))
        elif len(apart):
            named = [levels[j] for j in apart[np.argsort(-distance[apart])][:5]]
            text = (
                f"{_and(named)} of {group} {'moves' if len(named) == 1 else 'move'} the fixed effects more than the "
                f"others (Cook's distance up to {distance.max():.2f})."
            )
            findings.append(Finding("influence", "note", text, f'See fit.influence("{group}").'))
        alone = [levels[j] for j, _ in found.outcomes][:5]
        if alone:
            text = f"without {_and(alone)} of {group} the fixed effects are not determined: they rest on it alone."
            findings.append(Finding("influence", "note", text, "Say so in the report, or simplify the fixed part."))
        if not len(high) and not len(apart) and not alone:
            text = f"no level of {group} decides the fixed effects (Cook's distance at most {distance.max():.2f})."
            findings.append(Finding("influence", "ok", text))
    return findings


def _standing_out(distance: Floats) -> float:
    """Limit above which a distance stands out: 0.1, 4 / J, and three times the interquartile range above the box."""
    lower, upper = np.quantile(distance, [0.25, 0.75])
    return max(0.1, 4.0 / len(distance), float(upper + 3.0 * (upper - lower)))


def _leaving_out(fit: Fit, codes: np.ndarray, n_groups: int) -> Influence | None:
    """Leave levels out where that is affordable, with the covariance parameters held if the model is linear."""
    control = fit.request.control
    if isinstance(fit.record, GlmmRecord):
        if fit.nobs * n_groups > _MOST_GENERAL_WORK:
            return None
        return influence.influence_by_refits(fit.design, fit.record, codes, n_groups, full=True, control=control)
    if influence.independent(fit.design, codes):
        return influence.influence_of_groups(fit.design, fit.record, codes, n_groups)
    if fit.nobs * n_groups > _MOST_WORK:
        return None
    return influence.influence_by_refits(fit.design, fit.record, codes, n_groups, full=False, control=control)
