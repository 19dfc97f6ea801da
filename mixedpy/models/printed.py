"""Tables that are pandas DataFrames and print as R prints them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.report.anova import AnovaRecord, anova_html, anova_text

__all__ = ["AnovaTable", "anova_table"]


def anova_table(columns: Mapping[str, Any], rows: Sequence[str], heading: Sequence[str]) -> AnovaTable:
    """Make a table of tests.

    Parameters
    ----------
    columns : mapping of str to sequence of numbers
        The columns; NaN prints as nothing.
    rows : sequence of str
        Row labels.
    heading : sequence of str
        Lines printed above the table.
    """
    table = AnovaTable(dict(columns), index=list(rows))
    table.attrs["heading"] = tuple(heading)
    return table


class AnovaTable(pd.DataFrame):
    """A table of tests, one row for each; prints as R's tables of class "anova".

    It is an ordinary DataFrame otherwise, and what is derived from it (``.loc``, ``.round``, ...) prints as pandas
    does. ``attrs["heading"]`` holds the lines printed above the table.
    """

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def _record(self) -> AnovaRecord:
        rows, columns = (tuple(map(str, names)) for names in (self.index, self.columns))
        return AnovaRecord(self.attrs["heading"], columns, rows, self.to_numpy(np.float64))

    def __str__(self) -> str:
        return anova_text(self._record())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return anova_html(self._record())
