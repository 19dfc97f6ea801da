"""Tests of random terms: the fit against fits with single random effects left out, as lmerTest's ``ranova``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mixedpy.core.distributions import chi2_sf
from mixedpy.core.linear import linear_criterion
from mixedpy.core.record import FitRecord
from mixedpy.errors import ConvergenceWarning, DataError, MixedpyError, RankDeficiencyWarning, warn
from mixedpy.formula import Bar, Terms, deparse, parse
from mixedpy.formula.bars import HOMOGENEOUS, expand_bar, split_bars
from mixedpy.formula.parser import parse_sides
from mixedpy.inference.criteria import criteria
from mixedpy.models import fitting
from mixedpy.models.kept import kept_table
from mixedpy.models.printed import AnovaTable, anova_table
from mixedpy.models.update import update_formula

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["ranova"]


@dataclass(frozen=True, slots=True)
class _Deletion:
    """A random part with something left out: the row's label, and what remains of the random terms."""

    label: str
    bars: tuple[str, ...]


def ranova(fit: LmmFit, reduce_terms: bool) -> AnovaTable:
    """Test the random effects; see ``LmmFit.ranova``."""
    if fit.request.refitted:
        raise MixedpyError(
            "this fit comes from refit(), so its response is not in the table; put the response into the table and "
            "call lmer()"
        )
    kept_table(fit)
    own = criteria(fit.record)
    labels, npar, loglik = ["<none>"], [own.npar], [own.loglik]
    for deletion in _deletions(fit, reduce_terms):
        labels.append(deletion.label)
        if deletion.bars:
            reduced = criteria(_refit(fit, deletion))
            npar.append(reduced.npar)
            loglik.append(reduced.loglik)
        else:
            npar.append(fit.record.p + 1)
            loglik.append(-0.5 * linear_criterion(fit.design, reml=fit.record.reml))
    counts, values = np.array(npar, float), np.array(loglik)
    lrt, df = 2.0 * (values[0] - values), counts[0] - counts
    lrt[0] = df[0] = np.nan
    columns = {
        "npar": counts,
        "logLik": values,
        "AIC": 2.0 * (counts - values),
        "LRT": lrt,
        "Df": df,
        "Pr(>Chisq)": chi2_sf(lrt, np.where(df > 0, df, np.nan)),
    }
    model = update_formula(_formula(fit, _bars(fit)), ". ~ .", fit.request.functions or {})
    heading = ["ANOVA-like table for random-effects: Single term deletions", "\nModel:", model]
    return anova_table(columns, labels, heading)


def _refit(fit: LmmFit, deletion: _Deletion) -> FitRecord:
    """Estimate the model with the random terms that remain."""
    request = replace(fit.request, formula=_formula(fit, deletion.bars), start=None)
    if request.covariances is not None:
        left = {bar.name for bar in parse(request.formula, request.functions or {}).bars}
        request = replace(request, covariances={k: v for k, v in request.covariances.items() if k in left})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficiencyWarning)  # given when the fit was made
        built = fitting.build_design(request)
    if built.design.n != fit.nobs:
        raise DataError(
            f"ranova: without {deletion.label} {built.design.n} rows can be used, not the {fit.nobs} of the fit, since "
            "values of its grouping factor or its effects are missing; fit to a table without those rows"
        )
    record = fitting.estimate_design(built.design, built.schema, request, None)
    if not record.convergence.converged:
        message = f"the fit without {deletion.label} did not converge: {record.convergence.status.value}"
        warn(ConvergenceWarning(message))
    return record


def _deletions(fit: LmmFit, reduce_terms: bool) -> Iterator[_Deletion]:
    """What may be left out: the effects of a term that are part of no other effect, or a term as a whole."""
    bars = _bars(fit)
    factors = {v.name for term in fit.schema.terms for v in term.encoding.variables if v.levels is not None}
    for k, (_, bar) in enumerate(_typed(fit)):
        others = bars[:k] + bars[k + 1 :]
        effects = [frozenset(term) for term in bar.effects.terms]
        scope = [t for t, term in enumerate(effects) if not any(term < other for other in effects)]
        if not reduce_terms or not scope:
            yield _Deletion(bars[k], others)
            continue
        for t in scope:
            rest = _left_side(bar.effects, t, factors)
            kept = (_text(rest, bar),) if rest else ()
            label = f"{bar.effects.labels[t]} in {bars[k]}"
            yield _Deletion(label, tuple(dict.fromkeys((*others, *kept))))


def _left_side(effects: Terms, without: int, factors: set[str]) -> str:
    """The left side of a bar without one of its terms; empty if no smaller model is left but that without the bar.

    ``0 + f`` for factors f alone holds an intercept, which stays.
    """
    labels = [label for t, label in enumerate(effects.labels) if t != without]
    if effects.intercept:
        return " + ".join(labels) or "1"
    if labels:
        return " + ".join(["0", *labels])
    return "1" if all(effects.names[v] in factors for v in effects.terms[without]) else ""


def _typed(fit: LmmFit) -> Iterator[tuple[str, Bar]]:
    """The random terms with the texts of their left sides, ``||`` and ``/`` written out."""
    text, functions = fit.schema.formula.expanded, fit.request.functions or {}
    _, right = parse_sides(text)
    for typed in split_bars(right, text)[1]:
        for single in expand_bar(typed, text, functions):
            yield deparse(typed.bar.left), single


def _text(left: str, bar: Bar) -> str:
    """A random term with another left side, in its covariance structure."""
    if bar.structure is None:
        return f"({left} | {bar.typed})"
    usual = bar.hom == HOMOGENEOUS[bar.structure]
    return f"{bar.structure}({left} | {bar.typed}{'' if usual else f', hom = {str(bar.hom).upper()}'})"


def _bars(fit: LmmFit) -> tuple[str, ...]:
    return tuple(_text(left, bar) for left, bar in _typed(fit))


def _formula(fit: LmmFit, bars: tuple[str, ...]) -> str:
    formula = fit.schema.formula
    fixed = "1" if formula.fixed is None else deparse(formula.fixed)
    return " + ".join([f"{deparse(formula.response)} ~ {fixed}", *bars])
