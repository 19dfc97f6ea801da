"""A design and a family -> sorted blocks of rows, ready to be evaluated at any parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.family.protocol import Family
from mixedpy.core.glmm.laplace import Block
from mixedpy.core.glmm.layout import Layout, make_layout
from mixedpy.core.glmm.rows import Rows, Term
from mixedpy.core.sparsetools import counting_sort
from mixedpy.errors import MixedpyError

__all__ = ["Problem", "assemble"]

_MOST_TRAILING = 12_000
"""Order of the largest dense Schur complement, 1.2 GB."""

_BLOCK_ROWS = 40_000
"""Rows of a block of levels: its work arrays stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A generalized linear mixed model as arrays.

    Attributes
    ----------
    family : Family
        Distribution of the response.
    blocks : tuple of Block
        Independent blocks of levels; one where there are several random terms.
    layout : Layout
        Parameters, the terms in the order of the blocks.
    order : tuple of int
        Position in ``Design.terms`` of each term.
    whole : Rows
        All rows, sorted, for starts.
    levels : tuple of (J,) arrays
        Used levels of each term, in the order of the blocks.
    constant : float
        Part of the log-likelihood free of parameters.
    """

    family: Family
    blocks: tuple[Block, ...]
    layout: Layout
    order: tuple[int, ...]
    whole: Rows
    levels: tuple[NDArray[np.intp], ...]
    constant: float

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.whole.n

    @property
    def single(self) -> bool:
        """Whether there is one random term."""
        return len(self.order) == 1


def assemble(design: Design, family: Family, auxiliary: Sequence[Floats | None], *, expected: bool = False) -> Problem:
    """Sort the rows of a design and cut them into blocks.

    Parameters
    ----------
    design : Design
        The model's arrays.
    family : Family
        Distribution of the response.
    auxiliary : sequence of (n, k) array or None
        Columns of the family's auxiliary predictors; None for a constant.
    expected : bool
        Whether log|M| takes expected weights.
    """
    order = tuple(sorted(range(len(design.terms)), key=lambda i: -design.terms[i].n_levels * design.terms[i].m))
    codes, levels = [], []
    for i in order:
        term = design.terms[i]
        used = np.bincount(term.codes, minlength=term.n_levels) > 0
        kept = np.flatnonzero(used)
        levels.append(kept)
        codes.append(term.codes if used.all() else (np.cumsum(used) - 1)[term.codes])
    rows = _sorted_rows(codes[0], len(levels[0]))
    columns = [None if c == 0 else design.columns[c].take(rows) for c in range(len(design.columns))]
    X = np.empty((design.p, design.n))
    for k, c in enumerate(design.fixed):
        column = columns[c]
        X[k] = 1.0 if column is None else column
    terms = [
        Term(c.take(rows), len(kept), tuple(columns[k] for k in design.terms[i].columns))
        for c, kept, i in zip(codes, levels, order, strict=True)
    ]
    q2 = sum(len(kept) * design.terms[i].m for kept, i in zip(levels[1:], order[1:], strict=True))
    if q2 > _MOST_TRAILING:
        raise MixedpyError(
            f"the random terms beside the largest have {q2:,} effects together; a generalized model factors them "
            f"densely and takes at most {_MOST_TRAILING:,}. Leave out a term, or merge levels"
        )
    y = design.y.take(rows)
    weights = np.ones(1) if design.weights is None else design.weights.take(rows)
    offset = None if design.offset is None else design.offset.take(rows)
    own = [None if a is None else np.ascontiguousarray(a[rows].T) for a in auxiliary]
    constant = float(family.constant(y, weights).sum())
    layout = make_layout(
        [design.terms[i].template.free for i in order], design.p, sum(1 if a is None else len(a) for a in own)
    )
    whole = Rows(y, weights, X, offset, terms, own, constant)
    parts = _cut(whole) if len(terms) == 1 else [whole]
    blocks = tuple(Block(part, family, layout.entries, expected) for part in parts)
    return Problem(family, blocks, layout, order, whole, tuple(levels), constant)


def _sorted_rows(codes: NDArray[np.intp], J: int) -> NDArray[np.intp]:
    if J < 65_536:
        return np.argsort(codes.astype(np.uint16), kind="stable")  # a radix sort
    return np.asarray(counting_sort(codes, J)[0], np.intp)


def _cut(whole: Rows) -> list[Rows]:
    """Cut at levels, into blocks of about ``_BLOCK_ROWS`` rows."""
    if whole.n < 1.5 * _BLOCK_ROWS:
        return [whole]
    ends = np.cumsum(whole.counts)
    n_blocks = int(np.ceil(whole.n / _BLOCK_ROWS))
    cuts = np.unique(np.searchsorted(ends, np.linspace(0, whole.n, n_blocks + 1)[1:-1]) + 1)
    bounds = [0, *[int(c) for c in cuts if c < whole.J], whole.J]
    term = whole.terms[0]
    parts = []
    for first, last in pairwise(bounds):
        low, high = int(ends[first - 1]) if first else 0, int(ends[last - 1])
        rows = slice(low, high)
        parts.append(
            Rows(
                whole.y[rows],
                whole.weights if len(whole.weights) == 1 else whole.weights[rows],
                np.ascontiguousarray(whole.X[:, rows]),
                None if whole.offset is None else whole.offset[rows],
                [
                    Term(
                        term.codes[rows] - first,
                        last - first,
                        tuple(None if c is None else c[rows] for c in term.columns),
                    )
                ],
                [None if a is None else np.ascontiguousarray(a[:, rows]) for a in whole.auxiliary],
                0.0,
            )
        )
    return parts
