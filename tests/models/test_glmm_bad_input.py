"""Bad input to ``glmer``: the error names the family, the rule and the first offending row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")

N = 60


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "count": rng.poisson(2.0, N).astype(float),
            "yes": rng.integers(0, 2, N).astype(float),
            "m": rng.integers(2, 6, N),
            "share": rng.uniform(0.1, 0.9, N),
            "x": rng.normal(size=N),
            "g": np.tile(list("abcdef"), N // 6),
            "h": np.repeat(list("uvwxyz"), N // 6),
        }
    )


@pytest.mark.parametrize(
    ("column", "value", "family", "rule"),
    [
        ("count", -1.0, "poisson", "counts that are not negative"),
        ("count", 1.5, "poisson", "whole numbers"),
        ("count", -2.0, "nbinom2", "counts that are not negative"),
        ("count", 0.5, "zero_inflated_poisson", "whole numbers"),
        ("count", 0.5, "hurdle_nbinom1", "whole numbers"),
        ("yes", 0.5, "binomial", "a proportion needs the number of trials in weights="),
        ("yes", 2.0, "binomial", "between 0 and 1"),
        ("share", 1.0, "beta", "both excluded"),
        ("share", 0.0, "gamma", "positive numbers"),
        ("share", -1.0, "inverse_gaussian", "positive numbers"),
    ],
)
def test_response_outside_the_support(data: pd.DataFrame, column: str, value: float, family: str, rule: str) -> None:
    data.loc[3, "x"] = np.nan  # a row that is dropped: the row named is that of the table
    data.loc[[17, 40], column] = value
    name = {"zero_inflated_poisson": "zero-inflated poisson", "gamma": "Gamma"}.get(family, "")
    with pytest.raises(mp.DataError, match=f"the family {name}.*{rule}.*in 2 of 59 rows, first in row 17"):
        mp.glmer(f"{column} ~ x + (1 | g)", data, family=family)


def test_proportions_need_whole_successes(data: pd.DataFrame) -> None:
    data["p"] = 1.0 / data["m"]
    data.loc[7, "p"] = 0.123
    with pytest.raises(mp.DataError, match=r"whole number of successes.*first in row 7"):
        mp.glmer("p ~ x + (1 | g)", data, weights="m")
    with pytest.raises(mp.DataError, match="weights that are whole numbers of trials"):
        mp.glmer("yes ~ x + (1 | g)", data, weights=np.linspace(1.1, 2.2, N))


def test_negative_counts_in_two_columns(data: pd.DataFrame) -> None:
    data["failures"] = 3.0
    data.loc[5, "failures"] = -1.0
    with pytest.raises(mp.DataError, match=r"`failures` of the response is negative.*first in row 5"):
        mp.glmer("cbind(count, failures) ~ x + (1 | g)", data)
    with pytest.raises(mp.FormulaError, match="cbind"):
        mp.glmer("cbind(count, failures) ~ x + (1 | g)", data, family="poisson")


def test_nodes(data: pd.DataFrame) -> None:
    with pytest.raises(mp.FormulaError, match=r"nagq=9 \(binomial family\).*a single random term.*g and h|h and g"):
        mp.glmer("yes ~ x + (1 | g) + (1 | h)", data, nagq=9)
    with pytest.raises(mp.FormulaError, match="at most 3 effects"):
        mp.glmer("yes ~ x + (x + I(x^2) + I(x^3) | g)", data, nagq=2)
    for bad in (-1, 26, 2.5, True):
        with pytest.raises(ValueError, match="whole number from 0 to 25"):
            mp.glmer("yes ~ x + (1 | g)", data, nagq=bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nagq=0"):
        mp.glmer_nb("count ~ x + (1 | g)", data, nagq=0)


def test_families_and_links(data: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="unknown; use one of 'binomial'"):
        mp.glmer("yes ~ x + (1 | g)", data, family="bernoulli")
    with pytest.raises(ValueError, match="the family poisson has no link 'logit'"):
        mp.glmer("count ~ x + (1 | g)", data, family="poisson(logit)")
    with pytest.raises(ValueError, match="ziformula"):
        mp.glmer("yes ~ x + (1 | g)", data, ziformula="~ x")
    with pytest.raises(ValueError, match="no family of counts"):
        mp.glmer("yes ~ x + (1 | g)", data, family="hurdle_beta")
    with pytest.raises(ValueError, match="not available for the family"):
        mp.glmer_nb("count ~ x + (1 | g)", data).update(laplace="expected")
    with pytest.raises(TypeError, match="family="):
        mp.glmer("yes ~ x + (1 | g)", data, family=3)  # type: ignore[arg-type]


def test_factorization_is_not_for_generalized_models(data: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="for linear models"):
        mp.glmer("yes ~ x + (1 | g)", data, control=mp.Control(factorization="sparse"))


def test_zero_formulas(data: pd.DataFrame) -> None:
    with pytest.raises(mp.FormulaError, match="one-sided"):
        mp.glmer("count ~ x + (1 | g)", data, family="poisson", ziformula="x")
    with pytest.raises(mp.FormulaError, match="random terms"):
        mp.glmer("count ~ x + (1 | g)", data, family="poisson", ziformula="~ (1 | g)")
    with pytest.raises(mp.DataError, match="no column `nowhere`"):
        mp.glmer("count ~ x + (1 | g)", data, family="poisson", ziformula="~ nowhere")


def test_three_levels_are_not_binary(data: pd.DataFrame) -> None:
    data["three"] = np.tile(["no", "yes", "maybe"], N // 3)
    with pytest.raises(mp.DataError, match="a factor with 3 levels"):
        mp.glmer("three ~ x + (1 | g)", data)


def test_separation_is_told_in_words(data: pd.DataFrame) -> None:
    rng = np.random.default_rng(3)
    data["group"] = np.where(np.arange(N) < 12, "b", "a")
    data["apart"] = np.where(data["group"] == "b", 1.0, rng.integers(0, 2, N))
    with pytest.warns(mp.SeparationWarning, match=r"separate the responses.*groupb"):
        mp.glmer("apart ~ group + (1 | h)", data)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_all_zero_responses(data: pd.DataFrame, family: str) -> None:
    with pytest.warns(mp.SeparationWarning, match="every response zero is 0"):
        mp.glmer("zero ~ x + (1 | g)", data.assign(zero=0.0), family=family)


def test_levels_of_like_responses_are_told() -> None:
    data = pd.DataFrame({"g": np.tile(np.arange(10), 20).astype(str), "y": np.tile(np.repeat([0.0, 1.0], 5), 20)})
    with pytest.warns(mp.SeparationWarning, match="in 10 of its 10 levels all y are alike"):
        fit = mp.glmer("y ~ 1 + (1 | g)", data)
    assert fit.converged


def test_groups_of_zeros_alone_are_no_fault(data: pd.DataFrame) -> None:
    rng = np.random.default_rng(4)
    data["y"] = np.where(data["g"].isin(["a", "b"]), 0.0, rng.integers(0, 2, N))
    fit = mp.glmer("y ~ x + (1 | g)", data)
    assert fit.converged
    assert np.isfinite(fit.ranef()["g"]).all(axis=None)


def test_infeasible_link_is_an_error_or_a_fit(data: pd.DataFrame) -> None:
    fit = mp.glmer("count ~ x + (1 | g)", data, family="poisson(identity)", control=mp.Control(singular_tol=1e-12))
    assert (fit.fitted > 0).all()


@pytest.mark.parametrize("family", ["beta", "gamma", "inverse_gaussian", "gaussian"])
def test_a_constant_response_is_no_data(data: pd.DataFrame, family: str) -> None:
    with pytest.raises(mp.DataError, match=r"the response r is the same in all 60 rows, 0\.5; it must vary"):
        mp.glmer("r ~ x + (1 | g)", data.assign(r=0.5), family=family)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("a", "must hold numbers, one for each of g"),
        ([1.0, 2.0], "1 values are wanted"),
        ({}, "give 'theta', 'fixef' or both"),
        ({"beta": [1.0, 2.0]}, "entries beta; give 'theta'"),
        ({"theta": "a"}, r"start\['theta'\]='a' must hold numbers"),
        ({"fixef": [1.0]}, "must hold 2 finite numbers"),
        ({"fixef": [1.0, np.nan]}, "must hold 2 finite numbers"),
        ({"theta": [1.0, 1.0]}, "1 values are wanted"),
    ],
)
def test_starting_values_that_do_not_fit(data: pd.DataFrame, start: object, said: str) -> None:
    with pytest.raises(mp.DataError, match=said):
        mp.glmer("yes ~ x + (1 | g)", data, start=start)  # type: ignore[arg-type]


def test_starting_values_as_lme4_has_them(data: pd.DataFrame) -> None:
    fit = mp.glmer("count ~ x + (1 | h)", data, family="poisson")
    for start in (
        [0.3],
        {"theta": [0.3]},
        {"fixef": [0.5, -0.1]},
        {"theta": 0.3, "fixef": fit.fixef},
    ):
        again = fit.update(start=start)
        assert abs(again.deviance - fit.deviance) < 1e-6
    with_fixef = fit.update(start={"fixef": [0.5, -0.1]}).convergence.start
    np.testing.assert_allclose(with_fixef[1:3], [0.5, -0.1], atol=1e-8)
    sleep = mp.datasets.load("sleepstudy")
    assert mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, start={"theta": [1.0]}).converged
    with pytest.raises(mp.DataError, match="must hold numbers"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, start="a")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "family",
    ["binomial", "poisson", "gamma", "inverse_gaussian", "gaussian", "nbinom2", "nbinom1", "beta", "beta_binomial",
     "zero_inflated_poisson", "hurdle_nbinom2", "zero_inflated_nbinom1"],
)  # fmt: skip
def test_the_name_of_a_family_names_it(data: pd.DataFrame, family: str) -> None:
    positive = family in ("gamma", "inverse_gaussian", "beta")
    column = "share" if positive else "yes" if "binomial" in family else "count"
    fit = mp.glmer(f"{column} ~ x + (1 | g)", data, family=family)
    assert mp.glmer(f"{column} ~ x + (1 | g)", data, family=fit.family).deviance == fit.deviance


def test_unknown_families_are_told_all_names(data: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"'poisson'.*'zero_inflated_' or 'hurdle_'"):
        mp.glmer("count ~ x + (1 | g)", data, family="zip")
    with pytest.raises(ValueError, match="no family of counts"):
        mp.glmer("count ~ x + (1 | g)", data, family="hurdle gamma")
    assert mp.glmer("count ~ x + (1 | g)", data, family="hurdle_poisson(identity)").link == "identity"


def test_negative_binomial_fits_refuse_expected_weights_in_words(data: pd.DataFrame) -> None:
    assert mp.glmer_nb("count ~ x + (1 | g)", data, laplace="observed").family == "negative binomial"
    with pytest.raises(ValueError, match="'expected' is not available for the family negative binomial"):
        mp.glmer_nb("count ~ x + (1 | g)", data, laplace="expected")


def test_refit_takes_the_forms_of_the_response(data: pd.DataFrame) -> None:
    text = mp.glmer("said ~ x + (1 | g)", data.assign(said=np.where(data["yes"] == 1, "yes", "no")))
    other = data["yes"].iloc[::-1].reset_index(drop=True)
    wanted = text.refit(other)
    for y in (np.where(other == 1, "yes", "no"), pd.Series(np.where(other == 1, "yes", "no"), dtype="category")):
        assert text.refit(y).deviance == wanted.deviance
    assert text.refit(text.simulate(1, seed=2)).deviance == text.refit(text.simulate(1, seed=2)["sim_1"]).deviance
    named = pd.Series(np.where(other == 1, "yes", "no")).sample(frac=1.0, random_state=1)
    for y in (named, named.to_frame(), (named == "yes").astype(int).to_frame()):  # aligned by their row labels
        assert text.refit(y).deviance == wanted.deviance
    with pytest.raises(mp.DataError, match=r"values 'maybe'.*levels 'no', 'yes'"):
        text.refit(["maybe"] * N)
    missing = pd.Series(np.where(other == 1, "yes", "no"), dtype=object)
    missing[3] = None
    with pytest.raises(mp.DataError, match="missing values in 1 of the 60 rows"):
        text.refit(missing)
    boolean = mp.glmer("said ~ x + (1 | g)", data.assign(said=data["yes"] == 1))
    assert boolean.refit((other == 1).to_numpy()).deviance == wanted.deviance
    numbers = mp.glmer("count ~ x + (1 | g)", data, family="poisson")
    with pytest.raises(mp.DataError, match="made of numbers; give numbers"):
        numbers.refit(["a"] * N)


def test_refit_takes_successes_and_failures(data: pd.DataFrame) -> None:
    data = data.assign(good=np.minimum(data["count"], data["m"]))
    fit = mp.glmer("cbind(good, m - good) ~ x + (1 | g)", data)
    good = data["good"].to_numpy()[::-1]
    trials = good + data["m"].to_numpy()
    got = fit.refit(np.column_stack([good, trials - good]))
    wanted = mp.glmer("cbind(good, m - good) ~ x + (1 | g)", data.assign(good=good, m=trials))
    assert got.deviance == wanted.deviance
    assert fit.refit(pd.DataFrame({"s": data["good"], "f": data["m"] - data["good"]})).deviance == fit.deviance
    counts = pd.DataFrame({"s": good, "f": trials - good}).sample(frac=1.0, random_state=1)
    assert fit.refit(counts).deviance == wanted.deviance
    assert fit.refit(fit.simulate(1, seed=1)).nobs == N
    with pytest.raises(mp.DataError, match="negative, or count no trial, in 60 of 60"):
        fit.refit(np.column_stack([good, -trials - good]))


def test_linear_fits_take_a_simulated_table_of_one_column() -> None:
    fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
    drawn = fit.simulate(1, seed=3)
    assert fit.refit(drawn).deviance == fit.refit(drawn["sim_1"]).deviance


def test_models_without_fixed_effects() -> None:
    """Nothing but a variance: all methods have an answer or a message."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(20), 15)
    eta = 0.8 * rng.normal(size=20)[g]
    data = pd.DataFrame({"z": (rng.uniform(size=300) < 1 / (1 + np.exp(-eta))).astype(int), "g": g.astype(str)})
    fit = mp.glmer("z ~ 0 + (1 | g)", data)
    low, high = fit.confint().loc[".sig01"]
    assert 0.0 < low < fit.theta.iloc[0] < high
    for limit in (low, high):
        assert _deviance_at(fit, limit) - fit.deviance == pytest.approx(3.8414588, abs=1e-4)
    assert fit.bootstrap(3, seed=1).replicates.shape == (3, 1)
    assert fit.anova().empty
    assert fit.confint("wald").isna().all().all()
    assert fit.ranova()["logLik"].iloc[1] == pytest.approx(300 * np.log(0.5))
    for call in (lambda: fit.emmeans("1"), lambda: fit.contrast("x"), fit.joint_tests):
        with pytest.raises(mp.DataError, match="no "):
            call()


def _deviance_at(fit: mp.GlmmFit, sd: float) -> float:
    """-2 log-likelihood of the Laplace approximation of a random intercept without fixed effects, by hand."""
    total = 0.0
    for code in range(fit.design.terms[0].n_levels):
        y = fit.design.y[fit.design.terms[0].codes == code]
        n, s, u = len(y), y.sum(), 0.0
        for _ in range(50):
            p = 1.0 / (1.0 + np.exp(-sd * u))
            u -= (sd * (n * p - s) + u) / (sd**2 * n * p * (1 - p) + 1.0)
        p = 1.0 / (1.0 + np.exp(-sd * u))
        inner = s * np.log(p) + (n - s) * np.log1p(-p) - 0.5 * u * u
        total += -2.0 * inner + np.log1p(sd**2 * n * p * (1 - p))
    return total


def test_a_formula_of_zeros_without_terms(data: pd.DataFrame) -> None:
    for family in ("poisson", "zero_inflated_poisson"):
        with pytest.raises(mp.FormulaError, match=r"'~0', has no terms; use '~ 1'"):
            mp.glmer("count ~ x + (1 | g)", data, family=family, ziformula="~0")
