"""Residuals of a generalized fit."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy.special import ndtri

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.errors import MixedpyError
from mixedpy.inference.fitted import Level
from mixedpy.inference.glmm.response import Response, of_rows
from mixedpy.inference.seeds import random_source

__all__ = ["GlmmKind", "glmm_residuals", "quantile_residuals"]

GlmmKind = Literal["response", "pearson", "deviance", "scaled", "quantile"]


def glmm_residuals(
    design: Design,
    record: GlmmRecord,
    kind: GlmmKind = "deviance",
    level: Level = "conditional",
    seed: int | np.random.Generator | None = None,
) -> Floats:
    """Compute residuals, (n,).

    ``"response"``: y - mu. ``"pearson"``: divided by the square root of the variance function over the prior weights.
    ``"scaled"``: by sigma as well. ``"deviance"``: signed square roots of the unit deviances. ``"quantile"``:
    randomized quantile residuals, standard normal where the model holds.
    """
    if kind not in get_args(GlmmKind):
        wanted = ", ".join(map(repr, get_args(GlmmKind)))
        raise ValueError(f"kind={kind!r} is unknown; use one of {wanted}")
    response = of_rows(design, record, level)
    family, y = record.family, design.y
    if kind == "quantile":
        return quantile_residuals(y, response, seed)
    raw = y - response.mean
    if kind == "response":
        return raw
    if kind == "deviance":
        if not family.has_deviance:
            raise MixedpyError(
                f"the family {family.name} has no saturated model, hence no deviance residuals; use kind='pearson' or "
                "kind='quantile'"
            )
        deviance = family.unit_deviance(y, response.m, response.eta, response.xi)
        return np.sign(raw) * np.sqrt(deviance)
    pearson = raw / family.pearson_scale(response.m, response.eta, response.xi)
    return pearson / record.sigma if kind == "scaled" else pearson


def quantile_residuals(y: Floats, response: Response, seed: int | np.random.Generator | None) -> Floats:
    """Transform the response by its distribution function to standard normal values, (n,).

    A discrete response is put at random between P(Y < y) and P(Y <= y) (Dunn & Smyth 1996, J. Comput. Graph. Stat. 5,
    236).
    """
    family, m, eta, xi = response.family, response.m, response.eta, response.xi
    above = family.cdf(y, m, eta, xi)
    if family.discrete:
        below = family.cdf_below(y, m, eta, xi)
        above = below + (above - below) * random_source(seed).random(len(y))
    return np.asarray(ndtri(np.clip(above, 1e-15, 1.0 - 1e-15)), np.float64)
