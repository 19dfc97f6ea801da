"""From a request to the estimates of a generalized model: checks, the two stages, and the warnings."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.family import BetaBinomial, Binomial, CountFamily, Family, Hurdle, ZeroInflated
from mixedpy.core.glmm.estimate import estimate_glmm
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.design import Built, Schema, build
from mixedpy.errors import (
    ConvergenceWarning,
    DataError,
    FormulaError,
    MixedpyError,
    SeparationWarning,
)
from mixedpy.errors import warn as warn_user
from mixedpy.inference.glmm.diagnose import alike_levels, separation
from mixedpy.models.fitting import check_types, warn
from mixedpy.models.generalized.families import find_family
from mixedpy.models.generalized.request import GlmmRequest

__all__ = [
    "auxiliary_columns",
    "build_glmm",
    "check_response",
    "check_weights_are_a_column",
    "estimate_built",
    "warn_glmm",
]

MOST_NODES = 25
MOST_EFFECTS = 3


def build_glmm(request: GlmmRequest) -> tuple[Built, Family]:
    """Check the arguments, build the design, and check the response against the family."""
    check_types(request)
    if request.control.factorization != "auto":
        raise ValueError(
            f"Control(factorization={request.control.factorization!r}) is for linear models; a generalized one chooses "
            "how it keeps its cross-products, so leave it at 'auto'"
        )
    family = _family(request)
    built = build(
        request.formula,
        request.data,
        weights=request.weights,
        offset=request.offset,
        contrasts=request.contrasts,
        covariances=request.covariances,
        na_action=request.na_action,
        functions=request.functions,
        counts=isinstance(family, Binomial | BetaBinomial),
        residual=False,
        zeros=request.ziformula,
    )
    if isinstance(family, BetaBinomial) and built.schema.formula.counts is not None and request.weights is not None:
        raise ValueError(
            "cbind() gives the numbers of trials of a beta-binomial response, and trials of one row are not "
            "independent, so that weights= cannot multiply them; leave it out"
        )
    _check_nodes(request, built, family)
    check_response(built.design, built.schema, family)
    return built, family


def _family(request: GlmmRequest) -> Family:
    family = find_family(request.family)
    with_zeros = isinstance(family, ZeroInflated | Hurdle)
    if request.ziformula is not None and not with_zeros:
        if not isinstance(family, CountFamily):
            raise ValueError(f"ziformula= is for counts, but the family is {family.name}; leave it out")
        family = ZeroInflated(family)
    if request.laplace not in ("observed", "expected"):
        raise ValueError(f"laplace={request.laplace!r} is unknown; use 'observed' or 'expected'")
    if request.laplace == "expected" and not family.has_expected:
        raise ValueError(f"laplace='expected' is not available for the family {family.name}; use 'observed'")
    return family


def _check_nodes(request: GlmmRequest, built: Built, family: Family) -> None:
    nagq = request.nagq
    if isinstance(nagq, bool) or not isinstance(nagq, int | np.integer) or not 0 <= nagq <= MOST_NODES:
        raise ValueError(f"nagq={nagq!r} must be a whole number from 0 to {MOST_NODES}")
    if nagq == 0 and family.auxiliary:
        raise ValueError(f"nagq=0 is not available for the family {family.name}, which has more parameters; use nagq=1")
    if nagq <= 1:
        return
    formula, terms = built.schema.formula, built.design.terms
    if len(terms) > 1:
        names = " and ".join(term.name for term in built.schema.terms)
        bar = formula.bars[-1]
        raise FormulaError(
            f"nagq={nagq} ({family.name} family) integrates over a single random term, but the formula has "
            f"{len(terms)}: {names}; use nagq=1 or leave terms out",
            formula.source,
            bar.start,
            bar.stop,
        )
    if terms[0].m > MOST_EFFECTS:
        bar = formula.bars[0]
        raise FormulaError(
            f"nagq={nagq} ({family.name} family) integrates over at most {MOST_EFFECTS} effects per level, but "
            f"{built.schema.terms[0].name} has {terms[0].m}; use nagq=1",
            formula.source,
            bar.start,
            bar.stop,
        )
    if request.laplace == "expected":
        raise ValueError("laplace='expected' is a variant of the Laplace approximation; use it with nagq=1")


def check_response(design: Design, schema: Schema, family: Family) -> None:
    """Refuse a response outside the family's support, naming the rule and the first row that breaks it."""
    if not family.discrete and design.y.min() == design.y.max():
        raise DataError(
            f"the response {schema.response} is the same in all {design.n} rows, {design.y[0]:g}; it must vary"
        )
    m = np.ones(1) if design.weights is None else design.weights
    offence = family.check(design.y, m)
    if offence is None:
        return
    value, row = design.y[offence.row], int(schema.rows[offence.row])
    raise DataError(
        f"the family {family.name} wants {offence.rule}; the response {schema.response} breaks this in "
        f"{offence.count} of {design.n} rows, first in row {row} (counting from 0): {value:g}"
    )


def check_weights_are_a_column(schema: Schema, request: GlmmRequest) -> None:
    """Refuse to draw responses for new rows whose numbers of trials or prior weights are not in a column."""
    if request.weights is not None and schema.weights_name is None:
        raise DataError(
            "new responses need the weights, or numbers of trials, of the new rows, but the fit has them as an array; "
            'put them in a column and fit with weights="<column>"'
        )


def auxiliary_columns(built: Built, family: Family) -> tuple[Floats | None, ...]:
    """Columns of the family's auxiliary predictors: constants but for zeros with a formula."""
    columns: list[Floats | None] = [None for _ in family.auxiliary]
    encoding = built.schema.zeros
    if built.zeros is not None and encoding is not None and encoding.names != ("(Intercept)",):
        columns[-1] = built.zeros
    return tuple(columns)


def estimate_built(
    design: Design,
    schema: Schema,
    family: Family,
    auxiliary: tuple[Floats | None, ...],
    request: GlmmRequest,
    start: tuple[Floats | None, Floats | None] = (None, None),
) -> GlmmRecord:
    """Estimate, or say in terms of the data why that cannot be done; ``start`` holds theta and fixed effects."""
    try:
        return estimate_glmm(
            design,
            family,
            auxiliary=auxiliary,
            nagq=int(request.nagq),
            expected=request.laplace == "expected",
            start=start[0],
            start_fixed=start[1],
            control=request.control,
        )
    except np.linalg.LinAlgError as error:
        raise MixedpyError(
            f"the model cannot be fitted: {error}. The family {family.name} with link {family.link} may not suit the "
            f"response {schema.response}, or columns hold values of extreme size; try another link, or rescale"
        ) from error


def warn_glmm(design: Design, schema: Schema, record: GlmmRecord, control: Control) -> None:
    """Warn of separation, of a fit that did not converge, and of a singular one."""
    for message in (separation(design, schema, record), alike_levels(design, schema, record)):
        if message is not None:
            warn_user(SeparationWarning(message))
    if record.convergence.converged and not record.convergence.inner_converged:
        text = "the conditional modes of the random effects did not converge; rescale the columns or simplify the model"
        warn_user(ConvergenceWarning(text))
    warn(design, schema, record, control)
