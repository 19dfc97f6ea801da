"""Entries of the inverse on the pattern, in every regime of the recursion, against the inverse itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixedpy.core.factor import selected_inverse as module
from mixedpy.core.factor.cholesky import analyze, backend_name
from mixedpy.core.factor.selected_inverse import SelectedInverse
from tests.core.sparse_matrices import BACKENDS, SHAPES, Lower, arrow, grid, matrices, random_matrix

RTOL = 1e-10  # the matrices are well conditioned: rounding, amplified by at most a few hundred

# Costs under which the planner prefers one regime; the results must not depend on them.
REGIMES = {
    "as planned": {},
    "levels": {"_PER_BLOCK": 1e9},
    "blocks": {"_PER_PAIR": 1e9, "_PER_BLOCK": 0.0, "_PER_ENTRY": 1.0, "_PER_FLOP": 0.0, "_PER_LEVEL": 0.0},
    "tail": {"_PER_PAIR": 1e9, "_PER_BLOCK": 1.0, "_PER_ENTRY": 0.0, "_PER_FLOP": 0.0},
    "mixed": {"_PER_PAIR": 2e-8, "_PER_BLOCK": 1e-6, "_PER_ENTRY": 3e-9, "_PER_LEVEL": 1e-7},
    "few pairs": {"_PER_BLOCK": 1e9, "_MOST_PAIRS": 60},
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "cholmod" and backend_name() != "cholmod":
        pytest.skip("scikit-sparse is not installed")
    return request.param


def plan(regime: str, patch: pytest.MonkeyPatch) -> None:
    for name, value in REGIMES[regime].items():
        patch.setattr(module, name, value)


def check_inverse(lower: Lower, backend: str, scales: tuple[float, ...] = (1.0,)) -> SelectedInverse:
    factor = analyze(lower.indptr, lower.indices, lower.q, backend=backend)
    inverse = SelectedInverse(factor)
    for scale in scales:
        values = lower.values.copy()
        values[lower.indices == lower.columns] *= scale
        factor.update(values)
        wanted = np.linalg.inv(lower.dense(values))
        np.testing.assert_allclose(
            inverse.compute(), wanted[lower.indices, lower.columns], rtol=RTOL, atol=RTOL * np.abs(wanted).max()
        )
    return inverse


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("name", SHAPES)
def test_inverse_of_every_shape_in_every_regime(name, regime, backend, monkeypatch):
    plan(regime, monkeypatch)
    check_inverse(SHAPES[name], backend, (1.0, 2.0, 1.0))


@settings(max_examples=60, deadline=None)
@given(lower=matrices(), regime=st.sampled_from(sorted(REGIMES)))
def test_inverse_of_random_matrices(lower, regime):
    for backend in {backend_name(), "superlu"}:
        with pytest.MonkeyPatch.context() as patch:
            plan(regime, patch)
            check_inverse(lower, backend)


def test_regimes_are_what_they_are_called(backend, monkeypatch):
    used = {}
    for regime in REGIMES:
        with monkeypatch.context() as patch:
            plan(regime, patch)
            found = check_inverse(grid(18), backend)
        used[regime] = (len(found._levels) > 0, len(found._blocks) > 0, found._tail_size > 0)
    assert used["levels"] == (True, False, False)
    assert used["blocks"][1]
    assert used["tail"] == (False, False, True)
    assert used["mixed"] == (True, True, True)
    assert used["few pairs"][1]


def test_large_designs_use_all_regimes_on_their_own(backend):
    lower = random_matrix(1500, 2600, 2)
    found = check_inverse(lower, backend)
    assert found._levels
    assert found._tail_size


def test_numbers_of_columns_whose_square_would_not_fit_into_memory(backend):
    lower = arrow(20_000, 3, 2)
    factor = analyze(lower.indptr, lower.indices, lower.q, backend=backend)
    inverse = SelectedInverse(factor)
    factor.update(lower.values)
    entries = inverse.compute()
    some = np.arange(0, lower.q, 7919)
    unit = np.zeros((lower.q, len(some)))
    unit[some, np.arange(len(some))] = 1.0
    columns = factor.solve(unit)
    for k, j in enumerate(some):
        share = slice(lower.indptr[j], lower.indptr[j + 1])
        np.testing.assert_allclose(entries[share], columns[lower.indices[share], k], rtol=1e-8, atol=1e-12)


def test_inverse_needs_a_factor():
    lower = SHAPES["two"]
    inverse = SelectedInverse(analyze(lower.indptr, lower.indices, lower.q, backend="superlu"))
    with pytest.raises(ValueError, match="call update"):
        inverse.compute()
