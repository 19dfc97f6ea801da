"""The arrays of a linear mixed model: what the design stage hands to the numeric core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.covariance import Template
from mixedpy.core.frozen import freeze_arrays, restore

__all__ = ["Design", "Floats", "RandomTerm"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RandomTerm:
    """One random-effects term: m columns whose coefficients vary over the J levels of a grouping factor.

    Attributes
    ----------
    codes : (n,) integer array
        Level of each row, 0 to ``n_levels - 1``; 32-bit integers save memory on many rows.
    n_levels : int
        Number of levels J.
    columns : tuple of int
        The m columns of the term, as positions in ``Design.columns``.
    template : Template
        How the term's share of theta becomes its m x m relative covariance factor.
    """

    codes: NDArray[np.signedinteger[Any]]
    n_levels: int
    columns: tuple[int, ...]
    template: Template

    __setstate__ = restore

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def m(self) -> int:
        """Number of effects per level."""
        return len(self.columns)


@dataclass(frozen=True, slots=True)
class Design:
    """Response, fixed-effects columns and random terms of a model with n rows and p fixed effects.

    Every distinct column of X and Z stands once in ``columns``, so that products that X and Z share are formed once.

    Attributes
    ----------
    y : (n,) array
        Response.
    columns : tuple of (n,) arrays
        The distinct columns; ``columns[0]`` is the column of ones.
    fixed : tuple of int
        The p columns of X, as positions in ``columns``.
    terms : tuple of RandomTerm
        The random terms, in the order in which theta and the print-outs have them.
    weights : (n,) array or None
        Prior weights: the residual variance of row i is sigma^2 / weights[i].
    offset : (n,) array or None
        Known part of the linear predictor.
    """

    y: Floats
    columns: tuple[Floats, ...]
    fixed: tuple[int, ...]
    terms: tuple[RandomTerm, ...]
    weights: Floats | None = None
    offset: Floats | None = None

    __setstate__ = restore

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return len(self.fixed)

    @property
    def X(self) -> Floats:
        """Fixed-effects model matrix, (n, p), built anew at each call."""
        X = np.empty((self.n, self.p), order="F")
        for k, c in enumerate(self.fixed):
            X[:, k] = self.columns[c]
        return X
