"""Shares of variance: R2 and intraclass correlations after Nakagawa & Schielzeth (2013), with random slopes.

Variance of the fixed part is that of X beta over the rows, variance of a random term the mean over the rows of
Var(z_i'b) (Johnson 2014, Methods Ecol. Evol. 5, 944), residual variance sigma^2, that of a row of prior weight one
(Nakagawa, Johnson & Schielzeth 2017, J. R. Soc. Interface 14, 20170213).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema

__all__ = ["Variances", "icc", "r2", "random_variance", "variance_table", "variances"]


@dataclass(frozen=True, slots=True)
class Variances:
    """Variance of the response by source, over the rows of the fit.

    Attributes
    ----------
    terms : (k,) array
        Of each fixed term: its covariance with the whole fixed part, so that the terms add up to ``fixed``; it may be
        negative.
    fixed : float
        Of the fixed part.
    random : (number of terms,) array
        Of each random term, averaged over the rows.
    residual : float
        Residual variance of a row of weight one.
    """

    terms: Floats
    fixed: float
    random: Floats
    residual: float

    @property
    def total(self) -> float:
        """Of all sources together."""
        return self.fixed + float(self.random.sum()) + self.residual


def variances(design: Design, schema: Schema, record: FitRecord) -> Variances:
    """Compute the variance that each source gives to the response."""
    assign = np.array(schema.assign)
    parts = np.zeros((len(schema.term_labels), design.n))
    for column, term, b in zip(design.fixed, assign, record.beta, strict=True):
        if term > 0:
            parts[term - 1] += design.columns[column] * b
    parts -= parts.mean(axis=1, keepdims=True)
    terms = parts @ parts.sum(axis=0) / (design.n - 1)
    return Variances(terms, float(terms.sum()), random_variance(design, record), record.sigma**2)


def random_variance(design: Design, record: FitRecord | GlmmRecord) -> Floats:
    """Compute the variance that each random term gives to a row, averaged over the rows: trace(Z Sigma Z') / n."""
    scale = 1.0 if isinstance(record, GlmmRecord) else record.sigma**2
    found = np.empty(len(design.terms))
    for i, (term, Lambda) in enumerate(zip(design.terms, record.Lambda, strict=True)):
        Z = [design.columns[c] for c in term.columns]
        moments = np.array([[a @ b for b in Z] for a in Z]) / design.n  # (m, m)
        found[i] = scale * np.sum(moments * (Lambda @ Lambda.T))
    return found


def icc(shares: Variances, *, adjusted: bool = True) -> Floats:
    """Compute the share of each random term, in the variance beside the fixed effects or in all of it, (terms,)."""
    return shares.random / (shares.total - (shares.fixed if adjusted else 0.0))


def r2(shares: Variances) -> pd.Series[float]:
    """Compute the shares of the fixed effects ("marginal"), and of fixed and random effects ("conditional")."""
    explained = shares.fixed + float(shares.random.sum())
    return pd.Series([shares.fixed / shares.total, explained / shares.total], ["marginal", "conditional"], name="R2")


def variance_table(schema: Schema, shares: Variances) -> pd.DataFrame:
    """Lay out the variance by source: fixed terms, random terms, residual; the shares add up to one."""
    sources = [*schema.term_labels, *(term.name for term in schema.terms), "Residual"]
    kinds = ["fixed"] * len(shares.terms) + ["random"] * len(shares.random) + ["residual"]
    values = np.concatenate([shares.terms, shares.random, [shares.residual]])
    index = pd.MultiIndex.from_arrays([kinds, sources], names=["kind", "source"])
    return pd.DataFrame({"variance": values, "share": values / shares.total}, index=index)
