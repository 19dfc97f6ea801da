"""The oracle of the tests: V formed explicitly, textbook formulas, for small n only."""

from __future__ import annotations

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.protocol import Derivatives, Reduced, Seed

__all__ = ["Dense"]


class Dense:
    """Factorization of the n x n matrix V, with Z formed densely."""

    name = "dense"
    analyses = 0

    def __init__(self, design: Design, cross_products: CrossProducts):
        self.cp = cross_products
        scale = np.ones(design.n) if design.weights is None else np.sqrt(design.weights)
        y = design.y if design.offset is None else design.y - design.offset
        self.XY = np.column_stack([design.X, y]) * scale[:, None]
        self.Z: list[Floats] = []  # of each term (n, J m), effect within level
        for i in cross_products.order:
            term = design.terms[i]
            Z = np.zeros((design.n, term.n_levels, term.m))
            for a, column in enumerate(term.columns):
                Z[np.arange(design.n), term.codes, a] = design.columns[column] * scale
            self.Z.append(Z.reshape(design.n, -1))
        self.Lambdas: list[Floats] = []

    def with_response(self, design: Design, cross_products: CrossProducts) -> Dense:
        """The same for another response."""
        return Dense(design, cross_products)

    def _blocks(self, S: Floats, i: int) -> Floats:
        return np.asarray(np.kron(np.eye(self.cp.J[i]), S), np.float64)

    def update(self, Lambdas: list[Floats]) -> Reduced:
        """Form and factor V."""
        self.Lambdas = Lambdas
        V = np.eye(len(self.XY))
        for i, (Z, L) in enumerate(zip(self.Z, Lambdas, strict=True)):
            V += Z @ self._blocks(L @ L.T, i) @ Z.T
        self.factor = cho_factor(V, lower=True)
        logdet = 2.0 * float(np.log(np.diag(self.factor[0])).sum())
        gram = self.XY.T @ cho_solve(self.factor, self.XY)
        return Reduced(logdet, 0.5 * (gram + gram.T))

    def derivatives(self, seed: Seed, directions: list[Floats]) -> Derivatives:
        """Gradient and average-information blocks by their definitions."""
        Omega = seed.Omega
        U = cho_solve(self.factor, self.XY)  # V^-1[X y]
        dSigma, Zw, score = [], [], []
        for i, (Z, d) in enumerate(zip(self.Z, directions, strict=True)):
            m, J = self.cp.m[i], self.cp.J[i]
            K = (Z.T @ cho_solve(self.factor, Z)).reshape(J, m, J, m)
            F = (Z.T @ U).reshape(J, m, -1)
            level = np.arange(J)
            dSigma.append(K[level, :, level, :].sum(0) - np.einsum("jac,cd,jbd->ab", F, Omega, F))
            e = F @ seed.c  # (J, m)
            for direction in d:
                score.append(float(np.einsum("ja,ab,jb->", e, direction, e)))
                Zw.append(Z @ (e @ direction).ravel())
        W = np.column_stack(Zw)
        VW = cho_solve(self.factor, W)
        return Derivatives(
            dSigma=tuple(dSigma),
            dLambda=tuple(2.0 * D @ L for D, L in zip(dSigma, self.Lambdas, strict=True)),
            score=np.array(score),
            quadratic=W.T @ VW,
            fixed=self.XY[:, :-1].T @ VW,
        )

    def modes(self, c: Floats) -> list[Floats]:
        """b = Sigma Z'V^-1(y - X beta)."""
        e = cho_solve(self.factor, self.XY @ c)
        return [
            (L @ L.T) @ (Z.T @ e).reshape(J, m).T
            for Z, L, J, m in zip(self.Z, self.Lambdas, self.cp.J, self.cp.m, strict=True)
        ]

    def conditional_covariance(self) -> list[Floats]:
        """Diagonal blocks of Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda'."""
        Z = np.concatenate(self.Z, axis=1)
        Lambda = block_diag(*(self._blocks(L, i) for i, L in enumerate(self.Lambdas)))
        ZL = Z @ Lambda
        C = Lambda @ np.linalg.solve(ZL.T @ ZL + np.eye(ZL.shape[1]), Lambda.T)
        blocks, start = [], 0
        for m, J in zip(self.cp.m, self.cp.J, strict=True):
            own = C[start : start + m * J, start : start + m * J].reshape(J, m, J, m)
            level = np.arange(J)
            blocks.append(own[level, :, level, :].transpose(1, 2, 0))
            start += m * J
        return blocks
