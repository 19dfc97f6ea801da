"""Whether columns are linear combinations of others, and how one random part lies in another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixedpy.inference.nesting import in_span


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    p=st.integers(1, 5),
    size=st.floats(-8.0, 8.0),
    shift=st.sampled_from([0.0, 1.0, 1e4]),
    doubled=st.booleans(),
)
def test_combinations_are_inside_and_others_are_not(
    seed: int, p: int, size: float, shift: float, doubled: bool
) -> None:
    """Whatever the scale of the columns, and with columns that depend on one another in the basis."""
    rng = np.random.default_rng(seed)
    n = 40
    basis = [np.ones(n), *(10.0**size * (rng.normal(size=(p, n)) + shift))]
    combination = sum(w * b for w, b in zip(rng.normal(size=p + 1), basis, strict=True))
    stranger = rng.normal(size=n) + shift
    nearly = combination.copy()
    nearly[3] += 0.1 * combination.std()
    if doubled:
        basis.append(basis[0] - basis[-1])
    assert in_span([combination, basis[1].copy(), stranger, nearly], basis) == [True, True, False, False]


def test_a_predictor_far_from_zero_that_changed_in_one_row() -> None:
    year = np.tile(np.arange(2000.0, 2010.0), 20)
    changed = year.copy()
    changed[5] += 1.0
    assert in_span([year, changed, 3.0 * year - 7.0], [np.ones(200), year]) == [True, False, True]


@pytest.mark.parametrize("basis", [[], [np.zeros(5)]])
def test_nothing_lies_in_the_span_of_nothing(basis: list[np.ndarray]) -> None:
    assert in_span([np.arange(5.0), np.zeros(5)], basis) == [False, True]
