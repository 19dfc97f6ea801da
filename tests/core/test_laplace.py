"""The Laplace deviance: gradient, Hessian and tangents against differences, inexact modes, both cross stores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mixedpy.core.family import Binomial, Family, Gamma, NegativeBinomial2, Poisson, ZeroInflated
from mixedpy.core.glmm import cross
from mixedpy.core.glmm.hessian import hessian
from mixedpy.core.glmm.precision import Inverse, factorize
from tests.core.families import FAMILIES
from tests.core.glmm_designs import STRUCTURES, block, differences, relative

EXACT = 1e-22
"""Decrement at which the modes have all their digits."""

FEW: dict[str, Family] = {
    "logit": Binomial(),
    "cloglog": Binomial("cloglog"),
    "poisson": Poisson(),
    "size": NegativeBinomial2(),
    "gamma": Gamma("log"),
    "zeros": ZeroInflated(Poisson()),
}


@pytest.mark.parametrize("structure", ["slope", "crossed"])
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_gradient(name: str, structure: str) -> None:
    b, psi = block(FAMILIES[name], structure)
    point = b.evaluate(psi, None, None, EXACT)
    found = differences(lambda p: b.evaluate(p, point.u, None, EXACT).deviance, psi)
    assert relative(b.tangents(point).gradient, found) < 1e-5


@pytest.mark.parametrize("name", sorted(n for n in FAMILIES if FAMILIES[n].has_expected and not FAMILIES[n].canonical))
def test_gradient_with_expected_weights(name: str) -> None:
    b, psi = block(FAMILIES[name], "crossed", expected=True)
    point = b.evaluate(psi, None, None, EXACT)
    found = differences(lambda p: b.evaluate(p, point.u, None, EXACT).deviance, psi)
    assert relative(b.tangents(point).gradient, found) < 1e-5


@pytest.mark.parametrize("structure", sorted(STRUCTURES))
@pytest.mark.parametrize("name", sorted(FEW))
def test_hessian_and_tangents(name: str, structure: str) -> None:
    for expected in {False, FEW[name].has_expected and not FEW[name].canonical}:
        b, psi = block(FEW[name], structure, expected=expected)
        point = b.evaluate(psi, None, None, EXACT)
        tangents = b.tangents(point)
        H, _ = hessian(b, point, tangents)
        k = b.L + b.p
        found = differences(lambda p, b=b, u=point.u: b.tangents(b.evaluate(p, u, None, EXACT)).gradient, psi)
        assert relative(H[:k, :k], found[:k, :k]) < 1e-5
        assert relative(H, found) < 1e-4  # rows of the auxiliary predictors are differences themselves
        moved = differences(lambda p, b=b, u=point.u: b.evaluate(p, u, None, EXACT).u, psi)
        assert relative(tangents.dU, moved) < 1e-5


@pytest.mark.parametrize("structure", ["slope", "crossed"])
def test_corrections_for_inexact_modes(structure: str) -> None:
    b, psi = block(Poisson(), structure)
    exact = b.evaluate(psi, None, None, EXACT)
    gradient = b.tangents(exact).gradient
    direction = np.random.default_rng(0).normal(size=exact.u.size)
    direction /= np.linalg.norm(direction)
    errors = []
    for size in (2e-2, 1e-2):
        point = b.at(psi, exact.Lambdas, exact.inner, exact.u + size * direction)
        tangents = b.tangents(point)
        raw = point.deviance - float((point.a - point.curvature.solve(point.g_u)) @ point.g_u)
        raw_gradient = tangents.gradient + 2.0 * tangents.dU @ point.g_u
        errors.append([abs(point.deviance - exact.deviance), np.abs(tangents.gradient - gradient).max()])
        assert errors[-1][0] < 0.02 * abs(raw - exact.deviance)
        assert errors[-1][1] < 0.2 * np.abs(raw_gradient - gradient).max()
    assert errors[0][0] / errors[1][0] > 3.5  # second order in the error of the modes


def test_theta_zero_is_an_ordinary_point() -> None:
    b, psi = block(Binomial(), "three crossed, slopes")
    psi[: b.L] = 0.0
    point = b.evaluate(psi, None, None, EXACT)
    tangents = b.tangents(point)
    np.testing.assert_allclose(tangents.gradient[: b.L], 0.0, atol=1e-9)  # a stationary point of every model
    found = differences(lambda p: b.tangents(b.evaluate(p, point.u, None, EXACT)).gradient, psi)
    assert relative(hessian(b, point, tangents)[0], found) < 1e-5


@pytest.mark.parametrize("structure", ["crossed", "three crossed, slopes"])
def test_both_stores_agree_with_a_dense_matrix(structure: str) -> None:
    b, psi = block(Binomial(), structure)
    rows = b.rows
    assert rows.store is not None
    main = rows.terms[0]
    flat = [main.codes * rows.q2 + t for t in rows.trailing]
    pairs = cross.PairCross(flat, rows.J, rows.m, rows.q2)
    pairs.expand_pairs()
    inner = b.inner(psi)
    w = np.random.default_rng(3).uniform(0.5, 2.0, rows.n)
    Z = np.zeros((rows.n, rows.q))
    for k, effect in enumerate(rows.effects):
        codes = rows.terms[effect.term].codes
        Z[np.arange(rows.n), effect.start + codes] += inner.zeta[k]
    M = np.eye(rows.q) + Z.T @ (w[:, None] * Z)
    right = np.random.default_rng(4).normal(size=(3, rows.q))
    for store in (cross.DenseCross(flat, rows.J, rows.m, rows.q2, 0.0), pairs):
        rows.store = store
        precision = factorize(rows, w, inner.zeta)
        assert abs(precision.logdet - np.linalg.slogdet(M)[1]) < 1e-9
        np.testing.assert_allclose(precision.solve(right), np.linalg.solve(M, right.T).T, atol=1e-10)
        h = sum(z * v for z, v in zip(inner.zeta, Inverse(precision).times(inner.zeta), strict=True))
        np.testing.assert_allclose(h, np.einsum("ni,ij,nj->n", Z, np.linalg.inv(M), Z), atol=1e-10)
        start, whole = 0, np.linalg.inv(M)
        for term, blocks in zip(rows.terms, Inverse(precision).blocks(), strict=True):
            places = start + np.arange(term.m * term.J).reshape(term.m, term.J)
            np.testing.assert_allclose(blocks, whole[places[:, None, :], places[None, :, :]], atol=1e-10)
            start += places.size
        point = b.evaluate(psi, None, None, EXACT)
        found = differences(lambda p, u=point.u: b.tangents(b.evaluate(p, u, None, EXACT)).gradient, psi)
        assert relative(hessian(b, point, b.tangents(point))[0], found) < 1e-5


def test_records_are_frozen() -> None:
    b, _ = block(Poisson(), "intercept")
    with pytest.raises(dataclasses.FrozenInstanceError):
        b.family = Binomial()  # type: ignore[misc]
