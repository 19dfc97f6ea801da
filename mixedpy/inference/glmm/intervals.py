"""Confidence intervals of a generalized fit: parameters in lme4's order, by profiles, Wald or the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.glmm.profile import Profiler, profiler
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.errors import MixedpyError

__all__ = ["GlmmProfile", "Place", "interval_names", "parameter_places", "parameter_values", "profile_glmm"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parameter stands.

    Attributes
    ----------
    name : str
        ``.sig01``, ... as lme4 numbers them, or the name of a coefficient.
    kind : str
        "sd", "corr", "beta" or "alpha".
    term, a, b : int
        Term and effects of a standard deviation or correlation; position a of a coefficient.
    """

    name: str
    kind: str
    term: int
    a: int
    b: int = 0


def parameter_places(design: Design, fixed: Sequence[str], auxiliary: Sequence[str]) -> list[Place]:
    """List standard deviations and correlations term by term, then fixed effects, then the family's own."""
    out: list[Place] = []
    for t, term in enumerate(design.terms):
        full = term.template.size > term.m
        pairs = [(a, b) for b in range(term.m) for a in range(b, term.m) if full or a == b]
        for a, b in pairs:
            out.append(Place(f".sig{len(out) + 1:02d}", "sd" if a == b else "corr", t, a, b))
    out += [Place(name, "beta", 0, k) for k, name in enumerate(fixed)]
    return out + [Place(name, "alpha", 0, k) for k, name in enumerate(auxiliary)]


def parameter_values(places: Sequence[Place], record: GlmmRecord) -> Floats:
    """Estimates of the parameters."""
    return np.array([_value(place, record) for place in places])


def _value(place: Place, record: GlmmRecord) -> float:
    if place.kind == "beta":
        return float(record.beta[place.a])
    if place.kind == "alpha":
        return float(record.alpha[place.a])
    rows = record.Lambda[place.term][[place.a, place.b]]
    sizes = np.sqrt((rows * rows).sum(axis=1))
    if place.kind == "sd":
        return float(sizes[0])
    return float(rows[0] @ rows[1] / (sizes[0] * sizes[1])) if sizes.all() else float("nan")


def interval_names(level: float) -> list[str]:
    """Columns of a table of intervals.

    Examples
    --------
    >>> interval_names(0.95)
    ['2.5 %', '97.5 %']
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r} must lie between 0 and 1")
    return [f"{100.0 * share:.4g} %" for share in ((1.0 - level) / 2.0, (1.0 + level) / 2.0)]


@dataclass(frozen=True, slots=True)
class GlmmProfile:
    """Profiles of the parameters of a generalized fit.

    Attributes
    ----------
    zeta : DataFrame
        Columns ``parameter``, ``value`` and ``zeta``, the signed root of the increase of the deviance.
    limits : DataFrame
        Limits at the level of the profile.
    """

    zeta: pd.DataFrame
    limits: pd.DataFrame

    def confint(self) -> pd.DataFrame:
        """Return the limits."""
        return self.limits.copy()


def profile_glmm(
    design: Design, record: GlmmRecord, control: Control, places: Sequence[Place], chosen: Sequence[str], level: float
) -> GlmmProfile:
    """Profile the chosen parameters out to the limits of a level.

    Raises
    ------
    MixedpyError
        If the covariance structures have no standard deviations of their own, or the fit is nagq=0.
    """
    columns = interval_names(level)
    ready = profiler(design, record, control) if record.nagq > 0 else None
    if ready is None:
        raise MixedpyError(
            "profiles are available for fits with nagq=1 or more and unstructured or diagonal covariances; use "
            'method="wald" or method="boot"'
        )
    quantile = float(ndtri(0.5 + 0.5 * level))
    frames, limits = [], []
    for place in places:
        if place.name not in chosen:
            continue
        index, low = _index(ready, design, place)
        if index is None:
            limits.append((np.nan, np.nan))
            continue
        trace = ready.trace(index, quantile, low=low)
        value = _correlation if place.kind == "corr" else _same
        frames.append(pd.DataFrame({"parameter": place.name, "value": value(trace.x), "zeta": trace.zeta}))
        limits.append(tuple(value(np.array([trace.low, trace.high])).tolist()))
    table = pd.DataFrame(limits, index=list(chosen), columns=columns)
    return GlmmProfile(pd.concat(frames, ignore_index=True), table)


def _index(ready: Profiler, design: Design, place: Place) -> tuple[int | None, float]:
    """Position of a parameter among those of the profiler, and its lower bound."""
    layout = ready.objective.layout
    if place.kind == "beta":
        return layout.k + place.a, -np.inf
    if place.kind == "alpha":
        return layout.k + layout.p + place.a, -np.inf
    share = layout.parameters.slices[ready.objective.problem.order.index(place.term)]
    if place.kind == "sd":
        return share.start + place.a, 0.0
    m = design.terms[place.term].m
    return (share.start + m, -np.inf) if m == 2 else (None, -np.inf)


def _correlation(t: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(t), np.sign(t), t / np.sqrt(1.0 + t * t))


def _same(x: Floats) -> Floats:
    return x
