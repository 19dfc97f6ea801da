"""Intraclass correlation."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.record import FitRecord

__all__ = ["icc", "random_variance"]


def random_variance(design: Design, record: FitRecord) -> Floats:
    """Compute the variance that each random term gives to a row, averaged over the rows, (number of terms,).

    trace(Z_i Sigma_i Z_i') / n of each term (Johnson 2014, Methods Ecol. Evol. 5, 944).
    """
    variances = np.empty(len(design.terms))
    for i, (term, Lambda) in enumerate(zip(design.terms, record.Lambda, strict=True)):
        Z = [design.columns[c] for c in term.columns]
        moments = np.array([[a @ b for b in Z] for a in Z]) / design.n  # (m, m)
        variances[i] = record.sigma**2 * np.sum(moments * (Lambda @ Lambda.T))
    return variances


def icc(design: Design, record: FitRecord) -> float:
    """Compute the share of the random effects in the variance that the fixed effects leave unexplained.

    The adjusted intraclass correlation of Nakagawa, Johnson & Schielzeth (2017, J. R. Soc. Interface 14, 20170213),
    all random terms together; the residual variance is that of a row with prior weight one.
    """
    between = float(random_variance(design, record).sum())
    return between / (between + record.sigma**2)
