"""Standard errors and intervals of predictions: against R, against the whole joint matrix, and what they mean."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import ndtri, stdtrit

import mixedpy as mp

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "prediction_reference.json").read_text())["cases"]
NAMES = [case["name"] for case in REFERENCE]

# the estimates of theta agree to about 1e-5, and standard errors follow them
SE_RTOL = 5e-5


@cache
def fitted(k: int) -> tuple[mp.LmmFit, pd.DataFrame]:
    """The fit of a case, and the table to predict: rows of the data, then new ones."""
    case = REFERENCE[k]
    data = mp.datasets.load(case["data"])
    if case.get("weights"):
        data["w"] = np.resize([0.5, 1, 2, 1.5], len(data))
    fit = mp.lmer(case["formula"], data, weights=case.get("weights"), control=mp.Control(tol=1e-13))
    new = pd.DataFrame(case["new"])
    used = data.iloc[case["shown"]][list(new.columns)]
    used = used.astype({c: str for c in used if isinstance(used[c].dtype, pd.CategoricalDtype)})
    return fit, pd.concat([used, new], ignore_index=True)


@pytest.mark.parametrize("k", range(len(NAMES)), ids=NAMES)
@pytest.mark.parametrize(("name", "re_form"), [("conditional", None), ("population", "NA")])
def test_standard_errors_by_hand_in_r(k, name, re_form):
    case = REFERENCE[k]
    fit, table = fitted(k)
    found = fit.predict(table, re_form=re_form, allow_new_levels=True, se=True)
    assert list(found.columns) == ["fit", "se"]
    assert_allclose(found["fit"], case[name]["fit"], rtol=1e-5)
    assert_allclose(found["se"], case[name]["se"], rtol=SE_RTOL)


@pytest.mark.parametrize("k", [k for k, case in enumerate(REFERENCE) if "glmmTMB" in case])
@pytest.mark.parametrize(("name", "re_form"), [("conditional", None), ("population", "NA")])
def test_standard_errors_of_glmmtmb(k, name, re_form):
    fit, table = fitted(k)
    found = fit.predict(table, re_form=re_form, allow_new_levels=True, se=True)
    # glmmTMB's optimizer stops at a gradient of about 1e-4
    assert_allclose(found["se"], REFERENCE[k]["glmmTMB_held"][name]["se"], rtol=1e-4)


@pytest.mark.parametrize("k", [k for k, case in enumerate(REFERENCE) if "glmmTMB" in case])
def test_what_the_uncertainty_of_the_covariance_parameters_would_add(k):
    """glmmTMB adds it by the delta method: in these models at most 7 percent.

    Its standard errors without random effects are no reference here: under REML, where it integrates the fixed effects
    too, version 1.1.5 gives some that are smaller than those of the fixed effects themselves.
    """
    fit, table = fitted(k)
    found = fit.predict(table, allow_new_levels=True, se=True)["se"]
    ratio = np.array(REFERENCE[k]["glmmTMB"]["conditional"]["se"]) / found
    assert ratio.min() > 1 - 1e-4
    assert ratio.max() < 1.07


@pytest.mark.parametrize("k", range(len(NAMES)), ids=NAMES)
def test_degrees_of_freedom_of_the_fixed_part_are_those_of_lmertest(k):
    fit, table = fitted(k)
    found = fit.predict(table, re_form="NA", interval="confidence", se=True, ddf="satterthwaite")
    wanted = stdtrit(np.array(REFERENCE[k]["population"]["df"]), 0.975)
    assert_allclose((found["upper"] - found["fit"]) / found["se"], wanted, rtol=1e-4)
    assert_allclose((found["fit"] - found["lower"]) / found["se"], wanted, rtol=1e-4)


def test_degrees_of_freedom_of_random_effects(sleep):
    """What is known from the rows of a level has almost the residual ones; what levels must tell has fewer."""
    new = pd.DataFrame({"Days": [4.0, 4.0], "Subject": ["308", "new"]})
    quantiles = {}
    for interval in ("confidence", "prediction"):
        wide = sleep.predict(new, allow_new_levels=True, interval=interval, ddf="satterthwaite")
        narrow = sleep.predict(new, allow_new_levels=True, interval=interval)
        quantiles[interval] = (wide["upper"] - wide["fit"]) / (narrow["upper"] - narrow["fit"]) * ndtri(0.975)
    for interval in ("confidence", "prediction"):
        assert stdtrit(178, 0.975) < quantiles[interval][0] < stdtrit(100, 0.975)
    assert quantiles["confidence"][1] == pytest.approx(stdtrit(17, 0.975), rel=0.02)
    assert quantiles["prediction"][1] < quantiles["confidence"][1]


def test_degrees_of_freedom_with_a_variance_of_zero():
    with pytest.warns(mp.SingularFitWarning):
        fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff2"))
    found = fit.predict(interval="confidence", se=True, ddf="satterthwaite").iloc[0]
    assert (found["upper"] - found["fit"]) / found["se"] == pytest.approx(stdtrit(29, 0.975), rel=1e-6)


def test_degrees_of_freedom_need_an_interval(sleep):
    with pytest.raises(ValueError, match="interval"):
        sleep.predict(ddf="satterthwaite")
    with pytest.raises(ValueError, match="ddf='kenward-roger'"):
        sleep.predict(interval="confidence", ddf="kenward-roger")


@pytest.mark.parametrize("k", [k for k, case in enumerate(REFERENCE) if "merTools" in case])
def test_simulated_intervals_of_mertools(k):
    """merTools draws fixed and random effects independently; less their covariance the intervals are the same."""
    fit, table = fitted(k)
    theirs = REFERENCE[k]["merTools"]
    found = fit.predict(table.head(3), interval="prediction", se=True)
    width = found["upper"] - found["lower"]
    independent = 2 * ndtri(0.975) * np.sqrt(np.array(theirs["independent_variance"]) + fit.sigma**2)
    # each of two quantiles has the error sqrt(.025 * .975 / draws) / density; that sigma is drawn too adds a little
    error = np.sqrt(2 * 0.025 * 0.975 / theirs["draws"]) / 0.0584 * independent / (2 * ndtri(0.975))
    simulated = np.subtract(theirs["upper"], theirs["lower"])
    assert (np.abs(simulated - independent) < 4 * error + 0.01 * independent).all()
    assert (width < independent).all()
    assert_allclose(found["fit"], theirs["fit"], atol=4 * (error / 2).max())


FORMULAS = [
    "y ~ x + (1 | g)",
    "y ~ x + (x | g)",
    "y ~ x + (x || g)",
    "y ~ x + (x | g) + (1 | h)",
    "y ~ x + (1 | h) + (x | g)",
    "y ~ x + (1 | g / h)",
    "y ~ 0 + x + (1 | g) + (1 | h) + (1 | k)",
]


def table_of(seed: int, n: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g, h, k = rng.integers(0, 7, n), rng.integers(0, 4, n), rng.integers(0, 3, n)
    x, w = rng.normal(size=n) + 3, rng.uniform(0.5, 2, n)
    b = rng.normal(size=(7, 2))
    y = 1 + x + b[g, 0] + b[g, 1] * x + rng.normal(size=4)[h] + rng.normal(size=n) / np.sqrt(w)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "k": k, "w": w})


def quadratic_forms(fit: mp.LmmFit, X: np.ndarray, codes: list[np.ndarray], Z: list[np.ndarray]) -> np.ndarray:
    """Variances of x'beta + z'b from the whole joint matrix."""
    blocks = [X]
    for term, level, columns in zip(fit.design.terms, codes, Z, strict=True):
        block = np.zeros((len(X), term.n_levels, term.m))
        block[np.arange(len(X)), level] = columns
        blocks.append(block.reshape(len(X), -1))
    C = np.hstack(blocks)
    return np.einsum("ni,ij,nj->n", C, fit.vcov(full=True).to_numpy(), C)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), formula=st.sampled_from(FORMULAS), weighted=st.booleans())
def test_variances_are_those_of_the_joint_matrix(seed, formula, weighted):
    data = table_of(seed)
    control = mp.Control(singular_tol=0.0)
    fit = mp.lmer(formula, data, weights="w" if weighted else None, control=control)
    design = fit.design
    codes = [term.codes for term in design.terms]
    Z = [np.column_stack([design.columns[c] for c in term.columns]) for term in design.terms]
    found = fit.predict(se=True)
    assert_allclose(found["se"] ** 2, quadratic_forms(fit, design.X, codes, Z), rtol=1e-6)
    population = fit.predict(se=True, re_form="NA")["se"]
    assert_allclose(population**2, quadratic_forms(fit, design.X, codes, [0 * z for z in Z]), rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_pairs_of_levels_that_do_not_meet_in_the_data(seed):
    data = table_of(seed, 60).query("(g + h) % 2 == 0")
    fit = mp.lmer("y ~ x + (x | g) + (1 | h)", data, control=mp.Control(singular_tol=0.0))
    g, h = (a.ravel() for a in np.meshgrid(np.unique(data["g"]), np.unique(data["h"])))
    new = pd.DataFrame({"x": np.linspace(0, 5, len(g)), "g": g, "h": h})
    found = fit.predict(new, se=True)["se"]
    levels = [np.searchsorted(np.unique(data[c]), new[c]) for c in ("g", "h")]
    X = np.column_stack([np.ones(len(new)), new["x"]])
    assert_allclose(found**2, quadratic_forms(fit, X, levels, [X, X[:, :1]]), rtol=1e-6)


@pytest.fixture(scope="module")
def sleep() -> mp.LmmFit:
    return mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))


def test_limits_are_normal(sleep):
    both = sleep.predict(interval="confidence", level=0.8, se=True)
    assert list(both.columns) == ["fit", "se", "lower", "upper"]
    assert_allclose(both["upper"] - both["fit"], ndtri(0.9) * both["se"])
    assert_allclose(both["fit"] - both["lower"], ndtri(0.9) * both["se"])
    assert_allclose(both["fit"], sleep.fitted)
    assert list(sleep.predict(interval="prediction").columns) == ["fit", "lower", "upper"]


def test_a_new_observation_has_its_residual(sleep):
    wider = sleep.predict(interval="prediction", se=True)
    half = (wider["upper"] - wider["lower"]) / 2 / ndtri(0.975)
    assert_allclose(half**2, wider["se"] ** 2 + sleep.sigma**2)


def test_residual_variance_is_divided_by_the_weight():
    data = mp.datasets.load("sleepstudy").assign(w=np.linspace(0.5, 4, 180))
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", data, weights="w")
    for newdata in (None, data):
        found = fit.predict(newdata, interval="prediction", se=True)
        half = (found["upper"] - found["lower"]) / 2 / ndtri(0.975)
        assert_allclose(half**2 - found["se"] ** 2, fit.sigma**2 / data["w"], rtol=1e-6)
    with pytest.raises(mp.DataError, match="w"):
        fit.predict(data.drop(columns="w"), interval="prediction")
    assert "fit" in fit.predict(data.drop(columns="w"), interval="confidence")


def test_effects_left_out_are_unknown_to_a_new_observation(sleep):
    Sigma = sleep.varcorr()["Subject"].to_numpy()
    z = np.array([1.0, 4.0])
    new = pd.DataFrame({"Days": [4.0]})
    found = sleep.predict(new, re_form="NA", interval="prediction", se=True).iloc[0]
    half = (found["upper"] - found["fit"]) / ndtri(0.975)
    assert half**2 == pytest.approx(found["se"] ** 2 + sleep.sigma**2 + z @ Sigma @ z)
    # the same at a level that the fit has not seen, where all that is known is the prior
    unseen = sleep.predict(new.assign(Subject="new"), allow_new_levels=True, interval="prediction", se=True).iloc[0]
    assert unseen["upper"] == pytest.approx(found["upper"])
    assert unseen["se"] ** 2 == pytest.approx(found["se"] ** 2 + z @ Sigma @ z)
    for subject in ("new", None):
        partly = sleep.predict(
            new.assign(Subject=subject), re_form="~ (1 | Subject)", allow_new_levels=True, interval="prediction"
        )
        assert partly["upper"].iloc[0] == pytest.approx(found["upper"])


def test_some_effects_of_a_seen_level(sleep):
    Sigma = sleep.varcorr()["Subject"].to_numpy()
    new = pd.DataFrame({"Days": [4.0], "Subject": ["308"]})
    found = sleep.predict(new, re_form="~ (1 | Subject)", interval="prediction", se=True).iloc[0]
    half = (found["upper"] - found["fit"]) / ndtri(0.975)
    assert half**2 == pytest.approx(found["se"] ** 2 + sleep.sigma**2 + 16 * Sigma[1, 1])
    joint = sleep.vcov(full=True).loc[["(Intercept)", "Days", "Subject.308.(Intercept)"]]
    c = np.array([1.0, 4.0, 1.0])
    assert found["se"] ** 2 == pytest.approx(c @ joint[joint.index].to_numpy() @ c)


def test_levels_new_in_one_term_only():
    fit = mp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mp.datasets.load("Penicillin"))
    new = pd.DataFrame({"plate": ["a", "new"], "sample": ["new", "A"]})
    found = fit.predict(new, allow_new_levels=True, se=True)
    parts = [fit.predict(new.iloc[[0]], re_form="~ (1 | plate)", se=True)["se"].iloc[0]]
    parts.append(fit.predict(new.iloc[[1]], re_form="~ (1 | sample)", se=True)["se"].iloc[0])
    prior = fit.varcorr().to_frame().set_index("grp")["vcov"]
    assert_allclose(found["se"] ** 2, [*np.square(parts)[:1] + prior["sample"], *np.square(parts)[1:] + prior["plate"]])


def test_fits_with_a_variance_of_zero():
    with pytest.warns(mp.SingularFitWarning):
        fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff2"))
    found = fit.predict(se=True)
    assert_allclose(found["se"], fit.sigma / np.sqrt(30))


def test_rows_left_out_and_missing_values(sleep):
    data = mp.datasets.load("sleepstudy")
    data.loc[3, "Days"] = np.nan
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", data, na_action="exclude")
    found = fit.predict(interval="confidence")
    assert found.shape == (180, 3)
    assert found.isna().all(axis=1).sum() == 1
    new = sleep.predict({"Days": [1.0, np.nan], "Subject": ["308", "308"]}, interval="prediction")
    assert new.isna().to_numpy().tolist() == [[False] * 3, [True] * 3]


def test_rows_are_taken_block_by_block(sleep, monkeypatch):
    whole = sleep.predict(interval="prediction", se=True)
    monkeypatch.setattr("mixedpy.core.joint._BLOCK_ENTRIES", 100)
    pd.testing.assert_frame_equal(sleep.predict(interval="prediction", se=True), whole)


def test_models_without_fixed_effects():
    fit = mp.lmer("Yield ~ 0 + (1 | Batch)", mp.datasets.load("Dyestuff"))
    found = fit.predict(se=True)
    assert_allclose(found["se"], fit.ranef(condvar=True)["Batch"]["(Intercept)_sd"].repeat(5), rtol=1e-9)
    assert (fit.predict(se=True, re_form="NA")["se"] == 0).all()
    assert fit.leverage()["fixef"].eq(0).all()


def test_index_of_the_new_rows(sleep):
    new = pd.DataFrame({"Days": [0.0, 1.0], "Subject": ["308", "309"]}, index=["a", "b"])
    assert list(sleep.predict(new, interval="confidence").index) == ["a", "b"]


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, "0.9", True, float("nan")])
def test_level_that_is_no_probability(sleep, level):
    with pytest.raises(ValueError, match="level"):
        sleep.predict(interval="confidence", level=level)


def test_unknown_interval(sleep):
    with pytest.raises(ValueError, match="interval='credible'"):
        sleep.predict(interval="credible")


def test_new_levels_still_need_leave(sleep):
    with pytest.raises(mp.DataError, match="'new'"):
        sleep.predict({"Days": [0.0], "Subject": ["new"]}, interval="confidence")


def test_intervals_cover_what_they_say():
    """A small version of benchmarks/coverage.py: one row of each kind in every simulation."""
    rng = np.random.default_rng(20)
    J, per, nsim = 40, 5, 200
    g = np.repeat(np.arange(J), per)
    x = np.tile(np.linspace(-1, 1, per), J)
    new = pd.DataFrame({"x": [0.5, 0.5], "g": [3, J]})
    covered = np.zeros(4)
    for _ in range(nsim):
        b = rng.multivariate_normal([0, 0], [[1.0, 0.3], [0.3, 0.5]], J + 1)
        y = 2 + x + b[g, 0] + b[g, 1] * x + rng.normal(size=len(g))
        fit = mp.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g}, control=mp.Control(singular_tol=0.0))
        mean = 2.5 + b[[3, J], 0] + 0.5 * b[[3, J], 1]
        observed = mean + rng.normal(size=2)
        for k, (interval, target) in enumerate((("confidence", mean), ("prediction", observed))):
            found = fit.predict(new, allow_new_levels=True, interval=interval)
            covered[2 * k : 2 * k + 2] += (found["lower"] < target) & (target < found["upper"])
    assert np.abs(covered / nsim - 0.95).max() < 3 * np.sqrt(0.95 * 0.05 / nsim)
