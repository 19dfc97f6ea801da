"""Profiles, bootstrap and likelihood-ratio tests of generalized fits."""

from __future__ import annotations

import json
import time
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mixedpy as mp
from mixedpy.core.glmm.polar import Polar
from mixedpy.core.record import Status
from mixedpy.models.generalized import bootstrap as glmm_bootstrap
from tests.core.glmm_designs import differences
from tests.glmm_cases import REFERENCE

HERD = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
PROFILES = json.loads((REFERENCE / "glmm_profile_reference.json").read_text())["cases"]

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")


def simulated() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "glmm_simulated.csv", dtype={"g": str, "h": str})


@pytest.fixture(scope="module")
def fit() -> mp.GlmmFit:
    return mp.glmer(HERD, mp.datasets.load("cbpp"))


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_profile_limits_are_lme4s(name: str) -> None:
    case = PROFILES[name]
    data = mp.datasets.load("cbpp") if case["data"] == "cbpp" else simulated()
    found = mp.glmer(case["formula"], data, family=case["family"], nagq=case["nagq"]).confint()
    assert list(found.index) == case["names"]
    width = found.iloc[:, 1] - found.iloc[:, 0]
    np.testing.assert_allclose(found.iloc[:, 0], case["lower"], atol=2e-3 * width.max())
    np.testing.assert_allclose(found.iloc[:, 1], case["upper"], atol=2e-3 * width.max())


def test_limits_are_where_the_deviance_says() -> None:
    data = simulated()
    fit = mp.glmer("binary ~ x + (x | g)", data)
    profile = fit.profile()
    quantile = stats.norm.ppf(0.975)
    limits = profile.confint()
    for name, group in profile.zeta.groupby(".par", observed=True):
        assert (np.diff(group[".zeta"]) >= -1e-6).all(), name
        assert (np.diff(group[str(name)]) > 0).all(), name
    low = limits.loc["x"].iloc[0]
    offset = data.assign(known=low * data["x"])
    held = mp.glmer("binary ~ 1 + offset(known) + (x | g)", offset)
    assert abs(held.deviance - fit.deviance - quantile**2) < 5e-3


def test_profile_of_families_with_parameters_of_their_own() -> None:
    fit = mp.glmer_nb("overdispersed ~ x + (1 | g)", simulated())
    found = fit.confint(parm=["log(size)", "x"])
    assert list(found.index) == ["log(size)", "x"]
    wald = fit.confint("wald").loc["log(size)"]
    se = fit.summary().tables["auxiliary"]["Std. Error"].iloc[-1]
    np.testing.assert_allclose(wald, fit.auxiliary.iloc[0] + stats.norm.ppf(0.975) * se * np.array([-1, 1]))
    np.testing.assert_allclose(found.loc["log(size)"], wald, atol=0.05)


def test_profile_of_a_quadrature(fit: mp.GlmmFit) -> None:
    nine = fit.update(nagq=9)
    found = nine.confint(parm="period2")
    wald = nine.confint(method="wald", parm="period2")
    np.testing.assert_allclose(found, wald, atol=0.05)


def test_variance_of_zero_has_zero_as_its_lower_limit() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"y": rng.poisson(3.0, 200), "g": np.tile(np.arange(20), 10).astype(str)})
    found = mp.glmer("y ~ 1 + (1 | g)", data, family="poisson").confint()
    assert found.loc[".sig01"].iloc[0] == 0.0
    assert found.loc[".sig01"].iloc[1] > 0.05


def test_wald_and_choice_of_parameters(fit: mp.GlmmFit) -> None:
    wald = fit.confint(method="wald", level=0.9)
    assert list(wald.columns) == ["5 %", "95 %"]
    assert wald.loc[".sig01"].isna().all()
    assert list(fit.confint(method="wald", parm="beta_").index) == list(fit.fixef.index)
    with pytest.raises(ValueError, match="parm='nothing' is not a parameter"):
        fit.confint(parm="nothing")
    with pytest.raises(ValueError, match="method="):
        fit.confint(method="bayes")  # type: ignore[arg-type]
    with pytest.raises(mp.MixedpyError, match="nagq=1 or more"):
        fit.update(nagq=0).profile()


def test_bootstrap_is_repeatable_and_near_the_profile(fit: mp.GlmmFit) -> None:
    boot = fit.bootstrap(120, seed=1)
    pd.testing.assert_frame_equal(boot.replicates, fit.bootstrap(120, seed=1).replicates)
    assert boot.failures == {}
    np.testing.assert_allclose(boot.estimate[1:], fit.fixef)
    sd = boot.replicates[list(fit.fixef.index)].std()
    np.testing.assert_allclose(sd, fit.se, rtol=0.3)
    assert abs(boot.confint().loc["period2"] - fit.confint(parm="period2").loc["period2"]).max() < 0.3
    own = fit.bootstrap(5, statistic=lambda m: pd.Series({"ratio": m.fixef.iloc[1] / m.se.iloc[1]}), seed=2)
    assert list(own.replicates.columns) == ["ratio"]


def test_bootstrap_is_that_of_linear_fits(fit: mp.GlmmFit) -> None:
    boot = fit.bootstrap(30, seed=3)
    assert type(boot) is type(mp.lmer("size ~ 1 + (1 | herd)", mp.datasets.load("cbpp")).bootstrap(2, seed=1))
    pd.testing.assert_frame_equal(boot.replicates, fit.bootstrap(30, None, 3, False, 2).replicates)
    assert not boot.replicates.equals(fit.bootstrap(30, seed=4).replicates)
    seeds = [np.random.default_rng(5) for _ in range(2)]
    pd.testing.assert_frame_equal(*(fit.bootstrap(3, seed=rng).replicates for rng in seeds))
    np.testing.assert_allclose(boot.bias, boot.replicates.mean() - boot.estimate)
    np.testing.assert_allclose(boot.estimate_se[1:], fit.se)
    assert boot.estimate_se.isna().tolist() == [True, False, False, False, False]
    assert repr(boot).startswith("parametric bootstrap, 30 replicates\n")
    for kind in ("percentile", "basic"):
        found = fit.confint("boot", parm="beta_", nsim=30, seed=3, kind=kind, n_jobs=1, progress=False)
        pd.testing.assert_frame_equal(found, boot.confint(kind=kind).loc[list(fit.fixef.index)])
    with pytest.warns(mp.IntervalWarning, match=r"\.sig01: it has no standard error"):
        studentized = boot.confint(kind="studentized")
    assert studentized.notna().all(axis=1).tolist() == [False, True, True, True, True]
    with pytest.raises(ValueError, match="kind='bca'"):
        boot.confint(kind="bca")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statistic", "names"),
    [
        (lambda m: float(m.fixef["period2"]), ["t1"]),
        (lambda m: m.fixef.to_numpy()[:2], ["t1", "t2"]),
        (lambda m: m.fixef, ["(Intercept)", "period2", "period3", "period4"]),
        (lambda m: {"icc": m.icc(), "b": (m.fixef["period2"], m.se["period2"])}, ["icc", "b"]),
        (lambda m: m.emmeans("period").set_index("period")["emmean"], ["1", "2", "3", "4"]),
    ],
)
def test_any_statistic(fit: mp.GlmmFit, statistic: Any, names: list[str]) -> None:
    boot = fit.bootstrap(4, statistic, seed=1)
    assert list(boot.replicates.columns) == list(boot.estimate.index) == names
    assert boot.replicates.notna().all().all()
    assert (boot.replicates.std() > 0).all()


def test_a_statistic_sees_the_whole_refit(fit: mp.GlmmFit) -> None:
    """Its response is that of the replicate, so that residuals are its own."""
    boot = fit.bootstrap(3, lambda m: [m.design.y.mean(), m.residuals("response").mean() + m.fitted.mean()], seed=1)
    np.testing.assert_allclose(boot.replicates["t1"], boot.replicates["t2"])
    assert boot.replicates["t1"].nunique() == 3


def test_errors_of_the_statistic_are_counted(fit: mp.GlmmFit) -> None:
    def picky(m: mp.GlmmFit) -> float:
        if m.request.refitted and m.fixef["period2"] < fit.fixef["period2"]:
            raise ZeroDivisionError("below")
        return float(m.fixef["period2"])

    with pytest.warns(mp.IntervalWarning, match="bootstrap replicates failed and are NaN"):
        boot = fit.bootstrap(20, picky, seed=1)
    assert boot.failures == {"the statistic raised ZeroDivisionError: below": boot.failed}
    assert 0 < boot.failed < 20
    assert boot.replicates["t1"].isna().sum() == boot.failed
    assert boot.nsim == 20
    assert "failed: the statistic raised" in repr(boot)
    with pytest.raises(ZeroDivisionError, match="at once"):
        fit.bootstrap(5, lambda m: (_ for _ in ()).throw(ZeroDivisionError("at once")))


def test_fits_that_fail_are_counted(monkeypatch: pytest.MonkeyPatch, fit: mp.GlmmFit) -> None:
    real, calls = glmm_bootstrap.estimate_glmm, []

    def sometimes(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise np.linalg.LinAlgError("no")
        record = real(*args, **options)
        status = replace(record.convergence, status=Status.STALLED)
        return replace(record, convergence=status) if len(calls) == 4 else record

    monkeypatch.setattr(glmm_bootstrap, "estimate_glmm", sometimes)
    with pytest.warns(mp.IntervalWarning, match="2 of 6 bootstrap replicates failed"):
        boot = fit.bootstrap(6, seed=1)
    assert boot.failures == {"the criterion has no finite value": 1, "the fit did not converge": 1}
    assert boot.replicates.isna().all(axis=1).tolist() == [False, True, False, True, False, False]


def test_profile_is_that_of_linear_fits(fit: mp.GlmmFit) -> None:
    profile = fit.profile("period2")
    names = [".sig01", "(Intercept)", "period2", "period3", "period4"]
    assert list(profile.zeta.columns) == [".zeta", *names, ".par"]
    middle = profile.zeta[profile.zeta[".zeta"] == 0.0]
    np.testing.assert_allclose(middle["period2"], fit.fixef["period2"], atol=1e-4)
    assert profile.zeta[".zeta"].abs().max() >= stats.chi2.isf(0.01, 5) ** 0.5
    assert 2.0 <= fit.profile("period2", cutoff=2.0).zeta[".zeta"].abs().max() < 3.0
    assert repr(profile).startswith(f"<profile of {HERD}: period2; ")
    for level in (0.5, 0.95, 0.999):  # the last lies beyond lme4's reach
        wanted = fit.confint(level=level, parm="period2")
        np.testing.assert_allclose(profile.confint(level), wanted, atol=1e-5)
    assert len(profile.plot()) == len(profile.plot("density")) == 1
    with pytest.raises(ValueError, match="cutoff=-1"):
        fit.profile(cutoff=-1)


def test_all_correlations_of_three_effects_have_limits() -> None:
    """They are symmetric in the order of the effects."""
    data = simulated()
    one = mp.glmer("count ~ x + z + (1 + x + z | g)", data, family="poisson").confint(parm="theta_")
    two = mp.glmer("count ~ x + z + (1 + z + x | g)", data, family="poisson").confint(parm="theta_")
    assert one.notna().all().all()
    order = [".sig01", ".sig03", ".sig02", ".sig06", ".sig05", ".sig04"]
    np.testing.assert_allclose(one, two.loc[order], atol=2e-4)


def test_a_fit_that_did_not_converge_has_no_limits() -> None:
    fit = mp.glmer("count ~ x + (1 | g)", simulated(), family="poisson")
    status = replace(fit.record.convergence, status=Status.STALLED)
    with pytest.warns(mp.IntervalWarning, match="x: the fit did not converge"):
        limits = replace(fit, record=replace(fit.record, convergence=status)).confint()
    assert limits.isna().all().all()
    assert set(limits.attrs["reasons"].values()) == {"the fit did not converge"}


def test_a_correlation_that_is_estimated_as_one_ends_there() -> None:
    """Where a variance is zero given the other effect, the interval of the correlation reaches the end of its range."""
    rng = np.random.default_rng(4)
    g, x = np.repeat(np.arange(30), 12), rng.normal(size=360)
    b = rng.normal(size=30)[g]
    data = pd.DataFrame({"y": rng.poisson(np.exp(0.5 + 0.6 * b + (0.3 + 0.25 * b) * x)), "x": x, "g": g.astype(str)})
    fit = mp.glmer("y ~ x + (x | g)", data, family="poisson")
    assert fit.singular
    limits = fit.confint()
    assert limits.notna().all().all()
    assert limits.loc[".sig02"].iloc[1] == 1.0
    low = limits.loc[".sig02"].iloc[0]
    assert 0.3 < low < 1.0
    profile = fit.profile(".sig02")
    assert (np.diff(profile.zeta[".zeta"]) > -1e-6).all()


@pytest.mark.parametrize("family", ["poisson(identity)", "binomial(log)"])
def test_links_that_do_not_allow_all_effects_end_soon(family: str) -> None:
    """At the edge of what the link allows every step is halved many times; limits are then missing, with a reason."""
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(25), 16), rng.normal(size=400)
    eta = 0.3 * x + 0.8 * rng.normal(size=25)[g]
    y = (
        rng.poisson(np.exp(eta))
        if "poisson" in family
        else (rng.uniform(size=400) < 1 / (1 + np.exp(-eta))).astype(int)
    )
    data = pd.DataFrame({"y": y, "x": x, "g": g.astype(str)})
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        fit = mp.glmer("y ~ x + (x | g)", data, family=family)
        began = time.process_time()
        limits = fit.confint()
        taken = time.process_time() - began
    assert taken < 30.0  # it was minutes
    assert set(limits.attrs["reasons"]) == set(limits.index[limits.isna().any(axis=1)])


def test_likelihood_ratio_table(fit: mp.GlmmFit) -> None:
    smaller = fit.update(". ~ . - period")
    table = fit.compare(smaller, names=["full", "empty"])
    assert list(table.index) == ["empty", "full"]
    assert table.loc["full", "Df"] == 3
    assert abs(table.loc["full", "Chisq"] - 2.0 * (fit.loglik - smaller.loglik)) < 1e-9
    assert np.isnan(table.loc["full", "Pr(boundary)"])
    data = simulated()
    one, two = mp.glmer("binary ~ x + (1 | g)", data), mp.glmer("binary ~ x + (x | g)", data)
    row = one.compare(two).iloc[1]
    expected = 0.5 * stats.chi2.sf(row["Chisq"], 1) + 0.5 * stats.chi2.sf(row["Chisq"], 2)
    assert abs(row["Pr(boundary)"] - expected) < 1e-12
    with pytest.raises(mp.DataError, match="56 and 600 rows"):
        fit.compare(one)
    with pytest.raises(mp.MixedpyError, match="nagq"):
        fit.compare(fit.update(nagq=5))


def test_anova_prints_lme4s_table(fit: mp.GlmmFit) -> None:
    empty = fit.update(". ~ . - period")
    table = mp.anova(empty, fit)
    assert list(table.index) == ["empty", "fit"]
    lines = str(table).splitlines()
    assert lines[:4] == [
        "Data: cbpp",
        "Models:",
        "empty: cbind(incidence, size - incidence) ~ (1 | herd)",
        f"fit: {HERD}",
    ]
    assert lines[4].split() == ["npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)"]
    assert lines[6].split() == ["fit", "5", "194.05", "204.18", "-92.026", "184.05", "25.61", "3", "1.151e-05", "***"]
    data = simulated()
    one, two = mp.glmer("binary ~ x + (1 | g)", data), mp.glmer("binary ~ x + (x | g)", data)
    assert "0.5 chi2(1) + 0.5 chi2(2), Stram & Lee" in str(mp.anova(one, two))
    with pytest.raises(TypeError, match="anova"):
        mp.anova(fit, mp.lmer("size ~ 1 + (1 | herd)", mp.datasets.load("cbpp")))


@pytest.mark.parametrize("m", [1, 2, 3])
def test_polar_template(m: int) -> None:
    rng = np.random.default_rng(m)
    template = Polar(m)
    theta = np.concatenate([rng.uniform(0.5, 2.0, m), rng.normal(size=template.size - m)])
    L = template.Lambda(theta)
    np.testing.assert_allclose(np.sqrt(np.diag(L @ L.T)), theta[:m])
    np.testing.assert_allclose(template.parameters(L), theta)
    np.testing.assert_allclose(template.jacobian(theta), differences(template.Lambda, theta), atol=1e-8)
    D = rng.normal(size=(m, m))
    found = differences(lambda t: np.tensordot(template.jacobian(t), D, 2), theta)
    np.testing.assert_allclose(template.curvature(theta, D), found, atol=1e-8)
