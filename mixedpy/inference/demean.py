"""Within and between: cluster means of a predictor, and deviations from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.design.columns import Codes, as_factor, as_numbers
from mixedpy.design.frame import Table, open_table
from mixedpy.errors import DataError

__all__ = ["demean"]


def demean(data: Any, x: str | Sequence[str], by: str | Sequence[str]) -> pd.DataFrame:
    """Add the cluster means of predictors and the deviations from them.

    With both in a model the coefficient of the deviation is the effect within clusters, that of the mean the effect
    between them (Mundlak 1978, Econometrica 46, 69); a single coefficient mixes the two.

    Parameters
    ----------
    data : DataFrame, Table or mapping
        The table, of pandas, polars, pyarrow or a dict of columns; it is not modified.
    x : str or sequence of str
        Numeric columns.
    by : str or sequence of str
        The clusters: a column, or several whose combinations are the clusters.

    Returns
    -------
    DataFrame
        The table with columns ``<x>_between`` (mean of the cluster, over its rows that have a value) and ``<x>_within``
        (value less this mean). Rows without a cluster get NaN.

    Raises
    ------
    DataError
        If a column is missing, is not numeric, or a new column would replace one.

    Examples
    --------
    >>> import mixedpy as mp
    >>> table = {"x": [1.0, 3.0, 4.0, 8.0], "school": ["a", "a", "b", "b"]}
    >>> mp.demean(table, "x", by="school")
         x school  x_between  x_within
    0  1.0      a        2.0      -1.0
    1  3.0      a        2.0       1.0
    2  4.0      b        6.0      -2.0
    3  8.0      b        6.0       2.0
    """
    table = open_table(data)
    wanted = [x] if isinstance(x, str) else list(x)
    groups = [by] if isinstance(by, str) else list(by)
    for names, what in ((wanted, "x"), (groups, "by")):
        if not names:
            raise DataError(f"{what} names no column; give one or several names")
    codes = _clusters(table, groups)
    new: dict[str, Floats] = {}
    for name in wanted:
        values = as_numbers(table.column(name))
        if values is None:
            raise DataError(f"column `{name}` is not numeric and has no mean; give numbers, or indicators of levels")
        new[f"{name}_between"], new[f"{name}_within"] = _split(values, codes)
    taken = [name for name in new if name in table.names]
    if taken:
        raise DataError(f"the table has a column `{taken[0]}` already; rename it, or drop it first")
    frame = pd.DataFrame(dict(data)) if isinstance(data, Mapping) else data
    return (frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()).assign(**new)


def _clusters(table: Table, names: Sequence[str]) -> Codes:
    """Number the combinations of several columns; -1 where one is missing."""
    codes = as_factor(table.column(names[0])).codes
    for name in names[1:]:
        more = as_factor(table.column(name)).codes
        missing = (codes < 0) | (more < 0)
        codes, _ = pd.factorize(codes * (int(more.max(initial=0)) + 1) + more)
        codes = np.where(missing, -1, codes)
    return codes.astype(np.intp, copy=False)


def _split(values: Floats, codes: Codes) -> tuple[Floats, Floats]:
    known = (codes >= 0) & ~np.isnan(values)
    n_clusters = int(codes.max(initial=-1)) + 1
    counts = np.bincount(codes[known], minlength=n_clusters)
    with np.errstate(invalid="ignore"):
        means = np.bincount(codes[known], values[known], n_clusters) / counts
    between = np.where(codes >= 0, np.append(means, np.nan)[codes], np.nan)
    return between, values - between
