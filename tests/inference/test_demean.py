"""Cluster means and deviations."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import mixedpy as mp

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "diagnostics_reference.json").read_text())["demean"]


def numbers(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None or v == "NA" else v for v in values], dtype=float)


def test_datawizard_says_the_same():
    data = pd.DataFrame(
        {"x": numbers(REFERENCE["data"]["x"]), "z": numbers(REFERENCE["data"]["z"]), "g": REFERENCE["data"]["g"]}
    )
    found = mp.demean(data, ["x", "z"], by="g")
    assert list(data.columns) == ["x", "z", "g"]
    assert list(found.columns) == ["x", "z", "g", "x_between", "x_within", "z_between", "z_within"]
    assert_allclose(found["x_within"], numbers(REFERENCE["x_within"]), atol=1e-12)
    assert_allclose(found["z_between"], numbers(REFERENCE["z_between"]), atol=1e-12)
    assert_allclose(found["z_within"], numbers(REFERENCE["z_within"]), atol=1e-12)
    known = ~np.isnan(numbers(REFERENCE["x_between"]))
    assert_allclose(found["x_between"][known], numbers(REFERENCE["x_between"])[known], atol=1e-12)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([1, 2]), st.floats(-1e6, 1e6) | st.just(float("nan"))),
        min_size=1,
        max_size=40,
    )
)
def test_parts_add_up_and_deviations_average_to_nothing(rows):
    data = pd.DataFrame(rows, columns=["g", "h", "x"])
    for by in ("g", ["g", "h"]):
        found = mp.demean(data, "x", by)
        assert_allclose(found["x_between"] + found["x_within"], found["x"], rtol=1e-9, atol=1e-6)
        assert (found.groupby(by)["x_within"].mean().dropna().abs() < 1e-6).all()
        assert found.groupby(by)["x_between"].nunique().max() <= 1
        wanted = data.groupby(by)["x"].transform("mean")
        assert_allclose(found["x_between"], wanted, rtol=1e-9, atol=1e-6)


def test_rows_without_a_cluster():
    found = mp.demean({"x": [1.0, 2.0, 3.0], "g": ["a", None, "a"], "h": ["u", "u", None]}, "x", by=["g", "h"])
    assert found["x_between"].isna().tolist() == [False, True, True]
    assert mp.demean({"x": [1.0, 2.0], "g": ["a", None]}, "x", "g")["x_within"].isna().tolist() == [False, True]


def test_the_index_is_kept():
    data = pd.DataFrame({"x": [1.0, 2.0], "g": ["a", "a"]}, index=["r", "s"])
    assert list(mp.demean(data, "x", "g").index) == ["r", "s"]


@pytest.mark.parametrize(
    ("x", "by", "said"),
    [
        ("nope", "g", "nope"),
        ("x", "nope", "nope"),
        ("g", "g", "`g` is not numeric"),
        ([], "g", "x names no column"),
        ("x", [], "by names no column"),
        ("z", "g", "`z_within` already"),
    ],
)
def test_columns_that_do_not_do(x, by, said):
    data = {"x": [1.0, 2.0], "g": ["a", "b"], "z": [1.0, 2.0], "z_within": [0.0, 0.0]}
    with pytest.raises(mp.DataError, match=said):
        mp.demean(data, x, by)


def test_within_and_between_effects_differ():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(60), 10)
    level = rng.normal(size=60)
    x = level[g] + rng.normal(size=600)
    data = mp.demean({"x": x, "g": g}, "x", by="g")
    effects = data["x_within"] - 2.0 * data["x_between"]
    y = effects + 0.5 * rng.normal(size=60)[g] + 0.5 * rng.normal(size=600)
    fit = mp.lmer("y ~ x_within + x_between + (1 | g)", data.assign(y=y))
    assert fit.fixef["x_within"] == pytest.approx(1, abs=0.1)
    assert fit.fixef["x_between"] == pytest.approx(-2, abs=0.4)


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_tables_of_other_libraries(library):
    module = pytest.importorskip(library)
    columns = {"x": [1.0, 3.0, 4.0], "g": ["a", "a", "b"]}
    table = module.DataFrame(columns) if library == "polars" else module.table(columns)
    assert mp.demean(table, "x", "g")["x_between"].tolist() == [2.0, 2.0, 4.0]
    columns = {"x": [1.0, 3.0, 4.0] * 3, "g": ["a", "b", "c"] * 3}
    table = module.DataFrame(columns) if library == "polars" else module.table(columns)
    assert mp.simulate("~ x + (1 | g)", table, [1, 2], [1], 1.0, seed=1).shape == (9, 1)
