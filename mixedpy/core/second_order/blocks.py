"""The second-order blocks of a linear mixed model at one set of relative covariance factors.

Notation: V = I + Z Sigma Z' relative to sigma^2; K = Z'V^-1Z, F = Z'V^-1X, f = Z'Py; E_r, r = 1..g, are symmetric
directions of the terms' covariances, each standing for I (x) E_r on the columns of its term. The blocks

    tr(K E_r)    tr(K E_r K E_s)    [F f]'E_r[F f]    [F f]'E_r K E_s[F f]    h_r'E_t h_s,  h_r = (K - F S^-1 F') E_r f

are all that Satterthwaite's and Kenward and Roger's degrees of freedom, exact Hessians, boundary tests and the
conditional AIC need. K is never formed, and no cost depends on the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import lapack

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.protocol import Factor
from mixedpy.core.factor.schur import Schur
from mixedpy.core.second_order.conjugate import Conjugate
from mixedpy.core.second_order.crossed import Crossed
from mixedpy.core.second_order.nested import Nested
from mixedpy.core.second_order.sampled import Sampled

__all__ = ["MOST_EXACT", "SecondOrder", "Structure", "second_order", "structure"]

MOST_EXACT = 2000
"""Columns of crossed terms beside the first up to which traces are exact: two seconds and 0.3 GB."""

_FEW_SOLUTIONS = 32
"""Columns of a term up to which its traces are exact where every column costs a run of conjugate gradients."""


class Structure(Protocol):
    """What the assembly needs to know of K at one set of factors; terms in the order of the cross-products."""

    @property
    def logdet(self) -> float:
        """log|V|."""

    @property
    def gram(self) -> Floats:
        """[X y]'V^-1[X y], (p + 1, p + 1)."""

    def fixed(self) -> list[Floats]:
        """Z'V^-1[X y] of each term, (m, p + 1, J)."""

    def apply(self, W: list[Floats]) -> list[Floats]:
        """K W; W and the result are lists of one (m, c, J) array for each term."""

    def traces(self, directions: Sequence[Floats]) -> tuple[Floats, Floats]:
        """tr(K E_r), (g,), and tr(K E_r K E_s), (g, g); directions[i] is (T_i, m, m)."""


@dataclass(frozen=True, slots=True)
class SecondOrder:
    """Blocks at one set of factors: p fixed effects, g directions, terms in the order of the cross-products.

    Attributes
    ----------
    logdet : float
        log|V|; NaN where nothing is factored.
    gram : (p + 1, p + 1) array
        [X y]'V^-1[X y].
    beta : (p,) array
        Generalized least squares estimate at these factors.
    half : (p, p) array
        half'half = S^-1 with S = X'V^-1X.
    r2 : float
        y'Py.
    trace : (g,) array
        tr(K E_r).
    trace2 : (g, g) array
        tr(K E_r K E_s).
    P : (g, p + 1, p + 1) array
        [F f]'E_r[F f].
    Q : (g, g, p + 1, p + 1) array
        [F f]'E_r K E_s[F f].
    cubic : (g, g, g) array
        h_r'E_t h_s at [r, t, s].
    """

    logdet: float
    gram: Floats
    beta: Floats
    half: Floats
    r2: float
    trace: Floats
    trace2: Floats
    P: Floats
    Q: Floats
    cubic: Floats

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return len(self.beta)

    @property
    def S_inverse(self) -> Floats:
        """(X'V^-1X)^-1, (p, p)."""
        return self.half.T @ self.half


def structure(cp: CrossProducts, Lambdas: list[Floats], factor: Factor | None = None) -> Structure:
    """Eliminate the random effects in the way that suits the terms.

    Crossed terms with more than 2,000 columns beside the first have their traces sampled, by products with K from the
    factorization, or from conjugate gradients where nothing is factored.
    """
    if cp.chain:
        return Nested(cp, Lambdas)
    columns = sum(m * J for m, J in zip(cp.m[1:], cp.J[1:], strict=True))
    if columns <= MOST_EXACT or factor is None:
        return Crossed(cp, Lambdas)
    if isinstance(factor, Schur):
        reduced = factor.update(Lambdas)
        return Sampled(cp, reduced.logdet, reduced.gram, factor)
    conjugate = Conjugate(cp, Lambdas)
    return Sampled(cp, conjugate.logdet, conjugate.gram, conjugate, few=_FEW_SOLUTIONS)


def second_order(
    cp: CrossProducts, Lambdas: list[Floats], directions: Sequence[Floats], factor: Factor | None = None
) -> SecondOrder:
    """Compute the second-order blocks.

    Parameters
    ----------
    cp : CrossProducts
        Of the design.
    Lambdas : list of (m, m) arrays
        Any square root of the terms' relative covariances, in the order of the cross-products; singular ones are
        ordinary points.
    directions : sequence of (T_i, m, m) arrays
        Symmetric directions of each term, such as :func:`symmetric_basis`.
    factor : Factor, optional
        The factorization of the design, which serves where the matrix of the crossed terms is too large to be held
        densely several times over.

    Returns
    -------
    SecondOrder
        The blocks.

    Raises
    ------
    numpy.linalg.LinAlgError
        If X'V^-1X is not positive definite, or y is fitted without error.
    """
    found = structure(cp, Lambdas, factor)
    p = cp.p
    C, info = lapack.dpotrf(found.gram, lower=1)
    if info:
        raise np.linalg.LinAlgError("X'V^-1X is not positive definite")
    half = lapack.dtrtri(C[:p, :p], lower=1)[0] if p else np.empty((0, 0))
    beta = half.T @ C[p, :p]
    F = found.fixed()
    for block in F:  # [F f], (m, p + 1, J)
        block[:, p] -= np.einsum("axj,x->aj", block[:, :p], beta)
    P = np.concatenate([np.einsum("rab,axby->rxy", E, _products(f, f)) for E, f in zip(directions, F, strict=True)])
    Q, h = _quadratic(found, directions, F, P, half)
    trace, trace2 = found.traces(directions)
    return SecondOrder(
        logdet=found.logdet,
        gram=found.gram,
        beta=beta,
        half=half,
        r2=float(C[p, p]) ** 2,
        trace=trace,
        trace2=trace2,
        P=P,
        Q=Q,
        cubic=_cubic(directions, h),
    )


def _products(A: Floats, B: Floats) -> Floats:
    """sum_j A_j (x) B_j, (m, c, m, d), of A (m, c, J) and B (m, d, J)."""
    J = A.shape[-1]
    out: Floats = (A.reshape(-1, J) @ B.reshape(-1, J).T).reshape(*A.shape[:2], *B.shape[:2])
    return out


def _quadratic(
    found: Structure, directions: Sequence[Floats], F: list[Floats], P: Floats, half: Floats
) -> tuple[Floats, list[Floats]]:
    """Q, (g, g, c, c), and h of each term, (g, m, J), by one product with K for each direction."""
    g, c = P.shape[0], P.shape[1]
    p = c - 1
    Q = np.empty((g, g, c, c))
    h = [np.empty((g, block.shape[0], block.shape[2])) for block in F]
    zeros = [np.zeros_like(block) for block in F]
    s = 0
    for i, own in enumerate(directions):
        for E in own:
            W = list(zeros)
            W[i] = (E @ F[i].reshape(len(E), -1)).reshape(F[i].shape)
            KW = found.apply(W)
            adjust = half.T @ (half @ P[s, :p, p])  # S^-1 F'E_s f
            r = 0
            for block, product, rows, kept in zip(F, KW, directions, h, strict=True):
                Q[r : r + len(rows), s] = np.einsum("rab,axby->rxy", rows, _products(block, product))
                kept[s] = product[:, p] - np.einsum("axj,x->aj", block[:, :p], adjust)
                r += len(rows)
            s += 1
    return Q, h


def _cubic(directions: Sequence[Floats], h: list[Floats]) -> Floats:
    """h_r'E_t h_s, (g, g, g)."""
    parts = []
    for E, own in zip(directions, h, strict=True):
        g, m, J = own.shape
        flat = own.reshape(g * m, J)
        parts.append(np.einsum("tab,rasb->rts", E, (flat @ flat.T).reshape(g, m, g, m)))
    return np.concatenate(parts, axis=1)
