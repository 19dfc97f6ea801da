"""Crossed terms: K through the elimination of the term with most columns and a dense matrix over the others.

With D = Z1'V1^-1Z1 by level, R = Z1'V1^-1Z2 on the pattern of Z1'Z2, S = Z2'V1^-1Z2 and H = Lambda2 M^-1 Lambda2',
M = Lambda2'S Lambda2 + I, where V1 holds the first term only,

    K11 = D - R H R'      K12 = R G,  G = I - H S      K22 = S G

and neither K11 nor K12 is formed. The traces follow with Y_r = R'E_r R, q x q for the q columns outside the first term.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.entries import cross_entries, trailing_entries
from mixedpy.core.levelwise import apply_left, level_kernel, posterior
from mixedpy.core.second_order.nested import own_traces

__all__ = ["Crossed"]

_CHUNK = 2**22
"""Entries of the dense rows of R H held at once."""

_SPARSE_COST = 60.0
"""How many multiplications of a dense product cost as much as one of a sparse product."""


class Crossed:
    """K of two or more terms that are not nested."""

    def __init__(self, cp: CrossProducts, Lambdas: list[Floats]):
        self.m, self.J, self.p = cp.m[0], cp.J[0], cp.p
        self.entries = entries = cross_entries(cp)
        self.trailing = trailing = entries.trailing
        self.q = trailing.q
        self.level = np.repeat(np.arange(self.J), np.diff(entries.pointer))
        Sigma = Lambdas[0] @ Lambdas[0].T
        stack = np.concatenate([cp.own[0], cp.right[0]], axis=1)
        done = level_kernel(stack).eliminate(Sigma, Lambdas[0])
        self.D, self.Y = done.K, done.Y
        N = np.eye(self.m)[:, :, None] - np.einsum("abj,bc->acj", self.D, Sigma)
        self.R = [self._rows(row) for row in self._by_entry(N)]
        A12 = [self._rows(row) for row in entries.values]
        BA = [self._rows(row) for row in self._by_entry(posterior(Sigma, self.D))]
        S = self._dense_A22(cp)
        for A, B in zip(A12, BA, strict=True):
            S -= self._cross(A, B)
        self.S = 0.5 * (S + S.T)
        SigmaY = apply_left(Sigma, self.Y)
        right = np.concatenate([block.transpose(0, 2, 1).reshape(-1, cp.p + 1) for block in cp.right[1:]])
        self.right = right - sum(A.T @ block.T for A, block in zip(A12, SigmaY, strict=True))  # Z2'V1^-1[X y]
        self.H, logdet = self._inverse(Lambdas[1:])
        self.logdet = done.logdet + logdet
        gram = cp.fixed - np.matmul(stack[:, self.m :], SigmaY.transpose(0, 2, 1)).sum(0)
        gram -= self.right.T @ self.H @ self.right
        self.gram: Floats = 0.5 * (gram + gram.T)

    def _by_entry(self, blocks: Floats) -> Floats:
        """Level blocks (m, m, J) times A12, on its pattern, (m, e)."""
        if self.m == 1:
            return blocks[0, :, self.level].T * self.entries.values
        out: Floats = np.einsum("abe,be->ae", blocks[:, :, self.level], self.entries.values)
        return out

    def _rows(self, values: Floats) -> sp.csr_array:
        """One effect's rows of a matrix on the pattern of A12, (J, q)."""
        return sp.csr_array((values, self.entries.columns, self.entries.pointer), shape=(self.J, self.q))

    def _dense_A22(self, cp: CrossProducts) -> Floats:
        rows, cols, values = trailing_entries(cp, self.trailing)
        A = np.zeros((self.q, self.q))
        A[rows, cols] = values
        A[cols, rows] = values
        return A

    def _cross(self, left: sp.csr_array, right: sp.csr_array) -> Floats:
        """left'right, (q, q)."""
        counts = np.diff(self.entries.pointer).astype(float)
        if _SPARSE_COST * (counts @ counts) < self.J * float(self.q) ** 2:
            return np.asarray((left.T @ right).toarray(), np.float64)
        out = np.zeros((self.q, self.q))
        for rows in self._chunks():
            out += left[rows].toarray().T @ right[rows].toarray()
        return out

    def _chunks(self) -> list[slice]:
        step = max(1, _CHUNK // self.q)
        return [slice(start, min(start + step, self.J)) for start in range(0, self.J, step)]

    def _inverse(self, Lambdas: list[Floats]) -> tuple[Floats, float]:
        """H = Lambda M^-1 Lambda' and log|M|."""
        multiply = self.trailing.multiply
        M = multiply(Lambdas, multiply(Lambdas, self.S, transposed=True).T, transposed=True)
        M[np.diag_indices(self.q)] += 1.0
        C, info = lapack.dpotrf(M.T, lower=1, clean=0, overwrite_a=1)
        if info:
            raise np.linalg.LinAlgError("the Schur complement is not positive definite")
        logdet = 2.0 * float(np.log(np.diag(C)).sum())
        inverse = lapack.dpotri(C, lower=1, overwrite_c=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        H: Floats = multiply(Lambdas, np.ascontiguousarray(multiply(Lambdas, inverse).T))
        return H, logdet

    def _times_R(self, B: Floats) -> Floats:
        """R B as (m, c, J) for B (q, c)."""
        return np.stack([(R @ B).T for R in self.R])

    def fixed(self) -> list[Floats]:
        """Z'V^-1[X y]."""
        Hr = self.H @ self.right
        rest = self.trailing.split(self.right - self.S @ Hr)  # (m, J, p + 1)
        return [self.Y - self._times_R(Hr), *(block.transpose(0, 2, 1).copy() for block in rest)]

    def apply(self, W: list[Floats]) -> list[Floats]:
        """K W by [D w1 + R(w2 - H t); t - S H t] with t = R'w1 + S w2."""
        w1 = W[0]
        w2 = np.concatenate([block.transpose(0, 2, 1).reshape(-1, w1.shape[1]) for block in W[1:]])
        t = self.S @ w2
        for R, block in zip(self.R, w1, strict=True):
            t += R.T @ block.T
        Ht = self.H @ t
        own = np.einsum("abj,bcj->acj", self.D, w1) + self._times_R(w2 - Ht)
        rest = self.trailing.split(t - self.S @ Ht)
        return [own, *(block.transpose(0, 2, 1) for block in rest)]

    def traces(self, directions: Sequence[Floats]) -> tuple[Floats, Floats]:
        """tr(K E_r) and tr(K E_r K E_s).

        With P_j the diagonal blocks of R H R',

            tr(E_r K11 E_s K11) = sum_j tr(E_r D_j E_s D_j) - 2 sum_j tr(E_r D_j E_s P_j) + <H Y_r, (H Y_s)'>
            tr(E_r K12 E_s K21) = sum_j tr E_s [G'Y_r G]_jj,    Y_r G = Y_r - (H Y_r)'S
        """
        first = directions[0]
        T, g = len(first), sum(len(E) for E in directions)
        trace, trace2 = np.empty(g), np.empty((g, g))
        lost = self._lost()
        trace[:T] = np.einsum("rab,ab->r", first, (self.D - lost).sum(2))
        trace2[:T, :T] = own_traces(first, self.D) - 2.0 * _mixed_traces(first, self.D, lost)
        G = -(self.H @ self.S)
        G[np.diag_indices(self.q)] += 1.0
        columns = list(self.trailing.shares())
        HY = []
        for r, E in enumerate(first):
            Y = self._weighted(E)
            HY.append(self.H @ Y)
            for s, other in enumerate(HY):
                trace2[r, s] += np.vdot(HY[r], np.ascontiguousarray(other.T))
                trace2[s, r] = trace2[r, s]
            Y -= HY[r].T @ self.S
            at = T
            for share, m, rest in zip(columns, self.trailing.m, directions[1:], strict=True):
                GYG = _component_products(G[:, share], Y[:, share], m)
                trace2[r, at : at + len(rest)] = trace2[at : at + len(rest), r] = np.einsum("sab,ab->s", rest, GYG)
                at += len(rest)
        K22 = self.S @ G
        del HY, G
        self._trailing_traces(K22, directions, trace, trace2)
        return trace, trace2

    def _weighted(self, E: Floats) -> Floats:
        """Y = R'E R, (q, q)."""
        Y = np.zeros((self.q, self.q))
        for a in range(self.m):
            for b in range(a + 1):
                if E[a, b]:
                    product = E[a, b] * self._cross(self.R[a], self.R[b])
                    Y += product if a == b else product + product.T
        return Y

    def _lost(self) -> Floats:
        """Diagonal blocks of R H R', (m, m, J), a chunk of levels at a time."""
        P = np.empty((self.m, self.m, self.J))
        for rows in self._chunks():
            level = self.level[self.entries.pointer[rows.start] : self.entries.pointer[rows.stop]] - rows.start
            parts = [R[rows] for R in self.R]
            for a, left in enumerate(parts):
                RH = left @ self.H
                for b, right in enumerate(parts[: a + 1]):
                    totals = np.bincount(level, RH[level, right.indices] * right.data, rows.stop - rows.start)
                    P[a, b, rows] = P[b, a, rows] = totals
        return P

    def _trailing_traces(self, K22: Floats, directions: Sequence[Floats], trace: Floats, trace2: Floats) -> None:
        """Fill in the parts of the trailing terms from elementwise products of their blocks of K22."""
        starts = np.cumsum([len(E) for E in directions])
        layout = list(
            zip(self.trailing.shares(), self.trailing.m, self.trailing.J, starts, directions[1:], strict=False)
        )
        for i, (rows, m, J, at, E) in enumerate(layout):
            own = slice(at, at + len(E))
            blocks = K22[rows, rows].reshape(m, J, m, J)
            trace[own] = np.einsum("rab,ab->r", E, np.einsum("ajbj->ab", blocks))
            for cols, m2, J2, at2, E2 in layout[: i + 1]:
                # K[(j, a), (j', c)] with (a, c) leading
                K = np.ascontiguousarray(K22[rows, cols].reshape(m, J, m2, J2).transpose(0, 2, 1, 3)).reshape(
                    m * m2, -1
                )
                KK = (K @ K.T).reshape(m, m2, m, m2)
                other = slice(at2, at2 + len(E2))
                trace2[own, other] = np.einsum("rab,acbd,scd->rs", E, KK, E2, optimize=True)
                trace2[other, own] = trace2[own, other].T


def _mixed_traces(E: Floats, D: Floats, P: Floats) -> Floats:
    """Symmetric part of sum_j tr(E_r D_j E_s P_j), (T, T)."""
    m, _, J = D.shape
    DP = (D.reshape(m * m, J) @ P.reshape(m * m, J).T).reshape(m, m, m, m)
    out = np.einsum("rab,bcda,scd->rs", E, DP, E, optimize=True)
    return 0.5 * (out + out.T)


def _component_products(G: Floats, Y: Floats, m: int) -> Floats:
    """Sum over levels of the (a, b) entries of the diagonal blocks of G'Y, (m, m); columns component by component."""
    q = len(G)
    return np.einsum("qaj,qbj->ab", G.reshape(q, m, -1), Y.reshape(q, m, -1), optimize=True)
