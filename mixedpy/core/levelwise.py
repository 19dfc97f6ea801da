"""The level-wise kernel: eliminate one random term, all of its levels at once, in closed form.

For every level j with cross-products A_j = Z_j'WZ_j and W_j = Z_j'W[later columns], and relative covariance
Sigma = Lambda Lambda', the kernel turns the stack [A | W] into

    [K | Y] = (I + A Sigma)^-1 [A | W] = Z_j'V^-1 [Z_j | later columns]

and log|I + A Sigma|. Nothing is divided by Lambda: a variance of zero is an ordinary point.
Stacks are (m, m + c, J) with the level axis last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Eliminated", "LevelKernel", "apply_left", "level_kernel", "posterior"]

Floats = NDArray[np.float64]

_CHUNK = 16_384
"""Levels per chunk where m > 2: a chunk's work arrays stay in the processor's cache."""

_BATCHED = 200
"""Below this many levels, with m > 2, one batched LAPACK call is cheaper than unrolled array operations."""


@dataclass(frozen=True, slots=True)
class Eliminated:
    """What the kernel computes at one Sigma.

    Attributes
    ----------
    K : (m, m, J) array
        Z_j'V^-1Z_j.
    Y : (m, c, J) array
        Z_j'V^-1[later columns].
    logdet : float
        Sum over the levels of log|I + A_j Sigma|.
    """

    K: Floats
    Y: Floats
    logdet: float


class LevelKernel(Protocol):
    """A stack of level blocks made ready for elimination at any Sigma."""

    def eliminate(self, Sigma: Floats, Lambda: Floats) -> Eliminated:
        """Eliminate all levels at Sigma = Lambda Lambda', both (m, m)."""


def level_kernel(stack: Floats) -> LevelKernel:
    """Choose the kernel by the number of effects per level.

    Parameters
    ----------
    stack : (m, m + c, J) array
        Blocks [A | W].
    """
    m, _, J = stack.shape
    if m == 1:
        return _Scalar(stack)
    if m == 2:
        return _Pair(stack)
    return _Batched(stack) if J < _BATCHED else _Unrolled(stack)


def apply_left(S: Floats, Y: Floats) -> Floats:
    """S (m, m) times the leading axis of Y (m, c, J)."""
    return (S @ Y.reshape(len(S), -1)).reshape(Y.shape)


def posterior(Sigma: Floats, K: Floats) -> Floats:
    """B = Sigma - Sigma K Sigma = Sigma (I + A Sigma)^-1 for every level, (m, m, J)."""
    if len(Sigma) == 1:
        return Sigma[0, 0] - Sigma[0, 0] ** 2 * K
    out: Floats = Sigma[:, :, None] - np.einsum("acj,cb->abj", apply_left(Sigma, K), Sigma)
    return out


class _Scalar:
    """m = 1: one division per level."""

    def __init__(self, stack: Floats):
        self.stack = stack

    def eliminate(self, Sigma: Floats, Lambda: Floats) -> Eliminated:
        det = self.stack[0, 0] * Sigma[0, 0]
        det += 1.0
        KY = self.stack / det
        return Eliminated(KY[:, :1], KY[:, 1:], float(np.log(det).sum()))


class _Pair:
    """m = 2 by determinants.

    |I + A S| = 1 + s11 a11 + 2 s12 a12 + s22 a22 + |S||A| and (I + A S)^-1 B = (B + adj(S) adj(A) B) / |I + A S|;
    adj(A)[A | W] is formed once. K has sums of positive terms only.
    """

    def __init__(self, stack: Floats):
        a, b, d = stack[0, 0], stack[0, 1], stack[1, 1]
        det = a * d - b * b
        self.stack = np.empty((4, *stack.shape[1:]))
        self.stack[:2] = stack
        np.multiply(d, stack[0], out=self.stack[2])
        self.stack[2] -= b * stack[1]
        np.multiply(a, stack[1], out=self.stack[3])
        self.stack[3] -= b * stack[0]
        self.stack[2, 0] = self.stack[3, 1] = det
        self.stack[2, 1] = self.stack[3, 0] = 0.0
        self.moments = np.stack([a, b, d, det])  # (4, J)

    def eliminate(self, Sigma: Floats, Lambda: Floats) -> Eliminated:
        s1, s2, s3 = Sigma[0, 0], Sigma[1, 0], Sigma[1, 1]
        # |Sigma| from the factor: s1 s3 - s2^2 cancels when the correlation is near one
        det_sigma = (Lambda[0, 0] * Lambda[1, 1] - Lambda[0, 1] * Lambda[1, 0]) ** 2
        det = np.array([s1, 2 * s2, s3, det_sigma]) @ self.moments
        det += 1.0
        weights = np.array([[1.0, 0.0, s3, -s2], [0.0, 1.0, -s2, s1]])
        KY = (weights @ self.stack.reshape(4, -1)).reshape(2, *self.stack.shape[1:])
        KY /= det
        return Eliminated(KY[:, :2], KY[:, 2:], float(np.log(det).sum()))


class _Unrolled:
    """m > 2, many levels: Cholesky factorization of I + L'A L written out over the level axis, chunk by chunk."""

    def __init__(self, stack: Floats):
        self.stack = stack

    def eliminate(self, Sigma: Floats, Lambda: Floats) -> Eliminated:
        m, width, J = self.stack.shape
        KY = np.empty((m, width, J))
        logdet = 0.0
        for start in range(0, J, _CHUNK):
            levels = slice(start, min(start + _CHUNK, J))
            logdet += self._chunk(np.ascontiguousarray(self.stack[..., levels]), Lambda, KY[..., levels])
        return Eliminated(KY[:, :m], KY[:, m:], logdet)

    @staticmethod
    def _chunk(stack: Floats, Lambda: Floats, out: Floats) -> float:
        m = len(Lambda)
        H = apply_left(Lambda.T, stack)  # L'[A | W]
        M = np.einsum("abj,bc->acj", H[:, :m], Lambda)  # L'A L
        C: dict[tuple[int, int], Floats] = {}
        logdet = 0.0
        for a in range(m):
            for b in range(a + 1):
                v = M[a, b] + float(a == b)
                for c in range(b):
                    v -= C[a, c] * C[b, c]
                if a == b:
                    logdet += float(np.log(v).sum())
                    C[a, a] = np.sqrt(v)
                else:
                    C[a, b] = v / C[b, b]
            for c in range(a):  # forward substitution, H <- C^-1 L'[A | W]
                H[a] -= C[a, c] * H[c]
            H[a] /= C[a, a]
        out[:] = stack
        for a in range(m):  # [A | W] - (A L) M^-1 (L'[A | W])
            for c in range(m):
                out[a] -= H[c, a] * H[c]
        return logdet


class _Batched:
    """m > 2, few levels: LAPACK on a stack of small matrices."""

    def __init__(self, stack: Floats):
        self.m = len(stack)
        self.by_level = np.ascontiguousarray(stack.transpose(2, 0, 1))  # (J, m, m + c)

    def eliminate(self, Sigma: Floats, Lambda: Floats) -> Eliminated:
        m = self.m
        A = self.by_level[:, :, :m]
        C = np.linalg.cholesky(np.eye(m) + Lambda.T @ A @ Lambda)  # (J, m, m)
        H = np.linalg.solve(C, Lambda.T @ self.by_level)
        KY = self.by_level - H[:, :, :m].transpose(0, 2, 1) @ H
        logdet = 2.0 * float(np.log(np.diagonal(C, axis1=1, axis2=2)).sum())
        KY = np.ascontiguousarray(KY.transpose(1, 2, 0))
        return Eliminated(KY[:, :m], KY[:, m:], logdet)
