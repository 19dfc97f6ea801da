"""Bootstrap samples that do not trust the model's distributions: reflated residuals, rows, and whole groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Design, Floats, RandomTerm
from mixedpy.core.record import FitRecord

__all__ = ["Groups", "Reflated", "Resample", "draw_groups", "draw_reflated", "draw_rows", "groups_of", "reflate"]

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Reflated:
    """Predicted random effects and residuals, centred and brought to the estimated covariances.

    Attributes
    ----------
    fixed : (n,) array
        X beta + offset.
    effects : tuple of (J, m) arrays
        For each term; their empirical covariance is the estimated one.
    residuals : (n,) array
        Times the root of the prior weights; their empirical variance is sigma^2.
    """

    fixed: Floats
    effects: tuple[Floats, ...]
    residuals: Floats


def reflate(design: Design, record: FitRecord) -> Reflated:
    """Bring conditional modes and residuals, which are shrunken, to the covariances of the fit.

    U* = U A' with A = C_R C_S^-1, where C_S C_S' is the empirical and C_R C_R' the estimated covariance (Carpenter,
    Goldstein & Rasbash 2003, J. R. Stat. Soc. C 52, 431-443).
    """
    fixed = design.X @ record.beta
    if design.offset is not None:
        fixed = fixed + design.offset
    residuals, effects = design.y - fixed, []
    for term, modes, Lambda in zip(design.terms, record.modes, record.Lambda, strict=True):
        for k, c in enumerate(term.columns):
            residuals = residuals - design.columns[c] * modes[term.codes, k]
        U = modes - modes.mean(0)
        S = U.T @ U / len(U)
        w, vectors = np.linalg.eigh(S)
        kept = w > 1e-10 * max(float(w[-1]), 1e-300)
        # directions without any variation stay zero
        white = (U @ vectors[:, kept]) / np.sqrt(w[kept]) @ vectors[:, kept].T
        effects.append(record.sigma * white @ Lambda.T)
    if design.weights is not None:
        residuals = residuals * np.sqrt(design.weights)
    residuals = residuals - residuals.mean()
    size = float(np.sqrt(np.mean(residuals**2)))
    return Reflated(fixed, tuple(effects), residuals * (record.sigma / size) if size > 0 else residuals)


def draw_reflated(design: Design, parts: Reflated, count: int, rng: np.random.Generator) -> Floats:
    """Draw levels' effects and residuals with replacement and add them up, (n, count) responses."""
    n = design.n
    Y = parts.residuals[rng.integers(0, n, (n, count))]
    if design.weights is not None:
        Y = Y / np.sqrt(design.weights)[:, None]
    Y += parts.fixed[:, None]
    for term, U in zip(design.terms, parts.effects, strict=True):
        drawn = rng.integers(0, term.n_levels, (term.n_levels, count))
        for k, c in enumerate(term.columns):
            Y += design.columns[c][:, None] * U[drawn[term.codes], k]
    return Y


@dataclass(frozen=True, slots=True)
class Resample:
    """A design of drawn rows.

    Attributes
    ----------
    design : Design
        The design; levels that were not drawn are left out.
    rows : (n',) intp array
        Rows of the original design.
    levels : tuple of (J',) intp arrays
        For each term the original level of each level.
    copies : tuple of ((J',) intp array or None)
        For each term which draw a level belongs to, where copies of a level count as levels of their own.
    """

    design: Design
    rows: Rows
    levels: tuple[Rows, ...]
    copies: tuple[Rows | None, ...]


def draw_rows(design: Design, rng: np.random.Generator) -> Resample:
    """Draw rows with replacement."""
    return _of_rows(design, rng.integers(0, design.n, design.n), None, (False,) * len(design.terms))


@dataclass(frozen=True, slots=True)
class Groups:
    """The rows of every level of a grouping factor.

    Attributes
    ----------
    order : (n,) intp array
        Rows sorted by level.
    start : (G + 1,) intp array
        Where the levels begin in ``order``.
    inside : tuple of bool
        For each term whether its levels are nested in the factor, or are the factor: a level drawn twice then has
        random effects of its own each time.
    """

    order: Rows
    start: Rows
    inside: tuple[bool, ...]

    @property
    def count(self) -> int:
        """Number of levels."""
        return len(self.start) - 1


def groups_of(design: Design, term: int) -> Groups:
    """Sort the rows by the grouping factor of a term."""
    codes, G = design.terms[term].codes, design.terms[term].n_levels
    start = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=G))])
    inside = tuple(_nested(other, codes) for other in design.terms)
    return Groups(np.argsort(codes, kind="stable"), start.astype(np.intp), inside)


def _nested(term: RandomTerm, outer: Rows) -> bool:
    above = np.zeros(term.n_levels, dtype=np.intp)
    above[term.codes] = outer
    return bool(np.array_equal(above[term.codes], outer))


def draw_groups(design: Design, groups: Groups, rng: np.random.Generator) -> Resample:
    """Draw levels with replacement, each with all its rows."""
    drawn = rng.integers(0, groups.count, groups.count)
    sizes = np.diff(groups.start)[drawn]
    copy = np.repeat(np.arange(groups.count), sizes)  # which draw each new row belongs to
    within = np.arange(len(copy)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows = groups.order[groups.start[drawn][copy] + within]
    return _of_rows(design, rows, copy, groups.inside)


def _of_rows(design: Design, rows: Rows, copy: Rows | None, inside: tuple[bool, ...]) -> Resample:
    terms, levels, copies = [], [], []
    for term, own in zip(design.terms, inside, strict=True):
        codes = term.codes[rows]
        if own and copy is not None:
            codes = copy * term.n_levels + codes
        kept, codes = np.unique(codes, return_inverse=True)
        terms.append(replace(term, codes=np.asarray(codes, np.intp).reshape(-1), n_levels=len(kept)))
        levels.append(kept % term.n_levels)
        copies.append(kept // term.n_levels if own and copy is not None else None)
    drawn = replace(
        design,
        y=design.y[rows],
        columns=tuple(column[rows] for column in design.columns),
        terms=tuple(terms),
        weights=None if design.weights is None else design.weights[rows],
        offset=None if design.offset is None else design.offset[rows],
    )
    return Resample(drawn, rows, tuple(levels), tuple(copies))
