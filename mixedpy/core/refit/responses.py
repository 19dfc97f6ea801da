"""Many responses to one conditioned design, reduced to their sufficient statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.conditioning import Conditioned
from mixedpy.core.crossproducts import CrossProducts

__all__ = ["Responses", "reduce_responses"]

_CHUNK = 2_000_000
"""Numbers of responses that are looked at together."""


@dataclass(frozen=True, slots=True)
class Responses:
    """What B responses contribute to the cross-products of a design.

    Attributes
    ----------
    random : tuple of (m, J, B) arrays
        Level blocks of Z'Wy, terms in the order of the cross-products.
    fixed : (p, B) array
        X'Wy.
    square : (B,) array
        y'Wy.
    shift : (B,) array
        What was taken from every response beforehand; it goes back to the intercept.
    """

    random: tuple[Floats, ...]
    fixed: Floats
    square: Floats
    shift: Floats

    @property
    def count(self) -> int:
        """Number of responses B."""
        return len(self.square)

    def take(self, chosen: NDArray[np.intp] | slice) -> Responses:
        """Some of the responses."""
        return Responses(
            tuple(z[:, :, chosen] for z in self.random), self.fixed[:, chosen], self.square[chosen], self.shift[chosen]
        )


def reduce_responses(conditioned: Conditioned, cp: CrossProducts, Y: Floats, offset: Floats | None) -> Responses:
    """Reduce responses to sufficient statistics.

    Parameters
    ----------
    conditioned : Conditioned
        The design that they answer to.
    cp : CrossProducts
        Its cross-products, for the order of the terms.
    Y : (n, B) array
        Responses, one per column, in the user's units.
    offset : (n,) array or None
        Known part of the linear predictor, taken off every response.
    """
    design, B = conditioned.design, Y.shape[1]
    random = tuple(np.empty((m, J, B)) for m, J in zip(cp.m, cp.J, strict=True))
    fixed, square, shift = np.empty((design.p, B)), np.empty(B), np.zeros(B)
    X = design.X
    indicators = [_indicators(design, i) for i in cp.order]
    step = max(1, _CHUNK // design.n)
    for first in range(0, B, step):
        some = slice(first, first + step)
        y = Y[:, some] if offset is None else Y[:, some] - offset[:, None]
        if 0 in design.fixed:
            shift[some] = y.mean(0)
            y = y - shift[some]
        weighted = y if design.weights is None else y * design.weights[:, None]
        fixed[:, some] = X.T @ weighted
        square[some] = np.einsum("nb,nb->b", y, weighted)
        for block, ZT in zip(random, indicators, strict=True):
            block[:, :, some] = (ZT @ weighted).reshape(*block.shape[:2], -1)
    return Responses(random, fixed, square, shift)


def _indicators(design: Design, i: int) -> sp.csr_array:
    """Z' of a term as a sparse matrix, (m J, n), effect by effect."""
    term, n = design.terms[i], design.n
    values = np.concatenate([design.columns[c] for c in term.columns])
    rows = np.concatenate([term.codes + a * term.n_levels for a in range(term.m)])
    columns = np.tile(np.arange(n), term.m)
    return sp.csr_array((values, (rows, columns)), shape=(term.m * term.n_levels, n))
