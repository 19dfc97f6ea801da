"""Checks of generalized fits: simulated residuals, overdispersion, R^2, population means, Wald tests."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import mixedpy as mp
from mixedpy.inference.simulated import simulated_residuals
from tests.glmm_cases import REFERENCE

CHECKS = json.loads((REFERENCE / "glmm_checks_reference.json").read_text())["cases"]

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")


def frame(name: str) -> pd.DataFrame:
    if name != "simulated":
        return mp.datasets.load(name)
    data = pd.read_csv(REFERENCE / "glmm_simulated.csv", dtype={"g": str, "h": str})
    return data.assign(row=[str(i) for i in range(len(data))])


def fit_of(case: dict) -> mp.GlmmFit:
    family = f"{case['family']}({case['link']})"
    return mp.glmer(case["formula"], frame(case["data"]), family=family, laplace="expected")


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_against_performance_and_car(name: str) -> None:
    case = CHECKS[name]
    fit = fit_of(case)
    assert abs(fit.overdispersion().chisq / case["pearson"] - 1.0) < 1e-3
    assert fit.overdispersion().df == case["df"]
    # lme4's covariance matrix, from differences, is off by up to 1 %
    np.testing.assert_allclose(fit.anova(type=2)["Chisq"], case["chisq2"], rtol=2e-2)
    np.testing.assert_allclose(fit.anova(type=3)["Chisq"], case["chisq3"], rtol=2e-2)
    if case["family"] == "binomial":
        np.testing.assert_allclose([fit.r2().marginal, fit.r2().conditional], case["r2"], rtol=1e-4)
        assert abs(fit.icc() / case["icc"] - 1.0) < 1e-3
        explained = fit.r2()["conditional"] - fit.r2()["marginal"]
        assert abs(fit.icc(adjusted=False) - explained) < 1e-12


def test_variance_of_counts_is_that_of_the_paper() -> None:
    """performance 0.10 takes lambda = exp(b0); Nakagawa et al. (2017) take exp(b0 + variance / 2)."""
    fit = fit_of(CHECKS["counts"])
    null = fit.update(". ~ . - x - z - x:z")
    random = sum(float(term.sd[0] ** 2) for term in null.varcorr().components.terms)
    for lam, scale in ((np.exp(null.fixef.iloc[0] + random / 2.0), "paper"), (np.exp(null.fixef.iloc[0]), "package")):
        between = sum(float(term.sd[0] ** 2) for term in fit.varcorr().components.terms)
        icc = between / (between + np.log1p(1.0 / lam))
        expected = fit.icc() if scale == "paper" else CHECKS["counts"]["icc"]
        assert abs(icc - expected) < 1e-3
    assert fit.r2().marginal < fit.r2().conditional


def test_overdispersion_term_counts_with_the_response() -> None:
    fit = fit_of(CHECKS["scattered"])
    grouped = float(fit.varcorr()["g"].iloc[0, 0])
    assert fit.icc() < grouped / (grouped + float(fit.varcorr()["row"].iloc[0, 0]))


def test_no_agreed_variance_is_an_error() -> None:
    data = frame("simulated")
    with pytest.raises(mp.MixedpyError, match="no agreed form"):
        mp.glmer("share ~ x + (1 | g)", data, family="beta").r2()


def test_population_means_integrate_the_random_effects() -> None:
    data = frame("simulated")
    fit = mp.glmer("binary ~ x + (x | g)", data)
    new = {"x": [-1.0, 0.5], "g": ["1", "2"]}
    S = fit.varcorr()["g"].to_numpy()
    for x, mean in zip(new["x"], fit.population_mean(new), strict=True):
        eta, sd = fit.fixef.iloc[0] + fit.fixef.iloc[1] * x, np.sqrt(np.array([1.0, x]) @ S @ np.array([1.0, x]))
        exact = integrate.quad(lambda u, eta=eta, sd=sd: special.expit(eta + sd * u) * stats.norm.pdf(u), -10, 10)[0]
        assert abs(mean - exact) < 1e-9
    np.testing.assert_allclose(fit.population_mean(new, re_form=None), fit.predict(new, type="response"))
    counts = mp.glmer("count ~ x + (1 | g) + (1 | h)", data, family="poisson")
    variance = sum(float(term.sd[0] ** 2) for term in counts.varcorr().components.terms)
    expected = counts.predict(re_form="NA", type="response") * np.exp(variance / 2.0)
    np.testing.assert_allclose(counts.population_mean(), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("response", "family"),
    [
        ("binary", "binomial"),
        ("count", "poisson"),
        ("overdispersed", "nbinom2"),
        ("share", "beta"),
        ("inflated", "zip"),
    ],
)
def test_residuals_of_a_true_model_are_uniform_and_normal(response: str, family: str) -> None:
    data = frame("simulated")
    ziformula = "~ z" if family == "zip" else None
    offset = " + offset(log(exposure))" if family == "poisson" else ""
    formula = f"{response} ~ x + z + (x | g) + (1 | h){offset}"
    fit = mp.glmer(formula, data, family="poisson" if family == "zip" else family, ziformula=ziformula)
    simulated = fit.simulate_residuals(nsim=200, seed=3)
    assert (simulated.tests["p_value"] > 0.005).all()
    assert ("zeros" in simulated.tests.index) == (family != "beta")
    assert stats.kstest(simulated.scaled, "uniform").pvalue > 0.005
    u = fit.residuals("quantile", seed=4)
    assert abs(u.mean() - 0.5) < 0.05
    assert 0.25 < u.std() < 0.33


def test_residuals_tell_a_false_model() -> None:
    data = frame("simulated")
    fit = mp.glmer("inflated ~ x + z + (1 | g)", data, family="poisson")
    tests = fit.simulate_residuals(nsim=200, seed=3).tests
    assert tests.loc["zeros", "p_value"] < 0.02
    assert tests.loc["zeros", "statistic"] > 1.3 * tests.loc["zeros", "expected"]
    assert tests.loc["uniformity", "p_value"] < 0.05  # the rows of a level hang together, which the test allows for
    conditional = fit.simulate_residuals(nsim=400, seed=3, re_form=None).tests
    assert conditional.loc["dispersion", "statistic"] > 1.3
    assert (conditional.loc[["dispersion", "uniformity"], "p_value"] < 0.01).all()


def test_simulated_residuals_are_repeatable() -> None:
    fit = mp.glmer("binary ~ x + (1 | g)", frame("simulated"))
    one, two = (fit.simulate_residuals(nsim=50, seed=9) for _ in range(2))
    pd.testing.assert_series_equal(one.scaled, two.scaled)
    pd.testing.assert_frame_equal(one.tests, two.tests)
    assert ((one.scaled >= 0) & (one.scaled <= 1)).all()


def test_simulated_residuals_of_equal_values_are_spread_over_their_share() -> None:
    y, simulations = np.array([1.0, 1.0, 3.0]), np.array([[0.0, 1, 1, 2], [1, 1, 1, 1], [0, 1, 2, 2]])
    below, equal = np.array([1.0, 0, 4]), np.array([3.0, 5, 1])
    drawn = [simulated_residuals(y, simulations, y, np.random.default_rng(k), discrete=True)[0] for k in range(2000)]
    assert ((drawn >= below / 5) & (drawn <= (below + equal) / 5)).all()
    np.testing.assert_allclose(np.mean(drawn, axis=0), (below + equal / 2) / 5, atol=0.02)


@pytest.mark.parametrize("family", ["beta", "beta_binomial", "nbinom1", "zero_inflated_poisson", "hurdle_nbinom2"])
def test_residuals_are_responses_less_means_by_default(family: str) -> None:
    response = {"beta": "share", "beta_binomial": "binary"}.get(family, "inflated")
    data = frame("simulated")
    fit = mp.glmer(f"{response} ~ x + (1 | g)", data, family=family)
    np.testing.assert_allclose(fit.residuals(), fit.design.y - fit.fitted)
    with pytest.raises(mp.MixedpyError, match="no saturated model"):
        fit.residuals("deviance")


def test_quantile_residuals_have_the_scale_of_linear_fits() -> None:
    """A gaussian generalized fit has those of the linear one."""
    data = mp.datasets.load("sleepstudy")
    linear = mp.lmer("Reaction ~ Days + (1 | Subject)", data, reml=False)
    general = mp.glmer("Reaction ~ Days + (1 | Subject)", data, family="gaussian")
    np.testing.assert_allclose(general.residuals("quantile"), linear.residuals("quantile"), atol=1e-5)


def test_wald_types_differ_only_where_terms_contain_others() -> None:
    data = frame("simulated")
    fit = mp.glmer("binary ~ x * z + (1 | g)", data)
    three, two, one = (fit.anova(type=k) for k in (3, 2, 1))
    assert three.loc["x:z"].equals(two.loc["x:z"])
    assert abs(one.loc["z", "Chisq"] - two.loc["z", "Chisq"]) < 1e-8  # z comes last among the main effects
    assert abs(three.loc["x", "Chisq"] - (fit.fixef["x"] / fit.se["x"]) ** 2) < 1e-8
    with pytest.raises(ValueError, match="use 1, 2 or 3"):
        fit.anova(type=4)  # type: ignore[arg-type]
