"""Quantiles of new observations of a generalized fit.

Given its linear predictor a response has the distribution function F; the linear predictor is known up to a normal
error, of the estimates and of the random effects that are not given. P(Y <= y) = E F(y | eta + s Z) is computed by
Gauss-Hermite quadrature and inverted by bisection, so that nothing is left to chance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mixedpy.core.arrays import Floats
from mixedpy.core.family import Beta, BetaBinomial, Binomial, Family, Gaussian
from mixedpy.core.family.protocol import Predictors
from mixedpy.inference.glmm.response import check_means

__all__ = ["predictive_quantiles"]

Reached: TypeAlias = Callable[[Floats], NDArray[np.bool_]]
"""Whether P(Y <= y) has reached the probability, for every row."""

_NODES = 31
_BISECTIONS = 60
_DOUBLINGS = 200


def predictive_quantiles(
    family: Family, m: Floats, eta: Floats, xi: Predictors, variance: Floats, probability: float
) -> Floats:
    """Compute quantiles of the response, (n,): the least value whose probability reaches the one given.

    Parameters
    ----------
    m : (n,) array
        Prior weights: numbers of trials of shares.
    eta, variance : (n,) arrays
        Mean and variance of the linear predictor; rows of NaN are NaN.
    probability : float
        Between 0 and 1.

    Raises
    ------
    MixedpyError
        If means leave the range of the family at some node, as with the link identity.
    """
    known = np.isfinite(eta) & np.isfinite(m) & np.isfinite(variance)
    for x in xi:
        known &= np.isfinite(x)
    own = tuple(x if len(x) == 1 else x[known] for x in xi)
    m, nodes = m[known], np.polynomial.hermite_e.hermegauss(_NODES)
    etas = eta[known] + nodes[0][:, None] * np.sqrt(variance[known])  # (nodes, rows)
    share = nodes[1] / nodes[1].sum()
    seen = share > 1e-9  # the outermost nodes count for nothing but may leave the range of the means
    etas, share = etas[seen], share[seen] / share[seen].sum()
    check_means(family, etas.ravel(), "prediction intervals")

    def reached(y: Floats) -> NDArray[np.bool_]:
        below = np.zeros(len(y))
        for one, w in zip(etas, share, strict=True):
            below += w * family.cdf(y, m, one, own)
        return np.asarray(below >= probability)

    found = np.full(len(eta), np.nan)
    found[known] = _least(family, m, reached)
    return found


def _least(family: Family, m: Floats, reached: Reached) -> Floats:
    """The least value of the support that has been reached, for every row."""
    n = len(m)
    if isinstance(family, Binomial | BetaBinomial):
        trials = np.rint(m)
        return _whole(lambda k: reached(k / trials), trials) / trials
    if isinstance(family, Beta):
        logit = _between(lambda t: reached(special.expit(t)), np.full(n, -700.0), np.full(n, 36.0))
        return np.asarray(special.expit(logit), np.float64)
    if family.discrete:
        return _whole(reached, _beyond(reached, np.ones(n)))
    if isinstance(family, Gaussian):
        low = -_beyond(lambda y: ~reached(-y), np.ones(n))
        return _between(reached, low, _beyond(reached, np.ones(n)))
    return np.exp(_between(lambda t: reached(np.exp(t)), np.full(n, -700.0), np.full(n, 700.0)))


def _beyond(reached: Reached, top: Floats) -> Floats:
    """Double a value until it is reached."""
    for _ in range(_DOUBLINGS):
        up = reached(top)
        if up.all():
            break
        top = np.where(up, top, 2.0 * top)
    return top


def _between(reached: Reached, low: Floats, high: Floats) -> Floats:
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        up = reached(middle)
        low, high = np.where(up, low, middle), np.where(up, middle, high)
    return 0.5 * (low + high)


def _whole(reached: Reached, high: Floats) -> Floats:
    """The least whole number from 0 to ``high`` that is reached."""
    low = np.full(len(high), -1.0)
    while (high - low > 1.0).any():
        middle = np.floor(0.5 * (low + high))
        up = reached(middle)
        low, high = np.where(up, low, middle), np.where(up, middle, high)
    return high
