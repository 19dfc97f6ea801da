"""The references are complete and agree with themselves, so that a failure elsewhere is not theirs."""

from __future__ import annotations

import numpy as np
import pytest

from mixedpy import datasets
from tests import tolerances
from tests.cases import CASES, PRINTED, Case, case

each_case = pytest.mark.parametrize("reference", CASES, ids=lambda c: c.name)


def test_every_data_set_both_criteria_and_every_option_occur():
    assert {c.data for c in CASES} == set(datasets.names())
    assert {c.reml for c in CASES} == {True, False}
    assert len({c.name for c in CASES}) == len(CASES) >= 30
    assert len(PRINTED) >= 20
    for trait in ("weights", "offset", "dropped", "missing", "singular"):
        assert any(getattr(c, trait) for c in PRINTED), trait


def test_a_case_is_found_by_its_name():
    assert case("dyestuff_reml").formula == "Yield ~ 1 + (1 | Batch)"
    with pytest.raises(KeyError):
        case("dyestuff")


@each_case
def test_the_table_has_the_rows_that_r_used(reference: Case):
    frame = reference.frame()
    incomplete = {position for positions in reference.missing.values() for position in positions}
    assert len(frame) - len(incomplete) == reference.nobs
    used = [column for column in (*reference.derive, *reference.missing, reference.weights, reference.offset) if column]
    assert int(frame[used].isna().any(axis=1).sum()) == len(incomplete)
    assert frame.attrs["name"] == reference.data


@each_case
def test_no_attempt_of_r_ended_below_the_reference(reference: Case):
    assert reference.criterion <= min(reference.attempts.values()) + 1e-8
    assert reference.criterion < reference.at_fixed_theta.criterion
    assert reference.criterion <= reference.at_start.criterion


@each_case
def test_information_criteria_follow_from_the_criterion(reference: Case):
    loglik, npar = -reference.criterion / 2, reference.npar
    assert reference.loglik == pytest.approx(loglik, rel=1e-13)
    assert reference.aic == pytest.approx(2 * npar - 2 * loglik, rel=1e-13)
    assert reference.bic == pytest.approx(np.log(reference.nobs) * npar - 2 * loglik, rel=1e-13)
    assert reference.npar == len(reference.fixef) + len(reference.theta) + 1
    assert reference.df_resid == reference.nobs - npar


@each_case
def test_deviance_components_give_the_criterion(reference: Case):
    # Bates et al. (2015), J. Stat. Softw. 67(1), equations 34 and 41, with sum(log w) of the prior weights
    parts, n = reference.devcomp, reference.nobs
    df = n - len(reference.fixef) if reference.reml else n
    logdet = parts["ldL2"] + (parts["ldRX2"] if reference.reml else 0)
    weights = 0.0
    if reference.weights:
        columns = list({reference.weights, *reference.missing})
        weights = float(np.log(reference.frame()[columns].dropna()[reference.weights]).sum())
    expected = logdet + df * (1 + np.log(2 * np.pi * parts["pwrss"] / df)) - weights
    assert reference.criterion == pytest.approx(expected, rel=1e-12)


@each_case
def test_standard_errors_and_residuals_are_consistent(reference: Case):
    np.testing.assert_allclose(reference.se, np.sqrt(np.diag(reference.vcov)), rtol=1e-12)
    np.testing.assert_allclose(reference.t, reference.fixef / reference.se, rtol=1e-12)
    np.testing.assert_allclose(reference.residuals.scaled, reference.residuals.pearson / reference.sigma, rtol=1e-12)


@each_case
def test_modes_have_the_shapes_of_the_terms(reference: Case):
    for group, modes in reference.ranef.items():
        terms = [term for term in reference.terms if term.group == group]
        assert modes.effects == tuple(effect for term in terms for effect in term.effects)
        assert modes.n_levels == terms[0].n_levels == reference.ngrps[group]
        assert modes.values.shape == (len(modes.levels), len(modes.effects))
        assert [block.shape[1:] for block in modes.condvar] == [(len(t.effects),) * 2 for t in terms]
        assert all(len(block) == len(modes.levels) for block in modes.condvar)


@pytest.mark.parametrize("reference", PRINTED, ids=lambda c: c.name)
def test_print_outs_show_the_case(reference: Case):
    printed = reference.printed
    assert printed is not None
    for text in (printed.print, printed.summary):
        assert text.startswith("Linear mixed model fit by " + ("REML" if reference.reml else "maximum likelihood"))
        assert f"\n   Data: {reference.data}\n" in text
        assert f"Number of obs: {reference.nobs}, groups:" in text
    assert printed.varcorr.startswith(" Groups ")


def test_tolerances_are_small_positive_numbers():
    values = {name: value for name, value in vars(tolerances).items() if name.isupper()}
    assert values
    assert all(0 < value <= 0.01 for value in values.values())
