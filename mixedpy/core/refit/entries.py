"""theta of many replicates <-> the entries of their relative covariance factors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.covariance import Diagonal, Template, Unstructured

__all__ = ["Entries", "Positions", "entries_are_parameters", "lower_pairs"]

Positions = NDArray[np.intp]


def entries_are_parameters(templates: Sequence[Template]) -> bool:
    """Whether theta consists of entries of Lambda, so that all replicates can be laid out at once."""
    return all(isinstance(t, Unstructured) or (isinstance(t, Diagonal) and not t.hom) for t in templates)


@cache
def lower_pairs(m: int) -> tuple[Positions, Positions]:
    """Rows and columns of the lower triangle, column by column."""
    columns, rows = np.triu_indices(m)
    rows.flags.writeable = columns.flags.writeable = False
    return rows, columns


class Entries:
    """Layout of theta for terms whose parameters are entries of Lambda.

    Parameters
    ----------
    templates : sequence of Template
        Unstructured or diagonal, in the order of the cross-products.
    flipped : bool
        Take the effects of unstructured terms in reverse order (see ``Unstructured``).
    """

    def __init__(self, templates: Sequence[Template], *, flipped: bool = False):
        self.templates = tuple(templates)
        self.m = tuple(t.m for t in templates)
        self.flipped = flipped
        self.full = tuple(isinstance(t, Unstructured) for t in templates)
        self.positions = [self._positions(m, full) for m, full in zip(self.m, self.full, strict=True)]
        self.pairs = [
            lower_pairs(m) if full else (np.arange(m),) * 2 for m, full in zip(self.m, self.full, strict=True)
        ]
        ends = np.cumsum([len(rows) for rows, _ in self.positions]).tolist()
        self.slices = [slice(end - len(at[0]), end) for end, at in zip(ends, self.positions, strict=True)]
        self.size = int(ends[-1])

    def _positions(self, m: int, full: bool) -> tuple[Positions, Positions]:
        if not full:
            return np.arange(m), np.arange(m)
        rows, columns = lower_pairs(m)
        return (m - 1 - rows, m - 1 - columns) if self.flipped else (rows, columns)

    @property
    def turnable(self) -> bool:
        """Whether the order of the effects makes a difference."""
        return any(full and m > 1 for full, m in zip(self.full, self.m, strict=True))

    def turned(self) -> Entries:
        """The same with the effects of unstructured terms in reverse order."""
        return Entries(self.templates, flipped=not self.flipped)

    def Lambdas(self, theta: Floats) -> list[Floats]:
        """Factors (m, m, B) at theta (k, B)."""
        out = []
        for m, at, own in zip(self.m, self.positions, self.slices, strict=True):
            L = np.zeros((m, m, theta.shape[1]))
            L[at] = theta[own]
            out.append(L)
        return out

    def join(self, Lambdas: Sequence[Floats]) -> Floats:
        """theta (k, B) with diagonals not negative, whose factors have the covariances of Lambdas (m, m, B)."""
        shares = []
        for L, at, full in zip(Lambdas, self.positions, self.full, strict=True):
            shares.append(_triangular(L, flipped=self.flipped)[at] if full else np.abs(L[at]))
        return np.concatenate(shares)

    def chain_rule(
        self, Lambdas: Sequence[Floats], dSigma: Sequence[Floats], hessian: Floats, score: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Turn derivatives in tau, the entries ``pairs`` of Sigma of all terms, into those in theta.

        Parameters
        ----------
        Lambdas : sequence of (m, m, B) arrays
            Where the derivatives were taken.
        dSigma : sequence of (m, m, B) arrays
            Gradient d/dSigma of every term, symmetric, as if all m^2 entries were free.
        hessian : (g, g, B) array
            Second derivatives in tau.
        score : (g, B) array
            A further gradient in tau.

        Returns
        -------
        gradient, hessian, score : (k, B), (k, k, B), (k, B) array
            In theta.
        """
        B = hessian.shape[2]
        J = np.zeros((len(hessian), self.size, B))
        out, gradient = np.zeros((self.size, self.size, B)), np.empty((self.size, B))
        start = 0
        for share, at, (rows, columns), L, D in zip(
            self.slices, self.positions, self.pairs, Lambdas, dSigma, strict=True
        ):
            own = J[start : start + len(rows), share]  # d tau_r / d theta_k of the term
            for k, (a, b) in enumerate(zip(*at, strict=True)):
                own[rows == a, k] += L[columns[rows == a], b]
                own[columns == a, k] += L[rows[columns == a], b]
            twice = np.where(rows == columns, 1.0, 2.0)[:, None]
            gradient[share] = np.einsum("rkb,rb->kb", own, twice * D[rows, columns])
            same = at[1][:, None] == at[1]
            out[share, share] = 2.0 * same[:, :, None] * D[at[0][:, None], at[0]]
            start += len(rows)
        out += np.einsum("rkb,rlb->klb", J, np.einsum("rsb,slb->rlb", hessian, J))
        return gradient, out, np.einsum("rkb,rb->kb", J, score)


def _triangular(L: Floats, *, flipped: bool) -> Floats:
    wrong = np.tri(len(L), k=-1, dtype=bool) if flipped else np.tri(len(L), k=-1, dtype=bool).T
    if L[wrong].any():
        turned = L[::-1] if flipped else L
        R = np.linalg.qr(turned.transpose(2, 1, 0), mode="r")  # (B, m, m)
        L = np.ascontiguousarray(np.asarray(R, np.float64).transpose(2, 1, 0))
        L = L[::-1, ::-1] if flipped else L
    sign = np.where(np.einsum("aab->ab", L) < 0, -1.0, 1.0)
    return np.asarray(L * sign + 0.0, np.float64)
