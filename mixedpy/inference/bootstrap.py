"""Bootstrap replicates of a model's parameters: plans of batches, their numbers, and intervals from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.distributions import normal_quantile
from mixedpy.core.refit.errors import Errors
from mixedpy.core.refit.refit import Refits
from mixedpy.inference.intervals import check_level, interval_columns
from mixedpy.inference.names import Parameter, parameter_table, roots_of
from mixedpy.inference.seeds import check_seed

__all__ = [
    "Batch",
    "Block",
    "Kind",
    "Scale",
    "batches",
    "block_of_refits",
    "check_nsim",
    "count_failures",
    "failed_block",
    "intervals",
    "parameter_errors",
    "parameter_scales",
]

Kind = Literal["percentile", "basic", "studentized"]

Scale = Literal["identity", "log", "atanh"]
"""Where a statistic is studentized, so that limits stay within its range."""

_Function = Callable[[Floats], Floats]

_SCALES: dict[Scale, tuple[_Function, _Function, _Function]] = {
    "identity": (lambda x: x, np.ones_like, lambda z: z),
    "log": (np.log, lambda x: 1.0 / x, np.exp),
    "atanh": (np.arctanh, lambda x: 1.0 / (1.0 - x**2), np.tanh),
}
"""Each scale as a function, its slope and its inverse."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Replicates that are drawn from one stream of random numbers, whoever computes them."""

    count: int
    seed: np.random.SeedSequence


@dataclass(frozen=True, slots=True)
class Block:
    """Results of some replicates.

    Attributes
    ----------
    values : (B, k) array
        Statistics; NaN in replicates that failed.
    errors : (B, k) array
        Their standard errors, NaN where none is known.
    failures : tuple of (str or None)
        Why each replicate failed, None if it did not.
    """

    values: Floats
    errors: Floats
    failures: tuple[str | None, ...]


def check_nsim(nsim: int) -> int:
    """Raise a ValueError unless nsim is a whole number, at least 1."""
    if isinstance(nsim, bool) or not isinstance(nsim, int | np.integer) or nsim < 1:
        raise ValueError(f"nsim={nsim!r} must be a whole number, at least 1")
    return int(nsim)


def batches(nsim: int, size: int, seed: int | np.random.Generator | None) -> list[Batch]:
    """Divide replicates into batches with random numbers of their own, so that results do not depend on who works."""
    check_seed(seed)
    entropy = int(seed.integers(2**63)) if isinstance(seed, np.random.Generator) else seed
    counts = [size] * (nsim // size) + ([nsim % size] if nsim % size else [])
    streams = np.random.SeedSequence(entropy).spawn(len(counts))
    return [Batch(count, stream) for count, stream in zip(counts, streams, strict=True)]


def block_of_refits(design: Design, parameters: Sequence[Parameter], refits: Refits) -> Block:
    """Turn refits into parameters with their standard errors."""
    roots = [sigma_root * refits.sigma for sigma_root in roots_of(design, refits.theta)]
    values = parameter_table(parameters, roots, refits.sigma, refits.beta)
    errors = parameter_errors(parameters, refits.unscaled_vcov, refits.sigma, refits.errors)
    impossible = np.isnan(refits.criterion)
    failures: list[str | None] = [None] * refits.count
    for b in np.flatnonzero(~refits.converged):
        failures[b] = "the criterion has no finite value" if impossible[b] else "the fit did not converge"
    values[~refits.converged], errors[~refits.converged] = np.nan, np.nan
    return Block(values, errors, tuple(failures))


def parameter_errors(
    parameters: Sequence[Parameter], unscaled_vcov: Floats, sigma: Floats, found: Errors | None
) -> Floats:
    """Standard errors of k parameters in B replicates, (B, k).

    Parameters
    ----------
    parameters : sequence of Parameter
        Which ones.
    unscaled_vcov : (B, p, p) array
        (X'V^-1X)^-1.
    sigma : (B,) array
        Residual standard deviations.
    found : Errors or None
        Of standard deviations and correlations; None leaves them NaN.
    """
    out = np.full((len(sigma), len(parameters)), np.nan)
    fixed = np.sqrt(np.einsum("bxx->bx", unscaled_vcov)) * sigma[:, None]
    for k, one in enumerate(parameters):
        if one.kind == "fixed":
            out[:, k] = fixed[:, one.a]
        elif found is not None:
            out[:, k] = found.sigma if one.kind == "sigma" else found.terms[one.term][:, one.a, one.b]
    return out


def parameter_scales(parameters: Sequence[Parameter]) -> dict[str, Scale]:
    """The scale of each parameter by its name: logarithms of standard deviations, atanh of correlations."""
    scales: dict[str, Scale] = {"sd": "log", "sigma": "log", "cor": "atanh", "fixed": "identity", "family": "identity"}
    return {one.name: scales[one.kind] for one in parameters}


def failed_block(width: int, reason: str) -> Block:
    """A replicate that failed, of k = width statistics."""
    nothing = np.full((1, width), np.nan)
    return Block(nothing, nothing, (reason,))


def count_failures(blocks: Iterable[Block]) -> dict[str, int]:
    """Number of failed replicates by reason."""
    return dict(Counter(reason for block in blocks for reason in block.failures if reason is not None))


def intervals(
    estimate: pd.Series[float],
    replicates: pd.DataFrame,
    level: float,
    kind: Kind,
    estimate_error: pd.Series[float],
    errors: pd.DataFrame,
    scales: Mapping[str, Scale],
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Compute confidence limits.

    Parameters
    ----------
    estimate : Series
        Statistics of the data, (k,).
    replicates : DataFrame
        Replicates, (nsim, k); NaN is left out.
    level : float
        Confidence level.
    kind : {"percentile", "basic", "studentized"}
        Quantiles of the replicates; reflected at the estimate; or of the replicates studentized by their own standard
        errors (Davison & Hinkley 1997, section 5.2). Quantiles are those of order (R + 1) alpha, between order
        statistics interpolated on the normal scale, as in R's ``boot.ci``.
    estimate_error, errors
        Standard errors of the estimates and of the replicates, for "studentized".
    scales : mapping of str to Scale
        On which statistics are studentized; those not named, on their own. Standard errors go there by the delta
        method, and the limits come back, so that those of a standard deviation are positive and those of a correlation
        within -1 and 1.

    Returns
    -------
    DataFrame
        Limits.
    dict of str to str
        Why limits are missing.
    """
    check_level(level)
    if kind not in get_args(Kind):
        raise ValueError(f"kind={kind!r} is unknown; use one of {', '.join(map(repr, get_args(Kind)))}")
    tails = np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level])
    rows, reasons = [], {}
    for name in replicates.columns:
        at, values = float(estimate[name]), replicates[name].to_numpy(float)
        if kind == "studentized":
            scale = scales.get(name, "identity")
            spread = errors[name].to_numpy(float)
            rows.append(_studentized(at, values, float(estimate_error[name]), spread, tails, scale))
            if not np.isfinite(estimate_error[name]):
                reasons[name] = "it has no standard error; use kind='percentile' or 'basic'"
            elif not np.isfinite(rows[-1]).all():
                reasons[name] = "too many replicates have no standard error; use kind='percentile' or 'basic'"
            continue
        values = values[np.isfinite(values)]
        if not len(values):
            rows.append((np.nan, np.nan))
            reasons[name] = "no replicate has a value"
            continue
        low, high = _quantiles(values, tails)
        rows.append((low, high) if kind == "percentile" else (2.0 * at - high, 2.0 * at - low))
    return pd.DataFrame(rows, index=list(replicates.columns), columns=interval_columns(level)), reasons


def _studentized(
    at: float, values: Floats, error: float, errors: Floats, tails: Floats, scale: Scale
) -> tuple[float, float]:
    """Limits from replicates divided by their standard errors on a scale; NaN where there are none.

    Standard deviations and correlations on the boundary of their range have no standard error. Such a replicate is
    farther from the estimate than all others on its side: a limit that it decides is the end of the range, and NaN
    where the range has no end, above a standard deviation.
    """
    to, slope, back = _SCALES[scale]
    with np.errstate(invalid="ignore", divide="ignore"):
        center, spread = to(np.array([at]))[0], (slope(np.array([at])) * error)[0]
        t = (to(values) - center) / (slope(values) * errors)
        if scale != "identity":
            t = np.where(np.isfinite(values) & np.isnan(errors), np.copysign(np.inf, values - at), t)
        t = t[~np.isnan(t)]
        if not np.isfinite(spread) or not len(t):
            return np.nan, np.nan
        limits = back(center - np.array(_quantiles(t, tails)[::-1]) * spread)
    low, high = np.where(np.isfinite(limits), limits, np.nan).tolist()
    return low, high


def _quantiles(values: Floats, tails: Floats) -> tuple[float, float]:
    """Order statistics at (R + 1) alpha; between two, interpolated on the scale of normal quantiles."""
    ordered, R = np.sort(values), len(values)
    out = []
    for tail in tails.tolist():
        position = (R + 1) * tail
        k = int(np.floor(position + 1e-9))
        if k < 1 or k >= R:
            out.append(float(ordered[0] if k < 1 else ordered[-1]))
            continue
        before, after, want = (float(normal_quantile(p)) for p in (k / (R + 1), (k + 1) / (R + 1), tail))
        share = (want - before) / (after - before)
        low, high = float(ordered[k - 1]), float(ordered[k])
        out.append(low if share < 1e-9 else (1.0 - share) * low + share * high)
    return out[0], out[1]
