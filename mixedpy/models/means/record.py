"""Tables in groups, with notes: DataFrames that print as those of the R package emmeans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.report.emmeans import LabelColumn, MeansRecord, means_html, means_text

__all__ = ["RecordTable", "by_groups", "label_text"]


def by_groups(labels: pd.DataFrame, by: Sequence[str]) -> list[NDArray[np.intp]]:
    """Rows of each combination of the ``by`` columns."""
    if not by:
        return [np.arange(len(labels))]
    number = labels.groupby(list(by), sort=False, observed=True).ngroup().to_numpy()
    return [np.flatnonzero(number == k) for k in range(number.max() + 1)]


def label_text(value: Any) -> str:
    """Write one value of a predictor."""
    if isinstance(value, bool | np.bool_):
        return str(value).upper()
    return f"{value:.7g}" if isinstance(value, float | np.floating) else str(value)


class RecordTable(pd.DataFrame):
    """A DataFrame that prints in groups, with notes; what is derived from it prints as pandas does."""

    _metadata: list[str] = ["_labels", "_by", "_above", "_notes"]  # noqa: RUF012 - pandas' interface
    _labels: tuple[str, ...]
    _by: tuple[str, ...]
    _above: tuple[str, ...]
    _notes: tuple[str, ...]

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def _record(self) -> MeansRecord:
        shown = [name for name in self._labels if name not in self._by]
        remarks = self["note"].tolist() if "note" in self.columns else []
        numbers = [name for name in self.columns if name not in self._labels and name != "note"]
        groups = []
        for rows in by_groups(self[list(self._labels)], self._by):
            heading = ", ".join(f"{name} = {label_text(self[name].iloc[rows[0]])}" for name in self._by)
            groups.append((heading, tuple(rows.tolist())))
        return MeansRecord(
            label_names=tuple(map(str, shown)),
            labels=tuple(_label_column(self[name]) for name in shown),
            names=tuple(map(str, numbers)),
            values=self[numbers].to_numpy(np.float64),
            groups=tuple(groups),
            notes=self._notes,
            above=self._above,
            remarks=tuple(map(str, remarks)),
        )

    def __str__(self) -> str:
        return means_text(self._record())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return means_html(self._record())


def _label_column(values: pd.Series[Any]) -> LabelColumn:
    """Numbers as they are, all else as text."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return tuple(map(float, values))
    return tuple(map(label_text, values))
