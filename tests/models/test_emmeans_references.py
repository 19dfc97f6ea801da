"""Marginal means, slopes and joint tests against what the R package emmeans computes and prints, call by call."""

from __future__ import annotations

import json
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixedpy as mp
from mixedpy.models.means.emmeans import MeansTable
from mixedpy.models.means.joint_tests import JointTable
from tests.models.test_inference_references import numbers

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[1] / "reference" / "emmeans_reference.json").read_text(encoding="utf-8")
)
MODELS = {model["name"]: model for model in REFERENCE["models"]}
NOTE = "NOTE: Results may be misleading due to involvement in interactions"

ROUNDED = {"df1": 0.0, "df2": 6e-3, "F.ratio": 6e-4}
"""Columns that R rounds in joint tests, with half a unit of their last digit."""


def _id(request: dict[str, Any]) -> str:
    calls = [
        "-".join([call["name"], *map(str, call["positional"]), *(f"{k}={v}" for k, v in call["named"].items())])
        for call in request["calls"]
    ]
    return f"{request['model']}.{'.'.join(calls)}.{request['ddf']}"


REQUESTS = [pytest.param(request, id=_id(request)) for request in REFERENCE["requests"]]


def data_of(model: dict[str, Any]) -> pd.DataFrame:
    frame = mp.datasets.load(model["data"]).assign(**REFERENCE["added"][model["data"]])
    return frame.drop(index=model["drop"])


@cache
def fitted(name: str) -> mp.LmmFit:
    model = MODELS[name]
    options = {key: model[key] for key in ("reml", "weights", "offset")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        return mp.lmer(model["formula"], data_of(model), control=mp.Control(tol=1e-13), **options)


def answer(request: dict[str, Any]) -> Any:
    """What the calls give here."""
    value: Any = fitted(request["model"])
    for call in request["calls"]:
        options = dict(call["named"])
        if call["name"] in ("emmeans", "emtrends", "joint_tests"):
            options["ddf"] = request["ddf"]
        name = "joint_test" if options.pop("joint", False) else call["name"]
        value = getattr(value, name)(*call["positional"], **options)
    return value


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def comparable(found: list[str]) -> list[str]:
    """Without the note, the test that R makes of rounded ones, and the blanks that R has in headings of groups."""
    kept = [line for line in found if line != NOTE and "(confounded)" not in line]
    return [re.sub("= +", "= ", line) if line.endswith(":") else line for line in kept]


@pytest.mark.parametrize("request_", REQUESTS)
def test_prints_as_r(request_: dict[str, Any]):
    found, wanted = lines(str(answer(request_))), request_["text"]
    assert comparable(found) == comparable(wanted)
    if not isinstance(answer(request_), JointTable):  # a joint test of means is none of the means
        assert found.count(NOTE) == wanted.count(NOTE)


def compare(found: pd.DataFrame, wanted: dict[str, list[Any]]) -> None:
    columns = {name: values for name, values in wanted.items() if name != "note"}
    assert [name for name in found.columns if name != "note"] == list(columns)
    labels = [name for name in columns if not isinstance(columns[name][0], int | float)]
    for name in labels:
        if found[name].dtype == object:
            assert found[name].tolist() == columns[name], name
    for name in [name for name in columns if name not in labels]:
        own, theirs = numbers(found[name].tolist()), numbers(columns[name])
        assert_allclose(np.isnan(own), np.isnan(theirs))
        if name in ROUNDED:
            exact = found.get("model term", pd.Series("", found.index)).to_numpy() != "(confounded)"
            assert_allclose(own[exact], theirs[exact], rtol=1e-5, atol=ROUNDED[name])
            assert_allclose(own, theirs, rtol=1e-3, atol=ROUNDED[name])  # R makes the last test of rounded ones
        elif name == "p.value":
            assert_allclose(own, theirs, rtol=5e-3, atol=1e-6)
        else:
            scale = np.nanmax(np.abs(np.where(np.isfinite(theirs), theirs, np.nan)), initial=0.0) or 1.0
            assert_allclose(own / scale, theirs / scale, rtol=1e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("request_", [r for r in REQUESTS if r.values[0]["calls"][-1]["name"] != "drop1"])
def test_has_the_numbers_of_r(request_: dict[str, Any]):
    found, wanted = answer(request_), request_["columns"]
    if isinstance(wanted, dict) and "contrasts" in wanted:
        assert isinstance(found, MeansTable)
        compare(found.contrasts, wanted["contrasts"])
        wanted = wanted["emmeans"] if "emmeans" in wanted else wanted["emtrends"]
    if isinstance(found, JointTable) and "model term" in wanted and len(found.columns) > len(ROUNDED) + 2:
        # R orders by term, then by group
        by = [
            name for name in found.columns if name in wanted and name not in {*ROUNDED, "model term", "p.value", "note"}
        ]
        order = pd.DataFrame({name: wanted[name] for name in ["model term", *by]}).astype(str)
        index = pd.MultiIndex.from_frame(found[["model term", *by]].astype(str))
        found = found.set_axis(index, axis=0).loc[list(order.itertuples(index=False, name=None))].reset_index(drop=True)
        found = found[list(wanted)]
    compare(found, wanted)


def test_requests_of_every_kind_are_there():
    names = {call["name"] for request in REFERENCE["requests"] for call in request["calls"]}
    assert names == {"emmeans", "emtrends", "joint_tests", "pairs", "contrast", "confint", "test", "drop1"}
    assert {request["ddf"] for request in REFERENCE["requests"]} == {"satterthwaite", "kenward-roger", "asymptotic"}
    assert len(REQUESTS) >= 75
