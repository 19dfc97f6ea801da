"""Simulated p values of likelihood-ratio tests: against pbkrtest, against exact tests, and under a true hypothesis."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from mixedpy.core.refit.ratio import LikelihoodRatio
from mixedpy.models.comparing.simulated_null import SimulatedNull
from tests.models.test_comparison import REFERENCE as COMPARISONS
from tests.models.test_comparison import TABLES, _fit, _ids

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "parametric_bootstrap.json").read_text())

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")

NSIM = 4000


def _pair(wanted: dict[str, Any]) -> tuple[Any, Any]:
    table = mp.datasets.load(wanted["data"])
    formulas = [wanted["smaller"], wanted["larger"]]
    formulas = [f.replace("as.integer(plate)", "number").replace("as.integer(period)", "number") for f in formulas]
    factor = {"Penicillin": "plate", "cbpp": "period"}.get(wanted["data"])
    if factor is not None:
        table = table.assign(number=table[factor].cat.codes + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        if wanted["family"] is not None:
            options = {"family": wanted["family"], "weights": wanted["weights"]}
            return tuple(mp.glmer(f, table, **options) for f in formulas)  # type: ignore[return-value]
        return tuple(mp.lmer(f, table, reml=False) for f in formulas)  # type: ignore[return-value]


@pytest.mark.parametrize("wanted", REFERENCE["pairs"], ids=lambda w: f"{w['data']}-{w['larger']}")
def test_p_value_is_pbkrtests(wanted: dict[str, Any]) -> None:
    """Within Monte-Carlo error; statistics that rounding has made negative pbkrtest leaves out, here they are zero."""
    smaller, larger = _pair(wanted)
    generalized = wanted["family"] is not None
    nsim = NSIM // 8 if generalized else NSIM
    found = mp.anova(smaller, larger, names=["m0", "m1"], nsim=nsim, seed=1)
    assert found.loc["m1", "Chisq"] == pytest.approx(wanted["statistic"], abs=2e-4)
    simulations = 1000 if generalized else 4000
    p = (1 + wanted["extreme"]) / (1 + simulations)
    error = np.sqrt(p * (1.0 - p) * (1.0 / nsim + 1.0 / simulations))
    assert abs(found.loc["m1", "Pr(simulated)"] - p) < 4.0 * error + 2.0 / nsim


@pytest.mark.parametrize("wanted", [e for e in COMPARISONS["exact"] if e["null"]], ids=lambda e: e["full"])
def test_one_variance_has_its_exact_p_value(wanted: dict[str, Any]) -> None:
    full, null = (_fit(wanted["data"], wanted[which], True) for which in ("full", "null"))
    exact = mp.rlrt(full, null, nsim=100_000, seed=1).pvalue
    found = float(mp.anova(null, full, names=["m0", "m1"], nsim=2000, seed=2).loc["m1", "Pr(simulated)"])
    assert abs(found - exact) < 4.0 * np.sqrt(exact * (1.0 - exact) / 2000) + 0.02 * exact + 1.0 / 2000


def test_models_of_one_size_are_not_simulated() -> None:
    fits = [_fit("sleepstudy", f"Reaction ~ Days + ({effect} | Subject)", False) for effect in ("1", "0 + Days")]
    found = mp.anova(*fits, names=["m0", "m1"], nsim=10, seed=1)
    assert found["Pr(simulated)"].isna().all()
    assert "simulated" not in str(found)
    assert "simulated" not in found._repr_html_()


@pytest.mark.parametrize("wanted", TABLES, ids=_ids)
def test_statistic_of_the_response_itself_is_that_of_the_table(wanted: dict[str, Any]) -> None:
    fits = [_fit(wanted["data"], f, wanted["reml"], wanted["weights"]) for f in wanted["formulas"]]
    table = mp.anova(*fits, refit=wanted["refit"], names=wanted["names"])
    by_name = dict(zip(wanted["names"], fits, strict=True))
    reml = wanted["reml"] and not table.attrs["note"]
    for k in range(1, len(table)):
        smaller, larger = by_name[table.index[k - 1]], by_name[table.index[k]]
        ratio = LikelihoodRatio(smaller.design, larger.design, reml=reml, control=larger.request.control)
        (found,) = ratio.statistics(larger.design.y[:, None])
        assert found == pytest.approx(table["Chisq"].iloc[k], abs=1e-6)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("1 + (1 | g)", "x + (1 | g)"),
        ("x + (1 | g)", "x + (1 | g) + (0 + x | g)"),
        ("x + (1 | g)", "x + (x | g)"),
    ],
)
def test_size_with_few_groups(smaller: str, larger: str) -> None:
    """6 groups of 5, where chi-square is liberal for a fixed effect and the mixture conservative for a variance."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(6), 5)
    table = pd.DataFrame({"g": g.astype(str), "x": np.tile(np.arange(5.0) - 2.0, 6)})
    count, rejected = 300, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        for _ in range(count):
            data = table.assign(y=rng.normal(size=6)[g] + rng.normal(size=30))
            fits = [mp.lmer(f"y ~ {terms}", data) for terms in (smaller, larger)]
            p = mp.anova(*fits, names=["m0", "m1"], nsim=99, seed=rng).loc["m1", "Pr(simulated)"]
            rejected += p <= 0.05
    assert abs(rejected / count - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / count)


def test_p_values_do_not_depend_on_the_workers() -> None:
    pytest.importorskip("joblib")
    cask = _fit("Pastes", "strength ~ 1 + (1 | batch:cask)", True)
    nested = _fit("Pastes", "strength ~ 1 + (1 | batch/cask)", True)
    found = [
        mp.anova(cask, nested, names=["m0", "m1"], nsim=1200, seed=seed, n_jobs=jobs, progress=False)["Pr(simulated)"]
        for seed, jobs in ((3, 1), (3, 2), (4, 1))
    ]
    assert found[0].equals(found[1])
    assert not found[0].equals(found[2])


def test_what_the_table_says() -> None:
    null = _fit("sleepstudy", "Reaction ~ 1 + (Days | Subject)", False)
    line = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", False)
    curve = _fit("sleepstudy", "Reaction ~ Days + I(Days**2) + (Days | Subject)", False)
    found = mp.anova(null, line, curve, nsim=199, seed=1)
    assert list(found.columns)[-1] == "Pr(simulated)"
    assert np.isnan(found.loc["null", "Pr(simulated)"])
    assert found.loc["line", "Pr(simulated)"] == 1 / 200
    last = str(found).splitlines()[-3:]
    assert last[0] == "By 199 data sets simulated from the row above:"
    assert last[1] == "line   0.005"
    assert "By 199 data sets" in found._repr_html_()
    assert "Pr(simulated)" not in mp.anova(null, line).columns


def test_failed_simulations_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    null = _fit("sleepstudy", "Reaction ~ 1 + (Days | Subject)", False)
    line = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", False)
    whole = LikelihoodRatio.statistics

    def some(self: LikelihoodRatio, Y: Any) -> Any:
        found = whole(self, Y)
        found[:3] = np.nan
        return found

    monkeypatch.setattr(LikelihoodRatio, "statistics", some)
    with pytest.warns(mp.IntervalWarning, match="of 99 simulated data sets .* 3 for line"):
        found = mp.anova(null, line, nsim=99, seed=1)
    assert found.attrs["failed"] == {"line": 3}
    assert found.loc["line", "Pr(simulated)"] == 1 / 97
    assert "3 failed" in str(found)


def test_p_value_counts_the_observed_statistic() -> None:
    null = SimulatedNull(np.array([0.0, 0.0, 1.0, 2.0, np.nan]))
    assert null.pvalue(0.0) == 1.0
    assert null.pvalue(1.0) == 3 / 5
    assert null.pvalue(5.0) == 1 / 5
    assert null.failed == 1


@pytest.mark.parametrize(("options", "message"), [({"nsim": 0}, "nsim=0"), ({"nsim": 9, "n_jobs": 0}, "n_jobs=0")])
def test_bad_options(options: dict[str, int], message: str) -> None:
    null = _fit("sleepstudy", "Reaction ~ 1 + (Days | Subject)", False)
    line = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", False)
    with pytest.raises(ValueError, match=message):
        mp.anova(null, line, **options)


def test_offsets_stay_known_parts() -> None:
    """Statistics of a model with an offset are those of the model without it for the response less the offset."""
    fit0, fit1 = (
        _fit("sleepstudy", f, False) for f in ("Reaction ~ 1 + (1 | Subject)", "Reaction ~ Days + (1 | Subject)")
    )
    known = 3.0 * np.arange(fit0.nobs)
    shifted = [replace(f.design, offset=known) for f in (fit0, fit1)]
    control = fit1.request.control
    Y = fit0.design.y[:, None] + np.random.default_rng(1).normal(size=(fit0.nobs, 4))
    plain = LikelihoodRatio(fit0.design, fit1.design, reml=False, control=control).statistics(Y)
    found = LikelihoodRatio(*shifted, reml=False, control=control).statistics(Y + known[:, None])
    np.testing.assert_allclose(found, plain, atol=1e-6)
