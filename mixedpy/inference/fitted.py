"""Linear predictor, fitted values and residuals on the rows of the fit."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.record import Estimates, FitRecord

__all__ = ["Kind", "Level", "fitted", "fixed_part", "random_part", "residuals"]

Level = Literal["conditional", "marginal"]
Kind = Literal["response", "pearson", "scaled"]


def fixed_part(design: Design, record: Estimates) -> Floats:
    """Compute X beta + offset, (n,)."""
    eta = np.zeros(design.n) if design.offset is None else design.offset.copy()
    for c, b in zip(design.fixed, record.beta, strict=True):
        eta += design.columns[c] * b
    return eta


def random_part(design: Design, effects: tuple[Floats, ...]) -> Floats:
    """Compute Z b, (n,), for random effects given per term as (J, m) arrays."""
    eta = np.zeros(design.n)
    for term, b in zip(design.terms, effects, strict=True):
        for k, c in enumerate(term.columns):
            eta += design.columns[c] * b[term.codes, k]
    return eta


def fitted(design: Design, record: FitRecord, level: Level = "conditional") -> Floats:
    """Compute fitted values, (n,): with the conditional modes, or those of the fixed effects alone."""
    if level not in get_args(Level):
        raise ValueError(f"level={level!r} is unknown; use 'conditional' or 'marginal'")
    eta = fixed_part(design, record)
    return eta if level == "marginal" else eta + random_part(design, record.modes)


def residuals(design: Design, record: FitRecord, kind: Kind = "response", level: Level = "conditional") -> Floats:
    """Compute residuals, (n,).

    With r = y - mu and prior weights w: r itself ("response"), sqrt(w) r ("pearson"), or sqrt(w) r / sigma ("scaled",
    those of R's summary).
    """
    if kind not in get_args(Kind):
        wanted = ", ".join(repr(k) for k in get_args(Kind))
        raise ValueError(f"kind={kind!r} is unknown; use one of {wanted}")
    r = design.y - fitted(design, record, level)
    if kind != "response" and design.weights is not None:
        r *= np.sqrt(design.weights)
    return r / record.sigma if kind == "scaled" else r
