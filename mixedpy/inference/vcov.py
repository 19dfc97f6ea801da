"""Covariance matrices of the estimates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.sparse

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import Estimates, FitRecord
from mixedpy.design import Schema
from mixedpy.errors import MixedpyError
from mixedpy.inference.glmm.working import working_weights
from mixedpy.inference.names import auxiliary_names

__all__ = ["correlation", "joint_vcov", "vcov"]

_MOST_COEFFICIENTS = 5000
"""Order of the largest joint covariance matrix computed: it is dense, 200 MB at this order."""


def vcov(schema: Schema, record: Estimates) -> pd.DataFrame:
    """Compute the covariance matrix of the fixed effects, p x p."""
    names = list(schema.fixed_names)
    return pd.DataFrame(record.fixed_vcov.copy(), index=names, columns=names)


def correlation(record: Estimates) -> Floats:
    """Compute the correlations of the fixed-effects estimates, (p, p)."""
    sd = np.sqrt(np.diag(record.fixed_vcov))
    corr: Floats = record.fixed_vcov / np.outer(sd, sd)
    return corr


def joint_vcov(design: Design, schema: Schema, record: FitRecord | GlmmRecord) -> pd.DataFrame:
    """Compute the joint covariance matrix of the coefficients and the prediction errors of the random effects.

    Given the fixed effects, the errors of the random effects have the covariance B = Lambda M^-1 Lambda' with
    M = Lambda'Z'WZ Lambda + I, and the modes move by -G = -B Z'WX with the fixed effects. With V the covariance of the
    coefficients that is [V, -VG'; -GV, B + GVG'], for a linear model the inverse of the coefficient matrix of
    Henderson's (1975, Biometrics 31, 423) mixed-model equations. W holds the prior weights over sigma^2, in a
    generalized model the working weights. Variances of zero are allowed; the covariance parameters count as known in B.

    Returns
    -------
    DataFrame
        (p + s + q) x (p + s + q): fixed effects, the family's own coefficients, then the random effects named
        ``term.level.effect``, level by level within a term.

    Raises
    ------
    MixedpyError
        If there are more than 5,000 coefficients.
    """
    if isinstance(record, GlmmRecord):
        V, own, scale, weights = record.vcov, auxiliary_names(schema, record), 1.0, working_weights(design, record)
    else:
        V, own, scale = record.fixed_vcov, [], record.sigma**2
        weights = np.ones(design.n) if design.weights is None else design.weights
    p, q = len(V), sum(term.n_levels * term.m for term in design.terms)
    if p + q > _MOST_COEFFICIENTS:
        raise MixedpyError(
            f"vcov(full=True) is a dense matrix of order {p + q:,} (fixed effects {p:,}, random effects {q:,}); "
            f"at most {_MOST_COEFFICIENTS:,} are supported. Use vcov() and ranef(condvar=True) instead"
        )
    W = scipy.sparse.diags_array(weights)
    Z, names = _random_columns(design, schema)
    blocks = zip(design.terms, record.Lambda, strict=True)
    Lambda = scipy.sparse.block_diag(
        [scipy.sparse.kron(scipy.sparse.eye_array(term.n_levels), L) for term, L in blocks], format="csc"
    )
    half = Z @ Lambda
    M = (half.T @ (W @ half)).toarray()
    M[np.diag_indices(q)] += 1.0
    B = np.asarray(Lambda @ (Lambda @ scipy.linalg.cho_solve(scipy.linalg.cho_factor(M), np.eye(q))).T)
    G = np.zeros((q, p))
    G[:, : design.p] = B @ (Z.T @ (W @ design.X))
    joint = np.block([[V, -V @ G.T], [-G @ V, scale * B + G @ V @ G.T]])
    labels = [*schema.fixed_names, *own, *names]
    return pd.DataFrame((joint + joint.T) / 2.0, index=labels, columns=labels)


def _random_columns(design: Design, schema: Schema) -> tuple[Any, list[str]]:
    """The columns Z of all random effects, sparse, level by level within a term, and their names."""
    rows, blocks, names = np.arange(design.n), [], []
    for term, labels in zip(design.terms, schema.terms, strict=True):
        values = np.concatenate([design.columns[c] for c in term.columns])
        at = (np.tile(rows, term.m), np.concatenate([term.codes * term.m + a for a in range(term.m)]))
        blocks.append(scipy.sparse.csc_array((values, at), shape=(design.n, term.n_levels * term.m)))
        names += [f"{labels.name}.{level}.{effect}" for level in labels.levels for effect in labels.effects]
    return scipy.sparse.hstack(blocks, format="csc"), names
