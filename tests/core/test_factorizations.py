"""Identities: blocked = sparse = dense, and derivatives against central differences, over random designs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mixedpy.core.arrays import Design
from mixedpy.core.control import Factorization
from mixedpy.core.crossproducts import cross_products
from mixedpy.core.factor import choose, pairs
from mixedpy.core.factor.choose import choose_factor
from mixedpy.core.factor.entries import cross_entries
from mixedpy.core.factor.schur import Schur
from mixedpy.core.factor.storage import DenseStorage
from tests.core.designs import crossed, designs, objective, parameters_of, permuted, some_theta

KINDS: tuple[Factorization, ...] = ("blocked", "sparse", "auto")

# what is compared is linear algebra alone; the deviances are of the order of 100
DEVIANCE_ATOL = 1e-9
GRADIENT_RTOL = 1e-6  # central differences lose half of the digits
SAME_RTOL = 1e-8

seeds = st.integers(0, 2**32 - 1)


def _close(actual: np.ndarray, wanted: np.ndarray, rtol: float = SAME_RTOL) -> None:
    scale = max(float(np.abs(wanted).max()), 1e-3)
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=rtol * scale)


@given(designs(), seeds, st.booleans(), st.sampled_from(KINDS))
def test_deviance_equals_the_dense_oracle(design: Design, seed: int, reml: bool, kind: Factorization) -> None:
    cp = cross_products(design)
    theta = some_theta(parameters_of(design, cp), seed)
    ours = objective(design, choose_factor(design, cp, kind), cp, reml=reml)
    oracle = objective(design, choose_factor(design, cp, "dense"), cp, reml=reml)
    assert abs(ours.value(theta) - oracle.value(theta)) < DEVIANCE_ATOL


@given(designs(), seeds, st.booleans(), st.sampled_from(KINDS))
def test_derivatives_equal_the_dense_oracle(design: Design, seed: int, reml: bool, kind: Factorization) -> None:
    cp = cross_products(design)
    theta = some_theta(parameters_of(design, cp), seed)
    found = []
    for which in (kind, "dense"):
        deviance = objective(design, choose_factor(design, cp, which), cp, reml=reml)
        deviance.value(theta)
        found.append(deviance.derivatives())
    _close(found[0][0], found[1][0])
    _close(found[0][1], found[1][1])


@given(designs(), seeds, st.booleans(), st.sampled_from(KINDS))
def test_gradient_equals_central_differences(design: Design, seed: int, reml: bool, kind: Factorization) -> None:
    cp = cross_products(design)
    theta = some_theta(parameters_of(design, cp), seed)
    deviance = objective(design, choose_factor(design, cp, kind), cp, reml=reml)
    deviance.value(theta)
    gradient, _ = deviance.derivatives()
    h = 1e-5
    steps = h * np.eye(len(theta))
    differences = np.array([(deviance.value(theta + s) - deviance.value(theta - s)) / (2 * h) for s in steps])
    _close(gradient, differences, GRADIENT_RTOL)


@given(designs(), st.booleans(), st.sampled_from(KINDS))
def test_theta_of_zero_is_an_ordinary_stationary_point(design: Design, reml: bool, kind: Factorization) -> None:
    cp = cross_products(design)
    theta = np.zeros(parameters_of(design, cp).size)
    ours = objective(design, choose_factor(design, cp, kind), cp, reml=reml)
    oracle = objective(design, choose_factor(design, cp, "dense"), cp, reml=reml)
    assert abs(ours.value(theta) - oracle.value(theta)) < DEVIANCE_ATOL
    gradient, hessian = ours.derivatives()
    # trailing terms are evaluated at Lambda = 1e-7, where differences lose 14 digits against Lambda^2: enough is left
    # for the optimizer to see the sign and size of the curvature
    assert np.abs(gradient).max() < 1e-6 * np.abs(hessian).max()
    _close(hessian, oracle.derivatives()[1], 2e-2)


@given(designs(), seeds, st.sampled_from(KINDS))
def test_modes_and_conditional_covariances_equal_the_dense_oracle(
    design: Design, seed: int, kind: Factorization
) -> None:
    cp = cross_products(design)
    theta = some_theta(parameters_of(design, cp), seed)
    found = []
    for which in (kind, "dense"):
        factor = choose_factor(design, cp, which)
        deviance = objective(design, factor, cp, reml=True)
        deviance.value(theta)
        assert deviance.profiled is not None
        found.append((factor.modes(deviance.profiled.c), factor.conditional_covariance()))
    for ours, oracle in zip(*found, strict=True):
        for a, b in zip(ours, oracle, strict=True):
            _close(a, b)


@given(designs(), seeds, seeds)
def test_row_order_does_not_matter(design: Design, seed: int, order: int) -> None:
    cp = cross_products(design)
    theta = some_theta(parameters_of(design, cp), seed)
    shuffled = permuted(design, np.random.default_rng(order).permutation(design.n))
    other = cross_products(shuffled)
    one = objective(design, choose_factor(design, cp, "auto"), cp, reml=True).value(theta)
    two = objective(shuffled, choose_factor(shuffled, other, "auto"), other, reml=True).value(theta)
    assert abs(one - two) < DEVIANCE_ATOL


@given(designs(nested=False), seeds, st.integers(0, 8))
def test_heavy_levels_change_nothing(design: Design, seed: int, threshold: int) -> None:
    assume(crossed(design))
    cp = cross_products(design)
    theta = some_theta(parameters_of(design, cp), seed)
    entries = cross_entries(cp)
    heavy = np.diff(entries.pointer) > threshold
    ours = Schur(cp, entries, DenseStorage(entries.trailing), heavy)
    found = []
    for factor in (ours, choose_factor(design, cp, "dense")):
        deviance = objective(design, factor, cp, reml=True)
        value = deviance.value(theta)
        gradient, hessian = deviance.derivatives()
        deviance.value(theta)
        found.append((np.array([value]), gradient, hessian, *factor.conditional_covariance()))
    for a, b in zip(*found, strict=True):
        _close(a, b)


def test_pairs_are_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    pointer = np.array([0, 4, 4, 9, 10])
    columns = np.array([0, 2, 3, 7, 0, 1, 2, 5, 6, 4], np.int32)
    values = rng.normal(size=(2, 10))
    use = np.array([True, True, True, False])

    def build() -> pairs.LevelPairs:
        return pairs.LevelPairs(pointer, columns, values, use, lambda r, c: r + 8 * c, 64)

    whole = build()
    monkeypatch.setattr(pairs, "_CHUNK", 3)
    parts = build()
    np.testing.assert_array_equal(whole.compressed.position, parts.compressed.position)
    for a, b in zip(whole.values, parts.values, strict=True):
        np.testing.assert_array_equal(a, b)


def test_choice_goes_by_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units that share no staff keep the Schur complement sparse; mixing them at random fills it."""
    monkeypatch.setattr(choose, "_SMALLEST_SPARSE", 50)
    monkeypatch.setattr(choose, "_SPARSE_OVERHEAD", 0.0)
    assert choose_factor(*_hospital(mixed=False), "auto").name == "schur-sparse"
    assert choose_factor(*_hospital(mixed=True), "auto").name == "schur-dense"


def test_symbolic_analysis_is_made_once() -> None:
    design, cp = _hospital(mixed=False)
    factor = choose_factor(design, cp, "sparse")
    deviance = objective(design, factor, cp, reml=True)
    for scale in (0.5, 1.0, 2.0):
        deviance.value(np.full(3, scale))
        deviance.derivatives()
    assert factor.analyses == 1


def _hospital(*, mixed: bool) -> tuple[Design, object]:
    from mixedpy.core.arrays import RandomTerm
    from mixedpy.core.covariance import Unstructured

    rng = np.random.default_rng(8)
    n_patients, n_staff, n_units, visits = 400, 200, 40, 4
    patient = np.repeat(np.arange(n_patients), visits)
    unit = (patient % n_units) if not mixed else rng.integers(0, n_units, len(patient))
    staff = unit + n_units * rng.integers(0, n_staff // n_units, len(patient))
    if mixed:
        staff = rng.integers(0, n_staff, len(patient))
    x = rng.normal(size=len(patient))
    # a unit effect on x as well as staff and patient intercepts
    codes = (patient, staff, unit)
    terms = tuple(
        RandomTerm(np.unique(c, return_inverse=True)[1].astype(np.intp), len(np.unique(c)), (0,), Unstructured(1))
        for c in codes
    )
    design = Design(x + rng.normal(size=len(x)), (np.ones(len(x)), x), (0, 1), terms)
    return design, cross_products(design)
