"""Covariance matrices against the n x n formulas."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixedpy as mp
from mixedpy.inference import vcov
from tests.glmm_cases import REFERENCE


@pytest.fixture(scope="module")
def fit() -> mp.LmmFit:
    rng = np.random.default_rng(4)
    g, h = rng.integers(0, 8, 90), rng.integers(0, 5, 90)
    x, w = rng.normal(size=90), rng.uniform(0.5, 2, 90)
    b = rng.normal(size=(8, 2))
    y = 1 + x + b[g, 0] + b[g, 1] * x + rng.normal(size=5)[h] + rng.normal(size=90) / np.sqrt(w)
    data = pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "w": w})
    return mp.lmer("y ~ x + (x | g) + (1 | h)", data, weights="w")


def dense(fit: mp.LmmFit) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X, Z, Var(b) and Var(y), formed whole."""
    design, Z, G = fit.design, [], []
    for term, Lambda in zip(design.terms, fit.record.Lambda, strict=True):
        columns = np.column_stack([design.columns[c] for c in term.columns])
        Z.append(
            ((term.codes[:, None] == np.arange(term.n_levels))[:, :, None] * columns[:, None, :]).reshape(design.n, -1)
        )
        G.append(np.kron(np.eye(term.n_levels), fit.sigma**2 * Lambda @ Lambda.T))
    big = np.zeros((sum(map(len, G)),) * 2)
    at = 0
    for block in G:
        big[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    Z = np.hstack(Z)
    return design.X, Z, big, Z @ big @ Z.T + fit.sigma**2 * np.diag(1 / design.weights)


def test_fixed_effects(fit):
    X, _, _, V = dense(fit)
    assert_allclose(fit.vcov(), np.linalg.inv(X.T @ np.linalg.solve(V, X)), rtol=1e-6)


def test_joint_with_the_random_effects(fit):
    # BLUE and BLUP as linear functions of y: their joint prediction errors have the covariance of the estimators
    X, Z, G, V = dense(fit)
    p, n = X.shape[1], len(X)
    W = np.linalg.inv(V)
    blue = np.linalg.solve(X.T @ W @ X, X.T @ W)
    blup = G @ Z.T @ W @ (np.eye(n) - X @ blue)
    on_b = np.vstack([blue @ Z, blup @ Z - np.eye(len(G))])
    on_e = np.vstack([blue, blup])
    wanted = on_b @ G @ on_b.T + on_e @ (V - Z @ G @ Z.T) @ on_e.T
    joint = fit.vcov(full=True)
    assert_allclose(joint, wanted, rtol=1e-6, atol=1e-9)
    assert joint.index.tolist()[p : p + 3] == ["g.0.(Intercept)", "g.0.x", "g.1.(Intercept)"]
    assert joint.index[-1] == "h.4.(Intercept)"


def test_conditional_sd_of_the_random_effects(fit):
    # with the fixed effects held, Var(b | y) = G - G Z' V^-1 Z G
    _, Z, G, V = dense(fit)
    conditional = np.sqrt(np.diag(G - G @ Z.T @ np.linalg.solve(V, Z @ G)))
    modes = fit.ranef(condvar=True)
    found = np.concatenate([modes["g"][["(Intercept)_sd", "x_sd"]].to_numpy().ravel(), modes["h"]["(Intercept)_sd"]])
    assert_allclose(found, conditional, rtol=1e-6)


def test_joint_matrix_of_a_singular_fit():
    with pytest.warns(mp.SingularFitWarning):
        fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff2"))
    joint = fit.vcov(full=True).to_numpy()
    assert joint[0, 0] == pytest.approx(fit.vcov().iloc[0, 0])
    assert np.all(joint[1:, :] == 0.0)


def test_matrix_that_is_too_large(fit, monkeypatch):
    monkeypatch.setattr(vcov, "_MOST_COEFFICIENTS", 20)
    with pytest.raises(mp.MixedpyError, match="order 23"):
        fit.vcov(full=True)


def test_joint_covariance_of_a_generalized_fit():
    """Blocks against the working model by hand, and the errors of predictions that follow from it."""
    data = pd.read_csv(REFERENCE / "glmm_simulated.csv", dtype={"g": str, "h": str})
    fit = mp.glmer_nb("overdispersed ~ x + (1 | g) + (1 | h)", data)
    joint = fit.vcov(full=True)
    p, s = 2, 1
    assert joint.index[:3].tolist() == ["(Intercept)", "x", "log(size)"]
    np.testing.assert_allclose(joint.iloc[: p + s, : p + s], fit.record.vcov)
    np.testing.assert_allclose(joint.iloc[:p, :p], fit.vcov())
    mu, size = fit.fitted.to_numpy(), np.exp(fit.auxiliary.iloc[0])
    w = mu * size * (size + fit.design.y) / (size + mu) ** 2
    Z = np.hstack([np.eye(t.n_levels)[t.codes] for t in fit.design.terms])
    sds = np.concatenate(
        [np.full(t.n_levels, L[0, 0]) for t, L in zip(fit.design.terms, fit.record.Lambda, strict=True)]
    )
    B = np.linalg.inv((Z.T * w) @ Z + np.diag(sds**-2.0))
    G = B @ (Z.T * w) @ fit.design.X
    expected = B + G @ fit.vcov().to_numpy() @ G.T
    np.testing.assert_allclose(joint.iloc[p + s :, p + s :], expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(joint.iloc[:p, p + s :], -fit.vcov().to_numpy() @ G.T, rtol=1e-6, atol=1e-9)
    assert np.linalg.eigvalsh(joint).min() > -1e-10
