"""Sufficient statistics of responses drawn from a fitted model, exactly and at a cost that does not grow with the rows.

With rows scaled by the root of the prior weights, y = Z b + sigma e (fixed effects of zero; they only shift beta), the
statistics Z'y, X'y and y'y depend on e through its projection on the r-dimensional column space of [Z X] and on the
squared length of the rest, which is chi2(n - r). The projection is drawn in coordinates in which it is standard
normal: with Z1 the term with most columns, Z1j'Z1j = L_j L_j', G_j = L_j^+ Z1j'[Z2 X] and
[Z2 X]'[Z2 X] - sum_j G_j'G_j = R R' (R with as many columns as the rank),

    Z1j'e = L_j s_j      [Z2 X]'e = sum_j G_j's_j + R s      e'e = sum_j |s_j|^2 + |s|^2 + chi2(n - r)

with s_j, s standard normal on the directions in which L_j, R are not zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.estimate import Engine
from mixedpy.core.refit.algebra import multiply
from mixedpy.core.refit.responses import Responses

__all__ = ["MOST_TRAILING", "Sampler"]

MOST_TRAILING = 3000
"""Columns outside the first term up to which the decomposition R R' is formed."""

_NULL = 1e-10
"""Eigenvalues of a level's cross-products below this share of the largest are null directions: they carry no data."""

_RANK = 1e-9
"""The same for R, relative to the columns' own sizes."""


class Sampler:
    """Draws of the sufficient statistics of a model with given relative covariances.

    Parameters
    ----------
    engine : Engine
        The prepared model.
    roots : sequence of (m, m) arrays
        Relative covariance factors of the terms, in the user's columns and the order of ``Design.terms``.
    sigma : float
        Residual standard deviation.

    Raises
    ------
    ValueError
        If the model has more columns of Z outside its first term than :data:`MOST_TRAILING`, or no fixed effects.
    """

    def __init__(self, engine: Engine, roots: Sequence[Floats], sigma: float):
        cp = self.cp = engine.cross_products
        self.sigma = sigma
        self.roots = [engine.conditioned.conditioned_Lambda(i, roots[i]) for i in cp.order]
        m, J, p = cp.m[0], cp.J[0], cp.p
        if p == 0:
            raise ValueError("no fixed effects")
        trailing = sum(m * J for m, J in zip(cp.m[1:], cp.J[1:], strict=True))
        if trailing > MOST_TRAILING:
            raise ValueError(f"{trailing} columns outside the first term")
        w, vectors = np.linalg.eigh(np.ascontiguousarray(cp.own[0].transpose(2, 0, 1)))  # (J, m), (J, m, m)
        w = np.where(w > _NULL * w[:, -1:], w, 0.0)
        size = np.sqrt(w)
        self.L = np.ascontiguousarray((vectors * size[:, None, :]).transpose(1, 2, 0))  # (m, m, J)
        with np.errstate(divide="ignore"):
            pseudo = vectors * np.where(size > 0, 1.0 / size, 0.0)[:, None, :]
        pseudo = np.ascontiguousarray(pseudo.transpose(2, 1, 0))  # L^+, (m, m, J)
        self.mask = (w > 0).T.astype(float)  # (m, J)
        self.GX = multiply(pseudo, cp.right[0][:, :p])  # (m, p, J)
        self.cross = _cross_matrices(cp)
        self.G2 = (
            _block_rows(pseudo) @ sp.hstack([self.cross[0, l] for l in range(1, cp.k)], format="csr")
            if cp.k > 1
            else None
        )
        self.R = self._rest()
        self.rank = int(self.mask.sum()) + self.R.shape[1]
        self.rows = m * J

    def _rest(self) -> Floats:
        """R, (q2 + p, rank)."""
        cp, p = self.cp, self.cp.p
        GX = self.GX.transpose(0, 2, 1).reshape(-1, p)  # rows effect by effect
        XX = cp.fixed[:p, :p]
        if self.G2 is None:
            full, lost = XX, GX.T @ GX
        else:
            q2 = self.G2.shape[1]
            full = np.zeros((q2 + p, q2 + p))
            full[:q2, :q2] = _trailing_gram(cp, self.cross)
            right = np.concatenate([block[:, :p].transpose(0, 2, 1).reshape(-1, p) for block in cp.right[1:]])
            full[:q2, q2:], full[q2:, :q2], full[q2:, q2:] = right, right.T, XX
            lost = np.empty_like(full)
            lost[:q2, :q2] = (self.G2.T @ self.G2).toarray()
            lost[:q2, q2:] = self.G2.T @ GX
            lost[q2:, :q2] = lost[:q2, q2:].T
            lost[q2:, q2:] = GX.T @ GX
        diagonal = np.diag(full)
        scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        w, vectors = np.linalg.eigh((full - lost) / np.outer(scale, scale))
        kept = w > _RANK
        out: Floats = scale[:, None] * vectors[:, kept] * np.sqrt(w[kept])
        return out

    def draw(self, count: int, rng: np.random.Generator) -> Responses:
        """Draw the statistics of some responses with fixed effects of zero."""
        return self._draw_one_term(count, rng) if self.G2 is None else self._draw_terms(count, rng)

    def _remainder(self, count: int, rng: np.random.Generator) -> Floats:
        rest = self.cp.n - self.rank
        return rng.chisquare(rest, count) if rest > 0 else np.zeros(count)

    def _draw_one_term(self, count: int, rng: np.random.Generator) -> Responses:
        """Z'y = L v with v = L'b + sigma s: the effects and the noise of a level in one normal vector."""
        m, J, p = self.cp.m[0], self.cp.J[0], self.cp.p
        v = rng.standard_normal((m, J, count))
        H = multiply(self.L.swapaxes(0, 1), self.roots[0][:, :, None])  # L'Lambda, (m, m, J)
        C = np.linalg.cholesky(np.eye(m) + np.einsum("acj,bcj->jab", H, H)) * (self.sigma * self.mask.T[:, :, None])
        for a in reversed(range(m)):
            v[a] *= C[:, a, a][:, None]
            for c in range(a):
                v[a] += C[:, a, c][:, None] * v[c]
        z = np.empty_like(v)
        for a in range(m):
            np.multiply(self.L[a, 0][:, None], v[0], out=z[a])
            for c in range(1, m):
                z[a] += self.L[a, c][:, None] * v[c]
        s = rng.standard_normal((self.R.shape[1], count))
        fixed = self.GX.transpose(1, 0, 2).reshape(p, m * J) @ v.reshape(m * J, count) + self.sigma * (self.R @ s)
        square = np.einsum("ajb,ajb->b", v, v)
        square += self.sigma**2 * ((s**2).sum(0) + self._remainder(count, rng))
        return Responses((z,), fixed, square, np.zeros(count))

    def _draw_terms(self, count: int, rng: np.random.Generator) -> Responses:
        cp, p, sigma = self.cp, self.cp.p, self.sigma
        assert self.G2 is not None
        m, J = cp.m[0], cp.J[0]
        s1 = rng.standard_normal((m, J, count)) * self.mask[:, :, None]
        s = rng.standard_normal((self.R.shape[1], count))
        flat = s1.reshape(m * J, count)
        z1 = sigma * np.einsum("acj,cjb->ajb", self.L, s1)
        rest = sigma * (self.R @ s)
        q2 = self.G2.shape[1]
        rest[:q2] += sigma * (self.G2.T @ flat)
        fixed = rest[q2:] + sigma * (self.GX.transpose(1, 0, 2).reshape(p, m * J) @ flat)
        square = sigma**2 * ((flat**2).sum(0) + (s**2).sum(0) + self._remainder(count, rng))
        noise = [z1.reshape(m * J, count)]
        start = 0
        for mi, Ji in zip(cp.m[1:], cp.J[1:], strict=True):
            noise.append(rest[start : start + mi * Ji])
            start += mi * Ji
        effects = [
            sigma * np.einsum("ac,cjb->ajb", root, rng.standard_normal((mi, Ji, count))).reshape(mi * Ji, count)
            for root, mi, Ji in zip(self.roots, cp.m, cp.J, strict=True)
        ]
        random = []
        for i in range(cp.k):
            fitted = sum(self.cross[i, l] @ effects[l] for l in range(cp.k))  # Z_i'Z b
            square += np.einsum("qb,qb->b", effects[i], 2.0 * noise[i] + fitted)
            random.append((noise[i] + fitted).reshape(cp.m[i], cp.J[i], count))
            right = cp.right[i][:, :p].transpose(1, 0, 2).reshape(p, -1)
            fixed = fixed + right @ effects[i]
        return Responses(tuple(random), fixed, square, np.zeros(count))


def _block_rows(blocks: Floats) -> sp.csr_array:
    """Level blocks (m, c, J) as a sparse matrix, (m J, c J), rows and columns effect by effect."""
    m, c, J = blocks.shape
    level = np.arange(J)
    rows = np.concatenate([a * J + level for a in range(m) for _ in range(c)])
    columns = np.concatenate([b * J + level for _ in range(m) for b in range(c)])
    return sp.csr_array((blocks.reshape(-1), (rows, columns)), shape=(m * J, c * J))


def _cross_matrices(cp: CrossProducts) -> dict[tuple[int, int], sp.csr_array]:
    """Z_i'Z_l of all pairs of terms, (m_i J_i, m_l J_l), rows and columns effect by effect."""
    out = {(i, i): _block_rows(own) for i, own in enumerate(cp.own)}
    for (i, l), block in cp.cross.items():
        rows = np.concatenate([a * cp.J[i] + block.rows for a in range(cp.m[i]) for _ in range(cp.m[l])])
        columns = np.concatenate([b * cp.J[l] + block.cols for _ in range(cp.m[i]) for b in range(cp.m[l])])
        shape = (cp.m[i] * cp.J[i], cp.m[l] * cp.J[l])
        matrix = sp.csr_array((block.values.reshape(-1), (rows, columns)), shape=shape)
        out[i, l], out[l, i] = matrix, matrix.T.tocsr()
    return out


def _trailing_gram(cp: CrossProducts, cross: dict[tuple[int, int], sp.csr_array]) -> Floats:
    """Z2'Z2 of all terms but the first, dense."""
    rows = [sp.hstack([cross[i, l] for l in range(1, cp.k)]) for i in range(1, cp.k)]
    return np.asarray(sp.vstack(rows).toarray(), np.float64)
