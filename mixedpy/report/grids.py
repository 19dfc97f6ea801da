"""Tables of texts, and their layout as plain text, Markdown, LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

__all__ = ["Grid", "Section", "grid_html", "grid_latex", "grid_markdown", "grid_text"]


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that belong together.

    Attributes
    ----------
    title : str or None
        What stands above them.
    rows : tuple of tuple of str
        Cells; every row has as many as the grid has columns.
    """

    title: str | None
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts.

    Attributes
    ----------
    caption : str or None
        What stands above the table.
    columns : tuple of str
        Heads.
    sections : tuple of Section
        The rows.
    notes : tuple of str
        Lines below the table.
    labels : int
        Number of leading columns that are row labels; the others are aligned at the right.
    """

    caption: str | None
    columns: tuple[str, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    labels: int = 1


def grid_text(grid: Grid) -> str:
    """Lay out a grid with rules of dashes.

    Examples
    --------
    >>> print(grid_text(Grid("Growth", ("", "model"), (Section(None, (("age", "1.5"), ("N", "12"))),), ("sd in mm",))))
    Growth
    ----------
         model
    ----------
    age    1.5
    N       12
    ----------
    sd in mm
    """
    rows = [row for section in grid.sections for row in section.rows]
    widths = [max(map(len, column)) for column in zip(grid.columns, *rows, strict=True)]
    rule = "-" * max(sum(widths) + 2 * (len(widths) - 1), *(len(s.title or "") for s in grid.sections))

    def line(cells: Sequence[str]) -> str:
        padded = [
            text.ljust(width) if j < grid.labels else text.rjust(width)
            for j, (text, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    lines = [*([] if grid.caption is None else [grid.caption]), rule, line(grid.columns)]
    for section in grid.sections:
        lines.append(rule)
        if section.title is not None:
            lines.append(section.title)
        lines += map(line, section.rows)
    return "\n".join([*lines, rule, *grid.notes])


_MARKDOWN: Final = str.maketrans({c: f"\\{c}" for c in "\\|*_`<>[]#~"})


def grid_markdown(grid: Grid) -> str:
    """Lay out a grid as a pipe table, as GitHub, Quarto and Jupyter read it.

    Examples
    --------
    >>> print(grid_markdown(Grid(None, ("", "a|b"), (Section("Fixed", (("x", "1"),)),))))
    |  | a\\|b |
    |:--|--:|
    | **Fixed** |  |
    | x | 1 |
    """

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    marks = ["|:--" if j < grid.labels else "|--:" for j in range(len(grid.columns))]
    lines = [*([] if grid.caption is None else [f"**{grid.caption.translate(_MARKDOWN)}**", ""])]
    lines += [line(name.translate(_MARKDOWN) for name in grid.columns), "".join(marks) + "|"]
    for section in grid.sections:
        if section.title is not None:
            lines.append(line([f"**{section.title.translate(_MARKDOWN)}**", *[""] * (len(grid.columns) - 1)]))
        lines += [line(text.translate(_MARKDOWN) for text in row) for row in section.rows]
    for note in grid.notes:
        lines += ["", note.translate(_MARKDOWN)]
    return "\n".join(lines)


_LATEX: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "\N{MINUS SIGN}": "$-$",
        "\N{GREEK SMALL LETTER SIGMA}": r"$\sigma$",
        "\N{EN DASH}": "--",
        "‘": "`",
        "’": "'",
        **{c: f"\\{c}" for c in "&%$#_{}"},
    }
)


def _latex(text: str) -> str:
    escaped = text.translate(_LATEX)
    # A bracket at the start of a row would be read as the optional argument of the row before.
    return f"{{{escaped}}}" if escaped.startswith("[") else escaped


def grid_latex(grid: Grid) -> str:
    """Lay out a grid as a tabular for the package booktabs, in a table environment if it has a caption.

    Examples
    --------
    >>> print(grid_latex(Grid(None, ("", "m_1"), (Section(None, (("x", "[1, 2]"),)),))))
    \\begin{tabular}{lr}
    \\toprule
     & m\\_1 \\\\
    \\midrule
    x & {[1, 2]} \\\\
    \\bottomrule
    \\end{tabular}
    """
    n = len(grid.columns)
    lines = [rf"\begin{{tabular}}{{{'l' * grid.labels}{'r' * (n - grid.labels)}}}", r"\toprule"]
    lines.append(" & ".join(map(_latex, grid.columns)) + r" \\")
    for section in grid.sections:
        lines.append(r"\midrule")
        if section.title is not None:
            lines.append(rf"\multicolumn{{{n}}}{{l}}{{\textit{{{_latex(section.title)}}}}} \\")
        lines += [" & ".join(map(_latex, row)) + r" \\" for row in section.rows]
    lines.append(r"\bottomrule")
    lines += [rf"\multicolumn{{{n}}}{{l}}{{\footnotesize {_latex(note)}}} \\" for note in grid.notes]
    lines.append(r"\end{tabular}")
    if grid.caption is None:
        return "\n".join(lines)
    return "\n".join([r"\begin{table}", r"\centering", rf"\caption{{{_latex(grid.caption)}}}", *lines, r"\end{table}"])


_TABLE: Final = (
    "border-collapse: collapse; border-top: 1.5px solid currentColor; border-bottom: 1.5px solid currentColor; "
    "color: inherit; background: none; margin: 0.5em 0; font-variant-numeric: tabular-nums"
)
_PAD: Final = "padding: 0.12em 0.7em"


def grid_html(grid: Grid) -> str:
    """Lay out a grid as a table whose colours are those of the page around it.

    Examples
    --------
    >>> html = grid_html(Grid("A < B", ("", "model"), (Section("Fixed effects", (("x", "1"),)),)))
    >>> "A &lt; B" in html, html.count("<tr>"), 'scope="row"' in html
    (True, 3, True)
    """
    n = len(grid.columns)
    caption_style = "text-align: left; font-weight: bold; color: inherit; padding: 0.2em 0"
    lines = [f'<table style="{_TABLE}">']
    if grid.caption is not None:
        lines.append(f'<caption style="{caption_style}">{escape(grid.caption, quote=False)}</caption>')
    heads = [
        f'<th scope="col" style="{_PAD}; text-align: {_align(grid, j)}; border-bottom: 1px solid currentColor">'
        f"{escape(name, quote=False)}</th>"
        for j, name in enumerate(grid.columns)
    ]
    lines.append(f"<thead><tr>{''.join(heads)}</tr></thead>")
    for k, section in enumerate(grid.sections):
        rule = "" if k == 0 else ' style="border-top: 1px solid currentColor"'
        lines.append(f"<tbody{rule}>")
        if section.title is not None:
            title = f'<th scope="rowgroup" colspan="{n}" style="{_PAD}; text-align: left; font-style: italic">'
            lines.append(f"<tr>{title}{escape(section.title, quote=False)}</th></tr>")
        lines += [f"<tr>{''.join(_cell(grid, j, text) for j, text in enumerate(row))}</tr>" for row in section.rows]
        lines.append("</tbody>")
    if grid.notes:
        notes = "<br>".join(escape(note, quote=False) for note in grid.notes)
        small = f"{_PAD}; text-align: left; font-size: 0.85em; border-top: 1px solid currentColor"
        lines.append(f'<tfoot><tr><td colspan="{n}" style="{small}">{notes}</td></tr></tfoot>')
    return "\n".join([*lines, "</table>"])


def _align(grid: Grid, j: int) -> str:
    return "left" if j < grid.labels else "right"


def _cell(grid: Grid, j: int, text: str) -> str:
    tag, scope = ("th", ' scope="row"') if j < grid.labels and text else ("td", "")
    weight = "; font-weight: normal" if tag == "th" else ""
    return f'<{tag}{scope} style="{_PAD}; text-align: {_align(grid, j)}{weight}">{escape(text, quote=False)}</{tag}>'
