"""Designs without some of their rows, and fits to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Design, Floats, RandomTerm
from mixedpy.core.control import Control
from mixedpy.core.estimate import estimate, prepare
from mixedpy.core.glmm.estimate import estimate_glmm
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.rank import independent_columns

__all__ = ["Outcome", "Remainder", "held", "refitted", "refitted_general", "without"]

_REFIT_TOL = 1e-18
"""Expected gain at which a refit stops, in effect at rounding error: what is reported is a difference of two fits, and
the covariances of the fixed effects move with theta in the first order."""


class Outcome(Enum):
    """How a fit to the remaining rows ended."""

    FITTED = "fitted"
    NOT_CONVERGED = "the fit to the remaining rows did not converge"
    RANK_DEFICIENT = "the remaining rows do not determine all fixed effects"
    TOO_FEW_LEVELS = "a grouping factor has one level left"
    FAILED = "the criterion has no finite value on the remaining rows"


@dataclass(frozen=True, slots=True)
class Remainder:
    """The estimates from the remaining rows; NaN where there are none.

    Attributes
    ----------
    beta : (p,) array
        Fixed effects.
    vcov : (p, p) array
        Their covariance matrix.
    theta : (k,) array
        Covariance parameters.
    sigma : float
        Residual standard deviation.
    outcome : Outcome
        How the fit ended.
    """

    beta: Floats
    vcov: Floats
    theta: Floats
    sigma: float
    outcome: Outcome


def without(design: Design, rows: NDArray[np.bool_]) -> Design:
    """Leave out the rows that are marked, and levels that have no rows left."""
    keep = np.flatnonzero(~rows)
    return Design(
        y=design.y[keep],
        columns=tuple(column[keep] for column in design.columns),
        fixed=design.fixed,
        terms=tuple(_without(term, keep) for term in design.terms),
        weights=None if design.weights is None else design.weights[keep],
        offset=None if design.offset is None else design.offset[keep],
    )


def _without(term: RandomTerm, keep: NDArray[np.intp]) -> RandomTerm:
    codes = term.codes[keep]
    used = np.bincount(codes, minlength=term.n_levels) > 0
    return replace(term, codes=(np.cumsum(used) - 1)[codes], n_levels=int(used.sum()))


def refitted(design: Design, theta: Floats, *, reml: bool, control: Control) -> Remainder:
    """Fit anew, starting from theta (k,)."""
    if (outcome := _obstacle(design)) is not None:
        return _nothing(design, theta, outcome)
    tight = replace(control, tol=min(control.tol, _REFIT_TOL))
    try:
        record = estimate(design, reml=reml, start=theta, control=tight)
    except np.linalg.LinAlgError:
        return _nothing(design, theta, Outcome.FAILED)
    outcome = Outcome.FITTED if record.convergence.converged else Outcome.NOT_CONVERGED
    return Remainder(record.beta, record.sigma**2 * record.unscaled_vcov, record.theta, record.sigma, outcome)


def held(design: Design, theta: Floats, sigma: float, *, control: Control) -> Remainder:
    """Estimate the fixed effects with the covariance parameters held."""
    if (outcome := _obstacle(design)) is not None:
        return _nothing(design, theta, outcome)
    engine = prepare(design, control)
    objective = engine.objective(reml=False)
    try:
        objective.value(engine.inward(theta))
    except np.linalg.LinAlgError:
        return _nothing(design, theta, Outcome.FAILED)
    profiled = objective.profiled
    assert profiled is not None
    half = profiled.half @ engine.conditioned.T.T
    return Remainder(engine.conditioned.beta(profiled.beta), sigma**2 * (half.T @ half), theta, sigma, Outcome.FITTED)


def refitted_general(design: Design, record: GlmmRecord, rows: NDArray[np.bool_], *, control: Control) -> Remainder:
    """Fit a generalized model anew without the rows that are marked, starting from its theta."""
    rest = without(design, rows)
    if (outcome := _obstacle(rest)) is not None:
        return _nothing(rest, record.theta, outcome)
    try:
        again = estimate_glmm(
            rest,
            record.family,
            auxiliary=tuple(None if columns is None else columns[~rows] for columns in record.auxiliary),
            nagq=record.nagq,
            expected=record.expected,
            start=record.theta if record.theta.any() else None,
            control=control,
        )
    except np.linalg.LinAlgError:
        return _nothing(rest, record.theta, Outcome.FAILED)
    outcome = Outcome.FITTED if again.convergence.converged else Outcome.NOT_CONVERGED
    return Remainder(again.beta, again.fixed_vcov, again.theta, again.sigma, outcome)


def _obstacle(design: Design) -> Outcome | None:
    if len(independent_columns([design.columns[c] for c in design.fixed])) < design.p or design.n <= design.p:
        return Outcome.RANK_DEFICIENT
    if min(term.n_levels for term in design.terms) < 2:
        return Outcome.TOO_FEW_LEVELS
    return None


def _nothing(design: Design, theta: Floats, outcome: Outcome) -> Remainder:
    p = design.p
    return Remainder(np.full(p, np.nan), np.full((p, p), np.nan), np.full(len(theta), np.nan), np.nan, outcome)
