"""The conditional AIC's degrees of freedom are the derivative of the fitted values in the data, by refitting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp

CONTROL = mp.Control(tol=1e-14)

MODELS = {
    "dyestuff": ("Dyestuff", "Yield ~ 1 + (1 | Batch)", {}),
    "dyestuff_ml": ("Dyestuff", "Yield ~ 1 + (1 | Batch)", {"reml": False}),
    "dyestuff2_zero_variance": ("Dyestuff2", "Yield ~ 1 + (1 | Batch)", {}),
    "pastes_nested": ("Pastes", "strength ~ 1 + (1 | batch/cask)", {}),
    "pastes_crossed_ml": ("Pastes", "strength ~ 1 + (1 | batch) + (1 | cask)", {"reml": False}),
    "cbpp_weights": ("cbpp", "incidence/size ~ period + (1 | herd)", {"weights": "size"}),
    "cbpp_offset_ml": ("cbpp", "log(incidence + 1) ~ period + (1 | herd)", {"reml": False, "offset": "size"}),
}


def effective_df_by_refitting(fit: mp.LmmFit) -> float:
    """1 + sum_i d yhat_i / d y_i by central differences."""
    y = fit.design.y
    step = 1e-3 * y.std()

    def fitted(i: int, change: float) -> float:
        moved = y.copy()
        moved[i] += change
        return float(fit.refit(moved).fitted.iloc[i])

    return 1.0 + sum((fitted(i, step) - fitted(i, -step)) / (2.0 * step) for i in range(len(y)))


@pytest.mark.filterwarnings("ignore::mixedpy.MixedpyWarning")
@pytest.mark.parametrize("name", MODELS)
def test_effective_degrees_of_freedom(name: str):
    data, formula, options = MODELS[name]
    fit = mp.lmer(formula, mp.datasets.load(data), **options, control=CONTROL)
    assert fit.caic()["df"] == pytest.approx(effective_df_by_refitting(fit), rel=2e-4)


@pytest.fixture(scope="module")
def slopes() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(8), 6)
    x = rng.normal(size=48)
    b = rng.normal(size=8)
    y = 1.0 + x + b[g] * (1.0 + 0.6 * x) + 0.6 * rng.normal(size=48)  # intercepts and slopes perfectly correlated
    return pd.DataFrame({"y": y, "x": x, "g": g.astype(str)})


@pytest.mark.filterwarnings("ignore::mixedpy.MixedpyWarning")
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (x || g)", "y ~ 1 + (x | g)"])
def test_effective_degrees_of_freedom_with_slopes(slopes, formula, reml):
    """Also on the boundary: what is estimated there stays there under a small change of the data."""
    fit = mp.lmer(formula, slopes, reml=reml, control=CONTROL)
    assert fit.caic()["df"] == pytest.approx(effective_df_by_refitting(fit), rel=5e-4)


@pytest.mark.filterwarnings("ignore::mixedpy.MixedpyWarning")
def test_a_correlation_of_one_is_among_these_models(slopes):
    assert mp.lmer("y ~ x + (x | g)", slopes, control=CONTROL).singular


def test_loglik_is_that_of_the_data_given_the_modes():
    fit = mp.lmer("incidence/size ~ period + (1 | herd)", mp.datasets.load("cbpp"), weights="size")
    sd = fit.sigma / np.sqrt(fit.design.weights)
    wanted = -0.5 * np.sum((fit.residuals() / sd) ** 2) - np.sum(np.log(sd * np.sqrt(2 * np.pi)))
    assert fit.caic()["loglik"] == pytest.approx(wanted)


def test_few_levels_count_nearly_as_fixed_effects():
    """With large variances the random effects are estimated as if fixed: one degree of freedom each."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(10), 30)
    frame = pd.DataFrame({"y": 100.0 * rng.normal(size=10)[g] + rng.normal(size=300), "g": g.astype(str)})
    assert mp.lmer("y ~ 1 + (1 | g)", frame).caic()["df"] == pytest.approx(11.0, abs=0.01)
