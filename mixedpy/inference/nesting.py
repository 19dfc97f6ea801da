"""How a smaller model lies in a larger one, found from the arrays, not from names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mixedpy.core.arrays import Design, Floats, RandomTerm
from mixedpy.core.covariance import Diagonal, Unstructured
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.rank import independent_columns
from mixedpy.core.record import FitRecord
from mixedpy.inference.singular import scaled_factors

__all__ = ["Embedding", "TermEmbedding", "embed", "in_span", "same_fixed_part", "same_grouping"]

_OUTSIDE = 1e-6
"""A column is no combination of others if this share of its variation, or more, is left by them."""


@dataclass(frozen=True, slots=True)
class TermEmbedding:
    """A term of the larger model.

    Attributes
    ----------
    blocks : tuple of tuple of int
        Its effects that the smaller model has, those of one term of the smaller model together.
    new : tuple of int
        Its effects that the smaller model lacks.
    covariance : (m, m) array
        The covariance, relative to sigma^2, that the fit of the smaller model gives it.
    diagonal : bool
        Whether its covariances are zero in the larger model too.
    """

    blocks: tuple[tuple[int, ...], ...]
    new: tuple[int, ...]
    covariance: Floats
    diagonal: bool

    @property
    def free(self) -> tuple[tuple[int, int], ...]:
        """Covariances that may have either sign: of effects that are in the smaller model, not all in one term."""
        if self.diagonal:
            return ()
        block = {a: k for k, members in enumerate(self.blocks) for a in members}
        m = len(self.covariance)
        pairs = [(a, b) for b in range(m) for a in range(b + 1, m) if a in block or b in block]
        return tuple((a, b) for a, b in pairs if block.get(a, -1) != block.get(b, -2))


@dataclass(frozen=True, slots=True)
class Embedding:
    """A smaller random part in a larger one.

    Attributes
    ----------
    terms : tuple of TermEmbedding
        For each term of the larger model.
    singular : bool
        Whether the smaller fit has a variance of zero or a correlation of one itself.
    """

    terms: tuple[TermEmbedding, ...]
    singular: bool


def embed(
    smaller: Design, record: FitRecord | GlmmRecord, larger: Design, singular_tol: float
) -> Embedding | Literal["outside", "unknown"]:
    """Find the random effects of a smaller model in a larger one.

    Parameters
    ----------
    smaller : Design
        Design of the smaller model.
    record : FitRecord or GlmmRecord
        Its fit.
    larger : Design
        Design of the larger model, on the same rows.
    singular_tol : float
        A fit is singular below this, see :mod:`mixedpy.inference.singular`.

    Returns
    -------
    Embedding, "outside" or "unknown"
        "outside" if the smaller random part has an effect that the larger lacks, or a covariance that the larger fixes
        at zero; "unknown" if it may be a special case, but with other columns or another covariance structure.
    """
    places: list[list[tuple[int, ...]]] = [[] for _ in larger.terms]
    covariances = [np.zeros((t.m, t.m)) for t in larger.terms]
    for term, Lambda in zip(smaller.terms, record.Lambda, strict=True):
        found = _find(term, smaller, larger, places)
        if found is None:
            return "unknown" if _may_be_inside(term, smaller, larger) else "outside"
        i, at = found
        covariances[i][np.ix_(at, at)] = Lambda @ Lambda.T
        # independent effects are blocks of their own
        places[i] += [(a,) for a in at] if isinstance(term.template, Diagonal) else [tuple(at)]
    terms = []
    for own, covariance, blocks in zip(larger.terms, covariances, places, strict=True):
        old = {a for block in blocks for a in block}
        new = tuple(a for a in range(own.m) if a not in old)
        terms.append(TermEmbedding(tuple(blocks), new, covariance, isinstance(own.template, Diagonal)))
    singular = any(float(np.abs(L.diagonal()).min()) < singular_tol for L in scaled_factors(smaller, record))
    return Embedding(tuple(terms), singular)


def _find(
    term: RandomTerm, smaller: Design, larger: Design, places: Sequence[Sequence[tuple[int, ...]]]
) -> tuple[int, list[int]] | None:
    """The term of the larger model that holds all effects of a term of the smaller, and where."""
    for i, candidate in enumerate(larger.terms):
        if not _may_hold(term, candidate) or not same_grouping(term, candidate):
            continue
        taken = {a for block in places[i] for a in block}
        at: list[int] = []
        for c in term.columns:
            column = smaller.columns[c]
            match = (
                a
                for a, d in enumerate(candidate.columns)
                if a not in taken and a not in at and np.array_equal(column, larger.columns[d])
            )
            a = next(match, None)
            if a is None:
                break
            at.append(a)
        if len(at) == term.m and (_plain(term) or at == list(range(term.m))):
            return i, at
    return None


def _may_hold(term: RandomTerm, candidate: RandomTerm) -> bool:
    """Whether the covariances of a term are some of those of a candidate, or all of one and the same structure."""
    if not _plain(term) or not _plain(candidate):
        return term.template == candidate.template
    return not (isinstance(candidate.template, Diagonal) and isinstance(term.template, Unstructured) and term.m > 1)


def _may_be_inside(term: RandomTerm, smaller: Design, larger: Design) -> bool:
    """Whether some term of the larger model has the same groups, and effects of which those of the term are made."""
    own = [smaller.columns[c] for c in term.columns]
    return any(
        same_grouping(term, candidate) and all(in_span(own, [larger.columns[d] for d in candidate.columns]))
        for candidate in larger.terms
        if not (_plain(term) and _plain(candidate) and term.m > candidate.m)
        and not (isinstance(candidate.template, Diagonal) and _plain(term) and term.m > 1)
    )


def in_span(columns: Sequence[Floats], basis: Sequence[Floats]) -> list[bool]:
    """Say of each column whether it is a linear combination of the columns of a basis, of any rank."""
    rest = [k for k, x in enumerate(columns) if not any(x is b or np.array_equal(x, b) for b in basis)]
    inside = [k not in rest for k in range(len(columns))]
    if not rest:
        return inside
    kept = independent_columns(list(basis)).tolist() if len(basis) else []
    B = np.array([basis[k] / np.linalg.norm(basis[k]) for k in kept]).reshape(len(kept), len(columns[0])).T
    Q = np.linalg.qr(B)[0]
    for k in rest:
        x = columns[k]
        left = x - Q @ (Q.T @ x)
        left -= Q @ (Q.T @ left)
        size = _OUTSIDE * float(np.linalg.norm(x - x.mean())) + 1e-12 * float(np.linalg.norm(x))
        inside[k] = float(np.linalg.norm(left)) <= size
    return inside


def _plain(term: RandomTerm) -> bool:
    """Whether every variance is a parameter of its own, and every covariance one too or zero."""
    template = term.template
    return isinstance(template, Unstructured) or (isinstance(template, Diagonal) and (term.m == 1 or not template.hom))


def same_grouping(one: RandomTerm, two: RandomTerm) -> bool:
    """Whether two factors make the same groups of rows."""
    if np.array_equal(one.codes, two.codes):
        return True
    if one.n_levels != two.n_levels:
        return False
    pairs = np.unique(one.codes.astype(np.int64) * two.n_levels + two.codes)
    return len(pairs) == one.n_levels


def same_fixed_part(one: Design, two: Design) -> bool:
    """Whether two models have the same columns of X, in any order, and the same offset."""
    if one.p != two.p or not _same(one.offset, two.offset):
        return False
    rest = [two.columns[c] for c in two.fixed]
    for c in one.fixed:
        k = next((k for k, column in enumerate(rest) if np.array_equal(one.columns[c], column)), None)
        if k is None:
            return False
        rest.pop(k)
    return True


def _same(one: Floats | None, two: Floats | None) -> bool:
    if one is None or two is None:
        return one is two
    return bool(np.array_equal(one, two))
