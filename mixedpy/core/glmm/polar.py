"""A covariance template in standard deviations and directions, so that a standard deviation is one parameter.

Row a of Lambda is s_a (t_a1, ..., t_a,a-1, 1) / |(t_a, 1)|: any covariance matrix with s_a its standard deviations.
With two effects the correlation is t / sqrt(1 + t^2), a function of one parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mixedpy.core.arrays import Floats

__all__ = ["Polar"]


@dataclass(frozen=True, slots=True)
class Polar:
    """Standard deviations s (m,), then the rows t_2, t_3, ... of directions.

    Parameters
    ----------
    m : int
        Number of effects per level.

    Examples
    --------
    >>> Polar(2).Lambda(np.array([1.0, 2.0, 0.75])).round(2)
    array([[1. , 0. ],
           [1.2, 1.6]])
    """

    m: int
    name: str = field(default="us", init=False)
    linear_closed: bool = field(default=False, init=False)
    scale_closed: bool = field(default=True, init=False)

    @property
    def size(self) -> int:
        """Number of parameters, m (m + 1) / 2."""
        return self.m * (self.m + 1) // 2

    @property
    def free(self) -> Polar:
        """Itself."""
        return self

    def _shares(self) -> list[slice]:
        """Places of t_a among the parameters; none for the first row."""
        starts = [self.m + a * (a - 1) // 2 for a in range(self.m)]
        return [slice(start, start + a) for a, start in enumerate(starts)]

    def _direction(self, t: Floats) -> tuple[Floats, float]:
        v = np.append(t, 1.0)
        n = float(np.sqrt(v @ v))
        return v / n, n

    def Lambda(self, theta: Floats) -> Floats:
        """Lower triangular factor, (m, m)."""
        L = np.zeros((self.m, self.m))
        for a, share in enumerate(self._shares()):
            L[a, : a + 1] = theta[a] * self._direction(theta[share])[0]
        return L

    def jacobian(self, theta: Floats) -> Floats:
        """Derivatives of Lambda, (size, m, m)."""
        D = np.zeros((self.size, self.m, self.m))
        for a, share in enumerate(self._shares()):
            d, n = self._direction(theta[share])
            D[a, a, : a + 1] = d
            for i in range(a):
                D[share.start + i, a, : a + 1] = theta[a] * (np.eye(a + 1)[i] - d * d[i]) / n
        return D

    def curvature(self, theta: Floats, D: Floats) -> Floats:
        """Contraction of the second derivatives of Lambda with D (m, m), (size, size)."""
        H = np.zeros((self.size, self.size))
        for a, share in enumerate(self._shares()):
            d, n = self._direction(theta[share])
            row, unit = D[a, : a + 1], np.eye(a + 1)
            for i in range(a):
                first = (unit[i] - d * d[i]) / n
                H[a, share.start + i] = H[share.start + i, a] = float(row @ first)
                for j in range(a):
                    second = 3.0 * d * d[i] * d[j] - unit[i] * d[j] - unit[j] * d[i] - (i == j) * d
                    H[share.start + i, share.start + j] = theta[a] * float(row @ second) / n**2
        return H

    def parameters(self, Lambda: Floats) -> Floats:
        """The parameters of the covariance Lambda Lambda'; a direction without a diagonal is taken near its limit."""
        L = np.asarray(np.linalg.qr(Lambda.T, mode="r")).T
        L = L * np.where(np.diag(L) < 0, -1.0, 1.0)
        sd = np.sqrt((L * L).sum(axis=1))
        theta = np.zeros(self.size)
        theta[: self.m] = sd
        for a, share in enumerate(self._shares()):
            theta[share] = L[a, :a] / max(L[a, a], 1e-3 * max(float(sd[a]), 1e-300))
        return theta

    def from_variances(self, sd: Floats) -> Floats:
        """No correlations."""
        return np.concatenate([sd, np.zeros(self.size - self.m)])

    def snapped(self, theta: Floats, tol: float) -> Floats:
        """As they are: the boundary is at infinity."""
        return theta

    def bounds(self) -> tuple[Floats, Floats]:
        """Standard deviations are not negative."""
        low = np.full(self.size, -np.inf)
        low[: self.m] = 0.0
        return low, np.full(self.size, np.inf)

    def parameter_names(self, effects: Sequence[str]) -> tuple[str, ...]:
        """Standard deviations, then directions."""
        pairs = [f"{effects[a]}.{effects[b]}" for a in range(self.m) for b in range(a)]
        return (*effects, *pairs)
