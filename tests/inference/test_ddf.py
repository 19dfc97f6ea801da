"""Degrees of freedom: against dense textbook formulas, and what must not change them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from numpy.testing import assert_allclose
from scipy import stats

import mixedpy as mp
from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.estimate import estimate
from mixedpy.core.second_order import span
from mixedpy.core.second_order.fit import fit_blocks
from mixedpy.errors import MixedpyError
from mixedpy.inference.ddf import choose_method, f_test, t_tests
from mixedpy.inference.kenward_roger import KenwardRoger
from tests.core.designs import designs

TIGHT = Control(tol=1e-13)


class DenseKenwardRoger:
    """Kenward & Roger (1997) with n x n matrices; the covariance of y is sigma^2 (W^-1 + Z Sigma Z')."""

    def __init__(self, design: Design, record):
        X, s2 = design.X, record.sigma**2
        W_inverse = np.eye(design.n) if design.weights is None else np.diag(1.0 / design.weights)
        G, V = [], s2 * W_inverse
        for term, Lambda in zip(design.terms, record.Lambda, strict=True):
            Z = np.zeros((design.n, term.n_levels, term.m))
            for a, c in enumerate(term.columns):
                Z[np.arange(design.n), term.codes, a] = design.columns[c]
            V = V + s2 * np.einsum("ija,ab,kjb->ik", Z, Lambda @ Lambda.T, Z)
            G += [np.einsum("ija,ab,kjb->ik", Z, E, Z) for E in span(term.template).basis]
        G.append(W_inverse)
        V1 = np.linalg.inv(V)
        self.Phi = np.linalg.inv(X.T @ V1 @ X)
        self.P = [-X.T @ V1 @ g @ V1 @ X for g in G]
        Q = [[X.T @ V1 @ g @ V1 @ h @ V1 @ X for h in G] for g in G]
        A = V1 - V1 @ X @ self.Phi @ X.T @ V1
        information = 0.5 * np.array([[np.trace(A @ g @ A @ h) for h in G] for g in G])
        scale = 1.0 / np.sqrt(np.diag(information))
        scaled = information * np.outer(scale, scale)
        self.condition = np.linalg.eigvalsh(scaled)[0]
        self.W = np.linalg.pinv(scaled, rcond=1e-12) * np.outer(scale, scale)
        k = range(len(G))
        inner = sum(self.W[i, j] * (Q[i][j] - self.P[i] @ self.Phi @ self.P[j]) for i in k for j in k)
        self.vcov = self.Phi + 2.0 * self.Phi @ inner @ self.Phi

    def test(self, L, beta) -> tuple[float, float]:
        q, k = len(L), range(len(self.P))
        Theta = L.T @ np.linalg.inv(L @ self.Phi @ L.T) @ L
        U = [Theta @ self.Phi @ P @ self.Phi for P in self.P]
        A1 = sum(self.W[i, j] * np.trace(U[i]) * np.trace(U[j]) for i in k for j in k)
        A2 = sum(self.W[i, j] * np.trace(U[i] @ U[j]) for i in k for j in k)
        B = (A1 + 6 * A2) / (2 * q)
        g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
        d = 3 * q + 2 * (1 - g)
        c1, c2, c3 = g / d, (q - g) / d, (q + 2 - g) / d
        E, V = 1 / (1 - A2 / q), 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
        rho = V / (2 * E**2)
        m = 4 + (q + 2) / (q * rho - 1)
        F = beta @ L.T @ np.linalg.inv(L @ self.vcov @ L.T) @ L @ beta / q
        return m / (E * (m - 2)) * F, m


@given(designs(max_terms=2))
def test_kenward_roger_is_what_it_is_defined_to_be(design: Design):
    """Also with prior weights, which pbkrtest 0.5.2 ignores: there its degrees of freedom are off by up to a half."""
    record = estimate(design, reml=True, control=TIGHT)
    dense = DenseKenwardRoger(design, record)
    assume(dense.condition > 1e-5)
    method = KenwardRoger(fit_blocks(design, record))
    assert_allclose(method.vcov(), dense.vcov, rtol=1e-6, atol=1e-8 * np.abs(dense.vcov).max())
    inference = choose_method("kenward-roger", record, fit_blocks(design, record))
    for L in [*np.eye(record.p)[:, None, :], np.eye(record.p)]:
        statistic, df = dense.test(L, record.beta)
        found = f_test(inference, L)
        if 2.1 < df < 1e4:
            assert found.ddf == pytest.approx(df, rel=1e-5)
            assert found.statistic == pytest.approx(statistic, rel=1e-5)


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    frame = mp.datasets.load("sleepstudy").iloc[:-7].copy()
    frame["w"] = np.linspace(0.5, 2.0, len(frame))
    return frame


@pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")
@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_units_do_not_matter(sleep, ddf, scale):
    """lmerTest takes directions with an eigenvalue below 1e-8 for flat, so that its df depend on the units of y."""
    control = mp.Control(tol=1e-12)
    plain = mp.lmer("Reaction ~ Days + (Days | Subject)", sleep, control=control)
    moved = sleep.assign(Reaction=sleep["Reaction"] * scale, Days=sleep["Days"] / scale)
    scaled = mp.lmer("Reaction ~ Days + (Days | Subject)", moved, control=control)
    columns = ["df", "t value", "Pr(>|t|)"]
    assert_allclose(
        scaled.summary(ddf).tables["fixed"][columns], plain.summary(ddf).tables["fixed"][columns], rtol=2e-5
    )


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_shifted_columns_do_not_matter(sleep, ddf):
    control = mp.Control(tol=1e-13)
    plain = mp.lmer("Reaction ~ Days + (Days | Subject)", sleep, control=control)
    shifted = mp.lmer("Reaction ~ Days + (Days | Subject)", sleep.assign(Days=sleep["Days"] + 2000), control=control)
    a, b = plain.summary(ddf).tables["fixed"], shifted.summary(ddf).tables["fixed"]
    assert_allclose(b.loc["Days"], a.loc["Days"], rtol=1e-5)
    at_origin = shifted.contrast({"(Intercept)": 1, "Days": 2000}, ddf)
    assert_allclose(at_origin[["Estimate", "Std. Error", "df"]].loc["L"], a.iloc[0, :3], rtol=1e-5)


def test_one_way_anova_is_exact():
    """Balanced one-way layout: both methods give the degrees of freedom of the exact F test."""
    fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
    for ddf in ("satterthwaite", "kenward-roger"):
        assert fit.summary(ddf).tables["fixed"]["df"].item() == pytest.approx(5.0, abs=1e-6)


def test_split_plot_f_tests_are_those_of_analysis_of_variance():
    cake = mp.datasets.load("cake")
    fit = mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    plots = cake.groupby(["recipe", "replicate"], observed=True)["angle"].mean()
    by_recipe = [plots[recipe].to_numpy() for recipe in "ABC"]
    wanted = stats.f_oneway(*by_recipe)
    for ddf in ("satterthwaite", "kenward-roger"):
        row = fit.anova(3, ddf).loc["recipe"]
        assert row["F value"] == pytest.approx(wanted.statistic, rel=1e-6)
        assert row["Pr(>F)"] == pytest.approx(wanted.pvalue, rel=1e-6)
        assert row["DenDF"] == pytest.approx(42.0, abs=1e-5)


def test_weights_are_part_of_the_model(sleep):
    """Weights of 4 are a residual standard deviation half as large: sigma doubles and all else stays."""
    plain = mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, control=TIGHT)
    heavy = mp.lmer("Reaction ~ Days + (1 | Subject)", sleep.assign(w=4.0), weights="w", control=TIGHT)
    for ddf in ("satterthwaite", "kenward-roger"):
        assert_allclose(
            heavy.summary(ddf).tables["fixed"].iloc[:, :4], plain.summary(ddf).tables["fixed"].iloc[:, :4], rtol=1e-6
        )


def test_asymptotic_tests_are_walds(sleep):
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    table = fit.summary("asymptotic").tables["fixed"]
    assert np.isinf(table["df"]).all()
    assert_allclose(table["Pr(>|t|)"], 2 * stats.norm.sf(np.abs(table["t value"])))
    joint = fit.contrast(np.eye(2), None, joint=True)
    beta = fit.fixef.to_numpy()
    wald = beta @ np.linalg.solve(fit.vcov().to_numpy(), beta)
    assert joint["Chisq"].item() == pytest.approx(wald)
    assert joint["Pr(>Chisq)"].item() == pytest.approx(stats.chi2.sf(wald, 2))


def test_dependent_rows_are_counted_once(sleep):
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    once = fit.contrast(np.eye(2), "kenward-roger", joint=True)
    again = fit.contrast([[1, 0], [0, 1], [1, 1]], "kenward-roger", joint=True)
    assert again["NumDF"].item() == 2
    assert_allclose(again, once, rtol=1e-6)
    # Satterthwaite's joint degrees of freedom depend on how the hypothesis is written, as in lmerTest
    satterthwaite = [fit.contrast(L, joint=True) for L in (np.eye(2), [[1, 0], [0, 1], [1, 1]])]
    assert_allclose(satterthwaite[0]["F value"], satterthwaite[1]["F value"])
    fit.contrast([[1, 0], [2, 0]], rhs=[250, 500], joint=True)
    with pytest.raises(MixedpyError, match="contradict"):
        fit.contrast([[1, 0], [2, 0]], rhs=[250, 501], joint=True)


def test_no_fixed_effects(sleep):
    fit = mp.lmer("Reaction ~ 0 + (Days | Subject)", sleep)
    for ddf in ("satterthwaite", "kenward-roger", None):
        assert fit.summary(ddf).tables["fixed"].empty
    assert fit.anova().empty
    assert fit.caic()["df"] > 2


def test_single_and_joint_tests_of_one_row_agree(sleep):
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    for ddf in ("satterthwaite", "kenward-roger"):
        single, joint = fit.contrast("Days", ddf, rhs=8.0), fit.contrast("Days", ddf, rhs=8.0, joint=True)
        assert joint["F value"].item() == pytest.approx(single["t value"].item() ** 2)
        assert joint["DenDF"].item() == pytest.approx(single["df"].item())
        assert joint["Pr(>F)"].item() == pytest.approx(single["Pr(>|t|)"].item())


def test_t_tests_of_no_rows(sleep):
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    inference = choose_method("satterthwaite", fit.record, fit_blocks(fit.design, fit.record))
    assert len(t_tests(inference, np.empty((0, 2))).df) == 0
    assert f_test(inference, np.empty((0, 2))).ndf == 0
