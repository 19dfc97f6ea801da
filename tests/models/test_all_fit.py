"""Optimizers that know nothing of one another end at the optimum of the references."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.optimize

import mixedpy as mp
from mixedpy.core import searches
from tests import glmm_cases
from tests import tolerances as tol
from tests.cases import CASES, Case
from tests.models.fits import fit_of

MOST_ROWS = 1000
"""Larger models take the searches without derivatives too long for a test."""

LOGLIK_ATOL = 1e-4  # as for the fits themselves
GENERALIZED = ("cbpp", "cbpp_9", "cbpp_0", "cbpp_log_expected", "binary_double", "count_offset", "nb2", "gamma", "zip")


@pytest.mark.parametrize("reference", [c for c in CASES if c.nobs <= MOST_ROWS], ids=lambda c: c.name)
def test_linear_models(reference: Case):
    fit = fit_of(reference)
    found = mp.all_fit(fit)
    assert found["converged"].all(), found["message"].to_list()
    assert found["criterion"].to_numpy() == pytest.approx(reference.criterion, rel=tol.CRITERION_RTOL)
    assert (found["criterion"] <= reference.criterion + tol.CRITERION_EXCESS_ATOL).all()
    assert found["difference"].min() == 0
    distance = (found["fixef"] - reference.fixef) / reference.se
    assert distance.abs().to_numpy().max() < tol.FIXEF_SE
    assert found["sigma"].to_numpy() == pytest.approx(reference.sigma, rel=tol.SIGMA_RTOL)
    assert found["theta"].columns.to_list() == list(reference.theta_names)
    own = found.xs("trust region").iloc[0]
    np.testing.assert_allclose(own["criterion"].item(), fit.deviance, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", GENERALIZED)
def test_generalized_models(name: str):
    reference = glmm_cases.case(name)
    fit = reference.fit()
    found = mp.all_fit(fit)
    assert found["converged"].all(), found["message"].to_list()
    for program in reference.results.values():
        assert (found["criterion"] + 2 * program["loglik"]).abs().max() < 2 * LOGLIK_ATOL
    distance = (found["fixef"] - fit.fixef) / fit.se
    assert distance.abs().to_numpy().max() < 1e-2
    assert (found["theta"] - fit.theta).abs().to_numpy().max() < 1e-3
    if len(fit.auxiliary):
        assert (found["auxiliary"] - fit.auxiliary).abs().to_numpy().max() < 1e-2
    assert "sigma" not in found.columns.get_level_values(0)


@pytest.fixture(scope="module")
def fit() -> mp.LmmFit:
    return mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))


def test_several_starts(fit):
    found = mp.all_fit(
        fit, optimizers=["trust region", "COBYQA" if "COBYQA" in searches.available() else "Powell"], starts=4, seed=3
    )
    assert list(found.index.get_level_values("start")) == [
        start for start in ("moments", "identity", "random 1", "random 2") for _ in range(2)
    ]
    assert (found["difference"] < 1e-6).all()
    again = mp.all_fit(fit, optimizers="trust region", starts=4, seed=3)
    pd.testing.assert_frame_equal(again["theta"], found["theta"].xs("trust region", drop_level=False))
    other = mp.all_fit(fit, optimizers="trust region", starts=4, seed=4)
    assert not again["theta"].iloc[2:].equals(other["theta"].iloc[2:])


def test_singular_and_structured_models():
    with pytest.warns(mp.SingularFitWarning):
        singular = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff2"))
    assert mp.all_fit(singular, starts=2)["theta"].to_numpy() == pytest.approx(0, abs=1e-5)
    sleepstudy = mp.datasets.load("sleepstudy")
    for formula in (
        "Reaction ~ 1 + cs(Days | Subject)",
        "Reaction ~ 0 + (Days | Subject)",
        "Reaction ~ Days + (Days || Subject)",
    ):
        assert (mp.all_fit(mp.lmer(formula, sleepstudy))["difference"] < 1e-6).all()


def test_a_refit_has_its_own_response(fit):
    y = fit.simulate(seed=1)["sim_1"]
    again = fit.refit(y)
    found = mp.all_fit(again, optimizers="L-BFGS-B")
    assert found["criterion"].item() == pytest.approx(again.deviance, abs=1e-6)


def test_a_search_that_fails_is_a_row_with_its_reason(fit, monkeypatch):
    def refuse(*args, method, **options):
        if method == "Powell":
            raise RuntimeError("out of order")
        return scipy_minimize(*args, method=method, **options)

    scipy_minimize = scipy.optimize.minimize
    monkeypatch.setattr(scipy.optimize, "minimize", refuse)
    found = mp.all_fit(fit, optimizers=["trust region", "Powell", "L-BFGS-B"])
    failed = found.loc[("Powell", "moments")]
    assert failed["message"].item() == "out of order"
    assert not failed["converged"].item()
    assert np.isnan(failed["criterion"].item())
    assert found["theta"].loc["Powell"].isna().all(axis=None)
    assert (found["difference"].dropna() < 1e-6).all()
    assert "Powell, moments: out of order" in str(found)
    assert "2 of 3 searches end within 0.001" in str(found)


def test_a_limit_on_evaluations(fit):
    found = mp.all_fit(fit, optimizers=["Nelder-Mead", "L-BFGS-B"], max_evaluations=6)
    assert not found["converged"].any()
    assert (found["evaluations"] < 12).all()
    assert "evaluations" in found["message"].iloc[0]


def test_where_there_is_no_criterion_there_is_a_wall():
    class Half:
        def value(self, x):
            return float((x[0] - 1) ** 2 + (x[1] - 2) ** 2) if x[0] > 0 else np.inf

        def value_and_gradient(self, x):
            return self.value(x), 2 * (x - [1.0, 2.0])

        def estimate(self, x):
            return searches.Estimate(x, x, x, self.value(x))

    for optimizer in searches.available():
        found = searches.search(Half(), optimizer, np.array([0.05, -3.0]), name="edge", most=2000)
        assert found.estimate is not None, found.message
        np.testing.assert_allclose(found.estimate.theta, [1, 2], atol=1e-4, err_msg=optimizer)
        outside = searches.search(Half(), optimizer, np.array([-1.0, 0.0]), name="outside", most=2000)
        assert outside.estimate is None
        assert "no finite value at the start" in outside.message


def test_bobyqa():
    pytest.importorskip("nlopt")
    assert "BOBYQA" in searches.available()
    sleepstudy = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
    found = mp.all_fit(sleepstudy, optimizers=["trust region", "BOBYQA"])
    assert (found["difference"] < 1e-6).all()
    one = mp.all_fit(mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff")), optimizers="BOBYQA")
    assert one["message"].item() == "BOBYQA needs two parameters or more"


def test_print_out(fit):
    found = mp.all_fit(fit, optimizers=["trust region", "L-BFGS-B"])
    text = str(found)
    assert text.startswith("Reaction ~ Days + (Days | Subject): the REML criterion by optimizer")
    for words in (
        "1743.6283",
        "Covariance parameters",
        "Subject.Days",
        "25.5918",
        "Fixed effects",
        "10.4673",
        "2 of 2 searches",
    ):
        assert words in text
    html = found._repr_html_()
    assert html.count("<table") == 3
    assert "trust region" in html
    assert isinstance(found["fixef"], pd.DataFrame)
    assert type(found.round(2)) is pd.DataFrame


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizers": ["bobyqa2"]}, "must name some of those installed: trust region, L-BFGS-B"),
        ({"optimizers": []}, "must name some of those installed"),
        ({"starts": 0}, "starts=0 must be a whole number, at least 1"),
        ({"max_evaluations": 2.5}, "max_evaluations=2.5"),
    ],
)
def test_bad_arguments(fit, options, words):
    with pytest.raises(ValueError, match=words):
        mp.all_fit(fit, **options)


def test_what_is_no_fit():
    with pytest.raises(TypeError, match="all_fit takes a fit of lmer or glmer, not a str"):
        mp.all_fit("fit")
