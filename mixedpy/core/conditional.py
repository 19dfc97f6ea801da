"""Conditional covariances of the random effects given the data."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.estimate import prepare
from mixedpy.core.record import FitRecord

__all__ = ["conditional_covariance"]


def conditional_covariance(design: Design, record: FitRecord, control: Control | None = None) -> tuple[Floats, ...]:
    """Compute Var(b | y), with the fixed effects and covariance parameters taken as known.

    Parameters
    ----------
    design : Design
        The fitted design.
    record : FitRecord
        Its fit.
    control : Control, optional
        Settings of the factorization.

    Returns
    -------
    tuple of (J, m, m) arrays
        sigma^2 times the level blocks of Lambda (Lambda'Z'Z Lambda + I)^-1 Lambda', for each term.
    """
    engine = prepare(design, control)
    engine.factor.update(engine.inward_Lambdas(record.theta))
    blocks: list[Floats] = [np.empty(0)] * engine.cross_products.k
    for i, block in zip(engine.cross_products.order, engine.factor.conditional_covariance(), strict=True):
        blocks[i] = record.sigma**2 * engine.conditioned.covariance(i, block)
    return tuple(blocks)
