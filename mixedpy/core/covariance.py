"""Covariance templates: a term's share of theta -> its relative covariance factor Lambda, and the derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Diagonal", "Template", "Unstructured", "lower_root"]

Floats = NDArray[np.float64]


class Template(Protocol):
    """The form of one term's m x m relative covariance factor, with ``size`` parameters."""

    @property
    def name(self) -> str:
        """The form's name, as the formula language has it."""

    @property
    def m(self) -> int:
        """Number of effects per level."""

    @property
    def size(self) -> int:
        """Number of parameters."""

    @property
    def linear_closed(self) -> bool:
        """Whether T Sigma T' has the form for every invertible T, so that columns may be centred within the term."""

    @property
    def scale_closed(self) -> bool:
        """Whether T Sigma T' has the form for every diagonal T, so that each column may be scaled on its own."""

    @property
    def free(self) -> Template:
        """The same covariances over unconstrained parameters, for the optimizer."""

    def Lambda(self, theta: Floats) -> Floats:
        """Square root of the relative covariance matrix, (m, m)."""

    def jacobian(self, theta: Floats) -> Floats:
        """Derivatives of Lambda, (size, m, m)."""

    def curvature(self, theta: Floats, D: Floats) -> Floats:
        """Contraction of the second derivatives of Lambda with D (m, m), (size, size)."""

    def parameters(self, Lambda: Floats) -> Floats:
        """The parameters, (size,), whose factor has the covariance Lambda Lambda'; diagonals not negative."""

    def from_variances(self, sd: Floats) -> Floats:
        """Starting parameters, (size,), for relative standard deviations sd (m,) and no correlation."""

    def snapped(self, theta: Floats, tol: float) -> Floats:
        """Put parameters that are nearer than tol to the boundary at the boundary, (size,)."""

    def bounds(self) -> tuple[Floats, Floats]:
        """Lower and upper bounds of the parameters, (size,) each, that identify them; the optimizer needs none."""

    def parameter_names(self, effects: Sequence[str]) -> tuple[str, ...]:
        """Names of the parameters, as lme4 has them, given those of the m effects."""


@cache
def _above_diagonal(m: int) -> NDArray[np.bool_]:
    return np.triu(np.ones((m, m), bool), 1)


def lower_root(root: Floats) -> Floats:
    """Turn a square root of a covariance matrix, (m, m), into the lower triangular one; diagonals not negative."""
    if len(root) == 1:
        return np.abs(root)
    if root[_above_diagonal(len(root))].any():
        root = np.asarray(np.linalg.qr(root.T, mode="r")).T
    return root * np.where(np.diag(root) < 0, -1.0, 1.0) + 0.0


@dataclass(frozen=True, slots=True)
class Unstructured:
    """Any covariance matrix: theta is the lower triangle of Lambda, column by column (lme4's order).

    Parameters
    ----------
    m : int
        Number of effects per level.
    flipped : bool
        Take the effects in reverse order, so that Lambda is upper triangular: another square root of the same
        covariance, which the optimizer can follow where the first variance is nearly zero.

    Examples
    --------
    >>> Unstructured(2).Lambda(np.array([1.0, 0.5, 2.0]))
    array([[1. , 0. ],
           [0.5, 2. ]])
    """

    m: int
    flipped: bool = False
    name: str = field(default="us", init=False)
    linear_closed: bool = field(default=True, init=False)
    scale_closed: bool = field(default=True, init=False)
    positions: tuple[NDArray[np.intp], NDArray[np.intp]] = field(init=False, repr=False, compare=False)
    directions: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns, rows = np.triu_indices(self.m)
        if self.flipped:
            rows, columns = self.m - 1 - rows, self.m - 1 - columns
        directions = np.zeros((self.size, self.m, self.m))
        directions[(np.arange(self.size), rows, columns)] = 1.0
        directions.flags.writeable = False
        object.__setattr__(self, "positions", (rows, columns))
        object.__setattr__(self, "directions", directions)

    @property
    def size(self) -> int:
        """Number of parameters, m (m + 1) / 2."""
        return self.m * (self.m + 1) // 2

    def turned(self) -> Unstructured:
        """The same with the effects in the other order."""
        return Unstructured(self.m, flipped=not self.flipped)

    def Lambda(self, theta: Floats) -> Floats:
        """Triangular factor, (m, m)."""
        L = np.zeros((self.m, self.m))
        L[self.positions] = theta
        return L

    def jacobian(self, theta: Floats) -> Floats:
        """Derivatives of Lambda, (size, m, m): the same everywhere."""
        return self.directions

    def curvature(self, theta: Floats, D: Floats) -> Floats:
        """Zero: Lambda is linear in theta."""
        return np.zeros((self.size, self.size))

    def parameters(self, Lambda: Floats) -> Floats:
        """Entries of the triangular factor with a diagonal that is not negative, by QR of Lambda'."""
        if self.m == 1:
            return np.abs(Lambda[0])
        rows, columns = self.positions
        if Lambda[columns, rows][rows != columns].any():
            turned = Lambda[::-1] if self.flipped else Lambda
            Lambda = np.asarray(np.linalg.qr(turned.T, mode="r")).T
            Lambda = Lambda[::-1, ::-1] if self.flipped else Lambda
        sign = np.where(np.diag(Lambda) < 0, -1.0, 1.0)
        return (Lambda * sign)[self.positions] + 0.0

    def from_variances(self, sd: Floats) -> Floats:
        """Diagonal start."""
        return np.diag(sd)[self.positions]

    @property
    def free(self) -> Unstructured:
        """Itself: the deviance is even in the sign of a column of Lambda."""
        return self

    def snapped(self, theta: Floats, tol: float) -> Floats:
        """Put diagonals of Lambda that are nearer than tol to zero at zero, and rows that are within rounding of it."""
        rows, columns = self.positions
        largest = np.abs(self.Lambda(theta)).max(axis=1)[rows]
        near = ((rows == columns) & (np.abs(theta) < tol)) | (largest < tol * tol)
        return np.where(near, 0.0, theta)

    def bounds(self) -> tuple[Floats, Floats]:
        """Diagonals are not negative."""
        rows, columns = self.positions
        return np.where(rows == columns, 0.0, -np.inf), np.full(self.size, np.inf)

    def parameter_names(self, effects: Sequence[str]) -> tuple[str, ...]:
        """``a`` on the diagonal of Lambda, ``b.a`` below it."""
        pairs = zip(*(p.tolist() for p in self.positions), strict=True)
        return tuple(effects[a] if a == b else f"{effects[b]}.{effects[a]}" for b, a in pairs)


@dataclass(frozen=True, slots=True)
class Diagonal:
    """Independent effects: theta is the diagonal of Lambda.

    Parameters
    ----------
    m : int
        Number of effects per level.
    hom : bool
        One standard deviation for all effects.

    Examples
    --------
    >>> Diagonal(2, hom=True).Lambda(np.array([3.0]))
    array([[3., 0.],
           [0., 3.]])
    """

    m: int
    hom: bool = False
    name: str = field(default="diag", init=False)
    linear_closed: bool = field(default=False, init=False)

    @property
    def size(self) -> int:
        """Number of parameters, m, or one."""
        return 1 if self.hom else self.m

    @property
    def scale_closed(self) -> bool:
        """Whether each column may be scaled on its own."""
        return self.m == 1 or not self.hom

    @property
    def free(self) -> Diagonal:
        """Itself: the deviance is even in every parameter."""
        return self

    def Lambda(self, theta: Floats) -> Floats:
        """Diagonal factor, (m, m)."""
        return np.diag(np.full(self.m, theta[0]) if self.hom else theta)

    def jacobian(self, theta: Floats) -> Floats:
        """Derivatives of Lambda, (size, m, m)."""
        if self.hom:
            return np.eye(self.m)[None]
        D = np.zeros((self.m, self.m, self.m))
        k = np.arange(self.m)
        D[k, k, k] = 1.0
        return D

    def curvature(self, theta: Floats, D: Floats) -> Floats:
        """Zero: Lambda is linear in theta."""
        return np.zeros((self.size, self.size))

    def parameters(self, Lambda: Floats) -> Floats:
        """Absolute values of the diagonal; their root mean square for one standard deviation."""
        diagonal = np.abs(np.diag(Lambda))
        return self.from_variances(diagonal)

    def from_variances(self, sd: Floats) -> Floats:
        """The standard deviations themselves; their root mean square for one."""
        return np.sqrt(np.mean(sd * sd, keepdims=True)) if self.hom else sd.copy()

    def snapped(self, theta: Floats, tol: float) -> Floats:
        """Put standard deviations that are nearer than tol to zero at zero."""
        return np.where(np.abs(theta) < tol, 0.0, theta)

    def bounds(self) -> tuple[Floats, Floats]:
        """Standard deviations are not negative."""
        return np.zeros(self.size), np.full(self.size, np.inf)

    def parameter_names(self, effects: Sequence[str]) -> tuple[str, ...]:
        """The effects, or ``*`` for all of them."""
        return ("*",) if self.hom else tuple(effects)
