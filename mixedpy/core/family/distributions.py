"""Distribution functions by SciPy's special functions, all vectorized over the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["beta_binomial_cdf", "binomial_cdf", "inverse_gaussian_cdf", "negative_binomial_cdf"]

Floats = NDArray[np.float64]

_CHUNK = 1 << 20
"""Entries of a table of probabilities that are summed at a time."""


def binomial_cdf(k: Floats, n: Floats, p: Floats) -> Floats:
    """P(K <= k) of k successes in n trials.

    Examples
    --------
    >>> binomial_cdf(np.array([-1.0, 0.0, 1.0, 2.0]), np.array([2.0]), np.array([0.5]))
    array([0.  , 0.25, 0.75, 1.  ])
    """
    inside = special.betainc(np.maximum(n - k, 0.5), np.maximum(k + 1.0, 0.5), 1.0 - p)
    return np.where(k < 0, 0.0, np.where(k >= n, 1.0, inside))


def negative_binomial_cdf(k: Floats, size: Floats, p: Floats) -> Floats:
    """P(K <= k) of k failures before ``size`` successes of probability p.

    Examples
    --------
    >>> negative_binomial_cdf(np.array([-1.0, 0.0, 1.0]), np.array([1.0]), np.array([0.5]))
    array([0.  , 0.5 , 0.75])
    """
    return np.where(k < 0, 0.0, special.betainc(size, np.maximum(k + 1.0, 0.5), p))


def inverse_gaussian_cdf(y: Floats, mu: Floats, shape: Floats) -> Floats:
    """P(Y <= y) with mean mu and variance mu^3 / shape (Shuster 1968, J. Am. Stat. Assoc. 63, 1514).

    Examples
    --------
    >>> inverse_gaussian_cdf(np.array([1.0]), np.array([1.0]), np.array([1.0])).round(4)
    array([0.6681])
    """
    root = np.sqrt(shape / y)
    tail = np.exp(2.0 * shape / mu + special.log_ndtr(-root * (y / mu + 1.0)))
    return np.asarray(special.ndtr(root * (y / mu - 1.0)) + tail, np.float64)


def beta_binomial_cdf(k: Floats, n: Floats, a: Floats, b: Floats) -> Floats:
    """P(K <= k) of k successes in n trials whose probability has a beta distribution, by summation.

    Examples
    --------
    >>> one = np.ones(3)
    >>> beta_binomial_cdf(np.array([-1.0, 0.0, 2.0]), 2 * one, one, one).round(4)  # uniform on 0, 1, 2
    array([0.    , 0.3333, 1.    ])
    """
    k, n, a, b = np.broadcast_arrays(k, n, a, b)
    out = np.zeros(len(k))
    most = int(max(k.max(), 0.0)) + 1
    step = max(_CHUNK // most, 1)
    j = np.arange(most, dtype=np.float64)
    for start in range(0, len(k), step):  # blocks of rows, so that the table of probabilities stays small
        rows = slice(start, start + step)
        K, N, A, B = (v[rows, None] for v in (k, n, a, b))
        within = j <= K
        J = np.where(within, j, 0.0)
        choose = special.gammaln(N + 1.0) - special.gammaln(J + 1.0) - special.gammaln(N - J + 1.0)
        logs = choose + special.betaln(J + A, N - J + B) - special.betaln(A, B)
        out[rows] = np.where(within, np.exp(logs), 0.0).sum(axis=1)
    return np.minimum(out, 1.0)
