"""Tables of marginal means and of contrasts among them, laid out as by the R package emmeans."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from mixedpy.report.layout import matrix_lines
from mixedpy.report.numbers import format_numbers
from mixedpy.report.records import Floats

__all__ = ["MeansRecord", "means_html", "means_text"]

_DIGITS = 3


@dataclass(frozen=True, slots=True)
class MeansRecord:
    """A table of means or contrasts in groups.

    Attributes
    ----------
    label_names : tuple of str
        Names of the columns that say what a row is about.
    labels : tuple of tuple of str
        Their cells, row by row.
    names : tuple of str
        Names of the columns of numbers.
    values : (r, c) array
        The numbers; NaN reads "nonEst" in the first column and "NA" elsewhere.
    groups : tuple of (str, tuple of int)
        Heading, or nothing, and rows of each group.
    notes : tuple of str
        Lines below the table.
    """

    label_names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    values: Floats
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    notes: tuple[str, ...]


def _cells(record: MeansRecord) -> list[list[str]]:
    """Labels and formatted numbers, row by row."""
    columns = []
    for j, name in enumerate(record.names):
        x = record.values[:, j]
        missing = np.isnan(x)
        if name == "t.ratio":
            texts = ["NA" if m else f"{v + 0.0:.3f}" for v, m in zip(x, missing, strict=True)]
        elif name == "p.value":
            texts = ["NA" if m else f"{v:.4f}" for v, m in zip(x, missing, strict=True)]
            texts = ["<.0001" if text == "0.0000" else text for text in texts]
        else:
            shown = np.round(x, 2) if name == "df" else x
            texts = format_numbers(shown, _DIGITS, na=missing.tolist())
        if j == 0:
            texts = ["nonEst" if m else text for text, m in zip(texts, missing, strict=True)]
        columns.append(texts)
    return [[*label, *row] for label, row in zip(record.labels, zip(*columns, strict=True), strict=True)]


def means_text(record: MeansRecord) -> str:
    """Print a table of means or contrasts.

    Examples
    --------
    >>> values = np.array([[33.12, 1.737, 42.0], [31.64, 1.737, 42.0]])
    >>> print(means_text(MeansRecord(
    ...     ("recipe",), (("A",), ("B",)), ("emmean", "SE", "df"), values, (("", (0, 1)),),
    ...     ("Degrees-of-freedom method: satterthwaite",))))
     recipe emmean   SE df
     A        33.1 1.74 42
     B        31.6 1.74 42
    <BLANKLINE>
    Degrees-of-freedom method: satterthwaite
    """
    cells = _cells(record)
    k = len(record.label_names)
    widths = [max([len(name), *(len(row[j]) for row in cells)]) for j, name in enumerate(record.label_names)]
    header = [name.ljust(width) for name, width in zip(record.label_names, widths, strict=True)]
    lines = []
    for heading, rows in record.groups:
        chosen = [[*(t.ljust(w) for t, w in zip(cells[i], widths, strict=False)), *cells[i][k:]] for i in rows]
        lines += [f"{heading}:"] if heading else []
        lines += matrix_lines([*header, *record.names], [""] * len(rows), chosen, right=True)
        lines.append("")
    return "\n".join([*lines, *record.notes] if record.notes else lines[:-1])


def means_html(record: MeansRecord) -> str:
    """Show a table of means or contrasts as HTML."""
    cells = _cells(record)
    parts = []
    head = "".join(f"<th>{escape(name)}</th>" for name in (*record.label_names, *record.names))
    for heading, rows in record.groups:
        body = "".join("<tr>" + "".join(f"<td>{escape(c.strip())}</td>" for c in cells[i]) + "</tr>" for i in rows)
        title = f"<p>{escape(heading)}</p>" if heading else ""
        parts.append(f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    notes = "<br>".join(map(escape, record.notes))
    return "<div>" + "".join(parts) + f"<p>{notes}</p></div>"
