"""Families: links and inverses, derivatives against differences, sums to one, moments, deviances at saturation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from mixedpy.core.family import LINKS, Binomial, Family, Hurdle, Poisson, find_link
from mixedpy.core.family.polygamma import polygamma
from tests.core.families import FAMILIES, auxiliaries, predictor, weights

NAMES = sorted(FAMILIES)
N = 40


def setup(name: str, seed: int) -> tuple[Family, np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(seed)
    family = FAMILIES[name]
    eta = predictor(family, rng, N)
    m, xi = weights(family, rng, N), auxiliaries(family, rng)
    y = family.draw(rng, m, predictor(family, rng, N), xi)
    assert family.check(y, m) is None
    return family, y, m, eta, xi


def difference(f, x: np.ndarray, h: float = 1e-3) -> np.ndarray:
    return (8.0 * (f(x + h) - f(x - h)) - (f(x + 2.0 * h) - f(x - 2.0 * h))) / (12.0 * h)


def close(a: np.ndarray, b: np.ndarray, tol: float = 2e-7) -> None:
    scale = np.maximum(1.0, np.abs(b).max())
    np.testing.assert_allclose(a / scale, np.broadcast_to(b, np.shape(a)) / scale, atol=tol)


@pytest.mark.parametrize("name", sorted(LINKS))
@given(seed=st.integers(0, 10_000))
def test_link_inverts_and_differentiates(name: str, seed: int) -> None:
    link = find_link(name)
    rng = np.random.default_rng(seed)
    shift = {"identity": 0.0, "inverse": 2.5, "1/mu^2": 2.5}.get(name, 0.0)
    eta = rng.uniform(-1.8, 1.8, 25) + shift
    np.testing.assert_allclose(link.link(link.inverse(eta)), eta, rtol=1e-9, atol=1e-9)
    parts = link.derivatives(eta)
    for k in range(4):
        close(parts[k + 1], difference(lambda e, k=k: link.derivatives(e)[k], eta))


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000))
def test_derivatives_are_those_of_the_kernel(name: str, seed: int) -> None:
    family, y, m, eta, xi = setup(name, seed)
    r, w, w1, w2 = family.derivatives(y, m, eta, xi)
    close(r, difference(lambda e: family.kernel(y, m, e, xi), eta))
    close(w, -difference(lambda e: family.slopes(y, m, e, xi)[0], eta))
    close(w1, difference(lambda e: family.slopes(y, m, e, xi)[1], eta))
    close(w2, difference(lambda e: family.derivatives(y, m, e, xi)[2], eta))
    for a, b in zip(family.slopes(y, m, eta, xi), (r, w), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in NAMES if FAMILIES[n].auxiliary])
@given(seed=st.integers(0, 10_000))
def test_auxiliary_slopes_are_those_of_the_kernel(name: str, seed: int) -> None:
    family, y, m, eta, xi = setup(name, seed)
    for c, (dl, dr, dw) in enumerate(family.auxiliary_slopes(y, m, eta, xi)):

        def moved(x: np.ndarray, c: int = c) -> tuple[np.ndarray, ...]:
            return (*xi[:c], x, *xi[c + 1 :])

        close(dl, difference(lambda x, c=c: family.kernel(y, m, eta, moved(x, c)), xi[c]))
        close(dr, difference(lambda x, c=c: family.slopes(y, m, eta, moved(x, c))[0], xi[c]))
        close(dw, difference(lambda x, c=c: family.slopes(y, m, eta, moved(x, c))[1], xi[c]))


@pytest.mark.parametrize("name", [n for n in NAMES if FAMILIES[n].has_expected])
@given(seed=st.integers(0, 10_000))
def test_expected_weights(name: str, seed: int) -> None:
    family, y, m, eta, xi = setup(name, seed)
    v, v1, v2 = family.expected(y, m, eta, xi)
    d = family.linkage.derivatives(eta)[1]
    np.testing.assert_allclose(v, d * d / family.variance(m, eta, xi), rtol=1e-9)
    close(v1, difference(lambda e: family.expected(y, m, e, xi)[0], eta))
    close(v2, difference(lambda e: family.expected(y, m, e, xi)[1], eta))
    if family.canonical:
        np.testing.assert_allclose(v, family.slopes(y, m, eta, xi)[1], rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_density_has_the_moments_and_the_distribution_function(name: str) -> None:
    family, _, _, eta, xi = setup(name, 5)
    eta = eta[:3]
    trials = "binomial" in name and "negative" not in name
    one = np.array([6.0]) if trials else np.ones(1)

    def density(y: float, e: np.ndarray) -> np.ndarray:
        at = np.full_like(e, y)
        return np.exp(family.kernel(at, one, e, xi) + family.constant(at, one))

    if family.discrete:
        support = np.arange(7.0) / 6.0 if trials else np.arange(400.0)
        p = np.array([density(y, eta) for y in support])
        total, mean = p.sum(0), support @ p
        square = support**2 @ p
        below = np.cumsum(p, axis=0)[3]
        cdf = family.cdf(np.full_like(eta, support[3]), one, eta, xi)
        np.testing.assert_allclose(family.cdf_below(np.full_like(eta, support[4]), one, eta, xi), below, rtol=1e-7)
    else:
        low, high = {"gaussian": (-np.inf, np.inf), "beta": (0.0, 1.0)}.get(family.name, (0.0, np.inf))
        point = float(family.mean(eta, xi)[0])

        def integral(power: int, to: float = high) -> np.ndarray:
            parts = [(low, min(point, to)), (min(point, to), to)]
            return np.array(
                [
                    sum(
                        integrate.quad(lambda y, e=e: y**power * density(y, np.array([e]))[0], *part, limit=200)[0]
                        for part in parts
                    )
                    for e in eta
                ]
            )

        total, mean, square = (integral(k) for k in range(3))
        below, cdf = integral(0, point), family.cdf(np.full_like(eta, point), one, eta, xi)
    np.testing.assert_allclose(total, 1.0, rtol=1e-6)
    np.testing.assert_allclose(mean, family.mean(eta, xi), rtol=1e-6)
    np.testing.assert_allclose(square - mean**2, family.variance(one, eta, xi), rtol=1e-5)
    np.testing.assert_allclose(cdf, below, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_moments(name: str) -> None:
    family, _, _, eta, xi = setup(name, 11)
    rng = np.random.default_rng(2)
    m = np.array([5.0]) if "binomial" in name and "negative" not in name else np.ones(1)
    draws = family.draw(rng, m, np.full(200_000, eta[0]), xi)
    variance = family.variance(m, eta[:1], xi)[0]
    assert abs(draws.mean() - family.mean(eta[:1], xi)[0]) < 5.0 * np.sqrt(variance / len(draws))
    assert abs(draws.var() / variance - 1.0) < 0.05


@pytest.mark.parametrize("name", [n for n in NAMES if FAMILIES[n].has_deviance])
def test_deviance_is_zero_at_saturation_and_twice_the_loss_of_likelihood(name: str) -> None:
    family, y, m, eta, xi = setup(name, 3)
    inside = (y > 0) & (y < 1) if "binomial" in name and "negative" not in name else y > 0.05
    y, m, eta = y[inside], m[inside], eta[inside]
    saturated = family.linkage.link(y)
    np.testing.assert_allclose(family.unit_deviance(y, m, saturated, xi), 0.0, atol=1e-9)
    loss = 2.0 * (family.kernel(y, m, saturated, xi) - family.kernel(y, m, eta, xi))
    phi = np.exp(-xi[0]) if family.has_scale else 1.0
    np.testing.assert_allclose(family.unit_deviance(y, m, eta, xi), phi * loss, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("link", Binomial.links)
def test_binomial_tails_keep_their_digits(link: str) -> None:
    family = Binomial(link)
    eta = np.array([-30.0, -8.0, -0.1]) if link == "log" else np.array([-30.0, -8.0, 3.0, 8.0])
    for y in (np.zeros_like(eta), np.ones_like(eta)):
        parts = family.derivatives(y, np.ones(1), eta, ())
        assert all(np.isfinite(part).all() for part in parts)
        close(parts[0], difference(lambda e, y=y: family.kernel(y, np.ones(1), e, ()), eta), 1e-6)
        if family.concave:
            assert (parts[1] >= 0).all()


def test_support_is_checked_by_rule_and_row() -> None:
    one = np.ones(1)
    assert Poisson().check(np.array([1.0, -1.0]), one).row == 1
    assert "whole" in Poisson().check(np.array([0.5, 1.0]), one).rule
    assert "weights" in Binomial().check(np.array([0.0, 0.5]), one).rule
    assert Binomial().check(np.array([0.5, 0.25]), np.array([2.0, 4.0])) is None
    assert Binomial().check(np.array([0.5, 0.3]), np.array([2.0, 4.0])).row == 1
    assert FAMILIES["beta-logit"].check(np.array([0.5, 1.0]), one).row == 1
    assert FAMILIES["Gamma-log"].check(np.array([0.5, 0.0]), one).count == 1
    with pytest.raises(ValueError, match="has no link"):
        Poisson("logit")


def test_hurdle_ignores_zeros_in_the_count_part() -> None:
    family = Hurdle(Poisson())
    r, w, _, _ = family.derivatives(np.zeros(2), np.ones(1), np.array([0.1, 2.0]), (np.zeros(1),))
    assert not r.any()
    assert not w.any()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_polygamma_is_scipys(n: int) -> None:
    x = np.concatenate([np.geomspace(1e-8, 1e8, 400), [11.999999, 12.0, 12.000001]])
    np.testing.assert_allclose(polygamma(n, x), special.polygamma(n, x), rtol=2e-14)
