"""Covariance matrices of the estimates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.sparse

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.record import Estimates, FitRecord
from mixedpy.design import Schema
from mixedpy.errors import MixedpyError

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


def joint_vcov(design: Design, schema: Schema, record: FitRecord) -> pd.DataFrame:
    """Compute the joint covariance matrix of the fixed effects and the prediction errors of the random effects.

    sigma^2 times the inverse of the coefficient matrix of Henderson's (1975, Biometrics 31, 423) mixed-model
    equations, written in the spherical effects u with b = Lambda u, so that variances of zero are allowed:
    [X'WX, X'WZL; L'Z'WX, L'Z'WZL + I].

    Returns
    -------
    DataFrame
        (p + q) x (p + q), fixed effects first, then the random effects named ``term.level.effect``, level by level
        within a term.

    Raises
    ------
    MixedpyError
        If there are more than 5,000 coefficients.
    """
    p, q = design.p, sum(term.n_levels * term.m for term in design.terms)
    if p + q > _MOST_COEFFICIENTS:
        raise MixedpyError(
            f"vcov(full=True) is a dense matrix of order {p + q:,} (fixed effects {p:,}, random effects {q:,}); "
            f"at most {_MOST_COEFFICIENTS:,} are supported. Use vcov() and ranef(condvar=True) instead"
        )
    root_w = np.ones(design.n) if design.weights is None else np.sqrt(design.weights)
    rows = np.arange(design.n)
    blocks = [scipy.sparse.csc_array(design.X * root_w[:, None])]
    names = list(schema.fixed_names)
    for term, labels in zip(design.terms, schema.terms, strict=True):
        Z = scipy.sparse.csc_array(
            (
                np.concatenate([design.columns[c] * root_w for c in term.columns]),
                (np.tile(rows, term.m), np.concatenate([term.codes * term.m + a for a in range(term.m)])),
            ),
            shape=(design.n, term.n_levels * term.m),
        )
        blocks.append(Z)
        names += [f"{labels.name}.{level}.{effect}" for level in labels.levels for effect in labels.effects]
    C = scipy.sparse.hstack(blocks, format="csc")  # (n, p + q)
    Lambdas = [
        scipy.sparse.kron(scipy.sparse.eye_array(term.n_levels), Lambda)
        for term, Lambda in zip(design.terms, record.Lambda, strict=True)
    ]
    scale = scipy.sparse.block_diag([scipy.sparse.eye_array(p), *Lambdas], format="csc")  # (p + q, p + q)
    scaled = C @ scale
    M = (scaled.T @ scaled).toarray()
    M[range(p, p + q), range(p, p + q)] += 1.0
    spherical = scipy.linalg.cho_solve(scipy.linalg.cho_factor(M), np.eye(p + q))
    joint = record.sigma**2 * (scale @ (scale @ spherical).T)
    return pd.DataFrame((joint + joint.T) / 2.0, index=names, columns=names)
