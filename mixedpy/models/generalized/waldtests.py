"""Tests of the fixed terms of a generalized fit: Wald chi-squares, single-term deletions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mixedpy.core.distributions import chi2_sf
from mixedpy.inference.criteria import criteria
from mixedpy.inference.ddf import f_test
from mixedpy.inference.glmm.wald import swept
from mixedpy.inference.hypotheses import type3
from mixedpy.models.comparing.reduced import check_response_in_table, without_terms
from mixedpy.models.fixedtests import chisquare_columns, droppable_terms, read_type
from mixedpy.models.kept import kept_table
from mixedpy.models.memo import inference_of
from mixedpy.models.printed import AnovaTable, anova_table
from mixedpy.models.update import update_formula

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["drop1", "wald_anova"]


def wald_anova(fit: GlmmFit, type: int | str) -> AnovaTable:
    """Test every fixed term; see ``GlmmFit.anova``."""
    roman, inference = read_type(type), inference_of(fit, None)
    if roman == "III":
        found = type3(fit.schema, fit.design, fit.request.data)
    else:
        found = swept(fit.schema, inference.vcov, sequential=roman == "I")
    heading = [f"Analysis of Deviance Table (Type {roman} Wald chisquare tests)", f"\nResponse: {fit.schema.response}"]
    return anova_table(chisquare_columns([f_test(inference, L) for L in found.values()]), list(found), heading)


def drop1(fit: GlmmFit, scope: str | Sequence[str] | None) -> AnovaTable:
    """Test the terms that may be dropped by likelihood ratios; see ``GlmmFit.drop1``."""
    check_response_in_table(fit)
    kept_table(fit)
    schema = fit.schema
    labels = [schema.term_labels[t] for t in droppable_terms(schema, scope)]
    own, functions = criteria(fit.record), fit.request.functions or {}
    every = [own]
    for label in labels:
        formula = update_formula(fit.formula, f". ~ . - {label}", functions)
        every.append(without_terms(fit, formula, label, method="drop1", structures=True))
    npar = own.npar - np.array([one.npar for one in every], float)
    lrt = np.array([one.deviance - own.deviance for one in every])
    npar[0] = lrt[0] = np.nan
    columns = {
        "npar": npar,
        "AIC": np.array([one.aic for one in every]),
        "LRT": lrt,
        "Pr(Chi)": chi2_sf(np.maximum(lrt, 0.0), np.where(npar > 0, npar, np.nan)),
    }
    return anova_table(columns, ["<none>", *labels], ["Single term deletions", "\nModel:", schema.formula.expanded])
