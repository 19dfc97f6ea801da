"""Binomial responses: y is a share of successes among m trials, l = m (y log F + (1 - y) log(1 - F)) + const."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from mixedpy.core.family.distributions import binomial_cdf
from mixedpy.core.family.links import find_link
from mixedpy.core.family.protocol import Family, Floats, Offence, Predictors, first_offence

__all__ = ["Binomial", "trials_offence"]

_INTEGER = 1e-5
"""Successes this near to a whole number are taken as whole (proportions are rounded in files)."""


def trials_offence(y: Floats, m: Floats) -> Offence | None:
    """Rules of a share y of m trials."""
    with np.errstate(invalid="ignore"):
        found = first_offence("a share of successes between 0 and 1", (y < 0) | (y > 1))
        if found is not None:
            return found
        if len(m) == 1 and m[0] == 1.0:
            rule = "0 or 1; a proportion needs the number of trials in weights="
            return first_offence(rule, (y != 0) & (y != 1))
        found = first_offence("weights that are whole numbers of trials", np.abs(m - np.rint(m)) > _INTEGER)
        if found is not None:
            return found
        successes = m * y
        rule = "a whole number of successes, proportion times weight"
        return first_offence(rule, np.abs(successes - np.rint(successes)) > _INTEGER * np.maximum(1.0, m))


def _log_derivatives(name: str, eta: Floats) -> tuple[Floats, ...]:
    """f = log F(eta) and its first four derivatives."""
    if name == "logit":
        q = special.expit(-eta)
        pq = q * special.expit(eta)
        return -np.logaddexp(0.0, -eta), q, -pq, pq * (1.0 - 2.0 * q), -pq * (1.0 - 6.0 * pq)
    if name == "probit":  # kappa = phi / Phi
        f = special.log_ndtr(eta)
        kappa = np.exp(-0.5 * eta * eta - 0.5 * np.log(2.0 * np.pi) - f)
        f2 = -kappa * (eta + kappa)
        f3 = -f2 * (eta + kappa) - kappa * (1.0 + f2)
        return f, kappa, f2, f3, -f3 * (eta + 2.0 * kappa) - 2.0 * f2 * (1.0 + f2)
    if name == "cloglog":
        v = np.exp(np.minimum(eta, 30.0))
        with np.errstate(over="ignore"):
            k = v / np.expm1(v)
        c = 1.0 - v - k
        f2 = k * c
        f3 = f2 * c - k * (v + f2)
        return np.log(-np.expm1(-v)), k, f2, f3, f3 * c - 2.0 * f2 * (v + f2) - k * (v + f3)
    if name == "log":
        zero = np.zeros_like(eta)
        feasible = np.where(eta < 0.0, 0.0, np.nan)  # a probability is below one
        return eta + feasible, 1.0 + feasible, zero, zero, zero
    F, *rest = find_link(name).derivatives(eta)
    return _of_logarithm(F, rest)


def _of_logarithm(F: Floats, rest: list[Floats]) -> tuple[Floats, ...]:
    q1, q2, q3, q4 = (d / F for d in rest)
    return (
        np.log(F),
        q1,
        q2 - q1 * q1,
        q3 - 3.0 * q1 * q2 + 2.0 * q1**3,
        q4 - 4.0 * q1 * q3 - 3.0 * q2 * q2 + 12.0 * q1 * q1 * q2 - 6.0 * q1**4,
    )


def _log_complement_derivatives(name: str, eta: Floats) -> tuple[Floats, ...]:
    """g = log(1 - F(eta)) and its first four derivatives."""
    if name == "cloglog":
        v = -np.exp(np.minimum(eta, 30.0))
        return v, v, v, v, v
    if name == "log":
        with np.errstate(divide="ignore", invalid="ignore"):
            rest = np.where(eta < 0.0, -np.expm1(np.minimum(eta, 0.0)), np.nan)
        o = np.exp(np.minimum(eta, 0.0)) / rest
        return (
            np.log(rest),
            -o,
            -o * (1.0 + o),
            -o * (1.0 + o) * (1.0 + 2.0 * o),
            -o * (1.0 + o) * (1.0 + 6.0 * o + 6.0 * o * o),
        )
    f, f1, f2, f3, f4 = _log_derivatives(name, -eta)  # the others are symmetric: 1 - F(eta) = F(-eta)
    return f, -f1, f2, -f3, f4


@dataclass(frozen=True)
class Binomial(Family):
    """Shares of successes.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog", "cauchit", "log"}
        Link function.

    Examples
    --------
    >>> Binomial("probit").mu(np.array([0.0]))
    array([0.5])
    """

    link: str = "logit"

    name: ClassVar[str] = "binomial"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog", "cauchit", "log")
    discrete: ClassVar[bool] = True

    @property
    def concave(self) -> bool:
        """True but for cauchit."""
        return self.link != "cauchit"

    @property
    def canonical(self) -> bool:
        """True for logit."""
        return self.link == "logit"

    @property
    def multiplicative(self) -> bool:
        """Never: a share cannot exceed one."""
        return False

    def check(self, y: Floats, m: Floats) -> Offence | None:
        """Shares of whole numbers of trials."""
        return trials_offence(y, m)

    def constant(self, y: Floats, m: Floats) -> Floats:
        """Logarithm of the binomial coefficient."""
        if len(m) == 1 and m[0] == 1.0:
            return np.zeros_like(y)
        successes = np.rint(m * y)
        return special.gammaln(m + 1.0) - special.gammaln(successes + 1.0) - special.gammaln(m - successes + 1.0)

    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """m (y log F + (1 - y) log(1 - F))."""
        if self.link == "logit":
            out = np.abs(eta)
            np.negative(out, out=out)
            np.log1p(np.exp(out, out=out), out=out)
            out += np.maximum(eta, 0.0)
            np.subtract(y * eta, out, out=out)
            out *= m
            return out
        f = _log_derivatives(self.link, eta)[0]
        g = _log_complement_derivatives(self.link, eta)[0]
        return m * (np.where(y > 0, y * f, 0.0) + np.where(y < 1, (1.0 - y) * g, 0.0))

    def slopes(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
        """r and w."""
        if self.link == "logit":
            p = _expit(eta)
            r, w = y - p, p * (1.0 - p)
            if len(m) > 1:
                r *= m
                w *= m
            return r, w
        return self.derivatives(y, m, eta, xi)[:2]

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2."""
        if self.link == "logit":
            p = _expit(eta)
            q = p * (1.0 - p)
            r = y - p
            if len(m) > 1:
                r *= m
                return r, m * q, m * (q * (1.0 - 2.0 * p)), m * (q * (1.0 - 6.0 * q))
            return r, q, q * (1.0 - 2.0 * p), q * (1.0 - 6.0 * q)
        f, g = _log_derivatives(self.link, eta), _log_complement_derivatives(self.link, eta)
        l1, l2, l3, l4 = (
            m * (np.where(y > 0, y * f[k], 0.0) + np.where(y < 1, (1.0 - y) * g[k], 0.0)) for k in (1, 2, 3, 4)
        )
        return l1, -l2, -l3, -l4

    @property
    def has_expected(self) -> bool:
        """Always."""
        return True

    def expected(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats]:
        """v = m F'^2 / (F (1 - F)) = -m (F f'' + (1 - F) g''), and its derivatives by the product rule."""
        F, F1, F2 = self.linkage.derivatives(eta)[:3]
        f, g = _log_derivatives(self.link, eta), _log_complement_derivatives(self.link, eta)
        rest = np.exp(g[0])
        v = F * f[2] + rest * g[2]
        v1 = F1 * (f[2] - g[2]) + F * f[3] + rest * g[3]
        v2 = F2 * (f[2] - g[2]) + 2.0 * F1 * (f[3] - g[3]) + F * f[4] + rest * g[4]
        return -m * v, -m * v1, -m * v2

    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """F (1 - F) / m."""
        return self.pearson_scale(m, eta, xi) ** 2

    def pearson_scale(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """sqrt(F (1 - F) / m), precise in both tails."""
        f, g = _log_derivatives(self.link, eta)[0], _log_complement_derivatives(self.link, eta)[0]
        return np.exp(0.5 * (f + g)) / np.sqrt(m)

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Shares of successes."""
        trials = np.broadcast_to(np.rint(m).astype(np.int64), eta.shape)
        return rng.binomial(trials, self.mu(eta)) / m

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        return binomial_cdf(np.rint(m * y), np.rint(m), self.mu(eta))

    def cdf_below(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y < y)."""
        return binomial_cdf(np.rint(m * y) - 1.0, np.rint(m), self.mu(eta))

    def unit_deviance(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """2 m (y log(y / F) + (1 - y) log((1 - y) / (1 - F)))."""
        f, g = _log_derivatives(self.link, eta)[0], _log_complement_derivatives(self.link, eta)[0]
        saturated = special.xlogy(y, y) + special.xlogy(1.0 - y, 1.0 - y)
        fitted = np.where(y > 0, y * f, 0.0) + np.where(y < 1, (1.0 - y) * g, 0.0)
        return np.maximum(2.0 * m * (saturated - fitted), 0.0)

    def first_eta(self, y: Floats, m: Floats) -> Floats:
        """Link of (successes + 1/2) / (trials + 1)."""
        return self.linkage.link((m * y + 0.5) / (m + 1.0))


def _expit(eta: Floats) -> Floats:
    p = np.negative(eta)
    with np.errstate(over="ignore"):
        np.exp(p, out=p)
    p += 1.0
    np.divide(1.0, p, out=p)
    return p
