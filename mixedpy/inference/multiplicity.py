"""p values and critical values that allow for several tests at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
from scipy import optimize, stats

from mixedpy.core.arrays import Floats

__all__ = ["Adjust", "Family", "adjusted_pvalues", "check_adjust", "critical_values"]

Adjust = Literal["none", "tukey", "scheffe", "sidak", "bonferroni", "holm", "hochberg", "fdr", "by", "dunnettx", "mvt"]
"""Names of the methods; "fdr" is Benjamini and Hochberg's, "by" Benjamini and Yekutieli's."""

_DRAWS = 2**16
"""Points of the quasi-Monte-Carlo rule for "mvt"; probabilities are good to about 2e-4."""


@dataclass(frozen=True, slots=True)
class Family:
    """Tests that are adjusted together.

    Attributes
    ----------
    means : int
        Number of means that are compared, for Tukey's method.
    rank : int
        Rank of the hypotheses, for Scheffe's.
    correlation : (r, r) array
        Correlations of the r estimates, for the multivariate t distribution.
    """

    means: int
    rank: int
    correlation: Floats


def check_adjust(method: str) -> Adjust:
    """Read the name of a method, "bh" and "BH" being "fdr"."""
    name = method.lower() if isinstance(method, str) else method
    name = "fdr" if name == "bh" else name
    for known in get_args(Adjust):
        if name == known:
            return known
    raise ValueError(f"adjust={method!r} is unknown; use one of {', '.join(map(repr, get_args(Adjust)))}")


def adjusted_pvalues(t: Floats, df: Floats, method: Adjust, family: Family) -> Floats:
    """Adjust two-sided p values for the number of tests.

    Parameters
    ----------
    t, df : (r,) arrays
        t ratios and their degrees of freedom; NaN stays NaN and is not counted.
    method : Adjust
        How.
    family : Family
        What the tests have in common.

    Returns
    -------
    (r,) array
        Adjusted p values.

    Examples
    --------
    >>> family = Family(3, 2, np.eye(3))
    >>> adjusted_pvalues(np.array([2.0, 1.0, 3.0]), np.full(3, 20.0), "bonferroni", family).round(4).tolist()
    [0.1778, 0.9878, 0.0212]
    """
    out = np.full(len(t), np.nan)
    known = np.isfinite(t)
    x, nu, r = np.abs(t[known]), df[known], int(known.sum())
    p = 2.0 * stats.t.sf(x, nu)
    if r <= 1 and method != "scheffe":
        method = "none"
    match method:
        case "none":
            found = p
        case "tukey":
            found = _range_sf(x, nu, family.means)
        case "scheffe":
            found = _f_sf(x**2 / family.rank, family.rank, nu)
        case "sidak":
            found = -np.expm1(r * np.log1p(-p))
        case "dunnettx":
            found = _dunnett_sf(x, nu, r)
        case "mvt":
            largest = _maxima(family.correlation[np.ix_(known, known)], nu)
            found = np.array([np.mean(m > v) for m, v in zip(largest, x, strict=True)])
            found = np.clip(found, p, np.minimum(1.0, r * p))
        case _:
            found = _stepwise(p, method)
    out[known] = np.clip(found, 0.0, 1.0)
    return out


def critical_values(level: float, df: Floats, method: Adjust, family: Family) -> Floats:
    """Half widths of simultaneous two-sided intervals, in standard errors.

    Methods without intervals of their own ("holm", "hochberg", "fdr", "by") give Bonferroni's.

    Parameters
    ----------
    level : float
        Joint confidence level of all r intervals; of each for "none".
    df : (r,) array
        Degrees of freedom.
    method : Adjust
        How.
    family : Family
        What the intervals have in common.
    """
    r = len(df)
    if r <= 1 and method != "scheffe":
        method = "none"
    match method:
        case "none":
            found = stats.t.isf(0.5 * (1.0 - level), df)
        case "tukey":
            found = _of_each(lambda nu: _quantile(partial(_range_sf, k=family.means), level, nu, r), df)
        case "scheffe":
            found = np.sqrt(family.rank * _f_isf(1.0 - level, family.rank, df))
        case "sidak":
            found = stats.t.isf(0.5 * (1.0 - level ** (1.0 / r)), df)
        case "dunnettx":
            found = _of_each(lambda nu: _quantile(partial(_dunnett_sf, r=r), level, nu, r), df)
        case "mvt":
            found = np.array([np.quantile(m, level) for m in _maxima(family.correlation, df)])
        case _:
            found = stats.t.isf(0.5 * (1.0 - level) / r, df)
    return np.asarray(found, np.float64)


def _of_each(value: Callable[[float], float], df: Floats) -> Floats:
    """Evaluate a function at each number, once where they agree."""
    distinct, inverse = np.unique(df, return_inverse=True)
    return np.array([value(nu) for nu in distinct.tolist()])[inverse]


def _range_sf(x: Floats, df: Floats, k: float) -> Floats:
    """Upper tail of the studentized range of k means at sqrt(2) x."""
    return np.array([stats.studentized_range.sf(np.sqrt(2.0) * v, k, nu) for v, nu in zip(x, df, strict=True)])


def _f_sf(F: Floats, ndf: int, ddf: Floats) -> Floats:
    asymptotic = np.isinf(ddf)
    finite = np.where(asymptotic, 1.0, ddf)
    return np.where(asymptotic, stats.chi2.sf(ndf * F, ndf), stats.f.sf(F, ndf, finite))


def _f_isf(q: float, ndf: int, ddf: Floats) -> Floats:
    asymptotic = np.isinf(ddf)
    finite = np.where(asymptotic, 1.0, ddf)
    return np.where(asymptotic, stats.chi2.isf(q, ndf) / ndf, stats.f.isf(q, ndf, finite))


def _dunnett_sf(x: Floats, df: Floats, r: int) -> Floats:
    """Approximate P(max |t| > x) for r comparisons with a control, as the R package emmeans has it.

    A mean of the distribution for all pairs of as many means as have r pairs, and of that for independent tests, with
    weights (r - 1) / r and 1 / r.
    """
    pairs = _range_sf(x, df, 0.5 * (1.0 + np.sqrt(1.0 + 8.0 * r)))
    independent = 1.0 - (1.0 - 2.0 * stats.t.sf(x, df)) ** r
    return (r - 1) / r * pairs + independent / r


def _quantile(tail: Callable[[Floats, Floats], Floats], level: float, df: float, r: int) -> float:
    """Where the tail of a maximum of r dependent t ratios is 1 - level: beyond one test, within Bonferroni's."""
    nu = np.array([df])
    lower, upper = stats.t.isf(0.5 * (1.0 - level) / np.array([1.0, r + 1.0]), df).tolist()
    return float(optimize.brentq(lambda x: tail(np.array([x]), nu)[0] - (1.0 - level), lower, upper, xtol=1e-9))


def _maxima(correlation: Floats, df: Floats) -> list[Floats]:
    """Quasi-random draws of max |t| of a multivariate t distribution, for the degrees of freedom of each estimate."""
    values, vectors = np.linalg.eigh(correlation)
    kept = values > 1e-10 * values[-1]
    root = vectors[:, kept] * np.sqrt(values[kept])
    points = stats.qmc.Sobol(root.shape[1] + 1, seed=0).random(_DRAWS)
    points = np.clip(points, 0.5 / _DRAWS, 1.0 - 0.5 / _DRAWS)
    largest = np.abs(stats.norm.ppf(points[:, :-1]) @ root.T).max(axis=1)
    of_df = {nu: _root_mean_square(points[:, -1], nu) for nu in set(df.tolist())}
    return [largest / of_df[nu] for nu in df.tolist()]


def _root_mean_square(u: Floats, df: float) -> Floats | float:
    """Draws of sqrt(chi2 / df)."""
    return 1.0 if np.isinf(df) else np.asarray(np.sqrt(stats.chi2.ppf(u, df) / df), np.float64)


def _stepwise(p: Floats, method: Adjust) -> Floats:
    """Bonferroni's method and those that go through the ordered p values."""
    r = len(p)
    if method == "bonferroni":
        return np.minimum(1.0, r * p)
    order = np.argsort(p)
    sorted_p, rank = p[order], np.arange(1, r + 1)
    if method == "holm":
        stepped = np.maximum.accumulate((r - rank + 1) * sorted_p)
    else:
        factor = r - rank + 1.0 if method == "hochberg" else r / rank
        if method == "by":
            factor = factor * np.sum(1.0 / rank)
        stepped = np.minimum.accumulate((factor * sorted_p)[::-1])[::-1]
    out = np.empty(r)
    out[order] = np.minimum(1.0, stepped)
    return out
