"""A generalized fit -> the plain records that the report prints, and its summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr

from mixedpy.core.family import NegativeBinomial2
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.inference.glmm.residuals import glmm_residuals
from mixedpy.inference.varcorr import to_frame, variance_components
from mixedpy.models.summary import Summary
from mixedpy.models.tables import MOST_CORRELATED, varcorr_record
from mixedpy.report.coefmat import coefficient_columns
from mixedpy.report.records import CoefTable, Criteria, FitHeader, Notes, PrintRecord, SummaryRecord

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["glmm_print_record", "summarize_glmm"]


def glmm_print_record(fit: GlmmFit) -> PrintRecord:
    """Fill what ``print(fit)`` shows."""
    return PrintRecord(
        header=_header(fit),
        criteria=_criteria(fit),
        varcorr=varcorr_record(variance_components(fit.design, fit.schema, fit.record)),
        notes=_notes(fit),
        fixef_names=tuple(fit.schema.fixed_names),
        fixef=fit.record.beta,
    )


def summarize_glmm(fit: GlmmFit, *, show_correlation: bool | None) -> Summary:
    """Make the summary of a fit; ``show_correlation`` None shows correlations of up to 12 fixed effects."""
    record, names = fit.record, tuple(fit.schema.fixed_names)
    p = record.p
    vcov = record.vcov[:p, :p]
    se = np.sqrt(np.diag(vcov))
    z = record.beta / se
    pvalue = 2.0 * ndtr(-np.abs(z))
    correlation = vcov / np.outer(se, se)
    shown = p <= MOST_CORRELATED if show_correlation is None else show_correlation
    table = CoefTable(
        names, record.beta, se, z, pvalue=pvalue, statistic="t" if record.family.has_scale else "z", p_statistic="z"
    )
    summary = SummaryRecord(
        header=_header(fit),
        criteria=_criteria(fit),
        scaled_residuals=np.quantile(glmm_residuals(fit.design, record, "scaled"), [0.0, 0.25, 0.5, 0.75, 1.0]),
        varcorr=varcorr_record(variance_components(fit.design, fit.schema, fit.record)),
        notes=_notes(fit),
        coef=table,
        correlation=correlation if shown else None,
    )
    columns = dict(zip(coefficient_columns(table), (record.beta, se, z, pvalue), strict=True))
    fixed = list(names)
    tables = {
        "fixed": pd.DataFrame(columns, index=fixed),
        "random": to_frame(variance_components(fit.design, fit.schema, fit.record)),
        "scaled_residuals": pd.DataFrame([summary.scaled_residuals], columns=["Min", "1Q", "Median", "3Q", "Max"]),
        "correlation": pd.DataFrame(correlation, index=fixed, columns=fixed),
    }
    if len(record.alpha):
        alpha_se = np.sqrt(np.diag(record.vcov)[p:])
        tables["auxiliary"] = pd.DataFrame(
            {"Estimate": record.alpha, "Std. Error": alpha_se}, index=list(fit.auxiliary.index)
        )
    return Summary(summary, tables)


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


def _notes(fit: GlmmFit) -> Notes:
    return Notes(
        nobs=fit.nobs,
        ngroups=tuple(fit.ngroups.items()),
        singular=fit.singular,
        converged=fit.converged,
        message=None if fit.converged else fit.convergence.status.value,
        dropped=tuple(fit.schema.dropped),
        n_missing_rows=fit.schema.n_missing_rows,
    )
