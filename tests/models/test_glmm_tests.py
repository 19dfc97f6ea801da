"""Tests of generalized fits against car, lme4 and emmeans, at R's own estimates and covariance matrices."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import mixedpy as mp
from tests.glmm_cases import REFERENCE

GIVEN = json.loads((REFERENCE / "glmm_tests_reference.json").read_text())
CASES, ALONE = GIVEN["cases"], GIVEN["alone"]
HERD = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def frame(name: str) -> pd.DataFrame:
    data = mp.datasets.load(name)
    return data.assign(nutrient=data["nutrient"].astype(str)) if name == "Arabidopsis" else data


@cache
def own_fit(name: str, coding: str | None = None) -> mp.GlmmFit:
    case = CASES[name]
    contrasts = None if coding is None else dict.fromkeys(case["factors"], coding)
    family = f"{case['family']}({case['link']})"
    return mp.glmer(case["formula"], frame(case["data"]), family=family, laplace="expected", contrasts=contrasts)


def fit_of(name: str, coding: str | None = None) -> mp.GlmmFit:
    """The fit with R's fixed effects and their covariance matrix, which lme4 has from differences."""
    fit = own_fit(name, coding)
    given = CASES[name]["estimates" if coding is None else coding]
    beta, V = np.array(given["beta"]), np.array(given["vcov"])
    assert_allclose(fit.fixef, beta, atol=2e-3 * fit.se.max())
    assert_allclose(fit.vcov(), V, atol=0.03 * V.max())
    return replace(fit, record=replace(fit.record, beta=beta, vcov=V))


@pytest.mark.parametrize("name", sorted(CASES))
def test_wald_tables_are_cars(name: str) -> None:
    case = CASES[name]
    for found, wanted in (
        (fit_of(name).anova(2), case["type2"]),
        (fit_of(name, "sum").anova("III"), case["type3"]),
    ):
        assert list(found.index) == wanted["terms"]
        assert list(found.columns) == ["Chisq", "Df", "Pr(>Chisq)"]
        assert_allclose(found["Chisq"], wanted["chisq"], rtol=1e-6)
        assert_allclose(found["Df"], wanted["df"])
        assert_allclose(found["Pr(>Chisq)"], wanted["p"], rtol=1e-4, atol=1e-300)
    printed = [line.rstrip() for line in str(fit_of(name).anova(2)).splitlines()]
    assert printed == [line.rstrip() for line in case["type2_text"]]


@pytest.mark.parametrize("type", [1, 2, 3])
@pytest.mark.parametrize("name", ["ticks", "fruits"])
def test_types_do_not_depend_on_the_contrasts(name: str, type: int) -> None:
    wanted = own_fit(name).anova(type)
    for coding in ("sum", "helmert"):
        assert_allclose(own_fit(name, coding).anova(type)["Chisq"], wanted["Chisq"], rtol=1e-4)


def test_type_three_is_not_the_test_of_raw_coefficients() -> None:
    """With treatment contrasts those refer to the first year alone."""
    fit = own_fit("ticks")
    raw = fit.fixef["cHEIGHT"] ** 2 / fit.vcov().loc["cHEIGHT", "cHEIGHT"]
    assert abs(fit.anova().loc["cHEIGHT", "Chisq"] / raw - 1.0) > 0.1


def test_names_of_types() -> None:
    fit = own_fit("ticks")
    for names in ((1, "1", "I", "i"), (2, "2", "II"), (3, "3", "III")):
        first, *others = (fit.anova(name) for name in names)
        for other in others:
            assert str(other) == str(first)
    with pytest.raises(ValueError, match="type=4 is unknown; use 1, 2 or 3"):
        fit.anova(4)


def test_no_fixed_effects_and_dropped_columns() -> None:
    data = frame("cbpp")
    assert mp.glmer(HERD.replace("period", "0"), data).anova().empty
    twice = data.assign(again=data["period"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.RankDeficiencyWarning)
        table = mp.glmer(HERD.replace("period", "period + again"), twice).anova(1)
    wanted = mp.glmer(HERD, data).anova(1)
    assert_allclose(table.loc["period"], wanted.loc["period"], rtol=1e-6)
    assert table.loc["again"].isna().all()


def assert_numbers(found: pd.DataFrame, wanted: dict, atol: float = 1e-6) -> None:
    for name, values in wanted.items():
        if name == "contrast":
            assert list(found[name]) == values
        else:
            assert_allclose(found[name].to_numpy(float), np.array(values, float), rtol=1e-5, atol=atol)


@pytest.mark.parametrize("name", sorted(CASES))
def test_marginal_means_are_those_of_emmeans(name: str) -> None:
    fit, case = fit_of(name), CASES[name]
    means, response = fit.emmeans(case["specs"]), fit.emmeans(case["specs"], type="response")
    assert_numbers(means, case["means"])
    assert np.isinf(means["df"]).all()
    assert_numbers(response, case["means_response"])
    # R weighs combinations by numbers of rows where there are no trials
    if case["family"] == "poisson":
        assert_numbers(fit.emmeans(case["specs"], weights="proportional"), case["means_proportional"])
    tukey = 1e-5  # quadrature of the range
    assert_numbers(means.pairs(), case["pairs"], tukey)
    assert_numbers(response.pairs(), case["pairs_response"], tukey)
    assert_numbers(means.contrast("trt.vs.ctrl", adjust="bonferroni"), case["control"])
    assert_numbers(response.pairs().confint(), case["pairs_confint"], 1e-3)


@pytest.mark.parametrize("name", sorted(CASES))
def test_marginal_means_print_as_in_r(name: str) -> None:
    fit, case = fit_of(name), CASES[name]
    means, response = fit.emmeans(case["specs"]), fit.emmeans(case["specs"], type="response")
    for table, key in (
        (means, "means_text"),
        (response, "response_text"),
        (means.pairs(), "pairs_text"),
        (response.pairs(), "pairs_response_text"),
    ):
        lines = str(table).splitlines()
        if lines[0].startswith("NOTE: "):  # which R says on another channel
            assert "*" in case["formula"]
            lines = lines[1:]
        assert [line.rstrip() for line in lines] == [line.rstrip() for line in case[key]]


def test_slopes_and_joint_tests() -> None:
    fit, case = fit_of("ticks"), CASES["ticks"]
    assert_numbers(fit.emtrends("YEAR", "cHEIGHT"), case["trends"])
    for name in sorted(CASES):
        found, wanted = fit_of(name).joint_tests(), CASES[name]["joint_tests"]
        assert list(found["model term"]) == wanted["terms"]
        assert_allclose(found["F.ratio"], wanted["F"], rtol=2e-3)  # of what emmeans rounds
        assert_allclose(found["df1"], wanted["df"])


@pytest.mark.parametrize("name", sorted(CASES))
def test_joint_contrasts_are_cars(name: str) -> None:
    fit, wanted = fit_of(name), CASES[name]["joint"]
    found = fit.contrast(list(fit.fixef.index[1:3]), joint=True)
    assert_allclose(found.iloc[0], [wanted["chisq"], wanted["df"], wanted["p"]], rtol=1e-5, atol=1e-300)
    single = fit.contrast(np.eye(len(fit.fixef)))
    assert_allclose(single["z value"], fit.fixef / fit.se)
    assert list(single.columns) == ["Estimate", "Std. Error", "z value", "lower", "upper", "Pr(>|z|)"]
    assert_allclose(single[["lower", "upper"]], fit.confint("wald", parm="beta_"))
    shifted = fit.contrast(fit.fixef.index[1], rhs=fit.fixef.iloc[1])
    assert abs(shifted["z value"].iloc[0]) < 1e-12
    with pytest.raises(mp.DataError, match="nothing"):
        fit.contrast("nothing")


@pytest.mark.parametrize("name", sorted(CASES))
def test_deletions_are_lme4s(name: str) -> None:
    fit, wanted = own_fit(name), CASES[name]["drop1"]
    found = fit.drop1()
    assert list(found.columns) == ["npar", "AIC", "LRT", "Pr(Chi)"]
    assert list(found.index) == wanted["terms"]
    for column, key in (("npar", "df"), ("AIC", "aic"), ("LRT", "lrt")):
        assert_allclose(found[column], np.array(wanted[key], float), atol=2e-3)
    assert_allclose(found["Pr(Chi)"], np.array(wanted["p"], float), rtol=5e-3)
    printed = [line.rstrip() for line in str(found).splitlines()]
    assert printed == [line.rstrip() for line in CASES[name]["drop1_text"]]


def test_what_may_be_dropped() -> None:
    fit = own_fit("fruits")
    assert list(fit.drop1("status").index) == ["<none>", "status"]
    with pytest.raises(mp.DataError, match="'amd' cannot be dropped on its own"):
        fit.drop1("amd")
    data = frame("cbpp")
    data.loc[3, "period"] = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        with pytest.raises(mp.DataError, match="drop1: without period 56 rows can be used, not the 55 of the fit"):
            mp.glmer(HERD, data).drop1()
    again = own_fit("cbpp").refit(own_fit("cbpp").design.y)
    for call in (again.drop1, again.ranova):
        with pytest.raises(mp.MixedpyError, match=r"comes from refit\(\).*call glmer\(\)"):
            call()


@pytest.mark.parametrize("name", sorted(CASES))
def test_random_terms_left_out(name: str) -> None:
    """Without its one random term a model is one of R's glm."""
    fit, case = own_fit(name), CASES[name]
    table = fit.ranova()
    assert table["logLik"].iloc[0] == pytest.approx(fit.loglik)
    assert table["logLik"].iloc[1] == pytest.approx(case["alone"], abs=1e-6)
    assert table["LRT"].iloc[1] == pytest.approx(2.0 * (fit.loglik - case["alone"]), abs=1e-5)
    assert table["Df"].iloc[1] == 1
    assert "Single term deletions" in str(table)


def test_random_effects_left_out_one_at_a_time() -> None:
    data = pd.read_csv(REFERENCE / "glmm_simulated.csv", dtype={"g": str, "h": str})
    formula = "count ~ x + z + (x | g) + (1 | h)"
    fit = mp.glmer(formula, data, family="poisson")
    table = fit.ranova()
    smaller = [formula.replace("(x |", "(1 |"), formula.replace(" + (1 | h)", "")]
    wanted = [fit, *(mp.glmer(one, data, family="poisson") for one in smaller)]
    assert_allclose(table["logLik"], [one.loglik for one in wanted], atol=1e-6)
    assert_allclose(table["npar"], [one.record.npar for one in wanted])
    assert list(table.index) == ["<none>", "x in (x | g)", "(1 | h)"]
    assert list(fit.ranova(reduce_terms=False).index[1:]) == ["(x | g)", "(1 | h)"]


@pytest.mark.parametrize("name", sorted(ALONE))
def test_families_with_parameters_of_their_own_without_random_effects(name: str) -> None:
    """Against glmmTMB without random effects."""
    family, ziformula = {"nbinom2": ("nbinom2", None), "zeros": ("poisson", "~ 1"), "gamma": ("gamma(log)", None)}[name]
    data = frame("grouseticks").query("TICKS > 0") if name == "gamma" else frame("grouseticks")
    table = mp.glmer("TICKS ~ YEAR + cHEIGHT + (1 | LOCATION)", data, family=family, ziformula=ziformula).ranova()
    assert table["logLik"].iloc[1] == pytest.approx(ALONE[name], abs=1e-5)
    assert table["Df"].iloc[1] == 1


def test_means_of_other_links_and_families() -> None:
    data = pd.read_csv(REFERENCE / "glmm_simulated.csv", dtype={"g": str, "h": str})
    data = data.assign(f=np.where(data["x"] > 0, "high", "low"))
    for family, response, column in [
        ("gamma(log)", "positive", "response"),
        ("gamma(inverse)", "positive", "response"),
        ("nbinom2", "overdispersed", "response"),
        ("zero_inflated_poisson", "count", "rate"),
        ("binomial(cauchit)", "binary", "prob"),
    ]:
        if response not in data:
            data[response] = np.exp(0.4 * data["x"] + np.random.default_rng(1).normal(size=len(data)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mp.MixedpyWarning)
            fit = mp.glmer(f"{response} ~ f + (1 | g)", data, family=family)
        link, means = fit.emmeans("f"), fit.emmeans("f", type="response")
        family_mean = fit.record.family.mu(link["emmean"].to_numpy())
        assert_allclose(means[column], family_mean)
        step = 1e-5
        slope = (fit.record.family.mu(link["emmean"] + step) - fit.record.family.mu(link["emmean"] - step)) / (2 * step)
        assert_allclose(means["SE"], np.abs(slope) * link["SE"], rtol=1e-6)
        limits = means[["asymp.LCL", "asymp.UCL"]].to_numpy()
        assert (limits[:, 0] < means[column]).all()
        assert (means[column] < limits[:, 1]).all()
        ratios = means.pairs()
        assert ("ratio" in ratios.columns) == (fit.link == "log")
    gaussian = mp.glmer("positive ~ f + (1 | g)", data, family="gaussian")
    pd.testing.assert_frame_equal(
        pd.DataFrame(gaussian.emmeans("f")), pd.DataFrame(gaussian.emmeans("f", type="response")), check_like=True
    )


def test_marginal_means_see_the_offset_and_the_table() -> None:
    data = frame("grouseticks").assign(area=lambda t: np.exp(0.1 * t["cHEIGHT"] / 10))
    fit = mp.glmer("TICKS ~ YEAR + offset(log(area)) + (1 | BROOD)", data, family="poisson")
    mean = np.log(data["area"]).mean()
    by_year = [fit.fixef["(Intercept)"], *(fit.fixef["(Intercept)"] + fit.fixef[["YEAR96", "YEAR97"]])]
    assert_allclose(fit.emmeans("YEAR")["emmean"], np.array(by_year) + mean)
    data["YEAR"] = "95"
    with pytest.raises(mp.DataError, match="table has been changed"):
        fit.emmeans("YEAR")
    for call in (lambda: fit.summary(ddf="satterthwaite"), lambda: fit.emmeans("YEAR", ddf="satterthwaite")):
        with pytest.raises((TypeError, ValueError), match="ddf"):
            call()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), numeric=st.booleans())
def test_no_type_depends_on_the_contrasts_in_random_designs(seed: int, numeric: bool) -> None:
    """Unbalanced factors with and without a numeric predictor between them."""
    rng = np.random.default_rng(seed)
    n = 240
    a, b = rng.choice(list("pqr"), n, p=[0.5, 0.3, 0.2]), rng.choice(list("uv"), n, p=[0.35, 0.65])
    g = rng.integers(0, 15, n)
    x = rng.normal(size=n) + (a == "q")
    eta = 0.5 + 0.4 * (a == "r") * (b == "u") + 0.3 * x + 0.5 * rng.normal(size=15)[g]
    data = pd.DataFrame({"y": rng.poisson(np.exp(eta)), "a": a, "b": b, "x": x, "g": g.astype(str)})
    formula = f"y ~ {'a * x + b' if numeric else 'a * b + x'} + (1 | g)"
    factors = ["a", "b"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.SingularFitWarning)
        fits = [
            mp.glmer(formula, data, family="poisson", contrasts=dict.fromkeys(factors, coding))
            for coding in ("treatment", "sum", "helmert")
        ]
    for type in (1, 2, 3):
        first, *others = (fit.anova(type)["Chisq"] for fit in fits)
        for other in others:
            assert_allclose(other, first, rtol=1e-4, atol=1e-6)
