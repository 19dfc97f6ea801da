"""A fit -> the plain records that the report prints."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri, stdtrit

from mixedpy.core.record import Convergence
from mixedpy.inference.criteria import criteria
from mixedpy.inference.ddf import t_tests
from mixedpy.inference.fitted import residuals
from mixedpy.inference.varcorr import VarianceComponents, variance_components
from mixedpy.inference.vcov import correlation
from mixedpy.models.memo import inference_of
from mixedpy.report.records import (
    CoefTable,
    Criteria,
    FitHeader,
    Floats,
    Notes,
    PrintRecord,
    SummaryRecord,
    VarCorrRecord,
    VarCorrTerm,
)

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit
    from mixedpy.models.lmm import LmmFit

__all__ = ["MOST_CORRELATED", "notes_of", "print_record", "summary_record", "varcorr_record", "wald_limits"]

MOST_CORRELATED = 12
"""Number of fixed effects up to which a summary shows their correlations unasked, as in lme4."""


def varcorr_record(components: VarianceComponents) -> VarCorrRecord:
    """Fill the table of random effects."""
    terms = tuple(VarCorrTerm(t.name, t.effects, t.sd, t.corr, t.template, t.hom) for t in components.terms)
    return VarCorrRecord(terms, components.sigma)


def print_record(fit: LmmFit) -> PrintRecord:
    """Fill what ``print(fit)`` shows."""
    return PrintRecord(
        header=_header(fit),
        criteria=_criteria(fit),
        varcorr=varcorr_record(variance_components(fit.design, fit.schema, fit.record)),
        notes=notes_of(fit),
        fixef_names=tuple(fit.schema.fixed_names),
        fixef=fit.record.beta,
    )


def summary_record(fit: LmmFit, ddf: str | None, *, show_correlation: bool | None) -> SummaryRecord:
    """Fill what ``print(fit.summary(ddf))`` shows; None shows correlations up to ``MOST_CORRELATED`` fixed effects."""
    record = fit.record
    if show_correlation is None:
        show_correlation = record.p <= MOST_CORRELATED
    return SummaryRecord(
        header=_header(fit),
        criteria=_criteria(fit),
        scaled_residuals=np.quantile(residuals(fit.design, record, "scaled"), [0.0, 0.25, 0.5, 0.75, 1.0]),
        varcorr=varcorr_record(variance_components(fit.design, fit.schema, record)),
        notes=notes_of(fit),
        coef=_coefficients(fit, ddf),
        correlation=correlation(record) if show_correlation else None,
    )


def wald_limits(table: CoefTable, level: float) -> tuple[Floats, Floats]:
    """Confidence limits of the fixed effects, of the t distribution where the table has degrees of freedom, (p,)."""
    p = 0.5 + level / 2
    half = table.se * (ndtri(p) if table.df is None else stdtrit(table.df, p))
    return table.estimate - half, table.estimate + half


def _coefficients(fit: LmmFit, ddf: str | None) -> CoefTable:
    """The table of fixed effects, with degrees of freedom and p values unless ``ddf`` is None."""
    inference = inference_of(fit, ddf)
    tests = t_tests(inference, np.eye(fit.record.p))
    table = CoefTable(tuple(fit.schema.fixed_names), tests.estimate, tests.se, tests.t)
    if ddf is None:
        return table
    return replace(table, df=tests.df, pvalue=tests.pvalue, ddf_label=inference.method.label)


def _header(fit: LmmFit) -> FitHeader:
    schema = fit.schema
    return FitHeader(
        fit.record.reml, schema.formula.expanded, schema.data_name, schema.weights_name, schema.offset_name
    )


def _criteria(fit: LmmFit) -> Criteria:
    c = criteria(fit.record)
    if fit.record.reml:
        return Criteria(reml_criterion=c.deviance)
    return Criteria(aic=c.aic, bic=c.bic, loglik=c.loglik, deviance=c.deviance, df_resid=c.df_resid)


def notes_of(fit: Fit) -> Notes:
    """Collect what print-outs of either kind of fit say at their end."""
    return Notes(
        nobs=fit.nobs,
        ngroups=tuple(fit.ngroups.items()),
        singular=fit.singular,
        converged=fit.converged,
        message=None if fit.converged else fit.convergence.status.value,
        dropped=tuple(fit.schema.dropped),
        n_missing_rows=fit.schema.n_missing_rows,
        loglik_se=fit.convergence.loglik_se if isinstance(fit.convergence, Convergence) else 0.0,
    )
