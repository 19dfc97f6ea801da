"""The fit object: what its properties and methods return, and that nothing changes it."""

import copy
import pickle
from dataclasses import FrozenInstanceError

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
def gappy() -> pd.DataFrame:
    data = mp.datasets.load("sleepstudy").set_index(pd.Index([f"row{i}" for i in range(180)]))
    data.iloc[[3, 50], 0] = np.nan
    data.iloc[7, 1] = np.nan
    return data


def test_properties(fit):
    assert fit.formula == SLOPE
    assert fit.family == "gaussian"
    assert fit.nobs == 180
    assert fit.ngroups == {"Subject": 18}
    assert list(fit.theta.index) == ["Subject.(Intercept)", "Subject.Days.(Intercept)", "Subject.Days"]
    assert fit.converged
    assert not fit.singular
    assert fit.optinfo["status"] == "CONVERGED"
    assert fit.optinfo["evaluations"] == fit.convergence.evaluations
    assert fit.deviance == fit.reml_criterion == -2 * fit.loglik


def test_reml_criterion_of_a_fit_by_maximum_likelihood_is_an_error(sleep):
    ml = mp.lmer(SLOPE, sleep, reml=False)
    assert ml.deviance == pytest.approx(1751.939, abs=5e-4)
    with pytest.raises(mp.MixedpyError, match="maximum likelihood"):
        _ = ml.reml_criterion


def test_a_fit_is_frozen(fit):
    with pytest.raises((FrozenInstanceError, AttributeError)):
        fit.record = None
    returned = [fit.fixef, fit.theta, fit.fitted, fit.se, fit.residuals(), fit.predict(), fit.predict(re_form="NA")]
    returned += [fit.ranef()["Subject"], fit.coef()["Subject"], fit.vcov(), fit.summary().tables["fixed"]]
    before = [np.array(table) for table in returned]
    for table in returned:
        table.iloc[:] = 0.0
    again = [fit.fixef, fit.theta, fit.fitted, fit.se, fit.residuals(), fit.predict(), fit.predict(re_form="NA")]
    again += [fit.ranef()["Subject"], fit.coef()["Subject"], fit.vcov(), fit.summary().tables["fixed"]]
    for table, values in zip(again, before, strict=True):
        assert_allclose(table, values, rtol=0)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda fit: pickle.loads(pickle.dumps(fit))])
def test_a_fit_can_be_copied_and_pickled(fit, sleep, again):
    other = again(fit)
    assert str(other.summary()) == str(fit.summary())
    assert_series_equal(other.predict(sleep.head()), fit.predict(sleep.head()))


def test_the_table_is_not_modified(gappy):
    data = gappy.assign(w=np.linspace(1, 2, 180), text="a")
    data.attrs["name"] = "gappy"
    before = data.copy(deep=True)
    fit = mp.lmer(SLOPE, data, weights="w", offset="w", na_action="exclude")
    fit.predict(data.head(5), allow_new_levels=True)
    fit.simulate(2, seed=1, newdata=data.drop(index=["row3", "row7", "row50"]))
    fit.update(". ~ . + w")
    assert_frame_equal(data, before)
    assert list(data.dtypes) == list(before.dtypes)
    assert data.attrs == {"name": "gappy"}


def test_a_dict_of_columns_is_a_table(sleep, fit):
    columns = {
        "Reaction": sleep["Reaction"].tolist(),
        "Days": sleep["Days"].tolist(),
        "Subject": list(sleep["Subject"]),
    }
    other = mp.lmer(SLOPE, columns)
    assert_allclose(other.fixef, fit.fixef, rtol=1e-8)
    assert "Data:" not in str(other)
    assert_allclose(other.predict({"Days": [1.0], "Subject": ["308"]}), fit.predict(sleep.iloc[[1]]), rtol=1e-6)


def test_grouping_column_of_integers(sleep, fit):
    other = mp.lmer(SLOPE, sleep.astype({"Subject": str}).astype({"Subject": int}))
    assert other.deviance == pytest.approx(fit.deviance, abs=1e-7)
    assert list(other.ranef()["Subject"].index) == list(fit.ranef()["Subject"].index)


# --- summary, print


def test_tables_of_the_summary(fit):
    tables = fit.summary(ddf=None).tables
    assert set(tables) == {"fixed", "random", "scaled_residuals", "correlation"}
    assert list(tables["fixed"].columns) == ["Estimate", "Std. Error", "t value"]
    assert_allclose(tables["fixed"]["Std. Error"], fit.se)
    assert_frame_equal(tables["random"], fit.varcorr().to_frame())
    assert list(tables["scaled_residuals"].columns) == ["Min", "1Q", "Median", "3Q", "Max"]
    assert tables["correlation"].loc["(Intercept)", "Days"] == pytest.approx(-0.138, abs=5e-4)


def test_correlation_can_be_left_out_or_asked_for(fit):
    assert "Correlation of Fixed Effects" in str(fit.summary())
    assert "Correlation of Fixed Effects" not in str(fit.summary(correlation=False))
    many = mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", mp.datasets.load("cake"))
    assert len(many.fixef) > 12
    assert "Correlation of Fixed Effects" not in str(many.summary())
    assert "Correlation of Fixed Effects" in str(many.summary(correlation=True))


def test_html(fit):
    for shown in (fit, fit.summary(), fit.varcorr()):
        assert "Subject" in shown._repr_html_()
        assert repr(shown) == str(shown)


# --- random effects


def test_coef_adds_fixed_and_random(fit):
    modes, coef = fit.ranef()["Subject"], fit.coef()["Subject"]
    assert_frame_equal(coef, modes + fit.fixef)


def test_columns_of_coef_are_those_of_r(sleep):
    fit = mp.lmer("Reaction ~ 1 + (Days | Subject)", sleep)
    assert list(fit.coef()["Subject"].columns) == ["Days", "(Intercept)"]
    crossed = mp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mp.datasets.load("Penicillin"))
    assert list(crossed.coef()) == ["plate", "sample"]
    assert_allclose(
        crossed.coef()["plate"]["(Intercept)"], crossed.fixef.iloc[0] + crossed.ranef()["plate"]["(Intercept)"]
    )


def test_terms_of_one_grouping_factor_stand_side_by_side(sleep):
    fit = mp.lmer("Reaction ~ Days + (Days || Subject)", sleep)
    table = fit.ranef(condvar=True)["Subject"]
    assert list(table.columns) == ["(Intercept)", "Days", "(Intercept)_sd", "Days_sd"]
    assert table["(Intercept)_sd"].iloc[0] == pytest.approx(12.23894, rel=1e-3)
    assert list(fit.varcorr().to_frame()["grp"]) == ["Subject", "Subject.1", "Residual"]


def test_varcorr(fit):
    vc = fit.varcorr()
    assert vc.sigma == fit.sigma
    frame = vc.to_frame()
    assert vc["Subject"].loc["Days", "Days"] == frame["vcov"][1]
    assert list(vc.to_frame(order="lower.tri")["var2"]) == [None, "Days", None, None]
    with pytest.raises(ValueError, match="order"):
        vc.to_frame(order="upper")
    with pytest.raises(KeyError, match="Subject"):
        vc["Days"]


def test_singular_fit():
    data = mp.datasets.load("Dyestuff2")
    with pytest.warns(mp.SingularFitWarning, match="Batch"):
        fit = mp.lmer("Yield ~ 1 + (1 | Batch)", data)
    assert fit.singular
    assert fit.varcorr().to_frame()["vcov"][0] == 0.0
    assert (fit.ranef()["Batch"]["(Intercept)"] == 0.0).all()
    assert fit.se.iloc[0] == pytest.approx(data["Yield"].std() / np.sqrt(30), rel=1e-8)
    assert fit.icc() == 0.0


def test_singular_tol_is_the_users(sleep):
    with pytest.warns(mp.SingularFitWarning):
        fit = mp.lmer(SLOPE, sleep, control=mp.Control(singular_tol=10.0))
    assert fit.singular


def test_warnings_point_at_the_caller(recwarn):
    fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff2"))
    fit.update(reml=False)
    fit.refit(np.asarray(fit.design.y))
    assert [w.filename for w in recwarn] == [__file__] * 3


def test_fit_that_does_not_converge_warns(sleep):
    with pytest.warns(mp.ConvergenceWarning, match="max_iterations"):
        fit = mp.lmer(SLOPE, sleep, start=[9.0, 5.0, 9.0], control=mp.Control(max_iterations=1))
    assert not fit.converged
    assert np.isfinite(fit.fixef).all()


def test_icc(sleep):
    fit = mp.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    between, within = fit.varcorr().to_frame()["vcov"]
    assert fit.icc() == pytest.approx(between / (between + within))


def test_icc_of_random_slopes_averages_over_the_rows(fit, sleep):
    Z = np.column_stack([np.ones(180), sleep["Days"]])
    between = np.einsum("ia,ab,ib->i", Z, fit.varcorr()["Subject"].to_numpy(), Z).mean()
    assert fit.icc() == pytest.approx(between / (between + fit.sigma**2))


def test_response_without_any_residual_is_a_mixedpy_error(sleep):
    with pytest.raises(mp.MixedpyError, match="Reaction"):
        mp.lmer(SLOPE, sleep.assign(Reaction=1.0 + 2.0 * sleep["Days"]))


def test_model_without_fixed_effects(sleep):
    fit = mp.lmer("Reaction ~ 0 + (1 | Subject)", sleep)
    assert len(fit.fixef) == 0
    assert "No fixed effect coefficients" in str(fit)
    assert fit.predict(re_form="NA").eq(0.0).all()
    assert fit.vcov(full=True).shape == (18, 18)
    assert "Random effects" in str(fit.summary())
    assert list(fit.coef()["Subject"].columns) == ["(Intercept)"]


# --- missing rows


def test_missing_rows_are_dropped(gappy):
    fit = mp.lmer(SLOPE, gappy)
    assert fit.nobs == 177
    assert list(fit.fitted.index) == [label for i, label in enumerate(gappy.index) if i not in (3, 7, 50)]
    assert "Number of obs: 177, groups:  Subject, 18" in str(fit)


def test_excluded_rows_come_back_as_missing(gappy):
    fit, dropped = mp.lmer(SLOPE, gappy, na_action="exclude"), mp.lmer(SLOPE, gappy)
    for padded, short in (
        (fit.fitted, dropped.fitted),
        (fit.residuals("scaled"), dropped.residuals("scaled")),
        (fit.predict(), dropped.predict()),
        (fit.simulate(1, seed=3)["sim_1"], dropped.simulate(1, seed=3)["sim_1"]),
    ):
        assert list(padded.index) == list(gappy.index)
        assert list(padded.index[padded.isna()]) == ["row3", "row7", "row50"]
        assert_series_equal(padded.dropna(), short)


# --- residuals


def test_residuals(sleep):
    sleep["w"] = np.linspace(0.5, 3, 180)
    fit = mp.lmer(SLOPE, sleep, weights="w")
    response = sleep["Reaction"] - fit.fitted
    assert_allclose(fit.residuals(), response)
    assert_allclose(fit.residuals("pearson"), response * np.sqrt(sleep["w"]))
    assert_allclose(fit.residuals("scaled"), response * np.sqrt(sleep["w"]) / fit.sigma)
    marginal = sleep["Reaction"] - fit.fixef.iloc[0] - fit.fixef["Days"] * sleep["Days"]
    assert_allclose(fit.residuals(level="marginal"), marginal)


@pytest.mark.parametrize("option", [{"kind": "working"}, {"level": "subject"}])
def test_unknown_residuals(fit, option):
    with pytest.raises(ValueError, match=next(iter(option.values()))):
        fit.residuals(**option)


# --- refit, update


def test_refit_with_the_rows_used_or_all_rows(gappy):
    fit = mp.lmer(SLOPE, gappy)
    y = 10 - 2 * gappy["Reaction"].to_numpy() + np.sin(np.arange(180))
    y_used = y[~gappy.isna().any(axis=1).to_numpy()]
    wanted = mp.lmer(SLOPE, gappy.assign(Reaction=y))
    for response in (y, y_used, list(y_used), pd.Series(y)):
        again = fit.refit(response)
        assert again.deviance == pytest.approx(wanted.deviance, abs=1e-8)
        assert_allclose(again.fixef, wanted.fixef, rtol=1e-7)
    assert fit.fixef["Days"] > 0 > again.fixef["Days"]


def test_refit_of_what_it_had_changes_nothing(fit, sleep):
    assert fit.refit(sleep["Reaction"]).deviance == pytest.approx(fit.deviance, abs=1e-9)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.ones(7), "7.*180"),
        (np.r_[np.nan, np.ones(179)], "missing"),
        (np.r_[np.inf, np.ones(179)], "infinite"),
        (["a"] * 180, "number"),
    ],
)
def test_refit_with_a_response_that_does_not_fit(fit, y, said):
    with pytest.raises(mp.DataError, match=said):
        fit.refit(y)


def test_update_of_a_refit_is_refused(fit, sleep):
    with pytest.raises(mp.MixedpyError, match="refit"):
        fit.refit(2 * sleep["Reaction"]).update(reml=False)


def test_update(sleep):
    sleep["w"] = np.linspace(0.5, 3, 180)
    fit = mp.lmer(SLOPE, sleep, weights="w")
    ml = fit.update(". ~ . - (Days | Subject) + (1 | Subject)", reml=False)
    wanted = mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, weights="w", reml=False)
    assert str(ml.summary()) == str(wanted.summary())
    assert "Weights" not in str(fit.update(weights=None))
    half = fit.update(data=sleep.head(90))
    assert half.nobs == 90
    assert half.ngroups == {"Subject": 9}


def test_start_values_lead_to_the_same_optimum(fit, sleep):
    again = mp.lmer(SLOPE, sleep, start=fit.theta)
    assert again.deviance == pytest.approx(fit.deviance, abs=1e-8)
    assert_allclose(again.convergence.start, fit.theta)


# --- covariance


def test_vcov(fit):
    assert list(fit.vcov().index) == list(fit.vcov().columns) == ["(Intercept)", "Days"]
    assert_allclose(np.sqrt(np.diag(fit.vcov())), fit.se)


def test_joint_vcov_begins_with_vcov(fit):
    joint = fit.vcov(full=True)
    assert joint.shape == (38, 38)
    assert_allclose(joint.iloc[:2, :2], fit.vcov(), rtol=1e-8)
    assert list(joint.index[2:5]) == ["Subject.308.(Intercept)", "Subject.308.Days", "Subject.309.(Intercept)"]
