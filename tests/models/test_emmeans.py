"""Estimated marginal means and contrasts among them against the R package emmeans, and what must be refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixedpy as mp
from tests import tolerances as tol
from tests.inference_cases import INFERENCE, InferenceCase, fit_of
from tests.models.test_inference_references import numbers

REQUESTS = [
    pytest.param(case, request, ddf, id=f"{case.name}-{'_'.join(request['over'])}-{k}-{ddf}")
    for case in INFERENCE
    for k, request in enumerate(case.reference.get("means", []))
    for ddf in ("satterthwaite", "kenward_roger")
    if isinstance(request.get(ddf), dict)
]

ADJUSTED = {"dunnettx": 2e-3, "mvt": 3e-3}
"""Absolute tolerance of p values: emmeans finds quantiles of "dunnettx" to 5e-4, and "mvt" is Monte Carlo on both
sides, with degrees of freedom cut to whole numbers in R."""


def means_of(case: InferenceCase, request: dict[str, Any], ddf: str):
    return fit_of(case).emmeans(
        request["over"] or "1",
        by=request["by"] or None,
        at=request["at"] or None,
        weights=request["weights"],
        type=request["type"],
        ddf=ddf.replace("_", "-"),
    )


def aligned(found: pd.DataFrame, wanted: dict[str, list[Any]], labels: list[str]) -> pd.DataFrame:
    """R's table in the order of ours, by the labels."""
    table = pd.DataFrame({key: pd.Series(values, dtype=object) for key, values in wanted.items()})
    assert len(table) == len(found)
    key = pd.MultiIndex.from_frame(table[labels].map(text)) if len(labels) > 1 else pd.Index(table[labels[0]].map(text))
    own = found[labels].map(text)
    order = pd.MultiIndex.from_frame(own) if len(labels) > 1 else pd.Index(own[labels[0]])
    return table.set_index(key).loc[order]


def text(value: Any) -> str:
    try:
        return f"{float(value):.6g}"
    except ValueError:
        return str(value)


def column(table: pd.DataFrame, name: str) -> np.ndarray:
    return numbers(table[name].tolist())


@pytest.mark.parametrize(("case", "request_", "ddf"), REQUESTS)
def test_means(case: InferenceCase, request_: dict[str, Any], ddf: str):
    found = means_of(case, request_, ddf)
    labels = [*(request_["over"] or ["1"]), *request_["by"]]
    estimate = "response" if request_["type"] == "response" else "emmean"
    assert list(found.columns) == [*labels, estimate, "SE", "df", "lower.CL", "upper.CL"]
    wanted = request_[ddf]["means"]
    table = aligned(found, wanted, labels)
    known = ~np.isnan(column(table, estimate))
    assert_allclose(np.isnan(found[estimate]), ~known)
    for name, rtol in (("df", tol.DDF_RTOL), (estimate, 1e-6), ("SE", tol.KR_SE_RTOL)):
        assert_allclose(found[name][known], column(table, name)[known], rtol=rtol)
    width = column(table, "upper.CL") - column(table, "lower.CL")
    for end in ("lower.CL", "upper.CL"):
        assert_allclose(found[end][known] / width[known], column(table, end)[known] / width[known], atol=1e-4)


@pytest.mark.parametrize(("case", "request_", "ddf"), [r for r in REQUESTS if r.values[1].get("contrast") is not None])
def test_contrasts(case: InferenceCase, request_: dict[str, Any], ddf: str):
    means = means_of(case, request_, ddf)
    found = means.contrast(request_["contrast"], adjust=request_.get("adjust"))
    wanted = request_[ddf]["contrasts"]
    ratio = "ratio" in wanted
    estimate = "ratio" if ratio else "estimate"
    labels = ["contrast", *request_["by"]]
    table = aligned(found, wanted, labels)
    known = ~np.isnan(column(table, estimate))
    assert_allclose(np.isnan(found[estimate]), ~known)
    scale = np.abs(column(table, estimate)[known]).max()
    assert_allclose(found[estimate][known] / scale, column(table, estimate)[known] / scale, rtol=0, atol=1e-6)
    assert_allclose(found["SE"][known], column(table, "SE")[known], rtol=tol.KR_SE_RTOL)
    assert_allclose(found["df"][known], column(table, "df")[known], rtol=tol.DDF_RTOL)
    assert_allclose(found["t.ratio"][known], column(table, "t.ratio")[known], rtol=1e-4, atol=1e-6)
    adjust = found.attrs["adjust"]
    atol = ADJUSTED.get(adjust, 1e-6)
    # R counts contrasts that cannot be estimated among the tests of their group
    whole = known & ~np.isin(
        *[found[request_["by"]].astype(str).agg("".join, axis=1)[k] for k in (slice(None), ~known)]
    )
    assert_allclose(found["p.value"][whole], column(table, "p.value")[whole], rtol=5e-3, atol=atol)

    limits = found.confint()
    ends = aligned(limits, request_[ddf]["intervals"], labels)
    width = column(ends, "upper.CL") - column(ends, "lower.CL")
    close = 2e-2 if adjust == "mvt" else 2e-3
    for end in ("lower.CL", "upper.CL"):
        assert_allclose(limits[end][whole] / width[whole], column(ends, end)[whole] / width[whole], atol=close)


def test_there_are_requests_of_every_kind():
    assert len(REQUESTS) >= 40
    asked = [r.values[1] for r in REQUESTS]
    assert {r["weights"] for r in asked} == {"equal", "proportional", "outer", "cells"}
    assert {r.get("contrast") for r in asked} >= {"pairwise", "trt.vs.ctrl", "consec", "eff", "poly", None}
    assert any(r["by"] for r in asked)
    assert any(r["at"] for r in asked)


@pytest.fixture(scope="module")
def cake() -> mp.LmmFit:
    return mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", mp.datasets.load("cake"))


def test_balanced_means_are_cell_means(cake):
    cells = mp.datasets.load("cake").groupby("recipe", observed=True)["angle"].mean()
    assert_allclose(cake.emmeans("recipe")["emmean"], cells)


def test_specs_may_be_written_in_several_ways(cake):
    wanted = cake.emmeans(["recipe"], by=["temperature"])
    for specs in ("recipe | temperature", "~ recipe | temperature"):
        pd.testing.assert_frame_equal(pd.DataFrame(cake.emmeans(specs)), pd.DataFrame(wanted))
    together = cake.emmeans("recipe:temperature")
    pd.testing.assert_frame_equal(pd.DataFrame(together), pd.DataFrame(wanted))
    assert len(together.pairs()) == 18 * 17 / 2
    assert len(wanted.pairs()) == 3 * 6


def test_custom_contrasts_and_reverse(cake):
    means = cake.emmeans("recipe")
    custom = means.contrast({"A against the rest": [1, -0.5, -0.5]})
    e = means["emmean"].to_numpy()
    assert custom["estimate"].item() == pytest.approx(e[0] - (e[1] + e[2]) / 2)
    assert_allclose(means.pairs(reverse=True)["estimate"], -means.pairs()["estimate"])
    by_label = means.contrast("trt.vs.ctrl", ref="C")
    assert by_label["contrast"].tolist() == ["A - C", "B - C"]


def test_asymptotic_means_have_infinite_degrees_of_freedom(cake):
    table = cake.emmeans("recipe", ddf=None)
    assert np.isinf(table["df"]).all()
    assert_allclose(table["upper.CL"] - table["emmean"], 1.959963985 * table["SE"])
    assert np.isfinite(table.pairs("tukey")["p.value"]).all()
    assert np.isfinite(table.pairs("scheffe").confint()["upper.CL"]).all()
    assert np.isfinite(table.pairs("mvt")["p.value"]).all()


def test_print_of_means_and_contrasts(cake):
    text = str(cake.emmeans("recipe | temperature"))
    assert text.startswith("temperature = 175:\n recipe emmean   SE   df lower.CL upper.CL\n A        29.1 2.04 77.4")
    assert "Results are averaged" not in text
    averaged = cake.emmeans("recipe")
    assert "Results are averaged over the levels of: temperature" in str(averaged)
    assert "<table" in averaged._repr_html_()
    assert "tukey method for comparing a family of 3 estimates" in str(averaged.pairs())
    assert type(averaged.loc[0:1]) is pd.DataFrame
    assert "Degrees-of-freedom" not in str(averaged.round(2))


def test_sum_contrasts_give_the_same_means():
    data = mp.datasets.load("cake").drop(index=[1, 40, 41, 200])
    formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"
    one, other = mp.lmer(formula, data), mp.lmer(formula, data, contrasts={"recipe": "sum", "temperature": "helmert"})
    assert_allclose(one.emmeans("recipe")["emmean"], other.emmeans("recipe")["emmean"])
    assert_allclose(one.emmeans("recipe")["df"], other.emmeans("recipe")["df"], rtol=1e-3)


def test_expressions_and_splines_in_the_formula():
    sleep = mp.datasets.load("sleepstudy").assign(week=np.repeat([0, 1], 90))
    fit = mp.lmer("Reaction ~ ns(Days, df = 3) + factor(week) + (1 | Subject)", sleep)
    means = fit.emmeans("week", at={"Days": 2.0})
    at_two = fit.predict({"Days": [2.0, 2.0], "week": [0, 1]}, re_form="NA")
    assert_allclose(means["emmean"], at_two)
    pair = fit.emmeans("Days", at={"Days": [0.0, 9.0]}).pairs()
    assert pair["contrast"].tolist() == ["Days0 - Days9"]


def test_transformed_responses_come_back():
    sleep = mp.datasets.load("sleepstudy")
    for response, back in (("sqrt(Reaction)", np.square), ("log(Reaction - 100)", lambda x: np.exp(x) + 100)):
        fit = mp.lmer(f"{response} ~ Days + (1 | Subject)", sleep)
        link = fit.emmeans("Days", at={"Days": [0, 9]})
        means = fit.emmeans("Days", at={"Days": [0, 9]}, type="response")
        assert_allclose(means["response"], back(link["emmean"]))
        assert_allclose(means["upper.CL"], back(link["upper.CL"]))
        assert "not the response" in str(link)
        assert "estimate" in means.pairs().columns


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.emmeans("recip"), "no predictor.*did you mean `recipe`"),
        (lambda f: f.emmeans("recipe", by="recipe"), "distinct predictors"),
        (lambda f: f.emmeans(""), "must name"),
        (lambda f: f.emmeans("recipe", weights="even"), "weights='even'.*'proportional'"),
        (lambda f: f.emmeans("recipe", type="mu"), "type='mu'"),
        (lambda f: f.emmeans("recipe", ddf="kr"), "ddf='kr'"),
        (lambda f: f.emmeans("recipe", level=95), "level=95"),
        (lambda f: f.emmeans("recipe", adjust="tukey"), "all pairwise differences"),
        (lambda f: f.emmeans("recipe", adjust="lsd"), "adjust='lsd'"),
        (lambda f: f.emmeans("recipe", at={"recipe": "D"}), "no level 'D'; it has 'A', 'B', 'C'"),
        (lambda f: f.emmeans("recipe", at={"replicate": 1}), "at: `replicate` is no predictor"),
        (lambda f: f.emmeans("recipe").contrast("all"), "method='all'"),
        (lambda f: f.emmeans("recipe").contrast({"x": [1, -1]}), "3 finite numbers"),
        (lambda f: f.emmeans("recipe").contrast({}), "empty"),
        (lambda f: f.emmeans("recipe").contrast("trt.vs.ctrl", ref="D"), "ref='D' is no mean"),
        (lambda f: f.emmeans("recipe").contrast("trt.vs.ctrl", ref=3), "ref=3 is out of range"),
        (lambda f: f.emmeans([], by="recipe"), "must name"),
    ],
)
def test_bad_input(cake, call, message):
    with pytest.raises(ValueError, match=message):
        call(cake)


def test_a_response_without_a_known_way_back():
    fit = mp.lmer("I(1000/Reaction) ~ Days + (1 | Subject)", mp.datasets.load("sleepstudy"))
    with pytest.raises(mp.MixedpyError, match="way back from"):
        fit.emmeans("Days", type="response")


def test_a_table_changed_after_the_fit_is_noticed():
    data = mp.datasets.load("cake")
    fit = mp.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", data)
    data.loc[0, "temp"] = 0.0
    for call in (lambda: fit.emmeans("recipe"), fit.anova):
        with pytest.raises(mp.DataError, match="changed since"):
            call()
