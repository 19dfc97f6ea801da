"""Hard data: extreme counts, large variances, rare events, bad scales, many levels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from mixedpy.core.glmm import problem

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")

N, J = 600, 40


def table(seed: int, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(J), N // J)
    return pd.DataFrame({"x": rng.normal(size=N), "g": g.astype(str), "b": rng.normal(size=J)[g], **columns})


def expit(eta: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-eta))


@pytest.mark.parametrize(("centre", "sd"), [(15.0, 0.5), (1.0, 4.0), (-4.0, 1.0)])
def test_counts_of_any_size(centre: float, sd: float) -> None:
    data = table(1)
    data["y"] = np.random.default_rng(2).poisson(np.exp(centre + 0.3 * data["x"] + sd * data["b"]))
    fit = mp.glmer("y ~ x + (1 | g)", data, family="poisson")
    assert fit.converged
    assert abs(fit.fixef["x"] - 0.3) < 5.0 * fit.se["x"]
    assert 0.5 * sd < fit.theta.iloc[0] < 2.0 * sd


def test_a_million_trials() -> None:
    data = table(3, m=1e6)
    p = expit(-1.0 + 0.2 * data["x"] + 0.5 * data["b"])
    data["share"] = np.random.default_rng(4).binomial(1_000_000, p) / 1e6
    fit = mp.glmer("share ~ x + (1 | g)", data, weights="m")
    assert fit.converged
    assert abs(fit.fixef["x"] - 0.2) < 5.0 * fit.se["x"]


@pytest.mark.parametrize("family", ["binomial(logit)", "binomial(probit)", "binomial(cloglog)", "binomial(cauchit)"])
def test_rare_events(family: str) -> None:
    data = table(5)
    data["y"] = (np.random.default_rng(6).random(N) < expit(-4.0 + 0.5 * data["x"] + data["b"])).astype(float)
    assert 3 < data["y"].sum() < 60
    assert mp.glmer("y ~ x + (1 | g)", data, family=family).converged


def test_variance_of_zero_and_correlation_of_one() -> None:
    data = table(7)
    rng = np.random.default_rng(8)
    data["flat"] = (rng.random(N) < expit(0.5 * data["x"])).astype(float)
    data["tied"] = (rng.random(N) < expit(data["b"] * (1.0 + data["x"]))).astype(float)
    flat = mp.glmer("flat ~ x + (x | g)", data)
    tied = mp.glmer("tied ~ x + (x | g)", data)
    assert flat.converged
    assert tied.converged
    without = np.abs(flat.loglik - mp.glmer("flat ~ x + (1 | g)", data).loglik)
    assert without < 10.0


def test_columns_of_extreme_scale() -> None:
    data = table(9)
    data["year"] = 1e6 + 1e4 * data["x"]
    data["y"] = np.random.default_rng(10).poisson(np.exp(0.5 + 0.3 * data["x"] + 0.5 * data["b"]))
    near = mp.glmer("y ~ x + (x | g)", data, family="poisson")
    far = mp.glmer("y ~ year + (year | g)", data, family="poisson")
    assert abs(near.loglik - far.loglik) < 1e-5
    assert abs(far.fixef["year"] * 1e4 - near.fixef["x"]) < 1e-3 * near.se["x"]


def test_rank_deficient_columns_are_dropped() -> None:
    data = table(11)
    data["twice"] = 2.0 * data["x"]
    data["y"] = np.random.default_rng(12).poisson(1.0, N)
    with pytest.warns(mp.RankDeficiencyWarning, match="twice"):
        fit = mp.glmer("y ~ x + twice + (1 | g)", data, family="poisson")
    assert list(fit.fixef.index) == ["(Intercept)", "x"]


def test_no_fixed_effects() -> None:
    data = table(13)
    data["y"] = np.random.default_rng(14).poisson(np.exp(0.5 * data["b"]))
    for nagq in (0, 1, 5):
        fit = mp.glmer("y ~ 0 + (1 | g)", data, family="poisson", nagq=nagq)
        assert fit.converged
        assert len(fit.fixef) == 0


def test_blocks_of_levels_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(15)
    data["y"] = (np.random.default_rng(16).random(N) < expit(data["x"] + data["b"])).astype(float)
    whole = mp.glmer("y ~ x + (x | g)", data)
    monkeypatch.setattr(problem, "_BLOCK_ROWS", 100)
    cut = mp.glmer("y ~ x + (x | g)", data)
    assert abs(whole.loglik - cut.loglik) < 1e-8
    np.testing.assert_allclose(cut.fixef, whole.fixef, rtol=1e-6)
    np.testing.assert_allclose(cut.se, whole.se, rtol=1e-5)
    pd.testing.assert_frame_equal(cut.ranef(condvar=True)["g"], whole.ranef(condvar=True)["g"], rtol=1e-5)
    five = mp.glmer("y ~ x + (x | g)", data, nagq=5)
    monkeypatch.undo()
    assert abs(five.loglik - mp.glmer("y ~ x + (x | g)", data, nagq=5).loglik) < 1e-8


def test_too_many_trailing_effects_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem, "_MOST_TRAILING", 5)
    data = table(17)
    data["h"] = (np.arange(N) % 7).astype(str)
    data["y"] = np.random.default_rng(18).poisson(1.0, N)
    with pytest.raises(mp.MixedpyError, match="takes at most 5"):
        mp.glmer("y ~ x + (1 | g) + (1 | h)", data, family="poisson")


def test_iteration_limit_is_told() -> None:
    data = table(19)
    data["y"] = np.random.default_rng(20).poisson(np.exp(1.0 + data["b"]))
    with pytest.warns(mp.ConvergenceWarning, match="iteration limit"):
        fit = mp.glmer("y ~ x + (1 | g)", data, family="poisson", control=mp.Control(max_iterations=1))
    assert not fit.converged
    assert np.isfinite(fit.loglik)
