"""Crossed terms: eliminate the term with most columns level by level, and factor the Schur complement of the rest.

With A = Z'Z, term 1 eliminated and 2 all others, B_j = Sigma_1 (I + A_j Sigma_1)^-1 for every level j of term 1:

    S = A22 - A21 B A12          R = Z2'[X y] - A21 B Z1'[X y]          M = Lambda2'S Lambda2 + I
    log|V| = log|I + A11 Sigma1| + log|M|
    [X y]'V^-1[X y] = [X y]'V1^-1[X y] - R'Lambda2 M^-1 Lambda2'R
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import blas

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.entries import CrossEntries, trailing_entries
from mixedpy.core.factor.pairs import LevelPairs
from mixedpy.core.factor.protocol import Derivatives, Reduced, Seed
from mixedpy.core.factor.storage import Storage
from mixedpy.core.levelwise import Eliminated, apply_left, level_kernel, posterior

__all__ = ["Schur", "floored"]

_LAMBDA_FLOOR = 1e-7
"""Diagonals of the trailing Lambda are kept this far from zero; the deviance moves by about 1e-11."""


@dataclass(slots=True)
class _State:
    """What one update leaves for the derivatives; everything is relative to sigma^2."""

    Lambdas: list[Floats]
    Sigma: Floats  # of the eliminated term
    eliminated: Eliminated
    B: Floats  # (m, m, J)
    S: Floats  # storage
    R: Floats  # (q, p + 1)
    LR: Floats  # Lambda2'R, (q, p + 1)
    U: Floats  # M^-1 Lambda2'R, (q, p + 1)


class Schur:
    """Factorization of crossed terms.

    Parameters
    ----------
    cross_products : CrossProducts
        At least two terms.
    entries : CrossEntries
        Z1'Z2 by level of the first term.
    storage : Storage
        Keeper of the Schur complement.
    heavy : (J,) bool array
        Levels of the eliminated term with so many trailing columns that one dense product is cheaper than pairs.
    """

    def __init__(
        self, cross_products: CrossProducts, entries: CrossEntries, storage: Storage, heavy: NDArray[np.bool_]
    ):
        cp = cross_products
        self.storage, self.entries = storage, entries
        self.m, self.J = cp.m[0], cp.J[0]
        self.trailing = entries.trailing
        self._take_right_sides(cp)
        self.A12 = entries.matrix(self.m, self.J)
        self.A21 = self.A12.T
        self.pairs = None
        if not heavy.all():
            self.pairs = LevelPairs(
                entries.pointer, entries.columns, entries.values, ~heavy, storage.position, storage.size
            )
        self.A22 = np.zeros(storage.size)
        rows, cols, values = trailing_entries(cp, self.trailing)
        self.A22[storage.position(rows, cols)] = values
        self.heavy = _HeavyLevels(cp, self.A12, np.flatnonzero(heavy), self.trailing.q) if heavy.any() else None
        self.state: _State | None = None

    def _take_right_sides(self, cp: CrossProducts) -> None:
        """Lay out what depends on the response."""
        self.cp = cp
        self.stack = np.concatenate([cp.own[0], cp.right[0]], axis=1)  # [A11 | Z1'[X y]], (m, m + p + 1, J)
        self.kernel = level_kernel(self.stack)
        self.right = np.concatenate(
            [block.transpose(0, 2, 1).reshape(-1, cp.p + 1) for block in cp.right[1:]]
        )  # Z2'[X y], (q, p + 1)

    def with_response(self, design: Design, cross_products: CrossProducts) -> Schur:
        """The same for another response; symbolic work and storage are shared."""
        other = copy(self)
        other._take_right_sides(cross_products)
        other.state = None
        return other

    @property
    def name(self) -> str:
        """Which storage serves."""
        return self.storage.name

    @property
    def analyses(self) -> int:
        """Symbolic analyses made."""
        return self.storage.analyses

    def update(self, Lambdas: list[Floats]) -> Reduced:
        """Eliminate the first term, assemble S and factor it."""
        Lambdas = [Lambdas[0], *(floored(L) for L in Lambdas[1:])]
        Sigma = Lambdas[0] @ Lambdas[0].T
        done = self.kernel.eliminate(Sigma, Lambdas[0])
        SigmaY = apply_left(Sigma, done.Y)
        B = posterior(Sigma, done.K)
        S = self.A22.copy()
        if self.pairs is not None:
            self.pairs.subtract(B, S)
        if self.heavy is not None:
            S = self.heavy.subtract(Lambdas[0], S)
        R = self.right - self.A21 @ self._by_level(SigmaY)
        gram = self.cp.fixed - np.matmul(self.stack[:, self.m :], SigmaY.transpose(0, 2, 1)).sum(0)
        logdet = done.logdet + self.storage.factor(S, Lambdas[1:])
        LR = self.trailing.multiply(Lambdas[1:], R, transposed=True)
        U = self.storage.solve(LR)
        gram -= LR.T @ U
        self.state = _State(Lambdas, Sigma, done, B, S, R, LR, U)
        return Reduced(logdet, 0.5 * (gram + gram.T))

    def _by_level(self, block: Floats) -> Floats:
        """(m, c, J) as the rows of A12, (m J, c)."""
        return np.ascontiguousarray(block.transpose(0, 2, 1)).reshape(self.m * self.J, -1)

    def _from_rows(self, rows: Floats) -> Floats:
        """(m J, c) as (m, c, J)."""
        return rows.reshape(self.m, self.J, -1).transpose(0, 2, 1)

    def _swept(self, X: Floats) -> Floats:
        """(I + A11 Sigma)^-1 X = X - K Sigma X for every level, (m, c, J)."""
        state = self._last()
        K, Sigma = state.eliminated.K, state.Sigma
        if self.m == 1:
            swept: Floats = X * (1.0 - Sigma[0, 0] * K[0])
            return swept
        SX = apply_left(Sigma, np.ascontiguousarray(X))
        return X - np.matmul(K.transpose(2, 0, 1), SX.transpose(2, 0, 1)).transpose(1, 2, 0)

    def _last(self) -> _State:
        if self.state is None:
            raise RuntimeError("update() comes first")
        return self.state

    def modes(self, c: Floats) -> list[Floats]:
        """b1 = Sigma1 Z1'Py and b2 = Lambda2 U c."""
        state = self._last()
        b2 = self.trailing.multiply(state.Lambdas[1:], (state.U @ c)[:, None])
        e1 = np.einsum("acj,c->aj", state.eliminated.Y, c)
        e1 -= self._swept(self._from_rows(self.A12 @ b2))[:, 0]
        return [state.Sigma @ e1, *self.trailing.split(b2[:, 0])]

    def fixed_products(self) -> list[Floats]:
        """Z'V^-1[X y] of each term, (m, p + 1, J)."""
        state = self._last()
        b2 = self.trailing.multiply(state.Lambdas[1:], state.U)
        own = state.eliminated.Y - self._swept(self._from_rows(self.A12 @ b2))
        rest = self.trailing.split(state.R - self.storage.multiply(state.S, b2))
        return [own, *(block.transpose(0, 2, 1).copy() for block in rest)]

    def random_products(self, W: list[Floats]) -> list[Floats]:
        """Z'V^-1Z W; W and the result are lists of one (m, c, J) array for each term."""
        state = self._last()
        own = np.einsum("abj,bcj->acj", state.eliminated.K, W[0])
        w2 = np.concatenate([block.transpose(0, 2, 1).reshape(-1, block.shape[1]) for block in W[1:]])
        t = self.A21 @ self._by_level(W[0] - apply_left(state.Sigma, own))
        t += self.storage.multiply(state.S, w2)
        solved = self.storage.solve(self.trailing.multiply(state.Lambdas[1:], t, transposed=True))
        b2 = self.trailing.multiply(state.Lambdas[1:], solved)
        rest = self.trailing.split(t - self.storage.multiply(state.S, b2))
        own += self._swept(self._from_rows(self.A12 @ (w2 - b2)))
        return [own, *(block.transpose(0, 2, 1).copy() for block in rest)]

    def conditional_covariance(self) -> list[Floats]:
        """B + B (A12 Gamma A21)_jj B for the eliminated term, blocks of Gamma for the others."""
        state = self._last()
        gamma = self.storage.inverse().gamma
        Q = np.zeros((self.m, self.m, self.J)) if self.pairs is None else self.pairs.traces(gamma)
        if self.heavy is not None:
            self.heavy.add_traces(gamma, Q)
        BQ = np.einsum("acj,cbj->abj", state.B, Q)
        return [state.B + np.einsum("acj,cbj->abj", BQ, state.B), *self.storage.blocks(gamma)]

    def derivatives(self, seed: Seed, directions: list[Floats]) -> Derivatives:
        """Gradient and average-information blocks; the inverse of the Schur complement overwrites its factor."""
        state = self._last()
        c, Omega = seed.c, seed.Omega
        b2 = self.trailing.multiply(state.Lambdas[1:], state.U)
        F1 = state.eliminated.Y - self._swept(self._from_rows(self.A12 @ b2))  # Z1'V^-1[X y], (m, p + 1, J)
        e1 = np.einsum("acj,c->aj", F1, c)
        e2 = state.R @ c - self.storage.multiply(state.S, (b2 @ c)[:, None])[:, 0]
        scores = [e1, *self.trailing.split(e2)]
        score = [np.einsum("tab,ab->t", d, e @ e.T) for d, e in zip(directions, scores, strict=True)]
        quadratic, fixed = self._information(directions, scores)
        inverse = self.storage.inverse()
        dSigma, dLambda = self._trailing_derivatives(seed, inverse.traces, scores[1:])
        own = self._eliminated_derivative(Omega, F1, inverse.gamma)
        return Derivatives(
            dSigma=(own, *dSigma),
            dLambda=(2.0 * own @ state.Lambdas[0], *dLambda),
            score=np.concatenate(score),
            quadratic=quadratic,
            fixed=fixed,
        )

    def _information(self, directions: list[Floats], scores: list[Floats]) -> tuple[Floats, Floats]:
        """w'Z'V^-1Z w and X'V^-1Z w for w = dSigma e, by one solve for all directions."""
        state, p = self._last(), self.cp.p
        K, Y, Sigma = state.eliminated.K, state.eliminated.Y, state.Sigma
        own = np.matmul(directions[0], scores[0])  # (T_1, m, J)
        k1, T = len(own), sum(len(d) for d in directions)
        quadratic = np.zeros((T, T))
        Kw = np.einsum("abj,tbj->taj", K, own)
        quadratic[:k1, :k1] = own.reshape(k1, -1) @ Kw.reshape(k1, -1).T
        w2 = np.zeros((self.trailing.q, T - k1))
        column = 0
        for share, d, e in zip(self.trailing.shares(), directions[1:], scores[1:], strict=True):
            w2[share, column : column + len(d)] = np.matmul(d, e).reshape(len(d), -1).T
            column += len(d)
        kept = (own - np.matmul(Sigma, Kw)).reshape(k1, -1)  # (I + A11 Sigma)^-T w
        g2 = self.A21 @ np.ascontiguousarray(kept.T)
        Sw = self.storage.multiply(state.S, w2)
        quadratic[k1:, k1:] = w2.T @ Sw
        quadratic[k1:, :k1] = w2.T @ g2
        quadratic[:k1, k1:] = quadratic[k1:, :k1].T
        tau = self.trailing.multiply(state.Lambdas[1:], np.concatenate([g2, Sw], axis=1), transposed=True)
        solved = self.storage.solve(tau)
        quadratic -= tau.T @ solved
        across = Y[:, :p].transpose(1, 0, 2).reshape(p, -1)
        fixed = np.concatenate([across @ own.reshape(k1, -1).T, state.R[:, :p].T @ w2], axis=1)
        return quadratic, fixed - state.LR[:, :p].T @ solved

    def _trailing_derivatives(
        self, seed: Seed, traces: list[Floats], scores: list[Floats]
    ) -> tuple[list[Floats], list[Floats]]:
        """dd/dSigma = Lambda^-T (J I - sum_j (M^-1)_jj - U_j Omega U_j') Lambda^-1, the y part without division."""
        state = self._last()
        dSigma, dLambda = [], []
        fitted = self.trailing.split(state.U)
        for J, L, trace, e, U in zip(self.trailing.J, state.Lambdas[1:], traces, scores, fitted, strict=True):
            inner = J * np.eye(len(L)) - trace
            if seed.half is not None:
                Ux = np.matmul(U[..., :-1], seed.half.T).transpose(0, 2, 1).reshape(len(L), -1)
                inner -= Ux @ Ux.T
            L_inverse = np.linalg.inv(L)
            half = inner @ L_inverse
            dLambda.append(2.0 * (half.T - e @ (U @ seed.c).T / seed.sigma2))
            dSigma.append(L_inverse.T @ half - e @ e.T / seed.sigma2)
        return dSigma, dLambda

    def _eliminated_derivative(self, Omega: Floats, F: Floats, gamma: Floats) -> Floats:
        """sum_j (K_j - N_j Q_j N_j' - F_j Omega F_j') with N = (I + A Sigma)^-1 and Q_j = (A12 Gamma A21)_jj."""
        state, m = self._last(), self.m
        K = state.eliminated.K
        flat = np.ascontiguousarray(F).reshape(-1, self.J)
        FF = (flat @ flat.T).reshape(m, len(Omega), m, len(Omega))
        out: Floats = K.sum(2) - np.einsum("axby,xy->ab", FF, Omega)
        if self.pairs is not None and m == 1:
            N = 1.0 - state.Sigma[0, 0] * K[0, 0]
            out[0, 0] -= N * N @ self.pairs.traces(gamma)[0, 0]
        elif self.pairs is not None:
            NQ = self._swept(self.pairs.traces(gamma))
            out -= np.einsum("acj,bcj->ab", NQ, np.eye(m)[:, :, None] - np.einsum("acj,cb->abj", K, state.Sigma))
        if self.heavy is not None:
            out -= self.heavy.swept_traces(state.Lambdas[0], gamma)
        return out


def floored(L: Floats, floor: float = _LAMBDA_FLOOR) -> Floats:
    """Keep the diagonal of a relative covariance factor at least this far from zero."""
    diagonal = np.diag(L)
    if np.abs(diagonal).min() >= floor:
        return L
    L = L.copy()
    np.fill_diagonal(L, np.where(np.abs(diagonal) < floor, floor, diagonal))
    return L


class _HeavyLevels:
    """Levels of the eliminated term that meet many trailing columns, as dense rows of A12."""

    def __init__(self, cp: CrossProducts, A12: sp.csr_array | Floats, levels: NDArray[np.intp], q: int):
        m, J = cp.m[0], cp.J[0]
        self.levels, self.q = levels, q
        rows = (np.arange(m)[None, :] * J + levels[:, None]).ravel()
        chosen = A12[rows]
        dense = chosen if isinstance(chosen, np.ndarray) else chosen.toarray()
        self.W = dense.reshape(len(levels), m, q)
        self.A = np.ascontiguousarray(cp.own[0][:, :, levels].transpose(2, 0, 1))  # (h, m, m)

    def _half(self, Lambda: Floats) -> Floats:
        """C^-1 Lambda' with CC' = I + Lambda'A Lambda, (h, m, m); applied to W its square is W'B W."""
        if len(Lambda) == 1:
            return np.asarray(Lambda[0, 0] / np.sqrt(1.0 + Lambda[0, 0] ** 2 * self.A), np.float64)
        C = np.linalg.cholesky(np.eye(len(Lambda)) + Lambda.T @ self.A @ Lambda)
        return np.asarray(np.linalg.solve(C, np.broadcast_to(Lambda.T, C.shape)), np.float64)

    def subtract(self, Lambda: Floats, S: Floats) -> Floats:
        """S - W'B W on the lower triangle of dense storage, in place."""
        H = (self._half(Lambda) @ self.W).reshape(-1, self.q)
        square = S.reshape(self.q, self.q, order="F")
        out = blas.dsyrk(-1.0, H.T, beta=1.0, c=square, trans=0, lower=1, overwrite_c=1)
        flat: Floats = out.ravel("K")
        return flat

    def _quadratic(self, W: Floats, gamma: Floats) -> Floats:
        """W_j Gamma W_j', (h, m, m); gamma is the lower triangle with its off-diagonals doubled."""
        G = 0.5 * gamma.reshape(self.q, self.q, order="F")
        G[np.diag_indices(self.q)] *= 2.0
        flat = W.reshape(-1, self.q)
        GW = blas.dsymm(1.0, G, flat.T, lower=1).T.reshape(W.shape)
        return np.matmul(GW, W.transpose(0, 2, 1))

    def add_traces(self, gamma: Floats, Q: Floats) -> None:
        """Write W_j Gamma W_j' into Q (m, m, J) for the heavy levels."""
        Q[:, :, self.levels] = self._quadratic(self.W, gamma).transpose(1, 2, 0)

    def swept_traces(self, Lambda: Floats, gamma: Floats) -> Floats:
        """Sum over the levels of Y_j Gamma Y_j' with Y = (I + A Sigma)^-1 W, (m, m)."""
        half = self._half(Lambda)
        swept = np.eye(len(Lambda)) - self.A @ half.transpose(0, 2, 1) @ half  # (I + A Sigma)^-1
        Y = swept @ self.W
        if len(Lambda) == 1:
            square = blas.dsyrk(1.0, Y.reshape(-1, self.q).T, trans=0, lower=1)
            return np.array([[np.vdot(square.ravel("K"), gamma)]])
        total: Floats = self._quadratic(Y, gamma).sum(0)
        return total
