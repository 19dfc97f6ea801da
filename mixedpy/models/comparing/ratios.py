"""Likelihood-ratio tables as lme4 prints them, with what is known of the null distributions below them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, cast

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.distributions import chi2_sf
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.errors import MixedpyError
from mixedpy.inference.criteria import Criteria, criteria
from mixedpy.inference.mixture import Mixture, mixture, several_variances, stram_lee
from mixedpy.inference.nesting import Embedding, embed, in_span
from mixedpy.models.comparing.comparable import Fits, is_limit
from mixedpy.models.printed import AnovaTable
from mixedpy.report.anova import AnovaRecord, anova_html, anova_text
from mixedpy.report.coefmat import format_pvalues

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = ["SIMULATED", "Comparison", "order_by_size", "ratio_table"]

SIMULATED = "Pr(simulated)"
_BOUNDARY = "Pr(boundary)"
_COLUMNS = ("npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)")

_ROUNDING = 1e-6
"""A larger model whose deviance is not lower by more than this has the statistic zero."""

_SIMULATE = "nsim= simulates the p value"


class Comparison(AnovaTable):
    """Likelihood-ratio tests of a sequence of models, one row for each; prints as lme4's ``anova(m0, m1)``.

    It is a DataFrame with lme4's columns and, after them, ``Pr(boundary)``: the p value from the mixture of chi-square
    distributions that holds when the row above puts variances on the boundary, NaN where it does not. The print-out
    has lme4's table as it is and these p values with their mixtures below it. ``attrs["mixtures"]`` has the names of
    the mixtures by row, ``attrs["remarks"]`` why neither chi-square nor a mixture holds for a row, ``attrs["note"]``
    what was refitted. With ``nsim`` the column ``Pr(simulated)`` and ``attrs["failed"]``, the number of simulations
    without a statistic by row, come last.
    """

    def _record(self) -> AnovaRecord:
        values = self[list(_COLUMNS)].to_numpy(np.float64)
        return AnovaRecord(self.attrs["heading"], _COLUMNS, tuple(map(str, self.index)), values)

    def _below(self) -> list[str]:
        lines = []
        if _BOUNDARY in self.columns and self.attrs["mixtures"]:
            lines += ["Corrected for variances on the boundary:", *self._pvalues(_BOUNDARY, self.attrs["mixtures"])]
        lines += self.attrs["remarks"].values()
        if SIMULATED in self.columns and self.attrs["failed"]:
            nsim, failed = self.attrs["nsim"], self.attrs["failed"]
            remarks = {name: f"{count} failed" if count else "" for name, count in failed.items()}
            lines += [f"By {nsim} data sets simulated from the row above:", *self._pvalues(SIMULATED, remarks)]
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


def order_by_size(fits: Fits) -> list[int]:
    """Positions of the fits by their numbers of parameters; equal ones stay in order, as by R's ``order()``."""
    return sorted(range(len(fits)), key=lambda k: criteria(fits[k].record).npar)


def ratio_table(fits: Fits, labels: Sequence[str], *, note: str | None, boundary: bool) -> Comparison:
    """Test each fit against the one before it.

    Parameters
    ----------
    fits : sequence of LmmFit or of GlmmFit
        To the same data by the same criterion, in order of their numbers of parameters.
    labels : sequence of str
        Names of the rows.
    note : str, optional
        Line above the table.
    boundary : bool
        Whether to look for the null distributions.
    """
    columns = _columns([criteria(fit.record) for fit in fits])
    mixtures: dict[str, str] = {}
    remarks: dict[str, str] = {}
    if boundary:
        corrected = np.full(len(fits), np.nan)
        for k in range(1, len(fits)):
            found = _null(fits[k - 1], fits[k], labels[k - 1], labels[k])
            if isinstance(found, str):
                remarks[labels[k]] = found
            elif found is not None:
                statistic = float(columns["Chisq"][k])
                corrected[k] = found.pvalue(statistic if statistic > _ROUNDING else 0.0)
                mixtures[labels[k]] = found.name
        columns[_BOUNDARY] = corrected
    table = Comparison(columns, index=list(labels))
    data = fits[0].schema.data_name
    table.attrs["heading"] = (
        *([f"Data: {data}"] if data else []),
        "Models:",
        *(f"{name}: {line}" for name, line in zip(labels, _described(fits), strict=True)),
    )
    table.attrs["note"] = note
    table.attrs["mixtures"], table.attrs["remarks"] = mixtures, remarks
    return table


def _described(fits: Fits) -> list[str]:
    """The formulas of the fits, with families and formulas of zeros where these are not all one."""
    formulas = [fit.schema.formula.expanded for fit in fits]
    parts = [_distribution(fit) for fit in fits]
    return formulas if len(set(parts)) == 1 else [f"{one}, {part}" for one, part in zip(formulas, parts, strict=True)]


def _distribution(fit: LmmFit | GlmmFit) -> str:
    if not isinstance(fit.record, GlmmRecord):
        return "gaussian"
    zeros = fit.request.ziformula
    return f"{fit.record.family.name} ({fit.record.family.link})" + ("" if zeros is None else f", zeros {zeros}")


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


def _null(smaller: LmmFit | GlmmFit, larger: LmmFit | GlmmFit, few: str, many: str) -> Mixture | str | None:
    """The mixture, None where chi-square holds, or a line that says why neither does; ``few``, ``many`` are labels."""
    control = larger.request.control
    embedding = embed(smaller.design, smaller.record, larger.design, control.singular_tol)
    lacking = _fixed_lacking(smaller, larger)
    if lacking is None and embedding == "outside":
        lacking = "their random parts are not"
    if lacking is None and isinstance(smaller.record, GlmmRecord) and isinstance(larger.record, GlmmRecord):
        lacking = _family_lacking(smaller.record, larger.record)
    if lacking is not None:
        return f"{few} is not nested in {many} ({lacking}), so that chi-square does not hold"
    if not isinstance(embedding, Embedding):
        return f"{many}: whether the random part of {few} is a special case is not known; {_SIMULATE}"
    if isinstance(smaller.record, GlmmRecord) and isinstance(larger.record, GlmmRecord):
        found = _generalized_null(smaller.record, larger.record, embedding)
        return f"{many}: {found}" if isinstance(found, str) else found
    structured = any(term.template.name not in ("us", "diag") for term in larger.design.terms)
    if structured and several_variances(embedding):
        return f"{many}: no mixture is available for several variances beside structured covariances; {_SIMULATE}"
    extra, reml = larger.record.p - smaller.record.p, cast("LmmFit", larger).record.reml
    try:
        return mixture(embedding, larger.design, control, extra=extra, reml=reml)
    except MixedpyError as error:
        return f"{many}: {error}; {_SIMULATE}"


def _fixed_lacking(smaller: LmmFit | GlmmFit, larger: LmmFit | GlmmFit) -> str | None:
    """What of the fixed part of a smaller model the larger one lacks."""
    one, two = smaller.design, larger.design
    X = [two.columns[c] for c in two.fixed]
    inside = in_span([one.columns[c] for c in one.fixed], X)
    missing = [name for name, found in zip(smaller.schema.fixed_names, inside, strict=True) if not found]
    if missing:
        return f"its fixed part lacks {', '.join(missing)}"
    offsets = [np.zeros(one.n) if d.offset is None else d.offset for d in (one, two)]
    difference = offsets[0] - offsets[1]
    if difference.any() and not all(in_span([difference], X)):
        return "their offsets differ"
    return None


def _family_lacking(smaller: GlmmRecord, larger: GlmmRecord) -> str | None:
    """What of the family of a smaller model the larger one lacks."""
    if smaller.family != larger.family and not is_limit(smaller.family, larger.family):
        return f"{smaller.family.name} is no limit of {larger.family.name}"
    more = len(larger.auxiliary) - len(smaller.auxiliary)
    kept = larger.auxiliary[more:] if type(smaller.family) is type(larger.family) else larger.auxiliary
    for few, many in zip(smaller.auxiliary, kept, strict=False):
        columns, basis = ([np.ones(smaller.n)] if c is None else list(c.T) for c in (few, many))
        if not all(in_span(columns, basis)):
            return "the predictors of their zeros are not"
    return None


def _generalized_null(smaller: GlmmRecord, larger: GlmmRecord, embedding: Embedding) -> Mixture | str | None:
    """The same for nested generalized fits, whose information on several variances is not at hand."""
    boundary = len(larger.auxiliary) - len(smaller.auxiliary)
    own = len(larger.alpha) - len(smaller.alpha)
    if boundary and (own > 1 or any(term.new for term in embedding.terms)):
        return (
            f"{smaller.family.name} is a limit of {larger.family.name}, so that more than one parameter is on the "
            f"boundary, and no mixture is available; {_SIMULATE}"
        )
    if several_variances(embedding):
        return (
            "several variances are on the boundary, and the weights of their mixture are not available for generalized "
            f"models; {_SIMULATE}"
        )
    return stram_lee(embedding, larger.p - smaller.p + own - boundary, boundary)
