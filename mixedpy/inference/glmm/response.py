"""The response's distribution on n rows: linear and auxiliary predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.family.protocol import Family, Predictors
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.design import Schema, zero_columns
from mixedpy.errors import MixedpyError
from mixedpy.inference.fitted import Level, fixed_part, random_part

__all__ = ["Response", "auxiliary_predictors", "check_means", "new_auxiliary_predictors", "of_rows"]


@dataclass(frozen=True, slots=True)
class Response:
    """The distribution of the response on n rows.

    Attributes
    ----------
    family : Family
        Its kind.
    eta : (n,) array
        Linear predictor.
    xi : tuple of arrays
        Auxiliary predictors, each (n,) or (1,).
    m : (n,) or (1,) array
        Prior weights.
    """

    family: Family
    eta: Floats
    xi: Predictors
    m: Floats

    @property
    def mean(self) -> Floats:
        """Mean of the response, (n,)."""
        return self.family.mean(self.eta, self.xi)


def auxiliary_predictors(record: GlmmRecord) -> Predictors:
    """Auxiliary predictors on the rows of the fit."""
    return _predictors(record, record.auxiliary)


def new_auxiliary_predictors(schema: Schema, record: GlmmRecord, newdata: Any) -> Predictors:
    """Auxiliary predictors on the rows of a new table."""
    columns = tuple(None if c is None else zero_columns(schema, newdata) for c in record.auxiliary)
    return _predictors(record, columns)


def _predictors(record: GlmmRecord, auxiliary: tuple[Floats | None, ...]) -> Predictors:
    out, start = [], 0
    for columns in auxiliary:
        size = 1 if columns is None else columns.shape[1]
        share = record.alpha[start : start + size]
        out.append(share if columns is None else columns @ share)
        start += size
    return tuple(out)


def check_means(family: Family, eta: Floats, what: str) -> None:
    """Raise a MixedpyError if the inverse link leaves the range of the family's means in some rows.

    Parameters
    ----------
    eta : (n,) array
        Linear predictors; rows of NaN are not counted.
    what : str
        What is then not defined, for the message.
    """
    low, high = family.mean_range
    with np.errstate(all="ignore"):
        mu = family.mu(eta)
    known = ~np.isnan(eta)
    bad = int((known & ~((mu >= low) & (mu <= high))).sum())
    if bad:
        raise MixedpyError(
            f"{bad} of {int(known.sum())} rows have means outside the range of the family {family.name} (from {low:g} "
            f"to {high:g}) with link {family.link}, so that {what} cannot be computed; use a link that keeps the means "
            "inside"
        )


def of_rows(design: Design, record: GlmmRecord, level: Level = "conditional") -> Response:
    """Describe the response on the rows of the fit, with the conditional modes or without random effects."""
    if level not in ("conditional", "marginal"):
        raise ValueError(f"level={level!r} is unknown; use 'conditional' or 'marginal'")
    eta = fixed_part(design, record)
    if level == "conditional":
        eta = eta + random_part(design, record.modes)
    m = np.ones(1) if design.weights is None else design.weights
    return Response(record.family, eta, auxiliary_predictors(record), m)
