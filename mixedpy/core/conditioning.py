"""Shift and scale badly placed columns (years, prices): an exact reparametrization, undone in the fit record.

Without it a slope on x + 2000 loses most digits of the level blocks' determinants. A column is centred only where an
intercept absorbs the shift: in X, and in every random term that holds it; elsewhere it is only scaled, and not even
that where effects share one standard deviation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.covariance import lower_root

__all__ = ["Conditioned", "condition"]

_FAR = 3.0
"""Means further from zero than this many standard deviations are removed."""

_SCALES = (0.05, 20.0)
"""Standard deviations outside this range are brought to one."""

_ROUNDED_ZERO = 1e-14
"""Entries of Lambda below this share of the largest are zeros blurred by the change of columns."""


@dataclass(frozen=True, slots=True)
class Conditioned:
    """A design in better columns, and the way back.

    Attributes
    ----------
    design : Design
        The conditioned design: X' = X T, Z' = Z T_i.
    T : (p, p) array
        beta = T beta' (+ shift on the intercept).
    shift : float
        What was taken from y, given back to the intercept.
    terms : tuple of (m, m) arrays
        b = T_i b' for each term, in the order of ``Design.terms``; None where T_i is the identity.
    log_scale : float
        log|det T^-1|: log|X'V^-1X| = log|X''V^-1X'| + 2 log_scale.
    """

    design: Design
    T: Floats
    shift: float
    terms: tuple[Floats | None, ...]
    log_scale: float

    def beta(self, conditioned: Floats) -> Floats:
        """Fixed effects in the user's columns."""
        beta: Floats = self.T @ conditioned
        if self.shift:
            beta[self.design.fixed.index(0)] += self.shift
        return beta

    def Lambda(self, i: int, conditioned: Floats) -> Floats:
        """Relative covariance factor of term i in the user's columns, lower triangular."""
        template, T = self.design.terms[i].template, self.terms[i]
        if T is None:
            return lower_root(template.Lambda(template.parameters(conditioned)))
        L = lower_root(template.Lambda(template.parameters(T @ conditioned)))
        L[np.abs(L) < _ROUNDED_ZERO * np.abs(L).max()] = 0.0
        return L

    def conditioned_Lambda(self, i: int, Lambda: Floats) -> Floats:
        """Some square root of term i's covariance in the conditioned columns."""
        T = self.terms[i]
        return Lambda if T is None else np.asarray(np.linalg.solve(T, Lambda), np.float64)

    def modes(self, i: int, conditioned: Floats) -> Floats:
        """Random effects (m, J) of term i in the user's columns, (J, m)."""
        T = self.terms[i]
        return (conditioned if T is None else T @ conditioned).T

    def covariance(self, i: int, conditioned: Floats) -> Floats:
        """Covariance blocks (m, m, J) of term i's effects in the user's columns, (J, m, m)."""
        T, blocks = self.terms[i], conditioned.transpose(2, 0, 1)
        return blocks if T is None else T @ blocks @ T.T


def condition(design: Design) -> Conditioned:
    """Bring the columns of a design to means and scales that the level blocks bear well."""
    intercept = 0 in design.fixed
    fixed = {c for t in design.terms if not (0 in t.columns and t.template.linear_closed) for c in t.columns}
    if not intercept:
        fixed |= set(design.fixed)
    centre, scale = [0.0] * len(design.columns), [1.0] * len(design.columns)
    used = {c for t in design.terms for c in t.columns} | set(design.fixed)
    unscaled = {c for t in design.terms if not t.template.scale_closed for c in t.columns}
    columns = list(design.columns)
    for c in sorted(used - {0}):
        columns[c], centre[c], scale[c] = _placed(columns[c], movable=c not in fixed, scalable=c not in unscaled)
    y = design.y if design.offset is None else design.y - design.offset
    y, shift, _ = _placed(y, movable=intercept, scalable=False)
    moved = replace(design, y=y, columns=tuple(columns), offset=None)
    return Conditioned(
        design=moved,
        T=np.eye(design.p) if (T := _map(design.fixed, centre, scale)) is None else T,
        shift=shift,
        terms=tuple(_map(term.columns, centre, scale) for term in design.terms),
        log_scale=sum(math.log(scale[c]) for c in design.fixed),
    )


def _placed(x: Floats, *, movable: bool, scalable: bool) -> tuple[Floats, float, float]:
    """(x - centre) / scale with its centre and scale, or x itself where it is well placed."""
    mean = float(x.sum()) / len(x)
    sd = math.sqrt(max(float(x @ x) / len(x) - mean * mean, 0.0))
    centre = mean if movable and abs(mean) > _FAR * sd else 0.0
    if centre:
        x = x - centre
        sd = float(np.sqrt(x @ x / len(x)))
    scale = sd if scalable and sd > 0 and not _SCALES[0] < sd < _SCALES[1] else 1.0
    return (x / scale if scale != 1.0 else x), centre, scale


def _map(columns: tuple[int, ...], centre: list[float], scale: list[float]) -> Floats | None:
    """T with [1, (x - a) / b] = [1, x] T, or None for the identity."""
    if all(centre[c] == 0.0 and scale[c] == 1.0 for c in columns):
        return None
    T = np.diag([1.0 / scale[c] for c in columns])
    if 0 in columns:
        T[columns.index(0)] -= [centre[c] / scale[c] for c in columns]
    return T
