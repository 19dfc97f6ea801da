"""From a request to estimates: checks of the arguments, the two stages, and the warnings that an estimate calls for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.estimate import estimate
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Built, Schema, build
from mixedpy.errors import ConvergenceWarning, DataError, FormulaError, MixedpyError, SingularFitWarning
from mixedpy.errors import warn as warn_user
from mixedpy.inference.singular import singular_terms
from mixedpy.models.generalized.request import GlmmRequest
from mixedpy.models.request import Request

__all__ = ["build_design", "check_offset_is_a_column", "check_types", "estimate_design", "explained", "warn"]


def check_types(request: Request | GlmmRequest) -> None:
    """Check the types of what both kinds of models are asked with."""
    if not isinstance(request.formula, str):
        raise FormulaError(
            f"the formula is of type {type(request.formula).__name__}; give a text such as 'y ~ x + (1 | g)'"
        )
    if not isinstance(request.control, Control):
        raise TypeError(f"control={request.control!r} must be made by mixedpy.Control(...)")


def build_design(request: Request) -> Built:
    """Check the types of the arguments and build the design."""
    check_types(request)
    if not isinstance(request.reml, bool):
        raise TypeError(f"reml={request.reml!r} must be True or False")
    return build(
        request.formula,
        request.data,
        weights=request.weights,
        offset=request.offset,
        contrasts=request.contrasts,
        covariances=request.covariances,
        na_action=request.na_action,
        functions=request.functions,
    )


def estimate_design(design: Design, schema: Schema, request: Request, start: Floats | None) -> FitRecord:
    """Estimate, or say in terms of the data why that cannot be done; errors as for :func:`explained`."""
    with explained(design, schema):
        return estimate(design, reml=request.reml, start=start, control=request.control)


@contextmanager
def explained(design: Design, schema: Schema) -> Iterator[None]:
    """Say in terms of the data why a model cannot be estimated.

    Raises
    ------
    DataError
        If the response is constant.
    MixedpyError
        If the criterion has no finite value.
    """
    if design.y.min() == design.y.max():
        raise DataError(
            f"the response {schema.response} is the same in all {design.n} rows, {design.y[0]:g}; it must vary"
        )
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise MixedpyError(
            f"the model cannot be fitted: {error}. Check whether the predictors determine the response "
            f"{schema.response} exactly, and whether columns hold values of extreme size; rescale them"
        ) from error


def warn(design: Design, schema: Schema, record: FitRecord | GlmmRecord, control: Control) -> None:
    """Warn of a fit that did not converge, and of a singular one."""
    if not record.convergence.converged:
        message = f"the fit did not converge: {record.convergence.status.value}"
        warn_user(ConvergenceWarning(message))
    if terms := singular_terms(design, schema, record, control.singular_tol):
        message = (
            f"the fit is singular: among the random effects of {' and '.join(terms)} a variance is zero or a "
            "correlation is plus or minus one. The estimates stand; consider a simpler random part"
        )
        warn_user(SingularFitWarning(message))


def check_offset_is_a_column(request: Request | GlmmRequest) -> None:
    """Refuse to predict for new rows where the offset was given as an array."""
    if request.offset is not None and not isinstance(request.offset, str):
        raise DataError(
            "the fit has an offset given as an array, which new rows lack; put it in a column and fit with "
            'offset="<column>", or write offset(<column>) in the formula'
        )
