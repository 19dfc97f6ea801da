"""Tables of marginal means and of contrasts among them, laid out as by the R package emmeans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

import numpy as np

from mixedpy.report.layout import display_width, matrix_lines
from mixedpy.report.numbers import format_numbers
from mixedpy.report.records import Floats
from mixedpy.report.rounding import zap_small

__all__ = ["LabelColumn", "MeansRecord", "means_html", "means_text"]

LabelColumn: TypeAlias = "tuple[str, ...] | tuple[float, ...]"

_DIGITS = 3
"""Significant digits, unless the differences among the estimates call for more."""

_DECIMALS = {"t.ratio": 3, "z.ratio": 3, "F.ratio": 3, "p.value": 4}
_DF = frozenset({"df", "df1", "df2"})
_LOGICAL = frozenset({"TRUE", "FALSE"})


@dataclass(frozen=True, slots=True)
class MeansRecord:
    """A table of means or contrasts in groups.

    Attributes
    ----------
    label_names : tuple of str
        Names of the columns that say what a row is about.
    labels : tuple of tuple of str or of float
        These columns; numbers are formatted, and stand on the right.
    names : tuple of str
        Names of the columns of numbers.
    values : (r, c) array
        The numbers; NaN reads "nonEst" in the first column and "NA" elsewhere.
    groups : tuple of (str, tuple of int)
        Heading, or nothing, and rows of each group.
    notes : tuple of str
        Lines below the table.
    above : tuple of str
        Lines above it.
    remarks : tuple of str
        Last column "note", if there is one.
    """

    label_names: tuple[str, ...]
    labels: tuple[LabelColumn, ...]
    names: tuple[str, ...]
    values: Floats
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    notes: tuple[str, ...]
    above: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def _digits(record: MeansRecord) -> int:
    """Significant digits that tell an estimate from itself plus or minus two standard errors, three at least."""
    if "SE" not in record.names:
        return 7
    estimate, se = record.values[:, 0], record.values[:, record.names.index("SE")]
    with np.errstate(invalid="ignore", divide="ignore"):
        ends = np.stack([estimate - 2.0 * se, estimate + 2.0 * se])
        width = np.ptp(ends, axis=0) / np.abs(ends).max(axis=0)
        wanted = np.round(1.51 - np.log10(width))
    return int(max([_DIGITS, *wanted[np.isfinite(wanted) & (width > 1e-8)]]))


def _columns(record: MeansRecord) -> list[list[str]]:
    """Labels and formatted numbers, column by column; texts are brought to the width of their column."""
    digits = _digits(record)
    columns = []
    for name, labels in zip(record.label_names, record.labels, strict=True):
        texts = [label for label in labels if isinstance(label, str)]
        if len(texts) < len(labels):
            columns.append(format_numbers(np.array(labels, np.float64), digits))
        else:
            own = max(map(display_width, texts), default=0) if _LOGICAL.issuperset(texts) else 0
            columns.append(_padded([text.rjust(own) for text in texts], name))
    for j, name in enumerate(record.names):
        x = record.values[:, j]
        missing = np.isnan(x)
        if name in _DECIMALS:
            texts = ["NA" if m else f"{v + 0.0:.{_DECIMALS[name]}f}" for v, m in zip(x, missing, strict=True)]
            if name == "p.value":
                texts = ["<.0001" if text == "0.0000" else text for text in texts]
        else:
            texts = format_numbers(np.round(x, 2) if name in _DF else zap_small(x), digits, na=missing.tolist())
        if j == 0:
            texts = ["nonEst" if m else text for text, m in zip(texts, missing, strict=True)]
        columns.append(texts)
    if any(record.remarks):
        columns.append(_padded(record.remarks, "note"))
    return columns


def _padded(texts: Sequence[str], name: str) -> list[str]:
    width = max(map(display_width, (name, *texts)))
    return [text + " " * (width - display_width(text)) for text in texts]


def _header(record: MeansRecord) -> list[str]:
    """Names of the columns; those of texts stand on the left."""
    names = [
        _padded([name, *labels], name)[0] if all(isinstance(label, str) for label in labels) else name
        for name, labels in zip(record.label_names, record.labels, strict=True)
    ]
    return [*names, *record.names, *(["note"] if any(record.remarks) else [])]


def means_text(record: MeansRecord) -> str:
    """Print a table of means or contrasts.

    Examples
    --------
    >>> values = np.array([[33.12, 1.737, 42.0], [31.64, 1.737, 42.0]])
    >>> print(means_text(MeansRecord(
    ...     ("recipe",), (("A", "B"),), ("emmean", "SE", "df"), values, (("", (0, 1)),),
    ...     ("Degrees-of-freedom method: satterthwaite",))))
     recipe emmean   SE df
     A        33.1 1.74 42
     B        31.6 1.74 42
    <BLANKLINE>
    Degrees-of-freedom method: satterthwaite
    """
    columns, header = _columns(record), _header(record)
    lines = list(record.above)
    for heading, rows in record.groups:
        chosen = [[column[i] for column in columns] for i in rows]
        lines += [f"{heading}:"] if heading else []
        lines += [line.rstrip() for line in matrix_lines(header, [""] * len(rows), chosen, right=True)]
        lines.append("")
    return "\n".join([*lines, *record.notes] if record.notes else lines[:-1])


def means_html(record: MeansRecord) -> str:
    """Show a table of means or contrasts as HTML."""
    columns = _columns(record)
    parts = [f"<p>{escape(line)}</p>" for line in record.above]
    head = "".join(f"<th>{escape(name.strip())}</th>" for name in _header(record))
    for heading, rows in record.groups:
        body = "".join("<tr>" + "".join(f"<td>{escape(c[i].strip())}</td>" for c in columns) + "</tr>" for i in rows)
        title = f"<p>{escape(heading)}</p>" if heading else ""
        parts.append(f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    notes = "<br>".join(map(escape, record.notes))
    return "<div>" + "".join(parts) + f"<p>{notes}</p></div>"
