"""Tail probabilities and quantiles of the usual distributions; infinite degrees of freedom are the limit.

``scipy.stats`` has them too, but takes a second to import and brings scikit-sparse with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from mixedpy.core.arrays import Floats

__all__ = [
    "beta_quantile",
    "chi2_isf",
    "chi2_sf",
    "f_isf",
    "f_sf",
    "normal_density",
    "normal_quantile",
    "studentized_range_sf",
    "t_isf",
    "t_sf",
]

_NODES = 96
"""Points of the Gauss-Legendre rules of the studentized range; probabilities are good to about 1e-12."""

_NEGLIGIBLE = 1e-22
"""Probability that is cut off at either end of an integral."""


def normal_density(x: npt.ArrayLike) -> Any:
    """Standard normal density."""
    return np.exp(-0.5 * np.square(x)) / np.sqrt(2.0 * np.pi)


def normal_quantile(p: npt.ArrayLike) -> Any:
    """Value that a standard normal variable does not exceed with probability p."""
    return special.ndtri(p)


def t_sf(t: npt.ArrayLike, df: npt.ArrayLike) -> Any:
    """Upper tail of Student's t distribution.

    Examples
    --------
    >>> t_sf(2.0, [10.0, np.inf]).round(5).tolist()
    [0.03669, 0.02275]
    """
    limit = np.isinf(df)
    return np.where(limit, special.ndtr(-np.asarray(t)), special.stdtr(np.where(limit, 1.0, df), -np.asarray(t)))


def t_isf(q: npt.ArrayLike, df: npt.ArrayLike) -> Any:
    """Value that Student's t exceeds with probability q."""
    limit = np.isinf(df)
    return np.where(limit, -special.ndtri(q), -special.stdtrit(np.where(limit, 1.0, df), q))


def chi2_sf(x: npt.ArrayLike, df: npt.ArrayLike) -> Any:
    """Upper tail of the chi-square distribution."""
    return special.chdtrc(df, x)


def chi2_isf(q: npt.ArrayLike, df: npt.ArrayLike) -> Any:
    """Value that chi-square exceeds with probability q."""
    return special.chdtri(df, q)


def f_sf(F: npt.ArrayLike, ndf: npt.ArrayLike, ddf: npt.ArrayLike) -> Any:
    """Upper tail of the F distribution.

    Examples
    --------
    >>> f_sf(3.0, 2, [12.0, np.inf]).round(5).tolist()
    [0.08779, 0.04979]
    """
    limit, scaled = np.isinf(ddf), np.asarray(F) * ndf
    return np.where(limit, special.chdtrc(ndf, scaled), special.fdtrc(ndf, np.where(limit, 1.0, ddf), F))


def f_isf(q: npt.ArrayLike, ndf: npt.ArrayLike, ddf: npt.ArrayLike) -> Any:
    """Value that F exceeds with probability q."""
    limit, n = np.isinf(ddf), np.asarray(ndf, float)
    d = np.where(limit, 1.0, ddf)
    b = special.betaincinv(0.5 * d, 0.5 * n, q)  # d / (d + n F)
    return np.where(limit, special.chdtri(n, q) / n, d * (1.0 - b) / (n * b))


def beta_quantile(p: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike) -> Any:
    """Value that a beta variable does not exceed with probability p."""
    return special.betaincinv(a, b, p)


def studentized_range_sf(q: float, k: float, df: float) -> float:
    """Upper tail of the range of k independent normal means divided by an independent estimate of their sd.

    With s = chi / sqrt(df), P(Q > q) is the expectation of

        k int phi(z) {Phi(z)^(k-1) - [Phi(z) - Phi(z - q s)]^(k-1)} dz

    in s. The number of means need not be whole.

    Parameters
    ----------
    q : float
        The range.
    k : float
        Number of means.
    df : float
        Degrees of freedom of the sd.

    Examples
    --------
    >>> round(studentized_range_sf(3.5, 3, 20.0), 6)
    0.055892
    """
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    z = 9.5 * points
    inner_weights = 9.5 * weights * normal_density(z) * k
    below = special.ndtr(z)
    s, outer_weights = _chi_rule(df, points, weights)
    ratio = np.minimum(special.ndtr(z - q * s[:, None]) / below, 1.0 - 1e-16)
    lost = -np.expm1((k - 1.0) * np.log1p(-ratio))
    return float(outer_weights @ (lost @ (inner_weights * below ** (k - 1.0))))


def _chi_rule(df: float, points: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Points and weights for the expectation over chi / sqrt(df)."""
    if np.isinf(df):
        return np.ones(1), np.ones(1)
    half = 0.5 * df
    low, high = np.sqrt([special.gammaincinv(half, _NEGLIGIBLE) / half, special.gammainccinv(half, _NEGLIGIBLE) / half])
    s = 0.5 * (high + low) + 0.5 * (high - low) * points
    log_density = np.log(2.0) + half * np.log(half) - special.gammaln(half) + (df - 1.0) * np.log(s) - half * s * s
    return s, 0.5 * (high - low) * weights * np.exp(log_density)
