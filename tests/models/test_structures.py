"""Covariance structures named in formulas: nlme's answers, lme4's names and print-outs, counts of parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from mixedpy.errors import DataError
from tests.tolerances import FIXEF_SE, SE_RTOL

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "structures_reference.json").read_text())

LOGLIK_ATOL = 2e-6  # nlme stops at a relative change of 1e-10 of its objective
# Without independent errors theta is infinite at the optimum. The search ends near 100, where rounding blurs the
# deviance by some 1e-3: cross-products of fitted values 1e4 times the residual variance.
LIMIT_ATOL = 5e-4
COVARIANCE_RTOL = 1e-3  # its parameters are then good to some 1e-4

DATA = {name: pd.DataFrame(columns) for name, columns in REFERENCE["data"].items()}


def named(case: dict[str, Any]) -> str:
    return f"{case['against']}-{case['data']}-{'REML' if case['reml'] else 'ML'}"


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=named)
def test_nlme_fits_the_same(case: dict[str, Any]) -> None:
    fit = mp.lmer(case["formula"], DATA[case["data"]], reml=case["reml"])
    assert fit.converged
    assert fit.loglik == pytest.approx(case["loglik"], abs=LIMIT_ATOL if case["data"] == "pure" else LOGLIK_ATOL)
    beta, se = np.array(case["beta"]), np.array(case["se"])
    # With few levels to tell the correlation by, nlme's own parameters are good to a few digits less.
    np.testing.assert_allclose(fit.fixef, beta, atol=10 * FIXEF_SE * se.max())
    if case["reml"]:  # nlme's standard errors of ML fits have another divisor
        np.testing.assert_allclose(fit.se, se, rtol=10 * SE_RTOL)
    sigma = fit.sigma
    if "first_row" in case:
        Lambda = fit.record.Lambda[0]
        V = sigma**2 * (Lambda @ Lambda.T + np.eye(len(Lambda)))
        np.testing.assert_allclose(V[0], case["first_row"], rtol=COVARIANCE_RTOL, atol=1e-3 * V[0, 0])
    if "sd" in case:
        theta = fit.theta
        assert theta["g.*"] * sigma == pytest.approx(case["sd"], rel=COVARIANCE_RTOL)
        assert theta["g.rho"] == pytest.approx(case["rho"], abs=COVARIANCE_RTOL)
        assert sigma == pytest.approx(case["sigma"], rel=COVARIANCE_RTOL)


def test_a_negative_correlation_is_found() -> None:
    fit = mp.lmer("y ~ x + cs(0 + f | g, hom = TRUE)", DATA["negative"])
    assert fit.theta["g.rho"] < -0.1
    assert fit.theta["g.rho"] >= -0.25


SIZES = [
    ("us(0 + f | g)", 15), ("(0 + f | g)", 15), ("diag(0 + f | g)", 5), ("diag(0 + f | g, hom = TRUE)", 1),
    ("cs(0 + f | g)", 6), ("cs(0 + f | g, hom = TRUE)", 2), ("cs(0 + f | g, hom = FALSE)", 6), ("ar1(0 + f | g)", 2),
    ("ar1(0 + f | g, hom = FALSE)", 6), ("ar1(1 | g)", 1), ("cs(1 | g, hom = TRUE)", 1),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")
@pytest.mark.parametrize(("term", "size"), SIZES)
def test_number_of_parameters_and_degrees_of_freedom(term: str, size: int) -> None:
    data = DATA["repeated"]
    fit = mp.lmer(f"y ~ x + {term}", data)
    assert len(fit.theta) == size
    assert fit.df_resid == len(data) - 2 - size - 1
    assert fit.aic == pytest.approx(fit.deviance + 2 * (2 + size + 1))
    # nested models in order of their likelihood
    assert fit.deviance > mp.lmer("y ~ x + (0 + f | g)", data).deviance - 1e-6


@pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")
def test_names_of_the_parameters_are_those_of_lme4() -> None:
    data = DATA["ar1"]
    names = lambda term: list(mp.lmer(f"y ~ x + {term}", data).theta.index)  # noqa: E731
    assert names("ar1(0 + f | g)") == ["g.*", "g.rho"]
    assert names("ar1(0 + f | g, hom = FALSE)") == [*(f"g.f{k}" for k in range(1, 6)), "g.rho"]
    assert names("cs(1 + x | g)") == ["g.(Intercept)", "g.x", "g.rho"]
    assert names("diag(x | g, hom = TRUE)") == ["g.*"]
    assert names("us(1 | g)") == ["g.(Intercept)"]


def test_print_outs_have_one_correlation_with_the_name_of_the_structure() -> None:
    data = mp.datasets.load("sleepstudy")
    data["Daysf"] = pd.Categorical(data["Days"].astype(int).astype(str))
    fit = mp.lmer("Reaction ~ Days + cs(Days | Subject)", data)
    plain = mp.lmer("Reaction ~ Days + (Days | Subject)", data)
    assert fit.reml_criterion == pytest.approx(plain.reml_criterion, abs=1e-7)
    lines = str(fit.varcorr()).splitlines()
    assert [line.split() for line in lines] == [
        ["Groups", "Name", "Std.Dev.", "Corr"],
        ["Subject", "(Intercept)", "24.7406", "0.066", "(cs)"],
        ["Days", "5.9222"],
        ["Residual", "25.5918"],
    ]
    ar1 = mp.lmer("Reaction ~ Days + ar1(0 + Daysf | Subject)", data)
    rows = [line.split() for line in str(ar1.varcorr()).splitlines()]
    assert len(rows) == 3
    assert rows[1][:2] == ["Subject", "Daysf0"]
    assert rows[1][-1] == "(ar1)"
    assert "(ar1)" in str(ar1)
    assert "(ar1)" in str(ar1.summary(ddf=None))
    assert "(ar1)" in ar1._repr_html_()
    assert len(ar1.varcorr()["Subject"]) == 10
    assert "ar1(0 + Daysf | Subject)" in str(ar1)
    same = mp.lmer("Reaction ~ Days + diag(Days | Subject, hom = TRUE)", data)
    assert [line.split()[0] for line in str(same.varcorr()).splitlines()] == ["Groups", "Subject", "Residual"]


@pytest.mark.parametrize("term", ["cs(0 + day | Subject)", "ar1(0 + day | Subject, hom = FALSE)", "cs(0 + f | g)"])
def test_many_standard_deviations_converge(term: str) -> None:
    """Far from the start, and where the average information is no Hessian, the search must still end at an optimum."""
    data = mp.datasets.load("sleepstudy")
    data["day"] = pd.Categorical(data["Days"].astype(int).astype(str))
    response, table = ("y ~ x", DATA["repeated"]) if "| g" in term else ("Reaction ~ day", data)
    fit = mp.lmer(f"{response} + {term}", table, reml=False)
    assert fit.converged
    again = fit.update(start=fit.theta * 0.98)
    assert again.deviance == pytest.approx(fit.deviance, abs=2e-3 if "ar1" in term else 1e-6)


def test_covariances_names_structures_too() -> None:
    data = DATA["repeated"]
    for kind, term in (("homcs", "cs(0 + f | g, hom = TRUE)"), ("ar1", "ar1(0 + f | g)"), ("cs", "cs(0 + f | g)")):
        one = mp.lmer("y ~ x + (0 + f | g)", data, covariances={"g": kind})
        two = mp.lmer(f"y ~ x + {term}", data)
        assert one.deviance == pytest.approx(two.deviance, abs=1e-9)
        assert list(one.theta.index) == list(two.theta.index)
    with pytest.raises(DataError, match="both name a structure"):
        mp.lmer("y ~ x + cs(0 + f | g)", data, covariances={"g": "ar1"})
    with pytest.raises(DataError, match=r"unknown; use one of us, diag"):
        mp.lmer("y ~ x + (0 + f | g)", data, covariances={"g": "toeplitz"})


def test_start_and_update() -> None:
    data = DATA["repeated"]
    fit = mp.lmer("y ~ x + cs(0 + f | g, hom = TRUE)", data)
    again = mp.lmer("y ~ x + cs(0 + f | g, hom = TRUE)", data, start=fit.theta)
    assert again.deviance == pytest.approx(fit.deviance, abs=1e-8)
    assert again.convergence.evaluations <= 3
    with pytest.raises(DataError, match=r"g\.rho as 1\.5"):
        mp.lmer("y ~ x + cs(0 + f | g, hom = TRUE)", data, start=[1.0, 1.5])
    changed = fit.update(". ~ . - cs(0 + f | g, hom = TRUE) + ar1(0 + f | g)")
    assert changed.formula == "y ~ x + ar1(0 + f | g)"
    assert fit.update(". ~ . - x").formula == "y ~ cs(0 + f | g, hom = TRUE)"


def test_predictions_and_simulations_follow_the_structure() -> None:
    data = DATA["ar1"]
    fit = mp.lmer("y ~ x + ar1(0 + f | g)", data)
    np.testing.assert_allclose(fit.predict(data), fit.fitted, rtol=1e-12)
    assert fit.predict(data, re_form="~ (0 + f | g)").to_numpy() == pytest.approx(fit.fitted.to_numpy())
    rows = data["g"] == "s01"
    drawn = fit.simulate(nsim=4000, seed=1)[rows].to_numpy()
    Lambda = fit.record.Lambda[0]
    V = fit.sigma**2 * (Lambda @ Lambda.T + np.eye(5))
    np.testing.assert_allclose(np.cov(drawn), V, atol=0.12 * V[0, 0])
