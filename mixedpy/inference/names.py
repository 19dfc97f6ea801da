"""Names of the covariance parameters, and starting values by position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mixedpy.core.arrays import Design, Floats
from mixedpy.design import Schema
from mixedpy.errors import DataError

__all__ = ["start_values", "theta_names"]


def theta_names(design: Design, schema: Schema) -> list[str]:
    """Name the covariance parameters as lme4 does: ``g.a`` on the diagonal of Lambda, ``g.b.a`` below it.

    With a covariance structure they are ``g.a`` for a standard deviation, ``g.*`` for that of all effects, and
    ``g.rho`` (lme4 2.0's ``par``).
    """
    return [
        f"{names.group}.{parameter}"
        for term, names in zip(design.terms, schema.terms, strict=True)
        for parameter in term.template.parameter_names(names.effects)
    ]


def start_values(design: Design, schema: Schema, start: npt.ArrayLike) -> Floats:
    """Check starting values for theta: one finite number per parameter."""
    theta = np.asarray(start, dtype=float)
    names = theta_names(design, schema)
    if theta.shape != (len(names),):
        raise DataError(f"start= has shape {theta.shape}; {len(names)} values are wanted: {', '.join(names)}")
    if not np.isfinite(theta).all():
        raise DataError(f"start= holds values that are not finite: {theta}; give numbers for {', '.join(names)}")
    bounds = [term.template.bounds() for term in design.terms]
    lower, upper = (np.concatenate(side) for side in zip(*bounds, strict=True))
    # Only correlations are bounded above; a diagonal of Lambda may have either sign.
    for name, value, low, high in zip(names, theta, lower, upper, strict=True):
        if np.isfinite(high) and not low <= value <= high:
            raise DataError(f"start= gives {name} as {value:g}; a correlation lies between {low:.4g} and {high:g}")
    return theta
