"""Counts: Poisson, and negative binomial with quadratic (NB2) or linear (NB1) variance.

Prior weights multiply l, as frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np
from scipy import special

from mixedpy.core.family.compose import through_link
from mixedpy.core.family.distributions import negative_binomial_cdf
from mixedpy.core.family.polygamma import polygamma
from mixedpy.core.family.protocol import Auxiliary, Family, Floats, Offence, Predictors, first_offence

__all__ = ["CountFamily", "NegativeBinomial1", "NegativeBinomial2", "Poisson", "counts_offence"]


def counts_offence(y: Floats) -> Offence | None:
    """Rules of counts."""
    found = first_offence("counts that are not negative", y < 0)
    return found if found is not None else first_offence("whole numbers", y != np.rint(y))


@dataclass(frozen=True)
class CountFamily(Family):
    """What the families of counts share."""

    discrete: ClassVar[bool] = True
    mean_range: ClassVar[tuple[float, float]] = (0.0, inf)

    def check(self, y: Floats, m: Floats) -> Offence | None:
        """Whole numbers that are not negative."""
        return counts_offence(y)

    def first_eta(self, y: Floats, m: Floats) -> Floats:
        """Link of the count, moved off zero."""
        return self.linkage.link(y + 0.1 + 0.5 * (y == 0))

    def log_zero(self, eta: Floats, xi: Predictors) -> Floats:
        """log P(Y = 0), (n,)."""
        zero = np.zeros_like(eta)
        one = np.ones(1)
        return self.kernel(zero, one, eta, xi) + self.constant(zero, one)

    def pearson_scale(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Square root of the variance."""
        return np.sqrt(self.variance(m, eta, xi))


@dataclass(frozen=True)
class Poisson(CountFamily):
    """Poisson counts.

    Parameters
    ----------
    link : {"log", "identity"}
        Link function.

    Examples
    --------
    >>> Poisson().variance(np.ones(1), np.log([2.0]), ())
    array([2.])
    """

    link: str = "log"

    name: ClassVar[str] = "poisson"
    links: ClassVar[tuple[str, ...]] = ("log", "identity")

    @property
    def concave(self) -> bool:
        """For both links."""
        return True

    @property
    def canonical(self) -> bool:
        """True for log."""
        return self.link == "log"

    def constant(self, y: Floats, m: Floats) -> Floats:
        """-m log y!."""
        return -m * special.gammaln(y + 1.0)

    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """m (y log mu - mu)."""
        if self.link == "log":
            with np.errstate(over="ignore"):
                return m * (y * eta - np.exp(eta))
        mu = self.mu(eta)
        with np.errstate(invalid="ignore", divide="ignore"):
            mu = np.where(mu > 0, mu, np.nan)
        return m * (special.xlogy(y, mu) - mu)

    def slopes(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
        """r and w."""
        if self.link != "log":
            return self.derivatives(y, m, eta, xi)[:2]
        with np.errstate(over="ignore"):
            mu = np.exp(eta)
        r = y - mu
        return (m * r, m * mu) if len(m) > 1 else (r, mu)

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2."""
        if self.link == "log":
            r, w = self.slopes(y, m, eta, xi)
            return r, w, w, w
        mean = self.linkage.derivatives(eta)
        mu = np.where(mean[0] > 0, mean[0], np.nan)
        score = (y / mu - 1.0, -y / mu**2, 2.0 * y / mu**3, -6.0 * y / mu**4)
        r, w, w1, w2 = through_link(score, mean)
        return m * r, m * w, m * w1, m * w2

    @property
    def has_expected(self) -> bool:
        """Always."""
        return True

    def expected(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats]:
        """v = mu'^2 / mu."""
        mu, d1, d2, d3, _ = self.linkage.derivatives(eta)
        v = d1 * d1 / mu
        v1 = 2.0 * d1 * d2 / mu - d1**3 / mu**2
        v2 = 2.0 * (d2 * d2 + d1 * d3) / mu - 5.0 * d1 * d1 * d2 / mu**2 + 2.0 * d1**4 / mu**3
        return m * v, m * v1, m * v2

    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """mu / m."""
        return self.mu(eta) / m

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Counts."""
        return rng.poisson(self.mu(eta)).astype(np.float64)

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        return np.where(y < 0, 0.0, special.pdtr(np.maximum(y, 0.0), self.mu(eta)))

    def cdf_below(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y < y)."""
        return self.cdf(y - 1.0, m, eta, xi)

    def unit_deviance(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """2 m (y log(y / mu) - (y - mu))."""
        mu = self.mu(eta)
        return np.maximum(2.0 * m * (special.xlogy(y, y) - special.xlogy(y, mu) - (y - mu)), 0.0)


@dataclass(frozen=True)
class NegativeBinomial2(CountFamily):
    """Negative binomial counts with variance mu + mu^2 / size; xi = log size.

    Parameters
    ----------
    link : {"log", "identity"}
        Link function.
    """

    link: str = "log"

    name: ClassVar[str] = "negative binomial"
    links: ClassVar[tuple[str, ...]] = ("log", "identity")
    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (Auxiliary("size", "log"),)

    @property
    def concave(self) -> bool:
        """True for log: w = (y + size) p (1 - p)."""
        return self.link == "log"

    def working(self, y: Floats) -> tuple[Family, Floats]:
        """Poisson."""
        return Poisson(self.link), y

    def constant(self, y: Floats, m: Floats) -> Floats:
        """-m log y!."""
        return -m * special.gammaln(y + 1.0)

    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """A logit at log mu - log size with y successes in y + size trials."""
        k = np.exp(xi[0])
        x = self._log_mu(eta) - xi[0]
        zero = np.where(y == 0, 0.0, -y * np.logaddexp(0.0, -x))
        return m * (_log_rising(y, k) - k * np.logaddexp(0.0, x) + zero)

    def _log_mu(self, eta: Floats) -> Floats:
        if self.link == "log":
            return eta
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(self.mu(eta))

    def slopes(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
        """r and w."""
        return self.derivatives(y, m, eta, xi)[:2]

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2."""
        k = np.exp(xi[0])
        if self.link == "log":
            p = special.expit(eta - xi[0])
            q = p * (1.0 - p)
            w = m * (y + k) * q
            return m * (y - (y + k) * p), w, w * (1.0 - 2.0 * p), w * (1.0 - 6.0 * q)
        mean = self.linkage.derivatives(eta)
        mu = np.where(mean[0] > 0, mean[0], np.nan)
        s, t = y + k, mu + k
        score = (
            y / mu - s / t,
            -y / mu**2 + s / t**2,
            2.0 * y / mu**3 - 2.0 * s / t**3,
            -6.0 * y / mu**4 + 6.0 * s / t**4,
        )
        r, w, w1, w2 = through_link(score, mean)
        return m * r, m * w, m * w1, m * w2

    def auxiliary_slopes(
        self, y: Floats, m: Floats, eta: Floats, xi: Predictors
    ) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """Derivatives in log size."""
        k = np.exp(xi[0])
        mean = self.linkage.derivatives(eta)
        mu = mean[0]
        t = mu + k
        share = mu / t
        dl = m * (k * (_digamma_rising(y, k) - np.log1p(mu / k)) + share * k - y * k / t)
        ds = k * (y - mu) / t**2
        ds2 = k * (t - 2.0 * (y + k)) / t**3
        return ((dl, m * ds * mean[1], -m * (ds2 * mean[1] ** 2 + ds * mean[2])),)

    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """(mu + mu^2 / size) / m."""
        mu = self.mu(eta)
        return (mu + mu * mu * np.exp(-xi[0])) / m

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Poisson counts with gamma means."""
        k = np.broadcast_to(np.exp(xi[0]), eta.shape)
        return rng.poisson(self.mu(eta) * rng.gamma(k, 1.0 / k)).astype(np.float64)

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        k = np.exp(xi[0])
        return negative_binomial_cdf(y, k, k / (k + self.mu(eta)))

    def cdf_below(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y < y)."""
        return self.cdf(y - 1.0, m, eta, xi)

    def unit_deviance(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """2 m (y log(y / mu) - (y + size) log((y + size) / (mu + size)))."""
        mu, k = self.mu(eta), np.exp(xi[0])
        d = special.xlogy(y, y) - special.xlogy(y, mu) - (y + k) * np.log((y + k) / (mu + k))
        return np.maximum(2.0 * m * d, 0.0)

    def first_auxiliary(self, y: Floats, m: Floats, eta: Floats) -> tuple[float, ...]:
        """Twice the size by moments, since the random effects take a part of the overdispersion."""
        mu = self.mu(eta)
        excess = max(float(np.sum(m * ((y - mu) ** 2 - mu))), 1e-2 * float(np.sum(m * mu)))
        return (float(np.log(np.clip(2.0 * float(np.sum(m * mu * mu)) / excess, 0.1, 1e3))),)


@dataclass(frozen=True)
class NegativeBinomial1(CountFamily):
    """Negative binomial counts with variance mu (1 + phi); xi = log phi.

    Parameters
    ----------
    link : {"log", "identity"}
        Link function.
    """

    link: str = "log"

    name: ClassVar[str] = "nbinom1"
    links: ClassVar[tuple[str, ...]] = ("log", "identity")
    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (Auxiliary("dispersion", "log"),)

    def working(self, y: Floats) -> tuple[Family, Floats]:
        """Poisson."""
        return Poisson(self.link), y

    def constant(self, y: Floats, m: Floats) -> Floats:
        """-m log y!."""
        return -m * special.gammaln(y + 1.0)

    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Size k = mu / phi and probability 1 / (1 + phi)."""
        phi = np.exp(xi[0])
        k = np.where(self.mu(eta) > 0, self.mu(eta), np.nan) / phi
        return m * (_log_rising(y, k) - k * np.log1p(phi) + y * (xi[0] - np.log1p(phi)))

    def slopes(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
        """r and w."""
        phi = np.exp(xi[0])
        mean = self.linkage.derivatives(eta)
        k = np.where(mean[0] > 0, mean[0], np.nan) / phi
        s0 = (_digamma_rising(y, k) - np.log1p(phi)) / phi
        s1 = (polygamma(1, y + k) - polygamma(1, k)) / phi**2
        return m * s0 * mean[1], -m * (s1 * mean[1] ** 2 + s0 * mean[2])

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2."""
        phi = np.exp(xi[0])
        mean = self.linkage.derivatives(eta)
        k = np.where(mean[0] > 0, mean[0], np.nan) / phi
        score = (
            (_digamma_rising(y, k) - np.log1p(phi)) / phi,
            *((polygamma(i, y + k) - polygamma(i, k)) / phi ** (i + 1) for i in (1, 2, 3)),
        )
        r, w, w1, w2 = through_link(score, mean)
        return m * r, m * w, m * w1, m * w2

    def auxiliary_slopes(
        self, y: Floats, m: Floats, eta: Floats, xi: Predictors
    ) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """Derivatives in log phi; k falls as phi grows."""
        phi = np.exp(xi[0])
        share = phi / (1.0 + phi)
        mean = self.linkage.derivatives(eta)
        k = np.where(mean[0] > 0, mean[0], np.nan) / phi
        d0 = _digamma_rising(y, k)
        d1, d2 = (polygamma(i, y + k) - polygamma(i, k) for i in (1, 2))
        dl = m * (-k * (d0 - np.log1p(phi)) - k * share + y * (1.0 - share))
        ds = -(d0 - np.log1p(phi) + k * d1 + share) / phi
        ds2 = -(2.0 * d1 + k * d2) / phi**2
        return ((dl, m * ds * mean[1], -m * (ds2 * mean[1] ** 2 + ds * mean[2])),)

    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """mu (1 + phi) / m."""
        return self.mu(eta) * (1.0 + np.exp(xi[0])) / m

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Poisson counts with gamma means."""
        phi = np.broadcast_to(np.exp(xi[0]), eta.shape)
        return rng.poisson(rng.gamma(self.mu(eta) / phi, phi)).astype(np.float64)

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        phi = np.exp(xi[0])
        return negative_binomial_cdf(y, self.mu(eta) / phi, 1.0 / (1.0 + phi))

    def cdf_below(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y < y)."""
        return self.cdf(y - 1.0, m, eta, xi)

    @property
    def has_deviance(self) -> bool:
        """No saturated model in closed form."""
        return False

    def first_auxiliary(self, y: Floats, m: Floats, eta: Floats) -> tuple[float, ...]:
        """Half the overdispersion by moments."""
        mu = self.mu(eta)
        excess = float(np.sum(m * ((y - mu) ** 2 - mu))) / float(np.sum(m * mu))
        return (float(np.log(np.clip(0.5 * excess, 0.05, 1e3))),)


def _log_rising(y: Floats, k: Floats) -> Floats:
    """log Gamma(y + k) - log Gamma(k), without cancellation where k is large."""
    with np.errstate(invalid="ignore", divide="ignore"):
        exact = special.gammaln(y + k) - special.gammaln(k)
        # Stirling's series for the difference at large k
        s = y + k
        series = (s - 0.5) * np.log1p(y / k) + y * np.log(k) - y + (1.0 / s - 1.0 / k) / 12.0
    return np.where(k > 1e5, series, exact)


def _digamma_rising(y: Floats, k: Floats) -> Floats:
    return np.asarray(special.digamma(y + k) - special.digamma(k), np.float64)
