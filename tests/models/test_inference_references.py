"""Degrees of freedom, F tables, deletions, conditional AIC and R2 against lmerTest, pbkrtest, cAIC4 and performance."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mixedpy as mp
from mixedpy.inference.caic import effective_df
from mixedpy.models.memo import blocks_of
from tests import tolerances as tol
from tests.inference_cases import INFERENCE, InferenceCase, fit_of
from tests.models.test_references import NUMBER, assert_printed

each_case = pytest.mark.parametrize("reference", INFERENCE, ids=lambda c: c.name)
KENWARD_ROGER = [c for c in INFERENCE if c.has("kenward_roger")]
each_kenward_roger = pytest.mark.parametrize("reference", KENWARD_ROGER, ids=lambda c: c.name)
each_printed = pytest.mark.parametrize("reference", [c for c in INFERENCE if c.has("printed")], ids=lambda c: c.name)

MISSING = re.compile(r"\n  \(\d+ observations? deleted due to missingness\)")


def numbers(column: list[Any]) -> np.ndarray:
    """A column of the file; null is NaN, and so is R's NA in a column of texts."""
    return np.array([np.nan if x is None or x == "NA" else float(x) for x in column])


def test_there_are_models_of_every_kind():
    kinds = {"singular": 0, "weights": 0, "missing": 0, "contrasts": 0}
    for case in INFERENCE:
        for kind in kinds:
            kinds[kind] += bool(case[kind])
    assert len(INFERENCE) >= 50
    assert len(KENWARD_ROGER) >= 20
    assert min(kinds.values()) >= 1
    assert kinds["singular"] >= 5


@each_case
def test_satterthwaite(reference: InferenceCase):
    table = fit_of(reference).summary().tables["fixed"]
    wanted = reference["satterthwaite"]
    assert list(table.index) == reference["names"]
    assert_allclose(table["df"], wanted["df"], rtol=tol.DDF_RTOL)
    assert_allclose(table["Std. Error"], wanted["se"], rtol=tol.KR_SE_RTOL)
    assert_allclose(table["t value"], wanted["t"], rtol=tol.F_RTOL, atol=tol.T_ATOL * 1e-2)
    assert_allclose(table["Pr(>|t|)"], wanted["p"], rtol=tol.PVALUE_RTOL, atol=1e-15)


@each_case
def test_satterthwaite_of_a_fit_by_default_settings(reference: InferenceCase):
    table = fit_of(reference, tightly=False).summary().tables["fixed"]
    assert_allclose(table["df"], reference["satterthwaite"]["df"], rtol=tol.DEFAULT_DDF_RTOL)


@each_kenward_roger
def test_kenward_roger(reference: InferenceCase):
    table = fit_of(reference).summary("kenward-roger").tables["fixed"]
    wanted = reference["kenward_roger"]
    assert_allclose(table["df"], wanted["df"], rtol=tol.DDF_RTOL)
    assert_allclose(table["Std. Error"], wanted["se"], rtol=tol.KR_SE_RTOL)
    assert_allclose(table["Pr(>|t|)"], wanted["p"], rtol=tol.PVALUE_RTOL, atol=1e-15)


def assert_f_table(found: Any, wanted: dict[str, Any]) -> None:
    assert list(found.index) == wanted["term"]
    if not wanted["term"]:
        return
    assert_allclose(found["NumDF"].dropna(), numbers(wanted["NumDF"])[found["NumDF"].notna()])
    for column, rtol in (
        ("DenDF", tol.DDF_RTOL),
        ("F value", tol.F_RTOL),
        ("Sum Sq", tol.F_RTOL),
        ("Mean Sq", tol.F_RTOL),
    ):
        assert_allclose(found[column], numbers(wanted[column]), rtol=rtol, atol=1e-9)
    assert_allclose(found["Pr(>F)"], numbers(wanted["Pr(>F)"]), rtol=tol.PVALUE_RTOL, atol=1e-15)


@pytest.mark.filterwarnings("ignore::mixedpy.RankDeficiencyWarning")
@pytest.mark.parametrize("type", ["I", "II", "III"])
@each_case
def test_anova(reference: InferenceCase, type: str):
    assert_f_table(fit_of(reference).anova(type), reference["anova"][type])


@pytest.mark.filterwarnings("ignore::mixedpy.RankDeficiencyWarning")
@each_kenward_roger
def test_anova_by_kenward_roger(reference: InferenceCase):
    assert_f_table(fit_of(reference).anova(3, "kenward-roger"), reference["anova_kr"])


@each_case
def test_drop1(reference: InferenceCase):
    if reference.has("drop1"):
        assert_f_table(fit_of(reference).drop1(), reference["drop1"])


@each_case
def test_conditional_aic(reference: InferenceCase):
    """cAIC4 1.0 has a factor 1/2 too many in one term; with that factor put in, its numbers come out.

    It also mistakes weights, offsets and models of three effects per level, and leaves out the residual variance where
    all other variances are zero; where a correlation is one it refits a smaller model. What is right there is tested by
    refitting (``tests/inference/test_caic.py``).
    """
    if not reference.has("caic"):
        pytest.skip("cAIC4 gives no number")
    fit = fit_of(reference)
    found, wanted = fit.caic(), reference["caic"]
    assert found["caic"] == pytest.approx(-2 * found["loglik"] + 2 * found["df"])
    three_effects = max(t.m for t in fit.design.terms) > 2
    if fit.design.weights is not None or fit.design.offset is not None or fit.singular or three_effects:
        return
    assert found["loglik"] == pytest.approx(wanted["loglik"], abs=tol.CAIC_ATOL / 10)
    slipped = slip(fit)
    assert slipped == pytest.approx(wanted["df"], abs=tol.CAIC_ATOL / 2)
    assert found["df"] < slipped


def slip(fit: mp.LmmFit) -> float:
    """Effective degrees of freedom with the second term of C halved."""
    blocks = blocks_of(fit)
    found, tau, p = blocks.blocks, blocks.tau, blocks.p
    q, PXf = found.P[:, p, p], found.P[:, :p, p]
    M = found.Q[:, :, p, p] - PXf @ found.S_inverse @ PXf.T
    extra = blocks.jacobian.T @ (0.5 * np.outer(q, q - tau @ M) / found.r2) @ blocks.jacobian
    nu = blocks.n - (p if blocks.reml else 0)
    B = 0.5 * found.r2 / nu * blocks.expansion.profiled
    return effective_df(blocks) + float(np.trace(np.linalg.solve(B, extra)))


@each_case
def test_r2_and_icc(reference: InferenceCase):
    """performance 0.10.2 takes the first of several terms of one factor only, and effects only that X has as well."""
    fit = fit_of(reference)
    groups = [t.group for t in fit.schema.terms]
    fixed = set(fit.schema.fixed_names)
    if len(set(groups)) < len(groups) or any(set(t.effects) - fixed - {"(Intercept)"} for t in fit.schema.terms):
        pytest.skip("performance leaves out effects")
    if (
        not reference.has("r2")
        or numbers([reference["r2"]["conditional"]])[0] != numbers([reference["r2"]["conditional"]])[0]
    ):
        pytest.skip("performance gives no number")
    found, wanted = fit.r2(), reference["r2"]
    assert found["marginal"] == pytest.approx(wanted["marginal"], abs=tol.R2_ATOL)
    assert found["conditional"] == pytest.approx(wanted["conditional"], abs=tol.R2_ATOL)
    assert fit.icc() == pytest.approx(reference["icc"]["adjusted"], abs=tol.R2_ATOL)
    assert fit.icc(adjusted=False) == pytest.approx(reference["icc"]["unadjusted"], abs=tol.R2_ATOL)


@each_case
def test_ranova(reference: InferenceCase):
    """R refits reduced models by default settings, which may stop short of the optimum, and never passes it."""
    if not reference.has("ranova"):
        pytest.skip("lmerTest gives no table")
    wanted = reference["ranova"]
    found = fit_of(reference).ranova()
    assert list(found.index) == wanted["term"]
    # R reduces (0 + Days | Subject) to (1 | Subject), which is no smaller model; here the term is left out
    smaller = numbers(wanted["Df"]) != 0
    assert_allclose(found["npar"][smaller], numbers(wanted["npar"])[smaller])
    excess = (found["logLik"].to_numpy() - numbers(wanted["logLik"]))[smaller]
    assert excess.min() > -1e-6
    assert excess.max() < 5e-3
    assert_allclose(found["LRT"][smaller], numbers(wanted["LRT"])[smaller], atol=1e-2)


@pytest.mark.filterwarnings("ignore::mixedpy.MixedpyWarning")
@each_printed
def test_print_outs(reference: InferenceCase):
    fit = fit_of(reference)
    for text, wanted in printed_pairs(fit, reference):
        assert_printed(text, wanted)


@pytest.mark.filterwarnings("ignore::mixedpy.MixedpyWarning")
def test_print_outs_equal_r_character_by_character():
    pairs = [pair for case in INFERENCE if case.has("printed") for pair in printed_pairs(fit_of(case), case)]
    equal = sum(text == wanted for text, wanted in pairs)
    assert equal >= 0.9 * len(pairs) >= 60


def printed_pairs(fit: mp.LmmFit, reference: InferenceCase) -> list[tuple[str, str]]:
    """Our print-outs and R's, where R has some."""
    makers = {
        "summary": lambda: MISSING.sub("", str(fit.summary())),
        "summary_kr": lambda: MISSING.sub("", str(fit.summary("kenward-roger"))),
        "anova": lambda: str(fit.anova()),
        "anova2": lambda: str(fit.anova(2)),
        "anova_kr": lambda: str(fit.anova(3, "kenward-roger")),
        "drop1": lambda: str(fit.drop1()),
        "ranova": lambda: str(fit.ranova()),
    }
    pairs = []
    for kind, lines in reference["printed"].items():
        text = "\n".join(lines)
        if NUMBER.search(text):
            pairs.append((makers[kind](), text))
    return pairs
