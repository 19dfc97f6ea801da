"""Power by simulation: nominal under the null hypothesis, right where it is known, on other designs."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mixedpy as mp
from mixedpy.core.refit.replicate import draw_responses
from mixedpy.inference.bootstrap import batches
from tests.cases import case

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")


@cache
def _fit(name: str) -> mp.LmmFit:
    one = case(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        return mp.lmer(one.formula, one.frame(), **one.options())


@pytest.mark.parametrize(
    ("name", "test", "null"),
    [
        ("sleepstudy_slope_reml", "Days", {"fixef": {"Days": 0.0}}),
        ("cake_additive", "recipe", {"fixef": {"recipeB": 0.0, "recipeC": 0.0}}),
        ("dyestuff_reml", "Batch", {"theta": [0.0]}),
        ("sleepstudy_intercept_ml", "Subject", {"theta": [0.0]}),
        ("sleepstudy_double_bar", "Days in Subject", {"theta": [0.9, 0.0]}),
    ],
)
def test_size_of_tests_under_the_null_hypothesis(name: str, test: str, null: dict[str, Any]) -> None:
    found = _fit(name).power(test, 2000, seed=1, **null)
    low, high = found.interval
    assert low <= 0.055
    assert high >= 0.045
    assert found.failed == 0


def test_size_at_the_boundary_with_another_component() -> None:
    """A slope beside an intercept: the mixture for a whole term, somewhat conservative in small samples."""
    found = _fit("pastes_nested").power("batch", 200, seed=2, theta=[3.0, 0.0])
    assert "exact restricted likelihood-ratio test" in found.test
    assert found.power < 0.11


def test_power_of_the_balanced_one_way_layout() -> None:
    """The restricted statistic is a function of F, whose power is that of a central F distribution."""
    fit = _fit("dyestuff_reml")
    theta = 1.2
    found = fit.power("Batch", 4000, seed=3, theta=[theta])
    critical = stats.f.ppf(0.95, 5, 24)
    wanted = stats.f.sf(critical / (1.0 + 5.0 * theta**2), 5, 24)
    assert found.power == pytest.approx(wanted, abs=4.0 * np.sqrt(wanted * (1 - wanted) / 4000))


def test_power_of_the_slope() -> None:
    """Balanced: the t statistic of the slope is noncentral t with as many degrees of freedom as subjects less one."""
    fit = _fit("sleepstudy_slope_reml")
    found = fit.power("Days", 4000, seed=4, fixef={"Days": 4.0})
    critical = stats.t.ppf(0.975, 17)
    wanted = stats.nct.sf(critical, 17, 4.0 / fit.se["Days"])
    assert "17 degrees of freedom" in found.test
    assert found.power == pytest.approx(wanted, abs=0.03)


def test_another_design() -> None:
    fit = _fit("sleepstudy_slope_reml")
    table = mp.datasets.load("sleepstudy")
    twice = pd.concat([table.assign(Subject=table["Subject"].astype(str) + s) for s in "ab"]).drop(columns="Reaction")
    found = fit.power("Days", 2000, seed=5, fixef={"Days": 4.0}, newdata=twice)
    critical = stats.t.ppf(0.975, 35)
    wanted = stats.nct.sf(critical, 35, 4.0 / (fit.se["Days"] / np.sqrt(2.0)))
    assert "35 degrees of freedom" in found.test
    assert found.power == pytest.approx(wanted, abs=0.04)
    few = {"Days": [0, 1, 2, 3] * 4, "Subject": np.repeat(list("abcd"), 4)}
    assert fit.power("Days", 200, seed=6, fixef={"Days": 4.0}, newdata=few).power < found.power


def test_other_parameters() -> None:
    fit = _fit("sleepstudy_slope_reml")
    noisy = fit.power("Days", 400, seed=7, fixef={"Days": 4.0}, sigma=100.0)
    quiet = fit.power("Days", 400, seed=7, fixef={"Days": 4.0}, sigma=5.0, theta=[1.0, 0.0, 0.1])
    assert noisy.power < 0.5 < 0.95 < quiet.power


def test_fixed_effects_as_a_series() -> None:
    fit = _fit("sleepstudy_slope_reml")
    halved = 0.5 * fit.fixef
    found = fit.power("Days", 100, seed=1, fixef=halved)
    assert found.power == fit.power("Days", 100, seed=1, fixef=halved.to_dict()).power


def test_covariances_that_cannot_be_told_apart() -> None:
    table = mp.datasets.load("sleepstudy").assign(half=np.tile(list("ab"), 90))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.SingularFitWarning)
        fit = mp.lmer("Reaction ~ Days + (1 | Subject) + (0 + half | Subject)", table)
    with pytest.raises(mp.MixedpyError, match="do not tell the covariances of the model apart"):
        fit.power("Subject.1", 20, seed=1)


def test_the_normal_distribution_rejects_too_often() -> None:
    few = {"Days": [0, 1, 2, 3] * 5, "Subject": np.repeat(list("abcde"), 4)}
    fit = _fit("sleepstudy_slope_reml")
    wald = fit.power("Days", 1500, seed=8, fixef={"Days": 0.0}, newdata=few, ddf=None)
    t = fit.power("Days", 1500, seed=8, fixef={"Days": 0.0}, newdata=few)
    assert wald.power > t.power + 0.03
    assert "Wald" in wald.test


def test_a_term_with_several_effects() -> None:
    found = _fit("sleepstudy_slope_reml").power("Subject", 100, seed=9)
    assert "chi-bar-square" in found.test
    assert found.power > 0.95
    null = _fit("sleepstudy_slope_reml").power("Subject", 600, seed=10, theta=[0.0, 0.0, 0.0])
    assert 0.01 < null.power < 0.075


def test_one_effect_of_a_term() -> None:
    fit = _fit("sleepstudy_slope_reml")
    options: dict[str, Any] = {"nsim": 300, "seed": 1, "theta": [0.9, 0.01, 0.08]}
    found = fit.power("Days | Subject", **options)
    assert found.test.startswith("Days in Subject, restricted likelihood-ratio test (0.5 chi2(1) + 0.5 chi2(2)")
    for same in ("(Days | Subject)", "Days in Subject", "Days in (Days | Subject)"):
        np.testing.assert_array_equal(fit.power(same, **options).pvalues, found.pvalues)
    whole = fit.power("Subject", **options)
    np.testing.assert_array_equal(fit.power("1 + Days | Subject", **options).pvalues, whole.pvalues)
    assert found.power < whole.power
    assert fit.power("1 in Subject", **options).test.startswith("(Intercept) in Subject")
    assert fit.power("Days in Subject", 300, seed=1).power > 0.98
    size = fit.power("Days in Subject", 1000, seed=1, theta=[0.9, 0.0, 0.0])
    assert size.interval[0] <= 0.05


def test_the_statistic_of_one_effect_is_that_of_anova() -> None:
    """A p value of power is that of the comparison of the two fits to the simulated response."""
    fit = _fit("sleepstudy_slope_reml")
    found = fit.power("Days | Subject", 10, seed=1, theta=[0.9, 0.01, 0.12])
    rng = np.random.default_rng(batches(10, 250, 1)[0].seed)
    record = fit.record
    Lambda = fit.design.terms[0].template.Lambda(np.array([0.9, 0.01, 0.12]))
    Y = draw_responses(fit.design, record.beta, [Lambda], record.sigma, 10, rng)
    small = mp.lmer("Reaction ~ Days + (1 | Subject)", mp.datasets.load("sleepstudy"))
    for y, p in zip(Y.T[:4], found.pvalues, strict=False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mp.MixedpyWarning)
            table = mp.anova(small.refit(y), fit.refit(y), refit=False)
        assert table["Pr(boundary)"].iloc[1] == pytest.approx(p, rel=2e-2, abs=1e-4)


@pytest.mark.parametrize("bar", ["cs(1 + Days | Subject)", "diag(1 + Days | Subject, hom = TRUE)"])
def test_one_effect_of_a_structure_that_cannot_do_without(bar: str) -> None:
    fit = mp.lmer(f"Reaction ~ Days + {bar}", mp.datasets.load("sleepstudy"))
    with pytest.raises(mp.MixedpyError, match="Days in Subject cannot be tested on its own"):
        fit.power("Days in Subject", 5)


def test_groups_within_groups_in_either_order() -> None:
    fit = _fit("pastes_nested")
    wanted = fit.power("cask:batch", 20, seed=1)
    assert fit.power("batch:cask", 20, seed=1).test == wanted.test
    np.testing.assert_array_equal(fit.power("batch:cask", 20, seed=1).pvalues, wanted.pvalues)


def test_repeatable_whatever_the_number_of_workers() -> None:
    pytest.importorskip("joblib")
    fit = _fit("dyestuff_reml")
    one = fit.power("Batch", 600, seed=1)
    two = fit.power("Batch", 600, seed=1, n_jobs=2, progress=False)
    np.testing.assert_array_equal(one.pvalues, two.pvalues)
    assert not np.array_equal(one.pvalues, fit.power("Batch", 600, seed=2).pvalues)


def test_interval_is_clopper_pearson() -> None:
    found = _fit("dyestuff_reml").power("Batch", 50, seed=1)
    hits = int((found.pvalues <= 0.05).sum())
    low, high = stats.binomtest(hits, 50).proportion_ci()
    np.testing.assert_allclose(found.interval, [low, high])
    assert found.power == hits / 50
    assert f"power {found.power:.3f}" in repr(found)


def test_failures_are_counted() -> None:
    fit = _fit("dyestuff_reml")
    hard = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"), control=mp.Control(max_iterations=1))
    with pytest.warns(mp.IntervalWarning, match=r"of 50 simulated data sets could not be fitted"):
        found = hard.power("(Intercept)", 50, seed=1)
    assert found.failed == np.isnan(found.pvalues).sum() > 0
    assert "failed" in repr(found)
    assert fit.power("(Intercept)", 50, seed=1).failed == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"test": "day"},
            mp.MixedpyError,
            r"neither a fixed effect or term \(\(Intercept\), Days\) nor .*\(Subject, Days in Subject\)",
        ),
        ({"test": "Day | Subject"}, mp.MixedpyError, "test='Day . Subject' is neither"),
        ({"test": "Days in Sub"}, mp.MixedpyError, "neither"),
        ({"nsim": 0}, ValueError, "whole number"),
        ({"alpha": 5}, ValueError, "alpha=5"),
        ({"sigma": -1.0}, ValueError, "sigma=-1.0"),
        ({"fixef": {"days": 1.0}}, mp.DataError, "fixef names 'days'"),
        ({"theta": [1.0]}, mp.DataError, "theta= has shape"),
        ({"ddf": "satterthwaite"}, ValueError, "ddf='satterthwaite'"),
        ({"newdata": {"Days": [1, 2]}}, mp.DataError, "Subject"),
    ],
)
def test_bad_input(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        _fit("sleepstudy_slope_reml").power(**{"test": "Days", "nsim": 5, **options})


def test_newdata_must_have_the_levels_of_the_fit() -> None:
    table = mp.datasets.load("cake")
    fewer = table[table["recipe"] != "C"].assign(recipe=lambda t: t["recipe"].astype(str))
    with pytest.raises(mp.DataError, match="must have the levels of the fit"):
        _fit("cake_additive").power("recipe", 5, newdata=fewer)


def test_newdata_may_be_any_table() -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    data = mp.datasets.load("sleepstudy")
    fit = mp.lmer(
        "Reaction ~ late(Days) + (1 | Subject)", data, functions={"late": lambda days: np.maximum(days - 2.0, 0.0)}
    )
    few = data[data["Days"] < 6].drop(columns="Reaction").reset_index(drop=True)
    wanted = fit.power("late(Days)", 20, seed=1, newdata=few).pvalues
    columns = {name: few[name] for name in few}
    for table in (columns, pl.from_pandas(few), pa.Table.from_pandas(few)):
        np.testing.assert_array_equal(fit.power("late(Days)", 20, seed=1, newdata=table).pvalues, wanted)
    for empty in ({}, pl.DataFrame(), 3):
        with pytest.raises(mp.DataError, match=r"Days|type int"):
            fit.power("late(Days)", 20, seed=1, newdata=empty)


def test_power_of_a_generalized_fit() -> None:
    """About that of the normal distribution at the standard error; the level where there is no effect."""
    data = mp.datasets.load("cbpp")
    fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", data)
    effect = -2.5 * fit.se["period2"]
    found = fit.power("period2", 200, fixef={"period2": effect}, seed=1)
    wanted = stats.norm.cdf(2.5 - 1.96) + stats.norm.cdf(-2.5 - 1.96)
    assert abs(found.power - wanted) < 0.15  # standard errors are of each replicate
    none = fit.power("period", 200, fixef=dict.fromkeys(["period2", "period3", "period4"], 0.0), seed=2)
    assert none.interval[0] < 0.05 < none.interval[1] + 0.04
    assert repr(none).startswith("period, Wald chi-square test\npower ")
    again = fit.power("period2", 30, seed=3, n_jobs=2, progress=False)
    np.testing.assert_array_equal(again.pvalues, fit.power("period2", 30, seed=3).pvalues)
    noisy = fit.power("period2", 60, fixef={"period2": effect}, theta=[3.0], seed=1)
    assert noisy.power < found.power + 0.1
    for test in ("herd", "perid"):
        with pytest.raises(mp.MixedpyError, match=f"test='{test}' is neither a fixed effect nor a fixed term"):
            fit.power(test)
    with pytest.raises(mp.DataError, match="fixef names 'x'"):
        fit.power("period2", fixef={"x": 1.0})
    with pytest.raises(ValueError, match="alpha=2"):
        fit.power("period2", alpha=2)
