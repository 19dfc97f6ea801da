"""tidy, glance and augment of generalized fits against broom.mixed (tests/reference/broom_glmm_reference.R)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.linalg

import mixedpy as mp

REFERENCE = json.loads((Path(__file__).resolve().parents[1] / "reference" / "broom_glmm_reference.json").read_text())

ERRORS_RTOL = 0.02
"""lme4 takes its standard errors from a Hessian by differences."""


def fits() -> dict[str, mp.GlmmFit]:
    cbpp, ticks = mp.datasets.load("cbpp"), mp.datasets.load("grouseticks")
    ticks["effort"] = 1 + (np.arange(1, len(ticks) + 1) % 3) / 4
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    counts = "TICKS ~ YEAR + offset(log(effort)) + (1 | BROOD) + (1 | LOCATION)"
    return {
        "shares": mp.glmer(formula, cbpp),
        "counts": mp.glmer(counts, ticks, family="poisson"),
        "probit": mp.glmer(formula, cbpp, family="binomial(probit)", laplace="expected"),
    }


FITS = fits()
each = pytest.mark.parametrize("name", FITS)


def assert_column(table: pd.DataFrame, column: str, wanted: Any, rtol: float) -> None:
    wanted = wanted if isinstance(wanted, list) else [wanted]
    if table[column].dtype == object:
        assert [None if v is None else str(v) for v in table[column]] == wanted, column
        return
    expected = np.array(wanted, dtype=float)
    scale = np.nanmax(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(table[column], expected, rtol=rtol, atol=1e-3 * rtol * scale, err_msg=column)


@each
@pytest.mark.parametrize(("effects", "limits"), [("default", False), ("fixed", True), ("ran_vals", True)])
def test_estimates(name: str, effects: str, limits: bool) -> None:
    fit, wanted = FITS[name], REFERENCE[name][effects]
    table = fit.tidy(conf_int=limits) if effects == "default" else fit.tidy(effects, conf_int=limits)
    assert [c for c in table.columns if c in wanted] == list(wanted)
    for column, values in wanted.items():
        exact = column in ("estimate",) and effects != "ran_vals"
        loose = {"p.value": 0.2, "conf.low": 0.05, "conf.high": 0.05}.get(column, ERRORS_RTOL)
        assert_column(table, column, values, 2e-3 if exact else loose)


@each
def test_coefficients_of_levels(name: str) -> None:
    table, wanted = FITS[name].tidy("ran_coefs"), REFERENCE[name]["ran_coefs"]
    assert list(table.columns) == list(wanted)
    for column, values in wanted.items():
        assert_column(table, column, values, 5e-3)


@each
def test_glance(name: str) -> None:
    table, wanted = FITS[name].glance(), REFERENCE[name]["glance"]
    assert list(table.columns) == list(wanted)
    for column, value in wanted.items():
        expected = -2 * wanted["logLik"] if column == "deviance" else value
        assert_column(table, column, expected, 1e-6)


@each
def test_augment(name: str) -> None:
    fit, wanted = FITS[name], REFERENCE[name]["augment"]
    table = fit.augment().head(25)
    assert [c for c in table.columns if c.startswith(".")] == list(wanted)
    for column, values in wanted.items():
        if column not in (".hat", ".cooksd"):  # lme4 takes prior for working weights, and warns of it
            assert_column(table, column, values, 5e-3)
    assert set(table.columns) - set(wanted) <= set(fit.request.data.columns)


@each
def test_leverage_is_that_of_the_working_model(name: str) -> None:
    fit = FITS[name]
    mu = fit.fitted.to_numpy()
    eta = fit.predict().to_numpy()
    m = np.ones(fit.nobs) if fit.design.weights is None else fit.design.weights
    density = np.exp(-0.5 * eta**2) / np.sqrt(2 * np.pi)
    w = {"shares": m * mu * (1 - mu), "counts": mu, "probit": m * density**2 / (mu * (1 - mu))}[name]
    Z = [np.eye(t.n_levels)[t.codes] for t in fit.design.terms]
    prior = scipy.linalg.block_diag(
        *[np.eye(t.n_levels) / L[0, 0] ** 2 for t, L in zip(fit.design.terms, fit.record.Lambda, strict=True)]
    )
    C = np.hstack([fit.design.X, *Z])
    p = fit.design.p
    P = (C.T * w) @ C
    P[p:, p:] += prior
    hat = w * np.einsum("ia,ab,ib->i", C, np.linalg.inv(P), C)
    table = fit.augment()
    np.testing.assert_allclose(table[".hat"], hat, rtol=1e-6)
    scaled = fit.residuals("scaled")
    np.testing.assert_allclose(table[".cooksd"], (scaled / (1 - hat)) ** 2 * hat / p, rtol=1e-6)
    assert ((hat > 0) & (hat < 1)).all()


def test_coefficients_of_the_family() -> None:
    data = mp.datasets.load("Arabidopsis")
    fit = mp.glmer("total.fruits ~ nutrient + (1 | gen)", data, family="nbinom2", ziformula="~ amd")
    table = fit.tidy(["fixed", "auxiliary"], conf_int=True)
    own = table[table["effect"] == "auxiliary"]
    assert own["term"].tolist() == fit.auxiliary.index.tolist()
    np.testing.assert_allclose(own["std.error"], np.sqrt(np.diag(fit.record.vcov)[2:]))
    np.testing.assert_allclose(own["conf.high"] - own["estimate"], 1.959963984540054 * own["std.error"])
    assert fit.augment()[".resid"].isna().all()
    linear = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
    assert len(linear.tidy("auxiliary")) == 0
    assert "p.value" not in linear.tidy()
