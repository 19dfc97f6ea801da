"""Null distributions at the boundary, each against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, ks_2samp

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.boundary import cone, spectral
from mixedpy.core.boundary.cone import chi_bar_square
from mixedpy.core.boundary.information import expected_information
from mixedpy.core.boundary.spectral import simulate_rlrt, spectrum
from mixedpy.core.covariance import Diagonal
from mixedpy.core.estimate import prepare
from mixedpy.core.linear import linear_criterion
from mixedpy.core.refit.refit import refit_all
from mixedpy.design import build
from tests.cases import case
from tests.core.designs import designs

SEEDS = st.integers(0, 2**32 - 1)


def _information(seed: int, d: int) -> Floats:
    A = np.random.default_rng(seed).normal(size=(d, d))
    return A @ A.T + 0.3 * np.eye(d)


def _directions(m: int, diagonal: bool) -> Floats:
    pairs = [(a, b) for b in range(m) for a in range(b, m) if a == b or not diagonal]
    E = np.zeros((len(pairs), m, m))
    for matrix, (a, b) in zip(E, pairs, strict=True):
        matrix[a, b] = matrix[b, a] = 1.0
    return E


@given(designs(), st.booleans(), SEEDS)
def test_expected_information_by_its_definition(design: Design, reml: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    directions, covariances, G = [], [], []
    scale = np.ones(design.n) if design.weights is None else np.sqrt(design.weights)
    V = np.eye(design.n)
    for term in design.terms:
        E = _directions(term.m, isinstance(term.template, Diagonal))
        L = np.tril(rng.normal(size=(term.m, term.m)))
        covariance = np.diag(np.diag(L) ** 2) if isinstance(term.template, Diagonal) else L @ L.T
        if rng.random() < 0.3:
            covariance[:] = 0.0
        Z = np.stack([design.columns[c] for c in term.columns], 1) * scale[:, None]
        same = term.codes[:, None] == term.codes
        G += [(Z @ one @ Z.T) * same for one in E]
        V += (Z @ covariance @ Z.T) * same
        directions.append(E)
        covariances.append(covariance)
    G.append(np.eye(design.n))
    P = np.linalg.inv(V)
    if reml:
        X = design.X * scale[:, None]
        P = P - P @ X @ np.linalg.solve(X.T @ P @ X, X.T @ P)
    PG = [P @ one for one in G]
    wanted = 0.5 * np.array([[np.sum(a * b.T) for b in PG] for a in PG])
    found = expected_information(prepare(design), covariances, directions, reml=reml)
    size = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    np.testing.assert_allclose(found / size, wanted / size, atol=1e-7)


@pytest.mark.parametrize("free", [0, 1, 3])
def test_one_variance_is_an_even_mixture(free: int) -> None:
    found = chi_bar_square(np.ones((1, 1)), (1,), free)
    low = 0.5 * chi2.sf(2.0, free) if free else 0.0
    assert found.tail(2.0) == pytest.approx(low + 0.5 * chi2.sf(2.0, free + 1), rel=1e-12)
    assert found.tail(0.0) == 1.0


@given(SEEDS, st.integers(1, 5))
def test_projection_on_the_orthant_meets_its_conditions(seed: int, d: int) -> None:
    """x >= 0, I(x - u) >= 0 and x'I(x - u) = 0 (Karush, Kuhn, Tucker)."""
    information = _information(seed, d)
    u = np.random.default_rng(seed).normal(size=(50, d))
    x, positive = cone._on_orthant(u, information)
    slope = (x - u) @ information
    assert (x >= 0).all()
    assert (slope > -1e-7 * np.abs(slope).max()).all()
    np.testing.assert_allclose((x * slope).sum(1), 0.0, atol=1e-7 * np.abs(information).max())
    np.testing.assert_array_equal((x > 0).sum(1), positive)


@given(SEEDS, st.sampled_from([(2,), (3,), (2, 1), (1, 1, 1)]))
def test_projection_on_covariance_matrices_meets_its_conditions(seed: int, cones: tuple[int, ...]) -> None:
    """The rest is normal to the projection and has a negative product with every matrix of the cone."""
    d = sum(k * (k + 1) // 2 for k in cones)
    information = _information(seed, d)
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(20, d))
    x = cone._on_cones(u, information, cones)
    rest = (u - x) @ information
    size = np.einsum("ni,ij,nj->n", u, information, u)
    np.testing.assert_allclose((rest * x).sum(1) / size, 0.0, atol=1e-5)
    start = 0
    for k in cones:
        columns, rows = np.triu_indices(k)
        a = rng.normal(size=(200, k))
        member = np.einsum("ni,nj->nij", a, a)[:, rows, columns]  # extreme rays
        member /= np.linalg.norm(member, axis=1, keepdims=True)
        own = rest[:, start : start + len(rows)]
        assert (own @ member.T < 1e-3 * np.sqrt(size)[:, None] * np.sqrt(np.abs(information).max())).all()
        M = np.zeros((len(x), k, k))
        M[:, rows, columns] = M[:, columns, rows] = x[:, start : start + len(rows)]
        assert np.linalg.eigvalsh(M).min() > -1e-9 * np.abs(x).max()
        start += len(rows)


@pytest.mark.parametrize(
    ("cones", "free"), [((1, 1), 0), ((1, 1), 2), ((1, 1, 1), 0), ((1, 1, 1, 1), 1), ((2,), 0), ((2,), 2)]
)
def test_weights_and_directions_agree(cones: tuple[int, ...], free: int) -> None:
    found = chi_bar_square(_information(3, sum(k * (k + 1) // 2 for k in cones)), cones, free)
    assert found.weights is not None
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-9)
    assert found.weights[free::2].sum() == pytest.approx(0.5, abs=5e-3)  # Gauss-Bonnet
    degrees = np.arange(1, len(found.weights))
    for x in (1.0, 3.0, 8.0):
        assert found.tail(x) == pytest.approx(found.weights[1:] @ chi2.sf(x, degrees), abs=2e-3)


@pytest.mark.parametrize(("cones", "free"), [((1, 1), 1), ((1, 1, 1), 0), ((2,), 1), ((2, 1), 0), ((3,), 0)])
def test_tails_against_simulation(cones: tuple[int, ...], free: int) -> None:
    d = sum(k * (k + 1) // 2 for k in cones)
    information = _information(8, d)
    rng = np.random.default_rng(0)
    u = rng.normal(size=(20_000, d)) @ np.linalg.cholesky(np.linalg.inv(information)).T
    x = cone._on_cones(u, information, cones)
    statistic = np.einsum("ni,ij,nj->n", x, information, u) + (rng.normal(size=(len(u), free)) ** 2).sum(1)
    found = chi_bar_square(information, cones, free)
    for at in (1.0, 3.0, 6.0):
        assert found.tail(at) == pytest.approx((statistic > at).mean(), abs=0.012)


def test_scales_of_effects_do_not_matter() -> None:
    information = _information(5, 3)
    a = np.array([1e-3, 40.0])
    scale = np.array([a[0] * a[0], a[0] * a[1], a[1] * a[1]])
    one, two = chi_bar_square(information, (2,), 0), chi_bar_square(information / np.outer(scale, scale), (2,), 0)
    assert one.tail(3.0) == pytest.approx(two.tail(3.0), abs=1e-9)


def _dense_eigenvalues(design: Design, tested: int, roots: list[Floats]) -> Floats:
    scale = np.ones(design.n) if design.weights is None else np.sqrt(design.weights)
    V = np.eye(design.n)
    for term, root in zip(design.terms, roots, strict=True):
        Z = np.stack([design.columns[c] for c in term.columns], 1) * scale[:, None]
        V += (Z @ root @ root.T @ Z.T) * (term.codes[:, None] == term.codes)
    term = design.terms[tested]
    Z = np.zeros((design.n, term.n_levels))
    Z[np.arange(design.n), term.codes] = design.columns[term.columns[0]] * scale
    X, W = design.X * scale[:, None], np.linalg.inv(V)
    P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
    values = np.linalg.eigvalsh(Z.T @ P @ Z)
    return values[values > 1e-8 * values.max()]


@given(designs(), st.booleans(), SEEDS)
def test_spectrum_by_its_definition(design: Design, others: bool, seed: int) -> None:
    tested = next((i for i, term in enumerate(design.terms) if term.m == 1), None)
    if tested is None:
        return
    rng = np.random.default_rng(seed)
    roots = [np.zeros((term.m, term.m)) for term in design.terms]
    if others:
        roots = [np.tril(rng.normal(size=r.shape)) * (i != tested) for i, r in enumerate(roots)]
        for root, term in zip(roots, design.terms, strict=True):
            if isinstance(term.template, Diagonal):
                root[:] = np.diag(np.diag(root))
    wanted = _dense_eigenvalues(design, tested, roots)
    found = spectrum(prepare(design), tested, roots)
    assert found.nu == design.n - design.p
    np.testing.assert_allclose(np.repeat(found.values, found.counts), wanted, rtol=1e-6, atol=1e-7 * wanted.max())


def test_equal_levels_share_an_eigenvalue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many levels of few sizes: nothing is of the order of the number of levels."""
    rng = np.random.default_rng(1)
    sizes = rng.choice([2, 3, 5], 800)
    codes = np.repeat(np.arange(800), sizes)
    n = len(codes)
    data = {"y": rng.normal(size=n), "x": rng.normal(size=n), "g": codes.astype(str)}
    design = build("y ~ x + (1 | g)", data).design
    dense = spectrum(prepare(design), 0, [np.zeros((1, 1))])
    monkeypatch.setattr(spectral, "MOST_LEVELS", 20)
    found = spectrum(prepare(design), 0, [np.zeros((1, 1))])
    np.testing.assert_allclose(found.values, dense.values)
    assert found.counts.sum() == 799
    assert len(found.values) < 12


def test_the_exact_test_is_exact() -> None:
    """Statistics of simulated responses follow the simulated null distribution."""
    one = case("dyestuff_reml")
    design = build(one.formula, one.frame()).design
    engine = prepare(design)
    Y = np.random.default_rng(2).normal(size=(design.n, 4000)) + 5.0
    found = refit_all(engine, Y, reml=True).criterion
    X = design.X
    rest = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    nu, rss = design.n - 1, (rest**2).sum(0)
    null = nu * (1.0 + np.log(2.0 * np.pi * rss / nu)) + np.linalg.slogdet(X.T @ X)[1]
    drawn = simulate_rlrt(spectrum(engine, 0, [np.zeros((1, 1))]), 4000, np.random.default_rng(3))
    direct = np.maximum(null - found, 0.0)
    assert (direct < 1e-6).mean() == pytest.approx((drawn < 1e-6).mean(), abs=0.035)
    assert ks_2samp(direct[direct > 1e-6], drawn[drawn > 1e-6]).pvalue > 0.01


def test_null_criterion_is_that_of_the_linear_model() -> None:
    one = case("dyestuff_reml")
    design = build(one.formula, one.frame()).design
    y = design.y - design.y.mean()
    nu = design.n - 1
    wanted = nu * (1.0 + np.log(2.0 * np.pi * (y @ y) / nu)) + np.log(design.n)
    assert linear_criterion(design, reml=True) == pytest.approx(wanted, rel=1e-12)
