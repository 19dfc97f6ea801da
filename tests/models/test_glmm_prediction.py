"""Standard errors and intervals of predictions of generalized fits, and simulation for new rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mixedpy as mp
from mixedpy.inference.glmm.predictive import predictive_quantiles
from tests.glmm_cases import REFERENCE

CASES = json.loads((REFERENCE / "glmm_prediction_reference.json").read_text())["cases"]
OPTIONS = {
    "link": {},
    "population": {"re_form": "NA"},
    "response": {"type": "response"},
    "mean": {"type": "response", "re_form": "NA"},
}


def simulated() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "glmm_simulated.csv", dtype={"g": str, "h": str})


@pytest.fixture(scope="module")
def cbpp() -> mp.GlmmFit:
    return mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))


@pytest.mark.parametrize("name", CASES)
def test_errors_against_glmmtmb(name: str) -> None:
    case = CASES[name]
    data = mp.datasets.load("cbpp") if case["data"] == "cbpp" else simulated()
    ziformula = None if case["ziformula"] == "~0" else case["ziformula"]
    fit = mp.glmer(case["formula"], data, family=case["family"], ziformula=ziformula)
    for kind, options in OPTIONS.items():
        got, wanted = fit.predict(data.head(40), se=True, **options), case[kind]
        np.testing.assert_allclose(got["fit"], wanted["fit"], rtol=1e-3, atol=1e-4)
        if "re_form" in options:
            np.testing.assert_allclose(got["se"], wanted["se"], rtol=1e-3)
        else:  # glmmTMB counts the uncertainty of the covariance parameters as well
            ratio = got["se"] / np.array(wanted["se"])
            assert ratio.between(0.94, 1.01).all()


def test_errors_are_those_of_the_joint_covariance() -> None:
    data = simulated()
    fit = mp.glmer("count ~ x + (x | g) + (1 | h)", data, family="poisson")
    joint = fit.vcov(full=True).to_numpy()
    Z = []
    for term in fit.design.terms:
        block = np.zeros((fit.nobs, term.n_levels * term.m))
        for a, c in enumerate(term.columns):
            block[np.arange(fit.nobs), term.codes * term.m + a] = fit.design.columns[c]
        Z.append(block)
    C = np.hstack([fit.design.X, *Z])
    got = fit.predict(se=True)
    np.testing.assert_allclose(got["se"], np.sqrt(np.einsum("ni,ij,nj->n", C, joint, C)), rtol=1e-6)
    own = fit.predict(re_form="~ (x | g)", se=True)["se"]
    C[:, -fit.design.terms[1].n_levels :] = 0.0 if fit.design.terms[1].m == 1 else np.nan
    np.testing.assert_allclose(own, np.sqrt(np.einsum("ni,ij,nj->n", C, joint, C)), rtol=1e-6)


def test_limits_are_put_through_the_inverse_link(cbpp: mp.GlmmFit) -> None:
    link = cbpp.predict(interval="confidence", level=0.8, se=True)
    np.testing.assert_allclose(link["upper"] - link["fit"], stats.norm.ppf(0.9) * link["se"])
    response = cbpp.predict(interval="confidence", level=0.8, type="response")
    np.testing.assert_allclose(response, 1 / (1 + np.exp(-link[["fit", "lower", "upper"]])))


def test_new_levels_have_their_prior_variance(cbpp: mp.GlmmFit) -> None:
    new = {"period": ["1", "1"], "herd": ["99", None]}
    known = cbpp.predict({"period": ["1"]}, re_form="NA", se=True)["se"].iloc[0]
    got = cbpp.predict(new, allow_new_levels=True, se=True)["se"]
    np.testing.assert_allclose(got, np.hypot(known, cbpp.theta.iloc[0]))


def test_missing_values_give_nan(cbpp: mp.GlmmFit) -> None:
    new = mp.datasets.load("cbpp").head(4)
    new.loc[new.index[1], "period"] = None
    for options in ({"interval": "confidence"}, {"interval": "prediction"}, {"se": True}):
        got = cbpp.predict(new, type="response", **options)
        assert got.isna().all(axis=1).tolist() == [False, True, False, False]
    drawn = cbpp.simulate(3, seed=1, newdata=new)
    assert drawn.isna().all(axis=1).tolist() == [False, True, False, False]
    assert drawn.isna().any(axis=1).sum() == 1


@pytest.mark.parametrize("family", ["poisson", "nbinom2", "gamma(log)", "gaussian", "beta", "zero_inflated_poisson"])
def test_one_missing_predictor_gives_one_missing_draw(family: str) -> None:
    data = simulated()
    response = {"gamma(log)": "positive", "gaussian": "linear", "beta": "share"}.get(family, "inflated")
    ziformula = "~ z" if family.startswith("zero") else None
    fit = mp.glmer(f"{response} ~ x + (1 | g)", data, family=family, ziformula=ziformula)
    new = data.head(6).astype({"x": float, "z": float})
    new.loc[2, "x"] = np.nan
    if ziformula is not None:
        new.loc[4, "z"] = np.nan
    drawn = fit.simulate(2, seed=3, newdata=new)
    missing = [2, 4] if ziformula is not None else [2]
    assert np.flatnonzero(drawn.isna().all(axis=1)).tolist() == missing
    assert np.flatnonzero(drawn.isna().any(axis=1)).tolist() == missing


def test_trials_of_new_rows_come_from_the_counts(cbpp: mp.GlmmFit) -> None:
    data = mp.datasets.load("cbpp")
    drawn = cbpp.simulate(50, seed=1, newdata=data)
    pd.testing.assert_frame_equal(drawn, cbpp.simulate(50, seed=1))
    trials = data["size"].to_numpy()[:, None]
    np.testing.assert_allclose(drawn * trials, np.rint(drawn * trials), atol=1e-9)
    with pytest.raises(mp.DataError, match="no column `incidence`"):
        cbpp.simulate(newdata=data.drop(columns="incidence"))
    with pytest.raises(mp.DataError, match="counts no trial in 2 rows"):
        cbpp.simulate(newdata=data.assign(incidence=0, size=np.where(np.arange(56) < 2, 0, 5)))
    array = mp.glmer("incidence / size ~ period + (1 | herd)", data, weights=data["size"].to_numpy())
    with pytest.raises(mp.DataError, match="as an array"):
        array.simulate(newdata=data)


FAMILIES = {
    "binomial": mp.Binomial(),
    "beta_binomial": mp.BetaBinomial(),
    "poisson": mp.Poisson(),
    "nbinom2": mp.NegativeBinomial2(),
    "nbinom1": mp.NegativeBinomial1(),
    "zero-inflated": mp.ZeroInflated(mp.NegativeBinomial2()),
    "hurdle": mp.Hurdle(mp.Poisson()),
    "gaussian": mp.Gaussian(),
    "gamma": mp.Gamma("log"),
    "inverse gaussian": mp.InverseGaussian("log"),
    "beta": mp.Beta(),
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("eta", [-1.0, 2.5])
def test_prediction_limits_against_draws(name: str, eta: float) -> None:
    family, n = FAMILIES[name], 40_000
    rng = np.random.default_rng(1)
    xi = tuple(np.array([0.7 if a.scale == "log" else -0.5]) for a in family.auxiliary)
    m = np.full(n, 7.0 if "binomial" in name and name[0] in "b" else 1.0)
    y = np.sort(family.draw(rng, m, eta + 0.6 * rng.standard_normal(n), xi))
    for probability in (0.05, 0.5, 0.9):
        found = predictive_quantiles(family, m[:1], np.array([eta]), xi, np.array([0.36]), probability)[0]
        below, reached = (y < found - 1e-9).mean(), (y <= found + 1e-9).mean()
        assert below <= probability + 0.01
        assert reached >= probability - 0.01


def test_prediction_intervals_cover_new_observations() -> None:
    rng = np.random.default_rng(4)
    g = np.arange(900) % 60
    x, u = rng.normal(size=900), 0.8 * rng.normal(size=60)
    y = rng.poisson(np.exp(0.8 + 0.5 * x + u[g]))
    data = pd.DataFrame({"x": x, "g": g, "y": y})
    fit = mp.glmer("y ~ x + (1 | g)", data.iloc[:600], family="poisson")
    rest = data.iloc[600:]
    for re_form in (None, "NA"):
        limits = fit.predict(rest, re_form=re_form, type="response", interval="prediction", level=0.9)
        assert 0.88 < rest["y"].between(limits["lower"], limits["upper"]).mean() < 0.99
    within = fit.predict(rest, type="response", interval="prediction")
    around = fit.predict(rest, re_form="NA", type="response", interval="prediction")
    assert (within["upper"] - within["lower"]).mean() < (around["upper"] - around["lower"]).mean()


def test_observations_have_no_link_scale(cbpp: mp.GlmmFit) -> None:
    with pytest.raises(ValueError, match="give type='response'"):
        cbpp.predict(interval="prediction")
    with pytest.raises(ValueError, match="interval='both' is unknown"):
        cbpp.predict(interval="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="level=95"):
        cbpp.predict(interval="confidence", level=95)


def test_means_that_leave_their_range_are_said_to() -> None:
    rng = np.random.default_rng(2)
    g = np.arange(400) % 20
    data = pd.DataFrame({"g": g, "y": rng.poisson(np.clip(2.0 + 1.5 * rng.normal(size=20), 0.2, None)[g])})
    fit = mp.glmer("y ~ 1 + (1 | g)", data, family="poisson(identity)")
    with pytest.raises(mp.MixedpyError, match=r"rows have means outside the range of the family poisson.*identity"):
        fit.simulate(200, seed=1)
    assert fit.simulate(2, seed=1, re_form=None).notna().all(axis=None)
    with pytest.raises(mp.MixedpyError, match="prediction intervals cannot be computed"):
        fit.predict(re_form="NA", type="response", interval="prediction")


@pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_fit_whose_means_leave_their_range_still_prints() -> None:
    rng = np.random.default_rng(0)
    g = np.arange(400) % 20
    u, x = rng.normal(size=20), rng.normal(size=400)
    data = pd.DataFrame({"g": g, "x": x, "y": (rng.random(400) < np.exp(-1.2 + 0.3 * u[g] + 0.2 * x)).astype(int)})
    fit = mp.glmer("y ~ x + (1 | g)", data, family="binomial(log)")
    assert "binomial  ( log )" in str(fit.summary())
    for act in (lambda: fit.simulate(500, seed=1), lambda: fit.simulate_residuals(seed=1)):
        with pytest.raises(
            mp.MixedpyError, match=r"rows have means outside the range of the family binomial.*link log"
        ):
            act()
    identity = mp.glmer("p ~ x + (1 | g)", data.assign(p=rng.poisson(np.clip(2 + 1.2 * u[g] + 0.8 * x, 0.05, None))),
                        family="poisson(identity)")  # fmt: skip
    for kind in ("pearson", "deviance", "quantile"):
        with pytest.raises(mp.MixedpyError, match=f"so that {kind} residuals cannot be computed"):
            identity.residuals(kind, "marginal")
    assert identity.residuals(level="marginal").notna().all()
