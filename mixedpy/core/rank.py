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
"""Above this share, squared, the cross-products alone settle the question: their rounding error is near 1e-14."""


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
    X = np.stack(columns)  # (p, n)
    gram = X @ X.T
    norm = np.sqrt(np.diag(gram))
    if np.all(norm > 0):
        factor, info = lapack.dpotrf(gram / norm / norm[:, None], lower=1)
        if info == 0 and np.diag(factor).min() > _CLEAR:
            return np.arange(p)
    return _by_projection(X.T.copy(order="F"), norm)


def _by_projection(X: Floats, norm: Floats) -> NDArray[np.intp]:
    """Modified Gram-Schmidt with one re-orthogonalization, column by column; X is overwritten."""
    kept: list[int] = []
    Q = np.empty(X.shape, order="F")
    for j in range(X.shape[1]):
        v = X[:, j]
        basis = Q[:, : len(kept)]
        for _ in range(2):  # twice is enough (Kahan & Parlett)
            v = v - basis @ (basis.T @ v)
        rest = np.sqrt(v @ v)
        if rest > RANK_TOLERANCE * norm[j]:
            Q[:, len(kept)] = v / rest
            kept.append(j)
    return np.array(kept, dtype=np.intp)
