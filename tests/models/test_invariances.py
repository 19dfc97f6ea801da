"""What must not change a fit, or must change it in a known way."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import mixedpy as mp

SEEDS = st.integers(0, 2**32 - 1)
FORMULAS = ["y ~ x + f + (x | g)", "y ~ x + f + (1 | g) + (1 | h)", "y ~ x + f + (x || g)"]
RANDOM_DESIGNS = settings(max_examples=12, deadline=None)

# Two runs of the optimizer end where the deviance agrees to its tolerance; estimates follow with the square root.
SAME = 2e-5


def table(rng: np.random.Generator, n: int = 120) -> pd.DataFrame:
    g, h = rng.integers(0, 12, n), rng.integers(0, 7, n)
    x = rng.normal(2.0, 1.0, n)
    f = rng.choice(list("abc"), n)
    b, d = rng.normal(size=(12, 2)) * [2.0, 1.0], rng.normal(size=7)
    y = 3.0 + x + (f == "b") + b[g, 0] + b[g, 1] * x + d[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "f": f, "g": [f"g{i:02d}" for i in g], "h": [f"h{i}" for i in h]})


def fit(formula: str, data: pd.DataFrame, **options) -> mp.LmmFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.SingularFitWarning)
        return mp.lmer(formula, data, **options)


def assert_same(a: mp.LmmFit, b: mp.LmmFit) -> None:
    assert a.deviance == pytest.approx(b.deviance, rel=1e-9, abs=1e-7)
    assert_allclose(a.fixef / a.se, b.fixef / a.se, atol=SAME * 10, rtol=SAME)
    assert_allclose(a.se, b.se, rtol=SAME * 10)
    assert a.sigma == pytest.approx(b.sigma, rel=SAME)
    for found, wanted in zip(a.varcorr().components.terms, b.varcorr().components.terms, strict=True):
        assert_allclose(found.cov, wanted.cov, atol=1e-3 * a.sigma**2, rtol=1e-3)


@pytest.mark.parametrize("formula", FORMULAS)
@RANDOM_DESIGNS
@given(seed=SEEDS)
def test_order_of_the_rows(formula, seed):
    rng = np.random.default_rng(seed)
    data = table(rng)
    shuffled = data.iloc[rng.permutation(len(data))]
    a, b = fit(formula, data), fit(formula, shuffled)
    assert_same(a, b)
    assert list(b.fitted.index) == list(shuffled.index)
    assert_allclose(b.fitted.loc[a.fitted.index], a.fitted, atol=1e-3)


@pytest.mark.parametrize("formula", FORMULAS)
@RANDOM_DESIGNS
@given(seed=SEEDS)
def test_order_of_the_levels(formula, seed):
    rng = np.random.default_rng(seed)
    data = table(rng)
    levels = rng.permutation(sorted(data["g"].unique()))
    relabelled = data.assign(g=pd.Categorical(data["g"], categories=levels))
    a, b = fit(formula, data), fit(formula, relabelled)
    assert_same(a, b)
    assert list(b.ranef()["g"].index) == list(levels)
    assert_allclose(b.ranef()["g"].loc[a.ranef()["g"].index], a.ranef()["g"], atol=1e-3)


@pytest.mark.parametrize("formula", FORMULAS)
@RANDOM_DESIGNS
@given(seed=SEEDS, shift=st.floats(-50, 50), scale=st.floats(0.01, 100))
def test_shifting_and_rescaling_the_response(formula, seed, shift, scale):
    data = table(np.random.default_rng(seed))
    a = fit(formula, data)
    b = fit(formula, data.assign(y=shift + scale * data["y"]))
    moved = scale * a.fixef
    moved.iloc[0] += shift
    assert_allclose((b.fixef - moved) / (scale * a.se), 0.0, atol=1e-3)
    assert b.sigma == pytest.approx(scale * a.sigma, rel=1e-4)
    residual_df = a.nobs - len(a.fixef)
    assert b.deviance == pytest.approx(a.deviance + 2 * residual_df * np.log(scale), rel=1e-8, abs=1e-5)


@pytest.mark.parametrize("formula", FORMULAS[:2])
@RANDOM_DESIGNS
@given(seed=SEEDS, shift=st.floats(-20, 20), scale=st.floats(0.01, 100))
def test_shifting_and_rescaling_a_covariate(formula, seed, shift, scale):
    data = table(np.random.default_rng(seed))
    a = fit(formula, data, reml=False)
    b = fit(formula, data.assign(x=shift + scale * data["x"]), reml=False)
    assert b.deviance == pytest.approx(a.deviance, rel=1e-9, abs=1e-6)
    assert b.fixef["x"] * scale == pytest.approx(a.fixef["x"], abs=1e-3 * a.se["x"])
    assert b.se["x"] * scale == pytest.approx(a.se["x"], rel=1e-3)
    assert_allclose(b.fitted, a.fitted, atol=1e-2 * a.sigma)


def generalized_least_squares(model: mp.LmmFit, Lambda: tuple[np.ndarray, ...]) -> np.ndarray:
    """Fixed effects for given relative covariance factors, from the n x n covariance matrix."""
    design = model.design
    V = np.eye(design.n) if design.weights is None else np.diag(1.0 / design.weights)
    for term, L in zip(design.terms, Lambda, strict=True):
        Z = np.column_stack([design.columns[c] for c in term.columns]) @ L
        V += (term.codes[:, None] == term.codes) * (Z @ Z.T)
    W = np.linalg.solve(V, design.X)
    return np.linalg.solve(design.X.T @ W, W.T @ design.y)


@RANDOM_DESIGNS
@given(seed=SEEDS)
def test_weights_as_replication_for_the_fixed_effects(seed):
    # For given theta a row of weight 3 and three copies of it add the same to X'V^-1X and X'V^-1y; the estimates of
    # theta differ, because the copies count as observations.
    rng = np.random.default_rng(seed)
    data = table(rng, 60)
    data["w"] = rng.integers(1, 4, len(data))
    weighted = fit(FORMULAS[0], data, weights="w")
    replicated = fit(FORMULAS[0], data.loc[np.repeat(data.index, data["w"])].reset_index(drop=True))
    assert replicated.nobs == data["w"].sum()
    Lambda = weighted.record.Lambda
    assert_allclose(generalized_least_squares(weighted, Lambda), weighted.fixef, rtol=1e-6, atol=1e-7)
    assert_allclose(generalized_least_squares(replicated, Lambda), weighted.fixef, rtol=1e-6, atol=1e-7)


@RANDOM_DESIGNS
@given(seed=SEEDS)
def test_weights_that_are_all_equal(seed):
    data = table(np.random.default_rng(seed))
    a, b = fit(FORMULAS[0], data), fit(FORMULAS[0], data, weights=np.full(len(data), 4.0))
    assert_allclose(b.fixef, a.fixef, atol=1e-3 * a.se.min())
    assert b.sigma == pytest.approx(2 * a.sigma, rel=1e-5)
    assert b.deviance == pytest.approx(a.deviance, rel=1e-9, abs=1e-6)


@RANDOM_DESIGNS
@given(seed=SEEDS)
def test_an_offset_is_a_part_of_the_response(seed):
    data = table(np.random.default_rng(seed))
    known = np.sin(np.arange(len(data)))
    a = fit(FORMULAS[0], data.assign(y=data["y"] - known))
    b = fit(FORMULAS[0], data, offset=known)
    assert_same(a, b)
    assert_allclose(b.fitted - known, a.fitted, atol=1e-3)
    assert_allclose(b.residuals(), a.residuals(), atol=1e-3)
