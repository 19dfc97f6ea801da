"""Hypotheses of type I and II about the fixed terms of a generalized fit, in the metric of its covariance matrix."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.design import Schema
from mixedpy.inference.hypotheses import Hypotheses

__all__ = ["swept"]


def swept(schema: Schema, V: Floats, *, sequential: bool) -> Hypotheses:
    """Test the coefficients of each term in the model without the coefficients of some other terms.

    Given that coefficients b2 are zero, the others are estimated by b1 - V12 V22^-1 b2 (R's car::Anova has type II so).
    The hypotheses do not depend on the contrasts, since a model without the terms that contain a term does not.

    Parameters
    ----------
    schema : Schema
        Of the fit.
    V : (p, p) array
        Covariance matrix of the fixed effects.
    sequential : bool
        Whether a term is tested given those before it (type I), rather than given all that do not contain it (type II).
    """
    assign = np.array(schema.assign, dtype=int)
    variables = [frozenset(term) for term in schema.fixed_terms.terms]
    found = {}
    for t, label in enumerate(schema.term_labels):
        absent = [s > t if sequential else variables[t] < variables[s] for s in range(len(variables))]
        own, out = assign == t + 1, np.isin(assign, np.flatnonzero(absent) + 1)
        L = np.zeros((int(own.sum()), len(V)))
        L[:, own] = np.eye(len(L))
        if out.any():
            L[:, out] = -np.linalg.solve(V[np.ix_(out, out)], V[np.ix_(out, own)]).T
        found[label] = L
    return found
