"""A start from moments: one variance per random-effects column by weighted minimum norm quadratic estimation.

Quadratic forms Q_u = sum_j (w_j E_j)^2 of the level sums E = Z_u'(y - X b_ols), with
w_j = 1 / (1 + 0.1 A_j), A = Z_u'Z_u, and the residual sum of squares are set equal to their exact expectations under
V = I + sum_v tau_v Z_vZ_v', the projection off X included: E Q_u / sigma^2 = sum_j w_j^2 |(Z_u'P_X V P_X Z_u)_jj|.
All from cross-products, no factorization (Rao 1971, J. Multivar. Anal. 1, 257-275, with weights that stand for a prior
ratio of 0.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossBlocks, CrossProducts

__all__ = ["moment_start", "moment_starts"]

_PRIOR_RATIO = 0.1
_SMALLEST = 0.05
"""Floor of the starting theta: theta = 0 is a stationary point of every model."""


_SMALL = 20_000
"""Up to this many level pairs a plain array is multiplied faster than a sparse one is built."""


@dataclass(frozen=True, slots=True)
class _Column:
    """Level sums of one random-effects column u with J levels."""

    weight: Floats  # w^2, (J,)
    X: Floats  # Z_u'X, (p, J)
    GX: Floats  # (X'X)^-1 X'Z_u, (p, J)


def moment_start(cp: CrossProducts) -> list[Floats]:
    """Relative standard deviations of every term's effects.

    Parameters
    ----------
    cp : CrossProducts
        Of a design with X of full rank.

    Returns
    -------
    list of (m,) arrays
        sqrt(tau) for each term, in the order of ``cp``; never below 0.05.
    """
    p = cp.p
    random = [right[:, p, :, None] for right in cp.right]
    found = moment_starts(cp, random, cp.fixed[:p, p:], cp.fixed[p, p:])
    return [sd[:, 0] for sd in found]


def moment_starts(cp: CrossProducts, random: Sequence[Floats], fixed: Floats, square: Floats) -> list[Floats]:
    """Relative standard deviations of every term's effects, for B responses to one design.

    Parameters
    ----------
    cp : CrossProducts
        Of a design with X of full rank; its own response is not used.
    random : sequence of (m, J, B) arrays
        Level blocks of Z'Wy.
    fixed : (p, B) array
        X'Wy.
    square : (B,) array
        y'Wy.

    Returns
    -------
    list of (m, B) arrays
        sqrt(tau) for each term, in the order of ``cp``; never below 0.05.
    """
    p, k = cp.p, sum(cp.m)
    G = np.linalg.inv(cp.fixed[:p, :p])
    beta = G @ fixed
    Q, T = np.zeros((k + 1, len(square))), np.zeros((k + 1, k + 1))
    Q[k] = square - np.einsum("xb,xb->b", beta, fixed)
    T[k, k] = cp.n - p
    columns: list[list[_Column]] = []
    P, weighted_P = np.empty((k, p, p)), np.empty((k, p, p))
    u = 0
    for m, own, right, z in zip(cp.m, cp.own, cp.right, random, strict=True):
        share, diagonal = slice(u, u + m), np.arange(m)
        X = right[:, :p]  # (m, p, J)
        GX, XT = np.matmul(G, X), X.transpose(0, 2, 1)
        A, E = own[diagonal, diagonal], z - np.matmul(XT, beta)
        weight = (1.0 + _PRIOR_RATIO * A) ** -2
        x = np.einsum("axj,bxj->abj", X, GX)
        rest = A - x[diagonal, diagonal]
        Q[share] = np.einsum("aj,ajb->ab", weight, E * E)
        T[share, k], T[k, share] = np.einsum("aj,aj->a", weight, rest), rest.sum(1)
        T[share, share] = np.einsum("aj,abj->ab", weight, own * (own - 2.0 * x))
        P[share], weighted_P[share] = np.matmul(GX, XT), np.matmul(GX * weight[:, None], XT)
        columns.append([_Column(weight[a], X[a], GX[a]) for a in range(m)])
        u += m
    first = np.concatenate([[0], np.cumsum(cp.m)])
    for (i, l), blocks in cp.cross.items():
        for a, one in enumerate(columns[i]):
            for b, two in enumerate(columns[l]):
                forward, backward = _crossed(blocks, blocks.values[a, b], one, two)
                T[first[i] + a, first[l] + b] += forward
                T[first[l] + b, first[i] + a] += backward
    T[:k, :k] += weighted_P.transpose(0, 2, 1).reshape(k, -1) @ P.reshape(k, -1).T
    tau = np.linalg.lstsq(T, Q, rcond=None)[0]
    residual = np.maximum(tau[k], 0.05 * Q[k] / T[k, k])
    usable = residual > 0
    theta = np.sqrt(np.maximum(tau[:k] / np.where(usable, residual, 1.0), _SMALLEST**2))
    return np.split(np.where(usable, theta, 1.0), first[1:-1])


def _crossed(blocks: CrossBlocks, N: Floats, one: _Column, two: _Column) -> tuple[float, float]:
    """sum_jk w_j^2 (N_jk^2 - 2 N_jk x_jk) for both directions, x = Z_u'X (X'X)^-1 X'Z_v."""
    rows, cols = blocks.rows, blocks.cols
    if blocks.nested:
        x = np.einsum("xj,xj->j", one.X, two.GX[:, cols])
        gained = N * (N - 2.0 * x)
        return float(one.weight @ gained), float(two.weight[cols] @ gained)
    J, K = len(one.weight), len(two.weight)
    matrix: sp.csr_array | Floats
    if J * K <= _SMALL:
        matrix = np.zeros((J, K))
        matrix[rows, cols] = N
    else:
        matrix = sp.csr_array((N, cols, np.searchsorted(rows, np.arange(J + 1))), shape=(J, K))
    square = N * N
    forward = one.weight[rows] @ square - 2.0 * np.vdot(two.GX.T, matrix.T @ (one.X * one.weight).T)
    backward = two.weight[cols] @ square - 2.0 * np.vdot(one.X.T, matrix @ (two.GX * two.weight).T)
    return float(forward), float(backward)
