"""The tables hold what R holds: rows, types, level orders, and a summary of every column made by R."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixedpy import datasets
from mixedpy.errors import DataError

ROOT = Path(__file__).resolve().parent.parent
TABLES = json.loads((ROOT / "data" / "levels.json").read_text(encoding="utf-8"))["tables"]
SUMMARIES = json.loads((ROOT / "tests" / "reference" / "datasets.json").read_text(encoding="utf-8"))


def test_names_are_those_of_the_tables_in_alphabetical_order():
    assert set(datasets.names()) == set(TABLES) == set(SUMMARIES)
    assert datasets.names()[:3] == ["Arabidopsis", "cake", "cbpp"]


@pytest.mark.parametrize("name", datasets.names())
def test_shape_columns_and_name(name):
    frame = datasets.load(name)
    assert len(frame) == TABLES[name]["rows"]
    assert list(frame.columns) == [column["name"] for column in TABLES[name]["columns"]]
    assert frame.attrs["name"] == name
    assert not frame.isna().any(axis=None)


@pytest.mark.parametrize("name", datasets.names())
def test_types_and_levels_are_those_of_r(name):
    frame = datasets.load(name)
    for column in TABLES[name]["columns"]:
        dtype = frame[column["name"]].dtype
        if column["type"] == "factor":
            assert isinstance(dtype, pd.CategoricalDtype)
            assert list(dtype.categories) == column["levels"]
            assert dtype.ordered is column["ordered"]
        else:
            assert dtype == {"integer": np.int64, "double": np.float64}[column["type"]]


@pytest.mark.parametrize("name", datasets.names())
def test_values_have_the_summary_that_r_gives(name):
    frame = datasets.load(name)
    for column, expected in SUMMARIES[name].items():
        values = frame[column]
        if "counts" in expected:
            assert values.value_counts(sort=False).to_list() == expected["counts"]
        else:
            found = {"sum": values.sum(), "min": values.min(), "max": values.max(), "sd": values.std()}
            assert found == pytest.approx(expected, rel=1e-13)


def test_each_call_gives_a_new_table():
    frame = datasets.load("Dyestuff")
    frame.loc[0, "Yield"] = -1.0
    assert datasets.load("Dyestuff").loc[0, "Yield"] > 0


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match=r"no data set 'sleep'; choose one of Arabidopsis, .*, VerbAgg"):
        datasets.load("sleep")


def test_the_tables_inside_an_installed_package_come_first(tmp_path, monkeypatch):
    package = tmp_path / "mixedpy"
    (package / "data").mkdir(parents=True)
    monkeypatch.setattr(datasets, "__file__", str(package / "datasets.py"))
    assert datasets._folder() == package.resolve() / "data"
    (package / "data").rmdir()
    assert datasets._folder() == tmp_path.resolve() / "data"
