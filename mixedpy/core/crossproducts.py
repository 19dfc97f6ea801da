"""One pass over the rows: [Z X y]' W [Z X y] by level blocks, after which no cost depends on the number of rows.

The level axis stands last and contiguous everywhere: a block over the J levels of a term with m columns is (m, c, J).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Design, Floats, RandomTerm
from mixedpy.core.sparsetools import counting_sort

__all__ = ["CrossBlocks", "CrossProducts", "cross_products"]

Codes = NDArray[np.signedinteger[Any]]

_Y = -1
"""Name of the response among the positions of ``Design.columns``."""

_PAIRWISE_LIMIT = 6
"""Up to this many fixed effects X'X is formed product by product, without stacking the columns."""

_PROBE = 2000
"""Rows on which nesting is tried before all rows are looked at."""


@dataclass(frozen=True, slots=True)
class CrossBlocks:
    """Z_i'WZ_l of two terms: one m_i x m_l block for every pair of levels that meet in a row.

    Attributes
    ----------
    rows, cols : (b,) integer arrays
        Level of term i and of term l of each block, sorted by row, then column.
    values : (m_i, m_l, b) array
        The blocks.
    nested : bool
        Whether every level of term i meets one level of term l only; then ``rows`` is 0, ..., J_i - 1.
    """

    rows: Codes
    cols: Codes
    values: Floats
    nested: bool


@dataclass(frozen=True, slots=True)
class CrossProducts:
    """Sufficient statistics of a linear mixed model, its k random terms by decreasing number of columns of Z.

    Attributes
    ----------
    n, p : int
        Numbers of rows and of fixed effects.
    order : tuple of int
        Position in ``Design.terms`` of each term.
    m, J : tuple of int
        Effects per level and number of levels of each term.
    fixed : (p + 1, p + 1) array
        [X y]' W [X y].
    own : tuple of (m, m, J) arrays
        Level blocks of Z'WZ.
    right : tuple of (m, p + 1, J) arrays
        Level blocks of Z'W[X y].
    cross : dict of (int, int) to CrossBlocks
        Z_i'WZ_l for i < l.
    log_weights : float
        Sum of the logarithms of the prior weights.
    """

    n: int
    p: int
    order: tuple[int, ...]
    m: tuple[int, ...]
    J: tuple[int, ...]
    fixed: Floats
    own: tuple[Floats, ...]
    right: tuple[Floats, ...]
    cross: dict[tuple[int, int], CrossBlocks]
    log_weights: float

    @property
    def k(self) -> int:
        """Number of random terms."""
        return len(self.m)

    @property
    def chain(self) -> bool:
        """Whether every term is nested in the next."""
        return all(self.cross[i, i + 1].nested for i in range(self.k - 1))


class _Products:
    """Weighted elementwise products of two columns, each formed once; ``None`` stands for a product of ones."""

    def __init__(self, design: Design):
        self.columns, self.weights = design.columns, design.weights
        self.y = design.y if design.offset is None else design.y - design.offset
        self.known: dict[tuple[int, int], Floats | None] = {}

    def column(self, a: int) -> Floats:
        return self.y if a == _Y else self.columns[a]

    def __call__(self, a: int, b: int) -> Floats | None:
        key = (a, b) if a <= b else (b, a)
        if key not in self.known:
            factors = [self.column(c) for c in key if c != 0]
            if self.weights is not None:
                factors.append(self.weights)
            self.known[key] = _multiply(factors)
        return self.known[key]

    def total(self, a: int, b: int) -> float:
        """Sum of the product over the rows, without forming it where a dot product does."""
        if self.weights is None and a != 0 and b != 0:
            return float(self.column(a) @ self.column(b))
        product = self(a, b)
        return float(len(self.y) if product is None else product.sum())


def _multiply(factors: list[Floats]) -> Floats | None:
    if not factors:
        return None
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    return product


class _LevelSums:
    """Sums of products over the levels of one term; sums already known for a term nested in it are added up instead."""

    def __init__(self, products: _Products, term: RandomTerm):
        self.products, self.codes, self.J = products, term.codes, term.n_levels
        self.known: dict[tuple[int, int], Floats] = {}
        self.inner: tuple[_LevelSums, Codes] | None = None

    def __call__(self, a: int, b: int) -> Floats:
        key = (a, b) if a <= b else (b, a)
        if key not in self.known:
            if self.inner is not None and key in self.inner[0].known:
                sums, parent = self.inner
                self.known[key] = _totals(parent, sums.known[key], self.J)
            else:
                self.known[key] = _totals(self.codes, self.products(a, b), self.J)
        return self.known[key]

    def block(self, left: tuple[int, ...], right: tuple[int, ...]) -> Floats:
        """Sums of all products of left with right, (len(left), len(right), J)."""
        out = np.empty((len(left), len(right), self.J))
        for i, a in enumerate(left):
            for j, b in enumerate(right):
                out[i, j] = self(a, b)
        return out


def _totals(codes: Codes, values: Floats | None, size: int) -> Floats:
    """Sums of the values, or counts of the rows, over the codes."""
    return np.asarray(np.bincount(codes, values, size), np.float64)


def cross_products(design: Design) -> CrossProducts:
    """Accumulate the cross-products of a design in one pass over its rows.

    Parameters
    ----------
    design : Design
        The model's arrays.

    Returns
    -------
    CrossProducts
        Level blocks, with the terms by decreasing number of columns of Z.
    """
    order = tuple(sorted(range(len(design.terms)), key=lambda i: -design.terms[i].n_levels * design.terms[i].m))
    terms = [design.terms[i] for i in order]
    products = _Products(design)
    right = (*design.fixed, _Y)
    sums = [_LevelSums(products, term) for term in terms]
    parents = {(i, l): _parent(terms[i], terms[l]) for i in range(len(terms)) for l in range(i + 1, len(terms))}
    own, fixed, cross = [], [], {}
    for i, term in enumerate(terms):
        inner = next((h for h in range(i) if parents[h, i] is not None), None)
        if inner is not None:
            parent = parents[inner, i]
            assert parent is not None
            sums[i].inner = (sums[inner], parent)
        own.append(sums[i].block(term.columns, term.columns))
        fixed.append(sums[i].block(term.columns, right))
        for l in range(i + 1, len(terms)):
            parent = parents[i, l]
            if parent is not None:
                values = sums[i].block(term.columns, terms[l].columns)
                cross[i, l] = CrossBlocks(np.arange(term.n_levels), parent, values, nested=True)
            else:
                cross[i, l] = _crossed_blocks(products, term, terms[l])
    return CrossProducts(
        n=design.n,
        p=design.p,
        order=order,
        m=tuple(t.m for t in terms),
        J=tuple(t.n_levels for t in terms),
        fixed=_gram(products, right),
        own=tuple(own),
        right=tuple(fixed),
        cross=cross,
        log_weights=0.0 if design.weights is None else float(np.log(design.weights).sum()),
    )


def _gram(products: _Products, columns: tuple[int, ...]) -> Floats:
    """[X y]' W [X y]."""
    if len(columns) - 1 <= _PAIRWISE_LIMIT:
        gram = np.empty((len(columns), len(columns)))
        for i, a in enumerate(columns):
            for j, b in enumerate(columns[: i + 1]):
                gram[i, j] = gram[j, i] = products.total(a, b)
        return gram
    stacked = np.stack([products.column(c) for c in columns])  # (p + 1, n)
    weighted = stacked if products.weights is None else stacked * products.weights
    gram = weighted @ stacked.T
    return 0.5 * (gram + gram.T)


def _parent(inner: RandomTerm, outer: RandomTerm) -> Codes | None:
    """Level of the outer term that holds each level of the inner one, or None where some level spans several."""
    parent = np.zeros(inner.n_levels, np.intp)
    for rows in (slice(_PROBE), slice(None)):
        codes, above = inner.codes[rows], outer.codes[rows]
        parent[codes] = above
        if not np.array_equal(parent[codes], above):
            return None
    return parent


def _crossed_blocks(products: _Products, left: RandomTerm, right: RandomTerm) -> CrossBlocks:
    """Blocks of two crossed terms, by a table of all level pairs where that is small and by counting sort elsewhere."""
    n, table = len(left.codes), left.n_levels * right.n_levels
    pairs = [(a, b) for a in left.columns for b in right.columns]
    if table <= 2 * n:
        key = left.codes * np.intp(right.n_levels) + right.codes
        met = np.flatnonzero(np.bincount(key, minlength=table))
        sums: Iterator[Floats] = (_totals(key, products(a, b), table)[met] for a, b in pairs)
        rows, cols = np.divmod(met, right.n_levels)
    else:
        by_right, _ = counting_sort(right.codes, right.n_levels)
        order, _ = counting_sort(left.codes, left.n_levels, by_right)
        first, second = left.codes[order], right.codes[order]
        change = np.empty(n, bool)
        change[0] = True
        np.not_equal(first[1:], first[:-1], out=change[1:])
        change[1:] |= second[1:] != second[:-1]
        start = np.flatnonzero(change)
        counts = np.diff(start, append=n)
        rows, cols = first[start], second[start]
        by_pair = ((products(a, b), counts) for a, b in pairs)
        sums = (c if product is None else np.add.reduceat(product[order], start) for product, c in by_pair)
    values = np.empty((len(pairs), len(rows)))
    for value, total in zip(values, sums, strict=True):
        value[:] = total
    return CrossBlocks(rows, cols, values.reshape(left.m, right.m, -1), nested=False)
