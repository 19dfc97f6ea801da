"""check, influence, leverage and report of generalized fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from mixedpy.cli import main


@pytest.fixture(scope="module")
def cbpp() -> mp.GlmmFit:
    return mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))


def test_leverage_by_level_is_the_mean_of_its_rows(cbpp: mp.GlmmFit) -> None:
    rows = cbpp.leverage()
    np.testing.assert_allclose(rows["overall"], rows["fixef"] + rows["ranef"])
    np.testing.assert_allclose(rows["overall"], cbpp.augment()[".hat"])
    means = rows.groupby(cbpp.request.data["herd"].to_numpy(), observed=True).mean()
    np.testing.assert_allclose(cbpp.leverage("herd"), means.loc[cbpp.leverage("herd").index])


def test_influence_is_that_of_fits_without(cbpp: mp.GlmmFit) -> None:
    found = cbpp.influence("herd")
    assert "estimated anew" in found.note
    data = cbpp.request.data
    for herd in ("1", "8", "14"):
        rest = mp.glmer(cbpp.request.formula, data[data["herd"] != herd])
        d = (cbpp.fixef - rest.fixef).to_numpy()
        np.testing.assert_allclose(found.fixef.loc[herd], rest.fixef, rtol=1e-4)
        cook = d @ np.linalg.solve(cbpp.vcov().to_numpy(), d) / len(d)
        assert found.loc[herd, "cooks_distance"] == pytest.approx(cook, rel=1e-3)
    pd.testing.assert_frame_equal(cbpp.cooks_distance("herd"), pd.DataFrame(found)[["cooks_distance"]])
    assert found.theta is not None
    with pytest.raises(mp.MixedpyError, match="no closed form"):
        cbpp.influence("herd", method="held")


def test_influence_of_rows(cbpp: mp.GlmmFit) -> None:
    found = cbpp.cooks_distance()
    assert len(found) == 56
    assert (found["cooks_distance"] >= 0).all()


def test_long_work_is_asked_for_first() -> None:
    fit = mp.glmer("r2 ~ Anger + (1 | id)", mp.datasets.load("VerbAgg").head(2000))
    with pytest.raises(mp.MixedpyError, match='give method="refit"'):
        fit.influence()


def test_a_good_fit_is_said_to_be_one(cbpp: mp.GlmmFit) -> None:
    found = cbpp.check()
    assert found.ok
    assert {"convergence", "singularity", "levels", "dispersion", "residuals", "influence"} <= set(
        found.to_frame().index
    )


def test_overdispersion_and_few_levels_are_noticed() -> None:
    ticks = mp.datasets.load("grouseticks")
    fit = mp.glmer("TICKS ~ YEAR + (1 | LOCATION)", ticks, family="poisson")
    found = fit.check().to_frame()
    assert found.loc["dispersion", "verdict"] == "problem"
    assert "nbinom2" in found.loc["dispersion", "advice"]
    better = mp.glmer_nb("TICKS ~ YEAR + (1 | LOCATION)", ticks).check().to_frame()
    assert "dispersion" not in better.index


@pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")
def test_separation_is_a_problem() -> None:
    trial = {"y": [0, 1] * 12 + [1] * 8, "arm": ["a"] * 24 + ["b"] * 8, "site": list("uvwx") * 8}
    found = mp.glmer("y ~ arm + (1 | site)", trial).check()
    assert not found.ok
    assert "separate the responses" in str(found.to_frame().loc["separation", "text"])


@pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")
def test_a_missing_curve_is_noticed() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, 600)
    data = pd.DataFrame({"x": x, "g": np.arange(600) % 20, "y": rng.poisson(np.exp(1.0 + x**2 - 0.3 * x))})
    texts = mp.glmer_nb("y ~ x + (1 | g)", data).check().to_frame()["text"]
    assert texts.str.contains("curve is missing").any()


@pytest.mark.parametrize("family", ["binomial", "hurdle_nbinom2"])
def test_report(family: str, cbpp: mp.GlmmFit, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    data = mp.datasets.load("Arabidopsis")
    fit = cbpp if family == "binomial" else mp.glmer("total.fruits ~ nutrient + (1 | gen)", data, family=family)
    fit.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert f"family {fit.family}, link {fit.link}" in page
    assert "Wald limits of the normal distribution" in page
    assert ("intraclass correlation" in page) == (family == "binomial")
    assert ("Parameters of the distribution" in page) == (family != "binomial")
    assert "Quantile residuals" in page
    assert "<script" not in page


def test_report_from_the_command_line(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    mp.datasets.load("grouseticks").to_csv(tmp_path / "ticks.csv", index=False)
    out = tmp_path / "page.html"
    formula = "TICKS ~ factor(YEAR) + (1 | BROOD)"
    assert main(["report", formula, str(tmp_path / "ticks.csv"), "--family", "poisson", "--out", str(out)]) == 0
    assert "family poisson, link log" in out.read_text()
