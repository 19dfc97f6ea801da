"""Replicates: statistics drawn without the rows follow the law of drawn rows; polynomials give exact optima."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from mixedpy.core.arrays import Design, Floats, RandomTerm
from mixedpy.core.control import Control
from mixedpy.core.covariance import Unstructured
from mixedpy.core.estimate import Engine, estimate, estimate_prepared, prepare
from mixedpy.core.linear import linear_criterion
from mixedpy.core.refit import replicate, sampler
from mixedpy.core.refit.linear import linear_criteria
from mixedpy.core.refit.refit import refit_all, refit_reduced
from mixedpy.core.refit.replicate import Replicator, draw_responses
from mixedpy.core.refit.resample import draw_groups, draw_reflated, draw_rows, groups_of, reflate
from mixedpy.core.refit.responses import reduce_responses
from mixedpy.core.refit.sampler import Sampler
from mixedpy.core.refit.surrogate import Surrogate
from mixedpy.design import build
from tests.cases import case
from tests.core.designs import designs

SEEDS = st.integers(0, 2**32 - 1)
DRAWS = 4000
CASES = ["sleepstudy_missing", "pastes_nested", "penicillin_missing_ml", "cbpp_weights", "cake_slope"]


def _design(name: str) -> Design:
    one = case(name)
    options = one.options()
    options.pop("reml")
    return build(one.formula, one.frame(), **options).design


def _roots(design: Design, seed: int = 0) -> list[Floats]:
    rng = np.random.default_rng(seed)
    roots = []
    for term in design.terms:
        own = term.template.from_variances(rng.uniform(0.4, 1.2, term.m))
        roots.append(term.template.Lambda(own))
    return roots


@pytest.mark.parametrize("name", CASES)
def test_drawn_statistics_follow_the_law_of_drawn_rows(name: str) -> None:
    """Marginals, and products that a wrong joint law would change."""
    design = _design(name)
    engine = prepare(design)
    roots = _roots(design)
    drawn = Sampler(engine, roots, 1.5).draw(DRAWS, np.random.default_rng(1))
    Y = draw_responses(design, np.zeros(design.p), roots, 1.5, DRAWS, np.random.default_rng(2))
    rows = reduce_responses(engine.conditioned, engine.cross_products, Y, design.offset)
    p = design.p
    if 0 in design.fixed:  # give back the means that were taken off
        cp, k = engine.cross_products, design.fixed.index(0)
        shift, fixed = rows.shift, rows.fixed
        square = rows.square + 2.0 * shift * fixed[k] + shift**2 * cp.fixed[k, k]
        rows = replace(
            rows,
            fixed=fixed + cp.fixed[:p, k, None] * shift,
            square=square,
            random=tuple(z + r[:, k, :, None] * shift for z, r in zip(rows.random, cp.right, strict=True)),
        )
    pairs = [(drawn.square, rows.square), *zip(drawn.fixed, rows.fixed, strict=True)]
    for a, b in zip(drawn.random, rows.random, strict=True):
        pairs += [(a[-1, 0], b[-1, 0]), (a[0, -1], b[0, -1]), (a[0, 0] * a[-1, 1], b[0, 0] * b[-1, 1])]
        pairs += [(a[0, 0] * drawn.fixed[0], b[0, 0] * rows.fixed[0])]
        size = float(np.mean(b[0, 0] ** 2) / np.mean(rows.square))
        pairs += [(drawn.square - a[0, 0] ** 2 / size, rows.square - b[0, 0] ** 2 / size)]
    first, last = drawn.random[0], drawn.random[-1]
    pairs += [(first[0, 0] * last[0, 0], rows.random[0][0, 0] * rows.random[-1][0, 0])]
    pvalues = [ks_2samp(a, b).pvalue for a, b in pairs]
    assert min(pvalues) > 0.01 / len(pvalues), pvalues


@given(designs(), SEEDS)
def test_moments_of_drawn_statistics(design: Design, seed: int) -> None:
    """E y'y = sigma^2 tr V, and the covariance of X'y is sigma^2 X'V X, by the definition of V."""
    roots, sigma, count = _roots(design, seed), 0.7, 3000
    drawn = Sampler(prepare(design), roots, sigma).draw(count, np.random.default_rng(seed))
    scale = np.ones(design.n) if design.weights is None else np.sqrt(design.weights)
    conditioned = prepare(design).conditioned.design
    V = np.eye(design.n)
    for term, root in zip(design.terms, roots, strict=True):
        Z = np.stack([design.columns[c] for c in term.columns], 1) * scale[:, None]
        V += (Z @ root @ root.T @ Z.T) * (term.codes[:, None] == term.codes)
    X = conditioned.X * scale[:, None]
    wanted = sigma**2 * X.T @ V @ X
    error = 5.0 * np.sqrt(2.0 * np.outer(np.diag(wanted), np.diag(wanted)) / count)
    assert (np.abs(drawn.fixed @ drawn.fixed.T / count - wanted) < error).all()
    spread = sigma**2 * np.sqrt(2.0 * np.sum(V * V) / count)
    assert drawn.square.mean() == pytest.approx(sigma**2 * np.trace(V), abs=5.0 * spread)


def test_small_levels_carry_no_more_data_than_they_have() -> None:
    """Levels with fewer rows than effects have null directions, which must not add to y'y."""
    rng = np.random.default_rng(0)
    codes = np.arange(40)  # one row per level, two effects
    design = Design(
        y=rng.normal(size=40),
        columns=(np.ones(40), rng.normal(size=40)),
        fixed=(0,),
        terms=(RandomTerm(codes.astype(np.intp), 40, (0, 1), Unstructured(2)),),
    )
    drawn = Sampler(prepare(design), [np.zeros((2, 2))], 1.0).draw(4000, rng)
    assert drawn.square.mean() == pytest.approx(40.0, abs=5.0 * np.sqrt(80.0 / 4000.0))
    assert drawn.square.var() == pytest.approx(80.0, rel=0.15)


@pytest.mark.parametrize("name", CASES)
def test_replicates_are_refits_of_drawn_rows(name: str) -> None:
    """Without the rows and row by row: the same distribution of all estimates."""
    design = _design(name)
    record = estimate(design, reml=True)
    engine, count = prepare(design), 300
    model = Replicator(
        engine, design, record.theta, record.beta, record.Lambda, record.sigma, reml=True, control=Control()
    )
    found = model.run(count, np.random.default_rng(3))
    Y = draw_responses(design, record.beta, record.Lambda, record.sigma, count, np.random.default_rng(4))
    rows = refit_all(engine, Y, reml=True, offset=design.offset)
    assert found.converged.mean() > 0.98
    pairs = [(found.sigma, rows.sigma), (found.criterion, rows.criterion)]
    pairs += list(zip(found.beta.T, rows.beta.T, strict=True)) + list(zip(found.theta.T, rows.theta.T, strict=True))
    for a, b in pairs:
        good = np.isfinite(a), np.isfinite(b)
        assert ks_2samp(a[good[0]], b[good[1]]).pvalue > 1e-3


def test_many_crossed_columns_are_drawn_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "MOST_TRAILING", 3)
    design = _design("penicillin_missing_ml")
    record = estimate(design, reml=True)
    model = Replicator(
        prepare(design), design, record.theta, record.beta, record.Lambda, record.sigma, reml=True, control=Control()
    )
    assert model.sampler is None
    found = model.run(20, np.random.default_rng(1))
    assert found.converged.all()
    assert found.beta.mean() == pytest.approx(record.beta[0], abs=1.5)


def _many_levels(J: int = 3000, m: int = 2) -> tuple[Design, Engine]:
    rng = np.random.default_rng(5)
    n = 20 * J
    codes, x = rng.integers(0, J, n), rng.normal(size=n)
    columns = (np.ones(n), x, rng.normal(size=n))
    b = rng.normal(size=(J, m)) @ np.diag([0.8, 0.5, 0.6][:m])
    y = 1.0 + 0.5 * x + sum(columns[k] * b[codes, k] for k in range(m)) + rng.normal(size=n)
    term = RandomTerm(codes.astype(np.intp), J, tuple(range(m)), Unstructured(m))
    design = Design(y, columns, (0, 1), (term,))
    return design, prepare(design)


@pytest.mark.parametrize("reml", [True, False])
def test_polynomials_find_the_exact_optima(reml: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    design, engine = _many_levels()
    record = estimate_prepared(engine, reml=reml)
    monkeypatch.setattr(replicate, "_MANY_CLASSES", 100)
    monkeypatch.setattr(replicate, "_ACCURATE", 1e-2)
    model = Replicator(
        engine, design, record.theta, record.beta, record.Lambda, record.sigma, reml=reml, control=Control()
    )
    assert isinstance(model.surrogate, Surrogate)
    assert model.sampler is not None
    responses = model.sampler.draw(8, np.random.default_rng(1))
    near = model._near(model.surrogate.minimize(responses), responses)
    exact = refit_reduced(engine, responses, reml=reml, start=record.theta)
    assert near.converged.all()
    se = np.sqrt(np.einsum("bxx->bx", exact.unscaled_vcov)) * exact.sigma[:, None]
    assert (np.abs(near.beta - exact.beta) < 1e-4 * se).all()
    np.testing.assert_allclose(near.sigma, exact.sigma, rtol=1e-5)
    np.testing.assert_allclose(near.theta, exact.theta, atol=2e-4)
    np.testing.assert_allclose(near.criterion, exact.criterion, atol=5e-2)
    np.testing.assert_allclose(near.unscaled_vcov, exact.unscaled_vcov, atol=5e-5 * exact.unscaled_vcov.max())


def test_a_replicate_outside_the_ball_is_refitted(monkeypatch: pytest.MonkeyPatch) -> None:
    design, engine = _many_levels(1000, 1)
    record = estimate_prepared(engine, reml=True)
    monkeypatch.setattr(replicate, "_MANY_CLASSES", 10)
    monkeypatch.setattr(replicate, "_ACCURATE", 1.0)
    model = Replicator(
        engine, design, record.theta, record.beta, record.Lambda, record.sigma, reml=True, control=Control()
    )
    if model.surrogate is None:
        pytest.skip("levels of few sizes form few classes")
    far = Sampler(engine, [0.2 * L for L in record.Lambda], record.sigma).draw(5, np.random.default_rng(0))
    minima = model.surrogate.minimize(far)
    assert not minima.trusted.any()
    found = model._near(minima, far)
    exact = refit_reduced(engine, far, reml=True, start=record.theta)
    np.testing.assert_allclose(found.theta, exact.theta, atol=1e-6)


def test_few_levels_or_a_boundary_take_no_polynomials() -> None:
    for name in ("sleepstudy_slope_reml", "dyestuff2_reml", "penicillin_reml"):
        design = _design(name)
        record = estimate(design, reml=True)
        model = Replicator(
            prepare(design),
            design,
            record.theta,
            record.beta,
            record.Lambda,
            record.sigma,
            reml=True,
            control=Control(),
        )
        assert model.surrogate is None


@pytest.mark.parametrize("name", CASES)
def test_reflated_parts_have_the_estimated_covariances(name: str) -> None:
    design = _design(name)
    record = estimate(design, reml=True)
    parts = reflate(design, record)
    assert np.mean(parts.residuals**2) == pytest.approx(record.sigma**2, rel=1e-9)
    assert parts.residuals.mean() == pytest.approx(0.0, abs=1e-9 * record.sigma)
    for U, L in zip(parts.effects, record.Lambda, strict=True):
        wanted = record.sigma**2 * L @ L.T
        if np.linalg.matrix_rank(L, 1e-3) == len(L):
            np.testing.assert_allclose(U.T @ U / len(U), wanted, atol=1e-8 * np.abs(wanted).max())
        np.testing.assert_allclose(U.mean(0), 0.0, atol=1e-8 * record.sigma)
    Y = draw_reflated(design, parts, 2000, np.random.default_rng(0))
    mean = design.X @ record.beta + (0.0 if design.offset is None else design.offset)
    error = np.sqrt(Y.var(1) / 2000)
    assert (np.abs(Y.mean(1) - mean) < 5.5 * error).all()


@given(designs(), SEEDS)
def test_drawn_rows_are_rows(design: Design, seed: int) -> None:
    drawn = draw_rows(design, np.random.default_rng(seed))
    _same_rows(design, drawn.design, drawn.rows)
    for term, own, levels in zip(design.terms, drawn.design.terms, drawn.levels, strict=True):
        np.testing.assert_array_equal(levels[own.codes], term.codes[drawn.rows])


@given(designs(max_terms=3), SEEDS)
def test_drawn_groups_are_whole(design: Design, seed: int) -> None:
    """Every draw has all rows of its level; levels within it are its own; crossed factors keep theirs."""
    groups = groups_of(design, len(design.terms) - 1)
    drawn = draw_groups(design, groups, np.random.default_rng(seed))
    _same_rows(design, drawn.design, drawn.rows)
    outer, found = design.terms[-1], drawn.design.terms[-1]
    assert found.n_levels == outer.n_levels
    sizes = np.bincount(outer.codes, minlength=outer.n_levels)
    np.testing.assert_array_equal(np.bincount(found.codes), sizes[drawn.levels[-1]])
    for term, own, inside, levels in zip(design.terms, drawn.design.terms, groups.inside, drawn.levels, strict=True):
        np.testing.assert_array_equal(levels[own.codes], term.codes[drawn.rows])
        if inside:  # a level meets one draw only
            above = np.full(own.n_levels, -1)
            above[own.codes] = found.codes
            np.testing.assert_array_equal(above[own.codes], found.codes)
        else:
            assert own.n_levels <= term.n_levels


def _same_rows(design: Design, drawn: Design, rows: np.ndarray) -> None:
    np.testing.assert_array_equal(drawn.y, design.y[rows])
    for a, b in zip(drawn.columns, design.columns, strict=True):
        np.testing.assert_array_equal(a, b[rows])
    for one, two in ((drawn.weights, design.weights), (drawn.offset, design.offset)):
        assert (one is None) == (two is None)
        if one is not None and two is not None:
            np.testing.assert_array_equal(one, two[rows])
    for term in drawn.terms:
        assert set(term.codes.tolist()) == set(range(term.n_levels))


@given(designs(), st.booleans(), SEEDS)
def test_the_linear_model_for_many_responses(design: Design, reml: bool, seed: int) -> None:
    Y = design.y[:, None] + np.random.default_rng(seed).normal(size=(design.n, 3))
    engine = prepare(design)
    responses = reduce_responses(engine.conditioned, engine.cross_products, Y, design.offset)
    found = linear_criteria(engine, responses, reml=reml)
    wanted = [linear_criterion(replace(design, y=y), reml=reml) for y in Y.T]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
