"""Coordinates of the cross-products of crossed terms on the trailing columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.factor.trailing import Trailing
from mixedpy.core.sparsetools import counting_sort

__all__ = ["CrossEntries", "cross_entries", "trailing_entries"]

Ints = NDArray[np.integer[Any]]


_SMALL = 20_000
"""Up to this many entries a plain array is multiplied faster than a sparse one is looked at."""


@dataclass(frozen=True, slots=True)
class CrossEntries:
    """Z1'Z2 by level of the eliminated term: entry = (level j, trailing column) with one value for each of m effects.

    Attributes
    ----------
    trailing : Trailing
        Layout of the trailing columns.
    pointer : (J + 1,) array
        Entries of level j stand at ``pointer[j]:pointer[j + 1]``, columns increasing.
    columns : (e,) int32 array
        Trailing column of every entry.
    values : (m, e) array
        Values for every effect of the eliminated term.
    """

    trailing: Trailing
    pointer: Ints
    columns: Ints
    values: Floats

    def matrix(self, m: int, J: int) -> sp.csr_array | Floats:
        """A12 = Z1'Z2 with rows effect x J + level, (m J, q); a plain array where that is small."""
        if m * J * self.trailing.q > _SMALL:
            return self.sparse(m, J)
        dense = np.zeros((m, J, self.trailing.q))
        dense[:, np.repeat(np.arange(J), np.diff(self.pointer)), self.columns] = self.values
        return dense.reshape(m * J, -1)

    def sparse(self, m: int, J: int) -> sp.csr_array:
        """A12 in compressed rows."""
        e = len(self.columns)
        pointer = np.concatenate([self.pointer[:-1] + a * e for a in range(m)] + [[m * e]])
        return sp.csr_array((self.values.ravel(), np.tile(self.columns, m), pointer), shape=(m * J, self.trailing.q))


def cross_entries(cp: CrossProducts) -> CrossEntries:
    """Entries of the blocks between the first term and all others."""
    trailing = Trailing(cp.m[1:], cp.J[1:])
    levels, columns, values = [], [], []
    for l, offset in enumerate(trailing.offsets, start=1):
        blocks = cp.cross[0, l]
        for a in range(cp.m[l]):
            levels.append(blocks.rows)
            columns.append(offset + a * cp.J[l] + blocks.cols)
            values.append(blocks.values[:, a])
    if len(levels) == 1:
        pointer = np.concatenate([[0], np.cumsum(np.bincount(levels[0], minlength=cp.J[0]))])
        return CrossEntries(trailing, pointer, columns[0].astype(np.int32), values[0])
    # a stable sort by level keeps the columns increasing within it
    order, pointer = counting_sort(np.concatenate(levels), cp.J[0])
    return CrossEntries(
        trailing, pointer, np.concatenate(columns)[order].astype(np.int32), np.concatenate(values, axis=1)[:, order]
    )


def trailing_entries(cp: CrossProducts, trailing: Trailing) -> tuple[Ints, Ints, Floats]:
    """Lower triangle of A22 = Z2'Z2: rows, columns and values."""
    rows, cols, values = [], [], []
    for i in range(1, cp.k):
        level = np.arange(cp.J[i])
        at = trailing.offsets[i - 1]
        for a in range(cp.m[i]):
            for b in range(a + 1):
                rows.append(at + a * cp.J[i] + level)
                cols.append(at + b * cp.J[i] + level)
                values.append(cp.own[i][a, b])
        for l in range(1, i):  # later terms have the larger trailing index
            blocks, left = cp.cross[l, i], trailing.offsets[l - 1]
            for a in range(cp.m[i]):
                for b in range(cp.m[l]):
                    rows.append(at + a * cp.J[i] + blocks.cols)
                    cols.append(left + b * cp.J[l] + blocks.rows)
                    values.append(blocks.values[b, a])
    return np.concatenate(rows), np.concatenate(cols), np.concatenate(values)
