"""Coefficients of each level estimated from its own rows alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.inference.fitted import fixed_part

__all__ = ["Pooled", "pooling"]

_RANK_TOL = 1e-9


@dataclass(frozen=True, slots=True)
class Pooled:
    """Coefficients of the m effects of one grouping factor, under three degrees of pooling.

    Attributes
    ----------
    effects : tuple of str
        Names.
    levels : tuple of str
        The J levels.
    none : (J, m) array
        Least squares on the rows of each level; NaN where they do not determine all m coefficients.
    partial : (J, m) array
        Fixed effects plus conditional modes.
    complete : (m,) array
        Fixed effects, 0 for an effect without a fixed counterpart.
    covariance : (m, m) array
        Estimated covariance of the random effects.
    """

    effects: tuple[str, ...]
    levels: tuple[str, ...]
    none: Floats
    partial: Floats
    complete: Floats
    covariance: Floats


def pooling(design: Design, schema: Schema, record: FitRecord, group: str) -> Pooled:
    """Compare no, partial and complete pooling of the effects of a grouping factor.

    Without pooling, each level's coefficients are those of weighted least squares on its own rows; what other columns
    of the fixed part and other grouping factors contribute is held at its estimate in the mixed model.

    Parameters
    ----------
    group : str
        A grouping factor; its terms are taken together.

    Returns
    -------
    Pooled
        The coefficients.
    """
    own = [k for k, term in enumerate(schema.terms) if term.group == group]
    effects = tuple(effect for k in own for effect in schema.terms[k].effects)
    columns = [c for k in own for c in design.terms[k].columns]
    complete = np.array([dict(zip(schema.fixed_names, record.beta, strict=True)).get(e, 0.0) for e in effects])
    codes, J = design.terms[own[0]].codes, design.terms[own[0]].n_levels
    Z = np.column_stack([design.columns[c] for c in columns])  # (n, m)
    rest = fixed_part(design, record) - Z @ complete
    for k, (term, modes) in enumerate(zip(design.terms, record.modes, strict=True)):
        if k not in own:
            rest += sum(design.columns[c] * modes[term.codes, a] for a, c in enumerate(term.columns))
    modes = np.column_stack([record.modes[k] for k in own])
    m = len(effects)
    covariance = np.zeros((m, m))
    at = 0
    for k in own:
        size = design.terms[k].m
        covariance[at : at + size, at : at + size] = record.sigma**2 * record.Lambda[k] @ record.Lambda[k].T
        at += size
    none = _least_squares(Z, design.y - rest, design.weights, codes, J)
    return Pooled(effects, schema.terms[own[0]].levels, none, complete + modes, complete, covariance)


def _least_squares(Z: Floats, r: Floats, weights: Floats | None, codes: np.ndarray, J: int) -> Floats:
    """Solve for each level's coefficients, (J, m); NaN where the level's columns are linearly dependent."""
    m = Z.shape[1]
    w = np.ones(len(r)) if weights is None else weights
    A = np.empty((J, m, m))
    b = np.empty((J, m))
    for i in range(m):
        b[:, i] = np.bincount(codes, w * Z[:, i] * r, J)
        for j in range(i + 1):
            A[:, i, j] = A[:, j, i] = np.bincount(codes, w * Z[:, i] * Z[:, j], J)
    scale = np.sqrt(np.einsum("jaa->ja", A))
    scale[scale == 0] = 1.0
    scaled = A / (scale[:, :, None] * scale[:, None, :])
    values, vectors = np.linalg.eigh(scaled)
    known = values[:, 0] > _RANK_TOL
    values[~known] = np.nan
    solution: Floats = np.einsum("jab,jb->ja", vectors, np.einsum("jab,ja->jb", vectors, b / scale) / values) / scale
    return solution
