"""Refits of one model to many responses: the same fits as one at a time, at a cost counted here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control, Factorization
from mixedpy.core.covariance import Diagonal, Unstructured
from mixedpy.core.crossproducts import cross_products
from mixedpy.core.estimate import Engine, estimate, estimate_prepared, prepare
from mixedpy.core.parameters import Parameters
from mixedpy.core.record import FitRecord
from mixedpy.core.refit.algebra import multiply, positive_inverse, root
from mixedpy.core.refit.classes import classes_of
from mixedpy.core.refit.crossed import Columns, Crossed
from mixedpy.core.refit.entries import Entries
from mixedpy.core.refit.errors import record_errors
from mixedpy.core.refit.nested import Nested
from mixedpy.core.refit.oneway import OneWay
from mixedpy.core.refit.refit import Refits, in_lockstep, refit_all
from mixedpy.core.refit.replicate import draw_responses, interior
from mixedpy.core.refit.respond import respond
from mixedpy.core.refit.responses import Responses, reduce_responses
from mixedpy.core.refit.search import minimize_all
from mixedpy.core.second_order.fit import engine_blocks
from mixedpy.datasets import load
from mixedpy.design import build
from tests.cases import case
from tests.core.designs import designs

RESPONSES = 6
"""Responses per random design."""


def _some_responses(design: Design, seed: int, count: int = RESPONSES) -> Floats:
    """Responses with random effects of their own, some without any."""
    rng = np.random.default_rng(seed)
    Y = design.y[:, None] + rng.normal(size=(design.n, count))
    for term in design.terms:
        for c in term.columns:
            sd = rng.choice([0.0, 0.5, 2.0], size=count)
            Y += design.columns[c][:, None] * (rng.normal(size=(term.n_levels, count)) * sd)[term.codes]
    return Y


def _objective(engine: Engine, responses: Responses, *, reml: bool, flipped: bool = False) -> OneWay:
    entries = Entries(engine.parameters.templates, flipped=flipped)
    return OneWay(engine.cross_products, responses, entries, classes_of(engine.cross_products.own[0]), reml=reml)


def _reduced(design: Design, engine: Engine, Y: Floats) -> Responses:
    return reduce_responses(engine.conditioned, engine.cross_products, Y, design.offset)


@given(designs(), st.integers(0, 2**32 - 1))
def test_sufficient_statistics_are_the_cross_products(design: Design, seed: int) -> None:
    Y = _some_responses(design, seed)
    engine = prepare(design)
    responses = _reduced(design, engine, Y)
    conditioned = engine.conditioned.design
    for b in range(RESPONSES):
        y = Y[:, b] - responses.shift[b] - (0.0 if design.offset is None else design.offset)
        wanted = cross_products(replace(conditioned, y=y))
        scale = np.sqrt(wanted.fixed[-1, -1])
        np.testing.assert_allclose(responses.fixed[:, b], wanted.fixed[:-1, -1], atol=1e-9 * scale)
        assert responses.square[b] == pytest.approx(wanted.fixed[-1, -1], rel=1e-10)
        for z, right in zip(responses.random, wanted.right, strict=True):
            np.testing.assert_allclose(z[:, :, b], right[:, -1], atol=1e-9 * scale)


@given(designs(max_terms=1), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_derivatives_are_those_of_the_values(design: Design, reml: bool, flipped: bool, seed: int) -> None:
    engine = prepare(design)
    responses = _reduced(design, engine, _some_responses(design, seed))
    objective = _objective(engine, responses, reml=reml, flipped=flipped)
    k = objective.entries.size
    theta = np.random.default_rng(seed).normal(size=(k, RESPONSES)) * 0.5 + 0.5
    gradient, hessian = objective.derivatives(objective.values(theta))
    size = np.abs(hessian).max() + 1.0
    np.testing.assert_allclose(hessian, hessian.swapaxes(0, 1), atol=1e-9 * size)
    h = 1e-5
    for i in range(k):
        e = h * np.eye(k)[:, [i]]
        above, below = objective.values(theta + e), objective.values(theta - e)
        np.testing.assert_allclose((above.value - below.value) / (2 * h), gradient[i], atol=1e-5 * size)
        change = objective.derivatives(above)[0] - objective.derivatives(below)[0]
        np.testing.assert_allclose(change / (2 * h), hessian[:, i], atol=1e-5 * size)


@given(designs(max_terms=1), st.booleans(), st.integers(0, 2**32 - 1))
def test_values_are_those_of_the_single_fit(design: Design, reml: bool, seed: int) -> None:
    engine = prepare(design)
    Y = _some_responses(design, seed)
    responses = _reduced(design, engine, Y)
    objective = _objective(engine, responses, reml=reml)
    theta = np.random.default_rng(seed).normal(size=(objective.entries.size, RESPONSES))
    state = objective.values(theta)
    for b in range(RESPONSES):
        alone = prepare(replace(design, y=Y[:, b])).objective(reml=reml)
        assert state.value[b] == pytest.approx(alone.value(theta[:, b]), rel=1e-9)
        assert alone.profiled is not None
        assert state.sigma2[b] == pytest.approx(alone.profiled.sigma2, rel=1e-8)


@given(designs(nested=True), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_nested_terms_in_lockstep_are_the_chain(design: Design, reml: bool, flipped: bool, seed: int) -> None:
    """Values, gradients and average information of every replicate, at a theta of its own."""
    engine = prepare(design)
    assume(engine.cross_products.chain)
    Y = _some_responses(design, seed, count=3)
    entries = Entries(engine.parameters.templates, flipped=flipped)
    objective = Nested(engine.cross_products, _reduced(design, engine, Y), entries, reml=reml)
    theta = np.random.default_rng(seed).normal(size=(entries.size, 3)) * 0.5 + 0.4
    state = objective.values(theta)
    gradient, hessian = objective.derivatives(state)
    some = np.array([2, 0])
    np.testing.assert_allclose(objective.take(some).values(theta[:, some]).value, state.value[some], rtol=1e-12)
    np.testing.assert_allclose(objective.take(some).derivatives(state.take(some))[0], gradient[:, some], rtol=1e-9)
    for b in range(3):
        alone = prepare(replace(design, y=Y[:, b]))
        parameters = alone.parameters
        if flipped:
            flips = [
                Unstructured(t.m, flipped=True) if isinstance(t, Unstructured) else t for t in parameters.templates
            ]
            parameters = Parameters(flips)
        single = alone.objective(reml=reml).reparametrized(parameters)
        assert single.value(theta[:, b]) == pytest.approx(state.value[b], rel=1e-9)
        wanted = single.derivatives()
        np.testing.assert_allclose(gradient[:, b], wanted[0], atol=1e-6 * (1.0 + np.abs(wanted[0]).max()))
        np.testing.assert_allclose(hessian[:, :, b], wanted[1], atol=1e-6 * (1.0 + np.abs(wanted[1]).max()))


def _crossed(engine: Engine, responses: Responses, *, reml: bool, flipped: bool = False) -> Crossed:
    entries = Entries(engine.parameters.templates, flipped=flipped)
    return Crossed(Columns(engine.cross_products), responses, entries, reml=reml)


@given(designs(), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_crossed_terms_in_lockstep_are_the_factorization(design: Design, reml: bool, flipped: bool, seed: int) -> None:
    """Values, variances and gradients of every replicate at a theta of its own; nested terms are no exception."""
    assume(len(design.terms) > 1)
    engine = prepare(design)
    Y = _some_responses(design, seed, count=3)
    objective = _crossed(engine, _reduced(design, engine, Y), reml=reml, flipped=flipped)
    theta = np.random.default_rng(seed).normal(size=(objective.entries.size, 3)) * 0.5 + 0.4
    theta[0, 1] = 0.0
    state = objective.values(theta)
    gradient, _ = objective.derivatives(state)
    some = np.array([2, 0])
    np.testing.assert_allclose(objective.take(some).values(theta[:, some]).value, state.value[some], rtol=1e-12)
    few = objective.take(some).derivatives(state.take(some))[0]
    np.testing.assert_allclose(few, gradient[:, some], rtol=1e-8, atol=1e-9)
    for b in range(3):
        alone = prepare(replace(design, y=Y[:, b]))
        parameters = alone.parameters
        if flipped:
            flips = [
                Unstructured(t.m, flipped=True) if isinstance(t, Unstructured) else t for t in parameters.templates
            ]
            parameters = Parameters(flips)
        single = alone.objective(reml=reml).reparametrized(parameters)
        assert single.value(theta[:, b]) == pytest.approx(state.value[b], rel=1e-9)
        assert single.profiled is not None
        assert single.profiled.sigma2 == pytest.approx(state.sigma2[b], rel=1e-8)
        wanted = single.derivatives()[0]
        np.testing.assert_allclose(gradient[:, b], wanted, atol=1e-6 * (1.0 + np.abs(wanted).max()))


@given(designs(), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_second_derivatives_of_crossed_terms_are_exact(design: Design, reml: bool, flipped: bool, seed: int) -> None:
    """Against central differences of the gradient, also where a variance is zero."""
    assume(len(design.terms) > 1)
    engine = prepare(design)
    responses = _reduced(design, engine, _some_responses(design, seed, count=2))
    objective = _crossed(engine, responses, reml=reml, flipped=flipped)
    k = objective.entries.size
    theta = np.random.default_rng(seed).normal(size=(k, 2)) * 0.5 + 0.5
    theta[-1, 1] = 0.0
    _, hessian = objective.derivatives(objective.values(theta))
    size = np.abs(hessian).max() + 1.0
    np.testing.assert_allclose(hessian, hessian.swapaxes(0, 1), atol=1e-9 * size)
    h = 1e-5
    for i in range(k):
        e = h * np.eye(k)[:, [i]]
        above, below = objective.values(theta + e), objective.values(theta - e)
        change = objective.derivatives(above)[0] - objective.derivatives(below)[0]
        np.testing.assert_allclose(change / (2 * h), hessian[:, i], atol=1e-5 * size)


def _each_is_a_minimum(design: Design, y: Floats, found: Refits, b: int, alone: FitRecord, *, reml: bool) -> None:
    """A single fit does not leave the point where the refit ended, nor does a refit end above where the fit did."""
    there = refit_all(prepare(design), y[:, None], reml=reml, offset=design.offset, start=alone.theta)
    assert there.criterion[0] < alone.criterion + 1e-6
    back = estimate(replace(design, y=y), reml=reml, start=found.theta[b])
    assert back.criterion > found.criterion[b] - 1e-6


@given(designs(nested=False), st.booleans(), st.integers(0, 2**32 - 1))
def test_crossed_refits_end_where_single_fits_end(design: Design, reml: bool, seed: int) -> None:
    """Criteria to 1e-7; where they differ both are minima, and neither search leaves that of the other."""
    assume(len(design.terms) > 1)
    assume(sum(t.m * t.n_levels for t in design.terms) < 0.7 * design.n)  # otherwise rows may be fitted exactly
    engine = prepare(design)
    assume(in_lockstep(engine))
    Y = _some_responses(design, seed, count=4)
    found = refit_all(engine, Y, reml=reml, offset=design.offset)
    assert found.lockstep
    for b in range(4):
        alone = estimate(replace(design, y=Y[:, b]), reml=reml)
        if not alone.convergence.converged or np.abs(alone.theta).max() > 100.0:
            continue
        assert found.converged[b]
        if abs(found.criterion[b] - alone.criterion) > 1e-7:
            _each_is_a_minimum(design, Y[:, b], found, b, alone, reml=reml)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
        ("cake", "angle ~ recipe + temperature + (1 | replicate) + (1 | recipe:temperature)"),
        ("cake", "angle ~ temp + (scale(temp) | replicate) + (1 | recipe)"),
        ("cake", "angle ~ temp + (1 | replicate) + (0 + scale(temp) | replicate) + (1 | recipe) + (1 | temperature)"),
    ],
)
@pytest.mark.parametrize("reml", [True, False])
def test_crossed_data_sets(name: str, formula: str, reml: bool) -> None:
    """Estimates, covariances and standard errors of each replicate are those of the fit alone."""
    design = build(formula, load(name)).design
    engine = prepare(design)
    rng = np.random.default_rng(4)
    scale = design.y.std()
    Y = design.y[:, None] + 0.5 * scale * rng.normal(size=(design.n, 10))
    for term in design.terms:
        column = design.columns[term.columns[-1]] / np.abs(design.columns[term.columns[-1]]).max()
        Y += scale * column[:, None] * rng.normal(size=(term.n_levels, 10))[term.codes]
    found = refit_all(engine, Y, reml=reml, errors=True)
    assert found.lockstep
    assert found.converged.all()
    assert found.errors is not None
    compared = 0
    for b in range(10):
        one = prepare(replace(design, y=Y[:, b]))
        record = estimate_prepared(one, reml=reml)
        assert found.criterion[b] == pytest.approx(record.criterion, abs=1e-7)
        assert found.sigma[b] == pytest.approx(record.sigma, rel=1e-4)
        np.testing.assert_allclose(found.unscaled_vcov[b], record.unscaled_vcov, rtol=1e-3, atol=1e-12)
        se = record.sigma * np.sqrt(np.diag(record.unscaled_vcov))
        np.testing.assert_array_less(np.abs(found.beta[b] - record.beta), 1e-3 * se)
        if not interior(record.Lambda):
            continue
        wanted = record_errors(one, record)
        for mine, theirs in zip(found.errors.terms, wanted.terms, strict=True):
            np.testing.assert_allclose(mine[b], theirs[0], rtol=1e-2)
        assert found.errors.sigma[b] == pytest.approx(wanted.sigma[0], rel=1e-3)
        compared += 1
    assert compared


def test_large_crossed_designs_and_other_factorizations_go_one_by_one() -> None:
    rng = np.random.default_rng(6)
    n = 900
    g, h = rng.integers(0, 200, n), rng.integers(0, 120, n)
    data = {"y": rng.normal(size=n) + rng.normal(size=120)[h], "g": g.astype(str), "h": h.astype(str)}
    large = build("y ~ 1 + (1 | g) + (1 | h)", data).design
    penicillin = build("diameter ~ 1 + (1 | plate) + (1 | sample)", load("Penicillin")).design
    assert in_lockstep(prepare(penicillin))
    for design, control in [(large, Control()), (penicillin, Control(factorization="sparse"))]:
        engine = prepare(design, control)
        assert not in_lockstep(engine)
        Y = _some_responses(design, 1, count=2)
        found = refit_all(engine, Y, reml=True)
        assert not found.lockstep
        together = refit_all(prepare(penicillin), Y, reml=True) if design is penicillin else None
        for b in range(2):
            alone = estimate(replace(design, y=Y[:, b]), reml=True, control=control)
            assert found.criterion[b] == pytest.approx(alone.criterion, abs=1e-7)
            if together is not None:
                assert together.criterion[b] == pytest.approx(alone.criterion, abs=1e-7)


@given(designs(), st.booleans(), st.integers(0, 2**32 - 1))
def test_refits_are_single_fits(design: Design, reml: bool, seed: int) -> None:
    Y = _some_responses(design, seed, count=3)
    found = refit_all(prepare(design), Y, reml=reml, offset=design.offset)
    assert found.lockstep == in_lockstep(prepare(design))
    for b in range(3):
        alone = estimate(replace(design, y=Y[:, b]), reml=reml)
        assume(alone.convergence.converged)
        if np.abs(alone.theta).max() > 100.0:  # rows fitted almost exactly: the criterion has no minimum to speak of
            continue
        assert found.converged[b]
        if abs(found.criterion[b] - alone.criterion) > 1e-6:
            _each_is_a_minimum(design, Y[:, b], found, b, alone, reml=reml)
            continue
        se = alone.sigma * np.sqrt(np.diag(alone.unscaled_vcov))
        np.testing.assert_allclose(found.sigma[b], alone.sigma, rtol=1e-3)
        np.testing.assert_array_less(np.abs(found.beta[b] - alone.beta), 5e-3 * se)
        sd = found.sigma[b] * np.sqrt(np.diag(found.unscaled_vcov[b]))
        np.testing.assert_allclose(sd, se, rtol=5e-3)


@given(designs(max_terms=1), st.booleans(), st.integers(0, 2**32 - 1))
def test_classes_of_equal_levels_change_nothing(design: Design, reml: bool, seed: int) -> None:
    """Rows repeated level by level make a balanced design; its levels form few classes."""
    term = design.terms[0]
    balanced = replace(term, codes=np.arange(design.n) // 3, n_levels=int((design.n + 2) // 3), columns=(0,))
    design = replace(design, terms=(replace(balanced, template=Unstructured(1)),), weights=None)
    engine = prepare(design)
    cp = engine.cross_products
    responses = _reduced(design, engine, _some_responses(design, seed))
    classes = classes_of(cp.own[0])
    assert classes.max() <= 1
    entries = Entries(engine.parameters.templates)
    theta = np.full((1, RESPONSES), 0.7)
    few = OneWay(cp, responses, entries, classes, reml=reml)
    all_apart = OneWay(cp, responses, entries, np.arange(cp.J[0]), reml=reml)
    np.testing.assert_allclose(few.values(theta).value, all_apart.values(theta).value, rtol=1e-12)
    one, two = few.derivatives(few.values(theta)), all_apart.derivatives(all_apart.values(theta))
    np.testing.assert_allclose(one[0], two[0], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-8, atol=1e-8)


def _sleepstudy() -> Design:
    one = case("sleepstudy_slope_reml")
    return build(one.formula, one.frame()).design


def test_a_balanced_design_has_one_class() -> None:
    assert classes_of(prepare(_sleepstudy()).cross_products.own[0]).max() == 0


def test_a_start_given_is_where_all_begin() -> None:
    design = _sleepstudy()
    Y = _some_responses(design, 3)
    wanted = refit_all(prepare(design), Y, reml=True)
    found = refit_all(prepare(design), Y, reml=True, start=np.array([1.0, 0.1, 0.3]))
    np.testing.assert_allclose(found.criterion, wanted.criterion, atol=1e-7)


def test_batches_are_joined() -> None:
    rng = np.random.default_rng(1)
    n, J = 400, 150
    x = rng.normal(size=n)
    data = {"y": rng.normal(size=n), "x": x, "g": [f"g{i}" for i in rng.integers(0, J, n)]}
    design = build("y ~ x + (x | g)", data).design
    engine = prepare(design)
    Y = _some_responses(design, 1, count=700)
    found = refit_all(engine, Y, reml=True)
    assert found.count == 700
    last = estimate(replace(design, y=Y[:, 699]), reml=True)
    assert found.criterion[699] == pytest.approx(last.criterion, abs=1e-6)


@pytest.mark.parametrize("name", ["penicillin_reml", "pastes_nested", "sleepstudy_slope_reml"])
def test_the_symbolic_work_is_done_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = case(name)
    design = build(one.formula, one.frame()).design
    calls = []
    from mixedpy.core.factor import choose

    original = choose.analyze
    monkeypatch.setattr(choose, "analyze", lambda *a: calls.append(1) or original(*a))
    engine = prepare(design, Control(factorization="sparse"))
    refit_all(engine, _some_responses(design, 1), reml=True)
    assert len(calls) == engine.factor.analyses <= 1


@pytest.mark.parametrize("kind", ["blocked", "sparse", "iterative", "dense"])
def test_a_factorization_takes_another_response(kind: Factorization) -> None:
    """Sharing what depends on the columns alone, it is the factorization built anew."""
    one = case("penicillin_missing_ml")
    design = build(one.formula, one.frame()).design
    control = Control(factorization=kind)
    engine = prepare(design, control)
    engine.objective(reml=True).value(np.array([1.2, 2.5]))
    Y = _some_responses(design, 8, count=1)
    responses = _reduced(design, engine, Y)
    shared = respond(engine, responses, 0, Y[:, 0] - responses.shift[0])
    anew = prepare(replace(design, y=Y[:, 0]), control)
    theta = np.array([1.0, 2.0])
    for reml in (True, False):
        one_objective, two_objective = shared.objective(reml=reml), anew.objective(reml=reml)
        assert one_objective.value(theta) == pytest.approx(two_objective.value(theta), abs=1e-6)
        for a, b in zip(one_objective.derivatives(), two_objective.derivatives(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_prepared_model_keeps_its_own_response() -> None:
    """Refits borrow the factorization; what was prepared gives the same value afterwards."""
    one = case("penicillin_reml")
    design = build(one.formula, one.frame()).design
    engine = prepare(design)
    theta = np.array([1.0, 2.0])
    before = engine.objective(reml=True).value(theta)
    refit_all(engine, _some_responses(design, 1), reml=True)
    assert engine.objective(reml=True).value(theta) == before


@pytest.mark.parametrize("name", ["penicillin_reml", "sleepstudy_slope_reml"])
def test_a_response_without_likelihood_is_reported(name: str) -> None:
    one = case(name)
    design = build(one.formula, one.frame()).design
    Y = _some_responses(design, 5, count=4)
    Y[:, 2] = 7.0
    found = refit_all(prepare(design), Y, reml=True)
    assert found.converged.tolist() == [True, True, False, True]
    assert np.isnan(found.criterion[2])
    assert np.isnan(found.theta[2]).all()
    assert np.isnan(found.beta[2]).all()
    assert np.isfinite(found.criterion[[0, 1, 3]]).all()


@given(designs(), st.booleans(), st.integers(0, 2**32 - 1))
def test_standard_errors_in_lockstep_are_those_of_single_fits(design: Design, reml: bool, seed: int) -> None:
    """Both from the exact Hessian; of nested terms by differences of gradients."""
    engine = prepare(design)
    assume(in_lockstep(engine))
    Y = _some_responses(design, seed, count=2)
    found = refit_all(engine, Y, reml=reml, offset=design.offset, errors=True)
    assert found.errors is not None
    for b in range(2):
        one = prepare(replace(design, y=Y[:, b]))
        record = estimate_prepared(one, reml=reml)
        interior = all(float(np.abs(np.diag(L)).min()) > 0.05 for L in record.Lambda)
        if not (found.converged[b] and record.convergence.converged and interior):
            continue
        if abs(record.criterion - found.criterion[b]) > 1e-6:  # another optimum
            continue
        joint = engine_blocks(one, record).expansion.joint
        size = np.sqrt(np.abs(np.diag(joint)))
        if np.linalg.eigvalsh(joint / np.outer(size, size))[0] < 1e-3:  # the data hardly tell the variances apart
            continue
        wanted = record_errors(one, record)
        for mine, theirs in zip(found.errors.terms, wanted.terms, strict=True):
            good = np.isfinite(mine[b]) & np.isfinite(theirs[0])
            np.testing.assert_allclose(mine[b][good], theirs[0][good], rtol=1e-2)
        if np.isfinite(wanted.sigma[0]):
            assert found.errors.sigma[b] == pytest.approx(wanted.sigma[0], rel=1e-2)


def test_the_standard_error_of_sigma_in_a_balanced_layout() -> None:
    """sigma^2 is a multiple of chi-square with n - J = 24 degrees of freedom: sigma / sqrt(2 df) to first order."""
    one = case("dyestuff_reml")
    design = build(one.formula, one.frame()).design
    record = estimate(design, reml=True)
    found = record_errors(prepare(design), record)
    assert found.sigma[0] == pytest.approx(record.sigma / np.sqrt(2.0 * 24.0), rel=1e-4)


def test_the_limit_on_steps_is_kept() -> None:
    design = _sleepstudy()
    found = refit_all(prepare(design), _some_responses(design, 2), reml=True, control=Control(max_iterations=1))
    assert (found.iterations <= 1).all()
    assert not found.converged.all()


@pytest.mark.parametrize("template", [Unstructured(3), Diagonal(3)])
def test_theta_is_read_back(template: Unstructured | Diagonal) -> None:
    rng = np.random.default_rng(3)
    for flipped in (False, True):
        entries = Entries([template], flipped=flipped)
        theta = rng.normal(size=(entries.size, 5))
        (L,) = entries.Lambdas(theta)
        (again,) = entries.Lambdas(entries.join([L]))
        S, T = (np.einsum("acb,dcb->adb", x, x) for x in (L, again))
        np.testing.assert_allclose(S, T, atol=1e-12)
        assert (np.einsum("aab->ab", again) >= 0).all()
        other = entries.turned()
        (turned,) = other.Lambdas(other.join([L]))
        np.testing.assert_allclose(np.einsum("acb,dcb->adb", turned, turned), S, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_algebra_of_stacks(k: int) -> None:
    rng = np.random.default_rng(k)
    A = rng.normal(size=(k, k + 2, 11, 3))
    M = multiply(A, A.swapaxes(0, 1))
    np.testing.assert_allclose(M, np.einsum("abij,cbij->acij", A, A), atol=1e-12)
    inverse, logdet = positive_inverse(M)
    stack = M.transpose(2, 3, 0, 1)
    np.testing.assert_allclose(inverse.transpose(2, 3, 0, 1), np.linalg.inv(stack), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(stack)[1], atol=1e-9)
    M[..., 4, 1] -= 100.0 * np.eye(k)
    with np.errstate(invalid="ignore", divide="ignore"):
        assert np.isnan(root(M).logdet[4, 1])
        assert np.isfinite(np.delete(root(M).logdet.ravel(), 13)).all()
        M[..., 5, 2] = np.ones((k, k))  # singular but for rounding
        assert np.isfinite(np.delete(root(M).logdet.ravel(), [13, 17])).all()


class _Quartic:
    """Sum of (theta_i^2 - 1)^2: a saddle at zero, minima at +-1."""

    n = 10
    exact = True

    def __init__(self, B: int):
        self.B = B

    def values(self, theta: Floats) -> _Values:
        return _Values(((theta**2 - 1.0) ** 2).sum(0), theta)

    def derivatives(self, state: _Values) -> tuple[Floats, Floats]:
        theta = state.theta
        curvature = 12.0 * theta**2 - 4.0
        return 4.0 * theta * (theta**2 - 1.0), curvature[:, None] * np.eye(len(theta))[:, :, None]

    def take(self, chosen: np.ndarray) -> _Quartic:
        return _Quartic(len(chosen))


class _Values:
    def __init__(self, value: Floats, theta: Floats):
        self.value, self.theta = value, theta

    def take(self, chosen: np.ndarray) -> _Values:
        return _Values(self.value[chosen], self.theta[:, chosen])


def test_search_leaves_a_saddle() -> None:
    start = np.array([[0.0, 0.3, 3.0, 1e-9], [0.0, -0.2, -5.0, 2.0]])
    found = minimize_all(_Quartic(4), start)
    assert found.converged.all()
    np.testing.assert_allclose(np.abs(found.theta), 1.0, atol=1e-4)
    np.testing.assert_allclose(found.value, 0.0, atol=1e-8)


@pytest.mark.parametrize("seed", [6, 7])
def test_slopes_of_no_variance_end_soon(seed: int) -> None:
    """Where the slope variance vanishes neither order of the effects serves all responses: the search turns back."""
    null = case("sleepstudy_intercept_ml")
    full = case("sleepstudy_slope_reml")
    smaller = build(null.formula, null.frame()).design
    larger = build(full.formula, full.frame()).design
    record = estimate(smaller, reml=False)
    rng = np.random.default_rng(seed)
    Y = draw_responses(smaller, record.beta, record.Lambda, record.sigma, 1000, rng)
    found = refit_all(prepare(larger), Y, reml=False)
    assert found.converged.all()
    assert found.iterations.max() <= 30
    for b in np.argsort(found.iterations)[-3:]:
        single = estimate(replace(larger, y=np.ascontiguousarray(Y[:, b])), reml=False)
        assert single.convergence.converged
        assert single.convergence.iterations <= 30
        assert found.criterion[b] == pytest.approx(single.criterion, abs=1e-7)
