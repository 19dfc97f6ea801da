"""Covariance templates with one correlation: compound symmetry and first-order autoregression.

Lambda = D C(phi), with D the diagonal of standard deviations and C C' the correlation matrix. The correlation rho has
bounds; as a function of an angle phi it reaches them smoothly, so that the optimizer needs no bounds and a correlation
of one is an ordinary point. Users see rho itself, the optimizer the angle (``free``).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Autoregressive", "CompoundSymmetry", "Correlated"]

Floats = NDArray[np.float64]


class _Root(NamedTuple):
    """A square root of the correlation matrix and its first two derivatives in the angle, (m, m) each."""

    value: Floats
    first: Floats
    second: Floats


class _Angle(NamedTuple):
    """The correlation at an angle, and its first two derivatives."""

    rho: float
    first: float
    second: float


@dataclass(frozen=True, slots=True)
class Correlated(ABC):
    """m effects with a standard deviation each, or one for all, and one correlation.

    theta is (sd_1, ..., sd_m, rho), or (sd, rho) if ``hom``; a single effect has no rho. The standard deviations are
    relative to sigma. These are the parameters that lme4 2.0 calls ``par``.

    Parameters
    ----------
    m : int
        Number of effects per level.
    hom : bool
        One standard deviation for all effects.
    angular : bool
        Take the angle phi in the place of rho.
    """

    m: int
    hom: bool = False
    angular: bool = False
    name: ClassVar[str]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self._n_sd + (self.m > 1)

    @property
    def _n_sd(self) -> int:
        return 1 if self.hom else self.m

    @property
    def linear_closed(self) -> bool:
        """Whether every change of the columns keeps the form: two effects may have any covariance matrix."""
        return self.m == 1 or (self.m == 2 and not self.hom)

    @property
    def scale_closed(self) -> bool:
        """Whether each column may be scaled on its own."""
        return self.m == 1 or not self.hom

    @property
    def free(self) -> Correlated:
        """The same covariances over unconstrained parameters."""
        return replace(self, angular=True)

    @property
    @abstractmethod
    def lowest(self) -> float:
        """Smallest correlation for which the matrix is positive semidefinite."""

    @abstractmethod
    def _root(self, angle: float) -> _Root:
        """Square root of the correlation matrix at an angle."""

    @abstractmethod
    def _correlation(self, angle: float) -> _Angle:
        """Correlation at an angle."""

    @abstractmethod
    def _angle_of(self, rho: float) -> float:
        """Angle at which the correlation is rho, in the first branch."""

    @abstractmethod
    def _pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The pairs of effects whose correlation is rho itself."""

    @abstractmethod
    def _nearest_bound(self, angle: float, tol: float) -> float:
        """Angle of the bound, where it is nearer than tol, or the angle itself."""

    def _angle(self, theta: Floats) -> float:
        if self.m == 1:
            return self._angle_of(0.0)
        return float(theta[-1]) if self.angular else self._angle_of(float(theta[-1]))

    def _sds(self, theta: Floats) -> Floats:
        return np.full(self.m, theta[0]) if self.hom else theta[: self.m]

    def Lambda(self, theta: Floats) -> Floats:
        """Square root of the relative covariance matrix, (m, m)."""
        return self._sds(theta)[:, None] * self._root(self._angle(theta)).value

    def jacobian(self, theta: Floats) -> Floats:
        """Derivatives of Lambda, (size, m, m); infinite at a bound of rho, not so for the angle."""
        angle = self._angle(theta)
        root = self._root(angle)
        D = np.zeros((self.size, self.m, self.m))
        if self.hom:
            D[0] = root.value
        else:
            k = np.arange(self.m)
            D[k, k] = root.value
        if self.m > 1:
            D[-1] = self._sds(theta)[:, None] * root.first * self._speed(angle)[0]
        return D

    def curvature(self, theta: Floats, D: Floats) -> Floats:
        """Contraction of the second derivatives of Lambda with D (m, m), (size, size)."""
        H = np.zeros((self.size, self.size))
        if self.m == 1:
            return H
        angle = self._angle(theta)
        root = self._root(angle)
        first, second = self._speed(angle)
        mixed = (D * root.first).sum(1) * first
        H[-1, :-1] = H[:-1, -1] = mixed.sum() if self.hom else mixed
        bend = root.second * first**2 + root.first * second
        H[-1, -1] = float((D * bend).sum(1) @ self._sds(theta))
        return H

    def _speed(self, angle: float) -> tuple[float, float]:
        """First two derivatives of the angle in the last parameter."""
        if self.angular:
            return 1.0, 0.0
        there = self._correlation(angle)
        if there.first == 0.0:
            return math.inf, math.inf
        return 1.0 / there.first, -there.second / there.first**3

    def parameters(self, Lambda: Floats) -> Floats:
        """The parameters, (size,), whose covariance is Lambda Lambda'; standard deviations are not negative."""
        cov = Lambda @ Lambda.T
        sd = np.sqrt(np.diag(cov))
        sds = np.sqrt(np.mean(sd * sd, keepdims=True)) if self.hom else sd
        if self.m == 1:
            return sds
        rows, cols = self._pairs()
        known = (sd[rows] > 0) & (sd[cols] > 0)
        rows, cols = rows[known], cols[known]
        rho = float(np.mean(cov[rows, cols] / (sd[rows] * sd[cols]))) if len(rows) else 0.0
        rho = min(max(rho, self.lowest), 1.0)
        return np.append(sds, self._angle_of(rho) if self.angular else rho)

    def from_variances(self, sd: Floats) -> Floats:
        """Start without correlation; one standard deviation is the root mean square."""
        sds = np.sqrt(np.mean(sd * sd, keepdims=True)) if self.hom else sd
        return np.append(sds, self._angle_of(0.0) if self.angular else 0.0) if self.m > 1 else sds.copy()

    def snapped(self, theta: Floats, tol: float) -> Floats:
        """Put standard deviations, and a correlation near its bounds, at the boundary if nearer than tol."""
        out = theta.copy()
        out[: self._n_sd][np.abs(theta[: self._n_sd]) < tol] = 0.0
        if self.m > 1:
            angle = self._nearest_bound(self._angle(theta), tol)
            out[-1] = angle if self.angular else self._correlation(angle).rho
        return out

    def bounds(self) -> tuple[Floats, Floats]:
        """Lower and upper bounds of the parameters that users see, (size,) each."""
        lower, upper = np.zeros(self.size), np.full(self.size, np.inf)
        if self.m > 1:
            lower[-1], upper[-1] = self.lowest, 1.0
        return lower, upper

    def parameter_names(self, effects: Sequence[str]) -> tuple[str, ...]:
        """Names of the parameters, as lme4 2.0 has them: the effects, or ``*`` for all of them, and ``rho``."""
        return (*(("*",) if self.hom else effects), *(("rho",) if self.m > 1 else ()))


@dataclass(frozen=True, slots=True)
class CompoundSymmetry(Correlated):
    """The same correlation between every two effects, from -1 / (m - 1) to 1.

    With P = 11'/m the correlation matrix is (1 - rho)(I - P) + (1 + (m - 1) rho) P, and its symmetric root
    a (I - P) + b P with (m - 1) a^2 + b^2 = m: an ellipse, run through by an angle.

    Examples
    --------
    >>> L = CompoundSymmetry(3).Lambda(np.array([1.0, 2.0, 3.0, 0.5]))
    >>> (L @ L.T).round(12)
    array([[1. , 1. , 1.5],
           [1. , 4. , 3. ],
           [1.5, 3. , 9. ]])
    """

    name: ClassVar[str] = "cs"

    @property
    def lowest(self) -> float:
        """-1 / (m - 1), where the effects sum to zero."""
        return -1.0 / (self.m - 1) if self.m > 1 else -1.0

    def _root(self, angle: float) -> _Root:
        m = self.m
        if m == 1:
            return _Root(np.ones((1, 1)), np.zeros((1, 1)), np.zeros((1, 1)))
        P = np.full((m, m), 1.0 / m)
        Q = math.sqrt(m / (m - 1)) * (np.eye(m) - P)
        P *= math.sqrt(m)
        value = math.cos(angle) * Q + math.sin(angle) * P
        return _Root(value, math.cos(angle) * P - math.sin(angle) * Q, -value)

    def _correlation(self, angle: float) -> _Angle:
        share = self.m / (self.m - 1)
        rho = 1.0 - share * math.cos(angle) ** 2
        return _Angle(rho, share * math.sin(2.0 * angle), 2.0 * share * math.cos(2.0 * angle))

    def _angle_of(self, rho: float) -> float:
        share = (1.0 - rho) * (self.m - 1) / self.m
        return math.acos(math.sqrt(min(max(share, 0.0), 1.0)))

    def _pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return np.tril_indices(self.m, -1)

    def _nearest_bound(self, angle: float, tol: float) -> float:
        if abs(math.cos(angle)) < tol:
            return math.pi / 2.0
        return 0.0 if abs(math.sin(angle)) < tol else angle


@dataclass(frozen=True, slots=True)
class Autoregressive(Correlated):
    """Correlation rho^|a - b| between effects a and b, in the order of the columns; rho from -1 to 1.

    Lambda is the triangular factor, with sin(phi) for rho and cos(phi) for sqrt(1 - rho^2).

    Examples
    --------
    >>> L = Autoregressive(3, hom=True).Lambda(np.array([2.0, 0.5]))
    >>> (L @ L.T).round(12)
    array([[4., 2., 1.],
           [2., 4., 2.],
           [1., 2., 4.]])
    """

    name: ClassVar[str] = "ar1"

    @property
    def lowest(self) -> float:
        """-1."""
        return -1.0

    def _root(self, angle: float) -> _Root:
        s, c = math.sin(angle), math.cos(angle)
        k = np.subtract.outer(np.arange(self.m), np.arange(self.m)).astype(float)  # lag, (m, m)
        below = k >= 0
        k = np.where(below, k, 0.0)
        power = np.where(below, s**k, 0.0)
        one_less = np.where(k >= 1, s ** np.maximum(k - 1, 0), 0.0) * k
        two_less = np.where(k >= 2, s ** np.maximum(k - 2, 0), 0.0) * k * (k - 1)
        value, first = power * c, one_less * c**2 - power * s
        second = two_less * c**3 - (3.0 * k + 1.0) * power * c
        value[:, 0], first[:, 0] = power[:, 0], one_less[:, 0] * c
        second[:, 0] = two_less[:, 0] * c**2 - k[:, 0] * power[:, 0]
        return _Root(value, first, second)

    def _correlation(self, angle: float) -> _Angle:
        s = math.sin(angle)
        return _Angle(s, math.cos(angle), -s)

    def _angle_of(self, rho: float) -> float:
        return math.asin(min(max(rho, -1.0), 1.0))

    def _pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        k = np.arange(self.m - 1)
        return k + 1, k

    def _nearest_bound(self, angle: float, tol: float) -> float:
        return math.copysign(math.pi / 2.0, math.sin(angle)) if abs(math.cos(angle)) < tol else angle
