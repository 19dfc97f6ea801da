"""Rows of a block of levels, sorted by the levels of the main term, and products with the scaled random-effects
columns.

The main term is the one with most columns. Sorting makes its sums over levels and its expansions to rows single passes
(``reduceat`` and ``repeat``); a model with one random term falls apart into independent blocks that fit the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.cross import CrossStore, cross_store

__all__ = ["Effect", "Entry", "Rows", "Term", "Zeta"]

Codes = NDArray[np.integer]

Zeta = list[Floats | float]
"""Scaled columns: per effect column an (n,) array, or a number where it is the same in every row."""


@dataclass(frozen=True, slots=True)
class Term:
    """One random term on the rows of a block.

    Attributes
    ----------
    codes : (n,) array
        Level of each row.
    J : int
        Number of levels.
    columns : tuple of (n,) array or None
        The m columns; None for a column of ones.
    """

    codes: Codes
    J: int
    columns: tuple[Floats | None, ...]

    @property
    def m(self) -> int:
        """Number of effects."""
        return len(self.columns)


@dataclass(frozen=True, slots=True)
class Effect:
    """One random-effects column: term, effect within the term, and where its J levels stand in u."""

    term: int
    index: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A free entry of a relative covariance factor: row a and column b of the factor of a term."""

    term: int
    a: int
    b: int


class Rows:
    """Rows of one block and everything about them that does not depend on the parameters.

    Parameters
    ----------
    y, weights : (n,) arrays
        Response and prior weights; weights of shape (1,) are the same in every row.
    X : (p, n) array
        Fixed-effects columns.
    offset : (n,) array or None
        Known part of the linear predictor.
    terms : sequence of Term
        Random terms, the main one first, rows sorted by its levels, every level used.
    auxiliary : sequence of (k, n) array or None
        Columns of each auxiliary predictor; None for a single constant.
    constant : float
        Part of the log-likelihood free of parameters.
    """

    def __init__(
        self,
        y: Floats,
        weights: Floats,
        X: Floats,
        offset: Floats | None,
        terms: Sequence[Term],
        auxiliary: Sequence[Floats | None],
        constant: float,
    ):
        self.y, self.weights, self.X, self.offset = y, weights, X, offset
        self.terms, self.auxiliary, self.constant = tuple(terms), tuple(auxiliary), constant
        self.p, self.n = X.shape
        main = self.terms[0]
        self.counts = np.bincount(main.codes, minlength=main.J)
        self.starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self.J, self.m = main.J, main.m
        self.effects: list[Effect] = []
        self.column: dict[tuple[int, int], int] = {}
        start = 0
        for t, term in enumerate(self.terms):
            for a in range(term.m):
                self.column[t, a] = len(self.effects)
                self.effects.append(Effect(t, a, start, start + term.J))
                start += term.J
        self.q = start
        self.q1 = main.J * main.m
        self.q2 = self.q - self.q1
        self.rest = range(self.m, len(self.effects))
        self.trailing = [
            self.terms[self.effects[k].term].codes + (self.effects[k].start - self.q1) for k in self.rest
        ]  # trailing index of each row, per effect after the main term's
        self.store: CrossStore | None = None
        self.pairs: dict[tuple[int, int], Codes] = {}
        if self.q2:
            self.store = cross_store(main.codes, self.trailing, main.J, main.m, self.q2)
            for i in self.rest:
                for k in range(self.m, i):
                    self.pairs[i, k] = self.trailing[i - self.m] * self.q2 + self.trailing[k - self.m]

    # ---- levels <-> rows

    def expand(self, k: int, U: Floats) -> Floats:
        """Give each row the entry of effect column k at its level, (n,), from u or anything shaped like it (q,)."""
        effect = self.effects[k]
        levels = U[effect.start : effect.stop]
        if effect.term == 0:
            return np.repeat(levels, self.counts)
        return levels.take(self.terms[effect.term].codes)

    def level_sums(self, k: int, x: Floats) -> Floats:
        """Sum rows by the levels of effect column k, (J,)."""
        term = self.effects[k].term
        if term == 0:
            return np.add.reduceat(x, self.starts)
        return np.asarray(np.bincount(self.terms[term].codes, x, self.terms[term].J), np.float64)

    def z(self, k: int) -> Floats | None:
        """Unscaled column of effect column k; None for ones."""
        effect = self.effects[k]
        return self.terms[effect.term].columns[effect.index]

    # ---- scaled columns

    def scaled(self, Lambdas: Sequence[Floats]) -> Zeta:
        """Columns of Lambda'z, one per effect column."""
        out: Zeta = []
        for term, L in zip(self.terms, Lambdas, strict=True):
            for a in range(term.m):
                value: Floats | float = 0.0
                for b in range(term.m):
                    if L[b, a] != 0.0:
                        z = term.columns[b]
                        value = value + (float(L[b, a]) if z is None else L[b, a] * z)
                out.append(value)
        return out

    def times(self, zeta: Zeta, U: Floats) -> Floats:
        """Compute zeta u, (n,)."""
        total = self.expand(0, U)
        total *= zeta[0]
        for k in range(1, len(self.effects)):
            part = self.expand(k, U)
            part *= zeta[k]
            total += part
        return total

    def transposed(self, zeta: Zeta, x: Floats) -> Floats:
        """Compute zeta'x, (q,)."""
        out = np.empty(self.q)
        for k, effect in enumerate(self.effects):
            column = zeta[k]
            if isinstance(column, np.ndarray):
                out[effect.start : effect.stop] = self.level_sums(k, x * column)
            else:
                np.multiply(self.level_sums(k, x), column, out=out[effect.start : effect.stop])
        return out

    # ---- predictors

    def fixed_part(self, beta: Floats) -> Floats:
        """X beta + offset, (n,)."""
        eta = beta @ self.X
        if self.offset is not None:
            eta += self.offset
        return eta

    def auxiliaries(self, alpha: Floats) -> tuple[Floats, ...]:
        """Auxiliary predictors at alpha, each (n,) or (1,)."""
        out, start = [], 0
        for columns in self.auxiliary:
            size = 1 if columns is None else len(columns)
            share = alpha[start : start + size]
            out.append(share if columns is None else share @ columns)
            start += size
        return tuple(out)

    # ---- weighted cross-products of the scaled columns

    def products(
        self,
        w: Floats,
        zeta: Zeta,
        moved: tuple[Floats, int, Floats | None] | None = None,
        *,
        cross: bool = True,
    ) -> tuple[Floats, Floats | None, Floats | None]:
        """Blocks of sum w zeta zeta', plus sum v (dzeta zeta' + zeta dzeta') where one scaled column moves.

        Parameters
        ----------
        w : (n,) array
            Weights.
        zeta : Zeta
            Scaled columns.
        moved : (v, k, dz), optional
            Weights of the second sum, the column that moves, and its derivative; None for ones.
        cross : bool
            Whether to form the blocks beyond the main term's own.

        Returns
        -------
        A : (m, m, J) array
            Blocks of the main term.
        C : array or None
            Main term x the others, as the cross store keeps it.
        B : (q2, q2) array or None
            The others among themselves.
        """
        m = self.m
        if m == 1 and not self.q2 and not isinstance(zeta[0], np.ndarray):
            scale = zeta[0]
            A = scale * scale * np.add.reduceat(w, self.starts)
            if moved is not None:
                v, _, dz = moved
                A += 2.0 * scale * np.add.reduceat(v if dz is None else v * dz, self.starts)
            return A[None, None], None, None

        def weighted(i: int, k: int) -> Floats:
            out = w * (zeta[i] * zeta[k])
            if moved is not None:
                v, column, dz = moved
                if i == column or k == column:
                    other = zeta[k] if i == column else zeta[i]
                    factor = (2.0 if i == k else 1.0) * other
                    out += v * (factor if dz is None else factor * dz)
            return out

        A = np.empty((m, m, self.J))
        for a in range(m):
            for b in range(a + 1):
                A[a, b] = A[b, a] = np.add.reduceat(weighted(a, b), self.starts)
        if self.store is None or not cross:
            return A, None, None
        C = self.store.build([[weighted(a, k) for k in self.rest] for a in range(m)])
        B = np.zeros((self.q2, self.q2))
        diagonal = np.zeros(self.q2)
        for i in self.rest:
            effect = self.effects[i]
            diagonal[effect.start - self.q1 : effect.stop - self.q1] = self.level_sums(i, weighted(i, i))
            for k in range(m, i):
                flat = np.bincount(self.pairs[i, k], weighted(i, k), self.q2 * self.q2)
                B += flat.reshape(self.q2, self.q2)
        if len(self.rest) > 1:
            B += B.T.copy()
        B[np.diag_indices(self.q2)] += diagonal
        return A, C, B
