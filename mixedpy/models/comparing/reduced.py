"""A fit's model with something left out, fitted to the same rows."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mixedpy.core.glmm.fixed import fixed_deviance
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.linear import linear_criterion
from mixedpy.core.record import FitRecord, Status
from mixedpy.errors import ConvergenceWarning, DataError, MixedpyError, RankDeficiencyWarning, warn
from mixedpy.inference.criteria import Criteria, criteria
from mixedpy.models import fitting
from mixedpy.models.generalized import fitting as glmm_fitting
from mixedpy.models.update import remaining_contrasts

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = ["check_response_in_table", "without_random_effects", "without_terms"]


def check_response_in_table(fit: LmmFit | GlmmFit) -> None:
    """Raise a MixedpyError if the fit is to a response that its table does not have."""
    if fit.request.refitted:
        raise MixedpyError(
            "this fit comes from refit(), so its response is not in the table; put the response into the table and "
            f"call {'glmer' if isinstance(fit.record, GlmmRecord) else 'lmer'}()"
        )


def without_terms(fit: LmmFit | GlmmFit, formula: str, what: str, *, method: str, structures: bool) -> Criteria:
    """Estimate the model of another formula, which lacks terms of that of a fit.

    Parameters
    ----------
    fit : LmmFit or GlmmFit
        The fit.
    formula : str
        The formula.
    what, method : str
        What it lacks, and who leaves it out, for messages.
    structures : bool
        Whether the covariance structures that the fit was given apply; otherwise the formula has them.

    Raises
    ------
    DataError
        If the model would use other rows.
    """
    found: FitRecord | GlmmRecord
    changed: dict[str, Any] = {
        "formula": formula,
        "start": None,
        "covariances": fit.request.covariances if structures else None,
        "contrasts": remaining_contrasts(fit.request.contrasts, formula, fit.request.functions),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficiencyWarning)  # given when the fit was made
        if isinstance(fit.record, GlmmRecord):
            generalized = replace(fit.request, **changed)
            built, family = glmm_fitting.build_glmm(generalized)
        else:
            linear = replace(fit.request, **changed)
            built = fitting.build_design(linear)
    if built.design.n != fit.nobs:
        raise DataError(
            f"{method}: without {what} {built.design.n} rows can be used, not the {fit.nobs} of the fit, since values "
            "of what it uses are missing; fit to a table without those rows"
        )
    if isinstance(fit.record, GlmmRecord):
        columns = glmm_fitting.auxiliary_columns(built, family)
        found = glmm_fitting.estimate_built(built.design, built.schema, family, columns, generalized)
    else:
        found = fitting.estimate_design(built.design, built.schema, linear, None)
    _warn(what, found.convergence.status)
    return criteria(found)


def without_random_effects(fit: LmmFit | GlmmFit) -> Criteria:
    """Estimate the fixed part alone."""
    record = fit.record
    if isinstance(record, GlmmRecord):
        deviance, status = fixed_deviance(fit.design, record.family, record.auxiliary, fit.request.control)
        _warn("random effects", status)
        npar = record.p + len(record.alpha)
    else:
        deviance, npar = linear_criterion(fit.design, reml=record.reml), record.p + 1
    return Criteria(npar=npar, df_resid=record.n - npar, deviance=deviance)


def _warn(what: str, status: Status) -> None:
    if status is not Status.CONVERGED:
        warn(ConvergenceWarning(f"the fit without {what} did not converge: {status.value}"))
