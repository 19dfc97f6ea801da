"""Shares with their own dispersion: beta and beta-binomial, mean mu and precision phi (a = mu phi, b = (1 - mu) phi).

Ferrari & Cribari-Neto (2004, J. Appl. Stat. 31, 799); xi = log phi. Prior weights multiply l of the beta family and are
numbers of trials of the beta-binomial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from mixedpy.core.family.binomial import Binomial, trials_offence
from mixedpy.core.family.compose import through_link
from mixedpy.core.family.distributions import beta_binomial_cdf
from mixedpy.core.family.polygamma import polygamma
from mixedpy.core.family.protocol import Auxiliary, Family, Floats, Offence, Predictors, first_offence

__all__ = ["Beta", "BetaBinomial"]

_LINKS = ("logit", "probit", "cloglog", "cauchit")


def _differences(a: Floats, b: Floats, x: Floats | float, z: Floats | float, order: int) -> tuple[Floats, Floats]:
    """psi^(order) at a + x less that at a, and the same of b and z."""
    if order == 0:  # polygamma of order 0 computes the others as well
        up, down = special.digamma(a + x) - special.digamma(a), special.digamma(b + z) - special.digamma(b)
    else:
        up = polygamma(order, a + x) - polygamma(order, a)
        down = polygamma(order, b + z) - polygamma(order, b)
    return np.asarray(up, np.float64), np.asarray(down, np.float64)


@dataclass(frozen=True)
class Beta(Family):
    """Shares strictly between 0 and 1.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog", "cauchit"}
        Link function.
    """

    link: str = "logit"

    name: ClassVar[str] = "beta"
    links: ClassVar[tuple[str, ...]] = _LINKS
    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (Auxiliary("precision", "log"),)

    def check(self, y: Floats, m: Floats) -> Offence | None:
        """Inside (0, 1)."""
        return first_offence("numbers between 0 and 1, both excluded", ~((y > 0) & (y < 1)))

    def working(self, y: Floats) -> tuple[Family, Floats]:
        """Binomial."""
        return Binomial(self.link), y

    def constant(self, y: Floats, m: Floats) -> Floats:
        """-m log(y (1 - y))."""
        return -m * (np.log(y) + np.log1p(-y))

    def _shapes(self, mu: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats]:
        phi = np.exp(xi[0])
        return phi, np.maximum(mu, 1e-300) * phi, np.maximum(1.0 - mu, 1e-300) * phi

    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """a log y + b log(1 - y) - log B(a, b)."""
        phi, a, b = self._shapes(self.mu(eta), xi)
        log_beta = special.gammaln(a) + special.gammaln(b) - special.gammaln(phi)
        return m * (a * np.log(y) + b * np.log1p(-y) - log_beta)

    def slopes(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
        """r and w."""
        mean = self.linkage.derivatives(eta)
        phi, a, b = self._shapes(mean[0], xi)
        s = phi * (np.log(y) - np.log1p(-y) - special.digamma(a) + special.digamma(b))
        s1 = -phi * phi * (polygamma(1, a) + polygamma(1, b))
        return m * s * mean[1], -m * (s1 * mean[1] ** 2 + s * mean[2])

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2."""
        mean = self.linkage.derivatives(eta)
        phi, a, b = self._shapes(mean[0], xi)
        score = (
            phi * (np.log(y) - np.log1p(-y) - special.digamma(a) + special.digamma(b)),
            -(phi**2) * (polygamma(1, a) + polygamma(1, b)),
            -(phi**3) * (polygamma(2, a) - polygamma(2, b)),
            -(phi**4) * (polygamma(3, a) + polygamma(3, b)),
        )
        r, w, w1, w2 = through_link(score, mean)
        return m * r, m * w, m * w1, m * w2

    def auxiliary_slopes(
        self, y: Floats, m: Floats, eta: Floats, xi: Predictors
    ) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """Derivatives in log phi."""
        mean = self.linkage.derivatives(eta)
        phi, a, b = self._shapes(mean[0], xi)
        da, db = special.digamma(a), special.digamma(b)
        ta, tb = polygamma(1, a), polygamma(1, b)
        dl = a * (np.log(y) - da) + b * (np.log1p(-y) - db) + phi * special.digamma(phi)
        ds = phi * (np.log(y) - np.log1p(-y) - da + db - a * ta + b * tb)
        ds1 = -(phi**2) * (2.0 * (ta + tb) + a * polygamma(2, a) + b * polygamma(2, b))
        return ((m * dl, m * ds * mean[1], -m * (ds1 * mean[1] ** 2 + ds * mean[2])),)

    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """mu (1 - mu) / (1 + phi) / m."""
        mu = self.mu(eta)
        return mu * (1.0 - mu) / (1.0 + np.exp(xi[0])) / m

    def pearson_scale(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Square root of the variance."""
        return np.sqrt(self.variance(m, eta, xi))

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Shares."""
        _, a, b = self._shapes(self.mu(eta), xi)
        return np.clip(rng.beta(a, b), 1e-12, 1.0 - 1e-12)

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        _, a, b = self._shapes(self.mu(eta), xi)
        return np.asarray(special.betainc(a, b, y), np.float64)

    @property
    def has_deviance(self) -> bool:
        """No saturated model in closed form."""
        return False

    def first_eta(self, y: Floats, m: Floats) -> Floats:
        """Link of the response."""
        return self.linkage.link(np.clip(y, 1e-4, 1.0 - 1e-4))

    def first_auxiliary(self, y: Floats, m: Floats, eta: Floats) -> tuple[float, ...]:
        """Precision by moments, 0.7 of the residual variation left to the response."""
        mu = self.mu(eta)
        ratio = 0.7 * float(np.mean((y - mu) ** 2 / (mu * (1.0 - mu))))
        return (float(np.log(max(1.0 / ratio - 1.0, 0.1))),)


@dataclass(frozen=True)
class BetaBinomial(Family):
    """Shares of successes among m trials whose probability varies by a beta distribution.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog", "cauchit"}
        Link function.
    """

    link: str = "logit"

    name: ClassVar[str] = "betabinomial"
    links: ClassVar[tuple[str, ...]] = _LINKS
    auxiliary: ClassVar[tuple[Auxiliary, ...]] = (Auxiliary("precision", "log"),)
    discrete: ClassVar[bool] = True

    def check(self, y: Floats, m: Floats) -> Offence | None:
        """Shares of whole numbers of trials."""
        return trials_offence(y, m)

    def working(self, y: Floats) -> tuple[Family, Floats]:
        """Binomial."""
        return Binomial(self.link), y

    def constant(self, y: Floats, m: Floats) -> Floats:
        """Logarithm of the binomial coefficient."""
        k = np.rint(m * y)
        return special.gammaln(m + 1.0) - special.gammaln(k + 1.0) - special.gammaln(m - k + 1.0)

    def _shapes(self, mu: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats]:
        phi = np.exp(xi[0])
        return phi, np.maximum(mu, 1e-300) * phi, np.maximum(1.0 - mu, 1e-300) * phi

    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """log B(k + a, m - k + b) - log B(a, b)."""
        k = np.rint(m * y)
        phi, a, b = self._shapes(self.mu(eta), xi)
        rising = special.gammaln(k + a) - special.gammaln(a) + special.gammaln(m - k + b) - special.gammaln(b)
        return rising - (special.gammaln(m + phi) - special.gammaln(phi))

    def slopes(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
        """r and w."""
        mean = self.linkage.derivatives(eta)
        s0, s1 = self._scores(y, m, mean[0], xi, 2)
        return s0 * mean[1], -(s1 * mean[1] ** 2 + s0 * mean[2])

    def _scores(self, y: Floats, m: Floats, mu: Floats, xi: Predictors, n: int) -> tuple[Floats, ...]:
        """dl/dmu and its first n - 1 derivatives."""
        k = np.rint(m * y)
        phi, a, b = self._shapes(mu, xi)
        out = []
        for order in range(n):
            up, down = _differences(a, b, k, m - k, order)
            out.append(phi ** (order + 1) * (up - down if order % 2 == 0 else up + down))
        return tuple(out)

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2."""
        mean = self.linkage.derivatives(eta)
        return through_link(self._scores(y, m, mean[0], xi, 4), mean)

    def auxiliary_slopes(
        self, y: Floats, m: Floats, eta: Floats, xi: Predictors
    ) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """Derivatives in log phi."""
        k = np.rint(m * y)
        mean = self.linkage.derivatives(eta)
        phi, a, b = self._shapes(mean[0], xi)
        u0, d0 = _differences(a, b, k, m - k, 0)
        u1, d1 = _differences(a, b, k, m - k, 1)
        u2, d2 = _differences(a, b, k, m - k, 2)
        dl = a * u0 + b * d0 - phi * (special.digamma(m + phi) - special.digamma(phi))
        ds = phi * (u0 - d0 + a * u1 - b * d1)
        ds1 = phi**2 * (2.0 * (u1 + d1) + a * u2 + b * d2)
        return ((dl, ds * mean[1], -(ds1 * mean[1] ** 2 + ds * mean[2])),)

    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """mu (1 - mu) / m (1 + (m - 1) / (phi + 1))."""
        mu = self.mu(eta)
        return mu * (1.0 - mu) / m * (1.0 + (m - 1.0) / (np.exp(xi[0]) + 1.0))

    def pearson_scale(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Square root of the variance."""
        return np.sqrt(self.variance(m, eta, xi))

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Shares of successes."""
        _, a, b = self._shapes(self.mu(eta), xi)
        trials = np.broadcast_to(np.rint(m).astype(np.int64), eta.shape)
        return rng.binomial(trials, rng.beta(a, b)) / m

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        _, a, b = self._shapes(self.mu(eta), xi)
        return beta_binomial_cdf(np.rint(m * y), np.rint(m), a, b)

    def cdf_below(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y < y)."""
        _, a, b = self._shapes(self.mu(eta), xi)
        return beta_binomial_cdf(np.rint(m * y) - 1.0, np.rint(m), a, b)

    @property
    def has_deviance(self) -> bool:
        """No saturated model in closed form."""
        return False

    def first_eta(self, y: Floats, m: Floats) -> Floats:
        """Link of (successes + 1/2) / (trials + 1)."""
        return self.linkage.link((m * y + 0.5) / (m + 1.0))

    def first_auxiliary(self, y: Floats, m: Floats, eta: Floats) -> tuple[float, ...]:
        """Precision by moments."""
        mu = self.mu(eta)
        excess = float(np.mean(m * (y - mu) ** 2 / (mu * (1.0 - mu)) - 1.0)) / max(float(np.mean(m - 1.0)), 1.0)
        return (float(np.log(max(1.0 / max(0.5 * excess, 1e-3) - 1.0, 0.5))),)
