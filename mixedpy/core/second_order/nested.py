"""One term, or terms nested in one another: K level by level, whatever the number of levels.

The innermost term is eliminated first. With T = [A W; W' R] the cross-products of a level with itself and with the
columns that stand right of it, N = (I + A Sigma)^-1, [K Y] = N [A W] and B = Sigma N, the elimination leaves
R - W'B W for the outer terms. tr(K E_r K E_s) is minus the second derivative of log|V|, so the elimination is
differentiated twice: outer levels carry the derivatives of T in the directions of the inner terms. With V = B W and
X_r = dW_r - dA_r V, an inner direction r or s gives, beside what dR gives,

    d_r  (-W'B W) = -(V'dW_r + dW_r'V) + V'dA_r V
    d_rs (-W'B W) = -(V'd2W_rs + d2W_rs'V) + V'd2A_rs V - (X_r'B X_s + X_s'B X_r)
    d_rs log|N|^-1 = tr(B d2A_rs) - tr(B dA_r B dA_s)

and a direction r of the term itself

    d_r  (-W'B W) = -Y'E_r Y
    d_rs (-W'B W) = -(X_s'N'E_r Y + Y'E_r N X_s)  (s inner),  Y'(E_r K E_s + E_s K E_r) Y  (s of the term)
    d_rs log|N|^-1 = tr(N'E_r N dA_s)             (s inner),  -tr(K E_r K E_s)             (s of the term)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.levelwise import Eliminated, apply_left, level_kernel, posterior

__all__ = ["Nested", "own_traces"]


class Nested:
    """K of a chain of nested terms (one or more)."""

    def __init__(self, cp: CrossProducts, Lambdas: list[Floats]):
        self.k, self.m, self.J, self.p = cp.k, cp.m, cp.J, cp.p
        self.ancestor = {pair: block.cols for pair, block in cp.cross.items()}
        self.Sigmas = [L @ L.T for L in Lambdas]
        stacks = []  # [A | W random | W fixed], (m, m + c, J)
        for i in range(cp.k):
            cross = (cp.cross[i, l].values for l in range(i + 1, cp.k))
            stacks.append(np.concatenate([cp.own[i], *cross, cp.right[i]], axis=1))
        self.eliminated: list[Eliminated] = []
        self.logdet, gram = 0.0, cp.fixed.copy()
        for i, (stack, Sigma, Lambda) in enumerate(zip(stacks, self.Sigmas, Lambdas, strict=True)):
            done = level_kernel(stack).eliminate(Sigma, Lambda)
            W, V = stack[:, self.m[i] :], apply_left(Sigma, done.Y)
            self.logdet += done.logdet
            gram -= np.matmul(W[:, -(cp.p + 1) :], V[:, -(cp.p + 1) :].transpose(0, 2, 1)).sum(0)
            self._pass_on(i, stacks, partial(_reduction, W, V))
            self.eliminated.append(done)
        self.gram: Floats = 0.5 * (gram + gram.T)

    def _pass_on(self, i: int, stacks: list[Floats], product: Callable[[slice, slice], Floats]) -> None:
        """Add to the stacks (..., m, m + c, J) of the outer terms what the levels of term i leave for them.

        ``product(rows, columns)`` gives (..., u, w, J_i) for columns right of term i.
        """
        start = 0
        for t in range(i + 1, self.k):
            rows = slice(start, start + self.m[t])
            lost = product(rows, slice(start, None))
            lead = tuple(slice(n) for n in lost.shape[:-3])
            stacks[t][lead] += _totals(lost, self.ancestor[i, t], self.J[t])
            start = rows.stop

    def _outer(self, i: int, t: int, values: Floats) -> Floats:
        """Y_it times the values (m_t, c, J_t) of the outer term at each level's ancestor, (m_i, c, J_i)."""
        start = sum(self.m[i + 1 : t])
        Y = self.eliminated[i].Y[:, start : start + self.m[t]]
        return _times(Y, values[:, :, self.ancestor[i, t]])

    def fixed(self) -> list[Floats]:
        """Z'V^-1[X y], from the outermost term inwards."""
        F: list[Floats] = [np.empty(0)] * self.k
        for i in range(self.k - 1, -1, -1):
            F[i] = self.eliminated[i].Y[:, -(self.p + 1) :].copy()
            for t in range(i + 1, self.k):
                F[i] -= self._outer(i, t, apply_left(self.Sigmas[t], F[t]))
        return F

    def apply(self, W: list[Floats]) -> list[Floats]:
        """K W: Z_i'V_i^-1 Z W outwards, V_i holding the terms up to i, then Z_i'V^-1 Z W inwards."""
        c = W[0].shape[1]
        carried = [np.zeros((m, c, J)) for m, J in zip(self.m, self.J, strict=True)]
        out = []
        for i, (done, Sigma) in enumerate(zip(self.eliminated, self.Sigmas, strict=True)):
            inner = apply_left(Sigma, carried[i])
            out.append(carried[i] + _times(done.K, W[i] - inner))
            start = 0
            for t in range(i + 1, self.k):
                up = np.einsum("auj,acj->ucj", done.Y[:, start : start + self.m[t]], W[i] - inner)
                carried[t] += _totals(up, self.ancestor[i, t], self.J[t])
                start += self.m[t]
        for i in range(self.k - 2, -1, -1):
            for t in range(i + 1, self.k):
                out[i] += self._outer(i, t, W[t] - apply_left(self.Sigmas[t], out[t]))
        return out

    def traces(self, directions: Sequence[Floats]) -> tuple[Floats, Floats]:
        """First derivatives of log|V|, and its second ones with their sign changed."""
        counts = [len(E) for E in directions]
        g = sum(counts)
        first, second = np.zeros(g), np.zeros((g, g))
        widths = [sum(self.m[i:]) for i in range(self.k)]  # random columns of each stack
        d1, d2 = [], []  # derivatives of the stacks in the directions of the inner terms
        for i, shape in enumerate(zip(self.m, widths, self.J, strict=True)):
            n = sum(counts[:i])
            d1.append(np.zeros((n, *shape)))
            d2.append(np.zeros((n, n, *shape)))
        for i, E in enumerate(directions):
            level = _Level(self.Sigmas[i], self.eliminated[i], widths[i], E, d1[i], d2[i])
            size = len(d1[i]) + len(E)
            first[:size] += level.first()
            second[:size, :size] += level.second()
            if i + 1 < self.k:
                self._pass_on(i, d1, level.passed_on)
                self._pass_on(i, d2, level.passed_on_twice)
        return first, -second


class _Level:
    """Derivatives of the elimination of one term in n inner directions and its own T."""

    def __init__(self, Sigma: Floats, done: Eliminated, width: int, E: Floats, d1: Floats, d2: Floats):
        m = len(Sigma)
        self.n, self.T, self.E, self.K = len(d1), len(E), E, done.K
        self.dA, self.dW, self.d2A, self.d2W = d1[:, :, :m], d1[:, :, m:], d2[:, :, :, :m], d2[:, :, :, m:]
        self.B = posterior(Sigma, done.K)
        self.N = np.eye(m)[:, :, None] - np.einsum("abj,bc->acj", done.K, Sigma)
        self.Y = done.Y[:, : width - m]
        self.V = apply_left(Sigma, self.Y)
        self.X = self.dW - np.einsum("rabj,bwj->rawj", self.dA, self.V)
        self.BX = np.einsum("abj,rbwj->rawj", self.B, self.X)
        self.ENX = np.einsum("rab,bcj,scwj->rsawj", E, self.N, self.X, optimize=True)
        self.EY = np.einsum("rab,bwj->rawj", E, self.Y)

    def first(self) -> Floats:
        """d log|I + A Sigma|, summed over the levels, (n + T,)."""
        inner = np.einsum("abj,rbaj->r", self.B, self.dA)
        return np.concatenate([inner, np.einsum("rab,ab->r", self.E, self.K.sum(2))])

    def second(self) -> Floats:
        """d2 log|I + A Sigma|, summed over the levels, (n + T, n + T)."""
        n = self.n
        out = np.zeros((n + self.T, n + self.T))
        BA = np.einsum("abj,rbcj->racj", self.B, self.dA)
        out[:n, :n] = np.einsum("abj,rsbaj->rs", self.B, self.d2A) - np.einsum("racj,scaj->rs", BA, BA)
        NAN = np.einsum("abj,rbcj,dcj->rad", self.N, self.dA, self.N, optimize=True)
        out[n:, :n] = np.einsum("rab,sba->rs", self.E, NAN)
        out[:n, n:] = out[n:, :n].T
        out[n:, n:] = -own_traces(self.E, self.K)
        return out

    def passed_on(self, u: slice, w: slice) -> Floats:
        """d(-W'B W), (n + T, u, w, J)."""
        V, dW = self.V, self.dW
        inner = np.einsum("auj,rabj,bwj->ruwj", V[:, u], self.dA, V[:, w], optimize=True)
        inner -= np.einsum("auj,rawj->ruwj", V[:, u], dW[:, :, w]) + np.einsum("rauj,awj->ruwj", dW[:, :, u], V[:, w])
        return np.concatenate([inner, -np.einsum("auj,rawj->ruwj", self.Y[:, u], self.EY[:, :, w])])

    def passed_on_twice(self, u: slice, w: slice) -> Floats:
        """d2(-W'B W), (n + T, n + T, u, w, J)."""
        V, d2W, X, n = self.V, self.d2W, self.X, self.n
        inner = np.einsum("auj,rsabj,bwj->rsuwj", V[:, u], self.d2A, V[:, w], optimize=True)
        inner -= np.einsum("auj,rsawj->rsuwj", V[:, u], d2W[:, :, :, w])
        inner -= np.einsum("rsauj,awj->rsuwj", d2W[:, :, :, u], V[:, w])
        XBX = np.einsum("rauj,sawj->rsuwj", X[:, :, u], self.BX[:, :, w])
        inner -= XBX + XBX.swapaxes(0, 1)
        out = np.empty((n + self.T, n + self.T, *inner.shape[2:]))
        out[:n, :n] = inner
        mixed = np.einsum("rsauj,awj->rsuwj", self.ENX[:, :, :, u], self.Y[:, w])
        mixed += np.einsum("auj,rsawj->rsuwj", self.Y[:, u], self.ENX[:, :, :, w])
        out[n:, :n] = -mixed
        out[:n, n:] = -mixed.swapaxes(0, 1)
        own = np.einsum("rauj,abj,sbwj->rsuwj", self.EY[:, :, u], self.K, self.EY[:, :, w], optimize=True)
        out[n:, n:] = own + own.swapaxes(0, 1)
        return out


def own_traces(E: Floats, K: Floats) -> Floats:
    """sum_j tr(E_r K_j E_s K_j), (T, T), for K (m, m, J)."""
    m, _, J = K.shape
    flat = K.reshape(m * m, J)
    KK = (flat @ flat.T).reshape(m, m, m, m)
    return np.einsum("rab,bcda,scd->rs", E, KK, E, optimize=True)


def _reduction(W: Floats, V: Floats, rows: slice, columns: slice) -> Floats:
    """-W'B W, (u, w, J), with V = B W."""
    return -np.einsum("auj,awj->uwj", W[:, rows], V[:, columns])


def _times(A: Floats, X: Floats) -> Floats:
    """Product at every level: A (a, b, J) times X (b, c, J)."""
    if A.shape[:2] == (1, 1):
        return A * X
    out: Floats = np.einsum("abj,bcj->acj", A, X)
    return out


def _totals(values: Floats, codes: NDArray[np.intp], size: int) -> Floats:
    """Sums over the last axis by code, (..., size)."""
    out = np.empty((*values.shape[:-1], size))
    for total, row in zip(out.reshape(-1, size), values.reshape(-1, values.shape[-1]), strict=True):
        total[:] = np.bincount(codes, row, size)
    return out
