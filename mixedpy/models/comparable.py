"""Whether fits may be compared: the same rows, response and weights, by content, and commensurate criteria."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mixedpy.core.estimate import estimate_prepared, prepare
from mixedpy.errors import DataError
from mixedpy.inference.nesting import same_fixed_part
from mixedpy.models.lmm import LmmFit

__all__ = ["by_ml", "check_fits", "check_names", "check_same_data", "one_fixed_part"]


def check_fits(what: str, fits: Sequence[Any], least: int) -> None:
    """Raise a TypeError unless there are enough arguments and all are fits."""
    for k, fit in enumerate(fits, start=1):
        if not isinstance(fit, LmmFit):
            raise TypeError(
                f"{what}: argument {k} is of type {type(fit).__name__}; fits made by mixedpy.lmer are wanted"
            )
    if len(fits) < least:
        raise TypeError(f"{what} compares fits; give {least} or more (for the terms of one fit: fit.anova())")


def check_names(what: str, names: Sequence[str], count: int) -> list[str]:
    """Raise a ValueError unless there is one name for each fit, all different."""
    found = [str(name) for name in names]
    if len(found) != count or len(set(found)) < count:
        raise ValueError(f"{what}: names={found} must give {count} different names, one for each fit")
    return found


def check_same_data(fits: Sequence[LmmFit], names: Sequence[str]) -> None:
    """Raise a DataError, saying what differs, unless all fits have the same rows, response and weights."""
    first = fits[0]
    for fit, name in zip(fits[1:], names[1:], strict=True):
        both = f"{names[0]} and {name}"
        if fit.nobs != first.nobs:
            raise DataError(
                f"{both} were fitted to {first.nobs} and {fit.nobs} rows; fit both to the same rows (leave out those "
                "with missing values of either model)"
            )
        unequal = first.design.y != fit.design.y
        if unequal.any():
            raise DataError(
                f"{both} were fitted to different responses ({first.schema.response} and {fit.schema.response}) or "
                f"rows: {int(unequal.sum())} of {fit.nobs} values differ; likelihoods of different data cannot be "
                "compared"
            )
        one, two = first.design.weights, fit.design.weights
        if (one is None) != (two is None) or (one is not None and two is not None and not np.array_equal(one, two)):
            raise DataError(f"{both} have different prior weights; fit both with the same weights")


def one_fixed_part(fits: Sequence[LmmFit]) -> bool:
    """Whether all fits have the same columns of X and the same offset, so that REML criteria are commensurate."""
    return all(same_fixed_part(fits[0].design, fit.design) for fit in fits[1:])


def by_ml(fit: LmmFit) -> LmmFit:
    """Refit by maximum likelihood, from the arrays and the estimates of a REML fit."""
    if not fit.record.reml:
        return fit
    control = fit.request.control
    record = estimate_prepared(prepare(fit.design, control), reml=False, start=fit.record.theta, control=control)
    return replace(fit, record=record, request=replace(fit.request, reml=False, start=None))
