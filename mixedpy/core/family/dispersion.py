"""Exponential dispersion families: Gaussian, Gamma, inverse Gaussian.

l = kappa t(y, mu) + c(y, kappa) with kappa = m / phi and dt/dmu = (y - mu) / V(mu). Prior weights m divide the
dispersion phi, as in R's glm; xi = log(1 / phi).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np
from scipy import special

from mixedpy.core.family.compose import through_link
from mixedpy.core.family.distributions import inverse_gaussian_cdf
from mixedpy.core.family.protocol import Auxiliary, Family, Floats, Offence, Predictors, first_offence

__all__ = ["DispersionFamily", "Gamma", "Gaussian", "InverseGaussian"]


@dataclass(frozen=True)
class DispersionFamily(Family):
    """What the three families share."""

    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (Auxiliary("precision", "log"),)
    has_scale: ClassVar[bool] = True
    mean_range: ClassVar[tuple[float, float]] = (0.0, inf)

    @abstractmethod
    def variance_function(self, mu: Floats) -> Floats:
        """V(mu)."""

    @abstractmethod
    def _scores(self, y: Floats, mu: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """dt/dmu and its first three derivatives; NaN where mu is outside the family's means."""

    @abstractmethod
    def _exponent(self, y: Floats, eta: Floats) -> Floats:
        """t(y, mu(eta))."""

    @abstractmethod
    def _normalizer(self, y: Floats, kappa: Floats) -> tuple[Floats, Floats]:
        """c(y, kappa) without its part that depends on y alone, and dc/dkappa."""

    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """kappa t + c."""
        kappa = m * np.exp(xi[0])
        return kappa * self._exponent(y, eta) + self._normalizer(y, kappa)[0]

    def slopes(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
        """r and w."""
        return self.derivatives(y, m, eta, xi)[:2]

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2."""
        kappa = m * np.exp(xi[0])
        mean = self.linkage.derivatives(eta)
        r, w, w1, w2 = through_link(self._scores(y, mean[0]), mean)
        return kappa * r, kappa * w, kappa * w1, kappa * w2

    def auxiliary_slopes(
        self, y: Floats, m: Floats, eta: Floats, xi: Predictors
    ) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """Derivatives in log kappa: l is linear in kappa but for c."""
        kappa = m * np.exp(xi[0])
        r, w = self.slopes(y, m, eta, xi)
        return ((kappa * (self._exponent(y, eta) + self._normalizer(y, kappa)[1]), r, w),)

    @property
    def has_expected(self) -> bool:
        """Always."""
        return True

    def expected(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats]:
        """v = kappa mu'^2 / V(mu), with 1/V and its derivatives from the scores at y = mu."""
        kappa = m * np.exp(xi[0])
        mu, d1, d2, d3, _ = self.linkage.derivatives(eta)
        # dt/dmu = (y - mu) g(mu) with g = 1/V: its derivatives at y = mu are -g, -2 g', -3 g''
        _, s1, s2, s3 = self._scores(mu, mu)
        g, g1, g2 = -s1, -s2 / 2.0, -s3 / 3.0
        v1 = g1 * d1**3 + 2.0 * g * d1 * d2
        v2 = g2 * d1**4 + 5.0 * g1 * d1 * d1 * d2 + 2.0 * g * (d2 * d2 + d1 * d3)
        return kappa * g * d1 * d1, kappa * v1, kappa * v2

    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """phi V(mu) / m."""
        return np.exp(-xi[0]) * self.variance_function(self.mu(eta)) / m

    def pearson_scale(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """sqrt(V(mu) / m)."""
        return np.sqrt(self.variance_function(self.mu(eta)) / m)

    def first_auxiliary(self, y: Floats, m: Floats, eta: Floats) -> tuple[float, ...]:
        """1 / phi by moments, 0.7 of the residual variation left to the response."""
        mu = self.mu(eta)
        phi = 0.7 * float(np.mean(m * (y - mu) ** 2 / self.variance_function(mu)))
        return (-float(np.log(max(phi, 1e-12))),)


def _positive(y: Floats) -> Offence | None:
    return first_offence("positive numbers", ~(y > 0))


@dataclass(frozen=True)
class Gaussian(DispersionFamily):
    """Normal responses with a link other than the identity, or with it.

    Parameters
    ----------
    link : {"identity", "log", "inverse"}
        Link function.
    """

    link: str = "identity"

    name: ClassVar[str] = "gaussian"
    links: ClassVar[tuple[str, ...]] = ("identity", "log", "inverse")
    mean_range: ClassVar[tuple[float, float]] = (-inf, inf)

    @property
    def concave(self) -> bool:
        """True for the identity."""
        return self.link == "identity"

    @property
    def canonical(self) -> bool:
        """True for the identity."""
        return self.link == "identity"

    def check(self, y: Floats, m: Floats) -> Offence | None:
        """Any number."""
        return None

    def constant(self, y: Floats, m: Floats) -> Floats:
        """-log(2 pi) / 2."""
        return np.full_like(y, -0.5 * np.log(2.0 * np.pi))

    def variance_function(self, mu: Floats) -> Floats:
        """One."""
        return np.ones_like(mu)

    def _scores(self, y: Floats, mu: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        zero = np.zeros_like(mu)
        return y - mu, np.full_like(mu, -1.0), zero, zero

    def _exponent(self, y: Floats, eta: Floats) -> Floats:
        return -0.5 * (y - self.mu(eta)) ** 2

    def _normalizer(self, y: Floats, kappa: Floats) -> tuple[Floats, Floats]:
        return 0.5 * np.log(kappa), 0.5 / kappa

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Normal numbers."""
        return rng.normal(self.mu(eta), np.exp(-0.5 * xi[0]) / np.sqrt(m))

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        return np.asarray(special.ndtr((y - self.mu(eta)) * np.sqrt(m * np.exp(xi[0]))), np.float64)

    def unit_deviance(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """m (y - mu)^2."""
        return m * (y - self.mu(eta)) ** 2

    def first_eta(self, y: Floats, m: Floats) -> Floats:
        """Link of the response, moved into the link's domain."""
        if self.link == "identity":
            return y.copy()
        size = float(np.mean(np.abs(y))) or 1.0
        return self.linkage.link(np.maximum(y, 0.05 * size))


@dataclass(frozen=True)
class Gamma(DispersionFamily):
    """Gamma responses with shape 1 / phi; the coefficient of variation is constant.

    Parameters
    ----------
    link : {"inverse", "log", "identity"}
        Link function; ``"inverse"`` is R's default.
    """

    link: str = "inverse"

    name: ClassVar[str] = "Gamma"
    links: ClassVar[tuple[str, ...]] = ("inverse", "log", "identity")

    @property
    def concave(self) -> bool:
        """For log and inverse."""
        return self.link != "identity"

    @property
    def canonical(self) -> bool:
        """True for inverse."""
        return self.link == "inverse"

    def check(self, y: Floats, m: Floats) -> Offence | None:
        """Positive numbers."""
        return _positive(y)

    def constant(self, y: Floats, m: Floats) -> Floats:
        """-log y."""
        return -np.log(y)

    def variance_function(self, mu: Floats) -> Floats:
        """mu^2."""
        return mu * mu

    def _scores(self, y: Floats, mu: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        mu = np.where(mu > 0, mu, np.nan)
        return (
            (y - mu) / mu**2,
            (mu - 2.0 * y) / mu**3,
            (6.0 * y - 2.0 * mu) / mu**4,
            (6.0 * mu - 24.0 * y) / mu**5,
        )

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2."""
        if self.link != "log":
            return super().derivatives(y, m, eta, xi)
        kappa = m * np.exp(xi[0])
        with np.errstate(over="ignore"):
            w = kappa * (y * np.exp(-eta))
        return w - kappa, w, -w, w

    def _exponent(self, y: Floats, eta: Floats) -> Floats:
        if self.link == "log":
            with np.errstate(over="ignore"):
                x = y * np.exp(-eta)
            return np.log(y) - eta - x
        with np.errstate(invalid="ignore", divide="ignore"):
            x = y / np.where(self.mu(eta) > 0, self.mu(eta), np.nan)
            return np.log(x) - x

    def _normalizer(self, y: Floats, kappa: Floats) -> tuple[Floats, Floats]:
        return kappa * np.log(kappa) - special.gammaln(kappa), np.log(kappa) + 1.0 - special.digamma(kappa)

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Gamma numbers."""
        kappa = np.broadcast_to(m * np.exp(xi[0]), eta.shape)
        return rng.gamma(kappa, self.mu(eta) / kappa)

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        kappa = m * np.exp(xi[0])
        return np.asarray(special.gammainc(kappa, kappa * y / self.mu(eta)), np.float64)

    def unit_deviance(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """2 m ((y - mu) / mu - log(y / mu))."""
        x = y / self.mu(eta)
        return np.maximum(2.0 * m * (x - 1.0 - np.log(x)), 0.0)

    def first_eta(self, y: Floats, m: Floats) -> Floats:
        """Link of the response."""
        return self.linkage.link(y)


@dataclass(frozen=True)
class InverseGaussian(DispersionFamily):
    """Inverse Gaussian responses with variance phi mu^3.

    Parameters
    ----------
    link : {"1/mu^2", "inverse", "identity", "log"}
        Link function; ``"1/mu^2"`` is R's default.
    """

    link: str = "1/mu^2"

    name: ClassVar[str] = "inverse.gaussian"
    links: ClassVar[tuple[str, ...]] = ("1/mu^2", "inverse", "identity", "log")

    @property
    def canonical(self) -> bool:
        """True for 1/mu^2."""
        return self.link == "1/mu^2"

    @property
    def concave(self) -> bool:
        """True for 1/mu^2 (an exponential family in its natural parameter)."""
        return self.link == "1/mu^2"

    def check(self, y: Floats, m: Floats) -> Offence | None:
        """Positive numbers."""
        return _positive(y)

    def constant(self, y: Floats, m: Floats) -> Floats:
        """-log(2 pi y^3) / 2."""
        return -0.5 * (np.log(2.0 * np.pi) + 3.0 * np.log(y))

    def variance_function(self, mu: Floats) -> Floats:
        """mu^3."""
        return mu**3

    def _scores(self, y: Floats, mu: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        mu = np.where(mu > 0, mu, np.nan)
        return (
            (y - mu) / mu**3,
            (2.0 * mu - 3.0 * y) / mu**4,
            (12.0 * y - 6.0 * mu) / mu**5,
            (24.0 * mu - 60.0 * y) / mu**6,
        )

    def _exponent(self, y: Floats, eta: Floats) -> Floats:
        mu = self.mu(eta)
        mu = np.where(mu > 0, mu, np.nan)
        return -((y - mu) ** 2) / (2.0 * mu * mu * y)

    def _normalizer(self, y: Floats, kappa: Floats) -> tuple[Floats, Floats]:
        return 0.5 * np.log(kappa), 0.5 / kappa

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Inverse Gaussian numbers."""
        return rng.wald(self.mu(eta), np.broadcast_to(m * np.exp(xi[0]), eta.shape))

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        mu, kappa = self.mu(eta), m * np.exp(xi[0])
        return inverse_gaussian_cdf(y, mu, kappa)

    def unit_deviance(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """m (y - mu)^2 / (y mu^2)."""
        mu = self.mu(eta)
        return m * (y - mu) ** 2 / (y * mu * mu)

    def first_eta(self, y: Floats, m: Floats) -> Floats:
        """Link of the response."""
        return self.linkage.link(y)
