"""Profile and Wald intervals against lme4, and their tables.

Where lme4 is known to be wrong the reason stands beside the case.
"""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mixedpy as mp
from mixedpy.core.profile.walk import zeta_at
from mixedpy.inference import profile as inference
from tests.cases import case
from tests.tolerances import CONFINT_WIDTH, WALD_WIDTH, ZETA_ATOL

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "profile_reference.json").read_text())
CASES = {c["name"]: c for c in REFERENCE["cases"]}

_MIXED = (
    "lme4 compares deviances with and without the sum of the log weights, so that the fixed effects of a weighted "
    "model get intervals of nearly no width"
)
_SPLINE = "lme4's spline crosses a kink between two points of its grid, where a correlation reaches its bound"
_STOPPED = "lme4's optimizer stops above the constrained minimum: ours is lower at lme4's own points"
STOPPED_SHORT = ("cake_slope", "grouseticks_slope")
"""Nearly singular models in which lme4's optimizer stops short at many points, of all parameters."""

LME4_IS_WRONG = {
    ("sleepstudy_quadratic_ml", ".sig02"): _SPLINE,
    ("sleepstudy_quadratic_ml", ".sig03"): _SPLINE,
    ("sleepstudy_quadratic_ml", ".sig05"): _SPLINE,
    ("cake_slope", ".sig03"): _STOPPED,
    ("cake_slope", ".sigma"): _SPLINE,
    ("cbpp_weights_ml", "(Intercept)"): _MIXED,
    ("cbpp_weights_ml", "period2"): _MIXED,
    ("cbpp_weights_ml", "period3"): _MIXED,
    ("cbpp_weights_ml", "period4"): _MIXED,
    ("cbpp_weights_and_offset", ".sig01"): _SPLINE,
    ("cbpp_weights_and_offset", "(Intercept)"): _MIXED,
    ("cbpp_weights_and_offset", "period2"): _MIXED,
    ("cbpp_weights_and_offset", "period3"): _MIXED,
    ("cbpp_weights_and_offset", "period4"): _MIXED,
    ("grouseticks_slope", ".sig02"): _STOPPED,
    ("grouseticks_slope", ".sig03"): _STOPPED,
}

pytestmark = pytest.mark.filterwarnings(
    "ignore::mixedpy.SingularFitWarning", "ignore::mixedpy.RankDeficiencyWarning", "ignore::mixedpy.IntervalWarning"
)


@cache
def _fit(name: str) -> mp.LmmFit:
    one = case(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        return mp.lmer(one.formula, one.frame(), **{**one.options(), "reml": False})


def _numbers(values: list[Any]) -> np.ndarray:
    return np.array([np.nan if v is None or isinstance(v, str) else v for v in values], float)


@pytest.mark.parametrize("name", CASES)
def test_limits(name: str) -> None:
    wanted = CASES[name]
    found = _fit(name).confint()
    assert list(found.index) == wanted["names"]
    assert list(found.columns) == ["2.5 %", "97.5 %"]
    lower, upper = _numbers(wanted["lower"]), _numbers(wanted["upper"])
    for i, parameter in enumerate(found.index):
        if (name, parameter) in LME4_IS_WRONG or not np.isfinite(lower[i] + upper[i]):
            continue
        a, b = found.iloc[i]
        assert max(abs(a - lower[i]), abs(b - upper[i])) <= CONFINT_WIDTH * (b - a), parameter


@pytest.mark.parametrize("name", CASES)
def test_zeta_on_lme4s_grid(name: str) -> None:
    """No constrained minimum lies above lme4's; where it is not said to be wrong, both are the same."""
    fit = _fit(name)
    found = inference.profile(fit.design, fit.schema, fit.record, fit.request.control, cutoff=1e-9)
    for curve in found.curves:
        points = CASES[name]["points"][curve.parameter.name]
        weighted = LME4_IS_WRONG.get((name, curve.parameter.name)) == _MIXED
        if curve.slice is None or weighted:
            continue
        for x, zeta in zip(_numbers(points["x"]), _numbers(points["zeta"]), strict=True):
            ours = zeta_at(curve.slice, x, found.estimate, found.estimate).zeta
            assert abs(ours) < abs(zeta) + ZETA_ATOL, (curve.parameter.name, x)
            if name not in STOPPED_SHORT:
                assert ours == pytest.approx(zeta, abs=ZETA_ATOL), (curve.parameter.name, x)


def test_lme4_is_wrong_where_we_say_so() -> None:
    """Every exception is needed: without it the comparison would fail."""
    for (name, parameter), reason in LME4_IS_WRONG.items():
        wanted = CASES[name]
        found = _fit(name).confint(parm=parameter).loc[parameter].to_numpy()
        i = wanted["names"].index(parameter)
        theirs = np.array([_numbers(wanted["lower"])[i], _numbers(wanted["upper"])[i]])
        assert not (np.abs(found - theirs) <= CONFINT_WIDTH * np.ptp(found)).all(), (name, parameter, reason)


def test_weighted_fixed_effects_by_the_definition() -> None:
    """At our limits twice the log-likelihood ratio is the quantile of chi-square; at lme4's it is next to nothing."""
    name = "cbpp_weights_ml"
    fit, one = _fit(name), case(name)
    found = fit.confint(parm="period4").loc["period4"].to_numpy()
    table = one.frame().copy()
    table["y"] = table["incidence"] / table["size"]
    theirs = _numbers(CASES[name]["upper"])[CASES[name]["names"].index("period4")]

    def increase(limit: float) -> float:
        held = table.assign(held=limit * (table["period"] == "4"), p2=table["period"] == "2", p3=table["period"] == "3")
        null = mp.lmer("y ~ p2 + p3 + (1 | herd)", held, weights="size", offset="held", reml=False)
        return null.deviance - fit.deviance

    for limit in found:
        assert increase(limit) == pytest.approx(3.841459, abs=1e-4)
    assert increase(theirs) < 0.01


@pytest.mark.parametrize("name", CASES)
def test_wald_limits(name: str) -> None:
    wanted = CASES[name]
    found = _fit(name).confint("wald").to_numpy()
    theirs = np.stack([_numbers(wanted["wald_lower"]), _numbers(wanted["wald_upper"])], 1)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(theirs))
    width = found[:, 1] - found[:, 0]
    assert (np.nan_to_num(np.abs(found - theirs) / width[:, None]) < WALD_WIDTH).all()


def test_a_reml_fit_is_profiled_by_ml() -> None:
    one = case("sleepstudy_slope_reml")
    reml = mp.lmer(one.formula, one.frame())
    np.testing.assert_allclose(reml.confint(), _fit("sleepstudy_slope_reml").confint(), rtol=1e-5)


def test_zeta_frame() -> None:
    profile = _fit("sleepstudy_slope_reml").profile()
    frame = profile.zeta
    names = [".sig01", ".sig02", ".sig03", ".sigma", "(Intercept)", "Days"]
    assert list(frame.columns) == [".zeta", *names, ".par"]
    assert list(frame[".par"].cat.categories) == names
    for name in names:
        own = frame[frame[".par"] == name]
        assert (np.diff(own[name]) > 0).all()
        assert (np.diff(own[".zeta"]) > -1e-6).all()
        assert (own[".zeta"] == 0).sum() == 1
        assert own[".zeta"].abs().max() > 2.5
    estimate = frame[frame[".zeta"] == 0].drop(columns=[".zeta", ".par"])
    np.testing.assert_allclose(estimate.std(), 0.0, atol=1e-8)
    assert "sleep" not in repr(profile)
    assert ".sig03" in repr(profile)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.99, 0.999])
def test_any_level_from_one_profile(level: float) -> None:
    fit = _fit("penicillin_ml")
    profile = fit.profile(cutoff=2.0)
    np.testing.assert_allclose(profile.confint(level), fit.confint(level=level), rtol=1e-5)


def test_reaching_the_bound() -> None:
    """The standard deviation between batches is not needed by the data: its interval begins at zero."""
    found = _fit("pastes_nested").confint()
    assert found.loc[".sig02", "2.5 %"] == 0.0
    assert found.attrs["reasons"] == {}


@pytest.mark.parametrize(
    ("parm", "names"),
    [
        ("Days", ["Days"]),
        (".sigma", [".sigma"]),
        (["Days", ".sig01"], ["Days", ".sig01"]),
        ("theta_", [".sig01", ".sig02", ".sig03", ".sigma"]),
        ("beta_", ["(Intercept)", "Days"]),
        (0, [".sig01"]),
        ([5, "Days"], ["Days"]),
    ],
)
def test_selection(parm: Any, names: list[str]) -> None:
    fit = _fit("sleepstudy_slope_reml")
    assert list(fit.confint(parm=parm).index) == names
    assert list(fit.confint("wald", parm=parm).index) == names


@pytest.mark.parametrize("parm", ["days", 6, -1, True, ["Days", "x"]])
def test_unknown_parameters(parm: Any) -> None:
    with pytest.raises(mp.DataError, match=r"not a parameter of the model.*\.sig01, \.sig02"):
        _fit("sleepstudy_slope_reml").confint(parm=parm)


def test_bad_options() -> None:
    fit = _fit("sleepstudy_slope_reml")
    with pytest.raises(ValueError, match="method='exact'"):
        fit.confint("exact")  # type: ignore[arg-type]
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            fit.confint(level=level)
    with pytest.raises(ValueError, match="must be positive"):
        fit.profile(cutoff=0.0)


@pytest.mark.filterwarnings("error::mixedpy.IntervalWarning")
def test_a_correlation_that_is_not_defined() -> None:
    """Next to a variance of zero there is no correlation: NaN and the reason."""
    rng = np.random.default_rng(4)
    x = np.tile(np.arange(5.0), 20)
    data = {"y": rng.normal(size=100), "x": x, "g": np.repeat([f"g{i}" for i in range(20)], 5)}
    within = np.stack([np.ones(5), np.arange(5.0)], 1)
    y = np.asarray(data["y"]).reshape(20, 5).T
    data["y"] = (y - within @ np.linalg.lstsq(within, y, rcond=None)[0]).T.ravel()  # all groups have the same line
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.SingularFitWarning)
        fit = mp.lmer("y ~ x + (x | g)", data)
    assert fit.theta.iloc[0] == 0.0
    with pytest.warns(mp.IntervalWarning, match=r"\.sig02: a standard deviation is estimated as zero"):
        found = fit.confint()
    assert found.loc[".sig02"].isna().all()
    assert found["2.5 %"][[".sig01", ".sig03"]].tolist() == [0.0, 0.0]
    assert "zero" in found.attrs["reasons"][".sig02"]


@pytest.mark.parametrize(("x", "y"), [(1e9, 1.0), (1e-9, 1.0), (1.0, 1e-9), (1e7, 1e7)])
def test_limits_do_not_depend_on_units(x: float, y: float) -> None:
    table = mp.datasets.load("sleepstudy")
    scaled = table.assign(Days=table["Days"] * x, Reaction=table["Reaction"] * y)
    unit = np.array([y, 1.0, y / x, y, y, y / x])[:, None]
    wanted, found = (mp.lmer("Reaction ~ Days + (Days | Subject)", data).confint() for data in (table, scaled))
    np.testing.assert_allclose(found.to_numpy() / unit, wanted.to_numpy(), rtol=1e-8)


def test_plots() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    profile = _fit("dyestuff_ml").profile()
    for kind in ("zeta", "density"):
        axes = profile.plot(kind)  # type: ignore[arg-type]
        assert [ax.get_xlabel() for ax in axes] == [".sig01", ".sigma", "(Intercept)"]
        assert all(len(ax.lines) >= 1 for ax in axes)
    with pytest.raises(ValueError, match="kind='bars'"):
        profile.plot("bars")  # type: ignore[arg-type]


def test_the_density_integrates_to_the_probability_covered() -> None:
    from mixedpy.report.plots.profile import CurvePoints, density

    x = np.linspace(-3.0, 3.0, 25)
    curve = CurvePoints("x", 10.0 + 2.0 * x, x)
    fine = np.linspace(4.0, 16.0, 4001)
    assert np.trapezoid(density(curve, fine), fine) == pytest.approx(0.9973002, abs=1e-6)
