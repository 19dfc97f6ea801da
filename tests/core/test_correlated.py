"""Templates with a correlation, and those with one standard deviation: derivatives, round trips, fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from mixedpy.core.arrays import Design, RandomTerm
from mixedpy.core.conditional import conditional_covariance
from mixedpy.core.control import Control
from mixedpy.core.correlated import Autoregressive, CompoundSymmetry
from mixedpy.core.covariance import Diagonal, Template, Unstructured, lower_root
from mixedpy.core.estimate import estimate, prepare

KINDS = {
    "us": Unstructured,
    "diag": Diagonal,
    "diag-hom": lambda m: Diagonal(m, hom=True),
    "cs": CompoundSymmetry,
    "cs-hom": lambda m: CompoundSymmetry(m, hom=True),
    "ar1": Autoregressive,
    "ar1-hom": lambda m: Autoregressive(m, hom=True),
}
SIZES = {"us": (1, 3, 10), "diag": (1, 2, 4), "diag-hom": (1, 1, 1), "cs": (1, 3, 5), "cs-hom": (1, 2, 2)}
SIZES |= {"ar1": SIZES["cs"], "ar1-hom": SIZES["cs-hom"]}
ORDERS = (1, 2, 4)


def templates() -> list[Template]:
    made = [make(m) for make in KINDS.values() for m in ORDERS]
    return made + [t.free for t in made if t.free != t] + [Unstructured(3, flipped=True)]


def named(template: Template) -> str:
    return str(template)


def interior(template: Template, seed: int) -> np.ndarray:
    """Parameters away from every bound."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(0.4, 1.2, template.size)
    if not getattr(template, "angular", False):
        lower, upper = template.bounds()
        within = np.isfinite(upper)
        theta[within] = lower[within] + (upper - lower)[within] * rng.uniform(0.1, 0.9, within.sum())
    return theta


@pytest.mark.parametrize("kind", KINDS)
def test_number_of_parameters(kind: str) -> None:
    assert tuple(KINDS[kind](m).size for m in ORDERS) == SIZES[kind]


@pytest.mark.parametrize("template", templates(), ids=named)
def test_jacobian_and_curvature_are_derivatives(template: Template) -> None:
    theta, step = interior(template, 4), 1e-5
    weights = np.random.default_rng(5).normal(size=(template.m, template.m))
    curvature = template.curvature(theta, weights)
    np.testing.assert_allclose(curvature, curvature.T)
    for k, D in enumerate(template.jacobian(theta)):
        e = step * np.eye(template.size)[k]
        difference = (template.Lambda(theta + e) - template.Lambda(theta - e)) / (2 * step)
        np.testing.assert_allclose(D, difference, atol=1e-8)
        bend = (template.jacobian(theta + e) - template.jacobian(theta - e)) / (2 * step)
        np.testing.assert_allclose(curvature[k], np.tensordot(bend, weights, 2), atol=1e-7)


@pytest.mark.parametrize("template", templates(), ids=named)
def test_parameters_of_any_root(template: Template) -> None:
    theta = interior(template, 6)
    L = template.Lambda(theta)
    np.testing.assert_allclose(template.parameters(L), theta, atol=1e-12)
    if isinstance(template, Diagonal):
        return
    Q = np.linalg.qr(np.random.default_rng(7).normal(size=(template.m, template.m)))[0]
    np.testing.assert_allclose(template.parameters(L @ Q), theta, atol=1e-10)
    again = template.free.Lambda(template.free.parameters(L))
    np.testing.assert_allclose(again @ again.T, L @ L.T, atol=1e-12)


@pytest.mark.parametrize("template", templates(), ids=named)
def test_start_has_no_correlation(template: Template) -> None:
    sd = np.linspace(0.5, 1.5, template.m)
    L = template.Lambda(template.from_variances(sd))
    wanted = np.full(template.m, np.mean(sd**2)) if getattr(template, "hom", False) else sd**2
    np.testing.assert_allclose(L @ L.T, np.diag(wanted), atol=1e-14)


@given(st.floats(-1.0, 1.0), st.sampled_from([2, 3, 6]), st.booleans())
def test_covariance_is_the_one_described(share: float, m: int, hom: bool) -> None:
    sd = np.full(m, 1.3) if hom else np.linspace(0.2, 2.0, m)
    for template in (CompoundSymmetry(m, hom), Autoregressive(m, hom)):
        rho = template.lowest + (1.0 - template.lowest) * (share + 1.0) / 2.0
        L = template.Lambda(np.append(sd[:1] if hom else sd, rho))
        lag = np.abs(np.subtract.outer(np.arange(m), np.arange(m)))
        R = np.where(lag == 0, 1.0, rho) if template.name == "cs" else rho**lag
        np.testing.assert_allclose(L @ L.T, np.outer(sd, sd) * R, atol=1e-12)
        triangular = lower_root(L)
        np.testing.assert_allclose(triangular @ triangular.T, L @ L.T, atol=1e-12)
        assert not np.triu(triangular, 1).any()
        assert (np.diag(triangular) >= 0).all()


@pytest.mark.parametrize("template", [CompoundSymmetry(3), Autoregressive(3, hom=True)], ids=named)
def test_bounds_are_reached_and_snapped_to(template: Template) -> None:
    lower, upper = template.bounds()
    for bound in (lower[-1], upper[-1]):
        theta = template.from_variances(np.ones(3))
        theta[-1] = bound
        L = template.Lambda(theta)
        assert np.linalg.eigvalsh(L @ L.T)[0] == pytest.approx(0.0, abs=1e-12)
        free = template.free
        near = free.parameters(L) + np.append(np.zeros(template.size - 1), 1e-4)
        again = free.Lambda(free.snapped(near, 1e-3))
        np.testing.assert_allclose(again @ again.T, L @ L.T, atol=1e-12)
        np.testing.assert_array_equal(free.snapped(near, 1e-6), near)


def test_no_standard_deviation_leaves_no_correlation() -> None:
    for template in (CompoundSymmetry(3), Autoregressive(3, hom=True)):
        assert not template.parameters(np.zeros((3, 3))).any()
        assert not template.Lambda(template.parameters(np.zeros((3, 3)))).any()


def test_names_are_those_of_lme4() -> None:
    assert CompoundSymmetry(2).parameter_names(("a", "b")) == ("a", "b", "rho")
    assert Autoregressive(2, hom=True).parameter_names(("a", "b")) == ("*", "rho")
    assert Autoregressive(1).parameter_names(("a",)) == ("a",)
    assert Diagonal(2, hom=True).parameter_names(("a", "b")) == ("*",)
    assert Unstructured(2).parameter_names(("a", "b")) == ("a", "b.a", "b")


def occasions(seed: int, template: Template, theta: np.ndarray, *, J: int = 40, weighted: bool = False) -> Design:
    """J subjects with two rows at each of m occasions, effects drawn from the template."""
    rng = np.random.default_rng(seed)
    m = template.m
    subject = np.repeat(np.arange(J), 2 * m)
    occasion = np.tile(np.repeat(np.arange(m), 2), J)
    indicators = [(occasion == k).astype(float) for k in range(m)]
    x = rng.normal(size=len(subject))
    b = rng.normal(size=(J, m)) @ template.Lambda(theta).T
    weights = rng.uniform(0.5, 2.0, len(subject)) if weighted else None
    noise = rng.normal(size=len(subject))
    y = 1.0 + 0.5 * x + b[subject, occasion] + (noise if weights is None else noise / np.sqrt(weights))
    keep = rng.random(len(subject)) < 0.9  # unbalanced
    columns = tuple(c[keep] for c in (np.ones(len(subject)), x, *indicators))
    term = RandomTerm(subject[keep], J, tuple(range(2, 2 + m)), template)
    return Design(y[keep], columns, (0, 1), (term,), None if weights is None else weights[keep])


def marginal(design: Design, theta: np.ndarray, *, reml: bool) -> float:
    """The deviance from the n x n covariance matrix, beta and sigma profiled out."""
    n, p, term = design.n, design.p, design.terms[0]
    w = np.ones(n) if design.weights is None else design.weights
    L = term.template.Lambda(theta)
    Z = np.column_stack([design.columns[c] for c in term.columns])
    V = (Z @ (L @ L.T) @ Z.T) * (term.codes[:, None] == term.codes) + np.diag(1.0 / w)
    X = design.X
    A = X.T @ np.linalg.solve(V, X)
    r = design.y - X @ np.linalg.solve(A, X.T @ np.linalg.solve(V, design.y))
    nu = n - p if reml else n
    s2 = r @ np.linalg.solve(V, r) / nu
    if not reml:
        return -2.0 * float(multivariate_normal(np.zeros(n), s2 * V).logpdf(r))
    log_dets = np.linalg.slogdet(V)[1] + np.linalg.slogdet(A)[1]
    return float(log_dets + nu * (1.0 + np.log(2.0 * np.pi * s2)))


TRUE = {"cs": [1.0, 0.5, 1.5, 0.4], "cs-hom": [1.2, -0.3], "ar1": [0.8, 1.2, 0.6, 0.7], "ar1-hom": [1.0, 0.6]}
TRUE |= {"diag-hom": [0.9], "diag": [0.5, 1.0, 1.5]}


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", TRUE)
def test_fit_is_the_optimum_of_the_dense_marginal_likelihood(kind: str, reml: bool) -> None:
    template, truth = KINDS[kind](3), np.array(TRUE[kind])
    design = occasions(11, template, truth, weighted=kind == "ar1")
    record = estimate(design, reml=reml)
    assert record.convergence.converged
    assert len(record.theta) == template.size
    assert record.criterion == pytest.approx(marginal(design, record.theta, reml=reml), abs=1e-7)
    lower, upper = template.bounds()
    box = [(lo + 1e-9, None if np.isinf(hi) else hi - 1e-9) for lo, hi in zip(lower, upper, strict=True)]
    found = minimize(lambda t: marginal(design, t, reml=reml), truth, bounds=box, method="L-BFGS-B")
    assert record.criterion < found.fun + 1e-6
    np.testing.assert_allclose(record.theta, found.x, atol=2e-3)


@given(st.sampled_from(sorted(TRUE)), st.integers(0, 10_000), st.booleans())
def test_gradient_and_hessian_of_the_deviance(kind: str, seed: int, reml: bool) -> None:
    template = KINDS[kind](3)
    design = occasions(seed, template, np.array(TRUE[kind]), J=8)
    objective = prepare(design).objective(reml=reml)
    theta = interior(template.free, seed)
    objective.value(theta)
    gradient, hessian = objective.derivatives()
    step = 1e-5
    for k in range(template.size):
        e = step * np.eye(template.size)[k]
        difference = (objective.value(theta + e) - objective.value(theta - e)) / (2 * step)
        assert gradient[k] == pytest.approx(difference, abs=1e-5, rel=1e-6)
    assert np.isfinite(hessian).all()


@pytest.mark.parametrize("kind", ["cs", "cs-hom", "ar1", "ar1-hom"])
def test_correlation_of_one_is_found_and_singular(kind: str) -> None:
    template = KINDS[kind](3)
    truth = np.array(TRUE[kind])
    truth[-1] = 1.0
    design = occasions(3, template, truth, J=25)
    design = replace(design, y=design.y - np.where(design.columns[2] == 1, 0.0, 1e-3))
    record = estimate(design, reml=True)
    assert record.convergence.converged
    assert record.theta[-1] > 0.9
    inner = record.theta.copy()
    inner[-1] -= 0.05
    assert record.criterion < marginal(design, inner, reml=True)


def test_two_effects_of_compound_symmetry_are_unstructured() -> None:
    design = occasions(5, Unstructured(2), np.array([1.0, 0.4, 0.7]))
    one = estimate(design, reml=True)
    for template in (CompoundSymmetry(2), Autoregressive(2)):
        other = estimate(replace(design, terms=(replace(design.terms[0], template=template),)), reml=True)
        assert other.criterion == pytest.approx(one.criterion, abs=1e-7)
        np.testing.assert_allclose(other.Lambda[0], one.Lambda[0], atol=1e-4)


@given(st.sampled_from([-1e3, 1e3]), st.sampled_from([1e-3, 1e3]), st.booleans())
def test_shift_and_scale_of_one_of_two_effects(shift: float, scale: float, reml: bool) -> None:
    """Two effects with any standard deviations and correlation bear what an unstructured matrix bears."""
    design = occasions(21, Unstructured(2), np.array([1.0, 0.4, 0.7]), J=30)
    x = design.columns[1]
    for template in (CompoundSymmetry(2), Autoregressive(2)):
        term = RandomTerm(design.terms[0].codes, 30, (0, 1), template)
        one = estimate(Design(design.y, (design.columns[0], x), (0, 1), (term,)), reml=reml)
        two = estimate(Design(design.y, (design.columns[0], x * scale + shift), (0, 1), (term,)), reml=reml)
        assert two.convergence.converged
        assert two.criterion == pytest.approx(one.criterion + (2 * np.log(scale) if reml else 0.0), abs=1e-5)


@given(st.sampled_from([1e-4, 1.0, 1e4]), st.sampled_from(["cs", "ar1", "diag"]))
def test_scale_of_one_column_with_a_standard_deviation_each(scale: float, kind: str) -> None:
    template = KINDS[kind](3)
    design = occasions(9, template, np.array(TRUE[kind]), J=20)
    moved = replace(design, columns=(*design.columns[:3], scale * design.columns[3], *design.columns[4:]))
    one, two = estimate(design, reml=True), estimate(moved, reml=True)
    assert two.criterion == pytest.approx(one.criterion, abs=1e-6)
    np.testing.assert_allclose(two.theta * np.where(np.arange(template.size) == 1, scale, 1.0), one.theta, rtol=1e-3)


@given(st.sampled_from([1e-4, 1.0, 1e4]), st.sampled_from(sorted(TRUE)))
def test_scale_of_the_columns(scale: float, kind: str) -> None:
    """All effects' columns scaled alike: the same fit whatever the form, since only that keeps every form."""
    template = KINDS[kind](3)
    design = occasions(9, template, np.array(TRUE[kind]), J=20)
    moved = replace(design, columns=(*design.columns[:2], *(scale * c for c in design.columns[2:])))
    one, two = estimate(design, reml=True), estimate(moved, reml=True)
    assert one.convergence.converged
    assert two.criterion == pytest.approx(one.criterion, abs=1e-6)


@pytest.mark.parametrize("kind", TRUE)
def test_conditional_covariance_does_not_depend_on_the_factorization(kind: str) -> None:
    template = KINDS[kind](3)
    design = occasions(2, template, np.array(TRUE[kind]), J=6)
    record = estimate(design, reml=True)
    one, two = (conditional_covariance(design, record, Control(factorization=f)) for f in ("auto", "dense"))
    np.testing.assert_allclose(one[0], two[0], rtol=1e-8, atol=1e-10)


def test_crossed_terms_of_different_forms() -> None:
    """A structured term beside another, so that a Schur complement is formed."""
    design = occasions(13, Autoregressive(3, hom=True), np.array([1.0, 0.5]), J=15)
    rng = np.random.default_rng(0)
    other = RandomTerm(rng.integers(0, 7, design.n), 7, (0,), Unstructured(1))
    design = replace(design, terms=(design.terms[0], other))
    fits = [estimate(design, reml=True, control=Control(factorization=f)) for f in ("blocked", "sparse", "dense")]
    for fit in fits[1:]:
        assert fit.criterion == pytest.approx(fits[0].criterion, abs=1e-7)
