"""Sparse Cholesky factors: right, of a pattern that never changes, whichever library computes them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import mixedpy
from mixedpy.core.factor import cholesky as module
from mixedpy.core.factor.cholesky import CholmodMissingError, SparseCholesky, analyze, backend_name
from mixedpy.core.factor.symbolic import symbolic_cholesky
from mixedpy.errors import MixedpyError, SparseFallbackWarning
from tests.core.sparse_matrices import BACKENDS, SHAPES, Lower, full, matrices

RTOL = 1e-10  # the matrices are well conditioned: rounding, amplified by at most a few hundred


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "cholmod" and backend_name() != "cholmod":
        pytest.skip("scikit-sparse is not installed")
    return request.param


def analyzed(lower: Lower, backend: str | None) -> SparseCholesky:
    return analyze(lower.indptr, lower.indices, lower.q, backend=backend)


def dense_lower(factor: SparseCholesky, values: np.ndarray) -> np.ndarray:
    return sp.csc_array((values, factor.L_indices, factor.L_indptr), shape=(factor.q, factor.q)).toarray()


def check_factor(factor: SparseCholesky, lower: Lower, values: np.ndarray | None = None) -> None:
    A = lower.dense(values)
    logdet = factor.update(lower.values if values is None else values)
    P = factor.permutation
    L = dense_lower(factor, factor.lower())
    np.testing.assert_allclose(logdet, np.linalg.slogdet(A)[1], rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(L @ L.T, A[np.ix_(P, P)], rtol=RTOL, atol=RTOL * np.abs(A).max())
    unit = dense_lower(factor, factor.unit_lower())
    pivots = unit.diagonal().copy()
    np.fill_diagonal(unit, 1.0)
    np.testing.assert_allclose((unit * pivots) @ unit.T, A[np.ix_(P, P)], rtol=RTOL, atol=RTOL * np.abs(A).max())
    B = np.random.default_rng(0).normal(size=(lower.q, 3))
    for right in (B, B[:, 0], np.asfortranarray(B)):
        np.testing.assert_allclose(A @ factor.solve(right), right, rtol=RTOL, atol=RTOL)


def elimination(lower: Lower, permutation: np.ndarray) -> np.ndarray:
    """The pattern of L by eliminating one column after the other."""
    pattern = lower.dense(np.ones(len(lower.values)))[np.ix_(permutation, permutation)] != 0
    for k in range(lower.q):
        below = np.flatnonzero(pattern[k + 1 :, k]) + k + 1
        pattern[np.ix_(below, below)] = True
    return np.tril(pattern)


@pytest.mark.parametrize("name", SHAPES)
def test_factor_of_every_shape(name, backend):
    factor = analyzed(SHAPES[name], backend)
    assert factor.backend == backend
    check_factor(factor, SHAPES[name])


@settings(max_examples=60, deadline=None)
@given(lower=matrices())
def test_factor_of_random_matrices(lower):
    for backend in {backend_name(), "superlu"}:
        check_factor(analyzed(lower, backend), lower)


@settings(max_examples=80, deadline=None)
@given(lower=matrices(), seed=st.integers(0, 2**32 - 1))
def test_symbolic_pattern_is_that_of_elimination(lower, seed):
    wanted = np.random.default_rng(seed).permutation(lower.q)
    symbolic = symbolic_cholesky(lower.indptr, lower.indices, wanted)
    assert sorted(symbolic.permutation) == list(range(lower.q))
    pattern = elimination(lower, symbolic.permutation)
    assert elimination(lower, wanted).sum() == symbolic.nnz  # postordering leaves the fill as it is
    np.testing.assert_array_equal(symbolic.counts, pattern.sum(0))
    columns, rows = np.nonzero(pattern.T)
    np.testing.assert_array_equal(symbolic.indices(), rows)
    np.testing.assert_array_equal(np.repeat(np.arange(lower.q), symbolic.counts), columns)
    parents = [rows[columns == j][1] if symbolic.counts[j] > 1 else -1 for j in range(lower.q)]
    np.testing.assert_array_equal(symbolic.parent, parents)


@pytest.mark.parametrize("name", SHAPES)
def test_fill_is_known_before_any_arithmetic(name, backend):
    lower = SHAPES[name]
    factor = analyzed(lower, backend)
    counts = elimination(lower, factor.permutation).sum(0)
    assert factor.nnz == counts.sum() == factor.L_indptr[-1]
    assert factor.flops == (counts.astype(float) ** 2).sum()
    assert factor.L_indices.dtype == factor.L_indptr.dtype == np.int32


def test_ordering_limits_the_fill(backend):
    arrow = SHAPES["arrow"]
    assert analyzed(arrow, backend).nnz == len(arrow.values)


def test_pattern_does_not_depend_on_the_values(backend):
    lower = SHAPES["random"]
    factor = analyzed(lower, backend)
    factor.update(lower.values)
    first = factor.lower()
    off = lower.indices != lower.columns
    rng = np.random.default_rng(1)
    vanishing = np.where(off, 0.0, rng.uniform(1, 2, len(off)))
    partly = np.where(off & (rng.random(len(off)) < 0.5), 0.0, lower.values)
    for values in (vanishing, partly, 3 * lower.values):
        check_factor(factor, lower, values)
        assert factor.lower().shape == (factor.nnz,)
    factor.update(lower.values)
    np.testing.assert_array_equal(factor.lower(), first)


def test_results_are_copies(backend):
    lower = SHAPES["banded"]
    factor = analyzed(lower, backend)
    factor.update(lower.values)
    kept = factor.lower(), factor.unit_lower(), factor.solve(np.ones(lower.q))
    before = [x.copy() for x in kept]
    factor.unit_lower()[:] = np.nan
    factor.update(7 * lower.values)
    for x, y in zip(kept, before, strict=True):
        np.testing.assert_array_equal(x, y)
    check_factor(factor, lower)


def test_values_are_left_as_they_are(backend):
    lower = SHAPES["grid"]
    values = lower.values.copy()
    values.flags.writeable = False
    analyzed(lower, backend).update(values)
    np.testing.assert_array_equal(values, lower.values)


def test_the_pattern_is_analysed_once(backend, monkeypatch):
    calls = []

    def counted(owner, name):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: calls.append(name) or original(*a, **k))

    counted(module, "symbolic_cholesky")
    if backend == "superlu":
        counted(module, "spilu")
    else:
        cholmod = pytest.importorskip("sksparse.cholmod")
        counted(cholmod, "CholeskyFactor" if hasattr(cholmod, "CholeskyFactor") else "analyze")
    lower = SHAPES["grid"]
    factor = analyzed(lower, backend)
    for scale in (1.0, 2.0, 3.0):
        factor.update(scale * lower.values)
        factor.lower()
        factor.solve(np.ones(lower.q))
    assert factor.analyses == 1
    assert len(calls) == 2


def broken(lower: Lower) -> dict[str, np.ndarray]:
    at = lower.indices == lower.columns
    indefinite = lower.values.copy()
    indefinite[~at] *= 50.0
    last = lower.values.copy()
    last[-1] = -1.0
    zero = lower.values.copy()
    zero[at] = 0.0
    missing = lower.values.copy()
    missing[len(missing) // 2] = np.nan
    infinite = lower.values.copy()
    infinite[0] = np.inf
    return {
        "negative": -lower.values, "indefinite": indefinite, "one negative pivot": last, "zero diagonal": zero,
        "all zero": 0 * lower.values, "nan": missing, "inf": infinite,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["random", "full", "banded", "arrow"])
@pytest.mark.parametrize("fault", broken(full(3)))
def test_matrices_that_are_not_positive_definite(name, fault, backend):
    lower = SHAPES[name]
    factor = analyzed(lower, backend)
    factor.update(lower.values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
            factor.update(broken(lower)[fault])
    with pytest.raises(ValueError, match="call update"):
        factor.solve(np.ones(lower.q))
    check_factor(factor, lower)


@pytest.mark.parametrize("q", [2, 3, 30])
def test_a_pivot_that_vanishes(q, backend):
    lower = full(q)
    factor = analyzed(lower, backend)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        factor.update(np.ones(len(lower.values)))
    check_factor(factor, lower)


def test_nearly_singular_matrices_are_solved_without_a_word(backend):
    lower = SHAPES["diagonal"]
    values = np.geomspace(1e-20, 1e20, lower.q)
    factor = analyzed(lower, backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(factor.update(values), np.log(values).sum(), atol=1e-10)
        np.testing.assert_allclose(factor.solve(values), 1.0, rtol=1e-12)


def test_solving_for_nothing_and_for_too_much(backend):
    lower = SHAPES["two"]
    factor = analyzed(lower, backend)
    with pytest.raises(ValueError, match="call update"):
        factor.solve(np.ones(2))
    with pytest.raises(ValueError, match="call update"):
        factor.lower()
    factor.update(lower.values)
    assert factor.solve(np.empty((2, 0))).shape == (2, 0)
    with pytest.raises(ValueError, match=r"\(3,\); it needs 2 rows"):
        factor.solve(np.ones(3))
    with pytest.raises(ValueError, match="the pattern has 3 entries"):
        factor.update(np.ones(4))


@pytest.mark.parametrize(
    ("indptr", "indices", "message"),
    [
        ([0, 1, 2], [0, 1, 2], "each hold their diagonal"),
        ([0, 2, 2, 3], [0, 1, 2], "each hold their diagonal"),
        ([0, 1, 3, 4], [0, 0, 1, 2], "begin with its diagonal"),
        ([0, 3, 4, 5], [0, 2, 1, 1, 2], "sorted"),
        ([0, 3, 4, 5], [0, 1, 1, 1, 2], "sorted"),
        ([0, 2, 3, 4], [0, 3, 1, 2], "below 3"),
    ],
)
def test_patterns_that_are_none(indptr, indices, message, backend):
    with pytest.raises(ValueError, match=message):
        analyze(np.array(indptr), np.array(indices), 3, backend=backend)


def test_an_unknown_backend_names_the_known_ones():
    with pytest.raises(ValueError, match="'cholmod', 'superlu'"):
        analyze(np.array([0, 1]), np.array([0]), 1, backend="pardiso")  # type: ignore[arg-type]


@pytest.fixture
def no_cholmod(monkeypatch):
    monkeypatch.setitem(sys.modules, "sksparse.cholmod", None)
    monkeypatch.setattr(module, "_fallback_told", False)


@pytest.mark.usefixtures("no_cholmod")
def test_superlu_stands_in_and_says_so_once():
    lower = SHAPES["grid"]
    assert backend_name() == "superlu"
    with pytest.warns(SparseFallbackWarning, match=r'pip install "mixedpy\[cholmod\]"'):
        factor = analyzed(lower, None)
    assert factor.backend == "superlu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_factor(analyzed(lower, None), lower)


@pytest.mark.usefixtures("no_cholmod")
def test_asking_for_superlu_is_no_fallback():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analyzed(SHAPES["two"], "superlu")


@pytest.mark.usefixtures("no_cholmod")
def test_asking_for_cholmod_in_vain():
    with pytest.raises(CholmodMissingError, match="pip install") as caught:
        analyzed(SHAPES["two"], "cholmod")
    assert isinstance(caught.value, MixedpyError)
    assert isinstance(caught.value, ImportError)


def test_default_is_cholmod_where_it_can_be_imported():
    pytest.importorskip("sksparse.cholmod")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert analyzed(SHAPES["two"], None).backend == "cholmod"


def test_scikit_sparse_is_imported_by_this_module_alone_and_only_when_needed():
    package = Path(mixedpy.__file__).parent
    assert [p.name for p in package.rglob("*.py") if "sksparse" in p.read_text()] == ["cholesky.py"]
    code = "import sys, mixedpy.core.factor.cholesky; sys.exit('sksparse' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=package.parent, check=False).returncode == 0
