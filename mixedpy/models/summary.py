"""The summary of a fit."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mixedpy.report.html import summary_html
from mixedpy.report.records import SummaryRecord
from mixedpy.report.text import summary_text

__all__ = ["Summary"]


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """What ``fit.summary()`` returns: prints as R's ``summary(m)``.

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

    def _repr_html_(self) -> str:
        return summary_html(self.record)
