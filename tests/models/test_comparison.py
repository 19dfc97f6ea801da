"""Comparisons of fits: tables as lme4 prints them, mixtures at the boundary, exact tests, rankings."""

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
from scipy.stats import chi2

import mixedpy as mp
from mixedpy.core.boundary.spectral import simulate_rlrt, spectrum
from mixedpy.inference.mixture import mixture
from mixedpy.inference.nesting import Embedding, embed

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "comparison_reference.json").read_text())

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")


@cache
def _table(name: str) -> pd.DataFrame:
    table = mp.datasets.load(name)
    if name == "VerbAgg":
        attrs = table.attrs
        table = table.assign(Y=(table["r2"] == "Y").astype(int))
        table.attrs.update(attrs)
    return table


@cache
def _fit(data: str, formula: str, reml: bool, weights: str | None = None) -> mp.LmmFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        return mp.lmer(formula, _table(data), reml=reml, weights=weights)


def _ids(value: Any) -> str:
    return f"{value['data']}-{'-'.join(value['names'])}"


TABLES = [t for t in REFERENCE["tables"] if not any("as.integer" in f for f in t["formulas"])]


@pytest.mark.parametrize("wanted", TABLES, ids=_ids)
def test_print_is_lme4s(wanted: dict[str, Any]) -> None:
    """Character by character; what mixedpy adds comes after it, and the note on refitting before it."""
    fits = [_fit(wanted["data"], f, wanted["reml"], wanted["weights"]) for f in wanted["formulas"]]
    found = mp.anova(*fits, refit=wanted["refit"], names=wanted["names"])
    note = [wanted["message"]] if wanted["message"] else []
    text = "\n".join([*note, *wanted["text"]])
    assert str(found)[: len(text)] == text
    below = str(found)[len(text) :]
    assert below.startswith("\n") or below == ""
    assert below == "" or found.attrs["mixtures"] or found.attrs["remarks"]
    assert str(mp.anova(*fits, refit=wanted["refit"], names=wanted["names"], boundary=False)) == text


@pytest.mark.parametrize("wanted", REFERENCE["exact"], ids=lambda e: e["full"])
def test_exact_test_is_rlrsims(wanted: dict[str, Any]) -> None:
    """Within Monte-Carlo error where there is one variance; RLRsim leaves others out of the null distribution."""
    full = _fit(wanted["data"], wanted["full"], True)
    null = None if wanted["null"] is None else _fit(wanted["data"], wanted["null"], True)
    found = mp.rlrt(full, null, nsim=100_000, seed=1)
    assert found.statistic == pytest.approx(wanted["statistic"], abs=1e-5)
    if wanted["statistic"] < 1e-6:
        # lme4's statistic is rounding error, of which RLRsim takes the tail; zero itself has the tail one
        assert found.pvalue == 1.0
        return
    p = wanted["p"]
    error = np.sqrt(2.0 * max(p, 1e-5) * (1.0 - p) / REFERENCE["simulations"])
    assert abs(found.pvalue - p) < (4.0 * error if null is None else 4.0 * error + 0.02 * p)


def test_exact_test_is_the_f_test_in_a_balanced_design() -> None:
    """The restricted statistic is a function of F = 4.598 with 5 and 24 degrees of freedom."""
    found = mp.rlrt(_fit("Dyestuff", "Yield ~ 1 + (1 | Batch)", True), nsim=400_000, seed=2)
    table = _table("Dyestuff")
    groups = table.groupby("Batch", observed=True)["Yield"]
    between = 5.0 * groups.mean().var()
    within = groups.var().mean()
    from scipy.stats import f

    assert found.pvalue == pytest.approx(f.sf(between / within, 5, 24), abs=4 * found.standard_error)


def test_rows_are_named_by_the_callers_variables() -> None:
    parallel = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", False)
    lines = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", False)
    assert list(mp.anova(lines, parallel).index) == ["parallel", "lines"]
    assert list(mp.compare(lines, parallel).index) == ["lines", "parallel"]
    assert list(mp.anova(*[parallel, lines]).index) == ["parallel", "lines"]
    both = [parallel, lines]
    assert _compared_elsewhere(both) == ["MODEL1", "MODEL2"]
    assert list(mp.anova(parallel, lines, names=["a", "b"]).index) == ["a", "b"]
    with pytest.raises(ValueError, match="2 different names"):
        mp.anova(parallel, lines, names=["a", "a"])


def _compared_elsewhere(fits: list[mp.LmmFit]) -> list[str]:
    return list(mp.anova(*fits).index)


def test_the_table_is_a_frame() -> None:
    m0 = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", False)
    m1 = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", False)
    table = mp.anova(m0, m1)
    columns = ["npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)", "Pr(boundary)"]
    assert list(table.columns) == columns
    assert table.loc["m1", "Chisq"] == pytest.approx(m0.deviance - m1.deviance)
    statistic = table.loc["m1", "Chisq"]
    mixed = 0.5 * chi2.sf(statistic, 1) + 0.5 * chi2.sf(statistic, 2)
    assert table.loc["m1", "Pr(boundary)"] == pytest.approx(mixed, rel=1e-10)
    assert np.isnan(table.loc["m0", "Pr(boundary)"])
    assert "Stram" in table._repr_html_()
    assert "Pr(&gt;Chisq)" in table._repr_html_()
    assert list(mp.anova(m0, m1, boundary=False).columns) == columns[:-1]


@pytest.mark.parametrize(
    ("small", "large", "name"),
    [
        ("(1 | g)", "(1 + x | g)", "0.5 chi2(1) + 0.5 chi2(2), Stram & Lee"),
        ("(1 | g)", "(1 + x || g)", "0.5 chi2(0) + 0.5 chi2(1), Stram & Lee"),
        ("(1 | g)", "(1 | g) + (1 | h)", "0.5 chi2(0) + 0.5 chi2(1), Stram & Lee"),
        ("(1 + x | g)", "(1 + x + z | g)", "0.5 chi2(2) + 0.5 chi2(3), Stram & Lee"),
        ("(1 + x || g)", "(1 + x | g)", None),
        ("(0 + x | g)", "(1 + x | g)", "0.5 chi2(1) + 0.5 chi2(2), Stram & Lee"),
        ("(1 | g)", "(1 + x + z || g)", "chi2(0) + 0.5 chi2(1) +"),
        ("(1 | g)", "(1 + x + z | g)", "chi-bar-square"),
        ("(1 | h)", "(1 | h) + (1 + x | g)", "chi-bar-square"),
        ("(1 + x | g)", "(1 + z | g)", None),
        ("(1 | g)", "(1 | h) + (0 + x | g)", None),
        ("(1 | h) + (1 | g)", "(1 + x | g) + (1 | h)", "0.5 chi2(1) + 0.5 chi2(2), Stram & Lee"),
    ],
)
def test_which_mixture(small: str, large: str, name: str | None) -> None:
    table = _simulated(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        m0 = mp.lmer(f"y ~ x + {small}", table)
        m1 = mp.lmer(f"y ~ x + {large}", table)
    found = mp.anova(m0, m1).attrs["mixtures"]
    if name is None:
        assert found == {}
    else:
        assert name in found["m1"]


def test_a_singular_smaller_fit_is_said_to_be_one() -> None:
    rng = np.random.default_rng(1)
    table = _simulated(3).assign(y=lambda t: t["x"] + 0.5 * rng.normal(size=15)[t["h"].str[1:].astype(int)])
    noise = rng.normal(size=400)
    noise -= table.assign(e=noise).groupby("g")["e"].transform("mean")
    table = table.assign(y=table["y"] + noise)
    table["y"] -= table.groupby("g")["y"].transform("mean")
    m0 = mp.lmer("y ~ x + (1 | g)", table)
    m1 = mp.lmer("y ~ x + (1 | g) + (1 | h)", table)
    assert m0.singular
    assert mp.anova(m0, m1).attrs["mixtures"]["m1"].endswith("; approximate, the smaller fit is singular")


def test_fixed_effects_add_degrees_of_freedom() -> None:
    table = _simulated(3)
    m0 = mp.lmer("y ~ 1 + (1 | g)", table, reml=False)
    m1 = mp.lmer("y ~ x + z + (1 | g) + (1 | h)", table, reml=False)
    assert mp.anova(m0, m1).attrs["mixtures"]["m1"] == "0.5 chi2(2) + 0.5 chi2(3), Stram & Lee"


def _simulated(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = 400
    g, h = rng.integers(0, 40, n), rng.integers(0, 15, n)
    x, z = rng.normal(size=n), rng.normal(size=n)
    y = 1.0 + x + rng.normal(size=40)[g] + 0.6 * rng.normal(size=40)[g] * x + 0.5 * rng.normal(size=15)[h]
    names = {"y": y + rng.normal(size=n), "x": x, "z": z}
    return pd.DataFrame({**names, "g": [f"g{i}" for i in g], "h": [f"h{i}" for i in h]})


def test_reml_fits_with_one_fixed_part_are_not_refitted() -> None:
    m0 = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", True)
    m1 = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", True)
    table = mp.anova(m0, m1)
    assert table.attrs["note"] is None
    assert table.loc["m1", "deviance"] == pytest.approx(m1.reml_criterion)


def test_reml_and_ml_mixed_are_refitted() -> None:
    m0 = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", False)
    m1 = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", True)
    table = mp.anova(m0, m1)
    assert str(table).startswith("refitting model(s) with ML (instead of REML)\nData: sleepstudy")
    wanted = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", False).deviance
    assert table.loc["m1", "deviance"] == pytest.approx(wanted, abs=1e-7)
    with pytest.raises(mp.MixedpyError, match="m1 is a REML fit, the others are by maximum likelihood"):
        mp.anova(m0, m1, refit=False)
    with pytest.raises(mp.MixedpyError, match="m1 is a REML fit"):
        mp.compare(m0, m1)


def test_reml_fits_with_different_fixed_parts() -> None:
    m0 = _fit("sleepstudy", "Reaction ~ 1 + (1 | Subject)", True)
    m1 = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", True)
    for compared in (lambda: mp.anova(m0, m1, refit=False), lambda: mp.compare(m0, m1)):
        with pytest.raises(mp.MixedpyError, match="m0 and m1 are REML fits with different fixed parts"):
            compared()


def test_other_contrasts_are_another_fixed_part() -> None:
    """REML criteria depend on the scale of the columns."""
    table = _table("cake")
    m0 = mp.lmer("angle ~ recipe + (1 | replicate)", table)
    m1 = mp.lmer("angle ~ recipe + (1 | replicate)", table, contrasts={"recipe": "sum"})
    with pytest.raises(mp.MixedpyError, match="different fixed parts"):
        mp.compare(m0, m1)
    assert mp.anova(m0, m1)["Chisq"].iloc[1] == pytest.approx(0.0, abs=1e-7)


def test_same_content_of_another_table_will_do() -> None:
    table = _table("sleepstudy")
    m0 = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", False)
    m1 = mp.lmer("Reaction ~ Days + (Days | Subject)", table.copy().reset_index(drop=True), reml=False)
    assert mp.anova(m0, m1).loc["m1", "Df"] == 2


def test_different_data() -> None:
    table = _table("sleepstudy")
    m0 = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", False)
    fewer = mp.lmer("Reaction ~ Days + (1 | Subject)", table.head(100), reml=False)
    logs = mp.lmer("log(Reaction) ~ Days + (1 | Subject)", table, reml=False)
    changed = table.copy()
    changed.loc[changed.index[3], "Reaction"] += 1.0
    other = mp.lmer("Reaction ~ Days + (1 | Subject)", changed, reml=False)
    weighted = mp.lmer("Reaction ~ Days + (1 | Subject)", table, reml=False, weights=np.linspace(1.0, 2.0, 180))
    for fit, message in [
        (fewer, "m0 and (fit|fewer) were fitted to 180 and 100 rows"),
        (logs, r"different responses \(Reaction and log\(Reaction\)\).*180 of 180 values differ"),
        (other, "1 of 180 values differ"),
        (weighted, "different prior weights"),
    ]:
        for compared in (mp.anova, mp.compare):
            with pytest.raises(mp.DataError, match=message):
                compared(m0, fit)  # type: ignore[operator]


def test_what_is_no_fit() -> None:
    m0 = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", False)
    with pytest.raises(TypeError, match=r"fit\.anova\(\)"):
        mp.anova(m0)
    with pytest.raises(TypeError, match="argument 2 is of type float"):
        mp.anova(m0, 3.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="argument 1 is of type str"):
        mp.rlrt("fit")  # type: ignore[arg-type]


@pytest.mark.parametrize("criterion", ["aic", "aicc", "bic"])
def test_ranking(criterion: Any) -> None:
    fits = [_fit("sleepstudy", f"Reaction ~ Days + ({t} | Subject)", False) for t in ("1", "Days", "0 + Days")]
    found = mp.compare(*fits, criterion=criterion, names=["a", "b", "c"])
    values = dict(zip("abc", [getattr(fit, criterion) for fit in fits], strict=True))
    assert list(found.index) == sorted(values, key=values.__getitem__)
    np.testing.assert_allclose(found[criterion], sorted(values.values()))
    assert found["delta"].iloc[0] == 0.0
    assert found["weight"].sum() == pytest.approx(1.0)
    ratio = np.exp(0.5 * (values["a"] - values["c"]))
    assert found.loc["c", "weight"] / found.loc["a", "weight"] == pytest.approx(ratio)


def test_reml_fits_with_one_fixed_part_are_ranked() -> None:
    a = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", True)
    b = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", True)
    assert mp.compare(a, b).loc["b", "aic"] == pytest.approx(b.aic)
    with pytest.raises(ValueError, match="criterion='dic'"):
        mp.compare(a, b, criterion="dic")  # type: ignore[arg-type]


def test_rejections_of_true_hypotheses() -> None:
    """No variance between 12 groups of 5: the exact test keeps its level, the mixture nearly, chi-square half of it."""
    rng = np.random.default_rng(11)
    data = pd.DataFrame({"g": np.repeat([f"g{i}" for i in range(12)], 5), "x": rng.normal(size=60)})
    prepared = mp.prepare("y ~ x + (1 | g)", data.assign(y=rng.normal(size=60)))
    Y = rng.normal(size=(60, 4000))
    X = prepared.design.X
    rss = ((Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]) ** 2).sum(0)
    null = 58.0 * (1.0 + np.log(2.0 * np.pi * rss / 58.0)) + np.linalg.slogdet(X.T @ X)[1]
    statistic = np.maximum(null - prepared.fit_many(Y).deviance.to_numpy(), 0.0)
    drawn = simulate_rlrt(spectrum(prepared.engine, 0, [np.zeros((1, 1))]), 100_000, np.random.default_rng(1))
    naive = (chi2.sf(statistic, 1) <= 0.05).mean()
    mixture = (0.5 * chi2.sf(statistic, 1) <= 0.05).mean()
    exact = (statistic > np.quantile(drawn, 0.95)).mean()
    error = np.sqrt(0.05 * 0.95 / 4000)
    assert exact == pytest.approx(0.05, abs=3.0 * error)
    assert naive < 0.03 < mixture < 0.05 + 3.0 * error


def test_ranking_by_the_conditional_criterion() -> None:
    """Given the random effects REML fits with different fixed parts are comparable."""
    a = _fit("sleepstudy", "Reaction ~ Days + (Days | Subject)", True)
    b = _fit("sleepstudy", "Reaction ~ 1 + (Days | Subject)", True)
    found = mp.compare(b, a, criterion="caic")
    assert list(found.columns) == ["df", "loglik", "caic", "delta", "weight"]
    assert found.loc["a", "caic"] == pytest.approx(a.caic()["caic"])
    assert found["delta"].iloc[0] == 0.0


def test_exact_test_needs_one_variance() -> None:
    table = _simulated(1)
    full = mp.lmer("y ~ x + (1 | g) + (1 | h)", table)
    g = mp.lmer("y ~ x + (1 | g)", table)
    slopes = mp.lmer("y ~ x + (x | g)", table)
    with pytest.raises(mp.MixedpyError, match=r"several random terms \(g, h\)"):
        mp.rlrt(full)
    with pytest.raises(mp.MixedpyError, match=r"2 effects \(\(Intercept\), x\)"):
        mp.rlrt(slopes)
    with pytest.raises(mp.MixedpyError, match="larger in fit are: g"):
        mp.rlrt(slopes, g)
    with pytest.raises(mp.MixedpyError, match="larger in fit are: none"):
        mp.rlrt(full, full)
    with pytest.raises(mp.MixedpyError, match="not a part"):
        mp.rlrt(g, full)
    with pytest.raises(mp.MixedpyError, match="different fixed parts"):
        mp.rlrt(full, mp.lmer("y ~ 1 + (1 | g)", table))
    with pytest.raises(mp.DataError, match="rows"):
        mp.rlrt(full, mp.lmer("y ~ x + (1 | g)", table.head(300)))
    for nsim in (0, 2.5, True):
        with pytest.raises(ValueError, match="whole number"):
            mp.rlrt(g, nsim=nsim)  # type: ignore[arg-type]


def test_the_exact_test_names_the_effect() -> None:
    table = _simulated(1)
    both, g = mp.lmer("y ~ x + (x || g)", table), mp.lmer("y ~ x + (1 | g)", table)
    slope = mp.lmer("y ~ x + (0 + x | g)", table)
    assert mp.rlrt(both, g, nsim=50, seed=1).term == "x in g"
    assert mp.rlrt(slope, nsim=50, seed=1).term == "x in g"
    assert mp.rlrt(both, slope, nsim=50, seed=1).term == "g"
    assert "test of the variance of x in g" in repr(mp.rlrt(both, g, nsim=50, seed=1))


def test_ranking_says_what_to_do_in_its_own_words() -> None:
    a = _fit("sleepstudy", "Reaction ~ Days + (1 | Subject)", True)
    b = _fit("sleepstudy", "Reaction ~ 1 + (1 | Subject)", True)
    for other in (b, _fit("sleepstudy", "Reaction ~ 1 + (1 | Subject)", False)):
        with pytest.raises(mp.MixedpyError, match=r"fit (them|all) with reml=False") as found:
            mp.compare(a, other)
        assert "refit" not in str(found.value)
        with pytest.raises(mp.MixedpyError, match=r"leave refit=True, or fit (them|all) with reml=False"):
            mp.anova(a, other, refit=False)


def test_exact_test_of_ml_fits_is_restricted_too() -> None:
    table = _simulated(2)
    reml = mp.rlrt(mp.lmer("y ~ x + (1 | g) + (1 | h)", table), mp.lmer("y ~ x + (1 | g)", table), seed=1)
    ml = mp.rlrt(
        mp.lmer("y ~ x + (1 | g) + (1 | h)", table, reml=False), mp.lmer("y ~ x + (1 | g)", table, reml=False), seed=1
    )
    assert ml.statistic == pytest.approx(reml.statistic, abs=1e-6)
    assert ml.pvalue == pytest.approx(reml.pvalue, abs=0.02)
    assert "variance of h" in repr(ml)


def test_exact_test_with_too_many_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    from mixedpy.core.boundary import spectral

    monkeypatch.setattr(spectral, "MOST_LEVELS", 10)
    table = _simulated(2)
    with pytest.raises(mp.MixedpyError, match=r"needs the eigenvalues.*40 levels"):
        mp.rlrt(mp.lmer("y ~ x + (1 | g) + (1 | h)", table), mp.lmer("y ~ x + (1 | h)", table))


@pytest.mark.parametrize(
    ("small", "large", "why"),
    [
        ("y ~ x + (1 | g)", "y ~ z + (x | g)", "its fixed part lacks x"),
        ("y ~ x + z + (1 | g)", "y ~ x + (x | g)", "its fixed part lacks z"),
        ("y ~ x + (1 | h)", "y ~ x + (x | g)", "their random parts are not"),
        ("y ~ x + (x | h)", "y ~ x + (1 | h) + (1 | g) + (0 + x | g)", "their random parts are not"),
        ("y ~ x + (1 + x | g)", "y ~ x + z + (1 + x || g) + (0 + z | g)", "their random parts are not"),
        ("y ~ x + offset(z) + (1 | g)", "y ~ x + (x | g)", "their offsets differ"),
        ("y ~ x + (1 | g)", "y ~ x + offset(z) + (x | g)", "their offsets differ"),
    ],
)
def test_models_that_are_not_nested(small: str, large: str, why: str) -> None:
    """No mixture, and a line that says so; lme4's table stays."""
    table = _simulated(3)
    m0, m1 = (mp.lmer(formula, table, reml=False) for formula in (small, large))
    found = mp.anova(m0, m1)
    assert found.attrs["mixtures"] == {}
    assert found["Pr(boundary)"].isna().all()
    line = f"m0 is not nested in m1 ({why}), so that chi-square does not hold"
    assert found.attrs["remarks"] == {"m1": line}
    assert str(found) == f"{mp.anova(m0, m1, boundary=False)}\n{line}"
    assert "is not nested in m1" in found._repr_html_()


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("y ~ x + (1 | g)", "y ~ I(2 * x + 3) + (x | g)"),
        ("y ~ I(x - z) + (1 | g)", "y ~ x + z + (x | g)"),
        ("y ~ offset(z) + (1 | g)", "y ~ z + (1 | g) + (1 | h)"),
        ("y ~ x + offset(z) + (1 | g)", "y ~ x + offset(z) + (x | g)"),
        ("y ~ h + (1 | g)", "y ~ 0 + h + (x | g)"),
        ("y ~ x + cs(0 + h5 | g)", "y ~ x + cs(0 + h5 | g) + (1 | h)"),
    ],
)
def test_models_that_are_nested_in_other_columns(small: str, large: str) -> None:
    table = _simulated(3)
    table["h5"] = table["h"].where(table["h"].isin(["h1", "h2"]), "h3")
    m0, m1 = (mp.lmer(formula, table, reml=False) for formula in (small, large))
    found = mp.anova(m0, m1)
    assert found.attrs["remarks"] == {}
    assert "Stram & Lee" in found.attrs["mixtures"]["m1"]


def test_random_parts_that_may_be_nested() -> None:
    table = _simulated(3).assign(w=lambda t: t["x"] - 1.0)
    m0, m1 = (mp.lmer(f"y ~ x + {t}", table) for t in ("(1 + x | g)", "(1 + w | g) + (1 | h)"))
    found = mp.anova(m0, m1)
    assert found.attrs["mixtures"] == {}
    wanted = "m1: whether the random part of m0 is a special case is not known; nsim= simulates the p value"
    assert found.attrs["remarks"] == {"m1": wanted}


def test_predictors_are_compared_by_content() -> None:
    table = _simulated(3)
    changed, shuffled = table.copy(), table.copy()
    changed.loc[7, "x"] += 0.1
    shuffled["h"] = np.random.default_rng(0).permutation(shuffled["h"])
    m0 = mp.lmer("y ~ x + (1 | h)", table, reml=False)
    for formula, data, message in [
        ("y ~ x + (x | h)", changed, "`x` is not the same in the tables of m0 and m1: 1 of 400 values differ"),
        ("y ~ (x | h)", changed, "`x` is not the same"),
        ("y ~ x + (x | h)", shuffled, "the grouping factor `h` is not the same in the tables of m0 and m1"),
    ]:
        m1 = mp.lmer(formula, data, reml=False)
        for compared in (mp.anova, mp.compare):
            with pytest.raises(mp.DataError, match=message):
                compared(m0, m1)  # type: ignore[operator]
    one = mp.lmer("y ~ h + (1 | g)", table, reml=False)
    other = mp.lmer("y ~ h + (x | g)", shuffled, reml=False)
    with pytest.raises(mp.DataError, match=r"`h` is not the same .*: \d+ of 400 values differ"):
        mp.anova(one, other)


def test_other_contrasts_and_orders_of_levels_are_the_same_data() -> None:
    table = _simulated(3)
    levels = sorted(table["h"].unique(), reverse=True)
    turned = table.assign(h=pd.Categorical(table["h"], levels))
    m0 = mp.lmer("y ~ h + (1 | g)", table, reml=False)
    for options in ({"data": turned}, {"data": table, "contrasts": {"h": "sum"}}, {"data": turned.iloc[:, ::-1]}):
        m1 = mp.lmer("y ~ h + (x | g)", reml=False, **options)
        assert mp.anova(m0, m1).attrs["mixtures"]["m1"] == "0.5 chi2(1) + 0.5 chi2(2), Stram & Lee"
    m1 = mp.lmer("y ~ h + (1 | g) + (1 | h)", turned, reml=False)
    assert mp.anova(m0, m1).attrs["remarks"] == {}


@cache
def _glmm(formula: str, family: Any = "poisson", **options: Any) -> mp.GlmmFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        return mp.glmer(formula, _counts(), family=family, **options)


@cache
def _counts() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    table = _simulated(8)
    g, h = (table[name].str[1:].astype(int).to_numpy() for name in ("g", "h"))
    mean = np.exp(0.3 + 0.4 * table["x"] + 0.7 * rng.normal(size=40)[g] + 0.4 * rng.normal(size=15)[h])
    return table.assign(c=rng.negative_binomial(2.0, 2.0 / (2.0 + mean)), b=(mean > 1.2).astype(int))


@pytest.mark.parametrize(
    ("small", "large", "name"),
    [
        ("(1 | g)", "(1 + x | g)", "0.5 chi2(1) + 0.5 chi2(2), Stram & Lee"),
        ("(1 | g)", "(1 | g) + (1 | h)", "0.5 chi2(0) + 0.5 chi2(1), Stram & Lee"),
        ("(1 | g)", "z + (1 | g) + (1 | h)", "0.5 chi2(1) + 0.5 chi2(2), Stram & Lee"),
        ("(1 | g)", "z + (1 | g)", None),
        ("(1 + x || g)", "(1 + x | g)", None),
    ],
)
def test_mixtures_of_generalized_fits(small: str, large: str, name: str | None) -> None:
    m0, m1 = _glmm(f"c ~ x + {small}"), _glmm(f"c ~ x + {large}")
    found = mp.anova(m0, m1)
    assert found.attrs["remarks"] == {}
    assert found.attrs["mixtures"] == ({} if name is None else {"m1": name})
    if name is not None:
        statistic, first = found.loc["m1", "Chisq"], int(name[9])
        tail = 0.5 * (chi2.sf(statistic, first) if first else 0.0) + 0.5 * chi2.sf(statistic, first + 1)
        assert found.loc["m1", "Pr(boundary)"] == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize(
    ("small", "large", "line"),
    [
        ("(1 | g)", "(1 | h) + (x | g)", "m1: several variances are on the boundary, and the weights of their mixture"),
        ("(1 | g)", "(1 | g) + (x | h)", "m1: several variances are on the boundary"),
        ("(1 | h)", "(x | g)", r"m0 is not nested in m1 \(their random parts are not\)"),
        ("z + (1 | g)", "(x | g)", r"m0 is not nested in m1 \(its fixed part lacks z\)"),
        ("offset(z) + (1 | g)", "(x | g)", r"m0 is not nested in m1 \(their offsets differ\)"),
    ],
)
def test_generalized_fits_without_a_mixture(small: str, large: str, line: str) -> None:
    m0, m1 = _glmm(f"c ~ x + {small}"), _glmm(f"c ~ x + {large}")
    found = mp.anova(m0, m1)
    assert found.attrs["mixtures"] == {}
    assert re.match(line, found.attrs["remarks"]["m1"])
    assert found.attrs["remarks"]["m1"] in str(found)


@pytest.mark.parametrize("smaller", ["(1 | Subject)", "(1 | half)"])
def test_weights_of_a_mixture_do_not_depend_on_the_origin_of_a_predictor(smaller: str) -> None:
    table = mp.datasets.load("sleepstudy").assign(half=np.tile(list("ab"), 90), x=np.arange(180) % 7)
    other = "" if smaller == "(1 | Subject)" else " + (1 | half)"
    pvalues = []
    for shift in (0.0, 2000.0, 1e6):
        moved = table.assign(Days=table["Days"] + shift)
        m0, m1 = (mp.lmer(f"Reaction ~ 1 + {t}", moved) for t in (smaller, f"(Days + x | Subject){other}"))
        embedding = embed(m0.design, m0.record, m1.design, 1e-4)
        assert isinstance(embedding, Embedding)
        null = mixture(embedding, m1.design, m1.request.control, extra=0, reml=True)
        assert null is not None
        pvalues.append(null.pvalue(5.0))
    np.testing.assert_allclose(pvalues, pvalues[0], rtol=1e-6)


def test_no_mixture_where_covariances_cannot_be_told_apart() -> None:
    table = mp.datasets.load("sleepstudy").assign(half=np.tile(list("ab"), 90))
    formulas = ["Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (1 | Subject) + (half || Subject)"]
    found = mp.anova(*(mp.lmer(f, table) for f in formulas), names=["m0", "m1"])
    assert found.attrs["mixtures"] == {}
    assert "do not tell the covariances of the model apart; nsim=" in found.attrs["remarks"]["m1"]
    double = ["Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days + I(2 * Days) | Subject)"]
    found = mp.anova(*(mp.lmer(f, table) for f in double), names=["m0", "m1"])
    assert "do not tell the covariances of the model apart" in found.attrs["remarks"]["m1"]


def test_weights_of_one_are_no_weights() -> None:
    table = mp.datasets.load("sleepstudy").assign(w=1.0, v=2.0)
    m0, m1 = (
        mp.lmer("Reaction ~ 1 + (1 | Subject)", table),
        mp.lmer("Reaction ~ Days + (1 | Subject)", table, weights="w"),
    )
    assert mp.anova(m0, m1)["Df"].iloc[1] == 1
    with pytest.raises(mp.DataError, match="different prior weights"):
        mp.anova(m0, mp.lmer("Reaction ~ Days + (1 | Subject)", table, weights="v"))


def test_families_that_are_limits_of_others() -> None:
    """Poisson is a negative binomial of infinite size: the dispersion is on the boundary as a variance is."""
    poisson = _glmm("c ~ x + (1 | g)")
    alone = mp.anova(poisson, _glmm("c ~ x + (1 | g)", "nbinom2"), names=["m0", "m1"])
    assert alone.attrs["mixtures"] == {"m1": "0.5 chi2(0) + 0.5 chi2(1), Self & Liang"}
    assert alone.loc["m1", "Pr(boundary)"] == pytest.approx(0.5 * chi2.sf(alone.loc["m1", "Chisq"], 1))
    both = _glmm("c ~ x + (1 | g) + (1 | h)", "nbinom2")
    inflated = _glmm("c ~ x + (1 | g)", ziformula="~ z")
    for larger, start in ((both, "m1: poisson is a limit of negative binomial"), (inflated, "m1: poisson is a limit")):
        found = mp.anova(poisson, larger, names=["m0", "m1"])
        assert found.attrs["mixtures"] == {}
        assert found.attrs["remarks"]["m1"].startswith(start)
    assert found.attrs["remarks"]["m1"].endswith("nsim= simulates the p value")
    more = mp.anova(_glmm("c ~ x + (1 | g)", ziformula="~ 1"), inflated, names=["m0", "m1"])
    assert more.attrs["mixtures"] == more.attrs["remarks"] == {}
    other = mp.anova(_glmm("c ~ x + (1 | g)", ziformula="~ x"), _glmm("c ~ x + z + (1 | g)", ziformula="~ z"))
    assert "the predictors of their zeros are not" in str(other)


def test_generalized_fits_that_cannot_be_compared() -> None:
    logit = _glmm("b ~ x + (1 | g)", "binomial")
    for other, message in [
        (_glmm("b ~ x + (x | g)", "binomial(probit)"), "different families or links"),
        (_glmm("b ~ x + (x | g)", "poisson"), "different families or links"),
        (_glmm("b ~ x + (1 | g)", "binomial", nagq=5), "nagq=1, .* with nagq=5"),
        (_glmm("c ~ x + (1 | g)"), "values differ"),
    ]:
        with pytest.raises(mp.MixedpyError, match=message):
            mp.anova(logit, other)
    probit = [_glmm("b ~ x + (1 | g)", "binomial(probit)", laplace=way) for way in ("observed", "expected")]
    with pytest.raises(mp.MixedpyError, match="different weights in the Laplace approximation"):
        mp.anova(*probit)


def test_predictors_of_zeros_are_compared_by_content() -> None:
    table = _counts()
    one = mp.glmer("c ~ x + (1 | g)", table, family="poisson", ziformula="~ z")
    other = mp.glmer("c ~ x + z + (1 | g)", table.assign(z=-table["z"]), family="poisson", ziformula="~ z")
    for compared in (mp.anova, mp.compare):
        with pytest.raises(mp.DataError, match=r"`z` is not the same in the tables"):
            compared(one, other)  # type: ignore[operator]


def test_fits_of_one_formula_are_told_apart_by_their_distributions() -> None:
    fits = [
        _glmm("c ~ x + (1 | g)"),
        _glmm("c ~ x + (1 | g)", ziformula="~ 1"),
        _glmm("c ~ x + (1 | g)", ziformula="~ z"),
    ]
    assert mp.anova(*fits, names=["a", "b", "c"]).attrs["heading"][-3:] == (
        "a: c ~ x + (1 | g), poisson (log)",
        "b: c ~ x + (1 | g), zero-inflated poisson (log), zeros ~ 1",
        "c: c ~ x + (1 | g), zero-inflated poisson (log), zeros ~ z",
    )
    alike = mp.anova(fits[0], _glmm("c ~ (1 | g)"), names=["a", "b"])
    assert alike.attrs["heading"][-2:] == ("b: c ~ (1 | g)", "a: c ~ x + (1 | g)")


def test_a_singular_smaller_generalized_fit_is_said_to_be_one() -> None:
    table = _counts().assign(c=lambda t: t["c"].clip(upper=3)).sort_values("c", kind="stable").reset_index(drop=True)
    table["g"] = [f"g{i % 40}" for i in range(len(table))]  # every group has counts of all sizes
    fits = [mp.glmer(f"c ~ 1 + {t}", table, family="poisson") for t in ("(1 | g)", "(1 | g) + (1 | h)")]
    assert fits[0].singular
    name = mp.anova(*fits, names=["m0", "m1"]).attrs["mixtures"]["m1"]
    assert name == "0.5 chi2(0) + 0.5 chi2(1), Stram & Lee; approximate, the smaller fit is singular"


def test_messages_for_generalized_fits() -> None:
    fit, linear = _glmm("c ~ x + (1 | g)"), mp.lmer("y ~ x + (1 | g)", _counts())
    for compared in (mp.anova, mp.compare):
        with pytest.raises(TypeError, match=r"give 2 or more \(for the terms of one fit: fit\.anova\(\)\)"):
            compared(fit)
        with pytest.raises(TypeError, match="argument 1 is a linear fit, argument 2 a generalized one"):
            compared(linear, fit)
        with pytest.raises(TypeError, match="argument 2 is of type int; fits are wanted"):
            compared(fit, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"argument 1 is a generalized fit; fits made by mixedpy\.lmer are wanted"):
        mp.rlrt(fit)  # type: ignore[arg-type]


@pytest.mark.parametrize("criterion", ["aic", "aicc", "bic"])
def test_ranking_of_generalized_fits(criterion: Any) -> None:
    """Families and links may differ, since likelihoods have all constants."""
    fits = {
        "poisson": _glmm("c ~ x + (1 | g)"),
        "nbinom2": _glmm("c ~ x + (1 | g)", "nbinom2"),
        "both": _glmm("c ~ x + z + (1 | g) + (1 | h)"),
    }
    found = mp.compare(*fits.values(), criterion=criterion, names=list(fits))
    values = {name: getattr(fit, criterion) for name, fit in fits.items()}
    assert list(found.index) == sorted(values, key=values.__getitem__)
    np.testing.assert_allclose(found[criterion], sorted(values.values()))
    np.testing.assert_allclose(found["npar"], [fits[name].record.npar for name in found.index])
    assert found["weight"].sum() == pytest.approx(1.0)


def test_rankings_that_are_refused() -> None:
    fit = _glmm("c ~ x + (1 | g)")
    with pytest.raises(mp.MixedpyError, match="conditional AIC is for linear models"):
        mp.compare(fit, _glmm("c ~ x + z + (1 | g)"), criterion="caic")
    with pytest.raises(mp.MixedpyError, match=r"nagq=1, .* with nagq=3"):
        mp.compare(fit, _glmm("c ~ x + (1 | g)", nagq=3))
    with pytest.raises(mp.DataError, match="values differ"):
        mp.compare(fit, _glmm("b ~ x + (1 | g)"))
