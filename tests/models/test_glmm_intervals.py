"""Profiles, bootstrap and likelihood-ratio tests of generalized fits."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mixedpy as mp
from mixedpy.core.glmm.polar import Polar
from tests.core.glmm_designs import differences
from tests.glmm_cases import REFERENCE

HERD = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
PROFILES = json.loads((REFERENCE / "glmm_profile_reference.json").read_text())["cases"]

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")


def simulated() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "glmm_simulated.csv", dtype={"g": str, "h": str})


@pytest.fixture(scope="module")
def fit() -> mp.GlmmFit:
    return mp.glmer(HERD, mp.datasets.load("cbpp"))


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_profile_limits_are_lme4s(name: str) -> None:
    case = PROFILES[name]
    data = mp.datasets.load("cbpp") if case["data"] == "cbpp" else simulated()
    found = mp.glmer(case["formula"], data, family=case["family"], nagq=case["nagq"]).confint()
    assert list(found.index) == case["names"]
    width = found.iloc[:, 1] - found.iloc[:, 0]
    np.testing.assert_allclose(found.iloc[:, 0], case["lower"], atol=2e-3 * width.max())
    np.testing.assert_allclose(found.iloc[:, 1], case["upper"], atol=2e-3 * width.max())


def test_limits_are_where_the_deviance_says() -> None:
    data = simulated()
    fit = mp.glmer("binary ~ x + (x | g)", data)
    profile = fit.profile()
    quantile = stats.norm.ppf(0.975)
    for name, group in profile.zeta.groupby("parameter"):
        assert (np.diff(group["zeta"]) >= -1e-6).all(), name
    reached = profile.zeta.groupby("parameter")["zeta"].agg(["min", "max"])
    np.testing.assert_allclose(reached.loc[[".sig01", "x"], "max"], quantile, atol=1e-3)
    low = profile.limits.loc["x"].iloc[0]
    offset = data.assign(known=low * data["x"])
    held = mp.glmer("binary ~ 1 + offset(known) + (x | g)", offset)
    assert abs(held.deviance - fit.deviance - quantile**2) < 5e-3


def test_profile_of_families_with_parameters_of_their_own() -> None:
    fit = mp.glmer_nb("overdispersed ~ x + (1 | g)", simulated())
    found = fit.confint(parm=["log(size)", "x"])
    assert list(found.index) == ["x", "log(size)"]
    se = fit.summary().tables["auxiliary"]["Std. Error"].iloc[-1]
    np.testing.assert_allclose(found.loc["log(size)"], fit.auxiliary.iloc[0] + 1.96 * se * np.array([-1, 1]), atol=0.05)


def test_profile_of_a_quadrature(fit: mp.GlmmFit) -> None:
    nine = fit.update(nagq=9)
    found = nine.confint(parm="period2")
    wald = nine.confint(method="wald", parm="period2")
    np.testing.assert_allclose(found, wald, atol=0.05)


def test_variance_of_zero_has_zero_as_its_lower_limit() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"y": rng.poisson(3.0, 200), "g": np.tile(np.arange(20), 10).astype(str)})
    found = mp.glmer("y ~ 1 + (1 | g)", data, family="poisson").confint()
    assert found.loc[".sig01"].iloc[0] == 0.0
    assert found.loc[".sig01"].iloc[1] > 0.05


def test_wald_and_choice_of_parameters(fit: mp.GlmmFit) -> None:
    wald = fit.confint(method="wald", level=0.9)
    assert list(wald.columns) == ["5 %", "95 %"]
    assert wald.loc[".sig01"].isna().all()
    assert list(fit.confint(method="wald", parm="beta_").index) == list(fit.fixef.index)
    with pytest.raises(ValueError, match="parm names 'nothing'"):
        fit.confint(parm="nothing")
    with pytest.raises(ValueError, match="method="):
        fit.confint(method="bayes")  # type: ignore[arg-type]
    with pytest.raises(mp.MixedpyError, match="nagq=1 or more"):
        fit.update(nagq=0).profile()


def test_bootstrap_is_repeatable_and_near_the_profile(fit: mp.GlmmFit) -> None:
    boot = fit.bootstrap(120, seed=1)
    pd.testing.assert_frame_equal(boot.replicates, fit.bootstrap(120, seed=1).replicates)
    assert boot.failures == 0
    np.testing.assert_allclose(boot.estimate[1:], fit.fixef)
    sd = boot.replicates[list(fit.fixef.index)].std()
    np.testing.assert_allclose(sd, fit.se, rtol=0.3)
    assert abs(boot.confint().loc["period2"] - fit.confint(parm="period2").loc["period2"]).max() < 0.3
    own = fit.bootstrap(5, statistic=lambda m: pd.Series({"ratio": m.fixef.iloc[1] / m.se.iloc[1]}), seed=2)
    assert list(own.replicates.columns) == ["ratio"]


def test_likelihood_ratio_table(fit: mp.GlmmFit) -> None:
    smaller = fit.update(". ~ . - period")
    table = fit.compare(smaller, names=["full", "empty"])
    assert list(table.index) == ["empty", "full"]
    assert table.loc["full", "Df"] == 3
    assert abs(table.loc["full", "Chisq"] - 2.0 * (fit.loglik - smaller.loglik)) < 1e-9
    assert np.isnan(table.loc["full", "Pr(boundary)"])
    data = simulated()
    one, two = mp.glmer("binary ~ x + (1 | g)", data), mp.glmer("binary ~ x + (x | g)", data)
    row = one.compare(two).iloc[1]
    expected = 0.5 * stats.chi2.sf(row["Chisq"], 1) + 0.5 * stats.chi2.sf(row["Chisq"], 2)
    assert abs(row["Pr(boundary)"] - expected) < 1e-12
    with pytest.raises(mp.DataError, match="different rows or responses"):
        fit.compare(one)
    with pytest.raises(mp.MixedpyError, match="nagq"):
        fit.compare(fit.update(nagq=5))


def test_anova_prints_lme4s_table(fit: mp.GlmmFit) -> None:
    empty = fit.update(". ~ . - period")
    table = mp.anova(empty, fit)
    assert list(table.index) == ["empty", "fit"]
    lines = str(table).splitlines()
    assert lines[:4] == [
        "Data: cbpp",
        "Models:",
        "empty: cbind(incidence, size - incidence) ~ (1 | herd)",
        f"fit: {HERD}",
    ]
    assert lines[4].split() == ["npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)"]
    assert lines[6].split() == ["fit", "5", "194.05", "204.18", "-92.026", "184.05", "25.61", "3", "1.151e-05", "***"]
    data = simulated()
    one, two = mp.glmer("binary ~ x + (1 | g)", data), mp.glmer("binary ~ x + (x | g)", data)
    assert "0.5 chi2(1) + 0.5 chi2(2), Stram & Lee" in str(mp.anova(one, two))
    with pytest.raises(TypeError, match="anova"):
        mp.anova(fit, mp.lmer("size ~ 1 + (1 | herd)", mp.datasets.load("cbpp")))


@pytest.mark.parametrize("m", [1, 2, 3])
def test_polar_template(m: int) -> None:
    rng = np.random.default_rng(m)
    template = Polar(m)
    theta = np.concatenate([rng.uniform(0.5, 2.0, m), rng.normal(size=template.size - m)])
    L = template.Lambda(theta)
    np.testing.assert_allclose(np.sqrt(np.diag(L @ L.T)), theta[:m])
    np.testing.assert_allclose(template.parameters(L), theta)
    np.testing.assert_allclose(template.jacobian(theta), differences(template.Lambda, theta), atol=1e-8)
    D = rng.normal(size=(m, m))
    found = differences(lambda t: np.tensordot(template.jacobian(t), D, 2), theta)
    np.testing.assert_allclose(template.curvature(theta, D), found, atol=1e-8)
