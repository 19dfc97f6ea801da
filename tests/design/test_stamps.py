"""Times, dates, identifiers and other values of one type name groups; as predictors they are refused with advice."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mixedpy as mp
from mixedpy.design import build

N_LEVELS = 6
CODES = np.tile(np.arange(N_LEVELS), 5)
rng = np.random.default_rng(3)
DATA = pd.DataFrame(
    {"y": rng.normal(size=30) + rng.normal(size=N_LEVELS)[CODES], "x": np.arange(30.0), "h": np.repeat(list("ab"), 15)}
)
DAYS = pd.to_datetime("2024-02-27") + pd.to_timedelta(CODES, unit="D")
HOURS = pd.to_datetime("2024-02-27") + pd.to_timedelta(12 * CODES, unit="h")
NANOSECONDS = DAYS.as_unit("ns") + pd.to_timedelta(CODES, unit="ns")
UUIDS = [uuid.UUID(int=7919 * int(k)) for k in CODES]


def objects(values: Any) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    for k, value in enumerate(values):
        out[k] = value
    return out


COLUMNS = {
    "datetime": (DAYS, "2024-02-29"),
    "times of day": (HOURS, "2024-02-28"),
    "zone": (DAYS.tz_localize("Asia/Tokyo"), "2024-02-29 00:00:00+09:00"),
    "nanoseconds": (NANOSECONDS, "2024-02-29 00:00:00.000000002"),
    "datetime64": (DAYS.to_numpy(), "2024-02-29"),
    "arrow": (pd.Series(DAYS).astype("timestamp[ms][pyarrow]"), "2024-02-29"),
    "datetime objects": (objects(DAYS.to_pydatetime()), "2024-02-29"),
    "date": (objects(DAYS.date), "2024-02-29"),
    "period": (DAYS.to_period("D"), "2024-02-29"),
    "timedelta": (pd.to_timedelta(CODES, unit="h"), "0 days 02:00:00"),
    "time": (objects([dt.time(int(k)) for k in CODES]), "02:00:00"),
    "interval": (pd.arrays.IntervalArray.from_breaks(np.arange(N_LEVELS + 1.0))[CODES], "(2.0, 3.0]"),
    "uuid": (objects(UUIDS), str(uuid.UUID(int=2 * 7919))),
    "tuple": (objects([(int(k), "a") for k in CODES]), "(2, 'a')"),
}


@pytest.fixture(params=COLUMNS)
def kind(request) -> str:
    return request.param


def table(kind: str) -> pd.DataFrame:
    return DATA.assign(t=COLUMNS[kind][0])


def test_levels_are_in_the_order_of_the_values(kind):
    built = build("y ~ x + (1 | t) + (1 | t:h)", table(kind))
    term = next(k for k, one in enumerate(built.schema.terms) if one.group == "t")
    np.testing.assert_array_equal(built.design.terms[term].codes, CODES)
    assert built.schema.terms[term].levels[2] == COLUMNS[kind][1]


def test_missing_values_are_left_out(kind):
    data = table(kind)
    data.loc[[4, 20], "t"] = None
    assert build("y ~ x + (1 | t)", data).design.n == 28


def test_lists_in_a_dict(kind):
    if kind == "tuple":
        return  # numpy makes two dimensions of them
    data = {"y": DATA["y"].to_numpy(), "t": list(table(kind)["t"])}
    listed, column = (build("y ~ 1 + (1 | t)", one).schema.terms[0].levels for one in (data, table(kind)))
    assert listed == column


@pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")
def test_a_fit_goes_on_with_them(kind, tmp_path):
    data = table(kind)
    fit = mp.lmer("y ~ x + (1 | t)", data)
    wanted = mp.lmer("y ~ x + (1 | k)", DATA.assign(k=CODES))
    assert fit.reml_criterion == pytest.approx(wanted.reml_criterion, abs=1e-9)
    few = data.iloc[[2, 0]]
    np.testing.assert_array_equal(fit.predict(few), fit.predict().iloc[[2, 0]])
    fit.save(tmp_path / "model.fit")
    loaded = mp.load(tmp_path / "model.fit")
    np.testing.assert_array_equal(loaded.predict(few), fit.predict(few))
    pd.testing.assert_frame_equal(loaded.augment(), fit.augment())
    assert loaded.update("y ~ 1 + (1 | t)").ngroups == {"t": N_LEVELS}


@pytest.mark.parametrize("formula", ["y ~ t + (1 | h)", "y ~ x + (t | h)", "t ~ x + (1 | h)"])
def test_no_predictor_nor_response(kind, formula):
    with pytest.raises(mp.DataError, match=r"`t`.*(is no predictor: give|not numeric; convert)"):
        build(formula, table(kind))


def test_the_message_says_how_to_convert():
    with pytest.raises(mp.DataError, match=r"days since the first, \(t - t\.min\(\)\)\.dt\.days with t = data\['t'\]"):
        build("y ~ t + (1 | h)", table("datetime"))
    with pytest.raises(mp.DataError, match=r"data\['t'\]\.dt\.total_seconds\(\)"):
        build("y ~ t + (1 | h)", table("timedelta"))


def test_an_effect_of_each_value(kind):
    names = build("y ~ factor(t) + (1 | h)", table(kind)).schema.fixed_names
    assert names[2] == f"factor(t){COLUMNS[kind][1]}"


@pytest.mark.parametrize("kind", ["datetime", "times of day", "zone", "nanoseconds", "date", "timedelta", "time"])
def test_polars_and_arrow_have_the_labels_of_pandas(kind):
    data = table(kind)
    wanted = build("y ~ x + (1 | t)", data).schema.terms[0].levels
    for other in (pl.from_pandas(data), pa.Table.from_pandas(data)):
        assert build("y ~ x + (1 | t)", other).schema.terms[0].levels == wanted
        with pytest.raises(mp.DataError, match="is no predictor"):
            build("y ~ t + (1 | h)", other)


def test_objects_of_polars():
    data = pl.DataFrame({"y": DATA["y"].to_numpy(), "t": pl.Series(UUIDS, dtype=pl.Object)})
    assert build("y ~ 1 + (1 | t)", data).schema.terms[0].levels == tuple(str(u) for u in UUIDS[:N_LEVELS])


def test_categories_of_times_have_the_same_labels():
    factor = DATA.assign(t=pd.Categorical(DAYS))
    assert build("y ~ x + (1 | t)", factor).schema.terms[0].levels[2] == "2024-02-29"
    assert build("y ~ t + (1 | h)", factor).schema.fixed_names[2] == "t2024-02-29"


@pytest.mark.parametrize("values", [[{1} for _ in CODES], np.array([1j] * 30), [b"a", b"b"] * 15])
def test_values_that_cannot_be_levels(values):
    with pytest.raises(mp.DataError, match="which a model cannot use"):
        build("y ~ x + (1 | t)", {"y": DATA["y"], "x": DATA["x"], "t": values})


class Alike:
    def __str__(self) -> str:
        return "alike"


def test_values_with_equal_labels():
    alike = [Alike(), Alike()]
    with pytest.raises(mp.DataError, match="type Alike, which a model cannot use"):
        build("y ~ x + (1 | t)", DATA.assign(t=objects([alike[k % 2] for k in CODES])))
