"""Profile likelihood of a fitted model: the parameters in lme4's order, their profiles and confidence limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.covariance import Diagonal, Unstructured
from mixedpy.core.distributions import chi2_isf
from mixedpy.core.estimate import Engine, estimate_prepared, prepare
from mixedpy.core.profile.slices import CorrelationSlice, FixedSlice, SdSlice, SigmaSlice, Slice
from mixedpy.core.profile.solve import Point, point_of
from mixedpy.core.profile.walk import Branch, End, find_limit, walk
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.inference.intervals import interval_columns, normal_cutoff
from mixedpy.inference.names import Parameter, choose_parameters, parameter_list, parameter_values

__all__ = ["Curve", "Profiles", "default_cutoff", "limits", "profile", "zeta_frame"]


@dataclass(frozen=True, slots=True)
class Curve:
    """The profile of one parameter, or the reason why it has none.

    Attributes
    ----------
    parameter : Parameter
        Which one.
    slice : Slice or None
        The constrained problem; None if there is no profile.
    lower, upper : Branch or None
        Points below and above the estimate.
    reason : str or None
        Why there is no profile.
    """

    parameter: Parameter
    slice: Slice | None = None
    lower: Branch | None = None
    upper: Branch | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Profiles:
    """Profiles of some parameters of a model.

    Attributes
    ----------
    parameters : tuple of Parameter
        All parameters of the model, in lme4's order.
    estimate : Point
        The maximum likelihood fit.
    curves : tuple of Curve
        Those asked for.
    """

    parameters: tuple[Parameter, ...]
    estimate: Point
    curves: tuple[Curve, ...]


def default_cutoff(count: int) -> float:
    """Reach of |zeta| that lme4 profiles: sqrt of the 99 % quantile of chi-square with as many df as parameters."""
    return sqrt(float(chi2_isf(0.01, count)))


def profile(
    design: Design,
    schema: Schema,
    record: FitRecord,
    control: Control,
    *,
    parm: str | int | Sequence[str | int] | None = None,
    cutoff: float | None = None,
) -> Profiles:
    """Profile the ML deviance of a model, whatever criterion it was fitted by.

    Parameters
    ----------
    design, schema, record, control
        The fit.
    parm : str, int or sequence of these, optional
        Names or positions of the parameters, ``"theta_"`` for all covariance parameters, ``"beta_"`` for all fixed
        effects; by default all.
    cutoff : float, optional
        |zeta| up to which to go; by default lme4's.

    Raises
    ------
    DataError
        If a name is unknown.
    """
    every = parameter_list(design, schema)
    chosen = choose_parameters(every, parm)
    engine = prepare(design, control)
    if record.reml:
        record = estimate_prepared(engine, reml=False, start=record.theta, control=control)
    objective = engine.objective(reml=False)  # by the factorization that the profiles use, exact or not
    estimate = replace(point_of(record), deviance=objective.value(engine.inward(record.theta)))
    reach = default_cutoff(len(every)) if cutoff is None else cutoff
    curves = tuple(_curve(engine, design, record, estimate, parameter, control, reach) for parameter in chosen)
    return Profiles(tuple(every), estimate, curves)


def _curve(
    engine: Engine,
    design: Design,
    record: FitRecord,
    estimate: Point,
    parameter: Parameter,
    control: Control,
    cutoff: float,
) -> Curve:
    slice_, first, reason = _slice(engine, design, record, estimate, parameter, control)
    if slice_ is None:
        return Curve(parameter, reason=reason)
    lower, upper = (walk(slice_, estimate, sign, cutoff, first) for sign in (-1, 1))
    return Curve(parameter, slice_, lower, upper)


def _slice(
    engine: Engine, design: Design, record: FitRecord, estimate: Point, parameter: Parameter, control: Control
) -> tuple[Slice | None, float, str | None]:
    """The constrained problem of a parameter and a first step, or why there is none."""
    if parameter.kind == "sigma":
        return SigmaSlice(engine, control), estimate.sigma / sqrt(8.0 * record.n), None
    if parameter.kind == "fixed":
        se = record.sigma * sqrt(record.unscaled_vcov[parameter.a, parameter.a])
        return FixedSlice(engine, control, parameter.a), 0.5 * se, None
    i, a, b = parameter.term, parameter.a, parameter.b
    template = design.terms[i].template
    if not isinstance(template, Unstructured | Diagonal):
        reason = f"profiles are not available for the covariance form {template.name!r}; use method='boot'"
        return None, 0.0, reason
    if parameter.kind == "sd":
        T = engine.conditioned.terms[i]
        unit = estimate.sigma * (1.0 if T is None else float(np.linalg.norm(T[a])))  # of the effect's own scale
        return SdSlice(engine, control, i, a), max(0.15 * estimate.sd(i, a), 0.02 * unit), None
    if not np.isfinite(estimate.correlation(i, a, b)):
        return None, 0.0, "a standard deviation is estimated as zero, so that the correlation is not defined"
    return CorrelationSlice.of_effects(engine, control, i, a, b, estimate), 0.1, None


def limits(profiles: Profiles, level: float) -> tuple[pd.DataFrame, dict[str, str]]:
    """Confidence limits where |zeta| reaches the normal quantile.

    Parameters
    ----------
    profiles : Profiles
        The profiles; those that do not reach far enough are continued.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        One row per parameter; a limit that is not there is NaN.
    dict of str to str
        Why limits are missing, by parameter.
    """
    cutoff = normal_cutoff(level)
    rows, reasons = [], {}
    for curve in profiles.curves:
        name = curve.parameter.name
        if curve.slice is None or curve.lower is None or curve.upper is None:
            rows.append((np.nan, np.nan))
            reasons[name] = curve.reason or ""
            continue
        found = []
        for side, branch in (("lower", curve.lower), ("upper", curve.upper)):
            limit = find_limit(curve.slice, profiles.estimate, _reaching(curve, profiles, branch, cutoff), cutoff)
            found.append(limit.x)
            if not np.isfinite(limit.x):
                reasons[name] = "; ".join(filter(None, [reasons.get(name), f"{side} limit: {limit.end.value}"]))
        rows.append((found[0], found[1]))
    names = [curve.parameter.name for curve in profiles.curves]
    return pd.DataFrame(rows, index=names, columns=interval_columns(level)), reasons


def _reaching(curve: Curve, profiles: Profiles, branch: Branch, cutoff: float) -> Branch:
    """The branch itself, or walked anew with a longer stride if it ended because its cutoff was smaller."""
    if branch.end is not End.REACHED or abs(branch.steps[-1].zeta) >= cutoff or curve.slice is None:
        return branch
    first = abs(branch.steps[1].x - branch.steps[0].x)
    return walk(curve.slice, profiles.estimate, branch.sign, cutoff, first)


def zeta_frame(profiles: Profiles) -> pd.DataFrame:
    """Lay out the points as lme4's profile: ``.zeta``, every parameter at that point, and ``.par``, the one held."""
    names = [parameter.name for parameter in profiles.parameters]
    rows, zeta, held = [], [], []
    for curve in profiles.curves:
        if curve.lower is None or curve.upper is None:
            continue
        at = names.index(curve.parameter.name)
        for step in (*reversed(curve.lower.steps), *curve.upper.steps[1:]):
            values = parameter_values(
                profiles.parameters, step.point.roots, step.point.sigma, step.point.beta, step.point.alpha
            )
            values[at] = step.x
            rows.append(values)
            zeta.append(step.zeta)
            held.append(curve.parameter.name)
    frame = pd.DataFrame(np.array(rows).reshape(len(rows), len(names)), columns=names)
    frame.insert(0, ".zeta", zeta)
    frame[".par"] = pd.Categorical(held, categories=names)
    return frame
