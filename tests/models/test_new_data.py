"""Bases and contrasts are frozen at the fit: columns and predictions for new data are R's, in X and in bars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from mixedpy.design import build, fixed_columns, random_columns
from mixedpy.design.bases import fit_basis

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "new_data_reference.json").read_text())

COLUMNS_RTOL = 1e-10  # columns are arithmetic alone; the largest are of the order of 1e4
PREDICTION_SIGMA = 1e-4  # predictions inherit the error of theta and of R's optimizer, in units of sigma

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")


def frame(stored: dict[str, Any]) -> pd.DataFrame:
    def column(one: dict[str, Any]) -> Any:
        if one["type"] in ("factor", "ordered"):
            return pd.Categorical(one["values"], categories=one["levels"], ordered=one["type"] == "ordered")
        return np.array(one["values"], dtype=float) if None in one["values"] else np.array(one["values"])

    return pd.DataFrame({name: column(one) for name, one in stored.items()})


DATA, NEW = frame(REFERENCE["columns"]), frame(REFERENCE["new"])


def close(actual: np.ndarray, wanted: Any) -> None:
    wanted = np.array(wanted, dtype=float)
    np.testing.assert_allclose(actual, wanted, rtol=COLUMNS_RTOL, atol=COLUMNS_RTOL * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["formula"])
def test_columns_of_new_data(case: dict[str, Any]) -> None:
    schema = build(case["formula"], DATA, contrasts=case["contrasts"]).schema
    assert list(schema.fixed_names) == case["fixed"]
    assert list(schema.terms[0].effects) == case["effects"]
    close(fixed_columns(schema, NEW), case["X"])
    close(random_columns(schema, NEW, 0).Z, case["Z"])
    for rows in ([3], [7, 0]):  # constants come from the fit, not from the rows asked for
        close(fixed_columns(schema, NEW.iloc[rows]), np.array(case["X"], dtype=float)[rows])


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["formula"])
def test_predictions(case: dict[str, Any]) -> None:
    fit = mp.lmer(case["formula"], DATA, contrasts=case["contrasts"])
    assert fit.reml_criterion < case["criterion"] + 1e-6
    for re_form, wanted in (("NA", case["predict_fixed"]), (None, case["predict"])):
        predicted = fit.predict(NEW, re_form=re_form)
        size = case["sigma"] + np.abs(wanted)  # outside the data predictions grow, and their errors with them
        assert (np.abs(predicted - wanted) / size).max() < PREDICTION_SIGMA


@pytest.mark.parametrize("case", REFERENCE["smooths"], ids=lambda case: f"k = {case['k']}")
def test_cubic_regression_splines_span_those_of_mgcv(case: dict[str, Any]) -> None:
    """mgcv's ``cr`` after its sum-to-zero constraint; a basis of its own choice of the same functions."""
    x = DATA["x"].to_numpy()
    options: dict[str, Any] = {"df": float(case["k"] - 1)}
    if case["knots"]:
        options = {"knots": [float(k) for k in case["knots"][1:-1]], "Boundary.knots": [1.0, 5.0]}
    basis = fit_basis("cr", x, options)
    inside = NEW["x"].to_numpy()
    inside = inside[(inside >= 1) & (inside <= 5)]
    ours = np.vstack([basis.columns(x[:10]), basis.columns(inside)])
    theirs = np.vstack([np.array(case["X"], dtype=float), np.array(case["new"], dtype=float)])
    assert ours.shape == theirs.shape
    change = np.linalg.lstsq(theirs, ours, rcond=None)[0]
    np.testing.assert_allclose(theirs @ change, ours, atol=1e-10)
    assert np.linalg.cond(change) < 1e3


@pytest.mark.parametrize(
    ("formula", "column", "value", "said"),
    [
        ("Reaction ~ Days + (Days | Subject)", "Days", np.inf, "`Days` is infinite in 1 of 180 rows of the new data"),
        ("Reaction ~ log(Days + 1) + (1 | Subject)", "Days", -1.0, r"`log\(Days \+ 1\)` is infinite in 1 of"),
        ("Reaction ~ log(Days + 1) + (1 | Subject)", "Days", -2.0, r"`log\(Days \+ 1\)` is not a number in 1 of"),
        ("Reaction ~ bs(Days, df = 4) + (1 | Subject)", "Days", np.inf, r"`bs\(Days, df = 4\)` is .* in 1 of"),
        ("Reaction ~ 1 + offset(Days) + (1 | Subject)", "Days", -np.inf, "`offset` is infinite in 1 of 180 rows"),
    ],
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_values_that_are_not_finite(formula, column, value, said):
    data = mp.datasets.load("sleepstudy").astype({column: float})
    fit = mp.lmer(formula, data)
    new = data.copy()
    new.loc[new.index[7], column] = value
    for use in (fit.predict, lambda table: fit.simulate(newdata=table)):
        with pytest.raises(mp.DataError, match=f"{said}.*first in row 7"):
            use(new)
    new.loc[new.index[7], column] = np.nan
    assert list(np.flatnonzero(fit.predict(new).isna())) == [7]


def test_weights_of_new_rows_are_finite():
    data = mp.datasets.load("sleepstudy").assign(w=1.0)
    fit = mp.lmer("Reaction ~ Days + (1 | Subject)", data, weights="w")
    with pytest.raises(mp.DataError, match="'w' of newdata must hold positive, finite numbers"):
        fit.simulate(newdata=data.assign(w=np.inf))
