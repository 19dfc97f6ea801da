"""The bootstrap of a fit: against refits of simulated responses, repeatable, failures counted, intervals by hand."""

from __future__ import annotations

import json
import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, norm

import mixedpy as mp
from mixedpy.inference import parallel
from mixedpy.inference.bootstrap import _quantiles, _studentized, batches
from mixedpy.inference.parallel import run_tasks, shares
from tests.cases import case

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")

METHODS = ["parametric", "residual", "case", "cluster"]


@cache
def _fit(name: str) -> mp.LmmFit:
    one = case(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        return mp.lmer(one.formula, one.frame(), **one.options())


@pytest.mark.parametrize(
    "name", ["sleepstudy_slope_reml", "sleepstudy_offset", "cbpp_weights_and_offset", "pastes_nested"]
)
def test_parametric_replicates_are_brute_force_refits(name: str) -> None:
    """simulate() and refit() do the same row by row."""
    fit = _fit(name)
    found = fit.bootstrap(300, seed=1)
    assert found.failed == 0
    prep_like = fit.simulate(150, seed=2)
    rows = []
    for column in prep_like:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mp.MixedpyWarning)
            again = fit.refit(prep_like[column])
        frame = again.varcorr().to_frame(order="lower.tri")
        rows.append([*frame["sdcor"], *again.fixef])
    brute = pd.DataFrame(rows, columns=found.replicates.columns)
    for column in brute:
        a, b = found.replicates[column].dropna(), brute[column].dropna()
        assert ks_2samp(a, b).pvalue > 1e-3, column


def test_names_and_estimates() -> None:
    fit = _fit("sleepstudy_slope_reml")
    found = fit.bootstrap(20, seed=1)
    assert list(found.replicates.columns) == [".sig01", ".sig02", ".sig03", ".sigma", "(Intercept)", "Days"]
    assert list(found.estimate.index) == list(found.replicates.columns)
    frame = fit.varcorr().to_frame(order="lower.tri")
    np.testing.assert_allclose(found.estimate.iloc[:4], frame["sdcor"])
    np.testing.assert_allclose(found.estimate.iloc[4:], fit.fixef)
    np.testing.assert_allclose(found.bias, found.replicates.mean() - found.estimate)
    np.testing.assert_allclose(found.estimate_se.iloc[4:], fit.se)
    assert found.nsim == 20
    assert "parametric bootstrap, 20 replicates" in repr(found)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_repeats_whatever_the_number_of_workers(method: Any) -> None:
    pytest.importorskip("joblib")
    fit = _fit("dyestuff_reml")
    nsim = 60 if method in ("case", "cluster") else 1100
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.IntervalWarning)
        one = fit.bootstrap(nsim, seed=3, method=method)
        again = fit.bootstrap(nsim, seed=3, method=method)
        two = fit.bootstrap(nsim, seed=3, method=method, n_jobs=2, progress=False)
        other = fit.bootstrap(nsim, seed=4, method=method)
    pd.testing.assert_frame_equal(one.replicates, again.replicates)
    pd.testing.assert_frame_equal(one.replicates, two.replicates)
    assert not one.replicates.equals(other.replicates)


def test_a_generator_is_a_seed_too() -> None:
    fit = _fit("dyestuff_reml")
    one = fit.bootstrap(10, seed=np.random.default_rng(7)).replicates
    two = fit.bootstrap(10, seed=np.random.default_rng(7)).replicates
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("method", METHODS)
def test_standard_errors_are_about_right(method: Any) -> None:
    """All four methods agree on the slope of sleepstudy, whose model fits; rows ignore that subjects repeat."""
    fit = _fit("sleepstudy_slope_reml")
    found = fit.bootstrap(200, seed=5, method=method)
    if method == "case":
        assert found.se["Days"] < 0.75 * fit.se["Days"]
    else:
        assert found.se["Days"] == pytest.approx(fit.se["Days"], rel=0.25)
        assert abs(found.bias["Days"]) < 0.3


def test_any_statistic() -> None:
    fit = _fit("sleepstudy_slope_reml")

    def slopes(one: mp.LmmFit) -> pd.Series[float]:
        return one.fixef

    found = fit.bootstrap(20, slopes, seed=1)
    assert list(found.replicates.columns) == ["(Intercept)", "Days"]
    assert fit.bootstrap(5, lambda one: one.sigma, seed=1).replicates.columns.tolist() == ["t1"]
    assert fit.bootstrap(5, lambda one: [one.sigma, 1.0], seed=1).replicates.shape == (5, 2)
    with pytest.raises(TypeError, match=r"shape \(2, 2\)"):
        fit.bootstrap(5, lambda one: np.eye(2))


@pytest.mark.parametrize("method", METHODS)
def test_a_statistic_sees_the_whole_fit(method: Any) -> None:
    fit = _fit("pastes_nested")

    def several(one: mp.LmmFit) -> dict[str, float]:
        modes = one.ranef()["batch"]
        assert len(modes) == one.ngroups["batch"]
        return {"spread": float(np.ptp(modes.to_numpy())), "rows": one.nobs, "fitted": float(one.fitted.mean())}

    with warnings.catch_warnings():
        warnings.simplefilter("error", mp.IntervalWarning)
        found = fit.bootstrap(10, several, seed=2, method=method)
    assert (found.replicates["rows"] == 60).all()


@pytest.mark.parametrize("statistic", [lambda f: f.emmeans("temperature")["emmean"], lambda f: f.anova()["F value"]])
@pytest.mark.parametrize("method", ["case", "cluster"])
def test_fits_to_drawn_rows_have_no_table(method: Any, statistic: Any) -> None:
    fit = mp.lmer("angle ~ temperature * recipe + (1 | recipe:replicate)", mp.datasets.load("cake"))
    assert fit.bootstrap(2, statistic, seed=1).failed == 0
    with pytest.warns(mp.IntervalWarning, match="3: the statistic raised DataError: rows or groups drawn by a boot"):
        assert fit.bootstrap(3, statistic, seed=1, method=method).failed == 3


def test_intervals_by_hand() -> None:
    fit = _fit("sleepstudy_slope_reml")
    found = fit.bootstrap(999, seed=6)
    ordered = np.sort(found.replicates["Days"].to_numpy())
    low, high = ordered[24], ordered[974]  # (999 + 1) alpha = 25 and 975
    estimate = fit.fixef["Days"]
    np.testing.assert_allclose(found.confint().loc["Days"], [low, high])
    np.testing.assert_allclose(found.confint(kind="basic").loc["Days"], [2 * estimate - high, 2 * estimate - low])
    t = np.sort(((found.replicates - found.estimate) / found.replicate_se)["Days"].to_numpy())
    studentized = found.confint(kind="studentized")
    se = fit.se["Days"]
    np.testing.assert_allclose(studentized.loc["Days"], [estimate - t[974] * se, estimate - t[24] * se])
    assert np.isfinite(studentized).all().all()
    assert list(found.confint(0.9).columns) == ["5 %", "95 %"]
    for bad in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            found.confint(bad)
    with pytest.raises(ValueError, match="kind='bca'"):
        found.confint(kind="bca")  # type: ignore[arg-type]


def test_standard_errors_of_standard_deviations_and_correlations() -> None:
    """The delta method agrees with the spread of the replicates, whichever way the model is refitted."""
    for name in ("sleepstudy_slope_reml", "penicillin_ml", "pastes_nested"):
        found = _fit(name).bootstrap(300, seed=9)
        ratio = found.replicate_se.median() / found.replicates.std()
        assert ratio.between(0.8, 1.25).all(), (name, ratio)
        np.testing.assert_allclose(found.estimate_se, found.replicate_se.median(), rtol=0.15)


def test_an_estimate_on_the_boundary_has_no_standard_error() -> None:
    found = _fit("cake_slope").bootstrap(50, seed=1)
    with pytest.warns(mp.IntervalWarning, match=r"\.sig02: it has no standard error"):
        limits = found.confint(kind="studentized")
    assert limits.loc[".sig02"].isna().all()
    assert np.isfinite(limits.loc["temp"]).all()


INTERVALS: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[1] / "reference" / "bootstrap_intervals.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("wanted", INTERVALS["intervals"], ids=lambda wanted: wanted["scale"])
def test_studentized_limits_are_those_of_boot_ci(wanted: dict[str, Any]) -> None:
    values, errors = np.array(wanted["replicates"]), np.array(wanted["errors"])
    for level, low, high in zip(wanted["levels"], wanted["lower"], wanted["upper"], strict=True):
        tails = np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level])
        found = _studentized(wanted["estimate"], values, wanted["error"], errors, tails, wanted["scale"])
        np.testing.assert_allclose(found, (low, high), rtol=1e-6)


@given(seed=st.integers(0, 10**6), groups=st.integers(4, 12), slope=st.booleans())
@settings(max_examples=15, deadline=None)
def test_studentized_limits_stay_within_the_range_of_the_parameter(seed: int, groups: int, slope: bool) -> None:
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(groups), 5), np.tile(np.arange(-2.0, 3.0), groups)
    y = rng.normal(size=groups)[g] * 0.6 + rng.normal(size=groups)[g] * x * 0.3 + rng.normal(size=5 * groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        fit = mp.lmer(f"y ~ x + ({'x' if slope else '1'} | g)", {"y": y, "x": x, "g": g.astype(str)})
        limits = fit.confint("boot", nsim=60, seed=1, kind="studentized")
    assert not (limits.loc[[".sig01", ".sigma"]] < 0).any().any()
    if slope:
        assert not (limits.loc[".sig03"] < 0).any()
        assert not (limits.loc[".sig02"].abs() > 1).any()
    assert not (limits.iloc[:, 0] > limits.iloc[:, 1]).any()


def test_replicates_on_the_boundary_are_beyond_all_others() -> None:
    values, tails = np.r_[np.zeros(10), np.full(10, 1.0), np.full(179, 1.2)], np.array([0.025, 0.975])
    errors = np.where(values > 0, 0.1, np.nan)
    low, high = _studentized(1.1, values, 0.1, errors, tails, "log")
    assert low > 0
    assert np.isnan(high)
    values[values == 0] = -1.0
    low, high = _studentized(0.5, np.minimum(values, 0.9), 0.1, errors, tails, "atanh")
    assert -1 < low < 0.5
    assert high == 1.0
    fit = mp.lmer("strength ~ 1 + (1 | batch/cask)", mp.datasets.load("Pastes"))
    with pytest.warns(mp.IntervalWarning, match="too many replicates have no standard error"):
        limits = fit.confint("boot", nsim=200, seed=1, kind="studentized")
    assert limits.loc[".sig02"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("statistic", "count", "reason"),
    [
        (lambda one: np.nan if one.sigma > 26 else one.sigma, None, "the statistic is not finite"),
        (lambda one: {"a": 1.0, "b": np.inf}, 20, "the statistic is not finite"),
        (lambda one: None, 20, "the statistic returned None"),
    ],
)
def test_statistics_without_a_value_count_as_failed(statistic: Any, count: int | None, reason: str) -> None:
    with pytest.warns(mp.IntervalWarning, match=f"replicates failed.*{reason}"):
        found = _fit("sleepstudy_slope_reml").bootstrap(20, statistic, seed=1)
    assert set(found.failures) == {reason}
    assert found.failed == found.replicates.isna().any(axis=1).sum() == (found.failed if count is None else count)
    assert 0 < found.failed <= 20
    if "a" in found.replicates:
        assert found.replicates["a"].notna().all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f.bootstrap(5, "sigma"), TypeError, "statistic='sigma' must be a function"),
        (lambda f: f.bootstrap(5, lambda one: "a"), TypeError, "statistic returned 'a'; return a number"),
        (lambda f: f.bootstrap(5, lambda one: {"a": "b"}), TypeError, "statistic returned {'a': 'b'}"),
        (lambda f: f.bootstrap(5, seed="a"), TypeError, "seed='a' must be a whole number"),
        (lambda f: f.simulate(seed=-1), ValueError, "seed=-1 must be"),
        (lambda f: f.power("Days", 5, seed=1.5), TypeError, "seed=1.5"),
        (lambda f: f.confint("Walt"), ValueError, "method='Walt'"),
        (lambda f: f.confint(level=[0.9, 0.95]), ValueError, "one number"),
        (lambda f: f.confint("boot", level="0.9"), ValueError, "one number"),
    ],
)
def test_arguments_of_another_kind_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(_fit("sleepstudy_slope_reml"))


def test_methods_of_intervals_in_any_case() -> None:
    fit = _fit("sleepstudy_slope_reml")
    pd.testing.assert_frame_equal(fit.confint("Wald"), fit.confint("wald"))


def test_quantiles_between_order_statistics() -> None:
    """On the scale of normal quantiles, exact for normal scores."""
    R = 50
    scores = norm.ppf(np.arange(1, R + 1) / (R + 1))
    low, high = _quantiles(scores, np.array([0.1234, 0.9]))
    np.testing.assert_allclose([low, high], norm.ppf([0.1234, 0.9]))
    assert _quantiles(scores, np.array([1e-6, 1 - 1e-6])) == (scores[0], scores[-1])


def test_a_statistic_with_its_standard_error() -> None:
    fit = _fit("sleepstudy_slope_reml")
    plain = fit.bootstrap(60, seed=8, method="residual")
    paired = fit.bootstrap(60, lambda one: {"Days": (one.fixef["Days"], one.se["Days"])}, seed=8, method="residual")
    assert paired.replicate_se["Days"].notna().all()
    assert np.isfinite(paired.confint(kind="studentized")).all().all()
    assert paired.estimate_se["Days"] == pytest.approx(plain.estimate_se["Days"])


def test_confint_boot() -> None:
    fit = _fit("sleepstudy_slope_reml")
    found = fit.confint("boot", nsim=300, seed=2)
    pd.testing.assert_frame_equal(found, fit.bootstrap(300, seed=2).confint())
    only = fit.confint("boot", 0.9, "Days", nsim=300, seed=2, kind="basic")
    assert list(only.index) == ["Days"]
    profile = fit.confint()
    assert np.abs(found - profile).loc["Days"].max() < 1.0


def test_failures_are_counted_and_reported() -> None:
    fit = _fit("sleepstudy_slope_reml")
    calls = []

    def fragile(one: mp.LmmFit) -> float:
        calls.append(1)
        if len(calls) in (3, 5):
            raise ZeroDivisionError("no slope")
        return one.sigma

    with pytest.warns(mp.IntervalWarning, match=r"2 of 10 bootstrap replicates failed.*ZeroDivisionError: no slope"):
        found = fit.bootstrap(10, fragile, seed=1)
    assert found.failed == 2
    assert found.replicates["t1"].isna().sum() == 2
    assert found.failures == {"the statistic raised ZeroDivisionError: no slope": 2}
    assert "2 failed" in repr(found)
    assert np.isfinite(found.confint()).all().all()


def test_a_sample_without_a_level_fails() -> None:
    """Groups drawn with replacement may lack a level of a factor; its column of X is then gone."""
    rng = np.random.default_rng(0)
    g = np.repeat([f"g{i}" for i in range(8)], 5)
    kind = np.repeat(["a", "a", "a", "a", "a", "a", "a", "b"], 5)
    fit = mp.lmer("y ~ kind + (1 | g)", {"y": rng.normal(size=40), "kind": kind, "g": g})
    with pytest.warns(mp.IntervalWarning, match="columns of X are linearly dependent in the sample"):
        found = fit.bootstrap(40, seed=1, method="cluster")
    assert 5 < found.failed < 25
    assert found.nsim == 40


def test_changing_names_fail() -> None:
    fit = _fit("dyestuff_reml")
    calls = []

    def fickle(one: mp.LmmFit) -> dict[str, float]:
        calls.append(1)
        return {f"s{len(calls) > 2}": one.sigma}

    with pytest.warns(mp.IntervalWarning, match="returned"):
        assert fit.bootstrap(4, fickle, seed=1).failed == 3


def test_correlations_without_meaning_are_left_out() -> None:
    """Replicates in which a variance is zero have no correlation; the quantiles go without them."""
    rng = np.random.default_rng(4)
    x = np.tile(np.arange(5.0), 20)
    data = {"y": rng.normal(size=100), "x": x, "g": np.repeat([f"g{i}" for i in range(20)], 5)}
    found = mp.lmer("y ~ x + (x | g)", data).bootstrap(200, seed=1)
    missing = found.replicates[".sig02"].isna()
    zero = (found.replicates[".sig01"] == 0.0) | (found.replicates[".sig03"] == 0.0)
    assert missing.any()
    assert (missing == zero).all()
    assert np.isfinite(found.confint().loc[".sig02"]).all()


def test_groups_to_draw() -> None:
    crossed = _fit("penicillin_reml")
    with pytest.raises(mp.DataError, match="plate, sample are crossed"):
        crossed.bootstrap(5, method="cluster")
    with pytest.raises(mp.DataError, match="by='day' is no grouping factor"):
        crossed.bootstrap(5, method="cluster", by="day")
    assert crossed.bootstrap(5, seed=1, method="cluster", by="plate").failed == 0
    with pytest.raises(ValueError, match="leave it out"):
        crossed.bootstrap(5, by="plate")


@pytest.mark.parametrize("nsim", [0, -1, 2.5, True, "10"])
def test_bad_numbers_of_replicates(nsim: Any) -> None:
    with pytest.raises(ValueError, match="whole number, at least 1"):
        _fit("dyestuff_reml").bootstrap(nsim)


def test_bad_options() -> None:
    fit = _fit("dyestuff_reml")
    with pytest.raises(ValueError, match="method='wild'"):
        fit.bootstrap(5, method="wild")  # type: ignore[arg-type]
    for n_jobs in (0, 1.5, True):
        with pytest.raises(ValueError, match="n_jobs"):
            fit.bootstrap(5, n_jobs=n_jobs)  # type: ignore[arg-type]


def test_batches_cover_all_replicates() -> None:
    plan = batches(1050, 100, 1)
    assert [batch.count for batch in plan] == [100] * 10 + [50]
    assert len({batch.seed.spawn_key for batch in plan}) == 11
    for workers in (1, 3, 100):
        assert [batch for part in shares(plan, workers) for batch in part] == plan


def test_a_progress_bar_appears_when_it_is_due(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    pytest.importorskip("tqdm")
    options = {"n_jobs": 1, "unit": "fit"}
    assert run_tasks(lambda x: x + 1, [1, 2], [1, 1], progress=None, **options) == [2, 3]
    assert capfd.readouterr().err == ""
    run_tasks(lambda x: x, [1, 2], [1, 1], progress=True, **options)
    assert "2/2" in capfd.readouterr().err
    monkeypatch.setattr(parallel, "_PATIENCE", 0.0)
    run_tasks(lambda x: time.sleep(0.01), [1, 2, 3], [1, 1, 1], progress=None, **options)
    assert "3/3" in capfd.readouterr().err
    run_tasks(lambda x: time.sleep(0.01), [1, 2, 3], [1, 1, 1], progress=False, **options)
    assert capfd.readouterr().err == ""


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "joblib", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"n_jobs=2 needs joblib.*mixedpy\[parallel\]"):
        _fit("dyestuff_reml").bootstrap(5, n_jobs=2)
    with pytest.raises(ImportError, match="progress=True needs tqdm"):
        _fit("dyestuff_reml").bootstrap(5, progress=True)
    monkeypatch.setattr(parallel, "_PATIENCE", 0.0)
    assert _fit("dyestuff_reml").bootstrap(5, seed=1).nsim == 5


@pytest.mark.parametrize("random", ["(1 | g)", "(x | g)", "(1 | g) + (1 | h)"])
def test_models_without_fixed_effects(random: str) -> None:
    rng = np.random.default_rng(1)
    g, h, x = rng.integers(0, 15, 200), rng.integers(0, 8, 200), rng.normal(size=200)
    y = rng.normal(size=15)[g] + 0.7 * rng.normal(size=15)[g] * x + rng.normal(size=8)[h] + rng.normal(size=200)
    data = pd.DataFrame({"y": y, "x": x, "g": g.astype(str), "h": h.astype(str)})
    fit = mp.lmer(f"y ~ 0 + {random}", data)
    for method in ("parametric", "residual"):
        boot = fit.bootstrap(40, seed=1, method=method)  # type: ignore[arg-type]
        assert boot.failed == 0
        assert 0.5 < boot.replicates[".sigma"].mean() / fit.sigma < 1.5
    Y = fit.simulate(2, seed=3)
    many = mp.prepare(f"y ~ 0 + {random}", data).fit_many(Y)
    np.testing.assert_allclose(many.sigma, [fit.refit(Y[name]).sigma for name in Y], rtol=1e-5)
