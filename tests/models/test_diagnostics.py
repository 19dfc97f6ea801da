"""Kinds of residuals, principal components, checks in words, residuals by simulation, and pooling."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import ndtr

import mixedpy as mp

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "diagnostics_reference.json").read_text())["cases"]
SLOPE = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def fit() -> mp.LmmFit:
    return mp.lmer(SLOPE, mp.datasets.load("sleepstudy").assign(w=np.resize([0.5, 1, 2, 1.5], 180)), weights="w")


def quietly(formula: str, data: pd.DataFrame, **options: object) -> mp.LmmFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        return mp.lmer(formula, data, **options)


# --- residuals


def marginal_covariance(fit: mp.LmmFit) -> np.ndarray:
    design = fit.design
    V = np.diag(1 / design.weights)
    for term, Lambda in zip(design.terms, fit.record.Lambda, strict=True):
        half = np.column_stack([design.columns[c] for c in term.columns]) @ Lambda
        V += half @ half.T * (term.codes[:, None] == term.codes)
    return fit.sigma**2 * V


def test_deviance_residuals_are_pearson_residuals(fit):
    assert_allclose(fit.residuals("deviance"), fit.residuals("pearson"))


@pytest.mark.parametrize("level", ["conditional", "marginal"])
def test_studentized_residuals_have_their_own_standard_deviations(fit, level):
    V, X = marginal_covariance(fit), fit.design.X
    W = np.linalg.inv(V)
    P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
    R = np.diag(fit.sigma**2 / fit.design.weights)
    operator = R @ P if level == "conditional" else V @ P
    variance = np.diag(operator @ V @ operator.T)
    assert_allclose(fit.residuals("studentized", level), fit.residuals(level=level) / np.sqrt(variance), rtol=1e-6)


def test_quantile_residuals(fit):
    sd = np.sqrt(np.diag(marginal_covariance(fit)))
    assert_allclose(fit.residuals("quantile", "marginal"), ndtr(fit.residuals(level="marginal") / sd))
    assert_allclose(fit.residuals("quantile"), ndtr(fit.residuals("scaled")))


# --- principal components


@pytest.mark.parametrize("k", range(len(REFERENCE)), ids=[case["name"] for case in REFERENCE])
def test_principal_components_are_those_of_lme4(k):
    case = REFERENCE[k]
    data = mp.datasets.load(case["data"])
    if case.get("weights"):
        data["w"] = np.resize([0.5, 1, 2, 1.5], len(data))
    found = mp.lmer(case["formula"], data, reml=case["reml"], weights=case.get("weights")).repca()
    assert set(found.sd) == set(case["pca"])
    for group, theirs in case["pca"].items():
        assert_allclose(found.sd[group], theirs["sd"], rtol=1e-3)
        assert_allclose(np.abs(found.rotation[group]), theirs["rotation"], atol=5e-3)


def test_shares_of_the_components():
    fit = quietly("angle ~ recipe + (recipe | replicate)", mp.datasets.load("cake"))
    table = fit.repca().to_frame()
    assert table["proportion"].sum() == pytest.approx(1)
    assert table["cumulative"].iloc[-1] == pytest.approx(1)
    assert "Proportion of Variance" in str(fit.repca())
    nothing = quietly("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff2")).repca()
    assert nothing.to_frame()["proportion"].isna().all()


# --- check


def verdicts(fit: mp.LmmFit) -> pd.Series:
    table = fit.check().to_frame()
    return table.groupby(level=0)["verdict"].agg(lambda v: "problem" if "problem" in set(v) else max(v))


def test_a_fit_with_nothing_to_say_about():
    found = mp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mp.datasets.load("Penicillin")).check()
    assert found.ok
    assert (found.to_frame()["verdict"] == "ok").all()
    assert (found.to_frame()["advice"] == "").all()


def test_convergence_that_failed():
    fit = quietly(SLOPE, mp.datasets.load("sleepstudy"), control=mp.Control(max_iterations=1, tol=1e-14))
    found = fit.check()
    assert not found.ok
    assert "iteration limit" in found.to_frame().loc["convergence", "text"]
    assert "max_iterations" in found.to_frame().loc["convergence", "advice"]


def test_the_term_that_is_singular_is_named():
    data = mp.datasets.load("Pastes")
    rng = np.random.default_rng(2)
    data["noise"] = rng.permutation(np.resize(np.arange(12), len(data)))
    data["strength"] = data["strength"] + 0.0
    fit = quietly("strength ~ 1 + (1 | batch:cask) + (1 | noise)", data)
    assert fit.singular
    text = fit.check().to_frame().loc["singularity", "text"]
    assert "noise" in text
    assert "batch" not in text
    assert "zero" in text


def test_correlation_at_its_limit():
    found = quietly("angle ~ recipe + (recipe | replicate)", mp.datasets.load("cake")).check().to_frame()
    assert found.loc["singularity", "verdict"] == "problem"
    assert "2 directions" in found.loc["singularity", "text"]
    assert "|| replicate" in found.loc["singularity", "advice"]


def test_few_levels_scales_and_collinearity():
    rng = np.random.default_rng(5)
    n = 120
    g = np.resize(np.arange(3), n)
    year = rng.integers(1990, 2020, n).astype(float)
    income = rng.normal(400_000, 90_000, n)
    again = year + rng.normal(size=n) * 0.2
    y = 0.1 * (year - 2000) + income / 100_000 + np.array([0.0, 4, -3])[g] + rng.normal(size=n)
    fit = quietly(
        "y ~ year + again + income + (1 | g)", pd.DataFrame(locals(), columns=["y", "year", "again", "income", "g"])
    )
    table = fit.check().to_frame()
    assert "g has 3 levels" in table.loc["levels", "text"]
    scaling = " ".join(table.loc[["scaling"], "text"])
    assert "income" in scaling
    assert "year" in scaling
    assert "again" in table.loc["collinearity", "text"]
    assert "year" in table.loc["collinearity", "text"]


def test_patterns_in_the_residuals():
    rng = np.random.default_rng(6)
    n = 400
    g, x = np.resize(np.arange(20), n), rng.uniform(-2, 2, n)
    b = rng.normal(size=20)
    data = pd.DataFrame({"x": x, "g": g})
    plain = data.assign(y=x + b[g] + rng.normal(size=n))
    assert verdicts(mp.lmer("y ~ x + (1 | g)", plain))["residuals"] == "ok"
    fan = data.assign(y=x + b[g] * 0.3 + rng.normal(size=n) * np.exp(x))
    text = " ".join(quietly("y ~ x + (1 | g)", fan).check().to_frame().loc[["residuals"], "text"])
    assert "grow with the fitted value" in text
    curve = data.assign(y=2 * x + x**2 + b[g] * 0.3 + 0.5 * rng.normal(size=n))
    text = " ".join(quietly("y ~ x + (1 | g)", curve).check().to_frame().loc[["residuals"], "text"])
    assert "curve" in text
    wild = plain.copy()
    wild.loc[33, "y"] += 12
    text = " ".join(mp.lmer("y ~ x + (1 | g)", wild).check().to_frame().loc[["residuals"], "text"])
    assert "row 33" in text


def test_influential_group_and_rows_left_out():
    data = mp.datasets.load("sleepstudy")
    data.loc[data["Subject"] == "372", "Reaction"] += 100.0 * data["Days"]
    data.loc[3, "Days"] = np.nan
    data["twice"] = 2 * data["Days"]
    table = quietly("Reaction ~ Days + twice + (Days | Subject)", data).check().to_frame()
    assert "372" in table.loc["influence", "text"]
    assert table.loc["influence", "verdict"] == "note"
    assert "1 of 180 rows" in table.loc["rows", "text"]
    assert "twice" in table.loc["columns", "text"]


def test_check_reads_as_lines(fit):
    lines = str(fit.check()).splitlines()
    assert lines[0].startswith("ok       convergence:")
    assert max(map(len, lines)) <= 100


# --- residuals by simulation


def test_scaled_residuals_agree_with_their_exact_limit(fit):
    found = fit.simulate_residuals(nsim=4000, seed=1)
    assert list(found.scaled.index) == list(fit.fitted.index)
    assert found.scaled.between(0, 1).all()
    assert_allclose(found.scaled, fit.residuals("quantile", "marginal"), atol=5 * 0.5 / np.sqrt(4000))
    held = fit.simulate_residuals(nsim=4000, seed=1, re_form=None)
    assert_allclose(held.scaled, fit.residuals("quantile"), atol=5 * 0.5 / np.sqrt(4000))


def test_simulated_residuals_are_repeatable(fit):
    a, b = fit.simulate_residuals(seed=3), fit.simulate_residuals(seed=3)
    assert_allclose(a.scaled, b.scaled)
    assert a.tests.equals(b.tests)
    assert list(a.tests.index) == ["uniformity", "dispersion", "outliers", "trend", "spread"]
    assert "250 simulations" in str(a)


def test_p_values_under_the_model():
    """They reject about as often as they say; parameters are estimated, so rather less."""
    rng = np.random.default_rng(9)
    study = mp.design(crossed={"g": 15, "x": np.linspace(-1, 1, 8)})
    y = mp.simulate("~ x + (x | g)", study, [1, 2], [1.0, 0.2, 0.7], 1.0, nsim=60, seed=rng)
    p = []
    for column in y:
        fit = quietly("y ~ x + (x | g)", study.assign(y=y[column]))
        p.append(fit.simulate_residuals(nsim=99, seed=rng).tests["p_value"])
    rejected = (pd.DataFrame(p) < 0.05).mean()
    assert (rejected <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)).all()
    assert pd.DataFrame(p).min().min() > 0


def test_p_values_away_from_the_model():
    rng = np.random.default_rng(10)
    n = 500
    g, x = np.resize(np.arange(25), n), rng.uniform(-2, 2, n)
    data = pd.DataFrame({"x": x, "g": g, "y": x + rng.normal(size=25)[g] * 0.2 + rng.normal(size=n) * np.exp(0.7 * x)})
    tests = quietly("y ~ x + (1 | g)", data).simulate_residuals(seed=1).tests["p_value"]
    assert tests["spread"] < 0.02
    assert tests["outliers"] < 0.02
    skewed = data.assign(y=rng.exponential(size=n) ** 2)
    assert quietly("y ~ 1 + (1 | g)", skewed).simulate_residuals(seed=1).tests.loc["uniformity", "p_value"] < 0.02


# --- pooling


def test_pooling_against_separate_regressions():
    data = mp.datasets.load("sleepstudy")
    fit = mp.lmer(SLOPE, data)
    found = fit.pooling()
    assert found.index.names == ["Subject", "effect"]
    X = np.column_stack([np.ones(180), data["Days"]])
    complete = np.linalg.lstsq(X, data["Reaction"].to_numpy(), rcond=None)[0]
    rss = 0.0
    for subject in ("308", "335", "372"):
        rows = (data["Subject"] == subject).to_numpy()
        own = np.linalg.lstsq(X[rows], data.loc[rows, "Reaction"].to_numpy(), rcond=None)[0]
        assert_allclose(found.loc[subject, "none"], own, rtol=1e-9)
        assert_allclose(found.loc[subject, "complete"], complete, rtol=1e-9)
        assert_allclose(found.loc[subject, "partial"], fit.coef()["Subject"].loc[subject], rtol=1e-9)
    for subject in data["Subject"].cat.categories:
        rows = (data["Subject"] == subject).to_numpy()
        rss += np.linalg.lstsq(X[rows], data.loc[rows, "Reaction"].to_numpy(), rcond=None)[1][0]
    rows = (data["Subject"] == "308").to_numpy()
    se = np.sqrt(rss / (180 - 36) * np.diag(np.linalg.inv(X[rows].T @ X[rows])))
    assert_allclose(found.loc["308", "none_se"], se, rtol=1e-9)
    joint = fit.vcov(full=True)
    names = ["(Intercept)", "Subject.308.(Intercept)"]
    assert found.loc[("308", "(Intercept)"), "partial_se"] ** 2 == pytest.approx(
        joint.loc[names, names].to_numpy().sum()
    )
    assert (found["n"] == 10).all()


def test_pooling_with_other_fixed_effects_and_short_levels():
    rng = np.random.default_rng(3)
    n = 90
    g = np.append(np.resize(np.arange(8), n - 1), 8)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=n) + 2000, "z": rng.normal(size=n), "w": rng.uniform(0.5, 2, n)})
    data["y"] = data["x"] - 2000 + 3 * data["z"] + rng.normal(size=9)[g] + rng.normal(size=n)
    fit = quietly("y ~ x + z + (x | g)", data, weights="w")
    found = fit.pooling("g")
    rest = data["y"] - fit.fixef["z"] * data["z"]
    rows = (data["g"] == 2).to_numpy()
    root = np.sqrt(data["w"][rows].to_numpy())
    X = np.column_stack([np.ones(rows.sum()), data["x"][rows]]) * root[:, None]
    assert_allclose(found.loc["2", "none"], np.linalg.lstsq(X, rest[rows] * root, rcond=None)[0], rtol=1e-6)
    assert found.loc["8", ["none", "none_se"]].isna().all(axis=None)
    assert not found[["complete", "partial", "partial_se"]].isna().any(axis=None)


def test_pooling_of_several_factors():
    fit = mp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mp.datasets.load("Penicillin"))
    assert len(fit.pooling("sample")) == 6
    with pytest.raises(mp.DataError, match="plate, sample"):
        fit.pooling()
    with pytest.raises(mp.DataError, match="'batch'"):
        fit.pooling("batch")


def test_pooling_of_terms_that_share_a_factor():
    data = mp.datasets.load("sleepstudy")
    split = mp.lmer("Reaction ~ Days + (Days || Subject)", data).pooling()
    together = mp.lmer(SLOPE, data).pooling()
    assert_allclose(split["none"], together["none"])
    assert list(split.index) == list(together.index)
