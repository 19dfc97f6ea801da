"""Plots of generalized fits: each kind is drawn, and the numbers in the axes are those of the fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, ndtri

import mixedpy as mp

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from mixedpy.inference.curves import averaged  # noqa: E402
from mixedpy.inference.glmm.limits import LinearError, mean_with_limits  # noqa: E402
from mixedpy.inference.shrinkage import shrinkage  # noqa: E402
from mixedpy.inference.variables import fixed_variables, rows_used  # noqa: E402
from mixedpy.report.plots.style import flat  # noqa: E402

KINDS = ("ranef", "shrinkage", "trajectories", "variance", "residuals", "qq", "effects")


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fits() -> dict[str, mp.GlmmFit]:
    arabidopsis, verb = mp.datasets.load("Arabidopsis"), mp.datasets.load("VerbAgg").head(2400)
    return {
        "shares": mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp")),
        "slopes": mp.glmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"), family="gamma(log)"),
        "zeros": mp.glmer(
            "total.fruits ~ nutrient + amd + (1 | gen)", arabidopsis, family="nbinom2", ziformula="~ amd + rack"
        ),
        "text": mp.glmer("r2 ~ Anger + Gender + (1 | id)", verb),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["shares", "slopes", "zeros", "text"])
def test_every_kind_is_drawn(name: str, kind: str, fits: dict[str, mp.GlmmFit]) -> None:
    if (name, kind) in (("zeros", "variance"),):
        with pytest.raises(mp.MixedpyError, match="no agreed form"):
            fits[name].plot.variance()
        return
    axes = flat(getattr(fits[name].plot, kind)())
    axes[0].figure.canvas.draw()
    assert all(axis.has_data() for axis in axes)


@pytest.mark.parametrize("kind", ["zeta", "density"])
def test_profiles(fits: dict[str, mp.GlmmFit], kind: Literal["zeta", "density"]) -> None:
    fit = fits["shares"]
    axes = flat(fit.plot.profile(kind=kind))
    assert len(axes) == len(fit.confint())
    assert all(axis.has_data() for axis in axes)


def test_modes_have_their_own_errors(fits: dict[str, mp.GlmmFit]) -> None:
    fit = fits["shares"]
    axes = flat(fit.plot.ranef(sort=False))[0]
    ranef = fit.ranef(condvar=True)["herd"]
    found = np.concatenate([line.get_xdata() for line in axes.get_lines() if len(line.get_xdata()) == len(ranef)])
    assert np.isin(ranef["(Intercept)"].round(10), found.round(10)).all()


def test_levels_alone_are_small_generalized_models(fits: dict[str, mp.GlmmFit]) -> None:
    fit = fits["slopes"]
    found = shrinkage(fit.design, fit.schema, fit.record, "Subject").none
    data = fit.request.data
    for k, (_, own) in enumerate(data.groupby("Subject", observed=True)):
        X, y = np.column_stack([np.ones(len(own)), own["Days"]]), own["Reaction"].to_numpy()
        gamma = minimize(lambda b, X=X, y=y: float(np.sum(y * np.exp(-X @ b) + X @ b)), [5.5, 0.0], tol=1e-12).x
        np.testing.assert_allclose(found[k], gamma, rtol=1e-3, atol=1e-4)


def test_levels_with_equal_responses_have_no_estimate_of_their_own(fits: dict[str, mp.GlmmFit]) -> None:
    fit = fits["shares"]
    found = shrinkage(fit.design, fit.schema, fit.record, "herd").none[:, 0]
    data = fit.request.data
    period = np.array([0.0, *fit.fixef[1:]])
    for k, (_, own) in enumerate(data.groupby("herd", observed=True)):
        if own["incidence"].sum() == 0:
            assert np.isnan(found[k])
            continue
        eta = period[own["period"].cat.codes] + found[k]
        assert abs(np.sum(own["incidence"] - own["size"] * expit(eta))) < 1e-5
    assert np.isnan(found).sum() == (data.groupby("herd", observed=True)["incidence"].sum() == 0).sum()


def test_trajectories_are_means(fits: dict[str, mp.GlmmFit]) -> None:
    fit = fits["slopes"]
    panel = flat(fit.plot.trajectories(levels=["308"]))[0]
    rows, population, conditional = panel.get_lines()
    new = {"Days": conditional.get_xdata(), "Subject": ["308"] * len(conditional.get_xdata())}
    np.testing.assert_allclose(conditional.get_ydata(), fit.predict(new, type="response"))
    np.testing.assert_allclose(population.get_ydata(), fit.predict(new, re_form="NA", type="response"))
    np.testing.assert_allclose(rows.get_ydata(), fit.request.data["Reaction"][:10])


def test_effects_are_means_with_limits_of_the_linear_predictor(fits: dict[str, mp.GlmmFit]) -> None:
    fit = fits["slopes"]
    rows = rows_used(fit.schema, fit.request.data)
    points = rows[["Days"]].iloc[:10]
    found = averaged(fit.design, fit.schema, fit.record, rows[["Days"]], points, level=0.9)
    X = np.column_stack([np.ones(10), points["Days"]])
    half = ndtri(0.95) * np.sqrt(np.diag(X @ fit.vcov().to_numpy() @ X.T))
    np.testing.assert_allclose(found.fit, np.exp(X @ fit.fixef))
    np.testing.assert_allclose(found.lower, np.exp(X @ fit.fixef - half))
    np.testing.assert_allclose(found.upper, np.exp(X @ fit.fixef + half))


def test_limits_of_a_decreasing_link_are_in_order() -> None:
    data = mp.datasets.load("sleepstudy")
    fit = mp.glmer("Reaction ~ Days + (1 | Subject)", data, family="gamma(inverse)")
    rows = rows_used(fit.schema, data)[["Days"]]
    found = averaged(fit.design, fit.schema, fit.record, rows, rows.iloc[:10], level=0.95)
    assert (found.lower < found.fit).all()
    assert (found.fit < found.upper).all()


def test_limits_count_the_uncertainty_of_the_zeros(fits: dict[str, mp.GlmmFit]) -> None:
    """Against simulated coefficients, on the scale of the logarithm."""
    fit = fits["zeros"]
    p, s = fit.record.p, len(fit.record.alpha)
    X, zeros = fit.design.X[:3], fit.record.auxiliary[-1][:3]
    mean, low, high = mean_with_limits(fit.record, X @ fit.record.beta, LinearError(X, zeros), 1.0)
    np.testing.assert_allclose(mean, fit.predict(re_form="NA", type="response").iloc[:3])
    # coefficients of the zeros are barely determined here, so compare the linear expansion at a tenth of the spread
    shrunk = np.random.default_rng(1).multivariate_normal(np.zeros(p + s), fit.record.vcov / 1e4, 20000)
    eta = X @ (fit.record.beta[:, None] + shrunk[:, :p].T)
    xi = zeros @ (fit.record.alpha[1:, None] + shrunk[:, p + 1 :].T)
    drawn = np.log([fit.record.family.mean(eta[k], (fit.record.alpha[:1], xi[k])) for k in range(3)])
    np.testing.assert_allclose(100 * drawn.std(axis=1), np.log(high / mean), rtol=0.05)
    np.testing.assert_allclose(mean / low, high / mean)


def test_effects_include_the_predictors_of_the_zeros(fits: dict[str, mp.GlmmFit]) -> None:
    fit = fits["zeros"]
    columns = rows_used(fit.schema, fit.request.data).columns
    assert fixed_variables(fit.schema, columns) == ["nutrient", "amd", "rack"]
    assert [axis.get_xlabel() for axis in flat(fit.plot.effects())] == ["nutrient", "amd", "rack"]


def test_residuals_are_standard_normal_where_the_model_holds(fits: dict[str, mp.GlmmFit]) -> None:
    fit = fits["text"]
    axes = flat(fit.plot.residuals())
    drawn = axes[0].get_lines()[1].get_ydata()
    np.testing.assert_allclose(drawn, ndtri(fit.residuals("quantile", seed=0)))
    assert axes[0].get_ylabel() == "quantile residual"


def test_numbers_taken_as_categories_are_drawn_where_they_occur() -> None:
    data = mp.datasets.load("sleepstudy")
    for fit in (
        mp.lmer("Reaction ~ factor(Days) + (1 | Subject)", data),
        mp.glmer("Reaction ~ factor(Days) + (1 | Subject)", data, family="gamma(log)"),
    ):
        axes = flat(fit.plot.effects())[0]
        assert [label.get_text() for label in axes.get_xticklabels()] == [str(day) for day in range(10)]
        level = flat(fit.plot.trajectories("Days", levels=["309"]))[0]
        rows, _, conditional = level.get_lines()
        np.testing.assert_allclose(rows.get_xdata(), np.arange(10))
        expected = fit.predict(data[data["Subject"] == "309"], type="response")
        np.testing.assert_allclose(conditional.get_ydata(), expected)
