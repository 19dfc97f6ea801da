"""The prepared model: the same fits as ``lmer``, for one response or many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from tests.cases import case

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")

CASES = ["sleepstudy_slope_reml", "penicillin_ml", "pastes_nested", "cbpp_weights_and_offset", "sleepstudy_missing"]


def _prepared(name: str) -> tuple[mp.Prepared, bool]:
    one = case(name)
    options = one.options()
    reml = options.pop("reml")
    return mp.prepare(one.formula, one.frame(), **options), reml


@pytest.mark.parametrize("name", CASES)
def test_fit_is_lmer(name: str) -> None:
    one = case(name)
    prep, reml = _prepared(name)
    found, wanted = prep.fit(reml=reml), mp.lmer(one.formula, one.frame(), **one.options())
    assert str(found) == str(wanted)
    assert found.deviance == wanted.deviance
    assert found.fixef.equals(wanted.fixef)


@pytest.mark.parametrize("name", CASES)
def test_fit_to_another_response_is_refit(name: str) -> None:
    prep, reml = _prepared(name)
    fit = prep.fit(reml=reml)
    y = fit.simulate(1, seed=4)["sim_1"]
    found, wanted = prep.fit(y, reml=reml), fit.refit(y)
    assert found.deviance == pytest.approx(wanted.deviance, abs=1e-8)
    np.testing.assert_allclose(found.fixef, wanted.fixef, rtol=1e-6)
    np.testing.assert_allclose(found.fitted.dropna(), wanted.fitted.dropna(), rtol=1e-5, atol=1e-6)
    assert prep.fit(reml=reml).deviance == fit.deviance


@pytest.mark.parametrize("name", CASES)
def test_fit_many_is_fit_of_each(name: str) -> None:
    prep, reml = _prepared(name)
    Y = prep.fit(reml=reml).simulate(5, seed=2)
    many = prep.fit_many(Y, reml=reml)
    assert list(many.fixef.index) == list(Y.columns)
    assert len(many) == 5
    for label in Y.columns:
        alone = prep.fit(Y[label], reml=reml)
        assert many.deviance[label] == pytest.approx(alone.deviance, abs=1e-6)
        assert many.loglik[label] == pytest.approx(alone.loglik, abs=1e-6)
        np.testing.assert_allclose(many.fixef.loc[label], alone.fixef, rtol=1e-4, atol=1e-4 * alone.se.max())
        np.testing.assert_allclose(many.se.loc[label], alone.se, rtol=1e-4)
        assert many.sigma[label] == pytest.approx(alone.sigma, rel=1e-4)
        assert list(many.theta.columns) == list(alone.theta.index)
    assert many.converged.all()


def test_all_rows_of_the_table_will_do() -> None:
    """Where rows were left out, responses of the rows used and of all rows give the same."""
    prep, _ = _prepared("sleepstudy_missing")
    table = mp.datasets.load("sleepstudy")
    rng = np.random.default_rng(0)
    full = rng.normal(size=(len(table), 3))
    used = full[prep.schema.rows]
    pd.testing.assert_frame_equal(prep.fit_many(full).fixef, prep.fit_many(used).fixef)


def test_start_and_control_are_used() -> None:
    one = case("sleepstudy_slope_reml")
    prep = mp.prepare(one.formula, one.frame(), control=mp.Control(max_iterations=1))
    with pytest.warns(mp.ConvergenceWarning, match="did not converge"):
        prep.fit(start=[9.0, 0.0, 9.0])
    Y = np.asarray(one.frame()["Reaction"])[:, None]
    with pytest.warns(mp.ConvergenceWarning, match="1 of 1 fits did not converge"):
        prep.fit_many(Y, start=[9.0, 0.0, 9.0])


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (np.ones(180), "shape"),
        (np.ones((7, 2)), "180 rows"),
        (np.full((180, 2), np.nan), "2 of 2 responses, the first in column 0, have missing or infinite"),
        ([["a"] * 2] * 180, "matrix of numbers"),
    ],
)
def test_bad_responses(Y: Any, message: str) -> None:
    prep, _ = _prepared("sleepstudy_slope_reml")
    with pytest.raises(mp.DataError, match=message):
        prep.fit_many(Y)


def test_bad_options() -> None:
    prep, _ = _prepared("sleepstudy_slope_reml")
    with pytest.raises(TypeError, match="reml=1"):
        prep.fit(reml=1)  # type: ignore[arg-type]
    with pytest.raises(mp.DataError, match="3 values are wanted"):
        prep.fit_many(np.ones((180, 1)), start=[1.0])
    with pytest.raises(mp.DataError, match="the same in all 180 rows"):
        prep.fit(np.ones(180))


def test_impossible_responses_are_counted() -> None:
    prep, _ = _prepared("sleepstudy_slope_reml")
    Y = prep.fit().simulate(3, seed=1)
    Y["sim_2"] = 1.0
    with pytest.warns(mp.ConvergenceWarning, match="1 of 3 responses have no finite criterion"):
        many = prep.fit_many(Y)
    assert many.converged.tolist() == [True, False, True]
    assert many.fixef.loc["sim_2"].isna().all()
    assert "1 did not converge" in repr(many)


def test_functions_of_the_user() -> None:
    data = mp.datasets.load("sleepstudy")
    functions = {"late": lambda days: np.maximum(days - 2.0, 0.0)}
    formula = "Reaction ~ late(Days) + (1 | Subject)"
    prepared = mp.prepare(formula, data, functions=functions)
    wanted = mp.lmer(formula, data, functions=functions)
    assert prepared.fit().reml_criterion == pytest.approx(wanted.reml_criterion, abs=1e-9)
    drawn = prepared.fit_many(wanted.simulate(3, seed=1))
    assert list(drawn.fixef.columns) == ["(Intercept)", "late(Days)"]
    assert prepared.fit().predict({"Days": [2.0, 5.0]}, re_form="NA").diff().iloc[1] == pytest.approx(
        3 * wanted.fixef["late(Days)"]
    )
