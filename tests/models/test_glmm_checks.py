"""Checks of generalized fits: simulated residuals, overdispersion, R^2, population means, Wald tests."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import mixedpy as mp
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
    checks = fit.simulated_residuals(nsim=200, seed=3).table()
    assert (checks["p value"] > 0.005).all()
    z = fit.residuals("quantile", seed=4)
    assert abs(z.mean()) < 0.15
    assert 0.8 < z.std() < 1.2


def test_residuals_tell_a_false_model() -> None:
    data = frame("simulated")
    fit = mp.glmer("inflated ~ x + z + (1 | g)", data, family="poisson")
    checks = fit.simulated_residuals(nsim=200, seed=3).table()
    assert checks.loc["zero_inflation", "p value"] < 0.01
    assert checks.loc["zero_inflation", "statistic"] > 1.3
    assert checks.loc["uniformity", "p value"] < 0.01
    conditional = fit.simulated_residuals(nsim=200, seed=3, re_form=None).table()
    assert conditional.loc["dispersion", "statistic"] > 1.3
    assert conditional.loc["dispersion", "p value"] < 0.01


def test_simulated_residuals_are_repeatable() -> None:
    fit = mp.glmer("binary ~ x + (1 | g)", frame("simulated"))
    one, two = (fit.simulated_residuals(nsim=50, seed=9) for _ in range(2))
    pd.testing.assert_series_equal(one.residuals, two.residuals)
    assert ((one.residuals >= 0) & (one.residuals <= 1)).all()


def test_wald_types_differ_only_where_terms_contain_others() -> None:
    data = frame("simulated")
    fit = mp.glmer("binary ~ x * z + (1 | g)", data)
    three, two, one = (fit.anova(type=k) for k in (3, 2, 1))
    assert three.loc["x:z"].equals(two.loc["x:z"])
    assert abs(one.loc["z", "Chisq"] - two.loc["z", "Chisq"]) < 1e-8  # z comes last among the main effects
    assert abs(three.loc["x", "Chisq"] - (fit.fixef["x"] / fit.se["x"]) ** 2) < 1e-8
    with pytest.raises(ValueError, match="use 1, 2 or 3"):
        fit.anova(type=4)  # type: ignore[arg-type]
