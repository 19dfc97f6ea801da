"""The table of fixed effects: R's ``printCoefmat``, with p values, stars and legend where there are p values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mixedpy.report.layout import matrix_lines
from mixedpy.report.numbers import format_numbers
from mixedpy.report.records import CoefTable, Floats
from mixedpy.report.rounding import round_decimals

__all__ = [
    "LEGEND",
    "OWN_CAPTION",
    "OWN_COLUMNS",
    "coefficient_cells",
    "coefficient_columns",
    "coefficient_lines",
    "format_pvalues",
    "own_cells",
    "stars",
]

LEGEND = "0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1"
OWN_CAPTION = "Parameters of the distribution"
OWN_COLUMNS = ("Estimate", "Std. Error")

_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
_EPS = float(np.finfo(np.float64).eps)


def format_pvalues(pvalues: Sequence[float] | Floats, digits: int = 5, eps: float = _EPS) -> list[str]:
    """Format p values, those below ``eps`` as "<eps" and the small ones apart from the others, R's ``format.pval``.

    Parameters
    ----------
    pvalues : sequence of float
        p values; NaN gives "NA".
    digits : int
        Significant digits.
    eps : float
        Bound below which only the bound is shown.

    Examples
    --------
    >>> format_pvalues([1e-20, 3.26e-6, 0.04], 3)
    ['< 2e-16', '3.26e-06', '0.04']
    """
    values = np.asarray(pvalues, dtype=np.float64)
    texts = np.full(values.shape, "NA", dtype=object)
    tiny = values < eps
    shown = ~tiny & ~np.isnan(values)
    exponent = np.floor(np.log10(np.where(shown & (values > 0), values, 1e-50)))
    fixed = (exponent >= -3) | ((exponent == -4) & (digits > 1))
    for group in (shown & fixed, shown & ~fixed):
        texts[group] = format_numbers(values[group], digits)
    if tiny.any():
        eps_digits = max(1, digits - 2)
        separator = "" if eps_digits == 1 else " "
        if shown.any():
            width = max(len(t) for t in texts[shown])
            if eps_digits > 1 and eps_digits + 6 > width:
                eps_digits = max(1, width - 7)
            separator = "" if eps_digits == 1 and width <= 6 else " "
        texts[tiny] = "<" + separator + format_numbers([eps], eps_digits)[0]
    return [str(t) for t in texts]


def stars(pvalue: float) -> str:
    """Mark a p value by its level of significance; NaN has no mark.

    Examples
    --------
    >>> [stars(p) for p in (0.0001, 0.001, 0.02, 0.06, 0.5)]
    ['***', '***', '*', '.', ' ']
    """
    if math.isnan(pvalue):
        return ""
    return next((mark for bound, mark in _STARS if pvalue <= bound), " ")


def _format_estimates(values: Floats, digits: int) -> list[str]:
    """Format estimates, standard errors and degrees of freedom together, at decimals fit for both extremes."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    leading = [1 + math.floor(math.log10(s)) for s in (sizes.min(), sizes.max())] if sizes.size else [1]
    rounded = round_decimals(values, max(1, *(digits - d for d in leading)))
    return format_numbers(rounded, digits)


def coefficient_columns(table: CoefTable) -> tuple[str, ...]:
    """Name the columns of the table as R does, without the stars.

    Examples
    --------
    >>> import numpy as np
    >>> coefficient_columns(CoefTable(("x",), np.ones(1), np.ones(1), np.ones(1)))
    ('Estimate', 'Std. Error', 't value')
    """
    names = ["Estimate", "Std. Error"]
    if table.df is not None:
        names.append("df")
    names.append(f"{table.statistic} value")
    if table.pvalue is not None:
        names.append(f"Pr(>|{table.p_statistic or table.statistic}|)")
    return tuple(names)


def coefficient_cells(table: CoefTable, digits: int = 4) -> list[list[str]]:
    """Format the cells of the table, row by row, without the stars.

    Estimates, standard errors and degrees of freedom share one layout, the statistics have their own at
    ``digits - 1`` decimals, at most five; an estimate that rounding would turn into zero is formatted apart.

    Parameters
    ----------
    table : CoefTable
        The numbers.
    digits : int
        Significant digits aimed at.

    Returns
    -------
    list of list of str
        Cells in the order of `coefficient_columns`; missing numbers read "NA".

    Examples
    --------
    >>> import numpy as np
    >>> one = CoefTable(("x",), np.array([10.46729]), np.array([1.545790]), np.array([6.771481]))
    >>> coefficient_cells(one)
    [['10.467', ' 1.546', '6.771']]
    """
    decimals = max(1, min(5, digits - 1))
    leading = np.stack([c for c in (table.estimate, table.se, table.df) if c is not None])  # (2 or 3, p)
    texts = np.array(_format_estimates(leading.ravel(), digits), dtype=object).reshape(leading.shape)
    vanished = (leading != 0) & (texts.astype(np.float64) == 0)
    if vanished.any():
        texts[vanished] = format_numbers(leading[vanished], max(1, digits - 1))
    texts[np.isnan(leading)] = "NA"
    columns: list[list[str]] = texts.tolist()
    statistic = format_numbers(round_decimals(table.t, decimals), digits)
    columns.append(["NA" if math.isnan(t) else s for t, s in zip(table.t, statistic, strict=True)])
    if table.pvalue is not None:
        columns.append(_format_present_pvalues(table.pvalue, decimals))
    return [[column[i] for column in columns] for i in range(len(table.names))]


def _format_present_pvalues(pvalues: Floats, digits: int) -> list[str]:
    texts = np.full(pvalues.shape, "NA", dtype=object)
    present = ~np.isnan(pvalues)
    texts[present] = format_pvalues(pvalues[present], digits)
    return [str(t) for t in texts]


def own_cells(table: CoefTable, digits: int = 4) -> list[list[str]]:
    """Format the parameters of a distribution: estimates and standard errors, row by row."""
    return [row[:2] for row in coefficient_cells(table, digits)]


def coefficient_lines(table: CoefTable, digits: int = 4) -> list[str]:
    """Print the table, with stars and their legend if there are p values and one is below 0.1.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([10.46729]), np.array([1.545790]), np.array([6.771481])
    >>> print(*coefficient_lines(CoefTable(("Days",), *x)), sep="\\n")
         Estimate Std. Error t value
    Days   10.467      1.546   6.771
    """
    cells = coefficient_cells(table, digits)
    columns = list(coefficient_columns(table))
    starred = table.pvalue is not None and bool(np.any(table.pvalue < 0.1))
    if starred and table.pvalue is not None:
        marks = [stars(p) for p in table.pvalue.tolist()]
        width = max(map(len, marks))
        columns.append("")
        cells = [[*row, mark.ljust(width)] for row, mark in zip(cells, marks, strict=True)]
    lines = matrix_lines(columns, table.names, cells, right=True)
    return [*lines, "---", f"Signif. codes:  {LEGEND}"] if starred else lines
