"""Coefficients of each level, from its own rows alone and from the mixed model, other contributions held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.inference.fitted import fixed_part
from mixedpy.inference.glmm.alone import levels_alone
from mixedpy.inference.pooling import alone

__all__ = ["Shrinkage", "shrinkage"]


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """Coefficients of the m effects of one grouping factor, under three degrees of pooling.

    Attributes
    ----------
    effects : tuple of str
        Names.
    levels : tuple of str
        The J levels.
    none : (J, m) array
        Least squares, or maximum likelihood, on the rows of each level; NaN where they do not determine all m
        coefficients, as where all responses of a level are alike.
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


def shrinkage(design: Design, schema: Schema, record: FitRecord | GlmmRecord, group: str) -> Shrinkage:
    """Compare no, partial and complete pooling of the effects of a grouping factor.

    Without pooling, each level's coefficients are those of weighted least squares on its own rows, in a generalized
    model those of maximum likelihood; what other columns
    of the fixed part and other grouping factors contribute is held at its estimate in the mixed model.

    Parameters
    ----------
    group : str
        A grouping factor; its terms are taken together.

    Returns
    -------
    Shrinkage
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
    scale = 1.0 if isinstance(record, GlmmRecord) else record.sigma**2
    covariance = np.zeros((m, m))
    at = 0
    for k in own:
        size = design.terms[k].m
        covariance[at : at + size, at : at + size] = scale * record.Lambda[k] @ record.Lambda[k].T
        at += size
    own_columns = [design.columns[c] for c in columns]
    if isinstance(record, GlmmRecord):
        none = levels_alone(design, record, rest, own_columns, codes, J)
    else:
        w = np.ones(design.n) if design.weights is None else design.weights
        none, _ = alone(design.y - rest, own_columns, w, codes, J)
    return Shrinkage(effects, schema.terms[own[0]].levels, none, complete + modes, complete, covariance)
