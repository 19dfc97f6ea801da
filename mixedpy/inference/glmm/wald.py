"""Wald tests and intervals of the fixed effects of a generalized fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.linalg
from numpy.typing import NDArray
from scipy import special

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.design import Schema

__all__ = ["wald_anova", "wald_intervals"]

Positions = NDArray[np.intp]


def wald_intervals(schema: Schema, record: GlmmRecord, level: float) -> pd.DataFrame:
    """Compute estimate -/+ quantile times standard error of the fixed effects."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r} must lie between 0 and 1")
    se = np.sqrt(np.diag(record.vcov)[: record.p])
    half = float(special.ndtri(0.5 + 0.5 * level)) * se
    names = [f"{100.0 * share:.4g} %" for share in ((1.0 - level) / 2.0, (1.0 + level) / 2.0)]
    columns = dict(zip(names, (record.beta - half, record.beta + half), strict=True))
    return pd.DataFrame(columns, index=list(schema.fixed_names))


def wald_anova(schema: Schema, record: GlmmRecord, kind: int) -> pd.DataFrame:
    """Test every term of the fixed effects by a Wald chi-square.

    Parameters
    ----------
    kind : {1, 2, 3}
        Type of the hypotheses. Type III tests the coefficients of a term; type II those of a term among models without
        the terms that contain it; type I each term added to those before it. Type II and I test the same coefficients
        after sweeping out, in the covariance matrix, the coefficients of the terms that the smaller model lacks
        (as R's car::Anova does for type II).

    Returns
    -------
    DataFrame
        Indexed by term: ``Chisq``, ``Df``, ``Pr(>Chisq)``.
    """
    if kind not in (1, 2, 3):
        raise ValueError(f"type={kind!r} is unknown; use 1, 2 or 3")
    assign = np.array(schema.assign)
    V = record.vcov[: record.p, : record.p]
    rows = []
    for t, label in enumerate(schema.term_labels, start=1):
        own = np.flatnonzero(assign == t)
        if kind == 3:
            absent = np.empty(0, dtype=int)
        elif kind == 2:
            variables = set(label.split(":"))
            larger = [s for s, other in enumerate(schema.term_labels, start=1) if variables < set(other.split(":"))]
            absent = np.flatnonzero(np.isin(assign, larger))
        else:
            absent = np.flatnonzero(assign > t)
        chisq = _swept_wald(record.beta, V, own, absent)
        rows.append((chisq, len(own), float(special.chdtrc(len(own), chisq))))
    return pd.DataFrame(rows, index=list(schema.term_labels), columns=["Chisq", "Df", "Pr(>Chisq)"])


def _swept_wald(beta: Floats, V: Floats, own: Positions, absent: Positions) -> float:
    """Chi-square of ``own`` coefficients in the model in which the ``absent`` ones are zero."""
    b, C = beta[own], V[np.ix_(own, own)]
    if len(absent):
        gain = np.linalg.solve(V[np.ix_(absent, absent)], V[np.ix_(absent, own)])
        b = b - gain.T @ beta[absent]
        C = C - V[np.ix_(own, absent)] @ gain
    if not len(own):
        return 0.0
    return float(b @ scipy.linalg.cho_solve(scipy.linalg.cho_factor(C), b))
