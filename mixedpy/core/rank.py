"""Which columns of X are linearly independent of the columns to their left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

__all__ = ["RANK_TOLERANCE", "independent_columns"]

Floats = NDArray[np.float64]

RANK_TOLERANCE = 1e-7
"""A column is aliased when projecting out those to its left leaves less than this share of its norm (R's ``qr``)."""

_CLEAR = 1e-5
"""Above this share the cross-products alone settle the question: of its square, 1e-10, rounding takes about 1e-14."""

_PAIRWISE_LIMIT = 6


def independent_columns(columns: Sequence[Floats]) -> NDArray[np.intp]:
    """Find the columns to keep so that none depends linearly on columns before it.

    Parameters
    ----------
    columns : sequence of p arrays (n,)
        The columns of X from left to right.

    Returns
    -------
    (r,) intp array
        Positions of the independent columns, increasing; r is the rank.

    Notes
    -----
    The rule is that of LINPACK's ``dqrdc2`` as R uses it: a column whose norm after projection falls below 1e-7 of its
    original norm is set aside. A Cholesky factorization of the scaled cross-products answers for well-conditioned
    columns; a twice-repeated Gram-Schmidt projection decides the rest.

    Examples
    --------
    >>> one, x = np.ones(4), np.arange(4.0)
    >>> independent_columns([one, x, 2 * x + one]).tolist()
    [0, 1]
    """
    p = len(columns)
    if p == 0:
        return np.empty(0, np.intp)
    gram = _gram(columns)
    norm = np.sqrt(np.diag(gram))
    if np.all(norm > 0):
        factor, info = lapack.dpotrf(gram / norm / norm[:, None], lower=1)
        if info == 0 and np.diag(factor).min() > _CLEAR:
            return np.arange(p)
    return _by_projection(columns, norm)


def _gram(columns: Sequence[Floats]) -> Floats:
    """X'X, of few columns without stacking them."""
    if len(columns) > _PAIRWISE_LIMIT:
        X = np.stack(columns)  # (p, n)
        return X @ X.T
    gram = np.empty((len(columns), len(columns)))
    for i, a in enumerate(columns):
        for j, b in enumerate(columns[: i + 1]):
            gram[i, j] = gram[j, i] = a @ b
    return gram


def _by_projection(columns: Sequence[Floats], norm: Floats) -> NDArray[np.intp]:
    """Gram-Schmidt with one re-orthogonalization, column by column."""
    kept: list[int] = []
    Q = np.empty((len(columns[0]), len(columns)), order="F")
    for j, v in enumerate(columns):
        basis = Q[:, : len(kept)]
        for _ in range(2):  # twice is enough (Kahan & Parlett)
            v = v - basis @ (basis.T @ v)
        rest = np.sqrt(v @ v)
        if rest > RANK_TOLERANCE * norm[j]:
            Q[:, len(kept)] = v / rest
            kept.append(j)
    return np.array(kept, dtype=np.intp)
