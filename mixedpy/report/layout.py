"""Lines of a page 80 columns wide: named vectors, text matrices and filled lines as R prints them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["WIDTH", "display_width", "fill_line", "matrix_lines", "named_vector_lines", "wrap_words"]

WIDTH = 80


def display_width(text: str) -> int:
    r"""Count the columns that a text takes on a terminal: two for wide characters, none for combining ones.

    Examples
    --------
    >>> display_width("Days"), display_width("\u6570\u636e"), display_width("e\u0301t\u00e9")
    (4, 4, 3)
    """
    if text.isascii():
        return len(text)
    visible = (c for c in text if not unicodedata.combining(c))
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in visible)


def _pad(text: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - display_width(text))
    return blanks + text if right else text + blanks


def named_vector_lines(names: Sequence[str], texts: Sequence[str], *, gap: int = 1) -> list[str]:
    """Lay out a named vector: right-justified names over right-justified values, each followed by ``gap`` blanks.

    Parameters
    ----------
    names, texts : sequence of str
        Names and values, of the same length.
    gap : int
        Blanks after each field.

    Returns
    -------
    list of str
        Lines in pairs, as many fields to a pair as the page holds.

    Examples
    --------
    >>> named_vector_lines(["(Intercept)", "Days"], ["251.41", " 10.47"], gap=2)
    ['(Intercept)         Days  ', '     251.41        10.47  ']
    """
    width = max(map(display_width, (*names, *texts)), default=0)
    per_line = max(WIDTH // (width + gap), 1)
    lines = []
    for start in range(0, len(names), per_line):
        for row in (names, texts):
            lines.append("".join(_pad(field, width, right=True) + " " * gap for field in row[start : start + per_line]))
    return lines


def matrix_lines(
    columns: Sequence[str], rows: Sequence[str], cells: Sequence[Sequence[str]], *, right: bool = False
) -> list[str]:
    """Lay out a matrix of strings; columns beyond the width of the page follow in further blocks.

    Parameters
    ----------
    columns, rows : sequence of str
        Column and row names.
    cells : sequence of sequences of str
        The cells, row by row.
    right : bool
        Whether cells and column names are right-justified rather than left-justified.

    Returns
    -------
    list of str
        One line of column names and one line for each row, for each block of columns.

    Examples
    --------
    >>> matrix_lines(["Groups", "Name"], ["", ""], [["Subject", "(Intercept)"], ["", "Days"]])
    [' Groups  Name       ', ' Subject (Intercept)', '         Days       ']
    """
    label = max(map(display_width, rows), default=0)
    widths = [max(display_width(text) for text in (name, *(row[j] for row in cells))) for j, name in enumerate(columns)]
    lines: list[str] = []
    start = 0
    while start < len(columns):
        stop, used = start + 1, label + 1 + widths[start]
        while stop < len(columns) and used + 1 + widths[stop] < WIDTH:
            used += 1 + widths[stop]
            stop += 1
        for name, row in [("", columns), *zip(rows, cells, strict=True)]:
            fields = (" " + _pad(row[j], widths[j], right=right) for j in range(start, stop))
            lines.append(_pad(name, label, right=False) + "".join(fields))
        start = stop
    return lines


def fill_line(items: Sequence[str], sep: str = " ") -> list[str]:
    """Put items on lines, starting a new line where the next item would pass the width, R's ``cat(fill = TRUE)``.

    The separator stays at the end of a full line; an item longer than the page is not cut. Widths count UTF-8
    bytes, as in R.

    Examples
    --------
    >>> fill_line(["Formula:", "Reaction ~ Days + (Days | Subject)"])
    ['Formula: Reaction ~ Days + (Days | Subject)']
    """
    lines, current, used = [], "", 0
    for k, item in enumerate(items):
        size = len(item.encode()) + len(sep)
        if k:
            current += sep
        if used > 0 and used + size > WIDTH:
            lines.append(current)
            current, used = "", 0
        current += item
        used += size
    return [*lines, current]


def wrap_words(text: str, width: int, *, hanging: int = 0) -> list[str]:
    """Break a text between words into lines shorter than ``width``, R's ``strwrap``.

    Parameters
    ----------
    text : str
        One paragraph.
    width : int
        Characters that no line reaches, unless a single word does.
    hanging : int
        Blanks before every line but the first.

    Examples
    --------
    >>> wrap_words("one two three", 8, hanging=2)
    ['one two', '  three']
    """
    lines: list[str] = []
    current = ""
    for word in text.split():
        longer = f"{current} {word}" if current.strip() else current + word
        if current.strip() and len(longer) >= width:
            lines.append(current)
            longer = " " * hanging + word
        current = longer
    return [*lines, current]
