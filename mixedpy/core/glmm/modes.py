"""Conditional modes of the random effects: penalized iteratively reweighted least squares with guarded steps.

u^ minimizes F(u) = -sum l + |u|^2 / 2. A model with one random term takes Newton steps on all levels at once and halves
them level by level. Others take chord steps with the factor in hand and factor anew when these slow down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.family.protocol import Family, Predictors
from mixedpy.core.glmm.precision import Precision, factorize
from mixedpy.core.glmm.rows import Rows, Zeta

__all__ = ["Inner", "Modes", "find_modes", "first_modes"]

_MOST_HALVINGS = 50

_TURNED = -0.9
"""A step is accepted while the slope along it has not turned further round than this share of what it was."""

_CHORD = 0.25
"""Chord steps go on while each leaves less than this share of the decrement."""

_NOTHING = 1e-13
"""Decrements below this are rounding error."""


@dataclass(frozen=True, slots=True, eq=False)
class Inner:
    """The inner problem at fixed parameters.

    Attributes
    ----------
    rows : Rows
        The block.
    family : Family
        Distribution of the response.
    fixed : (n,) array
        X beta + offset.
    xi : tuple of arrays
        Auxiliary predictors.
    zeta : Zeta
        Scaled columns.
    """

    rows: Rows
    family: Family
    fixed: Floats
    xi: Predictors
    zeta: Zeta

    def eta(self, u: Floats) -> Floats:
        """Linear predictor, (n,)."""
        return self.fixed + self.rows.times(self.zeta, u)

    def slopes(self, u: Floats) -> tuple[Floats, Floats]:
        """-dF/du (q,) and the weights (n,)."""
        r, w = self.family.slopes(self.rows.y, self.rows.weights, self.eta(u), self.xi)
        return self.rows.transposed(self.zeta, r) - u, w

    def penalized(self, u: Floats, *, by_level: bool = False) -> Floats:
        """F(u): by level of the only term, (J,), or in all, (1,); infinite where eta is not feasible."""
        losses = -self.family.kernel(self.rows.y, self.rows.weights, self.eta(u), self.xi)
        if by_level:
            out = np.add.reduceat(losses, self.rows.starts)
            out += 0.5 * (u * u).reshape(self.rows.m, self.rows.J).sum(0)
        else:
            out = np.array([losses.sum() + 0.5 * float(u @ u)])
        return np.nan_to_num(out, nan=np.inf)

    def curvature(self, w: Floats) -> Precision:
        """Factor M; where the likelihood is not concave enough, with the absolute values of the weights."""
        try:
            return factorize(self.rows, w, self.zeta)
        except np.linalg.LinAlgError:
            if self.family.concave:
                raise
            return factorize(self.rows, np.abs(w), self.zeta)


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """Where the iteration ended.

    Attributes
    ----------
    u : (q,) array
        Modes of the scaled effects.
    steps, halvings : int
        Work done.
    converged : bool
        Whether the decrement fell below the tolerance.
    """

    u: Floats
    steps: int
    halvings: int
    converged: bool


def first_modes(inner: Inner) -> Floats:
    """Start for u: zero, or one weighted least-squares step from the data where that is better."""
    rows, family = inner.rows, inner.family
    zero = np.zeros(rows.q)
    if not family.multiplicative:
        return zero
    eta = family.first_eta(rows.y, rows.weights)
    r, w = family.slopes(rows.y, rows.weights, eta, inner.xi)
    try:
        u = factorize(rows, np.abs(w), inner.zeta).solve(
            rows.transposed(inner.zeta, np.abs(w) * (eta - inner.fixed) + r)
        )
    except np.linalg.LinAlgError:
        return zero
    return min((u, zero), key=lambda v: float(inner.penalized(v)[0]))


def find_modes(inner: Inner, u: Floats, chord: Precision | None, *, tol: float, max_steps: int = 100) -> Modes:
    """Minimize F from u.

    Parameters
    ----------
    inner : Inner
        The problem.
    u : (q,) array
        First point.
    chord : Precision, optional
        A factor from nearby, to begin with; used where there is more than one random term.
    tol : float
        Stop when the Newton decrement g'M^-1 g falls below this.

    Raises
    ------
    numpy.linalg.LinAlgError
        If F has no finite slope at u nor at zero.
    """
    g, w = inner.slopes(u)
    if not np.isfinite(g).all():
        u, chord = np.zeros_like(u), None
        g, w = inner.slopes(u)
        if not np.isfinite(g).all():
            raise np.linalg.LinAlgError("the likelihood is not finite at these parameters")
    if inner.rows.store is None:
        return _by_level(inner, u, g, w, tol, max_steps)
    return _jointly(inner, u, g, w, chord, tol, max_steps)


def _by_level(inner: Inner, u: Floats, g: Floats, w: Floats, tol: float, max_steps: int) -> Modes:
    """One random term: its levels are independent problems."""
    rows, merit = inner.rows, not inner.family.concave

    def per_level(x: Floats) -> Floats:
        return x if rows.m == 1 else x.reshape(rows.m, rows.J).sum(0)

    halvings = 0
    value = inner.penalized(u, by_level=True) if merit else np.empty(0)
    for step in range(1, max_steps + 1):
        direction = inner.curvature(w).solve(g)
        slope = per_level(g * direction)
        if float(slope.sum()) < tol:
            # what is left after this step is of the square of the tolerance
            return Modes(u + direction, step, halvings, converged=True)
        share: Floats | None = None
        trial = u + direction
        for _ in range(_MOST_HALVINGS):
            g1, w1 = inner.slopes(trial)
            if merit:
                value1 = inner.penalized(trial, by_level=True)
                bad = ~(value1 <= value + 1e-10 * (1.0 + np.abs(value))) & (slope > _NOTHING)
            else:
                bad = ~(per_level(g1 * direction) >= _TURNED * slope) & (slope > _NOTHING)
            if not bad.any():
                break
            halvings += 1
            share = np.where(bad, 0.5, 1.0) * (1.0 if share is None else share)
            trial = u + direction * np.tile(share, rows.m)
        u, g, w = trial, g1, w1
        if merit:
            value = value1
    return Modes(u, max_steps, halvings, converged=False)


def _jointly(
    inner: Inner, u: Floats, g: Floats, w: Floats, chord: Precision | None, tol: float, max_steps: int
) -> Modes:
    """Several random terms: chord steps, and a new factor when they slow down."""
    merit = not inner.family.concave
    value = float(inner.penalized(u)[0]) if merit else 0.0
    before, halvings = np.inf, 0
    for step in range(1, max_steps + 1):
        fresh = chord is None
        if chord is None:
            chord = inner.curvature(w)
        direction = chord.solve(g)
        slope = float(g @ direction)
        if slope < tol:
            return Modes(u, step, halvings, converged=True)
        if slope > _CHORD * before and not fresh:
            chord = inner.curvature(w)
            direction = chord.solve(g)
            slope = float(g @ direction)
        before = slope
        share = 1.0
        trial = u + direction
        for _ in range(_MOST_HALVINGS):
            g1, w1 = inner.slopes(trial)
            if merit:
                value1 = float(inner.penalized(trial)[0])
                good = value1 <= value + 1e-10 * (1.0 + abs(value))
            else:
                good = float(g1 @ direction) >= _TURNED * slope
            if good or slope < _NOTHING:
                break
            halvings += 1
            share *= 0.5
            before, chord = np.inf, None
            trial = u + share * direction
        u, g, w = trial, g1, w1
        if merit:
            value = value1
    return Modes(u, max_steps, halvings, converged=False)
