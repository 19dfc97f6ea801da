"""Wald tests of the fixed effects of a generalized fit: chi-squares by term, linear combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.core.distributions import chi2_sf
from mixedpy.inference.ddf import FTest, f_test, t_tests
from mixedpy.inference.glmm.wald import swept
from mixedpy.inference.hypotheses import type3
from mixedpy.models.fixedtests import read_contrast, read_type
from mixedpy.models.memo import inference_of
from mixedpy.models.printed import AnovaTable, anova_table

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["anova", "contrast"]


def anova(fit: GlmmFit, type: int | str) -> AnovaTable:
    """Test every fixed term; see ``GlmmFit.anova``."""
    roman, inference = read_type(type), inference_of(fit, None)
    if roman == "III":
        found = type3(fit.schema, fit.design, fit.request.data)
    else:
        found = swept(fit.schema, inference.vcov, sequential=roman == "I")
    heading = [f"Analysis of Deviance Table (Type {roman} Wald chisquare tests)", f"\nResponse: {fit.schema.response}"]
    return anova_table(_columns([f_test(inference, L) for L in found.values()]), list(found), heading)


def contrast(
    fit: GlmmFit,
    L: npt.ArrayLike | Mapping[str, float] | str | Sequence[Any],
    rhs: npt.ArrayLike,
    joint: bool,
    level: float,
) -> pd.DataFrame:
    """Test linear combinations of the fixed effects; see ``GlmmFit.contrast``."""
    rows, names, values = read_contrast(fit.schema, L, rhs, level)
    inference = inference_of(fit, None)
    if joint:
        heading = [f"Joint Wald chisquare test of {len(rows)} linear hypotheses"]
        return anova_table(_columns([f_test(inference, rows, values)]), ["L"], heading)
    tests = t_tests(inference, rows, values)
    from_estimate = tests.se * tests.quantile(level)
    return pd.DataFrame(
        {
            "Estimate": tests.estimate,
            "Std. Error": tests.se,
            "z value": tests.t,
            "lower": tests.estimate - from_estimate,
            "upper": tests.estimate + from_estimate,
            "Pr(>|z|)": tests.pvalue,
        },
        index=names,
    )


def _columns(tests: Sequence[FTest]) -> dict[str, Floats]:
    """Chi-squares: F tests with infinitely many denominator degrees of freedom, times their own degrees of freedom."""
    df = np.array([test.ndf for test in tests], float)
    df[df == 0.0] = np.nan  # no hypothesis
    chisq = df * np.array([test.statistic for test in tests], float)
    return {"Chisq": chisq, "Df": df, "Pr(>Chisq)": np.asarray(chi2_sf(chisq, df), np.float64)}
