"""Joint tests of linear functions as the R package emmeans has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.distributions import f_sf
from mixedpy.core.rank import independent_columns
from mixedpy.errors import DataError
from mixedpy.inference.ddf import Inference

__all__ = ["JointTest", "estimable_part", "joint_test"]

_SMALL = 1e-7
"""Entries of functions below this are rounding error."""

_CHUNK = 500
"""Rows that are compared with one another at a time."""


@dataclass(frozen=True, slots=True)
class JointTest:
    """An F test of linear functions.

    Attributes
    ----------
    rank : int
        Numerator degrees of freedom.
    ddf : float
        Denominator degrees of freedom.
    statistic : float
        F.
    dependent : bool
        Whether rows were left out since they depend on others.
    basis : (rank, p) array
        Orthogonal functions that span those tested.
    """

    rank: int
    ddf: float
    statistic: float
    dependent: bool
    basis: Floats

    @property
    def pvalue(self) -> float:
        """Upper tail probability."""
        return float(f_sf(self.statistic, self.rank, self.ddf)) if self.rank else float("nan")


def joint_test(inference: Inference, L: Floats, distance: Floats) -> JointTest:
    """Test several linear functions at once.

    The denominator degrees of freedom are the smallest among those of the orthogonal functions that come from the rows
    of L in their order.

    Parameters
    ----------
    inference : Inference
        Estimates and degrees of freedom.
    L : (r, p) array
        The functions.
    distance : (r,) array
        Their estimates less the values under the hypothesis.

    Raises
    ------
    DataError
        If rows depend on one another and the hypothesis contradicts that.
    """
    L = np.where(np.abs(L) < _SMALL, 0.0, L)
    used = np.flatnonzero(np.abs(L).max(axis=1, initial=0.0))
    kept = used[_independent_rows(L[used])]
    if not len(kept):
        return JointTest(0, np.nan, np.nan, len(used) < len(L), np.empty((0, L.shape[1])))
    rows, d = L[kept], distance[kept]
    weights = np.linalg.lstsq(rows.T, L.T, rcond=None)[0]  # of all rows in the independent ones
    if np.abs(weights.T @ d - distance).max() > 1e-6 * (1.0 + np.abs(distance).max()):
        raise DataError(
            "the functions depend on one another, and the values under the hypothesis contradict that; leave out those "
            "that follow from the others"
        )
    basis = np.linalg.qr(rows.T)[0].T
    F = float(d @ np.linalg.solve(rows @ inference.vcov @ rows.T, d)) / len(kept)
    return JointTest(len(kept), float(inference.method.df(basis).min()), F, len(kept) < len(L), basis)


def estimable_part(L: Floats, full: Floats, null: Floats) -> tuple[Floats, bool]:
    """Combine rows so that what remains can be estimated.

    Parameters
    ----------
    L : (r, p) array
        Functions in the columns of the fit.
    full : (r, P) array
        The same in the columns of the full model matrix.
    null : (P, k) array
        Combinations of these columns that vanish in the data.

    Returns
    -------
    (q, p) array
        L as it is, or combinations of its rows.
    bool
        Whether anything was lost.
    """
    outside = full @ null
    if np.abs(outside).max(initial=0.0) <= 1e-6 * np.abs(full).max(initial=0.0):
        return L, False
    if len(L) > _CHUNK:  # the left null space of all rows would be a large matrix
        rows = _independent_rows(full)
        L, outside = L[rows], outside[rows]
    U, s, _ = np.linalg.svd(outside)
    rank = int((s > 1e-6 * s[0]).sum())
    return U[:, rank:].T @ L, True


def _independent_rows(L: Floats) -> NDArray[np.intp]:
    """Rows that do not depend on rows before them, found some rows at a time."""
    kept = np.empty(0, np.intp)
    for start in range(0, len(L), _CHUNK):
        candidates = np.concatenate([kept, np.arange(start, min(start + _CHUNK, len(L)))])
        kept = candidates[independent_columns(list(L[candidates]))]
    return kept
