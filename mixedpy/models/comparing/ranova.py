"""Tests of random terms: the fit against fits with single random effects left out, as lmerTest's ``ranova``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mixedpy.core.distributions import chi2_sf
from mixedpy.design.random import lme4_order
from mixedpy.formula import Bar, deparse
from mixedpy.formula.bars import HOMOGENEOUS, expand_bar, split_bars
from mixedpy.formula.parser import parse_sides
from mixedpy.inference.criteria import criteria
from mixedpy.models.comparing.reduced import check_response_in_table, without_random_effects, without_terms
from mixedpy.models.kept import kept_table
from mixedpy.models.printed import AnovaTable, anova_table
from mixedpy.models.update import update_formula

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = ["ranova"]


@dataclass(frozen=True, slots=True)
class _Deletion:
    """A random part with something left out: the row's label, and what remains of the random terms."""

    label: str
    bars: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Term:
    """A random term: the text of its left side, ``||`` and ``/`` written out, and its covariance structure."""

    left: str
    bar: Bar
    structure: str
    hom: bool

    @property
    def shown(self) -> str:
        """As it was typed, for the print-out."""
        return self.text(self.left) if self.bar.structure is not None else f"({self.left} | {self.bar.typed})"

    def text(self, left: str) -> str:
        """With another left side, in its covariance structure."""
        if self.structure == "us" and self.bar.structure is None:
            return f"({left} | {self.bar.typed})"
        usual = self.hom == HOMOGENEOUS[self.structure]
        return f"{self.structure}({left} | {self.bar.typed}{'' if usual else f', hom = {str(self.hom).upper()}'})"


def ranova(fit: LmmFit | GlmmFit, reduce_terms: bool) -> AnovaTable:
    """Test the random effects; see ``LmmFit.ranova``."""
    check_response_in_table(fit)
    kept_table(fit)
    labels, every = ["<none>"], [criteria(fit.record)]
    for deletion in _deletions(fit, reduce_terms):
        labels.append(deletion.label)
        if deletion.bars:
            formula = _formula(fit, deletion.bars)
            every.append(without_terms(fit, formula, deletion.label, method="ranova", structures=False))
        else:
            every.append(without_random_effects(fit))
    counts, values = np.array([one.npar for one in every], float), np.array([one.loglik for one in every])
    lrt, df = 2.0 * (values[0] - values), counts[0] - counts
    lrt[0] = df[0] = np.nan
    columns = {
        "npar": counts,
        "logLik": values,
        "AIC": 2.0 * (counts - values),
        "LRT": lrt,
        "Df": df,
        "Pr(>Chisq)": chi2_sf(np.maximum(lrt, 0.0), np.where(df > 0, df, np.nan)),
    }
    shown = tuple(term.shown for term in _terms(fit))
    model = update_formula(_formula(fit, shown), ". ~ .", fit.request.functions or {})
    heading = ["ANOVA-like table for random-effects: Single term deletions", "\nModel:", model]
    return anova_table(columns, labels, heading)


def _deletions(fit: LmmFit | GlmmFit, reduce_terms: bool) -> Iterator[_Deletion]:
    """What may be left out: the effects of a term that are part of no other effect, or a term as a whole."""
    terms = _terms(fit)
    bars = tuple(term.text(term.left) for term in terms)
    factors = {v.name for term in fit.schema.terms for v in term.encoding.variables if v.levels is not None}
    for k, term in enumerate(terms):
        others = bars[:k] + bars[k + 1 :]
        effects = [frozenset(one) for one in term.bar.effects.terms]
        scope = [t for t, one in enumerate(effects) if not any(one < other for other in effects)]
        if not reduce_terms or not scope:
            yield _Deletion(term.shown, others)
            continue
        rests = [_left_side(term, t, factors) for t in range(len(effects))]
        if not any(rests) and (len(effects) > 1 or term.bar.effects.intercept):
            yield _Deletion(term.shown, others)
            continue
        for t in scope:
            kept = (term.text(rests[t]),) if rests[t] else ()
            label = f"{term.bar.effects.labels[t]} in {term.shown}"
            yield _Deletion(label, tuple(dict.fromkeys((*others, *kept))))


def _left_side(term: _Term, without: int, factors: set[str]) -> str:
    """The left side of a bar without one of its terms; empty if no smaller model is left but that without the bar.

    ``0 + f`` for factors f alone holds an intercept, which stays, unless the effects are independent: an intercept
    makes them equal. Effects that share one standard deviation cannot lose it one at a time.
    """
    effects = term.bar.effects
    labels = [label for t, label in enumerate(effects.labels) if t != without]
    intercept = not effects.intercept and not labels
    if intercept:
        holds = term.structure != "diag" and all(effects.names[v] in factors for v in effects.terms[without])
        return "1" if holds else ""
    if term.hom:
        return ""
    return " + ".join(labels if effects.intercept else ["0", *labels]) or "1"


def _terms(fit: LmmFit | GlmmFit) -> tuple[_Term, ...]:
    """The random terms in the order of the formula."""
    text, functions = fit.schema.formula.expanded, fit.request.functions or {}
    _, right = parse_sides(text)
    typed = [
        (deparse(one.bar.left), single)
        for one in split_bars(right, text)[1]
        for single in expand_bar(one, text, functions)
    ]
    levels = {term.group: len(term.levels) for term in fit.schema.terms}
    order = lme4_order([levels[bar.name] for _, bar in typed])
    schemas = dict(zip(order, fit.schema.terms, strict=True))
    return tuple(_Term(left, bar, schemas[k].template, schemas[k].hom) for k, (left, bar) in enumerate(typed))


def _formula(fit: LmmFit | GlmmFit, bars: tuple[str, ...]) -> str:
    formula = fit.schema.formula
    fixed = "1" if formula.fixed is None else deparse(formula.fixed)
    return " + ".join([f"{deparse(formula.response)} ~ {fixed}", *bars])
