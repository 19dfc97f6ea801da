"""The level-wise kernel against solving each level by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixedpy.core import levelwise
from mixedpy.core.levelwise import level_kernel, posterior


def _problem(seed: int, m: int, c: int, J: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(J, 2 * m, m))
    A = np.matmul(half.transpose(0, 2, 1), half).transpose(1, 2, 0)
    stack = np.concatenate([A, rng.normal(size=(m, c, J))], axis=1)
    return stack, np.tril(rng.normal(size=(m, m)))


def _check(stack: np.ndarray, Lambda: np.ndarray) -> None:
    m, _, J = stack.shape
    Sigma = Lambda @ Lambda.T
    done = level_kernel(stack).eliminate(Sigma, Lambda)
    logdet = 0.0
    for j in range(J):
        whole = np.eye(m) + stack[:, :m, j] @ Sigma
        solved = np.linalg.solve(whole, stack[:, :, j])
        np.testing.assert_allclose(done.K[:, :, j], solved[:, :m], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(done.Y[:, :, j], solved[:, m:], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(posterior(Sigma, done.K)[:, :, j], Sigma @ np.linalg.inv(whole), atol=1e-8)
        logdet += np.linalg.slogdet(whole)[1]
    assert done.logdet == pytest.approx(logdet, rel=1e-10)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(0, 4), st.integers(1, 12))
def test_kernel_solves_every_level(seed: int, m: int, c: int, J: int) -> None:
    _check(*_problem(seed, m, c, J))


@pytest.mark.parametrize("m", [3, 4])
def test_unrolled_kernel_in_chunks(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levelwise, "_BATCHED", 0)
    monkeypatch.setattr(levelwise, "_CHUNK", 4)
    _check(*_problem(5, m, 3, 11))


@pytest.mark.parametrize("m", [1, 2, 3])
def test_a_covariance_of_zero_is_an_ordinary_point(m: int) -> None:
    stack, _ = _problem(1, m, 2, 6)
    zero = np.zeros((m, m))
    done = level_kernel(stack).eliminate(zero, zero)
    np.testing.assert_allclose(done.K, stack[:, :m])
    assert done.logdet == 0.0
