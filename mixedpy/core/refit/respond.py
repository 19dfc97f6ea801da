"""A prepared model with another response: what depends on the columns alone is shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.estimate import Engine
from mixedpy.core.refit.responses import Responses

__all__ = ["respond"]


def respond(engine: Engine, responses: Responses, b: int, y: Floats) -> Engine:
    """Put another response into a prepared model.

    Parameters
    ----------
    engine : Engine
        The prepared model; its factorization must not be used while the result is.
    responses : Responses
        Sufficient statistics.
    b : int
        Which of the responses.
    y : (n,) array
        The response itself less offset and shift, for the record and the dense oracle.
    """
    cp = _with_column(
        engine.cross_products, [z[:, :, b] for z in responses.random], responses.fixed[:, b], responses.square[b]
    )
    design = replace(engine.conditioned.design, y=y)
    conditioned = replace(engine.conditioned, design=design, shift=float(responses.shift[b]))
    return replace(engine, conditioned=conditioned, cross_products=cp, factor=engine.factor.with_response(design, cp))


def _with_column(cp: CrossProducts, random: Sequence[Floats], fixed: Floats, square: float) -> CrossProducts:
    """Replace the column of y."""
    p = cp.p
    gram = cp.fixed.copy()
    gram[:p, p] = gram[p, :p] = fixed
    gram[p, p] = square
    right = tuple(np.concatenate([old[:, :p], z[:, None]], axis=1) for old, z in zip(cp.right, random, strict=True))
    return replace(cp, fixed=gram, right=right)
