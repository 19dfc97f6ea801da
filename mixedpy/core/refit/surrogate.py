"""Refits near one fit, for one random term with very many levels: no pass over the levels at each step.

Responses drawn from a fitted model have their optima within a few standard errors of its theta-hat. In that ball the
blocks B_j(theta) = Sigma (I + A_j Sigma)^-1 of every level are polynomials of degree four to within rounding error, as
are log|V| and X'V^-1X. They are fitted once, at more nodes than there are coefficients; a replicate then costs two
products of its moments with the coefficients, after which

    d(theta) = log|V| [+ log|X'V^-1X|] + nu log r2(theta) + constants,        r2 = y'Py

is a function of a polynomial, minimized by Newton's method for all replicates at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import comb

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.estimate import Engine
from mixedpy.core.levelwise import level_kernel, posterior
from mixedpy.core.refit.entries import Entries, lower_pairs
from mixedpy.core.refit.errors import joint_covariance
from mixedpy.core.refit.responses import Responses

__all__ = ["MOST_PARAMETERS", "REACH", "Minima", "Surrogate"]

REACH = 6.0
"""Radius of the ball, in standard errors of theta."""

MOST_PARAMETERS = 6

_INSIDE = 0.95
"""Share of the radius beyond which a minimum is not trusted."""

_DEGREES = {1: 8, 2: 6, 3: 4}
"""Degree of the polynomials by number of parameters; four for more."""

_MOST_STEPS = 30
_TOL = 1e-9


@dataclass(frozen=True, slots=True)
class Minima:
    """Minima of B replicates in conditioned columns.

    Attributes
    ----------
    theta : (k, B) array
        Covariance parameters.
    beta : (p, B) array
        Fixed effects.
    sigma2, value : (B,) array
        Residual variance and deviance (REML criterion).
    S_inverse : (p, p, B) array
        (X'V^-1X)^-1.
    covariance : (k + 1, k + 1, B) array
        Of (theta, sigma).
    iterations : int
        Newton steps.
    trusted : (B,) bool array
        Whether the minimum lies well inside the ball.
    """

    theta: Floats
    beta: Floats
    sigma2: Floats
    value: Floats
    S_inverse: Floats
    covariance: Floats
    iterations: int
    trusted: NDArray[np.bool_]


class Surrogate:
    """Polynomials around theta-hat for a model with one random term.

    Parameters
    ----------
    engine : Engine
        The prepared model.
    entries : Entries
        Layout of theta.
    center : (k,) array
        theta-hat in conditioned columns.
    covariance : (k, k) array
        Covariance matrix of theta-hat.
    reml : bool
        REML criterion rather than ML deviance.
    """

    def __init__(self, engine: Engine, entries: Entries, center: Floats, covariance: Floats, *, reml: bool):
        cp = self.cp = engine.cross_products
        self.reml, self.center = reml, center
        self.nu = cp.n - cp.p if reml else cp.n
        self.axes = REACH * np.linalg.cholesky(covariance)  # theta = center + axes u, |u| <= 1
        k, degree = len(center), _DEGREES.get(len(center), 4)
        self.powers = np.array([e for e in product(range(degree + 1), repeat=k) if sum(e) <= degree])
        nodes = _nodes(k, len(self.powers))
        self.at_nodes = self._monomials(nodes)[0]  # (N, c)
        inverse = np.linalg.pinv(self.at_nodes)
        rows, columns = lower_pairs(cp.m[0])
        N, J, p, m = len(nodes), cp.J[0], cp.p, cp.m[0]
        stack = np.concatenate([cp.own[0], cp.right[0][:, :p]], axis=1)
        kernel = level_kernel(stack)
        blocks = np.empty((N, len(rows), J))
        logdet, S = np.empty(N), np.empty((N, p, p))
        X = cp.right[0][:, :p]
        for i, u in enumerate(nodes):
            (L,) = entries.Lambdas((center + self.axes @ u)[:, None])
            Lambda = np.ascontiguousarray(L[:, :, 0])
            Sigma = Lambda @ Lambda.T
            done = kernel.eliminate(Sigma, Lambda)
            B = posterior(Sigma, done.K)
            blocks[i] = B[rows, columns]
            logdet[i] = done.logdet
            S[i] = cp.fixed[:p, :p] - np.einsum("axj,ayj->xy", X, np.einsum("abj,byj->ayj", B, X))
        self.node_S_inverse = np.linalg.inv(S) if p else S
        shared = logdet + (np.linalg.slogdet(S)[1] if reml and p else 0.0)
        self.shared = inverse @ shared  # (c,)
        self.S = np.einsum("cn,nxy->cxy", inverse, S)
        self.error = float(np.abs(self.at_nodes @ self.shared - shared).max())
        coefficients = (inverse @ blocks.reshape(N, -1)).reshape(-1, len(rows), J)
        twice = np.where(rows == columns, 1.0, 2.0)
        self.for_squares = (coefficients * twice[:, None]).reshape(len(coefficients), -1)  # (c, g J)
        place = {(int(a), int(b)): r for r, (a, b) in enumerate(zip(rows, columns, strict=True))}
        products = np.empty((p, len(coefficients), m, J))
        for x in range(p):
            for b in range(m):
                products[x, :, b] = sum(X[a, x] * coefficients[:, place[max(a, b), min(a, b)]] for a in range(m))
        self.for_products = products.reshape(p * len(coefficients), m * J)
        self.pairs = (rows, columns)
        self.inverse = inverse

    def _monomials(self, u: Floats) -> tuple[Floats, Floats, Floats]:
        """Monomials (B, c), first (B, c, k) and second derivatives (B, c, k, k) at u (B, k)."""
        B, k = u.shape
        top = int(self.powers.max())
        power = np.ones((B, k, top + 1))
        for d in range(1, top + 1):
            power[:, :, d] = power[:, :, d - 1] * u
        factors = [power[:, i, self.powers[:, i]] for i in range(k)]  # each (B, c)
        slopes = [self.powers[:, i] * power[:, i, np.maximum(self.powers[:, i] - 1, 0)] for i in range(k)]
        curves = [
            self.powers[:, i] * (self.powers[:, i] - 1) * power[:, i, np.maximum(self.powers[:, i] - 2, 0)]
            for i in range(k)
        ]
        value = np.prod(factors, axis=0)
        first, second = np.empty((*value.shape, k)), np.empty((*value.shape, k, k))
        for i in range(k):
            first[..., i] = np.prod([slopes[j] if j == i else factors[j] for j in range(k)], axis=0)
            for l in range(i + 1):
                chosen = [curves[j] if j == i == l else slopes[j] if j in (i, l) else factors[j] for j in range(k)]
                second[..., i, l] = second[..., l, i] = np.prod(chosen, axis=0)
        return value, first, second

    def minimize(self, responses: Responses) -> Minima:
        """Minimize the deviances of some replicates."""
        cp, p, z = self.cp, self.cp.p, responses.random[0]
        B = responses.count
        rows, columns = self.pairs
        squares = np.empty((len(rows), *z.shape[1:]))
        for r, (a, b) in enumerate(zip(rows, columns, strict=True)):
            np.multiply(z[a], z[b], out=squares[r])
        yy = -(self.for_squares @ squares.reshape(-1, B))  # (c, B)
        yy[self._constant] += responses.square
        Xy = -(self.for_products @ z.reshape(-1, B)).reshape(p, -1, B)  # (p, c, B)
        Xy[:, self._constant] += responses.fixed
        # r2 and beta at the nodes, and from there their own polynomials
        node_Xy = np.einsum("nc,xcb->nxb", self.at_nodes, Xy, optimize=True)
        node_beta = np.matmul(self.node_S_inverse, node_Xy)  # (N, p, B)
        r2 = self.inverse @ (self.at_nodes @ yy - np.einsum("nxb,nxb->nb", node_beta, node_Xy))  # (c, B)
        beta = np.einsum("cn,nxb->xcb", self.inverse, node_beta, optimize=True)
        u, value, steps = self._newton(r2)
        at, slope, hessian = self._expansion(u, r2)
        sigma2 = np.einsum("bc,cb->b", at, r2) / self.nu
        S = np.einsum("bc,cxy->bxy", at, self.S)
        return Minima(
            theta=self.center[:, None] + self.axes @ u.T,
            beta=np.einsum("bc,xcb->xb", at, beta),
            sigma2=sigma2,
            value=value + self.nu * (1.0 + np.log(2.0 * np.pi / self.nu)) - cp.log_weights,
            covariance=self._covariance(slope, hessian, np.sqrt(sigma2)),
            S_inverse=np.linalg.inv(S).transpose(1, 2, 0) if p else np.zeros((0, 0, B)),
            iterations=steps,
            trusted=np.isfinite(value) & (np.linalg.norm(u, axis=1) < _INSIDE),
        )

    def _expansion(self, u: Floats, r2: Floats) -> tuple[Floats, Floats, Floats]:
        """Monomials (B, c) at u, the slope of log r2 (B, k), and the Hessian of the deviance (B, k, k)."""
        at, first, second = self._monomials(u)
        r = np.einsum("bc,cb->b", at, r2)
        slope = np.einsum("bck,cb->bk", first, r2) / r[:, None]
        curve = np.einsum("bckl,cb->bkl", second, r2) / r[:, None, None]
        hessian = np.einsum("bckl,c->bkl", second, self.shared) + self.nu * (curve - slope[:, :, None] * slope[:, None])
        return at, slope, hessian

    def _covariance(self, slope: Floats, hessian: Floats, sigma: Floats) -> Floats:
        """Covariance of (theta, sigma); theta = center + axes u, dsigma/du = sigma dlog r2 / 2."""
        V = joint_covariance(hessian.transpose(1, 2, 0), 0.5 * sigma * slope.T, sigma, self.nu)
        k = len(self.axes)
        out = V.copy()
        out[:k, :k] = np.einsum("ij,jlb,kl->ikb", self.axes, V[:k, :k], self.axes)
        out[:k, k] = out[k, :k] = self.axes @ V[:k, k]
        return out

    @property
    def _constant(self) -> int:
        return int(np.flatnonzero(self.powers.sum(1) == 0)[0])

    def _newton(self, r2: Floats) -> tuple[Floats, Floats, int]:
        """Minimize shared(u) + nu log r2(u) over u for every replicate."""
        B, k = r2.shape[1], self.powers.shape[1]
        u = np.zeros((B, k))
        value = np.full(B, np.nan)
        active = np.arange(B)
        with np.errstate(invalid="ignore", divide="ignore"):
            for step in range(1, _MOST_STEPS + 1):
                at, first, second = self._monomials(u[active])
                own = r2[:, active]
                r = np.einsum("bc,cb->b", at, own)
                slope = np.einsum("bck,cb->bk", first, own) / r[:, None]
                curve = np.einsum("bckl,cb->bkl", second, own) / r[:, None, None]
                value[active] = at @ self.shared + self.nu * np.log(r)
                gradient = np.einsum("bck,c->bk", first, self.shared) + self.nu * slope
                hessian = np.einsum("bckl,c->bkl", second, self.shared)
                hessian += self.nu * (curve - slope[:, :, None] * slope[:, None])
                move = -np.linalg.solve(hessian, gradient[..., None])[..., 0]
                promised = -0.5 * np.einsum("bk,bk->b", gradient, move)
                length = np.linalg.norm(move, axis=1)
                move *= np.minimum(1.0, 0.5 / np.maximum(length, 1e-300))[:, None]
                wrong = ~(promised > 0) & (length > 1e-12)  # not convex there: leave to the exact search
                u[active] += np.where(np.isfinite(move), move, 0.0)
                value[active[wrong]] = np.nan
                active = active[(promised > _TOL) & ~wrong & (np.linalg.norm(u[active], axis=1) < 1.5)]
                if not len(active):
                    return u, value, step
        value[active] = np.nan
        return u, value, _MOST_STEPS


def _nodes(k: int, coefficients: int) -> Floats:
    """Points of the unit ball in k dimensions, a third of them on its surface, the same at every call."""
    if k == 1:
        return np.cos(np.pi * (np.arange(coefficients + 8) + 0.5) / (coefficients + 8))[:, None]
    rng = np.random.default_rng(comb(k + 4, 4))
    N = int(1.6 * coefficients) + 6
    u = rng.standard_normal((N, k))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    radius = rng.uniform(0.3, 1.0, N) ** (1.0 / k)
    radius[: N // 3] = 1.0
    return np.asarray(u * radius[:, None], np.float64)
