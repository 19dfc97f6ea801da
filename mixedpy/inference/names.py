"""Names of the covariance parameters, and starting values by position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mixedpy.core.arrays import Design, Floats
from mixedpy.design import Schema
from mixedpy.errors import DataError

__all__ = ["start_values", "theta_names"]


def theta_names(design: Design, schema: Schema) -> list[str]:
    """Name the entries of theta as lme4 does: ``g.a`` on the diagonal of Lambda, ``g.b.a`` below it.

    Which entries of Lambda a parameter moves is read off the template's Jacobian, so the names follow any form.
    """
    labels = []
    for term, names in zip(design.terms, schema.terms, strict=True):
        theta = term.template.from_variances(np.ones(term.m))
        for D in term.template.jacobian(theta):  # (m, m) per parameter
            b, a = (int(k) for k in np.argwhere(D)[0])
            parts = [names.effects[b], names.effects[a]] if a != b else [names.effects[a]]
            labels.append(".".join([names.group, *parts]))
    return labels


def start_values(design: Design, schema: Schema, start: npt.ArrayLike) -> Floats:
    """Check starting values for theta: one finite number per parameter."""
    theta = np.asarray(start, dtype=float)
    names = theta_names(design, schema)
    if theta.shape != (len(names),):
        raise DataError(f"start= has shape {theta.shape}; {len(names)} values are wanted: {', '.join(names)}")
    if not np.isfinite(theta).all():
        raise DataError(f"start= holds values that are not finite: {theta}; give numbers for {', '.join(names)}")
    return theta
