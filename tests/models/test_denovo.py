"""Responses and tables made from nothing but parameters."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

import mixedpy as mp


@given(
    nested=st.lists(st.integers(1, 4), max_size=3), crossed=st.lists(st.integers(1, 4), max_size=3), r=st.integers(1, 3)
)
def test_every_combination_occurs_once_per_replicate(nested, crossed, r):
    inner = {f"n{k}": count for k, count in enumerate(nested)}
    outer = {f"c{k}": count for k, count in enumerate(crossed)}
    if not inner and not outer:
        return
    table = mp.design(nested=inner, crossed=outer, replicates=r)
    assert list(table.columns) == [*inner, *outer]
    assert len(table) == np.prod([*nested, *crossed, r], dtype=int)
    last = [list(inner)[-1]] if inner else []
    assert (table.groupby([*last, *outer], observed=True).size() == r).all()
    for above, below in zip(list(inner), list(inner)[1:], strict=False):
        assert (table.groupby(below, observed=True)[above].nunique() == 1).all()
        assert (table.groupby(above, observed=True)[below].nunique() == inner[below]).all()


def test_levels_and_values_are_kept_as_given():
    table = mp.design(crossed={"dose": [0.5, 1, 2], "arm": ["placebo", "drug"], "item": 11}, nested={"clinic": 2})
    assert table["dose"].dtype == float
    assert list(table["arm"].cat.categories) == ["placebo", "drug"]
    assert list(table["item"].cat.categories)[-2:] == ["item10", "item11"]
    assert table["clinic"].iloc[-1] == "clinic2"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no factor"),
        ({"crossed": {"a": 0}}, "a=0"),
        ({"crossed": {"a": 2.5}}, "a=2.5"),
        ({"crossed": {"a": "abc"}}, "a='abc'"),
        ({"crossed": {"a": []}}, "'a' has no levels"),
        ({"nested": {"a": True}}, "a=True"),
        ({"nested": {"a": 2}, "crossed": {"a": 2}}, "both"),
        ({"nested": {"a": 2}, "replicates": 0}, "replicates=0"),
    ],
)
def test_designs_that_cannot_be(options, said):
    with pytest.raises(mp.DataError, match=said):
        mp.design(**options)


@pytest.fixture
def study() -> pd.DataFrame:
    return mp.design(crossed={"g": 6, "h": 4, "x": [0.0, 1.0, 2.0]})


def test_moments(study):
    beta, theta, sigma, nsim = [1.0, -2.0], [1.5, 0.5, 0.8, 2.0], 0.7, 6000
    y = mp.simulate("y ~ x + (x | g) + (1 | h)", study, beta, theta, sigma, nsim=nsim, seed=4).to_numpy()
    X = np.column_stack([np.ones(72), study["x"]])
    Lambda = np.array([[1.5, 0.0], [0.5, 0.8]])
    same_g = study["g"].to_numpy()[:, None] == study["g"].to_numpy()
    same_h = study["h"].to_numpy()[:, None] == study["h"].to_numpy()
    V = sigma**2 * (X @ Lambda @ Lambda.T @ X.T * same_g + 4 * same_h + np.eye(72))
    assert np.abs((y.mean(axis=1) - X @ beta) / np.sqrt(np.diag(V) / nsim)).max() < 5
    error = (np.cov(y) - V) / np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / nsim)
    assert np.abs(error).max() < 6


def test_parameters_are_recovered():
    study = mp.design(nested={"school": 150, "pupil": 20}).assign(x=np.random.default_rng(1).normal(size=3000))
    y = mp.simulate("~ x + (1 | school)", study, beta=[5, 1], theta=[0.8], sigma=2.0, seed=2)
    fit = mp.lmer("y ~ x + (1 | school)", study.assign(y=y["sim_1"]))
    assert_allclose(fit.fixef, [5, 1], atol=5 * fit.se.max())
    assert fit.theta.iloc[0] == pytest.approx(0.8, abs=0.2)
    assert fit.sigma == pytest.approx(2.0, rel=0.1)


def test_the_same_as_simulating_from_the_fit():
    data = mp.datasets.load("sleepstudy")
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", data)
    made = mp.simulate(fit.formula, data.drop(columns="Reaction"), fit.fixef, fit.theta, fit.sigma, nsim=2, seed=3)
    assert_frame_equal(made, fit.simulate(2, seed=3))


def test_parameters_by_name_weights_and_offset(study):
    study["w"], study["o"] = 4.0, 100.0
    options = {"weights": "w", "offset": "o", "nsim": 2000, "seed": 1}
    y = mp.simulate("~ x + (1 | g)", study, {"x": 1.0, "(Intercept)": 2.0}, {"g.(Intercept)": 0.0}, 1.0, **options)
    assert_allclose(y.mean(axis=1), 102 + study["x"], atol=0.1)
    assert_allclose(y.std(axis=1), 0.5, rtol=0.1)


def test_a_response_that_is_there_is_not_read(study):
    study["y"] = np.nan
    assert mp.simulate("y ~ x + (1 | g)", study, [1, 2], [1], 1.0, seed=1).notna().all(axis=None)
    assert mp.simulate("log(y) ~ x + (1 | g)", study, [1, 2], [1], 1.0, seed=1).shape == (72, 1)
    assert mp.simulate("~ x + (1 | g)", {c: study[c] for c in ("x", "g")}, [1, 2], [1], 1.0, seed=1).shape == (72, 1)


@pytest.mark.parametrize(
    ("beta", "theta", "sigma", "said"),
    [
        ([1], [1], 1.0, r"beta has shape \(1,\); 2 values are wanted: \(Intercept\), x"),
        ([1, 2], [1, 2], 1.0, r"theta has shape .*: g\.\(Intercept\)"),
        ({"x": 1}, [1], 1.0, r"beta lacks \(Intercept\)"),
        ({"x": 1, "(Intercept)": 1, "z": 1}, [1], 1.0, "beta has z"),
        (["a", "b"], [1], 1.0, "beta must hold numbers"),
        ([1, np.nan], [1], 1.0, "not finite"),
        ([1, 2], [1], 0.0, "sigma=0.0"),
        ([1, 2], [1], float("inf"), "sigma=inf"),
        ([1, 2], [1], "1", "sigma='1'"),
    ],
)
def test_parameters_that_do_not_do(study, beta, theta, sigma, said):
    with pytest.raises(mp.DataError, match=said):
        mp.simulate("~ x + (1 | g)", study, beta, theta, sigma)


def test_formulas_and_tables_that_do_not_do(study):
    for formula in ("x + (1 | g)", "y ~ x + (1 | g", 5):
        with pytest.raises(mp.FormulaError):
            mp.simulate(formula, study, [1, 2], [1], 1.0)
    with pytest.raises(mp.DataError, match="nope"):
        mp.simulate("~ nope + (1 | g)", study, [1, 2], [1], 1.0)
    with pytest.raises(ValueError, match="nsim"):
        mp.simulate("~ x + (1 | g)", study, [1, 2], [1], 1.0, nsim=0)


def test_the_name_of_the_package_of_designs_still_imports():
    from mixedpy.design import build

    assert callable(build)
    assert callable(mp.design)


def test_functions_of_the_user():
    study = mp.design(crossed={"g": 5, "x": [0.0, 1.0, 2.0, 3.0]})
    functions = {"late": lambda x: np.maximum(x - 1.0, 0.0)}
    by_name, by_hand = (
        mp.simulate(f"~ {term} + (1 | g)", table, [1.0, 2.0], [0.5], 1.0, seed=4, functions=made)
        for term, table, made in (
            ("late(x)", study, functions),
            ("z", study.assign(z=np.maximum(study["x"] - 1.0, 0.0)), None),
        )
    )
    assert_frame_equal(by_name, by_hand)
    with pytest.raises(mp.FormulaError, match="late"):
        mp.simulate("~ late(x) + (1 | g)", study, [1.0, 2.0], [0.5], 1.0)
