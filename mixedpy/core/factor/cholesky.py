"""Sparse Cholesky factorization of a matrix whose pattern never changes: analysed once, factored often.

CHOLMOD does the work where scikit-sparse is installed (the interfaces of its 0.4 and 0.5 series differ and are both
served here), SciPy's SuperLU where it is not. No other module knows which.

All three factor A[P][:, P] = L D L' with L unit lower triangular: an indefinite matrix then shows as a pivot in D that
is not positive, whatever the library.
"""

from __future__ import annotations

import importlib
import warnings
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, Literal, cast, get_args

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import spilu, splu

from mixedpy.core.arrays import Floats
from mixedpy.core.factor.symbolic import Symbolic, symbolic_cholesky
from mixedpy.errors import MixedpyError, SparseFallbackWarning, warn

__all__ = ["Backend", "CholmodMissingError", "SparseCholesky", "analyze", "backend_name"]

Ints = NDArray[np.integer[Any]]
Backend = Literal["cholmod", "superlu"]

_ADVICE = 'pip install "mixedpy[cholmod]" (it needs the SuiteSparse headers, e.g. the package libsuitesparse-dev)'


class CholmodMissingError(MixedpyError, ImportError):
    """CHOLMOD was asked for and scikit-sparse cannot be imported."""


class SparseCholesky(ABC):
    """A[P][:, P] = L L' for a symmetric positive definite A of fixed pattern: ``update`` first, then the rest.

    It is made by ``analyze``; it is mutable, and ``solve``, ``lower`` and ``unit_lower`` speak of the last ``update``.

    Attributes
    ----------
    indptr, indices : int32 arrays
        The analysed lower triangle by columns.
    symbolic : Symbolic
        Permutation, elimination tree and column counts, known before any arithmetic.
    L_indptr : (q + 1,) int32 array
        Start of every column of L.
    backend : {"cholmod", "superlu"}
        The library at work.
    analyses : int
        How often the pattern was analysed: once.
    """

    backend: Backend

    def __init__(self, indptr: Ints, indices: Ints, symbolic: Symbolic):
        self.indptr, self.indices, self.symbolic = indptr, indices, symbolic
        self.L_indptr: Ints = symbolic.indptr.astype(np.int32)
        self.analyses = 1
        self._L_indices: Ints | None = None
        self._factored = False

    @property
    def q(self) -> int:
        """Number of rows and columns."""
        return len(self.indptr) - 1

    @property
    def permutation(self) -> Ints:
        """P, (q,): row k of L belongs to row ``permutation[k]`` of A."""
        return self.symbolic.permutation

    @property
    def nnz(self) -> int:
        """Entries of L, its fill counted; known without any arithmetic."""
        return self.symbolic.nnz

    @property
    def flops(self) -> float:
        """Cost of a numeric factorization, the sum of the squared column counts."""
        return float(np.sum(np.square(self.symbolic.counts, dtype=np.float64)))

    @property
    def L_indices(self) -> Ints:
        """Rows of the entries of L by columns, sorted, the diagonal first, (nnz,) int32 array."""
        if self._L_indices is None:
            self._L_indices = self.symbolic.indices().astype(np.int32, copy=False)
        return self._L_indices

    def update(self, values: Floats) -> float:
        """Factor the matrix with these values.

        Parameters
        ----------
        values : (nnz of the analysed pattern,) array
            Lower triangle of A, in the order of the analysed pattern; zeros are welcome.

        Returns
        -------
        float
            log|A|.

        Raises
        ------
        numpy.linalg.LinAlgError
            If A is not positive definite. There is no factor then until the next ``update``.
        """
        if np.shape(values) != self.indices.shape:
            raise ValueError(f"values has shape {np.shape(values)}; the pattern has {len(self.indices)} entries")
        self._factored = False
        values = np.asarray(values, dtype=np.float64)
        # comparisons are written so that a NaN counts as a failure
        pivots = self._factor(values) if (values[self.indptr[:-1]] > 0).all() else None
        if pivots is None or not (pivots > 0).all() or not np.isfinite(logdet := float(np.log(pivots).sum())):
            raise np.linalg.LinAlgError("the sparse matrix is not positive definite")
        self._factored = True
        return logdet

    def solve(self, B: Floats) -> Floats:
        """A^-1 B for B (q,) or (q, k)."""
        self._require_factor()
        if B.ndim not in (1, 2) or len(B) != self.q:
            raise ValueError(f"the right-hand side has shape {B.shape}; it needs {self.q} rows")
        if not B.size:
            return np.empty(B.shape)
        return self._solve(np.asarray(B, dtype=np.float64, order="F"))

    def unit_lower(self) -> Floats:
        """D on the diagonal and the unit lower triangle L of L D L' below it, in the fixed pattern, (nnz,)."""
        self._require_factor()
        return self._unit_lower()

    def lower(self) -> Floats:
        """L of A[P][:, P] = L L' in the fixed pattern ``L_indptr``, ``L_indices``, (nnz,)."""
        values = self.unit_lower()
        diagonal = self.L_indptr[:-1]
        root = np.sqrt(values[diagonal])
        values *= np.repeat(root, self.symbolic.counts)
        values[diagonal] = root
        return values

    def _require_factor(self) -> None:
        if not self._factored:
            raise ValueError("there is no factor: call update with the values of a positive definite matrix first")

    @abstractmethod
    def _factor(self, values: Floats) -> Floats | None:
        """Factor and return the pivots D (q,), or None where the library broke off."""

    @abstractmethod
    def _solve(self, B: Floats) -> Floats:
        """A^-1 B for a Fortran-ordered B that is not empty."""

    @abstractmethod
    def _unit_lower(self) -> Floats:
        """A fresh array with D and L of L D L' in the fixed pattern."""


class _Cholmod4(SparseCholesky):
    """CHOLMOD through scikit-sparse 0.4: ``analyze``, ``Factor.cholesky_inplace``."""

    backend: Backend = "cholmod"

    def __init__(self, indptr: Ints, indices: Ints, cholmod: ModuleType):
        self._matrix = _lower_triangle(indptr, indices)
        # a supernodal factor would come with the explicit zeros of amalgamation, in a pattern of its own
        self._cholmod = cholmod
        self._factorization = cholmod.analyze(self._matrix, mode="simplicial", ordering_method="amd")
        super().__init__(indptr, indices, _analysis(indptr, indices, self._factorization.P()))

    def _factor(self, values: Floats) -> Floats | None:
        self._matrix.data[:] = values
        try:
            self._factorization.cholesky_inplace(self._matrix)
        except self._cholmod.CholmodNotPositiveDefiniteError:
            return None
        return cast(Floats, self._factorization.D())

    def _solve(self, B: Floats) -> Floats:
        return cast(Floats, self._factorization.solve_A(B))

    def _unit_lower(self) -> Floats:
        return cast(Floats, self._factorization.LD().data)


class _Cholmod5(SparseCholesky):
    """CHOLMOD through scikit-sparse 0.5: ``CholeskyFactor`` is the analysis, ``factorize`` the arithmetic."""

    backend: Backend = "cholmod"

    def __init__(self, indptr: Ints, indices: Ints, cholmod: ModuleType):
        self._matrix = _lower_triangle(indptr, indices)
        self._cholmod = cholmod
        self._factorization = cholmod.CholeskyFactor(
            self._matrix, lower=True, order="amd", sym_kind="sym", supernodal_mode="simplicial"
        )
        super().__init__(indptr, indices, _analysis(indptr, indices, self._factorization.get_perm()))

    def _factor(self, values: Floats) -> Floats | None:
        self._matrix.data[:] = values
        try:
            self._factorization.factorize(self._matrix, ldl=True)
        except self._cholmod.CholmodNotPositiveDefiniteError:
            return None
        pivots: Floats = self._factorization.factor.data[self.L_indptr[:-1]]
        return pivots

    def _solve(self, B: Floats) -> Floats:
        if self._factorization.rcond >= self.q * np.finfo(np.float64).eps:
            return cast(Floats, self._factorization.solve(B))
        with warnings.catch_warnings():  # it would warn of the spread of the pivots, which is the caller's to judge
            warnings.simplefilter("ignore", self._cholmod.CholmodWarning)
            return cast(Floats, self._factorization.solve(B))

    def _unit_lower(self) -> Floats:
        # ``factor`` shows CHOLMOD's own memory with its explicit zeros; ``get_factor`` would drop them
        return cast(Floats, self._factorization.factor.data.copy())


class _SuperLU(SparseCholesky):
    """SciPy's SuperLU on both triangles, in natural order on a matrix permuted once: L U with U = D L'."""

    backend: Backend = "superlu"

    def __init__(self, indptr: Ints, indices: Ints):
        q = len(indptr) - 1
        super().__init__(indptr, indices, symbolic_cholesky(indptr, indices, _minimum_degree(indptr, indices)))
        self._inverse = np.empty(q, np.int32)
        self._inverse[self.permutation] = np.arange(q)
        r = self._inverse[indices]
        c = np.repeat(self._inverse, np.diff(indptr))
        entry = np.arange(len(r))
        off = r != c
        full = sp.csc_array((np.append(entry, entry[off]), (np.append(r, c[off]), np.append(c, r[off]))), shape=(q, q))
        full.sort_indices()
        self._gather: Ints = full.data
        self._matrix = sp.csc_matrix((np.ones(full.nnz), full.indices, full.indptr), shape=(q, q))
        self._lu: Any = None

    def _factor(self, values: Floats) -> Floats | None:
        self._matrix.data = values[self._gather]
        try:
            self._lu = splu(self._matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0, options=_SYMMETRIC)
        except RuntimeError:  # exactly singular
            return None
        if (self._lu.perm_r[1:] < self._lu.perm_r[:-1]).any():  # a pivot of zero made it exchange rows
            return None
        pivots: Floats = self._lu.U.diagonal()
        return pivots

    def _solve(self, B: Floats) -> Floats:
        x: Floats = self._lu.solve(np.asfortranarray(B[self.permutation]))[self._inverse]
        return x

    def _unit_lower(self) -> Floats:
        L = self._lu.L
        L.sort_indices()
        values: Floats
        if L.nnz == self.nnz and np.array_equal(L.indices, self.L_indices):
            values = L.data.copy()
        else:  # SuperLU pads supernodes with zeros and leaves out entries that came out zero
            columns = np.arange(self.q, dtype=np.int64) * self.q
            keys = np.repeat(columns, self.symbolic.counts) + self.L_indices
            found = np.repeat(columns, np.diff(L.indptr)) + L.indices
            at = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
            known = keys[at] == found
            values = np.zeros(self.nnz)
            values[at[known]] = L.data[known]
        values[self.L_indptr[:-1]] = self._lu.U.diagonal()
        return values


def analyze(indptr: Ints, indices: Ints, q: int, *, backend: Backend | None = None) -> SparseCholesky:
    """Analyse a pattern for sparse Cholesky factorization.

    Parameters
    ----------
    indptr, indices : arrays
        Lower triangle by columns: sorted rows, the full diagonal, nothing above it.
    q : int
        Number of rows and columns.
    backend : {"cholmod", "superlu"}, optional
        Library to use; by default CHOLMOD where scikit-sparse is installed, else SciPy's SuperLU.

    Returns
    -------
    SparseCholesky

    Raises
    ------
    CholmodMissingError
        If CHOLMOD was asked for and is not there.

    Warns
    -----
    SparseFallbackWarning
        Once in a process, where SuperLU stands in for CHOLMOD.

    Examples
    --------
    >>> factor = analyze(np.array([0, 2, 3]), np.array([0, 1, 1]), 2, backend="superlu")
    >>> float(np.exp(factor.update(np.array([4.0, 2.0, 3.0])))).__round__(6)
    8.0
    >>> factor.solve(np.array([8.0, 8.0])).tolist()
    [1.0, 2.0]
    """
    indptr, indices = np.asarray(indptr).astype(np.int32), np.asarray(indices).astype(np.int32)
    _check_pattern(indptr, indices, q)
    if backend is None and (backend := backend_name()) == "superlu":
        _warn_of_fallback()
    if backend == "superlu":
        return _SuperLU(indptr, indices)
    if backend == "cholmod":
        cholmod = _cholmod()
        if isinstance(cholmod, ImportError):
            raise CholmodMissingError(
                f"the sparse backend 'cholmod' needs scikit-sparse, which cannot be imported ({cholmod}); "
                f"install it with {_ADVICE}, or leave the choice of the backend to mixedpy"
            ) from cholmod
        return _Cholmod5(indptr, indices, cholmod) if _is_5(cholmod) else _Cholmod4(indptr, indices, cholmod)
    wanted = ", ".join(repr(name) for name in get_args(Backend))
    raise ValueError(f"the sparse backend {backend!r} is unknown; use one of {wanted}")


def backend_name() -> Backend:
    """Name the library that ``analyze`` uses unless told otherwise."""
    return "superlu" if isinstance(_cholmod(), ImportError) else "cholmod"


_SYMMETRIC = {"SymmetricMode": True}

_fallback_told = False


def _cholmod() -> ModuleType | ImportError:
    """scikit-sparse's CHOLMOD module, or why it cannot be imported."""
    try:
        return importlib.import_module("sksparse.cholmod")
    except ImportError as error:
        return error


def _is_5(cholmod: ModuleType) -> bool:
    """Whether the module has the interface of scikit-sparse 0.5 rather than that of 0.4."""
    return hasattr(cholmod, "CholeskyFactor")


def _warn_of_fallback() -> None:
    global _fallback_told
    if not _fallback_told:
        _fallback_told = True
        warn(
            SparseFallbackWarning(
                f"CHOLMOD is missing (scikit-sparse cannot be imported), so SciPy's SuperLU factors the sparse design, "
                f"with the same results but more slowly; for CHOLMOD, {_ADVICE}"
            )
        )


def _check_pattern(indptr: Ints, indices: Ints, q: int) -> None:
    if q < 1 or len(indptr) != q + 1 or indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 1).any():
        raise ValueError(f"indptr does not describe {q} columns that each hold their diagonal")
    if (indices[indptr[:-1]] != np.arange(q)).any():
        raise ValueError("every column must begin with its diagonal and hold nothing above it")
    ascending = np.diff(indices) > 0
    ascending[indptr[1:-1] - 1] = True
    if not ascending.all() or indices.max() >= q:
        raise ValueError(f"the rows of every column must be sorted, distinct and below {q}")


def _lower_triangle(indptr: Ints, indices: Ints) -> Any:
    """Hold values on the pattern; the matrix class is the one that both series of scikit-sparse take."""
    q = len(indptr) - 1
    return sp.csc_matrix((np.ones(len(indices)), indices, indptr), shape=(q, q))


def _analysis(indptr: Ints, indices: Ints, permutation: Ints) -> Symbolic:
    """Follow CHOLMOD's ordering, which is in postorder."""
    symbolic = symbolic_cholesky(indptr, indices, permutation)
    if (symbolic.permutation != permutation).any():
        raise MixedpyError("CHOLMOD returned an ordering that is not in postorder; use the backend 'superlu'")
    return symbolic


def _minimum_degree(indptr: Ints, indices: Ints) -> Ints:
    """SuperLU's minimum-degree ordering of A + A', (q,).

    The incomplete factorization orders as the complete one does, and a drop tolerance of one on a dominant diagonal
    spares it the arithmetic, however great the fill.
    """
    q = len(indptr) - 1
    lower = sp.csc_matrix((np.full(len(indices), 0.25 / q), indices, indptr), shape=(q, q))
    both = sp.csc_matrix(lower + lower.T + sp.identity(q, format="csc"))
    ordered = spilu(
        both, drop_tol=1.0, fill_factor=1.0, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=_SYMMETRIC
    )
    order = np.empty(q, np.int32)
    order[ordered.perm_c] = np.arange(q)  # perm_c sends a column to its place
    return order
