"""Contrasts of a factor: from the name of a coding to its matrix and the endings of the coefficient names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mixedpy.design.columns import Factor, Floats
from mixedpy.errors import DataError

__all__ = ["CODINGS", "Coding", "ContrastSpec", "coding_of"]

ContrastSpec: TypeAlias = "str | ArrayLike | pd.DataFrame"


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """How a factor enters the model matrix.

    Attributes
    ----------
    name : str
        ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"``, ``"sdif"``, ``"SAS"`` or ``"custom"``.
    matrix : (L, L - 1) array
        Value of each contrast for each level.
    endings : tuple of str
        What stands behind the factor's name in the names of the coefficients.
    """

    name: str
    matrix: Floats
    endings: tuple[str, ...]


def _treatment(levels: Sequence[str]) -> Coding:
    return Coding("treatment", np.eye(len(levels))[:, 1:], tuple(levels[1:]))


def _sas(levels: Sequence[str]) -> Coding:
    """Treatment contrasts against the last level."""
    return Coding("SAS", np.eye(len(levels))[:, :-1], tuple(levels[:-1]))


def _numbered(name: str, matrix: Floats) -> Coding:
    return Coding(name, matrix, tuple(str(j + 1) for j in range(matrix.shape[1])))


def _sum(levels: Sequence[str]) -> Coding:
    k = len(levels) - 1
    return _numbered("sum", np.vstack([np.eye(k), np.full((1, k), -1.0)]))


def _helmert(levels: Sequence[str]) -> Coding:
    k = len(levels) - 1
    matrix = np.vstack([np.zeros((1, k)), np.diag(np.arange(1.0, k + 1))])
    matrix[np.triu_indices(k + 1, 0, k)] = -1.0
    return _numbered("helmert", matrix)


def _poly(levels: Sequence[str]) -> Coding:
    """Orthonormal polynomials of 1, ..., L, leading coefficients positive."""
    n = len(levels)
    score = np.arange(1.0, n + 1) - (n + 1) / 2
    Q, R = np.linalg.qr(np.vander(score, n, increasing=True))
    matrix = (Q * np.sign(np.diag(R)))[:, 1:]
    named = (".L", ".Q", ".C")
    return Coding("poly", matrix, tuple(named[j] if j < 3 else f"^{j + 1}" for j in range(n - 1)))


def _sdif(levels: Sequence[str]) -> Coding:
    """Successive differences: coefficient j is the mean of level j + 1 less that of level j."""
    n = len(levels)
    j = np.arange(1.0, n)
    below = np.arange(1, n + 1)[:, None] > j
    return Coding("sdif", np.where(below, j, j - n) / n, tuple(f"{b}-{a}" for a, b in pairwise(levels)))


CODINGS = {
    "treatment": _treatment,
    "sum": _sum,
    "helmert": _helmert,
    "poly": _poly,
    "sdif": _sdif,
    "SAS": _sas,
}
"""The codings by name."""


def coding_of(name: str, factor: Factor, spec: Any = None) -> Coding:
    """Choose and build the contrasts of a factor.

    Parameters
    ----------
    name : str
        The factor, for errors.
    factor : Factor
        Its levels.
    spec : str or (L, L - 1) array-like, optional
        A name in ``CODINGS`` (R's ``contr.`` before it is accepted) or a matrix; column names of a DataFrame become
        the endings. By default treatment, and polynomials for an ordered factor.

    Returns
    -------
    Coding
        The contrasts.

    Raises
    ------
    DataError
        For one level only, an unknown name, or a matrix of the wrong shape or rank.
    """
    if len(factor.levels) < 2:
        only = f"only the level {factor.levels[0]!r}" if factor.levels else "no level"
        raise DataError(f"the factor `{name}` has {only} in the rows used, so it has no effect; leave it out")
    many, labels = None, factor.levels
    if spec is None and factor.contrast is not None:
        spec, many = factor.contrast.name, factor.contrast.how_many
        if factor.contrast.numbered:
            labels = tuple(str(k + 1) for k in range(len(labels)))
    if spec is None:
        spec = "poly" if factor.ordered else "treatment"
    if isinstance(spec, str):
        build = CODINGS.get(spec.removeprefix("contr."))
        if build is None:
            raise DataError(f"contrasts of `{name}`: {spec!r} is unknown; use one of {', '.join(CODINGS)} or a matrix")
        coding = build(labels)
        return coding if many is None else _first(name, coding, many)
    return _custom(name, len(factor.levels), spec)


def _first(name: str, coding: Coding, many: int) -> Coding:
    """Keep the first contrasts only."""
    if not 1 <= many <= len(coding.endings):
        raise DataError(f"`{name}` asks for {many} contrasts; its levels have {len(coding.endings)}")
    return Coding(f"{coding.name}.{many}", coding.matrix[:, :many], coding.endings[:many])


def _custom(name: str, n_levels: int, spec: Any) -> Coding:
    matrix = np.array(spec, dtype=np.float64)
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.shape != (n_levels, n_levels - 1):
        seen = " x ".join(map(str, matrix.shape))
        raise DataError(
            f"the contrast matrix of `{name}` is {seen}; its factor has {n_levels} levels, so give "
            f"{n_levels} rows and {n_levels - 1} columns"
        )
    if not np.isfinite(matrix).all() or np.linalg.matrix_rank(np.column_stack([np.ones(n_levels), matrix])) < n_levels:
        raise DataError(
            f"the contrast matrix of `{name}` is singular; its columns and a constant must be linearly independent"
        )
    if isinstance(spec, pd.DataFrame) and all(isinstance(c, str) for c in spec.columns):
        return Coding("custom", matrix, tuple(map(str, spec.columns)))
    return _numbered("custom", matrix)
