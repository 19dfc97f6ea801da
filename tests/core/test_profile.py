"""Profiles of the deviance: the constrained problems by their definitions, and the walk on functions known in full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.covariance import Unstructured
from mixedpy.core.estimate import Engine, estimate, estimate_prepared, prepare
from mixedpy.core.profile.objective import Absolute, ScaledDeviance
from mixedpy.core.profile.slices import CorrelationSlice, FixedSlice, SdSlice, SigmaSlice
from mixedpy.core.profile.solve import Point, point_of
from mixedpy.core.profile.walk import Branch, End, find_limit, walk
from mixedpy.design import build
from tests.cases import case
from tests.core.designs import designs

CUTOFF = 1.959963984540054


def _scaled(engine: Engine, special: int | None, sigma: float | None) -> ScaledDeviance:
    cp = engine.cross_products
    absolute = None
    if special is not None:
        m = cp.m[special]
        rows, columns = np.tril_indices(m)
        basis = np.zeros((len(rows), m, m))
        basis[np.arange(len(rows)), rows, columns] = 1.0
        absolute = Absolute(special, np.zeros((m, m)), basis)
    return ScaledDeviance(engine.factor, engine.parameters, cp.n, cp.log_weights, absolute=absolute, sigma=sigma)


@given(designs(), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_the_gradient_is_that_of_the_values(design: Design, one_absolute: bool, held: bool, seed: int) -> None:
    engine = prepare(design)
    objective = _scaled(engine, 0 if one_absolute else None, 1.3 if held else None)
    theta = np.random.default_rng(seed).uniform(0.3, 0.9, objective.size)
    objective.value(theta)
    gradient, hessian = objective.derivatives()
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-8 * np.abs(hessian).max())
    h, size = 1e-5, 1.0 + np.abs(gradient).max()
    for k in range(objective.size):
        e = h * np.eye(objective.size)[k]
        difference = (objective.value(theta + e) - objective.value(theta - e)) / (2 * h)
        assert gradient[k] == pytest.approx(difference, abs=1e-5 * size)


@given(designs(), st.booleans(), st.integers(0, 2**32 - 1))
def test_with_sigma_profiled_out_it_is_the_ml_deviance(design: Design, one_absolute: bool, seed: int) -> None:
    engine = prepare(design)
    theta = np.random.default_rng(seed).uniform(0.3, 0.9, engine.parameters.size)
    profiled = engine.objective(reml=False)
    wanted = profiled.value(theta)
    assert profiled.profiled is not None
    sigma = float(np.sqrt(profiled.profiled.sigma2))
    objective = _scaled(engine, None, sigma)
    assert objective.value(theta) == pytest.approx(wanted, rel=1e-10)
    assert _scaled(engine, None, 1.1 * sigma).value(theta) > wanted
    if one_absolute:
        objective = _scaled(engine, 0, None)
        L = engine.parameters.Lambdas(theta)[0] * sigma
        parts = [theta[engine.parameters.slices[i]] for i in objective.relative]
        start = np.concatenate([*parts, L[np.tril_indices(len(L))], [np.log(sigma)]])
        assert objective.value(start) == pytest.approx(wanted, rel=1e-10)


@given(designs(max_terms=2), st.integers(0, 2**32 - 1))
def test_constrained_minima(design: Design, seed: int) -> None:
    """Constraints hold, no constrained minimum is below the free one, and holding the estimate gives the estimate."""
    record = estimate(design, reml=False)
    assume(record.convergence.converged)
    engine, control, base = prepare(design), Control(), point_of(record)
    rng = np.random.default_rng(seed)
    i = int(rng.integers(len(design.terms)))
    m = design.terms[i].m
    a = int(rng.integers(m))
    slices: list[tuple[SdSlice | SigmaSlice | FixedSlice | CorrelationSlice, float]] = [
        (SdSlice(engine, control, i, a), float(rng.uniform(0.0, 2.0))),
        (SigmaSlice(engine, control), record.sigma * float(rng.uniform(0.6, 1.6))),
        (FixedSlice(engine, control, design.p - 1), record.beta[-1] + float(rng.normal())),
    ]
    if m > 1 and isinstance(design.terms[i].template, Unstructured):
        a, b = (m - 1, 0)
        slices.append((CorrelationSlice.of_effects(engine, control, i, a, b, base), float(rng.uniform(-1.0, 1.0))))
    for one, x in slices:
        point = one.solve(x, base)
        if not point.converged:
            continue
        assert point.deviance >= base.deviance - 1e-6
        value = one.of(point)
        if isinstance(one, CorrelationSlice) and np.isclose(point.deviance, one.plateau.deviance):
            continue
        assert value == pytest.approx(x, abs=1e-6 * (1.0 + abs(x)))
        at = one.of(base)
        if np.isfinite(at):
            assert one.solve(at, base).deviance == pytest.approx(base.deviance, abs=1e-5)


@given(designs(max_terms=2))
def test_a_fixed_effect_held_is_an_offset(design: Design) -> None:
    assume(design.p > 1)
    j, x = design.p - 1, 0.7
    column = design.columns[design.fixed[j]]
    offset = column * x if design.offset is None else design.offset + column * x
    without = replace(design, fixed=design.fixed[:j], offset=offset)
    wanted = estimate(without, reml=False)
    base = point_of(estimate(design, reml=False))
    found = FixedSlice(prepare(design), Control(), j).solve(x, base)
    assume(found.converged and wanted.convergence.converged)
    assert found.deviance == pytest.approx(wanted.criterion, abs=1e-5)


@pytest.mark.parametrize("shift", [0.0, 2000.0])
@pytest.mark.parametrize("scale", [1.0, 1e-2])
def test_conditioning_does_not_show(shift: float, scale: float) -> None:
    """Held parameters are the user's, whatever columns the numerics chose."""
    one = case("sleepstudy_slope_ml")
    design = build(one.formula, one.frame()).design
    moved = replace(design, columns=(design.columns[0], design.columns[1] * scale + shift))
    record = estimate(moved, reml=False)
    engine, control, base = prepare(moved), Control(), point_of(record)
    for slice_, x in (
        (FixedSlice(engine, control, 0), base.beta[0] * 1.02),
        (FixedSlice(engine, control, 1), base.beta[1] * 1.2),
        (SdSlice(engine, control, 0, 1), base.sd(0, 1) * 1.3),
        (SdSlice(engine, control, 0, 0), base.sd(0, 0) * 1.01),
        (CorrelationSlice.of_effects(engine, control, 0, 1, 0, base), 0.5 * base.correlation(0, 1, 0)),
    ):
        point = slice_.solve(x, base)
        assert point.converged
        assert slice_.of(point) == pytest.approx(x, rel=1e-7)
        y = design.y - moved.X @ point.beta  # the deviance of that point by its definition
        Z = np.stack([moved.columns[0], moved.columns[1]], 1)
        codes = moved.terms[0].codes
        covariance = point.roots[0] @ point.roots[0].T
        V = (codes[:, None] == codes) * (Z @ covariance @ Z.T) + point.sigma**2 * np.eye(moved.n)
        by_hand = np.linalg.slogdet(V)[1] + y @ np.linalg.solve(V, y) + moved.n * np.log(2 * np.pi)
        assert point.deviance == pytest.approx(by_hand, abs=1e-4)


def test_every_factorization_has_the_same_profile() -> None:
    one = case("penicillin_ml")
    design = build(one.formula, one.frame()).design
    base = point_of(estimate(design, reml=False))
    found = []
    for kind in ("blocked", "sparse", "dense"):
        control = Control(factorization=kind)  # type: ignore[arg-type]
        engine = prepare(design, control)
        fixed = FixedSlice(engine, control, 0).solve(22.0, base).deviance
        found.append((SdSlice(engine, control, 1, 0).solve(3.0, base).deviance, fixed))
    np.testing.assert_allclose(found[1:], [found[0]] * 2, atol=1e-7)


def test_a_model_whose_only_fixed_effect_is_held() -> None:
    one = case("dyestuff_ml")
    design = build(one.formula, one.frame()).design
    record = estimate_prepared(prepare(design), reml=False)
    point = FixedSlice(prepare(design), Control(), 0).solve(1500.0, point_of(record))
    assert point.converged
    assert point.beta.tolist() == [1500.0]
    assert point.deviance > record.criterion


@dataclass(frozen=True)
class _Curve:
    """A profile given as a function of the parameter: deviance d(x), minimum 0 at x = 1."""

    deviance: Callable[[float], float]
    bounds: tuple[float, float] = (-np.inf, np.inf)
    closed: bool = True
    estimate: float = 1.0

    def of(self, point: Point) -> float:
        return float(point.beta[0])

    def solve(self, x: float, warm: Point) -> Point:
        d = self.deviance(x)
        return Point(d, (), 1.0, np.array([x]), bool(np.isfinite(d)))

    @property
    def base(self) -> Point:
        return Point(0.0, (), 1.0, np.array([self.estimate]), True)

    def branch(self, sign: int, cutoff: float = 3.0, first: float = 0.1) -> Branch:
        return walk(self, self.base, sign, cutoff, first)

    def limit(self, sign: int, cutoff: float = CUTOFF, first: float = 0.1) -> tuple[float, End]:
        found = find_limit(self, self.base, self.branch(sign, first=first), cutoff)
        return found.x, found.end


@pytest.mark.parametrize("first", [1e-6, 0.1, 100.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_parabola_has_normal_limits(sign: int, first: float) -> None:
    x, end = _Curve(lambda x: ((x - 1.0) / 0.5) ** 2).limit(sign, first=first)
    assert end is End.REACHED
    assert x == pytest.approx(1.0 + sign * 0.5 * CUTOFF, abs=1e-6)


def test_points_are_evenly_spaced_in_zeta() -> None:
    zeta = np.array([step.zeta for step in _Curve(lambda x: ((x - 1.0) / 0.5) ** 2).branch(1).steps])
    assert (np.diff(zeta) > 0).all()
    assert np.diff(zeta)[2:].max() < 0.8


def test_a_bound_before_the_cutoff_is_the_limit() -> None:
    curve = _Curve(lambda x: (x - 1.0) ** 2, bounds=(0.0, np.inf))
    assert curve.limit(-1) == (0.0, End.BOUND)
    assert curve.limit(-1, cutoff=0.9)[0] == pytest.approx(0.1, abs=1e-6)


def test_an_estimate_on_its_bound_is_the_limit() -> None:
    curve = _Curve(lambda x: x**2, bounds=(0.0, np.inf), estimate=0.0)
    assert curve.limit(-1) == (0.0, End.BOUND)
    assert curve.limit(1)[0] == pytest.approx(CUTOFF, abs=1e-6)


def test_an_open_bound_is_approached_but_not_reached() -> None:
    curve = _Curve(lambda x: np.log(x) ** 2 if x > 0 else np.nan, bounds=(0.0, np.inf), closed=False)
    assert curve.limit(-1)[0] == pytest.approx(np.exp(-CUTOFF), rel=1e-6)


def test_a_deviance_that_levels_off_has_no_limit() -> None:
    x, end = _Curve(lambda x: 2.0 * (1.0 - np.exp(-abs(x - 1.0)))).limit(1)
    assert np.isnan(x)
    assert end is End.UNBOUNDED


def test_a_deviance_that_falls_again_has_no_limit() -> None:
    x, end = _Curve(lambda x: 2.0 * np.sin(min(abs(x - 1.0), 3.0)) ** 2).limit(1)
    assert np.isnan(x)
    assert end is End.BACKWARDS


def test_a_lower_deviance_than_the_fit_is_noticed() -> None:
    x, end = _Curve(lambda x: (x - 1.0) ** 2 * (2.0 - x)).limit(1)
    assert np.isnan(x)
    assert end in (End.LOWER, End.BACKWARDS)
    assert _Curve(lambda x: -((x - 1.0) ** 2)).limit(1)[1] is End.LOWER


def test_a_fit_that_fails_ends_the_profile() -> None:
    x, end = _Curve(lambda x: (x - 1.0) ** 2 if x < 1.5 else np.nan).limit(1)
    assert np.isnan(x)
    assert end is End.FAILED


def test_a_fit_that_fails_far_out_is_tried_nearer() -> None:
    """The first step leads to where there is no fit; halves of it do not, up to the limit."""
    x, end = _Curve(lambda x: (x - 1.0) ** 2 if x < 3.5 else np.nan).limit(1, first=3.0)
    assert end is End.REACHED
    assert x == pytest.approx(1.0 + CUTOFF, abs=1e-5)


def test_a_kink_is_not_smoothed_over() -> None:
    """Where the slope of zeta jumps the limit is still that of the function."""
    x, _ = _Curve(lambda x: (x - 1.0) ** 2 if x < 2.5 else (1.5 + 4.0 * (x - 2.5)) ** 2).limit(1)
    assert x == pytest.approx(2.5 + (CUTOFF - 1.5) / 4.0, abs=1e-6)
