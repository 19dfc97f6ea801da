"""A generalized fit -> the plain records that the report prints, and its summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr

from mixedpy.core.arrays import Floats
from mixedpy.core.family import Family, NegativeBinomial2
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.inference.glmm.response import of_rows
from mixedpy.inference.names import auxiliary_names
from mixedpy.inference.varcorr import variance_components
from mixedpy.inference.vcov import correlation
from mixedpy.models.summary import Summary, summary_tables
from mixedpy.models.tables import MOST_CORRELATED, notes_of, summary_record, varcorr_record
from mixedpy.report.records import CoefTable, Criteria, FitHeader, PrintRecord, SummaryRecord

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit
    from mixedpy.models.glmm import GlmmFit

__all__ = ["auxiliary_table", "glmm_print_record", "glmm_summary_record", "summarize_glmm", "summary_record_of"]


def glmm_print_record(fit: GlmmFit) -> PrintRecord:
    """Fill what ``print(fit)`` shows."""
    return PrintRecord(
        header=_header(fit),
        criteria=_criteria(fit),
        varcorr=varcorr_record(variance_components(fit.design, fit.schema, fit.record)),
        notes=notes_of(fit),
        fixef_names=tuple(fit.schema.fixed_names),
        fixef=fit.record.beta,
    )


def glmm_summary_record(fit: GlmmFit, *, show_correlation: bool | None) -> SummaryRecord:
    """Fill what ``print(fit.summary())`` shows; None shows correlations of up to 12 fixed effects."""
    record = fit.record
    shown = record.p <= MOST_CORRELATED if show_correlation is None else show_correlation
    return SummaryRecord(
        header=_header(fit),
        criteria=_criteria(fit),
        scaled_residuals=np.quantile(_scaled_residuals(fit), [0.0, 0.25, 0.5, 0.75, 1.0]),
        varcorr=varcorr_record(variance_components(fit.design, fit.schema, record)),
        notes=notes_of(fit),
        coef=_coefficients(fit),
        correlation=correlation(record) if shown else None,
        own=None if _shown_elsewhere(record.family) else auxiliary_table(fit),
    )


def _shown_elsewhere(family: Family) -> bool:
    """Whether the family's one parameter is the residual standard deviation, or the size in the family's name."""
    return family.has_scale or isinstance(family, NegativeBinomial2)


def _scaled_residuals(fit: GlmmFit) -> Floats:
    """Pearson residuals over sigma; NaN in rows whose means have left the range of the family."""
    response = of_rows(fit.design, fit.record)
    with np.errstate(all="ignore"):
        scale = fit.record.family.pearson_scale(response.m, response.eta, response.xi)
        return (fit.design.y - response.mean) / scale / fit.record.sigma


def _coefficients(fit: GlmmFit) -> CoefTable:
    """The table of fixed effects with tests by the normal distribution."""
    record = fit.record
    se = np.sqrt(np.diag(record.fixed_vcov))
    z = record.beta / se
    statistic = "t" if record.family.has_scale else "z"
    names, pvalue = tuple(fit.schema.fixed_names), 2.0 * ndtr(-np.abs(z))
    return CoefTable(names, record.beta, se, z, pvalue=pvalue, statistic=statistic, p_statistic="z")


def auxiliary_table(fit: Fit) -> CoefTable | None:
    """The family's own coefficients with standard errors; None for a family, or a linear model, that has none."""
    record = fit.record
    if isinstance(record, FitRecord) or not len(record.alpha):
        return None
    se = np.sqrt(np.diag(record.vcov)[record.p :])
    return CoefTable(tuple(auxiliary_names(fit.schema, record)), record.alpha, se, record.alpha / se)


def summarize_glmm(fit: GlmmFit, *, show_correlation: bool | None) -> Summary:
    """Make the summary of a fit; ``show_correlation`` None shows correlations of up to 12 fixed effects."""
    record = glmm_summary_record(fit, show_correlation=show_correlation)
    tables = summary_tables(fit, record)
    own = auxiliary_table(fit)
    if own is not None:
        tables["auxiliary"] = pd.DataFrame({"Estimate": own.estimate, "Std. Error": own.se}, index=list(own.names))
    return Summary(record, tables)


def summary_record_of(fit: Fit, ddf: str | None, *, show_correlation: bool | None) -> SummaryRecord:
    """Fill the summary of either kind of fit; ``ddf`` is for linear ones."""
    if isinstance(fit.record, FitRecord):
        return summary_record(fit, ddf, show_correlation=show_correlation)
    return glmm_summary_record(fit, show_correlation=show_correlation)


def family_label(record: GlmmRecord) -> str:
    """Name the family as R does: that of a negative binomial holds its size."""
    family = record.family
    if isinstance(family, NegativeBinomial2):
        return f"Negative Binomial({float(f'{np.exp(record.alpha[0]):.4f}'):g})"
    return family.label


def _header(fit: GlmmFit) -> FitHeader:
    schema = fit.schema
    return FitHeader(
        False,
        schema.formula.expanded,
        schema.data_name,
        schema.weights_name,
        schema.offset_name,
        family=family_label(fit.record),
        link=fit.record.family.link,
        nagq=fit.record.nagq,
    )


def _criteria(fit: GlmmFit) -> Criteria:
    return Criteria(aic=fit.aic, bic=fit.bic, loglik=fit.loglik, deviance=fit.deviance, df_resid=fit.df_resid)
