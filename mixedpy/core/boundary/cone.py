"""Chi-bar-square distributions: the squared length of the projection of a normal vector on a cone.

The cone is a product of cones of positive semidefinite matrices, in coordinates of lower triangles column by column;
a matrix of order one is a variance that cannot be negative. With u ~ N(0, I^-1) and the metric of the information I,
|Proj u|^2 is a mixture of chi-square distributions (Shapiro 1988, Int. Stat. Rev. 56, 49-62).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm, qmc

from mixedpy.core.arrays import Floats

__all__ = ["ChiBarSquare", "chi_bar_square"]

_DIRECTIONS = 2**13
"""Directions of a shifted Sobol sequence; the error of a p value is then of the order of 1e-4."""

_FEWER = 2**11
"""Directions where projections take an eigenvalue decomposition each."""

_SEED = 20130131

_ORTHANT = 6
"""Up to this many variances the faces of the orthant are gone through one by one."""

_MOST_STEPS = 2000

_MOVED = 1e-8
"""A projection is found when it moves by less than this share of its length, and the rest is as nearly normal to it."""


@dataclass(frozen=True, slots=True)
class ChiBarSquare:
    """chi2(free) + |Proj u|^2, for u in D - free dimensions.

    Attributes
    ----------
    free : int
        Dimensions without constraint.
    cones : tuple of int
        Orders of the positive semidefinite matrices.
    weights : (D + 1,) array or None
        Weight of chi2(k), k = 0..D; None where only directions are known.
    shares : (N,) array or None
        Squared length of the projection of N uniform directions in D dimensions, where the weights are not exact.
    """

    free: int
    cones: tuple[int, ...]
    weights: Floats | None
    shares: Floats | None

    @property
    def dimension(self) -> int:
        """Dimensions in all."""
        return self.free + sum(k * (k + 1) // 2 for k in self.cones)

    def tail(self, statistic: float) -> float:
        """Probability of more than a statistic; 1 at zero."""
        if statistic <= 0.0:
            return 1.0
        if self.shares is None:
            assert self.weights is not None
            degrees = np.arange(1, len(self.weights))
            return float(self.weights[1:] @ chi2.sf(statistic, degrees))
        shares = self.shares
        with np.errstate(divide="ignore"):
            return float(np.where(shares > 1e-12, chi2.sf(statistic / shares, self.dimension), 0.0).mean())


def chi_bar_square(information: Floats, cones: Sequence[int], free: int) -> ChiBarSquare:
    """Make the distribution from the information on the cone's coordinates, all others projected out.

    Parameters
    ----------
    information : (d, d) array
        Effective information on the coordinates of the cones.
    cones : sequence of int
        Orders of the positive semidefinite matrices; d is the sum of k (k + 1) / 2.
    free : int
        Number of further parameters tested that may have either sign.
    """
    cones = tuple(cones)
    if cones == (1,):
        return ChiBarSquare(free, cones, _mixture(free, [0.5, 0.5]), None)
    if cones == (1, 1):
        V = np.linalg.inv(information)
        both = 0.25 + float(np.arcsin(V[0, 1] / np.sqrt(V[0, 0] * V[1, 1]))) / (2.0 * np.pi)
        return ChiBarSquare(free, cones, _mixture(free, [0.5 - both, 0.5, both]), None)
    d = len(information)
    information = _balanced(information, cones)
    u = _directions(d + free, _DIRECTIONS if max(cones) < 3 else _FEWER)
    root = np.linalg.cholesky(np.linalg.inv(information))
    inside = u[:, :d] @ root.T
    weights = None
    if set(cones) == {1} and d <= _ORTHANT:
        projected, positive = _on_orthant(inside, information)
        weights = _mixture(free, np.bincount(positive, minlength=d + 1) / len(u))
    else:
        projected = _on_cones(inside, information, cones)
    length = np.einsum("ni,ij,nj->n", projected, information, inside)
    if cones == (2,):
        # the weights of even and of odd dimensions add up to one half each (Gauss-Bonnet)
        slope = inside @ information  # in the polar cone where its matrix is negative semidefinite
        none, all_ = _definite(-slope * [1.0, 0.5, 1.0]), _definite(inside)
        weights = _mixture(free, [none, 0.5 - all_, 0.5 - none, all_])
    return ChiBarSquare(free, cones, weights, np.maximum(length, 0.0) + (u[:, d:] ** 2).sum(1))


def _definite(x: Floats) -> float:
    """Share of positive semidefinite 2 x 2 matrices among lower triangles (N, 3)."""
    return float(((x[:, 0] >= 0) & (x[:, 2] >= 0) & (x[:, 0] * x[:, 2] >= x[:, 1] ** 2)).mean())


def _mixture(free: int, weights: Sequence[float] | Floats) -> Floats:
    return np.concatenate([np.zeros(free), np.asarray(weights, np.float64)])


def _balanced(information: Floats, cones: tuple[int, ...]) -> Floats:
    """Rescale the effects, M -> A M A with A diagonal, so that all variances have the information one.

    The cones stay as they are, and so does the distribution; what changes is how fast projections are found.
    """
    scale, start = np.empty(len(information)), 0
    for k in cones:
        columns, rows = np.triu_indices(k)
        own = slice(start, start + len(rows))
        a = np.diag(information)[own][rows == columns] ** 0.25
        scale[own] = a[rows] * a[columns]
        start = own.stop
    return information / np.outer(scale, scale)


def _directions(D: int, count: int) -> Floats:
    """Points on the unit sphere in D dimensions, evenly spread, the same at every call."""
    shift = np.random.default_rng(_SEED).random(D)
    uniform = np.mod(qmc.Sobol(D, scramble=False).random(count) + shift, 1.0)
    z = norm.ppf(np.clip(uniform, 1e-12, 1.0 - 1e-12))
    return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True), np.float64)


def _on_orthant(u: Floats, information: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Project on the orthant in the metric of the information, face by face; also the numbers of positive entries."""
    N, d = u.shape
    gradient = u @ information
    best, found = np.zeros_like(u), np.zeros(N, dtype=np.intp)
    length = np.zeros(N)
    for k in range(1, d + 1):
        for face in combinations(range(d), k):
            at = list(face)
            x = np.linalg.solve(information[np.ix_(at, at)], gradient[:, at].T).T
            size = np.einsum("nk,nk->n", x, gradient[:, at])
            better = (x > 0).all(1) & (size > length)  # of all faces' points inside, the projection is the longest
            length[better], found[better] = size[better], k
            best[better] = 0.0
            best[np.ix_(better, at)] = x[better]
    return best, found


def _on_cones(u: Floats, information: Floats, cones: tuple[int, ...]) -> Floats:
    """Project on a product of cones by accelerated projected gradients (Beck & Teboulle 2009).

    The momentum starts anew where it points uphill (O'Donoghue & Candes 2015).
    """
    layout, scale, start = [], np.ones(len(information)), 0
    for k in cones:
        columns, rows = np.triu_indices(k)
        own = slice(start, start + len(rows))
        scale[own] = np.where(rows == columns, 1.0, np.sqrt(2.0))  # Frobenius norm of the matrix
        layout.append((own, k, rows, columns))
        start = own.stop
    metric = information / np.outer(scale, scale)
    target, step = u * scale, 1.0 / float(np.linalg.eigvalsh(metric)[-1])
    size = np.sqrt(np.einsum("ni,ij,nj->n", target, metric, target)).max()

    def feasible(x: Floats) -> Floats:
        x = x.copy()
        for own, k, rows, columns in layout:
            M = np.zeros((len(x), k, k))
            M[:, rows, columns] = M[:, columns, rows] = x[:, own] / scale[own]
            x[:, own] = _positive_part(M)[:, rows, columns] * scale[own]
        return x

    out = feasible(target)
    ids = np.arange(len(u))
    x, ahead, momentum = out, out, np.ones(len(u))
    for _ in range(_MOST_STEPS):
        new = feasible(ahead - step * (ahead - target[ids]) @ metric)
        uphill = np.einsum("ni,ni->n", ahead - new, new - x) > 0
        momentum[uphill] = 1.0
        grown = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead = new + ((momentum - 1.0) / grown)[:, None] * (new - x)
        gap = np.einsum("ni,ij,nj->n", new, metric, new - target[ids])  # zero at the projection
        moving = (np.abs(new - x).max(1) > _MOVED * size) | (np.abs(gap) > _MOVED * size**2)
        out[ids] = new
        x, ahead, ids, momentum = new[moving], ahead[moving], ids[moving], grown[moving]
        if not len(ids):
            break
    return out / scale


def _positive_part(M: Floats) -> Floats:
    """Nearest positive semidefinite matrices, (N, k, k)."""
    k = M.shape[1]
    if k == 1:
        return np.maximum(M, 0.0)
    if k == 2:  # in closed form
        half, gap = 0.5 * (M[:, 0, 0] + M[:, 1, 1]), 0.5 * (M[:, 0, 0] - M[:, 1, 1])
        radius = np.hypot(gap, M[:, 0, 1])
        high, low = half + radius, half - radius
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = np.where(radius > 0, high / (2.0 * radius), 0.0)
        part = np.empty_like(M)  # high times the projector on the first eigenvector
        part[:, 0, 0], part[:, 1, 1] = factor * (radius + gap), factor * (radius - gap)
        part[:, 0, 1] = part[:, 1, 0] = factor * M[:, 0, 1]
        inside, outside = low >= 0, high <= 0
        return np.where(inside[:, None, None], M, np.where(outside[:, None, None], 0.0, part))
    w, vectors = np.linalg.eigh(M)
    return np.einsum("nij,nj,nkj->nik", vectors, np.maximum(w, 0.0), vectors)
