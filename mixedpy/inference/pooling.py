"""Complete, no and partial pooling of the effects of each level, side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.joint import TermRow, joint_covariance
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.errors import DataError

__all__ = ["alone", "group_position", "pooling"]

_DEFICIENT = 1e-10
"""Levels whose scaled cross-products have a smaller eigenvalue do not determine their own effects."""


def group_position(schema: Schema, group: str | None) -> list[int]:
    """Find the random terms of a grouping factor; None stands for the only one.

    Raises
    ------
    DataError
        If there is no such factor, or if there are several and none is named.
    """
    known = list(dict.fromkeys(term.group for term in schema.terms))
    if group is None:
        if len(known) > 1:
            raise DataError(f"the fit has several grouping factors, {', '.join(known)}; name one of them")
        group = known[0]
    if group not in known:
        raise DataError(f"the fit has no grouping factor {group!r}; it has {', '.join(known)}")
    return [i for i, term in enumerate(schema.terms) if term.group == group]


def pooling(design: Design, schema: Schema, record: FitRecord, group: str | None = None) -> pd.DataFrame:
    """Compare the effects of each level without pooling, with partial and with complete pooling.

    Complete pooling is the least-squares fit without random effects. No pooling is a least-squares fit to the rows of
    each level alone, of what is left when the other fixed effects are taken off at their estimates; its standard errors
    are from the residual variance of all levels together. Partial pooling is the mixed model.

    Returns
    -------
    DataFrame
        Indexed by level and effect: ``n`` rows, ``complete``, ``none``, ``none_se``, ``partial``, ``partial_se``; NaN
        where the rows of a level do not determine its effects.
    """
    positions = group_position(schema, group)
    names = [name for i in positions for name in schema.terms[i].effects]
    columns = [c for i in positions for c in design.terms[i].columns]
    first = design.terms[positions[0]]
    J, m = first.n_levels, len(columns)
    w = np.ones(design.n) if design.weights is None else design.weights
    y = design.y if design.offset is None else design.y - design.offset
    fixed = {name: k for k, name in enumerate(schema.fixed_names)}

    rest = y - sum(
        (record.beta[k] * design.columns[design.fixed[k]] for name, k in fixed.items() if name not in names),
        np.zeros(design.n),
    )
    none, none_se = alone(rest, [design.columns[c] for c in columns], w, first.codes, J)

    root = np.sqrt(w)
    complete = np.linalg.lstsq(design.X * root[:, None], y * root, rcond=None)[0]
    at = np.array([fixed.get(name, -1) for name in names])
    partial = np.concatenate([record.modes[i] for i in positions], axis=1) + np.where(at >= 0, record.beta[at], 0.0)
    table = {
        "n": np.repeat(np.bincount(first.codes, minlength=J), m),
        "complete": np.tile(np.where(at >= 0, complete[at], 0.0), J),
        "none": none.ravel(),
        "none_se": none_se.ravel(),
        "partial": partial.ravel(),
        "partial_se": _partial_se(design, record, positions, at).ravel(),
    }
    term = schema.terms[positions[0]]
    index = pd.MultiIndex.from_product([term.levels, names], names=[term.group, "effect"])
    return pd.DataFrame(table, index=index)


def alone(y: Floats, columns: list[Floats], w: Floats, codes: np.ndarray, J: int) -> tuple[Floats, Floats]:
    """Weighted least squares of every level on its own, (J, m), and standard errors."""
    m = len(columns)
    # centre by level where there is an intercept: cross-products of raw columns lose digits
    total = np.bincount(codes, w, J)
    constant = [k for k, column in enumerate(columns) if np.all(column == 1.0)]
    shift = np.zeros((J, m))
    level_mean = np.bincount(codes, w * y, J) / total if constant else np.zeros(J)
    if constant:
        for k, column in enumerate(columns):
            if k != constant[0]:
                shift[:, k] = np.bincount(codes, w * column, J) / total
    Z = [column - shift[codes, k] for k, column in enumerate(columns)]
    r = y - level_mean[codes]
    A = np.empty((J, m, m))
    b = np.empty((J, m))
    for i in range(m):
        b[:, i] = np.bincount(codes, w * Z[i] * r, J)
        for k in range(i + 1):
            A[:, i, k] = A[:, k, i] = np.bincount(codes, w * Z[i] * Z[k], J)
    scale = np.sqrt(np.einsum("jaa->ja", A))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(A / scale[:, :, None] / scale[:, None, :])
    values = np.where(values > _DEFICIENT, values, np.nan)
    inverse = np.einsum("jab,jb,jcb->jac", vectors, 1.0 / values, vectors) / scale[:, :, None] / scale[:, None, :]
    estimate = np.einsum("jab,jb->ja", inverse, b)
    known = ~np.isnan(estimate).any(axis=1)
    fitted = sum(estimate[codes, k] * Z[k] for k in range(m))
    rows = known[codes]
    spare = int(rows.sum()) - m * int(known.sum())
    s2 = float((w * (r - fitted) ** 2)[rows].sum()) / spare if spare > 0 else np.nan
    if constant:  # undo the centring: a linear map of the estimates
        back = np.broadcast_to(np.eye(m), (J, m, m)).copy()
        back[:, constant[0], :] -= shift
        estimate = np.einsum("jab,jb->ja", back, estimate)
        estimate[:, constant[0]] += level_mean
        inverse = back @ inverse @ back.transpose(0, 2, 1)
    return estimate, np.sqrt(s2 * np.einsum("jaa->ja", inverse))


def _partial_se(design: Design, record: FitRecord, positions: list[int], at: np.ndarray) -> Floats:
    """Standard errors of beta + b of every level and effect, (J, m)."""
    J, m = design.terms[positions[0]].n_levels, len(at)
    X = np.zeros((J, m, design.p))
    k = np.flatnonzero(at >= 0)
    X[:, k, at[k]] = 1.0
    terms: list[TermRow | None] = [None] * len(design.terms)
    start = 0
    for i in positions:
        own = design.terms[i].m
        Z = np.zeros((J, m, own))
        Z[:, start + np.arange(own), np.arange(own)] = 1.0
        terms[i] = TermRow(np.repeat(np.arange(J), m), Z.reshape(J * m, own))
        start += own
    rows = joint_covariance(design, record).rows(X.reshape(J * m, -1), terms)
    return record.sigma * np.sqrt(rows.joint).reshape(J, m)
