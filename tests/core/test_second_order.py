"""The second-order blocks against their definitions, with V and K formed densely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.linalg import block_diag

from mixedpy.core.arrays import Design, RandomTerm
from mixedpy.core.covariance import Diagonal, Unstructured
from mixedpy.core.crossproducts import cross_products
from mixedpy.core.deviance import Deviance
from mixedpy.core.factor.choose import choose_factor
from mixedpy.core.factor.dense import Dense
from mixedpy.core.second_order import expand, in_parameters, second_order, span, symmetric_basis
from mixedpy.core.second_order.conjugate import Conjugate
from tests.core.designs import crossed, designs, parameters_of, some_theta

CLOSE = 1e-9


class Oracle:
    """Everything with n x n and q x q matrices."""

    def __init__(self, design: Design, Lambdas, directions):
        cp = cross_products(design)
        dense = Dense(design, cp)
        self.X, self.y, self.n = dense.XY[:, :-1], dense.XY[:, -1], design.n
        self.Z = np.concatenate(dense.Z, axis=1)
        Sigma = block_diag(*(np.kron(np.eye(J), L @ L.T) for J, L in zip(cp.J, Lambdas, strict=True)))
        self.V = np.eye(design.n) + self.Z @ Sigma @ self.Z.T
        V1 = np.linalg.inv(self.V)
        self.S = self.X.T @ V1 @ self.X
        self.P = V1 - V1 @ self.X @ np.linalg.solve(self.S, self.X.T @ V1)
        self.K = self.Z.T @ V1 @ self.Z
        self.F = self.Z.T @ np.column_stack([V1 @ self.X, self.P @ self.y])
        self.E = []
        for i, own in enumerate(directions):
            for E in own:
                parts = [np.zeros((J * m, J * m)) for J, m in zip(cp.J, cp.m, strict=True)]
                parts[i] = np.kron(np.eye(cp.J[i]), E)
                self.E.append(block_diag(*parts))
        self.G = [self.Z @ E @ self.Z.T for E in self.E]


def relative(found, wanted, scale=None):
    size = np.abs(wanted).max() if scale is None else scale
    assert_allclose(np.asarray(found) / size, np.asarray(wanted) / size, rtol=0, atol=CLOSE)


def check(design: Design, theta, factor=None) -> None:
    cp = cross_products(design)
    Lambdas = parameters_of(design, cp).Lambdas(theta)
    directions = [symmetric_basis(m) for m in cp.m]
    found = second_order(cp, Lambdas, directions, factor)
    wanted = Oracle(design, Lambdas, directions)
    assert found.logdet == pytest.approx(np.linalg.slogdet(wanted.V)[1], rel=CLOSE, abs=CLOSE)
    assert found.r2 == pytest.approx(wanted.y @ wanted.P @ wanted.y, rel=CLOSE)
    relative(found.S_inverse, np.linalg.inv(wanted.S))
    K, F, E = wanted.K, wanted.F, wanted.E
    relative(found.trace, [np.trace(K @ e) for e in E])
    relative(found.trace2, [[np.trace(K @ e @ K @ d) for d in E] for e in E])
    relative(found.P, [F.T @ e @ F for e in E])
    relative(found.Q, [[F.T @ e @ K @ d @ F for d in E] for e in E])
    h = [wanted.Z.T @ wanted.P @ G @ wanted.P @ wanted.y for G in wanted.G]
    relative(found.cubic, [[[a @ e @ b for b in h] for e in E] for a in h])


@given(designs(), st.integers(0, 2**32 - 1))
def test_blocks_are_what_they_are_defined_to_be(design: Design, seed: int):
    check(design, some_theta(parameters_of(design, cross_products(design)), seed))


@given(designs(nested=True, max_terms=4), st.integers(0, 2**32 - 1))
def test_blocks_of_nested_terms(design: Design, seed: int):
    check(design, some_theta(parameters_of(design, cross_products(design)), seed))


@given(designs(), st.integers(0, 2**32 - 1))
def test_blocks_at_the_boundary(design: Design, seed: int):
    theta = some_theta(parameters_of(design, cross_products(design)), seed)
    theta[np.random.default_rng(seed).random(len(theta)) < 0.5] = 0.0
    check(design, theta)


@given(designs(), st.integers(0, 2**32 - 1), st.booleans())
def test_hessian_is_the_derivative_of_the_gradient(design: Design, seed: int, reml: bool):
    """The gradient that the optimizer uses comes from other code, so its differences check blocks and formulas."""
    cp = cross_products(design)
    parameters = parameters_of(design, cp)
    theta = some_theta(parameters, seed)
    objective = Deviance(Dense(design, cp), parameters, cp.n, cp.log_weights, reml=reml)

    def gradient(at):
        objective.value(at)
        return objective.derivatives()[0]

    objective.value(theta)
    sigma = np.sqrt(objective.profiled.sigma2)
    spans = [span(t) for t in parameters.templates]
    blocks = second_order(cp, parameters.Lambdas(theta), [s.basis for s in spans])
    jacobian = block_diag(*(s.coordinates(t.dSigma).T for s, t in zip(spans, parameters.tangents(theta), strict=True)))
    curvature = np.zeros((len(jacobian), len(theta), len(theta)))
    step = 1e-5
    for k in range(len(theta)):
        e = np.eye(len(theta))[k] * step
        up, down = parameters.tangents(theta + e), parameters.tangents(theta - e)
        change = [s.coordinates((a.dSigma - b.dSigma) / (2 * step)).T for s, a, b in zip(spans, up, down, strict=True)]
        curvature[:, :, k] = block_diag(*change)
    found = in_parameters(expand(blocks, cp.n, sigma, reml=reml), jacobian, curvature)
    assert found.by_sigma == pytest.approx(0.0, abs=1e-8 * cp.n / sigma)
    assert_allclose(found.gradient, gradient(theta), rtol=1e-7, atol=1e-7)
    differences = np.array(
        [(gradient(theta + e) - gradient(theta - e)) / (2 * step) for e in np.eye(len(theta)) * step]
    )
    assert_allclose(found.profiled, differences, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("m", [1, 2, 4])
def test_span_of_a_template(m: int):
    assert_allclose(span(Unstructured(m)).basis, symmetric_basis(m))
    assert_allclose(
        span(Diagonal(m)).basis, symmetric_basis(m)[[k for k, E in enumerate(symmetric_basis(m)) if E.trace()]]
    )


@given(designs(nested=False).filter(crossed), st.integers(0, 2**32 - 1), st.sampled_from(["blocked", "sparse"]))
def test_few_levels_make_sampled_traces_exact(design: Design, seed: int, kind: str):
    cp = cross_products(design)
    if not cp.chain:
        factor = choose_factor(design, cp, kind)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mixedpy.core.second_order.blocks.MOST_EXACT", 0)
            check(design, some_theta(parameters_of(design, cp), seed), factor)


@given(designs(nested=False).filter(crossed), st.integers(0, 2**32 - 1))
def test_products_by_conjugate_gradients(design: Design, seed: int):
    cp = cross_products(design)
    Lambdas = parameters_of(design, cp).Lambdas(some_theta(parameters_of(design, cp), seed))
    wanted = Oracle(design, Lambdas, [symmetric_basis(m) for m in cp.m])
    found = Conjugate(cp, Lambdas)
    rng = np.random.default_rng(seed)
    W = [rng.normal(size=(m, 3, J)) for m, J in zip(cp.m, cp.J, strict=True)]
    flat = np.concatenate([w.transpose(2, 0, 1).reshape(-1, 3) for w in W])
    product = np.concatenate([w.transpose(2, 0, 1).reshape(-1, 3) for w in found.random_products(W)])
    assert_allclose(product, wanted.K @ flat, rtol=0, atol=1e-4 * np.abs(wanted.K @ flat).max())
    XY = np.column_stack([wanted.X, wanted.y])
    V1XY = np.linalg.solve(wanted.V, XY)
    assert_allclose(found.gram, XY.T @ V1XY, rtol=0, atol=1e-6 * np.abs(XY.T @ V1XY).max())
    fixed = np.concatenate([f.transpose(2, 0, 1).reshape(-1, XY.shape[1]) for f in found.fixed_products()])
    assert_allclose(fixed, wanted.Z.T @ V1XY, rtol=0, atol=1e-4 * np.abs(wanted.Z.T @ V1XY).max())


@pytest.mark.parametrize("kind", ["blocked", "iterative"])
def test_sampled_traces_of_many_levels(kind):
    rng = np.random.default_rng(2)
    n = 3000
    codes = [rng.integers(0, J, n) for J in (700, 400, 20)]
    ones = Unstructured(1)
    terms = (
        RandomTerm(codes[0], 700, (0,), ones),
        RandomTerm(codes[1], 400, (0, 1), Unstructured(2)),
        RandomTerm(codes[2], 20, (0,), ones),
    )
    design = Design(y=rng.normal(size=n), columns=(np.ones(n), rng.normal(size=n)), fixed=(0, 1), terms=terms)
    cp = cross_products(design)
    Lambdas = [np.array([[0.6]]), np.array([[0.5, 0.0], [0.2, 0.4]]), np.array([[0.3]])]
    Lambdas = [Lambdas[i] for i in cp.order]
    directions = [symmetric_basis(m) for m in cp.m]
    exact = second_order(cp, Lambdas, directions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mixedpy.core.second_order.blocks.MOST_EXACT", 0)
        sampled = second_order(cp, Lambdas, directions, choose_factor(design, cp, kind))
    few = [k for k, i in enumerate(i for i, E in enumerate(directions) for _ in E) if cp.J[i] == 20]
    close = 1e-9 if kind == "blocked" else 1e-5
    assert_allclose(sampled.trace[few], exact.trace[few], rtol=close)
    assert_allclose(sampled.trace2[few], exact.trace2[few], rtol=close, atol=close * exact.trace2.max())
    # the standard error of a trace over J levels from 40 probes is about sqrt(2 / (40 J)) of the largest of its kind
    scale = np.sqrt(np.outer(np.diag(exact.trace2), np.diag(exact.trace2)))
    assert np.abs((sampled.trace2 - exact.trace2) / scale).max() < 5 * np.sqrt(2 / (40 * 400))
    assert not np.array_equal(sampled.trace2, exact.trace2)
    assert_allclose(sampled.Q, exact.Q, rtol=100 * close, atol=close * np.abs(exact.Q).max())
