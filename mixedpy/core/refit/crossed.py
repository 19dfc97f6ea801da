"""The deviance of many replicates of a model with crossed terms: value, gradient and exact Hessian in lockstep.

The first term, which has most columns, is eliminated level by level; the columns of all others stand beside X as
U = [Z2 X], with Lambda = blockdiag(Lambda2, I) on them. With U_j = Z1j'U, N = (I + A Sigma)^-1 and B = Sigma N,

    G = U'V1^-1U = U'U - sum_j U_j'B U_j          CC' = Lambda'G Lambda + blockdiag(I, 0)          P = C^-1 Lambda'
    log|V| + log|X'V^-1X| = sum_j log|I + A_j Sigma| + log|CC'|       y'Py = y'V1^-1y - |P U'V1^-1y|^2

and P'P takes the part of (X'V^-1X)^-1 in a model with one term: the projection off X is V1^-1 - V1^-1 U P'P U'V1^-1.
Without the rows of P that belong to X it is V^-1. So, with H = P'P (all rows for REML, those of Z2 for ML) and
R_j = N U_j, the blocks of K = Z'V^-1Z, or of Z' times the projection times Z, are

    K11 = blockdiag(N A) - R H R'       K12 = R (I - H G)_2       K22 = (G (I - H G))_22

of which only traces are formed. Nothing is divided by Lambda. Levels of the first term with the same A_j form classes:
what depends on theta alone is the same for all of a class, of which the second moments sum_j U_j (x) U_j enter. Arrays
over levels are (..., C or J, B), replicates last; matrices of the order of U are stacks (B, w, w).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.entries import cross_entries, trailing_entries
from mixedpy.core.refit.algebra import multiply, stack_root, transpose
from mixedpy.core.refit.classes import classes_of, eliminate, trace_products
from mixedpy.core.refit.entries import Entries, lower_pairs
from mixedpy.core.refit.errors import joint_covariance
from mixedpy.core.refit.responses import Responses

__all__ = ["Columns", "Crossed", "CrossedState", "small"]

_EXACT = 1e-14
"""A share of y'y below which what is left of it is rounding error: such a response has no likelihood."""

_MOST_OPERATIONS = 5e6
"""Operations of one evaluation up to which replicates advance together."""

_LOG_2PI_E = 1.0 + np.log(2.0 * np.pi)


@dataclass(frozen=True, slots=True)
class CrossedState:
    """What the values of B replicates leave for their derivatives.

    Attributes
    ----------
    value, sigma2, beta, S_inverse
        As in ``OneWayState``.
    Lambdas : tuple of (m, m, B) arrays
        Relative covariance factors.
    B : (m, m, C, B) array
        Sigma (I + A Sigma)^-1 of the first term.
    G, P : (B, w, w) array
        U'V1^-1U and C^-1 Lambda'.
    Gy : (B, w) array
        U'V1^-1y.
    """

    value: Floats
    sigma2: Floats
    beta: Floats
    S_inverse: Floats
    Lambdas: tuple[Floats, ...]
    B: Floats
    G: Floats
    P: Floats
    Gy: Floats

    def take(self, chosen: NDArray[np.intp]) -> CrossedState:
        """Those of some replicates."""
        return CrossedState(
            self.value[chosen],
            self.sigma2[chosen],
            self.beta[:, chosen],
            self.S_inverse[:, :, chosen],
            tuple(L[:, :, chosen] for L in self.Lambdas),
            self.B[..., chosen],
            self.G[chosen],
            self.P[chosen],
            self.Gy[chosen],
        )


def small(cp: CrossProducts) -> bool:
    """Whether a design with crossed terms is so small that its replicates advance faster together than one by one.

    Products of order w = q2 + p, and sums of w x w moments over the classes of levels, are what an evaluation spends
    its time on: about (6 + 4 g) w^3 + (4 + 2 g) h w^2 C operations for g covariances and h pairs of effects of the
    first term in C classes. At the limit a fit takes about half the time of one alone; see ``benchmarks/README.md``.
    """
    w = sum(m * J for m, J in zip(cp.m[1:], cp.J[1:], strict=True)) + cp.p
    pairs = len(lower_pairs(cp.m[0])[0])
    products = (6 + 4 * pairs) * w**3
    if products > _MOST_OPERATIONS:
        return False
    C = int(classes_of(cp.own[0]).max()) + 1
    return products + (4 + 2 * pairs) * pairs * w**2 * C <= _MOST_OPERATIONS


class Columns:
    """What the replicates of a design share, the levels of the first term sorted by class.

    Parameters
    ----------
    cp : CrossProducts
        Of two terms or more.
    """

    def __init__(self, cp: CrossProducts):
        m, J, p = cp.m[0], cp.J[0], cp.p
        entries = cross_entries(cp)
        self.cp, self.trailing = cp, entries.trailing
        self.q, self.w = self.trailing.q, self.trailing.q + p
        classes = classes_of(cp.own[0])
        self.order = np.argsort(classes, kind="stable")
        self.counts = np.bincount(classes)
        self.first = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self.A = cp.own[0][:, :, self.order[self.first]][..., None]  # (m, m, C, 1)
        across = entries.matrix(m, J)
        dense = across if isinstance(across, np.ndarray) else across.toarray()
        U = np.empty((m, J, self.w))
        U[..., : self.q] = dense.reshape(m, J, self.q)
        U[..., self.q :] = cp.right[0][:, :p].transpose(0, 2, 1)
        U = U[:, self.order]
        self.U = U.reshape(m * J, self.w)
        self.UU = np.zeros((self.w, self.w))
        rows, columns, values = trailing_entries(cp, self.trailing)
        self.UU[rows, columns] = self.UU[columns, rows] = values
        X = np.concatenate([right[:, :p].transpose(0, 2, 1).reshape(-1, p) for right in cp.right[1:]])
        self.UU[: self.q, self.q :], self.UU[self.q :, : self.q] = X, X.T
        self.UU[self.q :, self.q :] = cp.fixed[:p, :p]
        # sums over the classes of U_ja'U_jd + U_jd'U_ja (once for a = d), (pairs C, w w)
        self.pairs = lower_pairs(m)
        moments = np.empty((len(self.pairs[0]), len(self.counts), self.w, self.w))
        for moment, a, d in zip(moments, *self.pairs, strict=True):
            for x in range(self.w):
                moment[:, x] = self.collect(U[a, :, x, None] * U[d])
            if a != d:
                moment += moment.transpose(0, 2, 1).copy()
        self.moments = moments.reshape(-1, self.w**2)

    def spread(self, classes: Floats) -> Floats:
        """Values of the classes (..., C, B) for every level, or broadcasting to them."""
        C = len(self.counts)
        return classes if C in (1, self.cp.J[0]) else np.repeat(classes, self.counts, axis=-2)

    def collect(self, levels: Floats) -> Floats:
        """Sums over the classes (..., C, B) of values of the levels (..., J, B)."""
        return levels if len(self.counts) == levels.shape[-2] else np.add.reduceat(levels, self.first, axis=-2)

    def weighted(self, symmetric: Floats) -> Floats:
        """sum_j U_j'X U_j, (B, w, w), for symmetric X of every class, (m, m, C, B)."""
        flat = symmetric[self.pairs].reshape(len(self.moments), -1)
        out: Floats = (flat.T @ self.moments).reshape(-1, self.w, self.w)
        return out

    def squares(self, H: Floats) -> Floats:
        """sum_j U_j H U_j' by class, (m, m, C, B), for symmetric H (B, w, w)."""
        m, C = len(self.A), len(self.counts)
        found = (self.moments @ H.reshape(len(H), -1).T).reshape(-1, C, len(H))
        out = np.empty((m, m, C, len(H)))
        for value, a, d in zip(found, *self.pairs, strict=True):
            out[a, d] = out[d, a] = value if a == d else 0.5 * value
        return out

    @property
    def numbers(self) -> int:
        """Numbers in the largest array of one replicate."""
        return max(self.w**2, len(self.A) ** 2 * self.cp.J[0])

    def multiply(self, X: Floats, Lambdas: Sequence[Floats]) -> Floats:
        """X Lambda for X (B, ..., w), Lambda the identity on the columns of the fixed effects."""
        out = X.copy()
        for share, J, L in zip(self.trailing.shares(), self.trailing.J, Lambdas[1:], strict=True):
            effects = [slice(share.start + a * J, share.start + (a + 1) * J) for a in range(len(L))]
            for c, to in enumerate(effects):
                np.multiply(X[..., effects[0]], L[0, c][:, None, None], out=out[..., to])
                for a in range(1, len(L)):
                    out[..., to] += X[..., effects[a]] * L[a, c][:, None, None]
        return out

    def sums(self, levels: Floats) -> Floats:
        """sum_j U_j'x_j, (B, w), for x (m, J, B)."""
        out: Floats = levels.reshape(len(self.U), -1).T @ self.U
        return out


class Crossed:
    """Deviances of B replicates of a model with two terms or more, in small designs.

    Parameters
    ----------
    columns : Columns
        The design.
    responses : Responses
        The replicates.
    entries : Entries
        Layout of theta.
    reml : bool
        REML criterion rather than ML deviance.
    """

    exact = True

    def __init__(self, columns: Columns, responses: Responses, entries: Entries, *, reml: bool):
        self.columns, self.entries, self.reml = columns, entries, reml
        cp = columns.cp
        self.n, self.p = cp.n, cp.p
        self.nu = cp.n - cp.p if reml else cp.n
        self.log_weights = cp.log_weights
        self.z = responses.random[0][:, columns.order]  # (m, J, B)
        rest = [z.reshape(-1, responses.count) for z in responses.random[1:]]
        self.Uy = np.ascontiguousarray(np.concatenate([*rest, responses.fixed]).T)  # (B, w)
        self.yy = responses.square

    def take(self, chosen: NDArray[np.intp]) -> Crossed:
        """The same for some of the replicates."""
        other = copy(self)
        other.z, other.Uy, other.yy = self.z[..., chosen], self.Uy[chosen], self.yy[chosen]
        return other

    def reparametrized(self, entries: Entries) -> Crossed:
        """The same over other entries."""
        other = copy(self)
        other.entries = entries
        return other

    def values(self, theta: Floats) -> CrossedState:
        """Deviances at theta (k, B)."""
        own, q = self.columns, self.columns.q
        Lambdas = self.entries.Lambdas(theta)
        B, logdet = eliminate(own.A, Lambdas[0])
        G = own.UU - own.weighted(B)
        Bz = multiply(own.spread(B), self.z[:, None])[:, 0]
        Gy = self.Uy - own.sums(Bz)
        M = own.multiply(own.multiply(G, Lambdas).transpose(0, 2, 1), Lambdas)
        at = np.arange(q)
        M[:, at, at] += 1.0
        C_inverse = stack_root(M)
        P = own.multiply(C_inverse, [transpose(L) for L in Lambdas])
        half = np.matmul(P, Gy[..., None])[..., 0]
        beta = np.matmul(half[:, None], P[:, :, q:])[:, 0].T
        S_root = P[:, q:, q:]
        r2 = self.yy - np.einsum("ajb,ajb->b", self.z, Bz) - np.einsum("bx,bx->b", half, half)
        sigma2 = np.where(r2 > _EXACT * self.yy, r2, np.nan) / self.nu
        logs = -2.0 * np.log(np.diagonal(C_inverse, axis1=1, axis2=2))
        value = np.einsum("cb,c->b", logdet, own.counts) + logs[:, : None if self.reml else q].sum(1)
        value += self.nu * (_LOG_2PI_E + np.log(sigma2)) - self.log_weights
        S_inverse = np.matmul(S_root.transpose(0, 2, 1), S_root).transpose(1, 2, 0)
        return CrossedState(value, sigma2, beta, S_inverse, tuple(Lambdas), B, G, P, Gy)

    def derivatives(self, state: CrossedState) -> tuple[Floats, Floats]:
        """Gradients (k, B) and Hessians (k, k, B) in theta."""
        gradient, hessian, _ = self._derivatives(state)
        return gradient, hessian

    def covariance(self, state: CrossedState) -> Floats:
        """Covariance of (theta, sigma), (k + 1, k + 1, B), from the Hessian."""
        _, hessian, score = self._derivatives(state)
        sigma = np.sqrt(state.sigma2)
        return joint_covariance(hessian, -score / (2.0 * self.nu * sigma), sigma, self.nu)

    def _derivatives(self, state: CrossedState) -> tuple[Floats, Floats, Floats]:
        """Gradient, Hessian, and f'(dSigma_k) f, f = Z'Py, which is minus the derivative of y'Py, (k, B)."""
        own, q, counts = self.columns, self.columns.q, self.columns.counts[:, None]
        first, *rest = self.entries.pairs
        G, P, B = state.G, state.P, len(state.value)
        kept = P if self.reml else P[:, :q]
        H = np.matmul(kept.transpose(0, 2, 1), kept)
        N = -multiply(own.A, state.B)
        for a in range(len(N)):
            N[a, a] += 1.0
        NT, K = transpose(N), multiply(N, own.A)
        fitted = np.matmul(np.matmul(P, state.Gy[..., None])[:, None, :, 0], P)[:, 0]  # b2 and beta
        e = self.z - (own.U @ fitted.T).reshape(self.z.shape)
        f1 = multiply(own.spread(N), e[:, None])[:, 0]  # (m, J, B)
        f2 = (state.Gy - np.matmul(G, fitted[..., None])[..., 0])[:, :q]
        FF = own.collect(f1[:, None] * f1)
        RHR = multiply(multiply(N, own.squares(H)), NT)
        G2 = -np.matmul(H, G[:, :, :q])
        at = np.arange(q)
        G2[:, at, at] += 1.0  # (I - H G)_2
        K22 = np.matmul(G[:, :q], G2)
        dSigma = [(counts * K - RHR - FF / state.sigma2).sum(2)]
        score = [FF.sum(2)]
        for J, share in zip(own.trailing.J, own.trailing.shares(), strict=True):
            f = f2[:, share].reshape(B, -1, J)
            score.append(np.matmul(f, f.transpose(0, 2, 1)).transpose(1, 2, 0))
            blocks = np.einsum("bajdj->adb", K22[:, share, share].reshape(B, f.shape[1], J, f.shape[1], J))
            dSigma.append(blocks - score[-1] / state.sigma2)
        hessian = self._quadratic(f1, f2, N, G, P)
        hessian *= 2.0 / state.sigma2
        hessian -= self._traces(N, G2, H, K22)
        g = len(first[0])
        hessian[:g, :g] += trace_products(K, (2.0 / state.sigma2) * FF - counts * K + 2.0 * RHR, first)
        along = np.concatenate(
            [
                np.where(rows == columns, 1.0, 2.0)[:, None] * one[rows, columns]
                for one, (rows, columns) in zip(score, [first, *rest], strict=True)
            ]
        )
        hessian -= along[:, None] * along / (state.sigma2**2 * self.nu)
        return self.entries.chain_rule(state.Lambdas, dSigma, hessian, along)

    def _quadratic(self, f1: Floats, f2: Floats, N: Floats, G: Floats, P: Floats) -> Floats:
        """w_r'K w_s, w_r = E_r f, without the part of blockdiag(N A), (g, g, B), K from the projection off X."""
        own, q = self.columns, self.columns.q
        first, *_ = self.entries.pairs
        spread, t = own.spread(N), []  # t_r = U'V1^-1Z w_r
        for a, d in zip(*first, strict=True):
            swept = spread[a] * f1[d]
            t.append(own.sums(swept if a == d else swept + spread[d] * f1[a]))
        w2 = self._directions(f2)
        T = np.concatenate([np.stack(t, axis=2), np.matmul(G[:, :, :q], w2)], axis=2)  # (B, w, g)
        half, g = np.matmul(P, T), len(t)
        out = -np.matmul(half.transpose(0, 2, 1), half)
        across = np.matmul(w2.transpose(0, 2, 1), T[:, :q])  # rows of the trailing terms
        out[:, g:] += across
        out[:, :g, g:] += across[:, :, :g].transpose(0, 2, 1)
        return np.ascontiguousarray(out.transpose(1, 2, 0))

    def _directions(self, f2: Floats) -> Floats:
        """E_r f of the trailing terms, (B, q, g2)."""
        layout = self._layout()
        out = np.zeros((*f2.shape, len(layout)))
        for r, (one, two) in enumerate(layout):
            out[:, one, r] = f2[:, two]
            out[:, two, r] = f2[:, one]
        return out

    def _layout(self) -> list[tuple[slice, slice]]:
        """Columns of both effects of every entry of Sigma of the trailing terms."""
        out = []
        for (rows, columns), J, start in zip(
            self.entries.pairs[1:], self.columns.trailing.J, self.columns.trailing.offsets, strict=True
        ):
            for a, d in zip(rows.tolist(), columns.tolist(), strict=True):
                out.append((slice(start + a * J, start + (a + 1) * J), slice(start + d * J, start + (d + 1) * J)))
        return out

    def _traces(self, N: Floats, G2: Floats, H: Floats, K22: Floats) -> Floats:
        """tr(E_r K E_s K) without what belongs to blockdiag(N A), (g, g, B)."""
        own, layout = self.columns, self._layout()
        first, *_ = self.entries.pairs
        g1, g = len(first[0]), len(first[0]) + len(layout)
        out = np.empty((g, g, len(H)))
        HY: list[Floats] = []
        for r, (a, d) in enumerate(zip(*first, strict=True)):
            NEN = N[a, :, None] * N[d, None]
            Y = own.weighted(NEN if a == d else NEN + transpose(NEN))  # R'E_r R
            HY.append(np.matmul(H, Y))
            for s in range(r + 1):
                out[r, s] = out[s, r] = np.einsum("bxy,byx->b", HY[r], HY[s])
            YG = np.matmul(Y, G2)
            for s, (one, two) in enumerate(layout, start=g1):
                total = np.einsum("bxj,bxj->b", G2[:, :, one], YG[:, :, two])
                out[r, s] = out[s, r] = total if one == two else 2.0 * total
        for r, (a, d) in enumerate(layout):
            for s, (c, e) in enumerate(layout[: r + 1]):
                total = np.einsum("bjl,bjl->b", K22[:, a, c], K22[:, d, e])
                if a != d and c != e:
                    total = total + np.einsum("bjl,bjl->b", K22[:, a, e], K22[:, d, c])
                share = 1.0 if a == d and c == e else 2.0
                out[g1 + r, g1 + s] = out[g1 + s, g1 + r] = share * total
        return out
