"""Joint covariance of the fixed effects and the prediction errors of the random effects, row by row, never formed.

Henderson's (1975, Biometrics 31, 423) mixed-model equations have the coefficient matrix

    C = [X'WX, X'WZ; Z'WX, Z'WZ + Sigma^-1],

and sigma^2 C^-1 is the covariance of (beta^ - beta, b^ - b) at given covariance parameters. With M = Lambda'Z'WZ Lambda
+ I, B = Lambda M^-1 Lambda' (so that Var(b | y, beta) = sigma^2 B, and variances of zero are allowed), G = B Z'WX and
S = X'V^-1X = X'WX - X'WZ G, a row (x, z) has

    (x, z)'C^-1(x, z) = z'B z + (x - G'z)'S^-1(x - G'z).

z has entries at one level of each term, so that blocks of B at a level, and at pairs of levels of two terms, are all
that is needed. Pairs that meet in the data come from the selected inverse of M, others from solves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.conditioning import Conditioned, condition
from mixedpy.core.crossproducts import CrossProducts, cross_products
from mixedpy.core.factor.cholesky import SparseCholesky, analyze, backend_name
from mixedpy.core.factor.selected_inverse import SelectedInverse

__all__ = ["JointCovariance", "RowVariances", "TermRow", "joint_covariance"]

Codes = NDArray[np.intp]

_SOLVE_ENTRIES = 1 << 23
"""Entries of the right-hand sides solved at a time, 64 MB."""

_SMALL = 500
"""Below this many random effects one sparse library is as good as the other."""

_BLOCK_ENTRIES = 1 << 22
"""Entries of the blocks gathered for rows at a time, 32 MB."""


@dataclass(frozen=True, slots=True)
class TermRow:
    """One random term on N rows.

    Attributes
    ----------
    codes : (N,) intp array
        Level of each row; -1 for a level without data.
    Z : (N, m) array
        The columns of the term, in the user's scale.
    """

    codes: Codes
    Z: Floats


@dataclass(frozen=True, slots=True)
class RowVariances:
    """Parts of (x, z)'C^-1(x, z) for N rows, relative to sigma^2.

    Attributes
    ----------
    fixed : (N,) array
        x'S^-1 x: the fixed part alone.
    joint : (N,) array
        The whole, with the prior variance z'Sigma z of levels without data.
    influence : (N,) array
        x'S^-1(x - G'z): times the weight of a row, d(x'beta^) / dy.
    net : (N, p) array
        (x - G'z)'H' with H'H = S^-1: rows of V^-1X, by weight, in coordinates where beta^ has covariance sigma^2 I.
    slope : (N, p) array
        x - G'z: how x'beta^ + z'b^ moves with beta^.
    """

    fixed: Floats
    joint: Floats
    influence: Floats
    net: Floats
    slope: Floats


@dataclass(frozen=True, slots=True)
class _Cross:
    """Blocks of B between two terms, for pairs of levels that meet in the data."""

    keys: Codes  # (b,) sorted: level of the one x number of levels of the other + level of the other
    values: Floats  # (b, m_i, m_l)


class Factors(Protocol):
    """A fit, of which the covariance factors are wanted."""

    @property
    def Lambda(self) -> tuple[Floats, ...]:
        """Covariance factor of each term, (m, m)."""


class JointCovariance:
    """What :func:`joint_covariance` returns: blocks of B and G at the levels of the data, in well-placed columns.

    Attributes
    ----------
    half : (p, p) array
        H in the columns X T: H'H = (T'X'V^-1X T)^-1, lower triangular, or T^-1 V T^-T for a given covariance V.
    T : (p, p) array
        The change of columns.
    """

    def __init__(
        self,
        conditioned: Conditioned,
        cross_products: CrossProducts,
        Lambdas: Sequence[Floats],
        fixed_vcov: Floats | None = None,
    ):
        self._cp = cp = cross_products
        self._place = {term: place for place, term in enumerate(cp.order)}
        self._Lambdas = [conditioned.conditioned_Lambda(i, Lambdas[i]) for i in cp.order]
        self._maps = conditioned.terms
        self._prior = [L @ L.T for L in Lambdas]
        self.T = conditioned.T
        right = [
            np.einsum("ab,acj->jbc", L, block[:, : cp.p])  # Lambda'Z'WX, (J, m, p)
            for L, block in zip(self._Lambdas, cp.right, strict=True)
        ]
        self._factor: SparseCholesky | None = None
        self._cross: dict[tuple[int, int], _Cross] = {}
        if cp.k == 1:
            (L,) = self._Lambdas
            M = np.eye(len(L)) + np.einsum("ab,acj,cd->jbd", L, cp.own[0], L, optimize=True)
            own = [np.linalg.inv(M)]
            solved = [own[0] @ right[0]]
        else:
            own, solved = self._factored(right)
        if fixed_vcov is None:
            taken = sum(np.einsum("jax,jay->xy", r, s) for r, s in zip(right, solved, strict=True))
            self.half = _inverse_half(cp.fixed[: cp.p, : cp.p] - taken)
        else:
            inward = np.linalg.inv(self.T)
            self.half = _half(inward @ fixed_vcov @ inward.T)
        self._own = [L @ block @ L.T for L, block in zip(self._Lambdas, own, strict=True)]
        self._G = [L @ block for L, block in zip(self._Lambdas, solved, strict=True)]  # (J, m, p)

    def _factored(self, right: list[Floats]) -> tuple[list[Floats], list[Floats]]:
        """Level blocks of M^-1, and M^-1 Lambda'Z'WX; keeps the factor and the blocks of B between terms."""
        entries = _Entries(self._cp, self._Lambdas)
        named = backend_name() if entries.q < _SMALL else None  # by name: no warning where SuperLU does as well
        factor = self._factor = analyze(entries.pointer, entries.rows, entries.q, backend=named)
        factor.update(entries.values)
        flat = np.empty(len(entries.order))
        flat[entries.order] = SelectedInverse(factor).compute()
        own, cross = entries.blocks(flat)
        for (i, l), values in cross.items():
            blocks = self._cp.cross[i, l]
            left, other = self._Lambdas[i], self._Lambdas[l]
            B = np.einsum("ab,bcj,dc->jad", left, values, other, optimize=True)
            self._cross[i, l] = _Cross(blocks.rows * self._cp.J[l] + blocks.cols, B)
        stacked = np.concatenate([block.reshape(block.shape[0] * block.shape[1], -1) for block in right])
        solved = factor.solve(stacked) if stacked.size else stacked  # there may be no fixed effects
        return own, [solved[s].reshape(block.shape) for s, block in zip(entries.shares, right, strict=True)]

    def rows(self, X: Floats, terms: Sequence[TermRow | None]) -> RowVariances:
        """Compute the variances of rows x'beta + z'b.

        Parameters
        ----------
        X : (N, p) array
            Rows of the fixed part, in the user's columns.
        terms : sequence of TermRow or None
            The random terms in the order of ``Design.terms``; None for one that takes no part.

        Returns
        -------
        RowVariances
            NaN where a row holds NaN.
        """
        width = max([self._cp.p + 1, *((self._cp.p + m) * m for m in self._cp.m)])
        step = max(1, _BLOCK_ENTRIES // width)
        if len(X) <= step:
            return self._block(X, terms)
        parts = []
        for start in range(0, len(X), step):
            some = slice(start, start + step)
            parts.append(self._block(X[some], [row and TermRow(row.codes[some], row.Z[some]) for row in terms]))
        return RowVariances(
            fixed=np.concatenate([part.fixed for part in parts]),
            joint=np.concatenate([part.joint for part in parts]),
            influence=np.concatenate([part.influence for part in parts]),
            net=np.concatenate([part.net for part in parts]),
            slope=np.concatenate([part.slope for part in parts]),
        )

    def _block(self, X: Floats, terms: Sequence[TermRow | None]) -> RowVariances:
        moved = X @ self.T  # (N, p)
        fixed, variance = moved @ self.half.T, np.zeros(len(X))
        used: list[tuple[int, Codes, Floats]] = []
        for i, row in enumerate(terms):
            if row is None:
                continue
            unseen = row.codes < 0
            if unseen.any():
                Z = row.Z[unseen]
                variance[unseen] += np.einsum("na,ab,nb->n", Z, self._prior[i], Z)
            T, place = self._maps[i], self._place[i]
            Z = np.where(unseen[:, None], 0.0, row.Z if T is None else row.Z @ T)
            codes = np.where(unseen, 0, row.codes)
            moved = moved - np.einsum("na,nax->nx", Z, self._G[place][codes])
            variance += np.einsum("na,nab,nb->n", Z, self._own[place][codes], Z)
            used.append((place, codes, Z))
        used.sort(key=lambda one: one[0])
        for a, (i, codes, Z) in enumerate(used):
            for l, others, W in used[a + 1 :]:
                among = np.flatnonzero(Z.any(axis=1) & W.any(axis=1))
                B = self._between(i, l, codes[among], others[among])
                variance[among] += 2.0 * np.einsum("na,nab,nb->n", Z[among], B, W[among])
        net = moved @ self.half.T
        return RowVariances(
            fixed=np.einsum("nx,nx->n", fixed, fixed),
            joint=variance + np.einsum("nx,nx->n", net, net),
            influence=np.einsum("nx,nx->n", fixed, net),
            net=net,
            slope=np.asarray(np.linalg.solve(self.T.T, moved.T).T, np.float64),
        )

    def _between(self, i: int, l: int, codes: Codes, others: Codes) -> Floats:
        """Blocks of B at pairs of levels of two terms, (N, m_i, m_l)."""
        known = self._cross[i, l]
        keys = codes * self._cp.J[l] + others
        at = np.minimum(np.searchsorted(known.keys, keys), len(known.keys) - 1)
        B = known.values[at]
        unmet = np.flatnonzero(known.keys[at] != keys)
        if len(unmet):
            B[unmet] = self._solved(i, l, codes[unmet], others[unmet])
        return B

    def _solved(self, i: int, l: int, codes: Codes, others: Codes) -> Floats:
        """Blocks of B at pairs that do not meet in the data: columns of M^-1 for the levels of the term with fewer."""
        if len(np.unique(others)) > len(np.unique(codes)):
            return self._solved(l, i, others, codes).transpose(0, 2, 1)
        assert self._factor is not None
        starts = _starts(self._cp)
        m, q = self._cp.m[l], self._factor.q
        levels, column = np.unique(others, return_inverse=True)
        order = np.argsort(column, kind="stable")
        inverse = np.empty((len(codes), self._cp.m[i], m))
        step = max(1, _SOLVE_ENTRIES // (q * m))
        for first in range(0, len(levels), step):
            some = levels[first : first + step]
            E = np.zeros((q, len(some), m))
            for b in range(m):
                E[starts[l] + some * m + b, np.arange(len(some)), b] = 1.0
            columns = self._factor.solve(E.reshape(q, -1)).reshape(E.shape)
            mine = order[np.searchsorted(column[order], first) : np.searchsorted(column[order], first + step)]
            effects = starts[i] + codes[mine, None] * self._cp.m[i] + np.arange(self._cp.m[i])
            inverse[mine] = columns[effects, (column[mine] - first)[:, None]]
        return self._Lambdas[i] @ inverse @ self._Lambdas[l].T


def joint_covariance(design: Design, record: Factors, fixed_vcov: Floats | None = None) -> JointCovariance:
    """Prepare the joint covariance of a fit for any number of rows.

    One factorization at the estimated covariance parameters; their own uncertainty is not included, but for what is in
    a covariance matrix of the fixed effects that is given.

    Examples
    --------
    >>> from mixedpy.core.control import Control
    >>> from mixedpy.core.covariance import Unstructured
    >>> from mixedpy.core.arrays import RandomTerm
    >>> from mixedpy.core.estimate import estimate
    >>> codes = np.repeat(np.arange(6), 5)
    >>> y = np.sin(np.arange(30.0)) + np.repeat([0.0, 2, 4, 1, 3, 5], 5)
    >>> term = RandomTerm(codes, 6, (0,), Unstructured(1))
    >>> design = Design(y, (np.ones(30),), (0,), (term,))
    >>> record = estimate(design, reml=True)
    >>> rows = joint_covariance(design, record).rows(np.ones((1, 1)), [None])
    >>> bool(np.isclose(rows.joint[0], record.unscaled_vcov[0, 0]))
    True
    """
    conditioned = condition(design)
    with np.errstate(divide="ignore", invalid="ignore"):  # the sum of the logarithms of the weights is not used
        products = cross_products(conditioned.design)
    return JointCovariance(conditioned, products, record.Lambda, fixed_vcov)


def _half(V: Floats) -> Floats:
    """H with H'H = V, for a covariance matrix that may be singular."""
    values, vectors = np.linalg.eigh(0.5 * (V + V.T))
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T


def _inverse_half(S: Floats) -> Floats:
    """H lower triangular with H'H = S^-1."""
    if not len(S):
        return np.empty((0, 0))
    C = np.linalg.cholesky(0.5 * (S + S.T))
    H: Floats = solve_triangular(C, np.eye(len(C)), lower=True)
    return H


def _starts(cp: CrossProducts) -> list[int]:
    """First effect of each term."""
    sizes = [m * J for m, J in zip(cp.m, cp.J, strict=True)]
    return [0, *np.cumsum(sizes)[:-1].tolist()]


class _Entries:
    """The lower triangle of M in compressed columns, effects of a level side by side, and back to blocks."""

    def __init__(self, cp: CrossProducts, Lambdas: list[Floats]):
        self.cp = cp
        starts = _starts(cp)
        self.q = starts[-1] + cp.m[-1] * cp.J[-1]
        self.shares = [slice(start, start + m * J) for start, m, J in zip(starts, cp.m, cp.J, strict=True)]
        rows, cols, values = [], [], []
        for i, (m, J, L) in enumerate(zip(cp.m, cp.J, Lambdas, strict=True)):
            level = starts[i] + m * np.arange(J)
            block = np.einsum("ab,acj,cd->bdj", L, cp.own[i], L, optimize=True) + np.eye(m)[:, :, None]
            for a in range(m):
                for b in range(a + 1):
                    rows.append(level + a)
                    cols.append(level + b)
                    values.append(block[a, b])
            for l in range(i + 1, cp.k):
                met = cp.cross[i, l]
                left, right = starts[i] + m * met.rows, starts[l] + cp.m[l] * met.cols
                block = np.einsum("ab,acj,cd->bdj", L, met.values, Lambdas[l], optimize=True)
                for a in range(m):
                    for b in range(cp.m[l]):
                        rows.append(right + b)
                        cols.append(left + a)
                        values.append(block[a, b])
        row, col = np.concatenate(rows), np.concatenate(cols)
        self.order = np.lexsort((row, col))
        self.rows = row[self.order]
        self.pointer = np.concatenate([[0], np.cumsum(np.bincount(col, minlength=self.q))])
        self.values = np.concatenate(values)[self.order]

    def blocks(self, flat: Floats) -> tuple[list[Floats], dict[tuple[int, int], Floats]]:
        """Values in the order of assembly as level blocks (J, m, m) of each term and (m_i, m_l, b) of each pair."""
        own: list[Floats] = []
        cross: dict[tuple[int, int], Floats] = {}
        at = 0
        for i, (m, J) in enumerate(zip(self.cp.m, self.cp.J, strict=True)):
            block = np.empty((J, m, m))
            for a in range(m):
                for b in range(a + 1):
                    block[:, a, b] = block[:, b, a] = flat[at : at + J]
                    at += J
            own.append(block)
            for l in range(i + 1, self.cp.k):
                count = len(self.cp.cross[i, l].rows)
                size = m * self.cp.m[l] * count
                cross[i, l] = flat[at : at + size].reshape(m, self.cp.m[l], count)
                at += size
        return own, cross
