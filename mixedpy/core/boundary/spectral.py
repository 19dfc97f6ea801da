"""The exact restricted likelihood-ratio test of one variance, by simulation from its spectral representation.

For y ~ N(X beta, sigma^2 V_0) under the null hypothesis, with mu_s the K eigenvalues of Z'P_0 Z, P_0 the projection
off X in the metric of V_0, and w_s ~ chi2(1) independent,

    RLRT = sup_lambda (n - p) log(sum_s w_s + c) - (n - p) log(sum_s w_s / (1 + lambda mu_s) + c)
           - sum_s log(1 + lambda mu_s),      c ~ chi2(n - p - K)

(Crainiceanu & Ruppert 2004, J. R. Stat. Soc. B 66, 165-185). Further variances of the model enter through V_0 at the
fit under the null hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.estimate import Engine
from mixedpy.core.second_order.blocks import structure

__all__ = ["MOST_LEVELS", "Spectrum", "simulate_rlrt", "spectrum"]

MOST_LEVELS = 5000
"""Levels up to which all eigenvalues are computed from a dense matrix."""

_ZERO = 1e-10
_SAME = 1e-9
"""Eigenvalues, relative to the largest, that count as zero, and that count as equal."""

_GRID = np.concatenate([[0.0], np.exp(np.linspace(-12.0, 10.0, 240))])
"""lambda, in units of 1 / max(mu), over which the supremum is taken."""

_CHUNK = 4_000_000
"""Random numbers drawn at a time."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """What the null distribution depends on.

    Attributes
    ----------
    values : (k,) array
        The distinct eigenvalues of Z'P_0 Z that are not zero, relative to sigma^2.
    counts : (k,) int array
        Their multiplicities.
    nu : int
        n - p.
    """

    values: Floats
    counts: NDArray[np.intp]
    nu: int


def spectrum(engine: Engine, term: int, roots: Sequence[Floats]) -> Spectrum:
    """Compute the eigenvalues for the variance of a term with one effect.

    Parameters
    ----------
    engine : Engine
        The prepared model with the term.
    term : int
        The term tested, a position in ``Design.terms``; it has one effect.
    roots : sequence of (m, m) arrays
        Relative covariance factors under the null hypothesis, that of the term zero, in the order of the terms.

    Raises
    ------
    ValueError
        If the term has more levels than :data:`MOST_LEVELS` and no short cut serves.
    """
    cp = engine.cross_products
    place = cp.order.index(term)
    inward = [engine.conditioned.conditioned_Lambda(i, roots[i]) for i in cp.order]
    if all(not root.any() for i, root in enumerate(roots) if i != term):
        values, counts = _alone(cp, place)
    else:
        values, counts = _among_others(cp, place, inward), None
    if counts is None:
        counts = np.ones(len(values), dtype=np.intp)
    values, counts = _distinct(values, counts)
    return Spectrum(values, counts, cp.n - cp.p)


def _alone(cp: CrossProducts, place: int) -> tuple[Floats, NDArray[np.intp]]:
    """diag(a) - U U' with U = Z'X R^-1, R'R = X'X.

    The levels of one size a are rotated so that p directions meet U; the others keep the eigenvalue a.
    """
    p = cp.p
    a, X = cp.own[place][0, 0], cp.right[place][0, :p]  # (J,), (p, J)
    U = np.linalg.solve(np.linalg.cholesky(cp.fixed[:p, :p]), X).T if p else np.zeros((len(a), 0))
    scale = a.max()
    sizes, member = np.unique(np.round(a / scale, 12), return_inverse=True)
    member = member.reshape(-1)
    in_class = np.bincount(member)
    if len(sizes) * p > MOST_LEVELS and len(a) > MOST_LEVELS:
        raise ValueError(f"{len(a)} levels of {len(sizes)} sizes")
    diagonal, rows, values, counts = [], [], [], []
    for k, size in enumerate(sizes * scale):
        own = U[member == k]
        w, vectors = np.linalg.eigh(own.T @ own)
        kept = w > 1e-12 * max(float(w.max(initial=0.0)), 1e-300)
        met = min(int(kept.sum()), int(in_class[k]))
        rows.append((vectors[:, kept] * np.sqrt(w[kept])).T[-met:] if met else np.zeros((0, p)))
        diagonal += [size] * met
        if in_class[k] > met:
            values.append(size)
            counts.append(int(in_class[k]) - met)
    V = np.concatenate(rows)
    rest = np.linalg.eigvalsh(np.diag(diagonal) - V @ V.T) if diagonal else np.empty(0)
    every = np.concatenate([values, rest])
    return every, np.concatenate([counts, np.ones(len(rest), dtype=np.intp)]).astype(np.intp)


def _among_others(cp: CrossProducts, place: int, roots: list[Floats]) -> Floats:
    """Eigenvalues of the term's block of Z'P_0 Z, formed densely."""
    J = cp.J[place]
    if J > MOST_LEVELS:
        raise ValueError(f"{J} levels beside other random terms")
    found = structure(cp, roots)
    W = [np.zeros((m, J, levels)) for m, levels in zip(cp.m, cp.J, strict=True)]
    W[place][0] = np.eye(J)
    K = found.apply(W)[place][0].T  # (J, J)
    p = cp.p
    F = found.fixed()[place][0, :p]  # (p, J)
    S = found.gram[:p, :p]
    K = K - F.T @ np.linalg.solve(S, F) if p else K
    return np.asarray(np.linalg.eigvalsh(0.5 * (K + K.T)), np.float64)


def _distinct(values: Floats, counts: NDArray[np.intp]) -> tuple[Floats, NDArray[np.intp]]:
    """Leave out zeros and count equal eigenvalues once."""
    top = float(values.max(initial=0.0))
    kept = values > _ZERO * top
    values, counts = values[kept], counts[kept]
    order = np.argsort(values)
    values, counts = values[order], counts[order]
    if not len(values):
        return values, counts
    new = np.concatenate([[True], np.diff(values) > _SAME * top])
    group = np.cumsum(new) - 1
    return values[new], np.bincount(group, counts).astype(np.intp)


def simulate_rlrt(of: Spectrum, nsim: int, rng: np.random.Generator) -> Floats:
    """Draw from the null distribution of the restricted likelihood-ratio statistic, (nsim,)."""
    K = int(of.counts.sum())
    rest = of.nu - K
    top = float(of.values.max(initial=1.0))
    relative = of.values / top
    shrunk = 1.0 / (1.0 + _GRID[:, None] * relative)  # (grid, k)
    penalty = np.log1p(_GRID[:, None] * relative) @ of.counts
    out = np.empty(nsim)
    step = max(1, _CHUNK // max(len(relative), len(_GRID)))
    for first in range(0, nsim, step):
        some = slice(first, min(first + step, nsim))
        size = some.stop - first
        w = rng.chisquare(of.counts[:, None], (len(relative), size))
        c = rng.chisquare(rest, size) if rest > 0 else np.zeros(size)
        profile = of.nu * (np.log(w.sum(0) + c) - np.log(shrunk @ w + c)) - penalty[:, None]
        out[some] = profile.max(0)
    return np.maximum(out, 0.0)
