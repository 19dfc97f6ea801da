"""Singular fits: the verdict does not depend on units, agrees with lme4's for intercepts, and zeros are zero."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp


def grouped(seed: int = 0, n: int = 400, levels: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g, x = np.arange(n) % levels, rng.normal(size=n)
    u, v = 0.5 * rng.normal(size=levels), 0.3 * rng.normal(size=levels)
    return pd.DataFrame({"x": x, "g": g.astype(str), "y": 1 + x + u[g] + v[g] * x + rng.normal(size=n)})


@pytest.mark.parametrize("unit", [1e-6, 1e-5, 1.0, 1e6])
def test_the_unit_of_the_response_is_no_reason(unit: float) -> None:
    data = grouped()
    fit = mp.glmer("y ~ x + (x | g)", data.assign(y=data["y"] * unit), family="gaussian")
    assert not fit.singular


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("family", [None, "gaussian"])
def test_the_unit_of_a_slope_is_no_reason(unit: float, family: str | None) -> None:
    data = grouped()
    data = data.assign(x=data["x"] * unit)
    fit = mp.lmer("y ~ x + (x | g)", data) if family is None else mp.glmer("y ~ x + (x | g)", data, family=family)
    assert not fit.singular
    assert fit.check().to_frame().loc["singularity", "verdict"] == "ok" if family is None else True


def test_the_unit_of_the_weights_is_no_reason() -> None:
    data = grouped().assign(w=1e10)
    assert not mp.lmer("y ~ x + (1 | g)", data, weights="w").singular


def test_a_gamma_response_far_from_one_is_no_reason() -> None:
    rng = np.random.default_rng(3)
    g = np.arange(600) % 30
    mean = 1.0 / (1.0 + 0.2 * np.clip(rng.normal(size=30), -2, 2)[g])
    for unit in (1.0, 1e5):
        data = pd.DataFrame({"g": g.astype(str), "y": unit * mean * rng.gamma(5.0, 0.2, 600)})
        assert not mp.glmer("y ~ 1 + (1 | g)", data, family="gamma").singular


def balanced(n: int = 300) -> pd.DataFrame:
    """Binary responses whose levels differ less than they would by chance."""
    z = np.tile([0] * 20 + [1] * 20, 8)[:n]
    return pd.DataFrame({"x": np.random.default_rng(7).normal(size=n), "g": np.tile(range(20), 15), "z": z})


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("family", [None, "gaussian", "binomial"])
def test_singular_is_singular_in_every_unit(unit: float, family: str | None) -> None:
    data = balanced()
    data = data.assign(x=data["x"] * unit)
    with pytest.warns(mp.SingularFitWarning):
        fit = mp.lmer("z ~ x + (x | g)", data) if family is None else mp.glmer("z ~ x + (x | g)", data, family=family)
    assert fit.singular


@pytest.mark.parametrize("nagq", [0, 1, 5])
@pytest.mark.parametrize("family", ["binomial", "gaussian", "beta_binomial"])
def test_a_variance_of_zero_is_exactly_zero(nagq: int, family: str) -> None:
    if nagq == 0 and family != "binomial":
        pytest.skip("nagq=0 is for families without a dispersion")
    with pytest.warns(mp.SingularFitWarning):
        fit = mp.glmer("z ~ x + (1 | g)", balanced(), family=family, nagq=nagq)
    assert fit.theta.tolist() == [0.0]
    assert (fit.ranef()["g"] == 0.0).all(axis=None)
    assert fit.converged


def test_variances_of_zero_of_several_effects_are_exactly_zero() -> None:
    with pytest.warns(mp.SingularFitWarning):
        fit = mp.glmer("z ~ x + (x | g)", balanced())
    assert (fit.theta == 0.0).all()


def test_estimates_beside_a_variance_of_zero_are_those_of_the_model_without_it() -> None:
    data = balanced().assign(h=lambda d: np.repeat(np.arange(30), 10)[: len(d)])
    data["y"] = np.random.default_rng(1).poisson(np.exp(0.3 * np.random.default_rng(2).normal(size=30))[data["h"]])
    with pytest.warns(mp.SingularFitWarning):
        both = mp.glmer("y ~ x + (1 | g) + (1 | h)", data, family="poisson")
    alone = mp.glmer("y ~ x + (1 | h)", data, family="poisson")
    assert both.theta[[name for name in both.theta.index if "g" in name]].tolist() == [0.0]
    np.testing.assert_allclose(both.fixef, alone.fixef, rtol=1e-6)
    np.testing.assert_allclose(both.se, alone.se, rtol=1e-5)
    assert abs(both.loglik - alone.loglik) < 1e-7
