"""Shares of explained variance and intraclass correlation on the scale of the link; overdispersion.

Nakagawa, Johnson & Schielzeth (2017, J. R. Soc. Interface 14, 20170213): the variance that the response adds on the
scale of the link is pi^2 / 3 for logit, 1 for probit, pi^2 / 6 for cloglog, and for a log link log(1 + Var / mean^2) at
the mean lambda = exp(b0 + variance / 2) of the model without predictors. A term with a level for every row is
overdispersion and counts with the response.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.glmm.estimate import estimate_glmm
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.errors import MixedpyError
from mixedpy.inference.fitted import fixed_part
from mixedpy.inference.glmm.response import auxiliary_predictors, of_rows
from mixedpy.inference.icc import random_variance

__all__ = ["Overdispersion", "RSquared", "glmm_icc", "icc_defined", "overdispersion", "r_squared", "response_variance"]

_LATENT = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}


@dataclass(frozen=True, slots=True)
class RSquared:
    """Share of the variance explained by the fixed effects, and by fixed and random effects together."""

    marginal: float
    conditional: float


@dataclass(frozen=True, slots=True)
class Overdispersion:
    """Sum of squared Pearson residuals over the residual degrees of freedom, and its chi-square p value.

    Approximate: residuals given the modes vary a little less than the response does.
    """

    ratio: float
    chisq: float
    df: int
    pvalue: float


def overdispersion(design: Design, record: GlmmRecord) -> Overdispersion:
    """Compare the Pearson residuals with the family's variance."""
    response = of_rows(design, record)
    squares = (design.y - response.mean) ** 2 / record.family.variance(response.m, response.eta, response.xi)
    chisq, df = float(squares.sum()), record.n - record.npar
    return Overdispersion(chisq / df, chisq, df, float(special.chdtrc(df, chisq)))


@dataclass(frozen=True, slots=True)
class _Variances:
    fixed: float
    random: float
    residual: float


def r_squared(design: Design, record: GlmmRecord, control: Control) -> RSquared:
    """Compute marginal and conditional R^2."""
    v = _variances(design, record, control)
    total = v.fixed + v.random + v.residual
    return RSquared(v.fixed / total, (v.fixed + v.random) / total)


def glmm_icc(design: Design, record: GlmmRecord, control: Control, *, adjusted: bool = True) -> float:
    """Compute the random effects' share of the variance, or (adjusted) of what the fixed effects leave of it."""
    v = _variances(design, record, control)
    return v.random / (v.random + v.residual + (0.0 if adjusted else v.fixed))


def _variances(design: Design, record: GlmmRecord, control: Control) -> _Variances:
    by_term, extra = _term_variances(design, record)
    eta = fixed_part(design, record)
    if design.offset is not None:
        eta = eta - design.offset
    return _Variances(float(np.var(eta, ddof=1)), by_term, extra + response_variance(design, record, control))


def _term_variances(design: Design, record: GlmmRecord) -> tuple[float, float]:
    """Variance that the terms give to a row on average: those that group rows, and those with a level for every row."""
    by_term = random_variance(design, record)
    by_row = np.array([term.n_levels == design.n for term in design.terms])
    return float(by_term[~by_row].sum()), float(by_term[by_row].sum())


def icc_defined(record: GlmmRecord) -> bool:
    """Whether the variance of the response on the scale of the link has an agreed form."""
    family = record.family
    if family.name == "binomial":
        return family.link in _LATENT
    return (family.link == "log" and not family.name.startswith(("hurdle", "zero-inflated"))) or (
        family.name == "gaussian" and family.link == "identity"
    )


def response_variance(design: Design, record: GlmmRecord, control: Control) -> float:
    """Variance that the response adds on the scale of the link.

    Raises
    ------
    MixedpyError
        If it has no agreed form.
    """
    family = record.family
    if family.name == "binomial" and family.link in _LATENT:
        return float(_LATENT[family.link])
    if family.name == "gaussian" and family.link == "identity":
        return record.sigma**2
    if not icc_defined(record):
        raise MixedpyError(
            f"the variance of the family {family.name} on the scale of its link {family.link} has no agreed form, so "
            "that R^2 and the intraclass correlation are not defined"
        )
    null = replace(design, fixed=(0,), offset=None)
    without = estimate_glmm(null, family, auxiliary=record.auxiliary, expected=record.expected, control=control)
    variance = sum(_term_variances(null, without))
    eta = np.array([float(without.beta[0]) + 0.5 * variance])
    xi = auxiliary_predictors(record)
    one: Floats = np.ones(1)
    mean = family.mean(eta, xi)
    return float(np.log1p(family.variance(one, eta, xi) / mean**2)[0])
