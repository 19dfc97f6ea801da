"""The iterative factorization: the deviance and its derivatives from conjugate gradients, nothing factored.

Term 1 is eliminated level by level, terms with few columns become right-hand sides (``border``), and the crossed terms
between them form M = I + Lambda'S Lambda. Conjugate gradients run on M, preconditioned by its block diagonal D = CC',
with three kinds of right-hand sides: Lambda'R for the fixed effects, the response and the few columns; C z for probes z
of independent signs; and the directions of the average information.

With E = M - D, u = C^-T z and x = M^-1 C z, whose coefficients are those of a Lanczos recursion,

    log|M| = log|D| + E[z'log(C^-1 M C^-T) z - (u'M u - z'z)]       (off a few directions, see ``deflation``)
    (M^-1)_jj = (D^-1)_jj + E[(x - u + D^-1 E u)_j u_j']

What is subtracted has mean zero, since E has no diagonal blocks, and takes the first order of the noise with it (for
such preconditioners and control variates see Kundig & Sigrist 2025, arXiv 2505.09552).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.protocol import Derivatives, Factor, Reduced, Seed
from mixedpy.core.factor.schur import floored
from mixedpy.core.iterative.blocks import apply_levels
from mixedpy.core.iterative.border import Border, bordered
from mixedpy.core.iterative.conjugate import Solution, conjugate_gradients
from mixedpy.core.iterative.deflation import leading_directions
from mixedpy.core.iterative.probes import rademacher
from mixedpy.core.iterative.products import cross_dense
from mixedpy.core.iterative.quadrature import lanczos_logarithms
from mixedpy.core.iterative.system import Operator, Pattern
from mixedpy.core.levelwise import Eliminated, apply_left, level_kernel, posterior
from mixedpy.errors import MixedpyError

__all__ = ["Iterative", "few_columns"]

_FEW = 32
"""Trailing terms with up to this many columns in all are solved for exactly."""

_FEW_ENTRIES = 25_000_000
"""Their products with the eliminated term are kept densely, up to this many numbers."""

_LOOSER = 100.0
"""The probes' residuals may be larger by this: their errors are of second order in log|M|, and not of one sign."""

_LAMBDA_FLOOR = 1e-6
"""Diagonals of the system's Lambda are kept this far from zero; the deviance moves by about 1e-12 times the rows."""


def _responding(exact: Callable[[], Factor | None], design: Design, cross_products: CrossProducts) -> Factor | None:
    """The exact factorization for another response."""
    found = exact()
    return None if found is None else found.with_response(design, cross_products)


def few_columns(cp: CrossProducts, limit: int = _FEW) -> tuple[int, ...]:
    """The last terms with ``limit`` columns in all at most; terms 0 and 1 are never among them."""
    limit = min(limit, _FEW_ENTRIES // (cp.m[0] * cp.J[0]))
    first = cp.k
    total = 0
    while first > 2 and total + cp.m[first - 1] * cp.J[first - 1] <= limit:
        first -= 1
        total += cp.m[first] * cp.J[first]
    return tuple(range(first, cp.k))


@dataclass(slots=True)
class _State:
    """What one update leaves for the derivatives; everything is relative to sigma^2."""

    Lambdas: list[Floats]
    Sigma: Floats  # of the eliminated term
    eliminated: Eliminated
    operator: Operator
    R: Floats  # Z2'V1^-1[X y Zc], (q, r)
    U: Floats  # M^-1 Lambda2'R, (q, r)
    u: Floats  # C^-T z for every start z, (q, s)
    x: Floats  # M^-1 C z
    first: Floats  # u - D^-1 E u, x to first order
    border: Border


class Iterative:
    """Factorization of two or more crossed terms by conjugate gradients.

    Parameters
    ----------
    cross_products : CrossProducts
        At least two terms.
    probes : int or (q, probes) array
        Number of random vectors, two at least, or the vectors themselves, one row for each column of the system.
    seed : int
        Of the random vectors.
    cg_tol : float
        Relative residual at which the solutions for [X y Zc] stop; those for probes and information are looser.
    few : int
        Trailing terms with up to this many columns in all are solved for exactly.
    exact : callable, optional
        Makes an exact factorization of the same model, or None where none is affordable.
    """

    name = "iterative"
    analyses = 0

    def __init__(
        self,
        cross_products: CrossProducts,
        *,
        probes: int | Floats = 16,
        seed: int = 0,
        cg_tol: float = 1e-6,
        few: int = _FEW,
        exact: Callable[[], Factor | None] = lambda: None,
    ):
        self.cp = cp = cross_products
        self.exact, self.cg_tol, self.seed = exact, cg_tol, seed
        self.few = few_columns(cp, few)
        terms = range(1, cp.k - len(self.few))
        self.pattern = Pattern(cp, terms)
        self.trailing = self.pattern.trailing
        self.m, self.J = cp.m[0], cp.J[0]
        self.right, self.fixed, stack = self._columns(terms)
        self.stack = np.concatenate([cp.own[0], stack], axis=1)
        self.kernel = level_kernel(self.stack)
        self.z = rademacher(self.trailing.q, probes, seed) if isinstance(probes, int) else probes
        self.W: Floats | None = None  # (q, d), chosen at the first update
        self.starts = np.empty((0, 0))  # what the recursions start at: the probes off W, and W
        self.shares = np.empty(0)  # weight of each in an estimated trace
        self.cg_iterations = 0
        self.state: _State | None = None

    def with_response(self, design: Design, cross_products: CrossProducts) -> Iterative:
        """The same, with the same probes, for another response; the pattern of the system is shared."""
        other = copy(self)
        other.cp = cross_products
        terms = range(1, cross_products.k - len(self.few))
        other.right, other.fixed, stack = other._columns(terms)
        other.stack = np.concatenate([cross_products.own[0], stack], axis=1)
        other.kernel = level_kernel(other.stack)
        other.exact = partial(_responding, self.exact, design, cross_products)
        other.state = None
        return other

    @property
    def probes(self) -> int:
        """Number of random vectors."""
        return self.z.shape[1]

    def _columns(self, terms: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """Products of the right-hand sides [X y Zc]: with Z2 (q, r), with themselves (r, r), with Z1 (m, r, J)."""
        cp, few = self.cp, self.few
        own = [np.concatenate([_rows(cp.right[l]), *(cross_dense(cp, l, c) for c in few)], 1) for l in terms]
        corner = np.concatenate([_rows(cp.right[c]) for c in few]) if few else np.empty((0, cp.p + 1))  # Zc'[X y]
        square = [[_level_diagonal(cp.own[c]) if c == d else _either(cp, c, d) for d in few] for c in few]
        inner = np.block(square) if few else np.empty((0, 0))
        fixed = np.block([[cp.fixed, corner.T], [corner, inner]])
        stack = [cp.right[0], *(cross_dense(cp, 0, c).reshape(self.m, self.J, -1).transpose(0, 2, 1) for c in few)]
        return np.concatenate(own), fixed, np.concatenate(stack, axis=1)

    def update(self, Lambdas: list[Floats]) -> Reduced:
        """Eliminate the first term, solve for the right-hand sides and the probes."""
        cut = self.cp.k - len(self.few)
        Lambdas = [Lambdas[0], *(floored(L, _LAMBDA_FLOOR) for L in Lambdas[1:cut]), *Lambdas[cut:]]
        Sigma, own = Lambdas[0] @ Lambdas[0].T, Lambdas[1:cut]
        done = self.kernel.eliminate(Sigma, Lambdas[0])
        SigmaY = apply_left(Sigma, done.Y)
        operator = Operator(self.pattern, posterior(Sigma, done.K), own)
        D = operator.D
        R = self.right - self.pattern.A12.multiply_transposed(_rows(SigmaY))
        LR = operator.restrict(R)
        if self.W is None:
            self.W = self._leading(operator)
            self.starts = np.concatenate([self.z - self.W @ (self.W.T @ self.z), self.W], axis=1)
            self.shares = np.repeat([1.0 / self.probes, 1.0], [self.probes, self.W.shape[1]])
        k, s = self.probes, len(self.shares)
        tol = self.cg_tol * np.repeat([_LOOSER, 1.0], [s, LR.shape[1]])
        solution = self._solve(operator, np.concatenate([D.root(self.starts), LR], axis=1), tol)
        U, residual = solution.x[:, s:], solution.residual[:, s:]
        squares = np.einsum("ij,ij->j", self.starts, self.starts)
        logarithms, firsts = lanczos_logarithms(solution.alpha[:, :s], solution.beta[:, :s], squares)
        estimates = logarithms - (firsts - squares)
        logdet_se = float(estimates[:k].std(ddof=1)) / math.sqrt(k)
        logdet = done.logdet + D.logdet + float(estimates @ self.shares)
        G = self.fixed - np.matmul(self.stack[:, self.m :], SigmaY.transpose(0, 2, 1)).sum(0)
        # U'M U = U'(LR - residual) makes the error of the products second order
        G -= LR.T @ U + U.T @ residual
        border = bordered(0.5 * (G + G.T), self.cp.p + 1, Lambdas[cut:], [self.cp.J[c] for c in self.few])
        u = D.root_inverse_transposed(self.starts)
        first = 2.0 * u - D.solve(solution.image[:, :s])
        self.state = _State(Lambdas, Sigma, done, operator, R, U, u, solution.x[:, :s], first, border)
        return Reduced(logdet + border.logdet, border.gram, logdet_se)

    def _leading(self, operator: Operator) -> Floats:
        """Directions in which C^-1 M C^-T is far from I: at first guess, all levels of an effect moving together."""
        D = operator.D

        def excess(V: Floats) -> Floats:
            return D.root_inverse(operator.M(D.root_inverse_transposed(V))) - V

        together = np.zeros((self.trailing.q, sum(self.trailing.m)))
        effects = zip(self.trailing.m, self.trailing.J, self.trailing.offsets, strict=True)
        rows = [slice(offset + a * J, offset + (a + 1) * J) for m, J, offset in effects for a in range(m)]
        for column, own in enumerate(rows):
            together[own, column] = 1.0
        return leading_directions(excess, D.root_transposed(together), self.seed)

    def _solve(self, operator: Operator, right: Floats, tol: float | Floats) -> Solution:
        solution = conjugate_gradients(operator.M, operator.D.solve, right, tol)
        self.cg_iterations += solution.iterations
        return solution

    def _swept(self, X: Floats) -> Floats:
        """(I + A11 Sigma)^-1 X = X - K Sigma X for every level, X (m, J, c)."""
        state = self._last()
        return X - apply_levels(state.eliminated.K, apply_left(state.Sigma, X))

    def _last(self) -> _State:
        if self.state is None:
            raise RuntimeError("update() comes first")
        return self.state

    def modes(self, c: Floats) -> list[Floats]:
        """b1 = Sigma1 Z1'Py, b2 = Lambda2 U T c, and Gamma Zc'V_b^-1(y - X beta) for the few columns."""
        state, border = self._last(), self._last().border
        c_all = border.T @ c
        b2 = state.operator.expand((state.U @ c_all)[:, None])
        e1 = np.einsum("acj,c->aj", state.eliminated.Y, c_all)
        e1 -= self._swept(state.operator.eliminated(b2))[..., 0]
        bc = border.Gamma @ border.G[border.width :, : border.width] @ c
        return [state.Sigma @ e1, *self.trailing.split(b2[:, 0]), *self._split_few(bc)]

    def _split_few(self, rows: Floats) -> list[Floats]:
        """Rows of Zc' by term, each (m, J, ...)."""
        out, start = [], 0
        for c in self.few:
            m, J = self.cp.m[c], self.cp.J[c]
            out.append(rows[start : start + m * J].reshape(m, J, *rows.shape[1:]))
            start += m * J
        return out

    def conditional_covariance(self) -> list[Floats]:
        """From an exact factorization, where one is affordable."""
        exact = self.exact()
        if exact is None:
            raise MixedpyError(
                f"conditional covariances of {sum(self.cp.J)} levels need an exact factorization, whose estimated "
                "memory or time is beyond the limits for this model; ask for the conditional modes alone, or fit with "
                'Control(factorization="blocked") on a machine large enough for it'
            )
        exact.update(self._last().Lambdas)
        return exact.conditional_covariance()

    def derivatives(self, seed: Seed, directions: list[Floats]) -> Derivatives:
        """Gradient and average-information blocks, the gradient's traces by the probes of the last update."""
        state, border = self._last(), self._last().border
        cut = self.cp.k - len(self.few)
        Omega, c = border.seed(seed.Omega), border.T @ seed.c
        b2 = state.operator.expand(state.U)
        F1 = state.eliminated.Y.transpose(0, 2, 1) - self._swept(state.operator.eliminated(b2))  # (m, J, r)
        F2 = self.trailing.split(state.R - state.operator.S(b2))  # Z2'V_b^-1[X y Zc], each (m, J, r)
        Fc = self._split_few(border.G[border.width :] @ border.T)  # Zc'V^-1[X y], each (m, J, p + 1)
        scores = [F1 @ c, *(F @ c for F in F2), *(F @ seed.c for F in Fc)]
        sampled = [self._eliminated_trace(), *self._system_traces()]
        traces = [*(K for K, _ in sampled), *self._few_traces()]
        dSigma = [K - _weighted_squares(F, Omega) for K, F in zip(traces[:cut], [F1, *F2], strict=True)]
        dSigma += [K - _weighted_squares(F, seed.Omega) for K, F in zip(traces[cut:], Fc, strict=True)]
        quadratic, fixed = self._information(directions, scores)
        return Derivatives(
            dSigma=tuple(dSigma),
            dLambda=tuple(2.0 * d @ L for d, L in zip(dSigma, state.Lambdas, strict=True)),
            score=np.concatenate([np.einsum("tab,ab->t", d, e @ e.T) for d, e in zip(directions, scores, strict=True)]),
            quadratic=quadratic,
            fixed=fixed,
            noise=self._noise([samples for _, samples in sampled], directions),
        )

    def _noise(self, samples: list[Floats], directions: list[Floats]) -> Floats:
        """Covariance of the gradient over the probes, for the mean of the probes; none comes from the few columns."""
        sampled = [np.einsum("tab,kab->tk", d, K) for d, K in zip(directions, samples, strict=False)]
        gradients = np.concatenate(sampled)
        T = sum(len(d) for d in directions)
        noise = np.zeros((T, T))
        noise[: len(gradients), : len(gradients)] = np.cov(gradients) / self.probes
        return noise

    def _sampled(self, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """Weighted sum of the symmetric parts of left_c right_c' over the starts c, and the probes' own, (k, m, m).

        left and right are (m, J, s).
        """
        products = np.einsum("ajs,bjs->sab", left, right)
        products = 0.5 * (products + products.transpose(0, 2, 1))
        return np.tensordot(self.shares, products, 1), products[: self.probes]

    def _system_traces(self) -> list[tuple[Floats, Floats]]:
        """Estimates of sum_j (Z_j'V_b^-1Z_j) = Lambda^-T (J I - sum_j (M^-1)_jj) Lambda^-1 for each term of the system.

        With each, its samples from the probes up to constants. What T mixes into an inner term is known for D^-1 alone,
        not for the next order, which is left to the probes there.
        """
        state, split, operator = self._last(), self.trailing.split, self._last().operator
        first = {True: split(operator.turn(state.x - state.u)), False: split(state.x - state.first)}
        u = split(operator.turn(state.u))
        inner = {swept.nest.inner for swept in operator.sweeps}
        out = []
        for s, J in enumerate(self.trailing.J):
            estimate, samples = self._sampled(first[s in inner][s], u[s])
            inverse = np.linalg.inv(operator.Lambdas[s])
            traced = J * np.eye(len(inverse)) - operator.known_inverse(s) - estimate
            out.append((inverse.T @ traced @ inverse, -inverse.T @ samples @ inverse))
        return out

    def _eliminated_trace(self) -> tuple[Floats, Floats]:
        """Estimate of sum_j Z_j'V_b^-1Z_j = sum_j K_j - N_j (A12 Lambda M^-1 Lambda'A21)_jj N_j', N = (I + A Sigma)^-1.

        D stands for M in the exact part; the probes add what x - u brings to A12 Lambda M^-1 Lambda'A21. With it, its
        samples from the probes up to constants.
        """
        state, s = self._last(), len(self.shares)
        known = state.operator.known_squares().transpose(0, 2, 1)  # (m, J, m)
        half = self._swept(np.ascontiguousarray(known))
        exact = self._swept(half.transpose(2, 1, 0)).sum(1)
        moved = state.operator.expand(np.concatenate([state.x - state.u, state.u], axis=1))
        T = self._swept(state.operator.eliminated(moved))
        estimate, samples = self._sampled(T[..., :s], T[..., s:])
        return state.eliminated.K.sum(2) - exact - estimate, -samples

    def _few_traces(self) -> list[Floats]:
        """sum_j Z_j'V^-1Z_j for the terms of few columns, exactly."""
        border = self._last().border
        Gcc = border.G[border.width :, border.width :]
        K = border.inner(Gcc, Gcc, Gcc)
        out, start = [], 0
        for c in self.few:
            m, J = self.cp.m[c], self.cp.J[c]
            own = slice(start, start + m * J)
            out.append(np.einsum("ajbj->ab", K[own, own].reshape(m, J, m, J)))
            start += m * J
        return out

    def _information(self, directions: list[Floats], scores: list[Floats]) -> tuple[Floats, Floats]:
        """w'Z'V^-1Z w and X'V^-1Z w for w = dSigma e, by one solve for the directions of all but the few columns."""
        state, border = self._last(), self._last().border
        cut = self.cp.k - len(self.few)
        K, Y, Sigma = state.eliminated.K, state.eliminated.Y, state.Sigma
        own = np.matmul(directions[0], scores[0])  # (T_1, m, J)
        k1, T = len(own), sum(len(d) for d in directions[:cut])
        w2 = _directions(self.trailing.q, self.trailing.shares(), directions[1:cut], scores[1:cut])
        quadratic = np.zeros((T, T))
        Kw = np.einsum("abj,tbj->taj", K, own)
        quadratic[:k1, :k1] = own.reshape(k1, -1) @ Kw.reshape(k1, -1).T
        kept = (own - np.matmul(Sigma, Kw)).reshape(k1, -1)  # (I + A11 Sigma)^-T w
        g2 = self.pattern.A12.multiply_transposed(np.ascontiguousarray(kept.T))
        Sw = state.operator.S(w2)
        quadratic[k1:, k1:] = w2.T @ Sw
        quadratic[k1:, :k1] = w2.T @ g2
        quadratic[:k1, k1:] = quadratic[k1:, :k1].T
        tau = state.operator.restrict(np.concatenate([g2, Sw], axis=1))
        # the error of the products is of the square of the tolerance
        solved = self._solve(state.operator, tau, math.sqrt(self.cg_tol))
        quadratic -= tau.T @ solved.x + solved.x.T @ solved.residual
        columns = np.concatenate([np.einsum("axj,taj->xt", Y, own, optimize=True), state.R.T @ w2], axis=1)
        columns -= state.U.T @ tau  # [X y Zc]'V_b^-1Z w
        starts = np.cumsum([0] + [self.cp.m[c] * self.cp.J[c] for c in self.few]).tolist()
        shares = [slice(a, b) for a, b in pairwise(starts)]
        wc = _directions(starts[-1], shares, directions[cut:], scores[cut:])
        width = border.width
        Gcc = border.G[width:, width:]
        met = np.concatenate([columns[width:], Gcc @ wc], axis=1)  # Zc'V_b^-1Z w
        corner = columns[width:].T @ wc
        whole = np.block([[quadratic, corner], [corner.T, wc.T @ Gcc @ wc]])
        fixed = np.concatenate([columns[: width - 1], border.G[: width - 1, width:] @ wc], axis=1)
        return border.inner(whole, met, met), border.inner(fixed, border.G[width:, : width - 1], met)


def _rows(block: Floats) -> Floats:
    """(m, c, J) as (m J, c)."""
    return np.ascontiguousarray(block.transpose(0, 2, 1)).reshape(-1, block.shape[1])


def _level_diagonal(own: Floats) -> Floats:
    """Level blocks (m, m, J) as a matrix with rows and columns effect x J + level."""
    m, _, J = own.shape
    out = np.zeros((m, J, m, J))
    level = np.arange(J)
    out[:, level, :, level] = own.transpose(2, 0, 1)
    return out.reshape(m * J, m * J)


def _either(cp: CrossProducts, c: int, d: int) -> Floats:
    """Z_c'WZ_d for either order of the terms."""
    return cross_dense(cp, c, d) if c < d else cross_dense(cp, d, c).T


def _weighted_squares(F: Floats, Omega: Floats) -> Floats:
    """sum_j F_j Omega F_j' for F (m, J, r), (m, m)."""
    m = len(F)
    out: Floats = (F @ Omega).reshape(m, -1) @ F.reshape(m, -1).T
    return out


def _directions(size: int, shares: object, directions: list[Floats], scores: list[Floats]) -> Floats:
    """Columns dSigma_t e of each term, block by block, (size, T)."""
    w = np.zeros((size, sum(len(d) for d in directions)))
    column = 0
    for share, d, e in zip(shares, directions, scores, strict=True):  # type: ignore[call-overload]
        w[share, column : column + len(d)] = np.matmul(d, e).reshape(len(d), -1).T
        column += len(d)
    return w
