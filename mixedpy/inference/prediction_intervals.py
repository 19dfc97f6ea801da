"""Standard errors and intervals of predictions, the joint uncertainty of fixed and random effects included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtri, stdtrit

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.joint import JointCovariance, TermRow, joint_covariance
from mixedpy.core.record import FitRecord
from mixedpy.core.satterthwaite import satterthwaite
from mixedpy.inference.predictors import Predictors
from mixedpy.inference.selection import Selection

__all__ = [
    "Ddf",
    "Interval",
    "check_interval",
    "degrees_of_freedom",
    "limits",
    "new_observation_variance",
    "prediction_variance",
    "rows_of",
    "unchosen_variance",
]

Interval = Literal["confidence", "prediction"]
Ddf = Literal["satterthwaite"]


def check_interval(interval: str | None, level: float, ddf: str | None) -> None:
    """Raise a ValueError for an unknown interval, unknown degrees of freedom, or a level that is no probability."""
    if ddf not in (None, "satterthwaite"):
        raise ValueError(f"ddf={ddf!r} is unknown; use None for limits of the normal distribution, or 'satterthwaite'")
    if ddf is not None and interval is None:
        raise ValueError(f"ddf={ddf!r} serves intervals; add interval='confidence' or interval='prediction'")
    if interval is not None and interval not in get_args(Interval):
        raise ValueError(f"interval={interval!r} is unknown; use None, 'confidence' or 'prediction'")
    if isinstance(level, bool) or not isinstance(level, int | float | np.floating) or not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r} must be a probability between 0 and 1, such as 0.95")


def rows_of(predictors: Predictors, chosen: Selection) -> list[TermRow | None]:
    """Collect the columns of the chosen effects."""
    return [
        TermRow(term.codes, np.column_stack(term.columns) * effects) if effects.any() else None
        for term, effects in zip(predictors.terms, chosen, strict=True)
    ]


def prediction_variance(design: Design, record: FitRecord, predictors: Predictors, chosen: Selection) -> Floats:
    """Compute the variance of the error of x'beta^ + z'b^ as a prediction of x'beta + z'b, (n,).

    sigma^2 (x, z)'C^-1(x, z) with C the coefficient matrix of Henderson's mixed-model equations and z the chosen
    effects; an effect of an unseen level is predicted by 0 and has its prior variance. The covariance parameters count
    as known.
    """
    rows = joint_covariance(design, record).rows(predictors.X, rows_of(predictors, chosen))
    variance: Floats = record.sigma**2 * rows.joint
    return variance


def new_observation_variance(Lambdas: Sequence[Floats], predictors: Predictors, chosen: Selection) -> Floats:
    """Compute what a new observation adds to the variance of its prediction, relative to sigma^2, (n,).

    The residual variance 1 / weight, and the prior variance of the effects that were not chosen: they are part of the
    observation and nothing is said of them.
    """
    residual = np.full(predictors.n, 1.0) if predictors.weights is None else 1.0 / predictors.weights
    return residual + unchosen_variance(Lambdas, predictors, chosen)


def unchosen_variance(Lambdas: Sequence[Floats], predictors: Predictors, chosen: Selection) -> Floats:
    """Compute the prior variance of the effects that were not chosen, |Lambda'z|^2, (n,)."""
    extra = np.zeros(predictors.n)
    for term, effects, Lambda in zip(predictors.terms, chosen, Lambdas, strict=True):
        if effects.all():
            continue
        half = np.column_stack(term.columns) @ Lambda
        others = np.column_stack(term.columns) * ~effects @ Lambda
        extra += np.einsum("na,na->n", others, others)
        if effects.any():  # at an unseen level chosen and other effects are correlated as in the prior
            both = 2.0 * np.einsum("na,na->n", others, half - others)
            extra += np.where(term.codes < 0, both, 0.0)
    return extra


def degrees_of_freedom(
    design: Design,
    record: FitRecord,
    predictors: Predictors,
    chosen: Selection,
    interval: Interval,
    control: Control,
) -> Floats:
    """Compute Satterthwaite's degrees of freedom of the variances of predictions, (n,)."""
    rows = rows_of(predictors, chosen)

    def relative_variance(joint: JointCovariance, Lambdas: Sequence[Floats]) -> Floats:
        variance = joint.rows(predictors.X, rows).joint
        return (
            variance + new_observation_variance(Lambdas, predictors, chosen) if interval == "prediction" else variance
        )

    return satterthwaite(design, record, relative_variance, control)


def limits(fit: Floats, variance: Floats, level: float, df: Floats | None = None) -> tuple[Floats, Floats]:
    """Compute limits by the normal distribution, or by the t distribution with df degrees of freedom."""
    probability = 0.5 + 0.5 * level
    quantile = ndtri(probability) if df is None else stdtrit(df, probability)
    half = quantile * np.sqrt(variance)
    return fit - half, fit + half
