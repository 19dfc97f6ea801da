"""Predictions and simulated responses."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal, assert_series_equal

import mixedpy as mp

SLOPE = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture
def sleep() -> pd.DataFrame:
    return mp.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def fit() -> mp.LmmFit:
    return mp.lmer(SLOPE, mp.datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def crossed() -> mp.LmmFit:
    return mp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mp.datasets.load("Penicillin"))


def test_prediction_of_the_rows_of_the_fit_is_fitted(fit, sleep):
    assert_series_equal(fit.predict(), fit.fitted)
    assert_allclose(fit.predict(sleep), fit.fitted, rtol=1e-12)
    assert_series_equal(fit.predict(type="response"), fit.predict(type="link"))


@pytest.mark.parametrize("none", ["NA", mp.NA, "~0", "~ 0"])
def test_prediction_without_random_effects(fit, sleep, none):
    wanted = fit.fixef.iloc[0] + fit.fixef["Days"] * sleep["Days"]
    assert_allclose(fit.predict(re_form=none), wanted)
    assert_allclose(fit.predict(sleep[["Days"]], re_form=none), wanted)


@pytest.mark.parametrize("text", ["~ (1 | Subject)", "(1 | Subject)", "~(1|Subject)"])
def test_prediction_with_some_effects_of_a_term(fit, sleep, text):
    intercepts = fit.ranef()["Subject"]["(Intercept)"].loc[sleep["Subject"]].to_numpy()
    wanted = fit.predict(re_form="NA") + intercepts
    assert_allclose(fit.predict(re_form=text), wanted)
    assert_allclose(fit.predict(sleep, re_form=text), wanted)


def test_prediction_with_some_terms(crossed):
    data = mp.datasets.load("Penicillin")
    plate = crossed.ranef()["plate"]["(Intercept)"].loc[data["plate"]].to_numpy()
    wanted = crossed.fixef.iloc[0] + plate
    assert_allclose(crossed.predict(re_form="~ (1 | plate)"), wanted)
    assert_allclose(crossed.predict(data[["plate"]], re_form="~ (1 | plate)"), wanted)
    both = crossed.predict(data, re_form="~ (1 | sample) + (1 | plate)")
    assert_allclose(both, crossed.fitted, rtol=1e-12)


def test_some_effects_of_terms_that_share_a_grouping_factor(sleep):
    fit = mp.lmer("Reaction ~ Days + (Days || Subject)", sleep)
    slopes = fit.ranef()["Subject"]["Days"].loc[sleep["Subject"]].to_numpy() * sleep["Days"]
    assert_allclose(fit.predict(re_form="~ (0 + Days | Subject)"), fit.predict(re_form="NA") + slopes)
    assert_allclose(fit.predict(re_form="~ (Days | Subject)"), fit.fitted)


def test_some_effects_of_a_factor():
    fit = mp.lmer(
        "angle ~ recipe + (recipe | replicate)", mp.datasets.load("cake"), control=mp.Control(singular_tol=0.0)
    )
    assert_allclose(fit.predict(re_form="~ (recipe | replicate)"), fit.fitted)


@pytest.mark.parametrize(
    ("re_form", "said"),
    [
        ("~ (1 | Days)", "Days"),
        ("~ (Reaction | Subject)", "Reaction"),
        ("~ Days + (1 | Subject)", "random"),
        ("~ (1 | Subject", r"\("),
        ("Subject", "random"),
    ],
)
def test_re_form_that_the_fit_does_not_have(fit, re_form, said):
    with pytest.raises(mp.FormulaError, match=said):
        fit.predict(re_form=re_form)


@pytest.mark.parametrize("re_form", [5, float("nan"), True])
def test_re_form_of_the_wrong_type(fit, re_form):
    with pytest.raises(TypeError, match="re_form"):
        fit.predict(re_form=re_form)


def test_index_of_the_new_rows_is_kept(fit):
    new = pd.DataFrame({"Days": [0.0, 20.0], "Subject": ["308", "309"]}, index=["a", "b"])
    assert list(fit.predict(new).index) == ["a", "b"]
    assert fit.predict(new)["b"] == pytest.approx(fit.coef()["Subject"].loc["309"] @ [1.0, 20.0])


def test_unseen_and_missing_levels(fit):
    new = pd.DataFrame({"Days": [1.0, 1.0, 1.0, 1.0], "Subject": ["308", "nobody", None, "nobody else"]})
    with pytest.raises(mp.DataError, match=r"'Subject'.*'nobody', 'nobody else'.*1 row"):
        fit.predict(new)
    prediction = fit.predict(new, allow_new_levels=True)
    assert prediction[0] == pytest.approx(fit.coef()["Subject"].loc["308"].sum())
    assert prediction[1:].tolist() == pytest.approx([fit.fixef.sum()] * 3)
    assert_allclose(fit.predict(new, re_form="NA"), fit.fixef.sum())


def test_missing_values_give_missing_predictions(fit):
    new = pd.DataFrame({"Days": [1.0, np.nan], "Subject": ["308", "308"]})
    for re_form in (None, "NA"):
        assert fit.predict(new, re_form=re_form).isna().tolist() == [False, True]


def test_column_that_new_data_lack(fit):
    with pytest.raises(mp.DataError, match="Days"):
        fit.predict(pd.DataFrame({"Subject": ["308"]}))
    with pytest.raises(mp.DataError, match="Subject"):
        fit.predict(pd.DataFrame({"Days": [1.0]}))


def test_levels_of_factors_in_new_data():
    fit = mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", mp.datasets.load("cake"))
    cake = mp.datasets.load("cake")
    some = cake.iloc[[200, 3, 77]].astype({"recipe": str, "temperature": str, "replicate": str})
    assert_allclose(fit.predict(some), fit.fitted.iloc[[200, 3, 77]], rtol=1e-12)
    with pytest.raises(mp.DataError, match=r"recipe.*'Z'|'Z'.*recipe"):
        fit.predict(some.assign(recipe="Z"), allow_new_levels=True)


def test_values_of_the_wrong_type(fit):
    with pytest.raises(mp.DataError, match=r"`Days` is numeric in the model .* 'one', 'two'; convert"):
        fit.predict(pd.DataFrame({"Days": ["one", "two"], "Subject": ["308", "308"]}))


def test_dropped_columns_stay_dropped(sleep):
    with pytest.warns(mp.RankDeficiencyWarning, match="twice"):
        fit = mp.lmer("Reaction ~ Days + twice + (1 | Subject)", sleep.assign(twice=2 * sleep["Days"]))
    assert list(fit.fixef.index) == ["(Intercept)", "Days"]
    assert_allclose(fit.predict(sleep.assign(twice=0.0)), fit.fitted, rtol=1e-12)


def test_offset_in_the_formula_is_made_anew(sleep):
    fit = mp.lmer("Reaction ~ Days + offset(2 * Days) + (Days | Subject)", sleep)
    new = pd.DataFrame({"Days": [30.0], "Subject": ["308"]})
    assert fit.predict(new)[0] == pytest.approx(fit.coef()["Subject"].loc["308"] @ [1.0, 30.0] + 60.0)
    assert_allclose(fit.predict(sleep), fit.fitted, rtol=1e-12)


def test_offset_column_is_read_from_new_data(sleep):
    sleep["known"] = 2 * sleep["Days"]
    fit = mp.lmer(SLOPE, sleep, offset="known")
    assert_allclose(fit.predict(sleep), fit.fitted, rtol=1e-12)
    with pytest.raises(mp.DataError, match="known"):
        fit.predict(sleep.drop(columns="known"))


def test_offset_array_cannot_be_read_from_new_data(sleep):
    fit = mp.lmer(SLOPE, sleep, offset=np.arange(180.0))
    assert_allclose(fit.predict(), fit.fitted)
    with pytest.raises(mp.DataError, match="offset"):
        fit.predict(sleep)


def test_unknown_scale(fit):
    with pytest.raises(ValueError, match="type"):
        fit.predict(type="terms")


# --- simulate


def test_simulations_are_repeatable(fit):
    a, b = fit.simulate(3, seed=11), fit.simulate(3, seed=11)
    assert_frame_equal(a, b)
    assert list(a.columns) == ["sim_1", "sim_2", "sim_3"]
    assert list(a.index) == list(fit.fitted.index)
    assert_frame_equal(fit.simulate(3, seed=np.random.default_rng(11)), a)
    assert not np.allclose(fit.simulate(3, seed=12), a)
    assert not np.allclose(fit.simulate(3), fit.simulate(3))


def test_moments_of_the_marginal_simulations(fit, sleep):
    nsim = 4000
    y = fit.simulate(nsim, seed=5).to_numpy()
    Z = np.column_stack([np.ones(180), sleep["Days"]])
    same = (sleep["Subject"].to_numpy()[:, None] == sleep["Subject"].to_numpy()).astype(float)
    V = Z @ fit.varcorr()["Subject"].to_numpy() @ Z.T * same + fit.sigma**2 * np.eye(180)
    error = (y.mean(axis=1) - fit.predict(re_form="NA")) / np.sqrt(np.diag(V) / nsim)
    assert np.abs(error).max() < 5
    cov = np.cov(y)
    assert np.abs((cov - V) / np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / nsim)).max() < 6


def test_moments_of_the_conditional_simulations(sleep):
    sleep["w"] = np.linspace(0.5, 4, 180)
    fit = mp.lmer(SLOPE, sleep, weights="w")
    for newdata in (None, sleep):
        y = fit.simulate(4000, seed=6, re_form=None, newdata=newdata).to_numpy()
        sd = fit.sigma / np.sqrt(sleep["w"])
        assert np.abs((y.mean(axis=1) - fit.fitted) / (sd / np.sqrt(4000))).max() < 5
        assert_allclose(y.std(axis=1), sd, rtol=0.1)


def test_terms_named_in_re_form_are_held(crossed):
    data = mp.datasets.load("Penicillin")
    held = crossed.simulate(3000, seed=7, re_form="~ (1 | plate)").mean(axis=1)
    sd = np.hypot(crossed.sigma, crossed.varcorr().to_frame()["sdcor"][1]) / np.sqrt(3000)
    assert np.abs(held - crossed.predict(re_form="~ (1 | plate)")).max() < 5 * sd
    assert len(held) == len(data)


def test_simulated_responses_can_be_refitted(fit):
    again = fit.refit(fit.simulate(1, seed=2)["sim_1"])
    assert again.converged
    assert again.sigma == pytest.approx(fit.sigma, rel=0.3)


def test_new_levels_are_drawn_together(fit):
    new = pd.DataFrame({"Days": [0.0] * 4, "Subject": ["new", "new", "other", "308"]})
    y = fit.simulate(4000, seed=8, newdata=new).to_numpy()
    corr = np.corrcoef(y)
    wanted = fit.varcorr()["Subject"].iloc[0, 0] / (fit.varcorr()["Subject"].iloc[0, 0] + fit.sigma**2)
    assert corr[0, 1] == pytest.approx(wanted, abs=0.1)
    assert np.abs(corr[np.ix_([0, 1], [2, 3])]).max() < 0.1
    with pytest.raises(mp.DataError, match="'new', 'other'"):
        fit.simulate(1, newdata=new, re_form=None)
    with pytest.raises(mp.DataError, match="missing"):
        fit.simulate(1, newdata=new.assign(Subject=None))


def test_part_of_a_term_cannot_be_held(fit):
    with pytest.raises(ValueError, match="Subject"):
        fit.simulate(1, re_form="~ (1 | Subject)")


def test_number_of_simulations(fit):
    for nsim in (0, -1, 2.5, "2"):
        with pytest.raises(ValueError, match="nsim"):
            fit.simulate(nsim)
