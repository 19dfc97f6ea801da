"""``glmer`` and what its fits can do, apart from numbers that R knows."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixedpy as mp

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")

HERD = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def cbpp() -> pd.DataFrame:
    data = mp.datasets.load("cbpp")
    data["share"] = data["incidence"] / data["size"]
    return data


@pytest.fixture(scope="module")
def fit(cbpp: pd.DataFrame) -> mp.GlmmFit:
    return mp.glmer(HERD, cbpp, family="binomial")


def simulated(seed: int, n: int = 400, J: int = 25) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.concatenate([np.arange(J), rng.integers(0, J, n - J)])
    x = rng.normal(size=n)
    eta = 0.2 + 0.5 * x + 0.7 * rng.normal(size=J)[g]
    return pd.DataFrame(
        {
            "x": x,
            "g": [f"g{k:02d}" for k in g],
            "h": rng.integers(0, 8, n).astype(str),
            "yes": (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(float),
            "count": rng.poisson(np.exp(eta)).astype(float),
            "positive": rng.gamma(3.0, np.exp(eta) / 3.0),
            "share": np.clip(rng.beta(4.0 / (1.0 + np.exp(-eta)), 4.0 / (1.0 + np.exp(eta))), 1e-6, 1 - 1e-6),
        }
    )


def test_kinds_of_binomial_response_agree(cbpp: pd.DataFrame, fit: mp.GlmmFit) -> None:
    weighted = mp.glmer("share ~ period + (1 | herd)", cbpp, family="binomial", weights="size")
    assert abs(weighted.loglik - fit.loglik) < 1e-9
    pd.testing.assert_series_equal(weighted.fixef, fit.fixef)
    rows = cbpp.loc[cbpp.index.repeat(cbpp["size"])].reset_index(drop=True)
    first = rows.groupby(["herd", "period"], observed=True).cumcount()
    rows["ill"] = (first < rows["incidence"]).astype(float)
    fits = [
        mp.glmer("ill ~ period + (1 | herd)", rows.assign(ill=kind))
        for kind in (rows["ill"], rows["ill"] > 0, pd.Categorical(np.where(rows["ill"] > 0, "yes", "no")))
    ]
    for other in fits:
        pd.testing.assert_series_equal(other.fixef, fit.fixef, rtol=1e-6)
        assert abs(other.loglik - fits[0].loglik) < 1e-9


@given(seed=st.integers(0, 10_000))
def test_order_of_rows_and_names_of_levels_do_not_matter(seed: int) -> None:
    data = simulated(seed, 200, 15)
    mixed = data.sample(frac=1.0, random_state=seed).assign(g=lambda d: d["g"].map(lambda s: f"z{99 - int(s[1:])}"))
    for response, family in (("yes", "binomial"), ("count", "poisson")):
        one = mp.glmer(f"{response} ~ x + (1 | g) + (1 | h)", data, family=family)
        two = mp.glmer(f"{response} ~ x + (1 | g) + (1 | h)", mixed, family=family)
        assert abs(one.loglik - two.loglik) < 1e-7
        np.testing.assert_allclose(one.fixef, two.fixef, atol=1e-4 * one.se.max())
        np.testing.assert_allclose(one.fitted.sort_index(), two.fitted.sort_index(), rtol=1e-3)


@pytest.mark.parametrize(
    ("response", "family"), [("yes", "binomial"), ("count", "poisson"), ("positive", "gamma(log)")]
)
def test_columns_far_from_zero(response: str, family: str) -> None:
    data = simulated(3)
    data["far"] = 1e5 + 1e3 * data["x"]
    near = mp.glmer(f"{response} ~ x + (x | g)", data, family=family)
    far = mp.glmer(f"{response} ~ far + (far | g)", data, family=family)
    assert abs(near.loglik - far.loglik) < 1e-6
    assert abs(far.fixef["far"] * 1e3 / near.fixef["x"] - 1.0) < 1e-4
    np.testing.assert_allclose(far.fitted, near.fitted, rtol=1e-4)


def test_gaussian_identity_is_the_linear_model() -> None:
    sleep = mp.datasets.load("sleepstudy")
    linear = mp.lmer("Reaction ~ Days + (Days | Subject)", sleep, reml=False)
    general = mp.glmer("Reaction ~ Days + (Days | Subject)", sleep, family="gaussian")
    assert abs(general.loglik - linear.loglik) < 1e-6
    np.testing.assert_allclose(general.fixef, linear.fixef, rtol=1e-5)
    np.testing.assert_allclose(general.se, linear.se, rtol=1e-3)
    assert abs(general.sigma / linear.sigma - 1.0) < 1e-4
    for a, b in zip(general.varcorr().components.terms, linear.varcorr().components.terms, strict=True):
        np.testing.assert_allclose(a.cov, b.cov, rtol=2e-3)


def test_weights_are_frequencies_of_counts() -> None:
    data = simulated(5)
    data["w"] = np.random.default_rng(1).integers(1, 4, len(data))
    repeated = data.loc[data.index.repeat(data["w"])]
    one = mp.glmer("count ~ x + (1 | g)", data, family="poisson", weights="w")
    two = mp.glmer("count ~ x + (1 | g)", repeated, family="poisson")
    assert abs(one.loglik - two.loglik) < 1e-7
    np.testing.assert_allclose(one.se, two.se, rtol=1e-5)


def test_negative_binomial_tends_to_poisson() -> None:
    data = simulated(6)
    poisson = mp.glmer("count ~ x + (1 | g)", data, family="poisson")
    nb = mp.glmer_nb("count ~ x + (1 | g)", data)
    assert nb.loglik > poisson.loglik - 1e-3
    np.testing.assert_allclose(nb.fixef, poisson.fixef, atol=0.3 * poisson.se.max())


def test_level_for_every_row_is_overdispersion() -> None:
    data = simulated(7)
    data["row"] = [str(i) for i in range(len(data))]
    fit = mp.glmer("count ~ x + (1 | g) + (1 | row)", data, family="poisson")
    assert fit.ngroups == {"row": len(data), "g": 25}


def test_predict(cbpp: pd.DataFrame, fit: mp.GlmmFit) -> None:
    np.testing.assert_allclose(fit.predict(type="response"), fit.fitted)
    np.testing.assert_allclose(fit.predict(cbpp, type="response"), fit.fitted)
    link = fit.predict(cbpp, re_form="NA")
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-link)), fit.predict(cbpp, re_form="NA", type="response"))
    new = cbpp.head(3).assign(herd="other")
    with pytest.raises(mp.DataError, match="levels that the fit has not seen"):
        fit.predict(new)
    np.testing.assert_allclose(fit.predict(new, allow_new_levels=True), fit.predict(new, re_form="NA"))


def test_simulate_is_repeatable_and_has_the_fitted_moments(fit: mp.GlmmFit) -> None:
    one, two = fit.simulate(3, seed=1), fit.simulate(3, seed=1)
    pd.testing.assert_frame_equal(one, two)
    given = fit.simulate(4000, seed=2, re_form=None)
    np.testing.assert_allclose(given.mean(axis=1), fit.fitted, atol=0.03)
    assert ((given * fit.design.weights[:, None]).round(9) % 1 == 0).all(axis=None)


def test_simulated_new_rows_need_their_trials(cbpp: pd.DataFrame, fit: mp.GlmmFit) -> None:
    with pytest.raises(mp.DataError, match="numbers of trials"):
        fit.simulate(newdata=cbpp[["period", "herd"]])
    weighted = mp.glmer("share ~ period + (1 | herd)", cbpp, weights="size")
    new = cbpp.head(3).assign(size=[5, 7, 9], herd="new")
    drawn = weighted.simulate(4, seed=1, newdata=new)
    assert ((drawn.to_numpy() * np.array([[5], [7], [9]])).round(9) % 1 == 0).all()


def test_residuals(fit: mp.GlmmFit) -> None:
    mu, y, m = fit.fitted, fit.design.y, fit.design.weights
    np.testing.assert_allclose(fit.residuals("response"), y - mu)
    np.testing.assert_allclose(fit.residuals("pearson"), (y - mu) * np.sqrt(m / (mu * (1 - mu))))
    np.testing.assert_allclose(fit.residuals(), fit.residuals("response"))
    assert (np.sign(fit.residuals("deviance")) == np.sign(y - mu)).all()
    room = 1 - fit.leverage()["overall"]
    np.testing.assert_allclose(fit.residuals("studentized"), fit.residuals("scaled") / np.sqrt(room))
    with pytest.raises(ValueError, match="use level='conditional'"):
        fit.residuals("studentized", "marginal")
    pd.testing.assert_series_equal(fit.residuals("quantile", seed=1), fit.residuals("quantile", seed=1))
    with pytest.raises(ValueError, match="unknown"):
        fit.residuals("working")  # type: ignore[arg-type]


def test_missing_rows_are_left_out_or_padded() -> None:
    data = simulated(8)
    data.loc[[3, 10], "x"] = np.nan
    dropped = mp.glmer("count ~ x + (1 | g)", data, family="poisson")
    padded = mp.glmer("count ~ x + (1 | g)", data, family="poisson", na_action="exclude")
    assert dropped.nobs == len(data) - 2
    assert np.isnan(padded.fitted.loc[[3, 10]]).all()
    np.testing.assert_allclose(padded.fitted.dropna(), dropped.fitted)


def test_refit_and_update(cbpp: pd.DataFrame, fit: mp.GlmmFit) -> None:
    again = fit.refit(fit.design.y)
    assert abs(again.loglik - fit.loglik) < 1e-9
    with pytest.raises(mp.MixedpyError, match=r"refit\(\)"):
        again.update(". ~ .")
    smaller = fit.update(". ~ . - period")
    assert list(smaller.fixef.index) == ["(Intercept)"]
    assert fit.update(nagq=9).record.nagq == 9
    assert fit.update(family="binomial(probit)").link == "probit"
    with pytest.raises(mp.DataError, match="the family binomial wants"):
        fit.refit(np.full(len(cbpp), 0.4321))


def test_start_values_are_used(fit: mp.GlmmFit) -> None:
    started = fit.update(start=fit.theta)
    assert abs(started.loglik - fit.loglik) < 1e-8
    assert started.convergence.start[0] == pytest.approx(fit.theta.iloc[0])


def test_nothing_changes_a_fit(fit: mp.GlmmFit) -> None:
    mine = fit.fixef
    mine.iloc[0] = 99.0
    assert fit.fixef.iloc[0] != 99.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.record = None  # type: ignore[misc]


def test_joint_mode_is_below_the_laplace_approximation(fit: mp.GlmmFit) -> None:
    fast = fit.update(nagq=0)
    assert fast.loglik < fit.loglik
    assert abs(fast.theta.iloc[0] - fit.theta.iloc[0]) < 0.01


@pytest.mark.parametrize("form", ["diag", "cs", "ar1"])
def test_covariance_structures(form: str) -> None:
    data = simulated(9, 600)
    data["t"] = np.random.default_rng(0).choice(["a", "b", "c"], len(data))
    fit = mp.glmer("count ~ x + (0 + t | g)", data, family="poisson", covariances={"g": form})
    full = mp.glmer("count ~ x + (0 + t | g)", data, family="poisson")
    assert fit.converged
    assert fit.loglik < full.loglik + 1e-6


def test_zeros_have_their_own_predictors() -> None:
    rng = np.random.default_rng(10)
    data = simulated(10, 800)
    data["z"] = rng.normal(size=len(data))
    structural = rng.random(len(data)) < 1.0 / (1.0 + np.exp(1.0 - data["z"]))
    data["inflated"] = np.where(structural, 0.0, data["count"] + 1)
    fit = mp.glmer("inflated ~ x + (1 | g)", data, family="hurdle_poisson", ziformula="~ z")
    assert list(fit.auxiliary.index) == ["logit(zeros).(Intercept)", "logit(zeros).z"]
    assert abs(fit.auxiliary.iloc[1] - 1.0) < 0.3
    new = data.head(4)
    np.testing.assert_allclose(fit.predict(new, type="response"), fit.fitted.head(4))
    with pytest.raises(mp.DataError, match="`z`"):
        fit.predict(new.drop(columns="z"), type="response")


def test_html(fit: mp.GlmmFit) -> None:
    assert "binomial" in fit._repr_html_()
    assert "z value" in fit.summary()._repr_html_()


def test_update_of_a_formula_with_functions_of_the_user():
    data = mp.datasets.load("grouseticks").head(150)
    fit = mp.glmer(
        "TICKS ~ high(HEIGHT) + (1 | BROOD)",
        data,
        family="poisson",
        functions={"high": lambda h: (h > 450).astype(float)},
    )
    assert fit.update(". ~ . - high(HEIGHT)").formula == "TICKS ~ (1 | BROOD)"
    assert fit.update(". ~ . + YEAR").formula == "TICKS ~ high(HEIGHT) + (1 | BROOD) + YEAR"


@pytest.mark.parametrize(
    ("formula", "options", "shown"),
    [
        ("count ~ x + (1 | g)", {"family": "poisson", "ziformula": "~ x"}, True),
        ("count ~ x + (1 | g)", {"family": "hurdle_nbinom2"}, True),
        ("count ~ x + (1 | g)", {"family": "nbinom1"}, True),
        ("share ~ x + (1 | g)", {"family": "beta"}, True),
        ("count ~ x + (1 | g)", {"family": "nbinom2"}, False),  # in the line of the family, as in R
        ("positive ~ x + (1 | g)", {"family": "gamma(log)"}, False),  # the residual standard deviation
        ("count ~ x + (1 | g)", {"family": "poisson"}, False),
    ],
)
def test_the_summary_has_the_parameters_of_the_distribution(formula: str, options: dict[str, str], shown: bool) -> None:
    fit = mp.glmer(formula, simulated(4), **options)  # type: ignore[arg-type]
    summary = fit.summary()
    written = json.loads(summary.to_json())["distribution"]
    for text in (str(summary), summary._repr_html_(), summary.to_markdown()):
        assert ("Parameters of the distribution" in text) is shown
        for name, value in fit.auxiliary.items():
            assert (name in text and f"{abs(value):.9f}"[:3] in text) or not shown
    if shown:
        table = pd.DataFrame(written).set_index("term")
        pd.testing.assert_series_equal(table["estimate"], fit.auxiliary, check_names=False)
        np.testing.assert_allclose(table["std_error"], summary.tables["auxiliary"]["Std. Error"])
    else:
        assert written == []


def test_dependent_columns_of_the_zeros_are_dropped(tmp_path: Path) -> None:
    data = simulated(5).assign(twice=lambda t: 2.0 * t["x"] - 1.0)
    with pytest.warns(mp.RankDeficiencyWarning, match=r"the formula of the zeros is rank deficient: .* \(1\): twice"):
        fit = mp.glmer("count ~ x + (1 | g)", data, family="poisson", ziformula="~ x + twice")
    other = mp.glmer("count ~ x + (1 | g)", data, family="poisson", ziformula="~ x")
    assert list(fit.auxiliary.index) == list(other.auxiliary.index)
    assert (fit.aic, fit.df_resid) == (pytest.approx(other.aic), other.df_resid)
    pd.testing.assert_series_equal(fit.predict(data.head(5), type="response"), fit.fitted.head(5))
    fit.save(tmp_path / "a.fit")
    pd.testing.assert_frame_equal(mp.load(tmp_path / "a.fit").augment(), fit.augment())
    with pytest.raises(mp.DataError, match=r"the columns of the zeros' formula \(none\) are all zero"):
        mp.glmer("count ~ x + (1 | g)", data.assign(none=0.0), family="poisson", ziformula="~ 0 + none")


@pytest.mark.parametrize("ziformula", ["~ x + offset(t)", "~ offset(t)"])
def test_an_offset_of_the_zeros_is_refused(ziformula: str) -> None:
    with pytest.raises(mp.FormulaError, match=r"offset\(\) is not available in this formula"):
        mp.glmer("count ~ x + (1 | g)", simulated(5).assign(t=1.0), family="poisson", ziformula=ziformula)


def test_population_means_need_no_groups() -> None:
    data = simulated(6)
    fit = mp.glmer("count ~ x + (x | g) + (1 | h)", data, family="poisson")
    pd.testing.assert_series_equal(fit.population_mean(data[["x"]]), fit.population_mean())
    held = fit.population_mean(data[["x", "h"]].head(9), re_form="~ (1 | h)")
    pd.testing.assert_series_equal(held, fit.population_mean(re_form="~ (1 | h)").head(9))
    with pytest.raises(mp.DataError, match="no column `h`"):
        fit.population_mean(data[["x"]], re_form="~ (1 | h)")


@pytest.mark.parametrize("family", [None, "poisson"])
def test_contrasts_of_a_factor_that_is_left_out_go_with_it(family: str | None) -> None:
    data = simulated(7).assign(f=lambda t: t["h"].where(t["h"] < "3", "3"), y=lambda t: np.log1p(t["count"]))
    given = {"f": "contr.sum"}
    if family is None:
        fit: mp.GlmmFit | mp.LmmFit = mp.lmer("y ~ x * f + (1 | g)", data, contrasts=given)
    else:
        fit = mp.glmer("count ~ x + f + (1 | g)", data, family=family, contrasts=given)
    smaller = fit.update(". ~ x + (1 | g)")
    assert list(smaller.fixef.index) == ["(Intercept)", "x"]
    assert list(fit.update(". ~ f + (1 | g)").fixef.index) == ["(Intercept)", "f1", "f2", "f3"]
    with pytest.raises(mp.DataError, match="contrasts names `f`, which is no factor"):
        fit.update(". ~ x + (1 | g)", contrasts=given)
    if isinstance(fit, mp.GlmmFit):
        assert fit.drop1().loc["f", "LRT"] == pytest.approx(smaller.deviance - fit.deviance)


def test_weights_beside_counts(cbpp: pd.DataFrame, fit: mp.GlmmFit) -> None:
    data = cbpp.assign(w=2.0)
    doubled = data.assign(incidence=2 * data["incidence"], size=2 * data["size"])
    weighted, direct = mp.glmer(HERD, data, weights="w"), mp.glmer(HERD, doubled)
    pd.testing.assert_series_equal(weighted.fixef, direct.fixef)
    assert weighted.loglik == pytest.approx(direct.loglik)
    with pytest.raises(ValueError, match="the numbers of trials of a beta-binomial response"):
        mp.glmer(HERD, data, family="beta_binomial", weights="w")
