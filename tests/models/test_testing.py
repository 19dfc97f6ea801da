"""Tests of hypotheses through the fit's methods: what is accepted, what is refused, and what must agree."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import chi2, norm

import mixedpy as mp
from mixedpy.inference.combinations import combination_of
from mixedpy.models.memo import blocks_of
from mixedpy.models.printed import AnovaTable


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    frame = mp.datasets.load("sleepstudy")
    frame["day"] = frame["Days"].astype(int).astype("category")
    return frame


@pytest.fixture(scope="module")
def fit(sleep) -> mp.LmmFit:
    return mp.lmer("Reaction ~ Days + (Days | Subject)", sleep)


@pytest.fixture(scope="module")
def cake() -> mp.LmmFit:
    return mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", mp.datasets.load("cake"))


# --- contrasts


def test_a_term_that_was_left_out_has_no_contrast(sleep):
    with pytest.warns(mp.RankDeficiencyWarning):
        fit = mp.lmer("Reaction ~ Days + double + (1 | Subject)", sleep.assign(double=2 * sleep["Days"]))
    with pytest.raises(
        mp.DataError, match="'double' has no coefficient in the fit, since its columns depend on others"
    ):
        fit.contrast("double")
    with pytest.raises(mp.MixedpyError, match="'double' has no coefficient in the fit"):
        fit.power("double", 10)


@pytest.mark.parametrize("L", ["Days", {"Days": 1}, [1.0]])
def test_a_model_without_fixed_effects_has_no_contrast(sleep, L):
    with pytest.raises(mp.DataError, match="the model has n"):
        mp.lmer("Reaction ~ 0 + (1 | Subject)", sleep).contrast(L)


def test_contrasts_may_be_given_in_several_ways(fit):
    wanted = fit.contrast(np.array([1.0, 9.0]))
    ways = [[1, 9], {"(Intercept)": 1, "Days": 9}, pd.Series({"Days": 9.0, "(Intercept)": 1.0})]
    for L in ways:
        assert_allclose(fit.contrast(L), wanted)
    named = fit.contrast(["Days", {"(Intercept)": 1, "Days": 9}])
    assert list(named.index) == ["Days", "L2"]
    assert_allclose(named.iloc[1], wanted.iloc[0])
    framed = fit.contrast(pd.DataFrame({"(Intercept)": [1.0], "Days": [9.0]}, index=["last day"]))
    assert list(framed.index) == ["last day"]
    assert_allclose(fit.contrast("Days")["Estimate"], fit.fixef["Days"])


def test_contrasts_of_coefficients_are_the_summary(fit):
    for ddf in ("satterthwaite", "kenward-roger"):
        found = fit.contrast(np.eye(2), ddf)
        wanted = fit.summary(ddf).tables["fixed"]
        assert_allclose(found[wanted.columns], wanted)
        assert_allclose(found["upper"] - found["Estimate"], found["Estimate"] - found["lower"])


def test_contrasts_may_be_written_as_sums(cake):
    names = list(cake.fixef.index)
    unit = np.eye(len(names))
    long = "recipeB:temperature^5"
    for text, L in (
        ("recipeB - recipeC", unit[1] - unit[2]),
        (f"(Intercept) + 0.5*{long}", unit[0] + 0.5 * unit[names.index(long)]),
        (f"-(recipeB + {long})/2", -0.5 * (unit[1] + unit[names.index(long)])),
        ("+ 2 * recipeB * 3 - - recipeC", 6 * unit[1] + unit[2]),
    ):
        found = cake.contrast(text)
        assert_allclose(found, cake.contrast(L))
        assert list(found.index) == [text]


@given(weights=st.lists(st.floats(-9, 9).map(lambda x: round(x, 3)), min_size=5, max_size=5).filter(any))
def test_a_sum_is_read_as_it_is_written(weights):
    names = ["(Intercept)", "Ab", "Ab:Bv", "I(x^2)", "poly(x, 2)1"]
    text = " + ".join(f"({weight!r}) * {name}" for weight, name in zip(weights, names, strict=True))
    assert_allclose(combination_of(text, names), weights)


def test_a_term_is_all_its_coefficients(cake):
    term = cake.contrast("recipe")
    assert list(term.index) == ["recipeB", "recipeC"]
    assert_allclose(cake.contrast("recipe", joint=True), cake.contrast(np.eye(18)[1:3], joint=True))
    assert list(cake.contrast("recipe", joint=True).index) == ["recipe"]
    own = cake.contrast("recipe:temperature", joint=True).iloc[0]
    assert_allclose(own, cake.drop1().iloc[0])


def test_contrasts_may_have_names(fit):
    found = fit.contrast({"day 9": {"(Intercept)": 1, "Days": 9}, "slope": "Days", "start": [1, 0]})
    assert list(found.index) == ["day 9", "slope", "start"]
    assert_allclose(found, fit.contrast([[1, 9], [0, 1], [1, 0]]))


def test_without_degrees_of_freedom_tests_are_walds(cake):
    found = cake.contrast("recipe", None)
    assert list(found.columns) == ["Estimate", "Std. Error", "z value", "lower", "upper", "Pr(>|z|)"]
    assert_allclose(found["Pr(>|z|)"], 2 * norm.sf(np.abs(found["z value"])))
    joint = cake.contrast("recipe", None, joint=True)
    assert list(joint.columns) == ["Chisq", "Df", "Pr(>Chisq)"]
    F = cake.contrast("recipe", joint=True)
    assert joint["Chisq"].item() == pytest.approx(2 * F["F value"].item())
    assert joint["Pr(>Chisq)"].item() == pytest.approx(chi2.sf(joint["Chisq"].item(), 2))
    assert "Wald chisquare" in str(joint)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.contrast([0, 0]), "L is zero"),
        (lambda f: f.contrast([[1, 0], [0, 0]], joint=True), "L2 is zero"),
        (lambda f: f.contrast("Days - Days"), "Days - Days is zero"),
        (lambda f: f.contrast("Days - day"), "no fixed effect 'day'"),
        (lambda f: f.contrast("Days - 3"), "without a coefficient.*rhs="),
        (lambda f: f.contrast("Days * Days"), "not linear"),
        (lambda f: f.contrast("2 / Days"), "not linear"),
        (lambda f: f.contrast("Days Days"), "cannot be read at 'Days'"),
        (lambda f: f.contrast("(Days"), "cannot be read at the end"),
        (lambda f: f.contrast("-" * 500 + "Days"), "cannot be read"),
        (lambda f: f.contrast("Days" + " + Days" * 500), "characters"),
        (lambda f: f.contrast({"two": [[1, 0], [0, 1]]}), "'two' has 2 rows"),
        (lambda f: f.contrast({}), "L is zero"),
        (lambda f: f.contrast("Days", level=[0.9, 0.95]), "one number"),
        (lambda f: f.contrast([1, 2, 3]), r"L has 3 columns; it takes 2 numbers a row.*\(Intercept\), Days"),
        (lambda f: f.contrast([[1], [2]]), "L has 1 columns"),
        (lambda f: f.contrast("days"), "no fixed effect 'days'"),
        (lambda f: f.contrast({"Day": 1}), "no fixed effect 'Day'"),
        (lambda f: f.contrast([1, np.nan]), "not finite"),
        (lambda f: f.contrast({"Days": np.inf}), "not finite"),
        (lambda f: f.contrast([[1, 0], [0, 1]], rhs=[1, 2, 3]), r"rhs has shape \(3,\).*2 rows"),
        (lambda f: f.contrast([None, "x"]), "L has 1 columns"),
        (lambda f: f.contrast([[1, 0], [1]]), "cannot be read as numbers"),
        (lambda f: f.contrast("Days", level=1.0), r"level=1.0"),
        (lambda f: f.contrast("Days", "wald"), "ddf='wald' is unknown.*'kenward-roger'"),
        (lambda f: f.summary("none"), "ddf='none'"),
        (lambda f: f.summary(3), "ddf=3"),
        (lambda f: f.anova(4), "type=4 is unknown; use 1, 2 or 3"),
        (lambda f: f.anova("b"), "type='b'"),
        (lambda f: f.drop1("Day"), "'Day' cannot be dropped.*'Days'"),
    ],
)
def test_bad_input(fit, call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(fit)


def test_methods_may_be_written_in_any_case(fit):
    assert_allclose(fit.contrast("Days", "Kenward-Roger"), fit.contrast("Days", "kenward-roger"))


def test_kenward_roger_needs_reml(fit):
    ml = fit.update(reml=False)
    for call in (ml.summary, lambda ddf: ml.anova(ddf=ddf), lambda ddf: ml.contrast("Days", ddf)):
        with pytest.raises(mp.MixedpyError, match=r"update\(reml=True\)"):
            call("kenward-roger")


# --- F tables


def test_the_table_is_a_data_frame(cake):
    table = cake.anova()
    assert isinstance(table, AnovaTable)
    assert list(table.columns) == ["Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "Pr(>F)"]
    assert list(table.index) == ["recipe", "temperature", "recipe:temperature"]
    assert str(table).startswith("Type III Analysis of Variance Table with Satterthwaite's method\n")
    assert "<table" in table._repr_html_()
    assert type(table.loc[["recipe"]]) is pd.DataFrame
    assert type(table.round(2)) is pd.DataFrame


def test_types_may_be_written_as_numbers_or_romans(cake):
    assert_allclose(cake.anova(2), cake.anova("II"))
    assert_allclose(cake.anova(1), cake.anova("1"))
    assert "Type I " in str(cake.anova(1))


def test_types_agree_on_balanced_data(cake):
    assert_allclose(cake.anova(1), cake.anova(3), rtol=1e-6)
    assert_allclose(cake.anova(2), cake.anova(3), rtol=1e-6)


def test_type_three_does_not_depend_on_the_coding():
    data = mp.datasets.load("cake").drop(index=[1, 40, 41, 200])
    formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"
    wanted = mp.lmer(formula, data).anova(3)
    for coding in ("sum", "helmert", "poly", "sdif"):
        found = mp.lmer(formula, data, contrasts={"recipe": coding, "temperature": coding}).anova(3)
        assert_allclose(found, wanted, rtol=1e-3)
        assert_allclose(found["F value"], wanted["F value"], rtol=1e-5)


def test_type_one_depends_on_the_order_of_the_terms():
    data = mp.datasets.load("cake").drop(index=range(10))
    one = mp.lmer("angle ~ recipe + temperature + (1 | recipe:replicate)", data)
    other = mp.lmer("angle ~ temperature + recipe + (1 | recipe:replicate)", data)
    assert one.anova(1).loc["recipe", "F value"] != pytest.approx(other.anova(1).loc["recipe", "F value"], rel=1e-4)
    assert one.anova(2).loc["recipe", "F value"] == pytest.approx(other.anova(2).loc["recipe", "F value"], rel=1e-4)


def test_empty_cells_are_named():
    cake = mp.datasets.load("cake")
    data = cake[(cake["recipe"] != "A") | (cake["temperature"] != "175")]
    with pytest.warns(mp.RankDeficiencyWarning):
        fit = mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", data)
    with pytest.warns(mp.RankDeficiencyWarning, match="recipeA:temperature175"):
        fit.anova()


@pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")
def test_a_spline_is_one_term(sleep):
    fit = mp.lmer("Reaction ~ ns(Days, df = 3) * Subject + (1 | day)", sleep)
    table = fit.anova()
    assert table["NumDF"].tolist() == [3, 17, 51]
    assert np.isfinite(table["F value"]).all()


def test_terms_of_a_fit_without_fixed_effects(sleep):
    fit = mp.lmer("Reaction ~ 1 + (1 | Subject)", sleep)
    assert fit.anova().empty
    assert fit.drop1().empty
    assert "Type III" in str(fit.anova())


# --- covariance structures


def test_structures_that_are_the_same_model_have_the_same_degrees_of_freedom(sleep):
    pairs = [
        ("(Days | Subject)", "cs(1 + Days | Subject)"),
        ("(Days || Subject)", "diag(1 + Days | Subject)"),
        ("(1 | Subject)", "cs(0 + day | Subject, hom = TRUE)"),
    ]
    control = mp.Control(tol=1e-12)
    for one, other in pairs:
        a = mp.lmer(f"Reaction ~ Days + {one}", sleep, control=control)
        b = mp.lmer(f"Reaction ~ Days + {other}", sleep, control=control)
        if one == "(1 | Subject)":  # the residual of one is the sum of two variances of the other: the ridge is flat
            assert_allclose(b.summary().tables["fixed"]["df"], a.summary().tables["fixed"]["df"], rtol=1e-3)
            continue
        for ddf in ("satterthwaite", "kenward-roger"):
            assert_allclose(b.summary(ddf).tables["fixed"], a.summary(ddf).tables["fixed"], rtol=1e-4)
        assert_allclose(b.caic(), a.caic(), rtol=1e-5)


def test_autoregression_is_linearized(sleep):
    fit = mp.lmer("Reaction ~ Days + ar1(0 + day | Subject)", sleep)
    table, plain = fit.summary("kenward-roger").tables["fixed"], fit.summary().tables["fixed"]
    assert np.all(table["Std. Error"] > plain["Std. Error"])
    assert_allclose(table["df"], plain["df"], rtol=0.1)


# --- random terms


@pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")
def test_ranova_of_structures_and_factors(sleep):
    table = mp.lmer("Reaction ~ Days + cs(1 + Days | Subject) + (1 | day)", sleep).ranova()
    assert list(table.index) == ["<none>", "Days in cs(1 + Days | Subject)", "(1 | day)"]
    assert table["Df"].tolist()[1:] == [2, 1]
    whole = mp.lmer("Reaction ~ Days + (Days | Subject)", sleep).ranova(reduce_terms=False)
    assert list(whole.index) == ["<none>", "(Days | Subject)"]
    assert whole["Df"].tolist()[1:] == [3]


@pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")
@pytest.mark.parametrize(
    ("bar", "covariances", "rows"),
    [
        ("(0 + temperature | replicate)", {"replicate": "diag"}, {"temperature in (0 + temperature | replicate)": 4}),
        ("diag(0 + temperature | replicate)", None, {"temperature in diag(0 + temperature | replicate)": 4}),
        ("(0 + temperature | replicate)", {"replicate": "cs"}, {"temperature in (0 + temperature | replicate)": 5}),
        ("(1 + temp | replicate)", {"replicate": "diag"}, {"temp in (1 + temp | replicate)": 5}),
        ("diag(1 + temp | replicate, hom = TRUE)", None, {"diag(1 + temp | replicate, hom = TRUE)": 4}),
        (
            "(temp || replicate)",
            {"replicate.1": "diag"},
            {"(1 | replicate)": 5, "temp in (0 + temp | replicate)": 5},
        ),
    ],
)
def test_ranova_compares_nested_models(bar, covariances, rows):
    fit = mp.lmer(f"angle ~ recipe + {bar}", mp.datasets.load("cake"), covariances=covariances)
    table = fit.ranova()
    assert dict(zip(table.index[1:], table["npar"][1:], strict=True)) == rows
    assert (table["LRT"][1:] > -1e-5).all()
    if 4 in rows.values():
        alone = mp.lmer("angle ~ recipe + (1 | replicate)", mp.datasets.load("cake")).ranova().iloc[1]
        assert_allclose(table["logLik"].iloc[1], alone["logLik"])


def test_ranova_against_the_linear_model(sleep):
    fit = mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, reml=False)
    X = np.column_stack([np.ones(180), sleep["Days"]])
    residual = sleep["Reaction"] - X @ np.linalg.lstsq(X, sleep["Reaction"], rcond=None)[0]
    loglik = -90.0 * (np.log(2 * np.pi * np.mean(residual**2)) + 1)
    assert fit.ranova().loc["(1 | Subject)", "logLik"] == pytest.approx(loglik)


@pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")
def test_ranova_needs_the_same_rows(sleep):
    holes = sleep.assign(batch=np.where(np.arange(180) < 5, None, np.repeat(list("abc"), 60)))
    fit = mp.lmer("Reaction ~ Days + (1 | Subject) + (1 | batch)", holes)
    with pytest.raises(mp.DataError, match="180 rows can be used, not the 175"):
        fit.ranova()


def test_ranova_of_a_refit_is_refused(fit, sleep):
    with pytest.raises(mp.MixedpyError, match=r"refit\(\)"):
        fit.refit(sleep["Reaction"] * 2).ranova()


# --- explained variance


def test_shares_of_variance_add_up(fit):
    table = fit.variance_explained()
    assert table["share"].sum() == pytest.approx(1.0)
    assert table.loc["fixed", "share"].sum() == pytest.approx(fit.r2()["marginal"])
    assert 1.0 - table.loc[("residual", "Residual"), "share"] == pytest.approx(fit.r2()["conditional"])
    assert fit.icc_by_term().sum() == pytest.approx(fit.icc())
    assert fit.icc_by_term(adjusted=False).sum() == pytest.approx(fit.icc(adjusted=False))
    assert fit.r2()["conditional"] - fit.r2()["marginal"] == pytest.approx(fit.icc(adjusted=False))


# --- the cache


def test_blocks_are_computed_once_and_die_with_the_fit(sleep):
    fit = mp.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    blocks = blocks_of(fit)
    fit.summary()
    fit.anova(3, "kenward-roger")
    assert blocks_of(fit) is blocks
    dead = weakref.ref(blocks.tau)
    del blocks, fit
    gc.collect()
    assert dead() is None


def test_an_equal_fit_has_blocks_of_its_own(sleep):
    one, other = (mp.lmer("Reaction ~ Days + (1 | Subject)", sleep) for _ in range(2))
    assert blocks_of(one) is not blocks_of(other)
