"""Adaptive Gauss-Hermite quadrature against brute-force integration, and its gradient against differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate as scipy_integrate
from scipy import stats

from mixedpy.core.family import Beta, Binomial, Family, Gamma, Hurdle, NegativeBinomial2, Poisson
from mixedpy.core.glmm.laplace import Block
from mixedpy.core.glmm.quadrature import gauss_hermite, integrate, integrated_gradient
from mixedpy.core.glmm.rows import Entry, Rows, Term
from tests.core.families import auxiliaries, weights
from tests.core.glmm_designs import block, differences, relative

EXACT = 1e-22


def small(family: Family, m: int, levels: int = 3, size: int = 4) -> tuple[Block, np.ndarray]:
    """Few levels of few rows: far from normal posteriors."""
    rng = np.random.default_rng(m)
    n = levels * size
    codes = np.repeat(np.arange(levels), size)
    z = [None, *rng.normal(size=(m - 1, n))]
    x = rng.normal(size=n)
    weight, xi = weights(family, rng, n), auxiliaries(family, rng)
    y = family.draw(rng, weight, 0.3 + 0.4 * x, xi)
    rows = Rows(y, weight, np.stack([np.ones(n), x]), None, [Term(codes, levels, tuple(z))], [None for _ in xi], 0.0)
    entries = tuple(Entry(0, a, b) for b in range(m) for a in range(b, m))
    lam = [0.9 if e.a == e.b else 0.3 for e in entries]
    return Block(rows, family, entries), np.concatenate([lam, [0.2, 0.3], [float(v[0]) for v in xi]])


def brute_force(b: Block, psi: np.ndarray) -> float:
    """-2 log of the integral over u of every level, by SciPy's adaptive cubature."""
    rows, inner = b.rows, b.inner(psi)
    modes = b.evaluate(psi, None, None, EXACT).u.reshape(rows.m, -1)
    total = 0.0
    for j in range(rows.J):

        def density(*u: float, j: int = j) -> float:
            U = modes.copy()
            U[:, j] = u
            loglik = b.family.kernel(rows.y, rows.weights, inner.eta(U.ravel()), inner.xi)
            here = rows.terms[0].codes == j
            return float(np.exp(loglik[here].sum() + stats.norm.logpdf(u).sum()))

        ranges = [(modes[a, j] - 7.0, modes[a, j] + 7.0) for a in range(rows.m)]
        options = {"epsrel": 1e-6, "epsabs": 0.0, "limit": 100}
        total += np.log(scipy_integrate.nquad(density, ranges, opts=[options] * rows.m)[0])
    return -2.0 * total


@pytest.mark.parametrize(
    "family", [Binomial(), Poisson(), NegativeBinomial2(), Gamma("log"), Beta(), Hurdle(Poisson())]
)
def test_one_effect_converges_to_the_integral(family: Family) -> None:
    b, psi = small(family, 1)
    point = b.evaluate(psi, None, None, EXACT)
    exact = brute_force(b, psi)
    errors = [abs(integrate(b, point, gauss_hermite(k, 1)).deviance - exact) for k in (1, 5, 25)]
    assert errors[2] < 1e-6
    assert errors[1] < max(0.2 * errors[0], 1e-6)


def test_two_effects_converge_to_the_integral() -> None:
    b, psi = small(Binomial(), 2, levels=1, size=3)
    point = b.evaluate(psi, None, None, EXACT)
    exact = brute_force(b, psi)
    errors = [abs(integrate(b, point, gauss_hermite(k, 2)).deviance - exact) for k in (1, 5, 15)]
    assert errors[2] < 1e-6
    assert errors[1] < 0.2 * errors[0]


def test_three_effects_converge_to_an_integral_on_a_grid() -> None:
    b, psi = small(Poisson(), 3, levels=2, size=5)
    rows, inner = b.rows, b.inner(psi)
    point = b.evaluate(psi, None, None, EXACT)
    values = [integrate(b, point, gauss_hermite(k, 3)).deviance for k in (1, 5, 9, 15)]
    # the trapezoidal rule converges geometrically for an integrand that vanishes with all derivatives at the ends
    grid = np.linspace(-8.0, 8.0, 55)
    x = np.stack([g.ravel() for g in np.meshgrid(grid, grid, grid, indexing="ij")])
    total = -0.5 * point.precision.logdet
    for j in range(rows.J):
        here = rows.terms[0].codes == j
        zeta = np.stack([np.broadcast_to(column, rows.n)[here] for column in inner.zeta])
        u = point.u.reshape(3, -1)[:, [j]] + point.precision.inverse_factor[:, :, j].T @ x
        eta = inner.fixed[here][:, None] + zeta.T @ u
        y, m = rows.y[here][:, None], rows.weights[here][:, None]
        logs = (m * (y * eta - np.exp(eta))).sum(0) + stats.norm.logpdf(u).sum(0)
        total += np.log(np.exp(logs).sum() * (grid[1] - grid[0]) ** 3)
    errors = np.abs(np.array(values) + 2.0 * total)
    assert errors[3] < 1e-6
    assert errors[1] < 0.1 * errors[0]


def test_one_node_is_the_laplace_approximation() -> None:
    b, psi = block(Binomial(), "slope")
    point = b.evaluate(psi, None, None, EXACT)
    assert abs(integrate(b, point, gauss_hermite(1, 2)).deviance - point.deviance) < 1e-9


@pytest.mark.parametrize("nodes", [2, 5])
@pytest.mark.parametrize("structure", ["intercept", "slope"])
@pytest.mark.parametrize(
    "family", [Binomial(), Binomial("cauchit"), Poisson(), NegativeBinomial2(), Beta(), Gamma("log")]
)
def test_gradient(family: Family, structure: str, nodes: int) -> None:
    b, psi = block(family, structure)
    rule = gauss_hermite(nodes, b.rows.m)
    point = b.evaluate(psi, None, None, EXACT)
    gradient = integrated_gradient(b, point, b.tangents(point), rule, integrate(b, point, rule))
    found = differences(lambda p: integrate(b, b.evaluate(p, point.u, None, EXACT), rule).deviance, psi)
    assert relative(gradient, found) < 1e-5
