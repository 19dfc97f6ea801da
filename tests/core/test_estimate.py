"""The whole path from a design to a fit record: optimum, counts, boundaries, conditioning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixedpy.core.arrays import Design, RandomTerm
from mixedpy.core.conditional import conditional_covariance
from mixedpy.core.control import Control, Factorization
from mixedpy.core.covariance import Diagonal, Unstructured
from mixedpy.core.estimate import estimate, prepare
from mixedpy.core.record import FitRecord, Status
from mixedpy.design import build
from tests.cases import CASES, Case, case
from tests.core.designs import designs
from tests.tolerances import CRITERION_EXCESS_ATOL, FIXED_THETA_RTOL

MOST_FACTORIZATIONS = 12

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.errors.RankDeficiencyWarning")


def _design(one: Case) -> tuple[Design, bool]:
    options = one.options()
    reml = options.pop("reml")
    return build(one.formula, one.frame(), **options).design, reml


def _fit(name: str, **options: object) -> FitRecord:
    design, reml = _design(case(name))
    return estimate(design, reml=reml, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("one", CASES, ids=lambda c: c.name)
def test_optimum_and_number_of_factorizations(one: Case) -> None:
    design, reml = _design(one)
    record = estimate(design, reml=reml)
    assert record.criterion < one.criterion + CRITERION_EXCESS_ATOL
    assert record.convergence.status is Status.CONVERGED
    assert record.convergence.evaluations <= MOST_FACTORIZATIONS
    assert record.convergence.symbolic_analyses == (record.convergence.factorization == "schur-sparse")
    assert record.convergence.decrement < 1e-8


@pytest.mark.parametrize("one", CASES, ids=lambda c: c.name)
def test_deviance_at_a_fixed_theta(one: Case) -> None:
    design, reml = _design(one)
    engine = prepare(design)
    for at in (one.at_fixed_theta, one.at_start):
        value = engine.objective(reml=reml).value(engine.inward(at.theta))
        value += 2 * engine.conditioned.log_scale if reml else 0.0
        assert value == pytest.approx(at.criterion, rel=FIXED_THETA_RTOL)


@pytest.mark.parametrize("kind", ["blocked", "sparse", "dense"])
@pytest.mark.parametrize("name", ["penicillin_reml", "pastes_nested", "verbagg_factor_slope", "sleepstudy_slope_ml"])
def test_every_factorization_finds_the_same_fit(name: str, kind: Factorization) -> None:
    if kind == "dense" and name.startswith("verbagg"):
        pytest.skip("7,584 rows are too many for the dense oracle")
    wanted, found = _fit(name), _fit(name, control=Control(factorization=kind))
    assert found.criterion == pytest.approx(wanted.criterion, abs=1e-8)
    np.testing.assert_allclose(found.theta, wanted.theta, atol=1e-4)
    for a, b in zip(found.modes, wanted.modes, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4 * max(1.0, float(np.abs(b).max())))


@pytest.mark.parametrize("name", ["sleepstudy_slope_reml", "penicillin_ml", "pastes_nested", "cake_slope"])
def test_start_does_not_matter(name: str) -> None:
    wanted = _fit(name)
    found = _fit(name, start=np.full(len(wanted.theta), 1.0))
    assert found.criterion == pytest.approx(wanted.criterion, abs=1e-7)
    np.testing.assert_allclose(found.convergence.start, 1.0, rtol=1e-9)


def test_a_start_at_zero_escapes() -> None:
    """theta = 0 is a stationary point; negative curvature shows the way out."""
    wanted = _fit("penicillin_reml")
    found = _fit("penicillin_reml", start=np.zeros(2))
    assert found.criterion == pytest.approx(wanted.criterion, abs=1e-7)


def test_a_variance_of_zero_is_exactly_zero() -> None:
    for name in ("dyestuff2_reml", "dyestuff2_ml", "cbpp_no_intercept_ml"):
        record = _fit(name)
        assert record.theta.tolist() == [0.0]
        assert not record.modes[0].any()


def test_iteration_limit_is_reported() -> None:
    record = _fit("sleepstudy_no_intercept", control=Control(max_iterations=2))
    assert record.convergence.status is Status.ITERATION_LIMIT
    assert not record.convergence.converged


@given(st.floats(-1e4, 1e4), st.sampled_from([1e-4, 1.0, 1e3]), st.booleans())
def test_shift_and_scale_of_a_covariate(shift: float, scale: float, reml: bool) -> None:
    design, _ = _design(case("sleepstudy_slope_reml"))
    days = design.columns[1]
    moved = replace(design, columns=(design.columns[0], days * scale + shift))
    one, two = estimate(design, reml=reml), estimate(moved, reml=reml)
    jacobian = 2.0 * np.log(scale) if reml else 0.0  # log|X'V^-1X| moves with the columns
    assert two.criterion == pytest.approx(one.criterion + jacobian, abs=1e-6)
    assert two.beta[1] * scale == pytest.approx(one.beta[1], rel=1e-6)
    assert two.sigma == pytest.approx(one.sigma, rel=1e-5)
    slope = float(np.linalg.norm(one.Lambda[0][1]))
    assert float(np.linalg.norm(two.Lambda[0][1])) * scale == pytest.approx(slope, rel=1e-3)


@given(st.floats(-1e6, 1e6), st.sampled_from([1e-6, 1.0, 1e6]))
def test_shift_and_scale_of_the_response(shift: float, scale: float) -> None:
    design, _ = _design(case("sleepstudy_slope_ml"))
    moved = replace(design, y=(design.y + shift) * scale)
    one, two = estimate(design, reml=False), estimate(moved, reml=False)
    assert two.criterion == pytest.approx(one.criterion + 2.0 * design.n * np.log(scale), abs=1e-5)
    np.testing.assert_allclose(two.theta, one.theta, atol=2e-4)
    assert two.beta[0] / scale - shift == pytest.approx(one.beta[0], rel=1e-6)


@given(designs(max_terms=2), st.booleans())
def test_no_direction_leads_down(design: Design, reml: bool) -> None:
    """At a converged fit no random nearby theta has a lower criterion."""
    record = estimate(design, reml=reml)
    if not record.convergence.converged:
        return
    engine = prepare(design)
    objective = engine.objective(reml=reml)
    constant = 2.0 * engine.conditioned.log_scale if reml else 0.0
    here = engine.inward(record.theta)
    rng = np.random.default_rng(0)
    for size in (1e-3, 1e-1, 1.0):
        for _ in range(4):
            there = objective.value(here + size * rng.normal(size=len(here))) + constant
            assert there > record.criterion - 1e-6


@given(designs(max_terms=2, weighted=False), st.integers(0, 2**32 - 1))
def test_weights_are_replication_for_the_fixed_effects(design: Design, seed: int) -> None:
    """At a fixed theta a weight of two is two copies of the row: the same beta from half the rows."""
    rng = np.random.default_rng(seed)
    copies = rng.integers(1, 4, design.n)
    rows = np.repeat(np.arange(design.n), copies)
    weighted = replace(design, weights=copies.astype(float))
    repeated = replace(
        design,
        y=design.y[rows],
        columns=tuple(c[rows] for c in design.columns),
        terms=tuple(replace(t, codes=t.codes[rows]) for t in design.terms),
        offset=None if design.offset is None else design.offset[rows],
    )
    betas = []
    for one in (weighted, repeated):
        engine = prepare(one)
        objective = engine.objective(reml=False)
        objective.value(engine.inward(np.full(sum(t.template.size for t in one.terms), 0.6)))
        assert objective.profiled is not None
        betas.append(engine.conditioned.beta(objective.profiled.beta))
    np.testing.assert_allclose(betas[0], betas[1], rtol=1e-8, atol=1e-9)


def test_conditional_covariance_does_not_depend_on_the_factorization() -> None:
    design, reml = _design(case("penicillin_missing_ml"))
    record = estimate(design, reml=reml)
    dense = conditional_covariance(design, record, Control(factorization="dense"))
    for kind in ("blocked", "sparse"):
        for a, b in zip(conditional_covariance(design, record, Control(factorization=kind)), dense, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_cost_is_free_of_the_number_of_rows_after_one_pass() -> None:
    """The engine keeps no row-length array but the columns it was given."""
    design, _ = _design(case("sleepstudy_slope_reml"))
    engine = prepare(design)
    cp = engine.cross_products
    held = [cp.fixed, *cp.own, *cp.right, *(b.values for b in cp.cross.values())]
    assert all(design.n not in array.shape for array in held)


def test_flipped_parameters_are_the_same_covariance() -> None:
    rng = np.random.default_rng(2)
    for m in (1, 2, 4):
        L = np.tril(rng.normal(size=(m, m)))
        for template in (Unstructured(m), Unstructured(m, flipped=True)):
            again = template.Lambda(template.parameters(L))
            np.testing.assert_allclose(again @ again.T, L @ L.T, atol=1e-12)
            assert (np.diag(again) >= 0).all()


def test_templates_jacobians_are_derivatives() -> None:
    rng = np.random.default_rng(4)
    for template in (Unstructured(3), Unstructured(3, flipped=True), Diagonal(3)):
        theta, step = rng.normal(size=template.size), 1e-6
        for k, D in enumerate(template.jacobian(theta)):
            e = step * np.eye(template.size)[k]
            difference = (template.Lambda(theta + e) - template.Lambda(theta - e)) / (2 * step)
            np.testing.assert_allclose(D, difference, atol=1e-9)


def test_a_term_is_frozen() -> None:
    term = RandomTerm(np.zeros(3, np.intp), 1, (0,), Unstructured(1))
    with pytest.raises(AttributeError):
        term.n_levels = 2  # type: ignore[misc]
