"""Leverage, studentized residuals and deletion: against lme4, against brute force, and what the print says."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import mixedpy as mp
from mixedpy.inference.influence import independent

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "diagnostics_reference.json").read_text())["cases"]
NAMES = [case["name"] for case in REFERENCE]
MEASURES = ["cooks_distance", "mdffits", "covtrace", "covratio"]
LEVERAGE_RTOL = 1e-4  # theta of two optimizers agrees to about 1e-5
BRUTE_RTOL = 1e-6  # what the print calls exact


@cache
def fitted(k: int) -> mp.LmmFit:
    case = REFERENCE[k]
    data = mp.datasets.load(case["data"])
    if case.get("weights"):
        data["w"] = np.resize([0.5, 1, 2, 1.5], len(data))
    return mp.lmer(case["formula"], data, reml=case["reml"], weights=case.get("weights"), control=mp.Control(tol=1e-13))


@pytest.mark.parametrize("k", range(len(NAMES)), ids=NAMES)
def test_leverage_is_that_of_lme4_and_hlmdiag(k):
    case, found = REFERENCE[k], fitted(k).leverage()
    assert list(found.columns) == ["overall", "fixef", "ranef", "ranef_uc"]
    for name in ("fixef", "ranef", "ranef_uc"):
        assert_allclose(found[name], case[name], rtol=LEVERAGE_RTOL, atol=1e-8)
    assert_allclose(found["overall"], found["fixef"] + found["ranef"])
    if not case.get("weights"):  # lme4 1.1-31 leaves the weights out of its hat values
        assert_allclose(found["overall"], case["hatvalues"], rtol=LEVERAGE_RTOL)


@pytest.mark.parametrize("k", [k for k, case in enumerate(REFERENCE) if not case.get("weights")])
def test_studentized_residuals_are_those_of_lme4(k):
    assert_allclose(fitted(k).residuals("studentized"), REFERENCE[k]["rstudent"], rtol=LEVERAGE_RTOL, atol=1e-4)


@pytest.mark.parametrize("k", [k for k, case in enumerate(REFERENCE) if case.get("group")])
def test_refits_without_each_group_are_those_of_lme4(k):
    case = REFERENCE[k]
    theirs = case["refits"]
    found = fitted(k).influence(case["group"])
    assert list(found.index) == theirs["levels"]
    assert found.index.name == case["group"]
    assert_allclose(found.fixef, theirs["fixef"], rtol=1e-6)
    for name in MEASURES:
        assert_allclose(found[name], theirs[name], rtol=2e-3, atol=2e-5)
    assert found.theta is not None
    assert_allclose(found.theta["sigma"], theirs["sigma"], rtol=1e-4)
    # the method of lme4 for its influence() objects has a factor of its own, as car's has
    J, p = found.fixef.shape
    lme4 = np.array(case["lme4_cooks_distance"]) * J / (J - p)
    assert_allclose(found["cooks_distance"], lme4, rtol=2e-2, atol=2e-4)


def measures(full: mp.LmmFit, beta: np.ndarray, vcov: np.ndarray) -> np.ndarray:
    """Cook's distance, MDFFITS, COVTRACE and COVRATIO by their definitions."""
    p = len(full.fixef)
    d = full.fixef.to_numpy() - beta
    relative = np.linalg.solve(full.vcov().to_numpy(), vcov)
    return np.array(
        [
            d @ np.linalg.solve(full.vcov().to_numpy(), d) / p,
            d @ np.linalg.solve(vcov, d) / p,
            abs(np.trace(relative) - p),
            np.linalg.det(relative),
        ]
    )


def generalized_least_squares(fit: mp.LmmFit, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fixed effects from some rows and their covariance, V formed whole, at the covariance parameters of the fit."""
    design = fit.design
    V = np.diag(np.ones(design.n) if design.weights is None else 1 / design.weights)
    for term, Lambda in zip(design.terms, fit.record.Lambda, strict=True):
        half = np.column_stack([design.columns[c] for c in term.columns]) @ Lambda
        V += half @ half.T * (term.codes[:, None] == term.codes)
    X, y = design.X[keep], design.y[keep]
    W = np.linalg.inv(V[np.ix_(keep, keep)])
    inverse = np.linalg.inv(X.T @ W @ X)
    return inverse @ X.T @ W @ y, fit.sigma**2 * inverse


def table_of(seed: int, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = rng.permutation(np.resize(np.arange(7), n))
    h = rng.permutation(np.resize(np.arange(4), n))
    x, w = rng.normal(size=n) + 3, rng.uniform(0.5, 2, n)
    b = rng.normal(size=(7, 2))
    y = 1 + x + b[g, 0] + b[g, 1] * x + rng.normal(size=4)[h] + rng.normal(size=n) / np.sqrt(w)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "w": w})


FORMULAS = ["y ~ x + (1 | g)", "y ~ x + (x | g)", "y ~ x + (1 | g / h)", "y ~ x + (x | g) + (1 | h)"]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), formula=st.sampled_from(FORMULAS), weighted=st.booleans())
def test_closed_forms_are_brute_force_at_held_covariances(seed, formula, weighted):
    fit = mp.lmer(formula, table_of(seed), weights="w" if weighted else None, control=mp.Control(singular_tol=0.0))
    rows = fit.influence(method="held")
    assert "held at their estimates" in repr(rows)
    for i in (0, 17, 59):
        beta, vcov = generalized_least_squares(fit, np.delete(np.arange(60), i))
        assert_allclose(rows.iloc[i][MEASURES], measures(fit, beta, vcov), rtol=BRUTE_RTOL, atol=1e-9)
        assert_allclose(rows.fixef.iloc[i], beta, rtol=BRUTE_RTOL)
    groups = fit.influence("g", method="held")
    closed = independent(fit.design, codes_of(fit, "g"))
    assert ("closed form" in groups.note) == closed
    for j in range(7):
        beta, vcov = generalized_least_squares(fit, np.flatnonzero(codes_of(fit, "g") != j))
        assert_allclose(groups.iloc[j][MEASURES], measures(fit, beta, vcov), rtol=BRUTE_RTOL, atol=1e-9)
        assert_allclose(groups.fixef.iloc[j], beta, rtol=BRUTE_RTOL)


def codes_of(fit: mp.LmmFit, group: str) -> np.ndarray:
    return next(t.codes for t, s in zip(fit.design.terms, fit.schema.terms, strict=True) if s.group == group)


@pytest.mark.parametrize(
    ("name", "formula", "group"),
    [
        ("sleepstudy", "Reaction ~ Days + (Days | Subject)", "Subject"),
        ("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", "sample"),
        ("Pastes", "strength ~ 1 + (1 | batch / cask)", "cask:batch"),
    ],
)
def test_refits_are_brute_force(name, formula, group):
    data = mp.datasets.load(name)
    fit = mp.lmer(formula, data)
    found = fit.influence(group, method="refit")
    assert "all parameters were estimated anew" in repr(found)
    codes = codes_of(fit, group)
    for j in range(0, len(found), 4):
        rest = mp.lmer(formula, data[codes != j], control=mp.Control(tol=1e-18, singular_tol=0.0))
        wanted = measures(fit, rest.fixef.to_numpy(), rest.vcov().to_numpy())
        assert_allclose(found.iloc[j], wanted, rtol=BRUTE_RTOL, atol=1e-9)


def test_refits_without_each_row():
    data = mp.datasets.load("Dyestuff")
    fit = mp.lmer("Yield ~ 1 + (1 | Batch)", data)
    found = fit.influence(method="refit")
    for i in (0, 11, 29):
        rest = mp.lmer("Yield ~ 1 + (1 | Batch)", data.drop(index=data.index[i]), control=mp.Control(tol=1e-18))
        wanted = measures(fit, rest.fixef.to_numpy(), rest.vcov().to_numpy())
        assert_allclose(found.iloc[i], wanted, rtol=BRUTE_RTOL, atol=1e-9)


def test_dffits_is_the_change_of_the_fitted_value():
    fit = fitted(NAMES.index("slope"))
    found = fit.influence()
    joint = fit.predict(se=True)
    i = 57
    # the row predicted from all others: an observation of next to no weight
    weights = np.ones(180)
    weights[i] = 1e-12
    X, theta = fit.design.X, fit.record.Lambda[0]
    Z = np.kron(np.eye(18), theta)
    rows = np.zeros((180, 36))
    rows[np.arange(180), 2 * codes_of(fit, "Subject")] = X[:, 0]
    rows[np.arange(180), 2 * codes_of(fit, "Subject") + 1] = X[:, 1]
    C = np.hstack([X, rows @ Z])
    M = C.T @ (weights[:, None] * C) + np.diag([0.0] * 2 + [1.0] * 36)
    without = C[i] @ np.linalg.solve(M, C.T @ (weights * fit.design.y))
    assert found["dffits"].iloc[i] == pytest.approx((joint["fit"].iloc[i] - without) / joint["se"].iloc[i], rel=1e-6)


def test_sum_of_leverages_is_the_effective_number_of_parameters():
    fit = fitted(NAMES.index("crossed"))
    design = fit.design
    Z = [
        np.eye(term.n_levels)[term.codes] * Lambda for term, Lambda in zip(design.terms, fit.record.Lambda, strict=True)
    ]
    C = np.hstack([design.X, *Z])
    M = C.T @ C + np.diag([0.0] + [1.0] * (C.shape[1] - 1))
    assert fit.leverage()["overall"].sum() == pytest.approx(np.trace(np.linalg.solve(M, C.T @ C)))


def test_leverage_of_groups_is_the_mean_of_their_rows():
    fit = fitted(NAMES.index("slope"))
    rows = fit.leverage()
    wanted = rows.groupby(mp.datasets.load("sleepstudy")["Subject"].to_numpy()).mean()
    assert_allclose(fit.leverage("Subject"), wanted)
    assert fit.leverage("Subject").index.name == "Subject"


def test_cooks_distance_alone():
    fit = fitted(NAMES.index("slope"))
    assert_allclose(fit.cooks_distance("Subject"), fit.influence("Subject")[["cooks_distance"]])
    assert list(fit.cooks_distance().columns) == ["cooks_distance"]


def test_group_on_which_a_fixed_effect_rests():
    data = mp.datasets.load("sleepstudy")
    data["only"] = (data["Subject"] == "308").astype(float)
    fit = mp.lmer("Reaction ~ Days + only + (Days | Subject)", data)
    for method in ("held", "refit"):
        found = fit.influence("Subject", method=method)
        assert found.loc["308"].isna().all()
        assert not found.drop(index="308").isna().any(axis=None)
        assert re.search(r"1 of 18: .*do not determine", found.note)
    assert "308" in str(fit.check())


def test_parts_of_the_table_are_plain_tables():
    found = fitted(NAMES.index("slope")).influence("Subject")
    assert type(found.head()) is pd.DataFrame
    assert found._repr_html_().startswith("<p>Influence of each Subject")


def test_unknown_ways():
    fit = fitted(NAMES.index("slope"))
    with pytest.raises(ValueError, match="method='exact'"):
        fit.influence(method="exact")
    for call in (fit.influence, fit.leverage, fit.cooks_distance):
        with pytest.raises(mp.DataError, match=r"'Days'.*Subject"):
            call("Days")


def test_too_many_refits_are_not_begun(monkeypatch):
    fit = fitted(NAMES.index("crossed"))
    monkeypatch.setattr("mixedpy.models.influence._MOST_REFITS", 10)
    assert "held at their estimates: the fixed effects were estimated anew" in fit.influence("sample").note


def test_nothing_to_influence():
    fit = mp.lmer("Yield ~ 0 + (1 | Batch)", mp.datasets.load("Dyestuff"))
    with pytest.raises(mp.MixedpyError, match="no fixed effects"):
        fit.influence()
    assert "influence" not in fit.check().to_frame().index
