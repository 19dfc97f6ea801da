"""The iterative factorization: exact where the probes span, smooth in theta, right within its stated error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.linalg import hadamard

from mixedpy.core.arrays import Design, Floats, RandomTerm
from mixedpy.core.conditional import conditional_covariance
from mixedpy.core.control import Control
from mixedpy.core.covariance import Unstructured
from mixedpy.core.crossproducts import CrossProducts, cross_products
from mixedpy.core.estimate import estimate
from mixedpy.core.factor import choose
from mixedpy.core.factor.choose import Cost, blocked_cost, choose_factor
from mixedpy.core.factor.trailing import Trailing
from mixedpy.core.iterative import deflation, system
from mixedpy.core.iterative import threads as parallel
from mixedpy.core.iterative.blocks import LevelBlocks
from mixedpy.core.iterative.conjugate import conjugate_gradients
from mixedpy.core.iterative.factor import Iterative, few_columns
from mixedpy.core.iterative.quadrature import lanczos_logarithms
from mixedpy.core.iterative.threads import SplitMatrix, available_threads
from mixedpy.core.record import Status
from mixedpy.errors import MixedpyError
from tests.core.designs import crossed, designs, objective, parameters_of, some_theta

# conjugate gradients stopped at 1e-12 stand for a direct solution
TIGHT = 1e-12
DEVIANCE_ATOL = 1e-8
SAME_RTOL = 1e-7

seeds = st.integers(0, 2**31)
fews = st.sampled_from([0, 1, 6, 100])


def _close(actual: Floats, wanted: Floats, rtol: float = SAME_RTOL) -> None:
    scale = max(float(np.abs(wanted).max()), 0.1)
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=rtol * scale)


def _spanning(q: int) -> Floats:
    """Probes of signs with mean z z' = I, for which the mean of z'f(A) z is the trace."""
    return hadamard(1 << max(q - 1, 1).bit_length())[:q].astype(float)


def _order(cp: CrossProducts, few: int) -> int:
    cut = cp.k - len(few_columns(cp, few))
    return sum(m * J for m, J in zip(cp.m[1:cut], cp.J[1:cut], strict=True))


def _spanned(cp: CrossProducts, few: int) -> Iterative:
    return Iterative(cp, probes=_spanning(_order(cp, few)), few=few, cg_tol=TIGHT)


@given(designs(), seeds, st.booleans(), fews, st.sampled_from([0, 3, 24]))
def test_probes_that_span_give_the_exact_deviance_and_derivatives(
    design: Design, seed: int, reml: bool, few: int, directions: int
) -> None:
    assume(crossed(design))
    cp = cross_products(design)
    theta = some_theta(parameters_of(design, cp), seed)
    theta[np.abs(theta) < 0.05] = 0.05  # the traces are divided by Lambda, which nearer to zero costs digits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deflation, "_WIDTH", directions)
        found = []
        for factor in (_spanned(cp, few), choose_factor(design, cp, "dense")):
            deviance = objective(design, factor, cp, reml=reml)
            value = deviance.value(theta)
            derivatives = deviance.derivatives()
            assert deviance.profiled is not None
            found.append((value, *derivatives, factor.modes(deviance.profiled.c)))
    (value, gradient, hessian, modes), wanted = found
    assert abs(value - wanted[0]) < DEVIANCE_ATOL
    _close(gradient, wanted[1])
    _close(hessian, wanted[2])
    for ours, oracle in zip(modes, wanted[3], strict=True):
        _close(ours, oracle)


@given(designs(), st.booleans(), fews)
def test_theta_of_zero_is_an_ordinary_stationary_point(design: Design, reml: bool, few: int) -> None:
    assume(crossed(design))
    cp = cross_products(design)
    theta = np.zeros(parameters_of(design, cp).size)
    ours, oracle = (
        objective(design, factor, cp, reml=reml) for factor in (_spanned(cp, few), choose_factor(design, cp, "dense"))
    )
    assert abs(ours.value(theta) - oracle.value(theta)) < DEVIANCE_ATOL
    gradient, hessian = ours.derivatives()
    wanted = oracle.derivatives()[1]
    # evaluated at Lambda = 1e-6: enough for the optimizer to see the sign and size of the curvature
    assert np.abs(gradient).max() < 1e-4 * np.abs(hessian).max()
    _close(hessian, wanted, 2e-2)


def _two_way(*, slopes: bool = False, third: int = 0, weighted: bool = False, n: int = 4000) -> Design:
    """120 x 80 crossed levels, if wanted with slopes, a third factor and weights."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal(n)
    columns = (np.ones(n), x)
    y = 1.0 + 0.5 * x + rng.standard_normal(n)
    terms = []
    for J, sd in ((120, 0.7), (80, 0.5), *(((third, 0.4),) if third else ())):
        codes = np.concatenate([np.arange(J), rng.integers(0, J, n - J)])
        y = y + sd * rng.standard_normal(J)[codes] + (0.3 * rng.standard_normal(J)[codes] * x if slopes else 0.0)
        m = 2 if slopes and third != J else 1
        terms.append(RandomTerm(codes, J, tuple(range(m)), Unstructured(m)))
    return Design(y, columns, (0, 1), tuple(terms), weights=rng.uniform(0.5, 2.0, n) if weighted else None)


VARIANTS = {
    "two": _two_way(),
    "slopes": _two_way(slopes=True),
    "three": _two_way(third=60),
    "few": _two_way(third=6),
    "weighted slopes and three": _two_way(slopes=True, third=60, weighted=True),
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("reml", [True, False])
def test_estimates_are_within_their_error(name: str, reml: bool) -> None:
    design = VARIANTS[name]
    exact = estimate(design, reml=reml)
    errors, stated = [], []
    for seed in range(5):
        control = Control(factorization="iterative", finish=False, seed=seed)
        record = estimate(design, reml=reml, control=control)
        assert record.convergence.status is Status.CONVERGED
        assert record.convergence.factorization == "iterative"
        assert record.convergence.probes == 16
        assert record.convergence.cg_iterations > 0
        np.testing.assert_allclose(record.theta, exact.theta, rtol=2e-3, atol=2e-4)
        np.testing.assert_allclose(record.beta, exact.beta, atol=1e-4)
        for ours, theirs in zip(record.modes, exact.modes, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-3)
        errors.append((exact.criterion - record.criterion) / 2.0)
        stated.append(record.convergence.loglik_se)
    # five seeds: an error of four stated standard errors has odds of one in a thousand with 15 degrees of freedom
    assert np.all(np.abs(errors) < 4.0 * np.array(stated) + 1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_gradient_is_that_of_the_estimated_objective(name: str) -> None:
    """Up to the noise that the optimizer is told of: half a step in the metric of the Hessian."""
    design = VARIANTS[name]
    cp = cross_products(design)
    parameters = parameters_of(design, cp)
    deviance = objective(design, Iterative(cp, cg_tol=1e-10), cp, reml=True)
    theta = parameters.join([0.6 * np.eye(m) for m in cp.m])
    deviance.value(theta)
    gradient, hessian = deviance.derivatives()
    steps = 1e-4 * np.eye(len(theta))
    differences = np.array([(deviance.value(theta + s) - deviance.value(theta - s)) / 2e-4 for s in steps])
    off = gradient - differences
    assert 0.5 * off @ np.linalg.solve(hessian, off) < 20.0 * deviance.noise + 1e-7
    assert deviance.noise < 1e-4


def test_the_objective_is_smooth_in_theta() -> None:
    design = VARIANTS["slopes"]
    cp = cross_products(design)
    deviance = objective(design, Iterative(cp, cg_tol=1e-10), cp, reml=True)
    theta = np.tile([0.5, 0.0, 0.3], 2)
    step = 1e-3 * np.eye(6)[0]
    values = np.array([deviance.value(theta + k * step) for k in range(-2, 3)])
    assert abs(np.diff(values, 4)[0]) < 1e-5


def test_the_same_seed_gives_the_same_fit_and_another_another() -> None:
    design = VARIANTS["two"]

    def criterion(seed: int) -> float:
        return estimate(
            design, reml=True, control=Control(factorization="iterative", finish=False, seed=seed)
        ).criterion

    assert criterion(1) == criterion(1)
    assert criterion(1) != criterion(2)


def test_more_probes_state_a_smaller_error() -> None:
    design = VARIANTS["three"]

    def error(probes: int) -> float:
        control = Control(factorization="iterative", finish=False, probes=probes)
        return estimate(design, reml=True, control=control).convergence.loglik_se

    assert error(256) < 0.5 * error(8)


def test_exact_steps_finish_where_they_are_affordable() -> None:
    design = VARIANTS["weighted slopes and three"]
    exact = estimate(design, reml=True)
    finished = estimate(design, reml=True, control=Control(factorization="iterative"))
    assert finished.convergence.factorization == "iterative, schur-dense"
    assert finished.convergence.loglik_se == 0.0
    assert finished.convergence.probes == 16
    assert finished.criterion == pytest.approx(exact.criterion, abs=1e-7)
    most = 3
    searched = estimate(design, reml=True, control=Control(factorization="iterative", finish=False))
    extra = finished.convergence.evaluations - searched.convergence.evaluations
    assert extra <= most


def test_int32_codes_serve_as_well() -> None:
    design = VARIANTS["three"]
    narrow = replace(design, terms=tuple(replace(t, codes=t.codes.astype(np.int32)) for t in design.terms))
    control = Control(factorization="iterative", finish=False)
    assert estimate(narrow, reml=True, control=control).criterion == pytest.approx(
        estimate(design, reml=True, control=control).criterion, abs=1e-9
    )


def test_choice_goes_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_SMALLEST_SPARSE", 50)
    design = VARIANTS["three"]
    cp = cross_products(design)
    assert choose_factor(design, cp, "auto").name == "schur-dense"
    monkeypatch.setattr(choose, "memory_limit", lambda: 0.9 * blocked_cost(cp).bytes)
    assert choose_factor(design, cp, "auto").name == "iterative"
    record = estimate(design, reml=True)
    assert record.convergence.factorization == "iterative"
    monkeypatch.setattr(choose, "memory_limit", lambda: 1.1 * blocked_cost(cp).bytes)
    assert choose_factor(design, cp, "auto").name == "schur-dense"


def test_choice_goes_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_SMALLEST_SPARSE", 50)
    design = VARIANTS["three"]
    cp = cross_products(design)
    seconds = blocked_cost(cp).seconds
    monkeypatch.setattr(choose, "_SLOW", 0.9 * seconds)
    assert choose_factor(design, cp, "auto").name == "iterative"
    assert estimate(design, reml=True).convergence.factorization == "iterative, schur-dense"
    monkeypatch.setattr(choose, "_TOO_SLOW", 0.9 * seconds)
    assert estimate(design, reml=True).convergence.factorization == "iterative"


def test_cost_grows_with_the_order() -> None:
    small, large = (blocked_cost(cross_products(_two_way(third=third))) for third in (60, 119))
    assert large.seconds > small.seconds
    assert large.bytes > small.bytes
    assert not Cost(1.0, np.inf).within(2.0)
    assert not Cost(3.0, 0.0).within(2.0)


def test_conditional_covariances_are_exact_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    design = VARIANTS["two"]
    record = estimate(design, reml=True)
    control = Control(factorization="iterative")
    exact = conditional_covariance(design, record)
    for ours, theirs in zip(conditional_covariance(design, record, control), exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    monkeypatch.setattr(choose, "memory_limit", lambda: 0.0)
    with pytest.raises(MixedpyError, match="conditional covariances of 200 levels need an exact factorization"):
        conditional_covariance(design, record, control)


def test_conjugate_gradients_stop_column_by_column() -> None:
    rng = np.random.default_rng(1)
    root = rng.standard_normal((20, 20))
    M = root @ root.T + np.eye(20)
    right = np.concatenate([np.zeros((20, 1)), M[:, :1], rng.standard_normal((20, 2))], axis=1)
    solution = conjugate_gradients(lambda V: M @ V, lambda V: V / np.diag(M)[:, None], right, 1e-10)
    np.testing.assert_allclose(M @ solution.x, right, atol=1e-7)
    np.testing.assert_allclose(solution.residual, right - M @ solution.x, atol=1e-8)
    assert (solution.alpha[:, 0] == 0).all()
    with pytest.raises(np.linalg.LinAlgError, match="did not converge in 2"):
        conjugate_gradients(lambda V: M @ V, lambda V: V, right, 1e-10, max_iterations=2)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        conjugate_gradients(lambda V: -V, lambda V: V, right, 1e-10)


def test_lanczos_logarithms_of_a_small_matrix() -> None:
    rng = np.random.default_rng(2)
    root = rng.standard_normal((12, 12))
    M = root @ root.T / 12 + np.eye(12)
    z = np.sign(rng.standard_normal((12, 3)))
    found = conjugate_gradients(lambda V: M @ V, lambda V: V, z, 1e-13)
    logarithms, firsts = lanczos_logarithms(found.alpha, found.beta, np.full(3, 12.0))
    w, vectors = np.linalg.eigh(M)
    np.testing.assert_allclose(logarithms, np.einsum("ic,ik,k,jk,jc->c", z, vectors, np.log(w), vectors, z))
    np.testing.assert_allclose(firsts, np.einsum("ic,ij,jc->c", z, M, z))


def test_level_blocks_are_block_diagonal_matrices() -> None:
    rng = np.random.default_rng(4)
    trailing = Trailing([3, 1], [4, 5])
    blocks = []
    for m, J in ((3, 4), (1, 5)):
        root = rng.standard_normal((J, m, m))
        blocks.append((root @ root.transpose(0, 2, 1) + np.eye(m)).transpose(1, 2, 0))
    D = LevelBlocks(trailing, blocks)
    eye = np.eye(trailing.q)
    C = D.root(eye)
    dense = C @ C.T
    for share, own, m, J in zip(trailing.shares(), blocks, trailing.m, trailing.J, strict=True):
        corner = dense[share, share].reshape(m, J, m, J)
        level = np.arange(J)
        np.testing.assert_allclose(corner[:, level, :, level], own.transpose(2, 0, 1), atol=1e-12)
    assert D.logdet == pytest.approx(np.linalg.slogdet(dense)[1])
    np.testing.assert_allclose(D.solve(eye), np.linalg.inv(dense), atol=1e-10)
    np.testing.assert_allclose(D.root_transposed(eye), C.T, atol=1e-12)
    np.testing.assert_allclose(D.root_inverse(eye), np.linalg.inv(C), atol=1e-10)
    np.testing.assert_allclose(D.root_inverse_transposed(eye), np.linalg.inv(C).T, atol=1e-10)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        LevelBlocks(trailing, [-blocks[0], blocks[1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 1}, "probes=1"),
        ({"seed": -1}, "seed=-1"),
        ({"cg_tol": 0.0}, "cg_tol=0.0"),
        ({"cg_tol": 0.5}, "cg_tol=0.5"),
    ],
)
def test_settings_are_checked(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Control(**options)  # type: ignore[arg-type]


def test_dear_exact_factorizations_are_spared_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_SMALLEST_SPARSE", 50)
    design = VARIANTS["three"]
    plain = estimate(design, reml=True)
    monkeypatch.setattr(choose, "_DEAR", 0.0)
    spared = estimate(design, reml=True)
    assert plain.convergence.factorization == "schur-dense"
    assert spared.convergence.factorization == "iterative, schur-dense"
    assert spared.criterion == pytest.approx(plain.criterion, abs=1e-8)
    forced = estimate(design, reml=True, control=Control(factorization="blocked"))
    assert forced.convergence.factorization == "schur-dense"


def _brands(*, slopes: bool = False) -> Design:
    """Users crossed with items, items within brands: the outer effect's columns are among the inner one's."""
    rng = np.random.default_rng(6)
    n, users, items, brands = 3000, 200, 90, 36
    x = rng.standard_normal(n)
    user = np.concatenate([np.arange(users), rng.integers(0, users, n - users)])
    item = np.concatenate([np.arange(items), rng.integers(0, items, n - items)])
    brand = item % brands
    effects = (rng.standard_normal(k)[c] for c, k in ((user, users), (item, items), (brand, brands)))
    y = 1.0 + 0.5 * x + 0.6 * sum(effects) + rng.standard_normal(n)  # type: ignore[operator]
    m = 2 if slopes else 1
    terms = (
        RandomTerm(user, users, (0,), Unstructured(1)),
        RandomTerm(item, items, tuple(range(m)), Unstructured(m)),
        RandomTerm(brand, brands, (m - 1,), Unstructured(1)),
    )
    return Design(y, (np.ones(n), x), (0, 1), terms)


@pytest.mark.parametrize("slopes", [False, True])
def test_nested_terms_of_the_system_are_exact_with_probes_that_span(slopes: bool) -> None:
    design = _brands(slopes=slopes)
    cp = cross_products(design)
    spanned = _spanned(cp, 0)
    assert len(spanned.pattern.nests) == 1
    theta = parameters_of(design, cp).join([0.6 * np.eye(m) for m in cp.m])
    found = []
    for factor in (spanned, choose_factor(design, cp, "blocked")):
        deviance = objective(design, factor, cp, reml=True)
        value = deviance.value(theta)
        derivatives = deviance.derivatives()
        assert deviance.profiled is not None
        found.append((value, *derivatives, factor.modes(deviance.profiled.c)))
    (value, gradient, hessian, modes), wanted = found
    assert abs(value - wanted[0]) < DEVIANCE_ATOL
    _close(gradient, wanted[1])
    _close(hessian, wanted[2])
    for ours, oracle in zip(modes, wanted[3], strict=True):
        _close(ours, oracle)


def test_the_change_of_variables_spares_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    design = _brands()
    cp = cross_products(design)
    iterations = []
    for _ in range(2):
        factor = Iterative(cp, few=0)
        objective(design, factor, cp, reml=True).value(np.full(3, 0.6))
        iterations.append(factor.cg_iterations)
        monkeypatch.setattr(system, "find_nests", lambda cp, terms: ())
    with_nests, without = iterations
    assert with_nests < 0.7 * without


@pytest.mark.parametrize("threads", [1, 2, 3, 50])
def test_split_matrices_multiply_as_whole_ones(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_WORTH", 1)
    rng = np.random.default_rng(9)
    dense = rng.standard_normal((30, 20)) * (rng.random((30, 20)) < 0.3)
    dense[5:25] = 0.0
    split = SplitMatrix(sp.csr_array(dense), threads)
    assert len(split.parts) <= threads
    V, W = rng.standard_normal((20, 4)), rng.standard_normal((30, 4))
    np.testing.assert_allclose(split.multiply(V), dense @ V, atol=1e-12)
    np.testing.assert_allclose(split.multiply_transposed(W), dense.T @ W, atol=1e-12)


@pytest.mark.parametrize(("value", "wanted"), [("3", 3), ("1", 1)])
def test_threads_are_those_of_blas(value: str, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert available_threads() == wanted
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert available_threads() >= 1
