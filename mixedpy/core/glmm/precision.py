"""The factorization of M = I + zeta'W zeta: level blocks of the main term in closed form, the rest densely.

M_11j = L_j L_j', K = L^-1 M_12, S = M_22 - K'K, R = S^-1, Q = K R:
(M^-1)_11,jj = L^-T (I + K_j R K_j') L^-1, (M^-1)_12 = -L^-T Q, (M^-1)_22 = R, each read at the rows' levels only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.rows import Rows, Zeta

__all__ = ["Inverse", "Precision", "factorize", "multiply_levels"]


@dataclass(slots=True, eq=False)
class Precision:
    """A factored M.

    Attributes
    ----------
    inverse_factor : (m, m, J) array
        L_j^-1.
    inverse_block : (m, m, J) array
        (L_j L_j')^-1, which is not yet (M^-1)_jj where there are other terms.
    logdet : float
        log|M|.
    K : array or None
        Whitened cross block, as the store keeps it.
    schur : (q2, q2) array or None
        Lower Cholesky factor of S.
    """

    rows: Rows
    inverse_factor: Floats
    inverse_block: Floats
    logdet: float
    K: Floats | None = None
    schur: Floats | None = None

    def solve(self, right: Floats) -> Floats:
        """M^-1 applied to right (q,) or to each row of right (P, q)."""
        rows = self.rows
        m, J = rows.m, rows.J
        if rows.store is None:
            if m == 1:
                return right * self.inverse_block[0, 0]
            shaped = right.reshape(-1, m, J)
            return np.einsum("abj,pbj->paj", self.inverse_block, shaped).reshape(right.shape)
        assert self.K is not None
        assert self.schur is not None
        R = np.atleast_2d(right)
        P = len(R)
        I = self.inverse_factor
        main = R[:, : rows.q1].reshape(P, m, J)
        z = main * I[0, 0] if m == 1 else np.einsum("abj,pbj->paj", I, main)
        rest = R[:, rows.q1 :] - rows.store.transposed(self.K, z)
        rest = scipy.linalg.cho_solve((self.schur, True), rest.T, check_finite=False).T
        z = z - rows.store.times(self.K, rest)
        z = z * I[0, 0] if m == 1 else np.einsum("baj,pbj->paj", I, z)
        return np.concatenate([z.reshape(P, -1), rest], axis=1).reshape(right.shape)


def factorize(rows: Rows, w: Floats, zeta: Zeta) -> Precision:
    """Factor M at weights w.

    Raises
    ------
    numpy.linalg.LinAlgError
        If M is not positive definite, or not finite.
    """
    A, C, B = rows.products(w, zeta)
    for a in range(rows.m):
        A[a, a] += 1.0
    I, inverse, logdet = _level_cholesky(A)
    if not np.isfinite(logdet):
        raise np.linalg.LinAlgError("M is not positive definite")
    if rows.store is None:
        return Precision(rows, I, inverse, logdet)
    assert C is not None
    assert B is not None
    K = multiply_levels(rows, I, C)
    S = B - rows.store.gram(K)
    S[np.diag_indices(rows.q2)] += 1.0
    schur = scipy.linalg.cholesky(S, lower=True, check_finite=False, overwrite_a=True)
    logdet += 2.0 * float(np.log(np.diag(schur)).sum())
    if not np.isfinite(logdet):
        raise np.linalg.LinAlgError("M is not finite")
    return Precision(rows, I, inverse, logdet, K, schur)


def multiply_levels(rows: Rows, A: Floats, C: Floats, *, transposed: bool = False) -> Floats:
    """Level blocks A (m, m, J) times a cross block."""
    assert rows.store is not None
    spread = rows.store.by_entry
    if rows.m == 1:
        return C * spread(A[0, 0])
    out = np.empty_like(C)
    for a in range(rows.m):
        parts = [spread(A[b, a] if transposed else A[a, b]) * C[b] for b in range(rows.m)]
        out[a] = sum(parts[1:], parts[0])
    return out


def _level_cholesky(M: Floats) -> tuple[Floats, Floats, float]:
    """L^-1 and M^-1 of every level, and the sum of log determinants; NaN where a block is not positive definite."""
    m = len(M)
    with np.errstate(invalid="ignore", divide="ignore"):
        if m == 1:
            logs = np.log(M)
            return 1.0 / np.sqrt(M), 1.0 / M, float(logs.sum())
        L, I, inverse = np.zeros_like(M), np.zeros_like(M), np.empty_like(M)
        logdet = 0.0
        for a in range(m):
            for b in range(a + 1):
                v = M[a, b].copy()
                for c in range(b):
                    v -= L[a, c] * L[b, c]
                L[a, b] = np.sqrt(v) if a == b else v * I[b, b]
            I[a, a] = 1.0 / L[a, a]
            logdet += float(np.log(L[a, a]).sum())
            for b in range(a):
                v = L[a, b] * I[b, b]
                for c in range(b + 1, a):
                    v += L[a, c] * I[c, b]
                I[a, b] = -v * I[a, a]
        for a in range(m):
            for b in range(a + 1):
                v = I[a, a] * I[a, b]
                for c in range(a + 1, m):
                    v += I[c, a] * I[c, b]
                inverse[a, b] = inverse[b, a] = v
    return I, inverse, 2.0 * logdet


class Inverse:
    """Entries of M^-1 between effect columns at the levels of every row."""

    def __init__(self, precision: Precision):
        rows = precision.rows
        self.rows, self.precision = rows, precision
        self.main = precision.inverse_block
        self.R: Floats | None = None
        if rows.store is not None:
            assert precision.K is not None
            lower = scipy.linalg.lapack.dpotri(precision.schur, lower=1)[0]
            self.R = np.tril(lower) + np.tril(lower, -1).T
            Q = rows.store.right(precision.K, self.R)
            G = rows.store.level_products(precision.K, Q)
            I = precision.inverse_factor
            self.Q = multiply_levels(rows, I, Q, transposed=True)
            if rows.m == 1:
                self.main = precision.inverse_block * (1.0 + G)
            else:
                self.main = self.main + np.einsum("caj,cdj,dbj->abj", I, G, I, optimize=True)
        self._known: dict[tuple[int, int], Floats] = {}

    def at(self, i: int, k: int) -> Floats:
        """Entries between effect columns i and k, (n,)."""
        i, k = max(i, k), min(i, k)
        if (i, k) not in self._known:
            self._known[i, k] = self._read(i, k)
        return self._known[i, k]

    def blocks(self) -> list[Floats]:
        """(M^-1)_jj of every level of every term, (m, m, J) each."""
        rows = self.rows
        out = [self.main]
        for t, term in enumerate(rows.terms[1:], start=1):
            assert self.R is not None
            places = [np.arange(e.start, e.stop) - rows.q1 for e in rows.effects if e.term == t]
            out.append(np.array([[self.R[a, b] for b in places] for a in places]).reshape(term.m, term.m, term.J))
        return out

    def _read(self, i: int, k: int) -> Floats:
        rows = self.rows
        if i < rows.m:
            return np.repeat(self.main[i, k], rows.counts)
        assert rows.store is not None
        assert self.R is not None
        if k < rows.m:
            return -rows.store.take(self.Q[k], i - rows.m)
        if i == k:
            return np.diagonal(self.R).take(rows.trailing[i - rows.m])
        return self.R.ravel().take(rows.pairs[i, k])

    def times(self, zeta: Zeta) -> list[Floats]:
        """v_i = M^-1 zeta_i on the levels of row i, one (n,) array per effect column."""
        rows = self.rows
        if len(rows.effects) == 1 and not isinstance(zeta[0], np.ndarray):
            return [np.repeat(self.main[0, 0] * zeta[0], rows.counts)]
        out = []
        for i in range(len(rows.effects)):
            v = self.at(i, 0) * zeta[0]
            for k in range(1, len(rows.effects)):
                v += self.at(i, k) * zeta[k]
            out.append(v)
        return out
