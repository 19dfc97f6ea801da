"""The summary of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from mixedpy.inference.varcorr import to_frame, variance_components
from mixedpy.inference.vcov import correlation
from mixedpy.models.tables import summary_record
from mixedpy.report.coefmat import coefficient_columns
from mixedpy.report.html import summary_html
from mixedpy.report.records import SummaryRecord
from mixedpy.report.summary_grids import summary_json, summary_latex, summary_markdown
from mixedpy.report.text import summary_text

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit
    from mixedpy.models.lmm import LmmFit

__all__ = ["Summary", "summarize", "summary_tables"]


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """What ``fit.summary()`` returns: prints as R's ``summary(m)``, that of lmerTest where there are p values.

    Attributes
    ----------
    record : SummaryRecord
        The numbers behind the print-out.
    tables : dict of str to DataFrame
        ``fixed`` (columns as printed), ``random`` (as ``fit.varcorr().to_frame()``), ``scaled_residuals`` and
        ``correlation`` (of the fixed effects, whether printed or not).
    """

    record: SummaryRecord
    tables: dict[str, pd.DataFrame]

    def __str__(self) -> str:
        return summary_text(self.record, correlation_note=False)

    __repr__ = __str__

    def to_markdown(self) -> str:
        """Lay out as Markdown with pipe tables."""
        return summary_markdown(self.record)

    def to_latex(self) -> str:
        """Lay out as LaTeX tables for the package booktabs."""
        return summary_latex(self.record)

    def to_json(self) -> str:
        """Write as JSON, numbers in full precision."""
        return summary_json(self.record)

    def to_html(self) -> str:
        """Lay out as HTML whose colours are those of the page around it."""
        return summary_html(self.record)

    _repr_html_ = to_html


def summarize(fit: LmmFit, ddf: str | None, *, show_correlation: bool | None) -> Summary:
    """Make the summary of a fit; ``show_correlation`` None shows correlations of up to 12 fixed effects."""
    record = summary_record(fit, ddf, show_correlation=show_correlation)
    return Summary(record, summary_tables(fit, record))


def summary_tables(fit: Fit, record: SummaryRecord) -> dict[str, pd.DataFrame]:
    """Lay out the parts of a summary as tables."""
    fixed = list(record.coef.names)
    numbers = (record.coef.estimate, record.coef.se, record.coef.df, record.coef.t, record.coef.pvalue)
    columns = zip(coefficient_columns(record.coef), (x for x in numbers if x is not None), strict=True)
    return {
        "fixed": pd.DataFrame(dict(columns), index=fixed),
        "random": to_frame(variance_components(fit.design, fit.schema, fit.record)),
        "scaled_residuals": pd.DataFrame([record.scaled_residuals], columns=["Min", "1Q", "Median", "3Q", "Max"]),
        "correlation": pd.DataFrame(correlation(fit.record), index=fixed, columns=fixed),
    }
