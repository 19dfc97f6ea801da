"""Tables of tests as R prints objects of class "anova": heading, columns formatted each for itself, p values, stars."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np

from mixedpy.report.coefmat import LEGEND, format_pvalues, stars
from mixedpy.report.layout import matrix_lines
from mixedpy.report.numbers import format_numbers
from mixedpy.report.records import Floats
from mixedpy.report.rounding import round_decimals, zap_small

__all__ = ["AnovaRecord", "anova_cells", "anova_html", "anova_text"]

_STATISTICS = frozenset({"F", "Cp", "Chisq"})


@dataclass(frozen=True, slots=True)
class AnovaRecord:
    """A table of tests.

    Attributes
    ----------
    heading : tuple of str
        Lines above the table.
    columns, rows : tuple of str
        Names; a last column named ``Pr(...)`` holds p values.
    values : (rows, columns) array
        Numbers; NaN prints as nothing.
    """

    heading: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: Floats


def anova_cells(record: AnovaRecord, digits: int = 5) -> list[list[str]]:
    """Format the cells, row by row.

    Columns named "... value", "F", "Cp" or "Chisq" are statistics, rounded to ``digits - 1`` decimals; all but these
    and those ending in "Df" have their tiny entries set to zero.
    """
    decimals = max(1, min(5, digits - 1))
    missing = np.isnan(record.values)
    columns = []
    for j, name in enumerate(record.columns):
        x, na = record.values[:, j], missing[:, j]
        if _is_pvalue(record, j):
            texts = np.full(len(x), "", dtype=object)
            texts[~na] = format_pvalues(x[~na], decimals)
        elif name[1:7] == " value" or name in _STATISTICS:
            texts = np.array(format_numbers(round_decimals(x, decimals), digits, na=na.tolist()), dtype=object)
        else:
            shown = x if name.endswith("Df") else zap_small(x, digits)
            texts = np.array(format_numbers(shown, digits, na=na.tolist()), dtype=object)
            vanished = ~na & (shown != 0) & (np.where(na, "1", texts).astype(np.float64) == 0)
            if vanished.any():
                texts[vanished] = format_numbers(shown[vanished], max(1, digits - 1))
        texts[na] = ""
        columns.append([str(t) for t in texts])
    return [[column[i] for column in columns] for i in range(len(record.rows))]


def _is_pvalue(record: AnovaRecord, j: int) -> bool:
    return j == len(record.columns) - 1 and record.columns[j].startswith(("P(", "Pr("))


def _marks(record: AnovaRecord) -> list[str] | None:
    """Stars of the rows, if there are p values and one is below 0.1."""
    if not record.columns or not _is_pvalue(record, len(record.columns) - 1):
        return None
    pvalues = record.values[:, -1]
    return [stars(p) for p in pvalues.tolist()] if np.any(pvalues < 0.1) else None


def anova_text(record: AnovaRecord, digits: int = 5) -> str:
    """Print a table as R's ``print.anova`` does.

    Parameters
    ----------
    record : AnovaRecord
        The table.
    digits : int
        Significant digits.

    Returns
    -------
    str
        Lines without a final line break.

    Examples
    --------
    >>> values = np.array([[30030.9, 30030.9, 1.0, 17.0, 45.853, 3.264e-06]])
    >>> columns = ("Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "Pr(>F)")
    >>> print(anova_text(AnovaRecord(("Analysis of Variance Table",), columns, ("Days",), values)))
    Analysis of Variance Table
         Sum Sq Mean Sq NumDF DenDF F value    Pr(>F)
    Days  30031   30031     1    17  45.853 3.264e-06 ***
    ---
    Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
    """
    columns, cells, marks = list(record.columns), anova_cells(record, digits), _marks(record)
    if marks is not None:
        width = max(map(len, marks))
        columns.append("")
        cells = [[*row, mark.ljust(width)] for row, mark in zip(cells, marks, strict=True)]
    lines = [line for text in record.heading for line in text.split("\n")]
    lines += matrix_lines(columns, record.rows, cells, right=True)
    if marks is not None:
        lines += ["---", f"Signif. codes:  {LEGEND}"]
    return "\n".join(lines)


def anova_html(record: AnovaRecord, digits: int = 5) -> str:
    """Show a table of tests as HTML."""
    columns, cells, marks = list(record.columns), anova_cells(record, digits), _marks(record)
    if marks is not None:
        columns.append("")
        cells = [[*row, mark] for row, mark in zip(cells, marks, strict=True)]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("", *columns))
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>" + "".join(f"<td>{html.escape(cell.strip())}</td>" for cell in row) + "</tr>"
        for name, row in zip(record.rows, cells, strict=True)
    )
    heading = "<br>".join(html.escape(line) for text in record.heading for line in text.split("\n") if line)
    legend = "" if marks is None else f"<p>Signif. codes: {html.escape(LEGEND)}</p>"
    return f"<p>{heading}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{legend}"
