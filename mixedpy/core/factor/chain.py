"""One random term, or terms nested in one another: nothing but level-wise arrays, at a cost of O(sum_i J_i).

Term i, the innermost first, is eliminated from the blocks of the terms that hold it and from [X y]; no Schur complement
is ever formed. "Right of i" means the columns of the later (outer) terms, one after another, then X and y.
"""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.protocol import Derivatives, Reduced, Seed
from mixedpy.core.levelwise import Eliminated, apply_left, level_kernel, posterior

__all__ = ["Chain"]


class Chain:
    """Factorization of a chain of k nested terms (k >= 1)."""

    name = "chain"
    analyses = 0

    def __init__(self, cross_products: CrossProducts):
        self.cp = cp = cross_products
        self.k, self.m, self.J = cp.k, cp.m, cp.J
        self.ancestor = {pair: block.cols for pair, block in cp.cross.items()}
        self.stacks = [
            np.concatenate([cp.own[i], *(cp.cross[i, l].values for l in range(i + 1, self.k)), cp.right[i]], axis=1)
            for i in range(self.k)
        ]  # [Z_i'Z_i | Z_i'Z_later | Z_i'[X y]], (m, m + c, J)
        self.innermost = level_kernel(self.stacks[0])
        self.Lambdas: list[Floats] = []
        self.Sigmas: list[Floats] = []
        self.eliminated: list[Eliminated] = []
        self.SigmaY: list[Floats] = []

    def with_response(self, design: Design, cross_products: CrossProducts) -> Chain:
        """The same for another response; there is no symbolic work to share."""
        return Chain(cross_products)

    def update(self, Lambdas: list[Floats]) -> Reduced:
        """Eliminate the terms from the innermost to the outermost."""
        w = self.cp.p + 1
        self.Lambdas, self.Sigmas = Lambdas, [L @ L.T for L in Lambdas]
        self.eliminated, self.SigmaY = [], []
        stacks = [self.stacks[0], *(stack.copy() for stack in self.stacks[1:])]
        gram, logdet = self.cp.fixed.copy(), 0.0
        for i, (stack, Sigma, Lambda) in enumerate(zip(stacks, self.Sigmas, Lambdas, strict=True)):
            kernel = self.innermost if i == 0 else level_kernel(stack)
            done = kernel.eliminate(Sigma, Lambda)
            W, SigmaY = stack[:, self.m[i] :], apply_left(Sigma, done.Y)
            logdet += done.logdet
            gram -= np.matmul(W[:, -w:], SigmaY[:, -w:].transpose(0, 2, 1)).sum(0)
            start = 0
            for t in range(i + 1, self.k):
                for u in range(self.m[t]):
                    lost = np.einsum("aj,acj->cj", W[:, start + u], SigmaY[:, start:])
                    for c, values in enumerate(lost):
                        stacks[t][u, c] -= np.bincount(self.ancestor[i, t], values, self.J[t])
                start += self.m[t]
            self.eliminated.append(done)
            self.SigmaY.append(SigmaY)
        return Reduced(logdet, 0.5 * (gram + gram.T))

    def modes(self, c: Floats) -> list[Floats]:
        """b = Sigma e."""
        return [Sigma @ e for Sigma, e in zip(self.Sigmas, self._scores(c), strict=True)]

    def _scores(self, c: Floats) -> list[Floats]:
        """e = Z'Py of every term, (m, J), from the outermost inwards."""
        w = len(c)
        scores: list[Floats] = [np.empty(0)] * self.k
        for i in range(self.k - 1, -1, -1):
            Y = self.eliminated[i].Y
            e = np.matmul(c, Y[:, -w:])
            start = 0
            for t in range(i + 1, self.k):
                outer = (self.Sigmas[t] @ scores[t])[:, self.ancestor[i, t]]
                e -= np.einsum("auj,uj->aj", Y[:, start : start + self.m[t]], outer)
                start += self.m[t]
            scores[i] = e
        return scores

    def conditional_covariance(self) -> list[Floats]:
        """Joint covariance of a level and the levels that hold it, from the outermost inwards; own blocks returned."""
        blocks: list[Floats] = [np.empty(0)] * self.k
        path = np.empty((0, 0, 1))  # joint covariance of the terms right of i, by level of the nearest
        for i in range(self.k - 1, -1, -1):
            Sigma, m, J = self.Sigmas[i], self.m[i], self.J[i]
            own = posterior(Sigma, self.eliminated[i].K)
            if i == self.k - 1:
                path = own
            else:
                outer = path[:, :, self.ancestor[i, i + 1]]
                V = self.SigmaY[i][:, : len(outer)]
                VP = np.einsum("auj,uvj->avj", V, outer)
                path = np.empty((m + len(outer), m + len(outer), J))
                path[:m, :m] = own + np.einsum("avj,bvj->abj", VP, V)
                path[:m, m:] = -VP
                path[m:, :m] = -VP.transpose(1, 0, 2)
                path[m:, m:] = outer
            blocks[i] = path[:m, :m]
        return blocks

    def derivatives(self, seed: Seed, directions: list[Floats]) -> Derivatives:
        """Gradient and average-information blocks from the kept eliminations."""
        scores = self._scores(seed.c)
        dSigma = self._sigma_derivatives(seed.Omega)
        score = [d.reshape(len(d), -1) @ (e @ e.T).ravel() for d, e in zip(directions, scores, strict=True)]
        information = self._information_one if self.k == 1 else self._information_nested
        quadratic, fixed = information(directions, scores)
        return Derivatives(
            dSigma=tuple(dSigma),
            dLambda=tuple(2.0 * D @ L for D, L in zip(dSigma, self.Lambdas, strict=True)),
            score=np.concatenate(score),
            quadratic=quadratic,
            fixed=fixed,
        )

    def _sigma_derivatives(self, Omega: Floats) -> list[Floats]:
        """dd/dSigma_i = sum_j (K_j - Y_j Omega_j Y_j'), Omega_j over the columns right of i.

        The rows of Omega_j for an outer term t are Sigma - Sigma K Sigma + V Omega V' and -V Omega with V = Sigma Y.
        """
        w = len(Omega)
        outer: list[Floats] = [np.empty(0)] * self.k  # Omega rows of term t: itself, then what is right of it
        out: list[Floats] = [np.empty(0)] * self.k
        for i in range(self.k - 1, -1, -1):
            K, Y = self.eliminated[i].K, self.eliminated[i].Y
            m, width, J = Y.shape
            if i == self.k - 1 and i == 0:
                flat = Y.reshape(m * width, J)
                YY = (flat @ flat.T).reshape(m, width, m, width).transpose(0, 2, 1, 3).reshape(m * m, -1)
                out[i] = K.sum(2) - (YY @ Omega.ravel()).reshape(m, m)
                continue
            YO = np.zeros_like(Y)
            YO[:, -w:] = np.matmul(Omega, Y[:, -w:])
            start = 0
            for t in range(i + 1, self.k):
                stop = start + self.m[t]
                rows = outer[t][:, :, self.ancestor[i, t]]
                YO[:, start:stop] += np.einsum("acj,ucj->auj", Y[:, start:], rows)
                YO[:, stop:] += np.einsum("auj,ucj->acj", Y[:, start:stop], rows[:, self.m[t] :])
                start = stop
            out[i] = K.sum(2) - np.einsum("acj,bcj->ab", YO, Y)
            if i > 0:
                VO = apply_left(self.Sigmas[i], YO)
                own = posterior(self.Sigmas[i], K) + np.einsum("acj,bcj->abj", VO, self.SigmaY[i])
                outer[i] = np.concatenate([own, -VO], axis=1)
        return out

    def _information_one(self, directions: list[Floats], scores: list[Floats]) -> tuple[Floats, Floats]:
        """One term: every sum over the levels is a small matrix product."""
        (dS,), (e,) = directions, scores
        K, Y = self.eliminated[0].K, self.eliminated[0].Y
        m, p, J = self.m[0], self.cp.p, self.J[0]
        KE = (K.reshape(m * m, J) @ (e[:, None] * e).reshape(m * m, J).T).reshape(m, m, m, m)
        flat = dS.reshape(-1, m * m)  # symmetric, so that either index may come first
        quadratic = flat @ KE.transpose(2, 0, 3, 1).reshape(m * m, m * m) @ flat.T
        YE = np.matmul(Y[:, :p].reshape(m * p, J), e.T).reshape(m, p, m)
        return quadratic, YE.transpose(1, 0, 2).reshape(p, m * m) @ flat.T

    def _information_nested(self, directions: list[Floats], scores: list[Floats]) -> tuple[Floats, Floats]:
        """Carry Z w, w = dSigma e, outwards as if it were further columns right of every term."""
        p, w = self.cp.p, self.cp.p + 1
        T = sum(len(d) for d in directions)
        quadratic, fixed = np.zeros((T, T)), np.zeros((p, T))
        carried = [np.zeros((T, m, J)) for m, J in zip(self.m, self.J, strict=True)]  # Z_t'V_inner^-1 Z w
        a = 0
        for i in range(self.k):
            K, Y, Sigma = self.eliminated[i].K, self.eliminated[i].Y, self.Sigmas[i]
            b = a + len(directions[i])
            own = np.matmul(directions[i], scores[i])  # (T_i, m, J)
            quadratic[a:b, a:b] += np.einsum("saj,taj->st", own, np.einsum("abj,tbj->taj", K, own))
            inner = carried[i][:a]
            Sg = np.matmul(Sigma, inner)
            rest = inner - np.einsum("abj,tbj->taj", K, Sg)
            mixed = np.einsum("saj,taj->st", own, rest)
            quadratic[a:b, :a] += mixed
            quadratic[:a, a:b] += mixed.T
            quadratic[:a, :a] -= np.einsum("saj,taj->st", Sg, rest)
            out = np.concatenate([-Sg, own])  # (b, m, J)
            fixed[:, :b] += np.einsum("axj,taj->xt", Y[:, -w:-1], out)
            start = 0
            for t in range(i + 1, self.k):
                for u in range(self.m[t]):
                    up = np.einsum("aj,taj->tj", Y[:, start + u], out)
                    for r, values in enumerate(up):
                        carried[t][r, u] += np.bincount(self.ancestor[i, t], values, self.J[t])
                start += self.m[t]
            a = b
        return quadratic, fixed
