"""Columns of fitted values, residuals and leverage of a generalized fit, as R's broom.mixed names them."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.inference.fitted import fixed_part
from mixedpy.inference.glmm.residuals import glmm_residuals
from mixedpy.inference.glmm.response import of_rows
from mixedpy.inference.glmm.working import working_weights
from mixedpy.inference.leverage import cooks_distance, leverage

__all__ = ["general_columns"]


def general_columns(design: Design, record: GlmmRecord) -> dict[str, Floats]:
    """Compute the columns, (n,) each.

    ``.fitted``, ``.fixed`` and ``.eta`` are on the scale of the link, ``.mu`` is the mean. ``.resid`` are deviance
    residuals, NaN for a family without a saturated model. ``.hat`` is the leverage of the working linear model (lme4's
    ``hatvalues`` takes prior for working weights), ``.cooksd`` Cook's distance by it. ``.weights`` are prior weights,
    ``.wtres`` Pearson residuals, ``.sqrtrwt`` their factors, ``.sqrtXwt`` roots of the working weights times sigma.
    """
    response = of_rows(design, record)
    family, arguments = record.family, (design.y, response.m, response.eta, response.xi)
    pearson = glmm_residuals(design, record, "pearson")
    hat = leverage(design, record).overall
    w = family.expected(*arguments)[0] if family.has_expected else working_weights(design, record)
    return {
        ".fitted": response.eta,
        ".resid": glmm_residuals(design, record, "deviance") if family.has_deviance else np.full(design.n, np.nan),
        ".hat": hat,
        ".cooksd": cooks_distance(pearson / record.sigma, hat, record.p),
        ".fixed": fixed_part(design, record),
        ".mu": response.mean,
        ".offset": np.zeros(design.n) if design.offset is None else design.offset,
        ".sqrtXwt": record.sigma * np.sqrt(np.maximum(np.broadcast_to(w, design.n), 0.0)),
        ".sqrtrwt": np.broadcast_to(1.0 / family.pearson_scale(response.m, response.eta, response.xi), design.n),
        ".weights": np.broadcast_to(response.m, design.n),
        ".wtres": pearson,
        ".eta": response.eta,
    }
