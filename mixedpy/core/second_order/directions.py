"""Directions in which a term's covariance may move: a basis of the symmetric matrices, or of a template's share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from mixedpy.core.arrays import Floats
from mixedpy.core.covariance import Template

__all__ = ["Span", "span", "symmetric_basis"]

_RANK = 1e-9
"""Relative size below which a direction is rounding error."""


@dataclass(frozen=True, slots=True)
class Span:
    """The smallest linear space that holds every covariance of a template.

    Attributes
    ----------
    basis : (T, m, m) array
        Symmetric matrices; the r-th alone is not zero at ``rows[r], columns[r]``, where it is one.
    rows, columns : (T,) intp arrays
        So that a matrix of the space has the coordinates ``matrix[rows, columns]``.
    """

    basis: Floats
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def coordinates(self, matrices: Floats) -> Floats:
        """Coordinates of matrices (..., m, m), (..., T)."""
        return matrices[..., self.rows, self.columns]


def symmetric_basis(m: int) -> Floats:
    """Make a basis of the symmetric m x m matrices in lme4's order: lower triangle, column by column.

    Examples
    --------
    >>> symmetric_basis(2)[1]
    array([[0., 1.],
           [1., 0.]])
    """
    columns, rows = np.triu_indices(m)
    k = np.arange(len(rows))
    E = np.zeros((len(rows), m, m))
    E[k, rows, columns] = E[k, columns, rows] = 1.0
    return E


def span(template: Template) -> Span:
    """Find the linear space of a template's covariances, by sampling as many as the symmetric matrices have dimensions.

    Examples
    --------
    >>> from mixedpy.core.covariance import Diagonal
    >>> span(Diagonal(2)).basis.tolist()
    [[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]
    """
    m = template.m
    columns, rows = np.triu_indices(m)
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(len(rows) + 1):
        Lambda = template.Lambda(template.parameters(np.tril(rng.uniform(0.5, 1.5, (m, m)))))
        samples.append((Lambda @ Lambda.T)[rows, columns])
    found = np.array(samples)
    # row echelon form: the pivots are the first entries, in lme4's order, that determine the others
    pivots: list[int] = []
    for j in range(found.shape[1]):
        R = qr(found[:, [*pivots, j]], mode="r")[0]
        if abs(R[len(pivots), len(pivots)]) > _RANK * np.abs(R).max():
            pivots.append(j)
    reduced = np.linalg.lstsq(found[:, pivots], found, rcond=None)[0]  # (T, m (m + 1) / 2)
    reduced = np.where(np.abs(reduced - np.round(reduced)) < 1e-8, np.round(reduced), reduced)
    basis = np.zeros((len(pivots), m, m))
    basis[:, rows, columns] = basis[:, columns, rows] = reduced
    basis.flags.writeable = False
    return Span(basis, rows[pivots], columns[pivots])
