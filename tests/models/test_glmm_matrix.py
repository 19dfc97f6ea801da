"""Every method of a generalized fit with every kind of family and feature, before and after the fit was saved.

A method either answers or refuses in a sentence, as listed in ``REFUSED``; a fit that was read from a file answers the
same, and so does one that was fitted again to simulated responses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp

pytestmark = [
    pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning"),
    pytest.mark.filterwarnings("ignore::mixedpy.errors.IntervalWarning"),
]


@cache
def table() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n, g = 96, np.repeat(np.arange(8), 12)
    x, f, z = rng.normal(size=n), rng.integers(0, 3, n), rng.integers(0, 2, n)
    eta = 0.9 + 0.4 * x + 0.5 * (f == 1) + 0.6 * rng.normal(size=8)[g]
    share = 1.0 / (1.0 + np.exp(1.0 - eta))
    trials, count = rng.integers(2, 9, n), rng.poisson(np.exp(eta))
    wins = rng.binomial(trials, share)
    return pd.DataFrame(
        {
            "g": [f"g{k}" for k in g],
            "h": [f"h{k}" for k in rng.integers(0, 6, n)],
            "x": x,
            "f": np.array(["a", "b", "c"])[f],
            "z": np.array(["u", "v"])[z],
            "time": rng.uniform(-0.5, 0.5, n),
            "w": rng.integers(1, 4, n).astype(float),
            "trials": trials,
            "wins": wins,
            "losses": trials - wins,
            "share": wins / trials,
            "text": np.where(rng.random(n) < share, "yes", "no"),
            "count": count,
            "zeros": np.where(rng.random(n) < 0.3, 0, count),
            "part": np.clip(rng.beta(5 * share, 5 * (1 - share)), 1e-3, 1 - 1e-3),
            "positive": rng.gamma(3.0, np.exp(eta) / 3.0),
        },
        index=np.arange(n) + 500,
    )


def gaps() -> pd.DataFrame:
    data = table().copy()
    data.loc[[503, 550], "x"] = np.nan
    data.loc[507, "f"] = None
    return data


FITS: dict[str, Callable[[], mp.GlmmFit]] = {
    "counts of successes": lambda: mp.glmer("cbind(wins, losses) ~ x * f + (x | g)", table()),
    "counts with weights": lambda: mp.glmer("cbind(wins, losses) ~ x + f + (1 | g)", table(), weights="w"),
    "shares": lambda: mp.glmer("share ~ x + f + (1 | g)", table(), weights="trials"),
    "text": lambda: mp.glmer("text ~ x + f + (1 | g) + (1 | h)", table(), family="binomial(probit)"),
    "lme4's weights": lambda: mp.glmer(
        "text ~ x + f + (1 | g)", table(), family="binomial(cloglog)", laplace="expected"
    ),
    "offset": lambda: mp.glmer("count ~ x + f + offset(time) + (x || g) + (1 | h)", table(), family="poisson"),
    "no nodes": lambda: mp.glmer("count ~ x + f + (1 | g)", table(), family="poisson", nagq=0, offset="time"),
    "seven nodes": lambda: mp.glmer("count ~ x + f + (x | g)", table(), family="poisson", nagq=7),
    "missing values": lambda: mp.glmer("count ~ x + f + (1 | g)", gaps(), family="poisson", na_action="exclude"),
    "zeros": lambda: mp.glmer("zeros ~ x + f + (1 | g)", table(), family="poisson", ziformula="~ z + x"),
    "hurdle": lambda: mp.glmer("zeros ~ x + f + (1 | g)", table(), family="hurdle_poisson", ziformula="~ z"),
    "nbinom1": lambda: mp.glmer("count ~ x + f + (1 | g)", table(), family="nbinom1"),
    "beta": lambda: mp.glmer("part ~ x + f + (1 | g)", table(), family="beta"),
    "gamma": lambda: mp.glmer("positive ~ x + f + (1 | g)", table(), family="gamma(log)", weights="w"),
}

LATENT = {"zeros", "hurdle", "nbinom1", "beta"}
"""Fits of families without deviance residuals, some of them without R^2 either."""

REFUSED = {
    "deviance": {*LATENT},
    "r2": {"zeros", "hurdle", "beta"},
    "profile": {"no nodes"},
    "drop1": {"missing values"},  # other rows without the predictor that has the missing values
}

METHODS: dict[str, Callable[[mp.GlmmFit], Any]] = {
    "print": lambda m: [str(m), m._repr_html_(), str(m.summary())],
    "estimates": lambda m: [m.fixef, m.se, m.theta, m.auxiliary, m.fitted, m.loglik, m.vcov(full=True)],
    "ranef": lambda m: [m.ranef(condvar=True), m.coef(), m.varcorr().to_frame()],
    "tidy": lambda m: m.tidy(("fixed", "auxiliary", "ran_pars", "ran_vals"), conf_int=True),
    "augment": lambda m: [m.augment(), m.glance()],
    "anova": lambda m: [m.anova(k) for k in (1, 2, 3)],
    "joint_tests": lambda m: m.joint_tests(),
    "contrast": lambda m: m.contrast("fb - fc"),
    "emmeans": lambda m: [m.emmeans("f"), m.emmeans("f", type="response").pairs(), m.emtrends("f", "x")],
    "predict": lambda m: [
        m.predict(type="response", interval="confidence", se=True),
        m.predict(table().head(4), interval="confidence", se=True),
        m.predict(table().head(4), re_form="NA", type="response", interval="prediction"),
        m.population_mean(table().head(4)),
    ],
    "simulate": lambda m: [m.simulate(2, seed=1), m.simulate(2, seed=1, newdata=table().head(4), re_form=None)],
    "residuals": lambda m: [m.residuals(kind, seed=1) for kind in ("pearson", "scaled", "studentized", "quantile")],
    "simulate_residuals": lambda m: m.simulate_residuals(30, seed=1).scaled,
    "deviance": lambda m: m.residuals("deviance"),
    "r2": lambda m: [m.r2(), m.icc()],
    "check": lambda m: m.check().to_frame(),
    "leverage": lambda m: [m.leverage(), m.leverage("g")],
    "wald": lambda m: m.confint("wald"),
    "profile": lambda m: m.confint(parm=["x"]),
    "bootstrap": lambda m: [
        m.bootstrap(2, seed=1).replicates,
        m.bootstrap(2, lambda one: one.fixef, seed=1).replicates,
    ],
    "power": lambda m: m.power("f", 2, seed=1).pvalues,
    "refit": lambda m: m.refit(m.simulate(1, seed=1)["sim_1"]).fixef,
    "drop1": lambda m: m.drop1(),
    "ranova": lambda m: m.ranova(),
    "update": lambda m: m.update(". ~ . - f").fixef,
    "table": lambda m: mp.table(m).to_frame(),
}


@cache
def fitted(name: str) -> mp.GlmmFit:
    return FITS[name]()


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_dtype=False, check_categorical=False, rtol=1e-7, atol=1e-9)
    elif isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, other, check_dtype=False, rtol=1e-7, atol=1e-9)
    elif isinstance(one, dict):
        assert_same(list(one.values()), list(other.values()))
    elif isinstance(one, list):
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    elif isinstance(one, str):
        assert one == other
    else:
        np.testing.assert_allclose(one, other, rtol=1e-7)


@pytest.mark.parametrize("name", FITS)
def test_methods_answer_or_refuse_in_a_sentence(name: str, tmp_path: Path) -> None:
    fit = fitted(name)
    fit.save(tmp_path / "a.fit")
    loaded = mp.load(tmp_path / "a.fit")
    assert isinstance(loaded, mp.GlmmFit)
    for method, call in METHODS.items():
        if name in REFUSED.get(method, ()):
            for one in (fit, loaded):
                with pytest.raises(mp.MixedpyError):
                    call(one)
            continue
        assert_same(call(loaded), call(fit))


@pytest.mark.parametrize("name", FITS)
def test_refits_answer_as_fits_do(name: str, tmp_path: Path) -> None:
    fit = fitted(name)
    again = fit.refit(fit.simulate(1, seed=4)["sim_1"])
    again.save(tmp_path / "a.fit")
    loaded = mp.load(tmp_path / "a.fit")
    assert isinstance(loaded, mp.GlmmFit)
    from_table = {"drop1", "ranova", "update"}
    for method, call in METHODS.items():
        if method in from_table:
            with pytest.raises(mp.MixedpyError, match="comes from refit"):
                call(again)
        elif name not in REFUSED.get(method, ()):
            assert_same(call(loaded), call(again))
