"""Counts with their own process of zeros, on top of any family of counts.

Zero-inflated: with probability pi a structural zero, otherwise a count. Hurdle: with probability pi a zero, otherwise a
count from the family truncated at zero. The last auxiliary predictor is logit pi; glmmTMB's ``ziformula`` gives its
columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import inf

import numpy as np
from scipy import special

from mixedpy.core.family.compose import chain
from mixedpy.core.family.counts import CountFamily, Poisson, counts_offence
from mixedpy.core.family.protocol import Auxiliary, Family, Floats, Offence, Predictors

__all__ = ["Hurdle", "ZeroInflated"]

_ZERO = Auxiliary("zeros", "logit")


@dataclass(frozen=True)
class _WithZeros(Family):
    """What both kinds share."""

    link: str = field(init=False)
    counts: CountFamily

    def __init__(self, counts: CountFamily):
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "link", counts.link)

    @property
    def links(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the counts."""
        return self.counts.links

    @cached_property
    def auxiliary(self) -> tuple[Auxiliary, ...]:  # type: ignore[override]
        """Those of the counts, and the zeros."""
        return (*self.counts.auxiliary, _ZERO)

    discrete = True
    mean_range = (0.0, inf)

    @property
    def concave(self) -> bool:
        """Not in general."""
        return False

    def check(self, y: Floats, m: Floats) -> Offence | None:
        """Whole numbers that are not negative."""
        return counts_offence(y)

    def working(self, y: Floats) -> tuple[Family, Floats]:
        """Poisson, with about the mean of the positive counts at zeros."""
        return Poisson(self.link), self.mu(self.first_eta(y, np.ones(1)))

    def slopes(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
        """r and w."""
        return self.derivatives(y, m, eta, xi)[:2]

    def _log_zero(self, eta: Floats, xi: Predictors) -> tuple[Floats, tuple[Floats, Floats, Floats, Floats]]:
        """log P(count = 0) and its first four derivatives in eta."""
        zero, one = np.zeros_like(eta), np.ones(1)
        r, w, w1, w2 = self.counts.derivatives(zero, one, eta, xi[:-1])
        return self.counts.log_zero(eta, xi[:-1]), (r, -w, -w1, -w2)

    def _log_zero_auxiliary(self, eta: Floats, xi: Predictors) -> tuple[tuple[Floats, Floats, Floats], ...]:
        return self.counts.auxiliary_slopes(np.zeros_like(eta), np.ones(1), eta, xi[:-1])

    @property
    def has_deviance(self) -> bool:
        """No saturated model in closed form."""
        return False

    def pearson_scale(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Square root of the variance."""
        return np.sqrt(self.variance(m, eta, xi))

    def first_eta(self, y: Floats, m: Floats) -> Floats:
        """Link of the count where there is one, of the mean of the positive counts at zeros."""
        positive = y > 0
        mean = float(np.mean(y[positive])) if positive.any() else 1.0
        return self.linkage.link(np.where(positive, y, 0.5 * mean))

    def cdf_below(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y < y)."""
        return self.cdf(y - 1.0, m, eta, xi)

    def _first_of_counts(self, y: Floats, m: Floats, eta: Floats) -> tuple[float, ...]:
        positive = y > 0
        if not positive.any():
            return tuple(0.0 for _ in self.counts.auxiliary)
        weights = m if len(m) == 1 else m[positive]
        return self.counts.first_auxiliary(y[positive], weights, eta[positive])


@dataclass(frozen=True, init=False)
class ZeroInflated(_WithZeros):
    """Counts with structural zeros: P(0) = pi + (1 - pi) P(count = 0).

    Parameters
    ----------
    counts : CountFamily
        Distribution of the counts.
    """

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the counts, with a prefix."""
        return f"zero-inflated {self.counts.name}"

    def constant(self, y: Floats, m: Floats) -> Floats:
        """That of the counts, where they are positive."""
        return np.where(y > 0, self.counts.constant(y, m), 0.0)

    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """log((1 - pi) P(y)), and log(pi + (1 - pi) P(0)) at zero."""
        zi = xi[-1]
        counted = self.counts.kernel(y, np.ones(1), eta, xi[:-1])
        at_zero = np.logaddexp(zi, self.counts.log_zero(eta, xi[:-1]))
        return m * (np.where(y > 0, counted, at_zero) - np.logaddexp(0.0, zi))

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2; q is the probability that a zero is a count."""
        counted = self.counts.derivatives(y, np.ones(1), eta, xi[:-1])
        log_zero, inner = self._log_zero(eta, xi)
        q = special.expit(log_zero - xi[-1])
        s = q * special.expit(xi[-1] - log_zero)
        l1, l2, l3, l4 = chain((q, s, s * (1.0 - 2.0 * q), s * (1.0 - 6.0 * s)), inner)
        zero = y == 0
        r, w, w1, w2 = (np.where(zero, at_zero, c) for at_zero, c in zip((l1, -l2, -l3, -l4), counted, strict=True))
        return m * r, m * w, m * w1, m * w2

    def auxiliary_slopes(
        self, y: Floats, m: Floats, eta: Floats, xi: Predictors
    ) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """Derivatives in the predictors of the counts, then in logit pi."""
        log_zero, (g1, g2, _, _) = self._log_zero(eta, xi)
        q = special.expit(log_zero - xi[-1])
        s = q * special.expit(xi[-1] - log_zero)
        s1 = s * (1.0 - 2.0 * q)
        zero = y == 0
        out = []
        counted = self.counts.auxiliary_slopes(y, np.ones(1), eta, xi[:-1])
        for (al, ar, aw), (dl, dr, dw) in zip(self._log_zero_auxiliary(eta, xi), counted, strict=True):
            # log P(0) moves by al, its derivatives in eta by ar and -aw
            second = s1 * al * g1 * g1 + 2.0 * s * g1 * ar + s * al * g2 - q * aw
            out.append(
                (
                    m * np.where(zero, q * al, dl),
                    m * np.where(zero, s * al * g1 + q * ar, dr),
                    m * np.where(zero, -second, dw),
                )
            )
        pi = special.expit(xi[-1])
        out.append(
            (
                m * (np.where(zero, 1.0 - q, 0.0) - pi),
                m * np.where(zero, -s * g1, 0.0),
                m * np.where(zero, s1 * g1 * g1 + s * g2, 0.0),
            )
        )
        return tuple(out)

    def mean(self, eta: Floats, xi: Predictors) -> Floats:
        """(1 - pi) mu."""
        return special.expit(-xi[-1]) * self.mu(eta)

    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """(1 - pi) (Var + pi mu^2) / m."""
        pi, mu = special.expit(xi[-1]), self.mu(eta)
        return (1.0 - pi) * (self.counts.variance(np.ones(1), eta, xi[:-1]) + pi * mu * mu) / m

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Counts."""
        structural = rng.random(len(eta)) < special.expit(xi[-1])
        return np.where(structural, 0.0, self.counts.draw(rng, m, eta, xi[:-1]))

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        pi = special.expit(xi[-1])
        return np.where(y < 0, 0.0, pi + (1.0 - pi) * self.counts.cdf(y, m, eta, xi[:-1]))

    def first_auxiliary(self, y: Floats, m: Floats, eta: Floats) -> tuple[float, ...]:
        """Half of the zeros structural."""
        share = np.clip(0.5 * float(np.mean(y == 0)), 0.02, 0.9)
        return (*self._first_of_counts(y, m, eta), float(special.logit(share)))


@dataclass(frozen=True, init=False)
class Hurdle(_WithZeros):
    """Zeros apart: P(0) = pi, and positive counts from the family truncated at zero.

    Parameters
    ----------
    counts : CountFamily
        Distribution that is truncated.
    """

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the counts, with a prefix."""
        return f"hurdle {self.counts.name}"

    def constant(self, y: Floats, m: Floats) -> Floats:
        """That of the counts, where they are positive."""
        return np.where(y > 0, self.counts.constant(y, m), 0.0)

    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """log pi at zero, log(1 - pi) + log(P(y) / (1 - P(0))) above."""
        zi = xi[-1]
        counted = self.counts.kernel(y, np.ones(1), eta, xi[:-1])
        truncation = np.log(-np.expm1(self.counts.log_zero(eta, xi[:-1])))
        return m * (np.where(y > 0, counted - truncation, zi) - np.logaddexp(0.0, zi))

    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2; zeros tell nothing of the counts."""
        counted = self.counts.derivatives(y, np.ones(1), eta, xi[:-1])
        log_zero, inner = self._log_zero(eta, xi)
        o = np.exp(log_zero) / -np.expm1(log_zero)
        t1, t2, t3, t4 = chain(
            (o, o * (1.0 + o), o * (1.0 + o) * (1.0 + 2.0 * o), o * (1.0 + o) * (1.0 + 6.0 * o + 6.0 * o * o)), inner
        )
        positive = y > 0
        r, w, w1, w2 = (np.where(positive, c + t, 0.0) for c, t in zip(counted, (t1, -t2, -t3, -t4), strict=True))
        return m * r, m * w, m * w1, m * w2

    def auxiliary_slopes(
        self, y: Floats, m: Floats, eta: Floats, xi: Predictors
    ) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """Derivatives in the predictors of the counts, then in logit pi."""
        log_zero, (g1, g2, _, _) = self._log_zero(eta, xi)
        o = np.exp(log_zero) / -np.expm1(log_zero)
        o1 = o * (1.0 + o)
        o2 = o1 * (1.0 + 2.0 * o)
        positive = y > 0
        out = []
        counted = self.counts.auxiliary_slopes(y, np.ones(1), eta, xi[:-1])
        for (al, ar, aw), (dl, dr, dw) in zip(self._log_zero_auxiliary(eta, xi), counted, strict=True):
            second = o2 * al * g1 * g1 + 2.0 * o1 * g1 * ar + o1 * al * g2 - o * aw
            out.append(
                (
                    m * np.where(positive, dl + o * al, 0.0),
                    m * np.where(positive, dr + o1 * al * g1 + o * ar, 0.0),
                    m * np.where(positive, dw - second, 0.0),
                )
            )
        zeros = np.zeros_like(eta)
        out.append((m * ((y == 0) - special.expit(xi[-1])) + zeros, zeros, zeros))
        return tuple(out)

    def mean(self, eta: Floats, xi: Predictors) -> Floats:
        """(1 - pi) mu / (1 - P(0))."""
        return special.expit(-xi[-1]) * self.mu(eta) / -np.expm1(self.counts.log_zero(eta, xi[:-1]))

    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """E Y^2 - (E Y)^2."""
        mu, mean = self.mu(eta), self.mean(eta, xi)
        above = -np.expm1(self.counts.log_zero(eta, xi[:-1]))
        square = special.expit(-xi[-1]) * (self.counts.variance(np.ones(1), eta, xi[:-1]) + mu * mu) / above
        return (square - mean * mean) / m

    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Counts; the truncated ones by rejection of zeros."""
        zero = rng.random(len(eta)) < special.expit(xi[-1])
        y = self.counts.draw(rng, m, eta, xi[:-1])
        xi = tuple(np.broadcast_to(x, eta.shape) for x in xi)
        for _ in range(10_000):
            again = np.flatnonzero((y == 0) & ~zero)
            if len(again) == 0:
                break
            y[again] = self.counts.draw(rng, np.ones(1), eta[again], tuple(x[again] for x in xi[:-1]))
        else:
            y[again] = 1.0  # a mean so near zero that a positive count is one
        return np.where(zero, 0.0, y)

    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y)."""
        pi = special.expit(xi[-1])
        p0 = np.exp(self.counts.log_zero(eta, xi[:-1]))
        above = (self.counts.cdf(y, m, eta, xi[:-1]) - p0) / (1.0 - p0)
        return np.where(y < 0, 0.0, pi + (1.0 - pi) * np.maximum(above, 0.0))

    def first_auxiliary(self, y: Floats, m: Floats, eta: Floats) -> tuple[float, ...]:
        """All zeros are the hurdle's."""
        share = np.clip(float(np.mean(y == 0)), 0.02, 0.98)
        return (*self._first_of_counts(y, m, eta), float(special.logit(share)))
