"""Covariance templates: a term's share of theta -> its relative covariance factor Lambda, and the derivatives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Diagonal", "Template", "Unstructured"]

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

    def Lambda(self, theta: Floats) -> Floats:
        """Lower triangular factor, (m, m)."""

    def jacobian(self, theta: Floats) -> Floats:
        """Derivatives of Lambda, (size, m, m)."""

    def curvature(self, theta: Floats, D: Floats) -> Floats:
        """Contraction of the second derivatives of Lambda with D (m, m), (size, size)."""

    def parameters(self, Lambda: Floats) -> Floats:
        """The parameters, (size,), whose factor has the covariance Lambda Lambda'; diagonals not negative."""

    def from_variances(self, sd: Floats) -> Floats:
        """Starting parameters, (size,), for relative standard deviations sd (m,) and no correlation."""


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
    positions: tuple[NDArray[np.intp], NDArray[np.intp]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns, rows = np.triu_indices(self.m)
        if self.flipped:
            rows, columns = self.m - 1 - rows, self.m - 1 - columns
        object.__setattr__(self, "positions", (rows, columns))

    @property
    def size(self) -> int:
        """Number of parameters, m (m + 1) / 2."""
        return self.m * (self.m + 1) // 2

    def Lambda(self, theta: Floats) -> Floats:
        """Triangular factor, (m, m)."""
        L = np.zeros((self.m, self.m))
        L[self.positions] = theta
        return L

    def jacobian(self, theta: Floats) -> Floats:
        """Derivatives of Lambda, (size, m, m)."""
        D = np.zeros((self.size, self.m, self.m))
        D[(np.arange(self.size), *self.positions)] = 1.0
        return D

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


@dataclass(frozen=True, slots=True)
class Diagonal:
    """Independent effects: theta is the diagonal of Lambda."""

    m: int
    name: str = field(default="diag", init=False)
    linear_closed: bool = field(default=False, init=False)

    @property
    def size(self) -> int:
        """Number of parameters, m."""
        return self.m

    def Lambda(self, theta: Floats) -> Floats:
        """Diagonal factor, (m, m)."""
        return np.diag(theta)

    def jacobian(self, theta: Floats) -> Floats:
        """Derivatives of Lambda, (size, m, m)."""
        D = np.zeros((self.m, self.m, self.m))
        k = np.arange(self.m)
        D[k, k, k] = 1.0
        return D

    def curvature(self, theta: Floats, D: Floats) -> Floats:
        """Zero: Lambda is linear in theta."""
        return np.zeros((self.m, self.m))

    def parameters(self, Lambda: Floats) -> Floats:
        """Absolute values of the diagonal."""
        return np.abs(np.diag(Lambda))

    def from_variances(self, sd: Floats) -> Floats:
        """The standard deviations themselves."""
        return sd.copy()
