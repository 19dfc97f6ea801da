"""Leverage, and residuals divided by their own standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.joint import JointCovariance, RowVariances, TermRow, joint_covariance
from mixedpy.core.record import FitRecord
from mixedpy.inference import fitted
from mixedpy.inference.fitted import Level
from mixedpy.inference.glmm.working import working_design

__all__ = ["Kind", "Leverage", "cooks_distance", "fit_rows", "leverage", "residuals"]

Kind = Literal["response", "pearson", "deviance", "scaled", "studentized", "quantile"]


@dataclass(frozen=True, slots=True)
class Leverage:
    """Diagonals of the hat matrix of n rows and of its parts.

    Attributes
    ----------
    fixed : (n,) array
        d(x'beta^) / dy: H1 = X (X'V^-1X)^-1 X'V^-1.
    random : (n,) array
        d(z'b^) / dy: H2 = Z Sigma Z'V^-1 (I - H1) (Demidenko & Stukel 2005, Stat. Med. 24, 893).
    unconfounded : (n,) array
        Z Sigma Z', which the fixed effects do not enter (Nobre & Singer 2011, J. Appl. Stat. 38, 1063).
    """

    fixed: Floats
    random: Floats
    unconfounded: Floats

    @property
    def overall(self) -> Floats:
        """d(fitted value) / dy; the sum over the rows is the effective number of parameters."""
        return self.fixed + self.random


def fit_rows(design: Design, record: FitRecord | GlmmRecord) -> tuple[JointCovariance, RowVariances]:
    """Compute the row parts of the joint covariance on the rows of the fit."""
    joint = joint_covariance(design, record)
    terms = [TermRow(t.codes, np.column_stack([design.columns[c] for c in t.columns])) for t in design.terms]
    return joint, joint.rows(design.X, terms)


def prior_variance(design: Design, record: FitRecord | GlmmRecord) -> Floats:
    """Compute |Lambda'z|^2 of every row, (n,): the variance of its random effects, in a linear fit over sigma^2."""
    total = np.zeros(design.n)
    for term, Lambda in zip(design.terms, record.Lambda, strict=True):
        half = np.column_stack([design.columns[c] for c in term.columns]) @ Lambda
        total += np.einsum("na,na->n", half, half)
    return total


def leverage(design: Design, record: FitRecord | GlmmRecord) -> Leverage:
    """Compute the leverage of every row, split into the fixed and the random part.

    That of a generalized fit is the leverage of its working linear model; ``unconfounded`` is then relative to the
    working variance of the row.
    """
    if isinstance(record, GlmmRecord):
        design = working_design(design, record)
        assert design.weights is not None
        fixed, random = _parts(design, record)
        return Leverage(fixed, random, design.weights * prior_variance(design, record))
    return Leverage(*_parts(design, record), prior_variance(design, record))


def _parts(design: Design, record: FitRecord | GlmmRecord) -> tuple[Floats, Floats]:
    _, rows = fit_rows(design, record)
    weights = np.ones(design.n) if design.weights is None else design.weights
    fixed = weights * rows.influence
    return fixed, weights * rows.joint - fixed


def cooks_distance(scaled: Floats, hat: Floats, p: int) -> Floats:
    """Cook's distance of every row from its scaled residual and leverage, as R's ``cooks.distance``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (scaled / (1.0 - hat)) ** 2 * hat / max(p, 1)


def residuals(design: Design, record: FitRecord, kind: Kind = "response", level: Level = "conditional") -> Floats:
    """Compute residuals, (n,).

    With r = y - mu and prior weights w: r itself ("response"), sqrt(w) r ("pearson", and "deviance", which is the same
    for a linear model), sqrt(w) r / sigma ("scaled", those of R's summary), r / sd(r) with the standard deviation that
    the residual has after estimation ("studentized"), or the probability of a smaller value, ndtr(r / sd(y)), uniform
    where the model holds ("quantile").
    """
    if kind not in get_args(Kind):
        wanted = ", ".join(repr(k) for k in get_args(Kind))
        raise ValueError(f"kind={kind!r} is unknown; use one of {wanted}")
    if kind == "studentized":
        return fitted.residuals(design, record, "response", level) / np.sqrt(_residual_variance(design, record, level))
    if kind == "quantile":
        variance = np.ones(design.n) if design.weights is None else 1.0 / design.weights
        if level == "marginal":
            variance = variance + prior_variance(design, record)
        r = fitted.residuals(design, record, "response", level)
        probability: Floats = ndtr(r / (record.sigma * np.sqrt(variance)))
        return probability
    return fitted.residuals(design, record, "pearson" if kind == "deviance" else kind, level)


def _residual_variance(design: Design, record: FitRecord, level: Level) -> Floats:
    """Var(y - X beta^ - Z b^) = sigma^2 (W^-1 - (X, Z)C^-1(X, Z)'), or Var(y - X beta^) = sigma^2 (V - X S^-1 X')."""
    _, rows = fit_rows(design, record)
    variance = np.ones(design.n) if design.weights is None else 1.0 / design.weights
    variance = (
        variance - rows.joint if level == "conditional" else variance + prior_variance(design, record) - rows.fixed
    )
    return record.sigma**2 * np.where(variance > 0, variance, np.nan)
