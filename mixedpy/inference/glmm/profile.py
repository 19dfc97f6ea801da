"""Profile likelihood of a generalized fit: the parameters in lme4's order and their profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.glmm.profile import GlmmSlice, Profiler, has_profiles, profiler
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.profile.solve import Point
from mixedpy.core.profile.walk import walk
from mixedpy.errors import MixedpyError
from mixedpy.inference.names import Parameter
from mixedpy.inference.profile import Curve, Profiles, default_cutoff

__all__ = ["profile_glmm"]

_FIRST = 0.9
"""First step in units of what would reach the cutoff if zeta were straight, where only the limits are wanted."""


def profile_glmm(
    design: Design,
    record: GlmmRecord,
    control: Control,
    every: Sequence[Parameter],
    chosen: Sequence[Parameter],
    cutoff: float | None,
    *,
    limits_alone: bool = False,
) -> Profiles:
    """Profile parameters of a generalized model.

    Parameters
    ----------
    design, record, control
        The fit.
    every, chosen : sequence of Parameter
        All parameters, and those to profile.
    cutoff : float, optional
        |zeta| up to which to go; by default lme4's.
    limits_alone : bool
        Whether to go there in few and long steps.

    Raises
    ------
    MixedpyError
        For a fit by ``nagq=0``.
    """
    if record.nagq == 0:
        raise MixedpyError("profiles are of fits with nagq=1 or more; use method='wald' or method='boot'")
    reach = default_cutoff(len(every)) if cutoff is None else cutoff
    nowhere = Point(record.criterion, record.Lambda, 1.0, record.beta, False, record.alpha)
    reason, ready = _ready(design, record, control)
    if ready is None:
        return Profiles(tuple(every), nowhere, tuple(Curve(one, reason=reason) for one in chosen))
    estimate = ready.point(ready.optimum)
    if record.criterion < estimate.deviance:  # a correlation of one has no direction of finite length
        estimate = replace(estimate, deviance=record.criterion)
    curves = []
    for one in chosen:
        found = _slice(one, design, record, control, ready)
        if isinstance(found, str):
            curves.append(Curve(one, reason=found))
            continue
        first = found.first * (_FIRST * reach if limits_alone else 0.5)
        lower, upper = (walk(found, estimate, sign, reach, first) for sign in (-1, 1))
        curves.append(Curve(one, found, lower, upper))
    return Profiles(tuple(every), estimate, tuple(curves))


def _ready(design: Design, record: GlmmRecord, control: Control) -> tuple[str, Profiler | None]:
    """The fit made ready, or why it has no profiles."""
    if not has_profiles(design):
        names = sorted({term.template.name for term in design.terms} - {"us", "diag"})
        form = " and ".join(map(repr, names))
        return f"profiles are not available for the covariance form {form}; use method='boot'", None
    if not record.convergence.converged:
        return "the fit did not converge", None
    ready = profiler(design, record, control)
    if ready is None or not ready.point(ready.optimum).converged:
        return "the fit did not converge in standard deviations and correlations", None
    return "", ready


def _slice(one: Parameter, design: Design, record: GlmmRecord, control: Control, ready: Profiler) -> GlmmSlice | str:
    """The constrained problem of a parameter, or why there is none."""
    assert one.kind != "sigma"
    if one.kind != "cor":
        return GlmmSlice(ready, one.kind, one.term, one.a, one.b)
    if not np.isfinite(ready.point(ready.optimum).correlation(one.term, one.a, one.b)):
        return "a standard deviation is estimated as zero, so that the correlation is not defined"
    if design.terms[one.term].m == 2:
        return GlmmSlice(ready, one.kind, one.term, one.a, one.b)
    own = profiler(design, record, control, (one.term, (one.b, one.a)))
    if own is None or not own.point(own.optimum).converged:
        return "the fit did not converge with this correlation as a parameter"
    return GlmmSlice(own, one.kind, one.term, one.a, one.b)
