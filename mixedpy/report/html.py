"""Print-outs as HTML: semantic tables that take their colours from the page around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from mixedpy.report import parts
from mixedpy.report.coefmat import (
    LEGEND,
    OWN_CAPTION,
    OWN_COLUMNS,
    coefficient_cells,
    coefficient_columns,
    own_cells,
    stars,
)
from mixedpy.report.numbers import format_numbers
from mixedpy.report.records import Criteria, FitHeader, Notes, PrintRecord, SummaryRecord, VarCorrRecord
from mixedpy.report.varcorr import VARIANCE_AND_SD, varcorr_cells

__all__ = ["print_html", "summary_html", "varcorr_html"]

_TABLE = "border-collapse: collapse; color: inherit; background: none; margin: 0.5em 0"
_CAPTION = "text-align: left; font-weight: bold; color: inherit"
_HEAD = "text-align: {}; padding: 0.1em 0.6em; border-bottom: 1px solid currentColor"
_CELL = "text-align: {}; padding: 0.1em 0.6em"


def print_html(record: PrintRecord, digits: int = 4) -> str:
    """Lay out as HTML what `mixedpy.report.text.print_text` prints, and the rows left out for missing values.

    Parameters
    ----------
    record : PrintRecord
        The numbers and names.
    digits : int
        Significant digits of random and fixed effects.

    Returns
    -------
    str
        One ``div`` element without scripts or references to other resources; all text is escaped.

    Examples
    --------
    >>> import numpy as np
    >>> from mixedpy.report.records import VarCorrTerm
    >>> batch = VarCorrTerm("Batch", ("(Intercept)",), np.array([42.00060]), np.eye(1))
    >>> html = print_html(PrintRecord(
    ...     FitHeader(True, "Yield ~ 1 + (1 | Batch)", "Dyestuff"), Criteria(319.65428),
    ...     VarCorrRecord((batch,), 49.51010), Notes(30, (("Batch", 6),)), ("(Intercept)",), np.array([1527.5])))
    >>> html.startswith("<div"), html.count("<table"), "1528" in html
    (True, 2, True)
    """
    body = [_heading(record.header, None), _criteria(record.criteria, 4)]
    body += [_varcorr(record.varcorr, digits, ["Std.Dev."]), _sizes(record.notes, as_double=False)]
    if record.fixef_names:
        texts = format_numbers(record.fixef, digits)
        body.append(
            _table("Fixed effects", ["", "Estimate"], [[n, t] for n, t in zip(record.fixef_names, texts, strict=True)])
        )
    else:
        body.append(_paragraphs(["No fixed effect coefficients"]))
    return _document([*body, _warnings(record.notes)])


def summary_html(record: SummaryRecord, digits: int = 4) -> str:
    """Lay out as HTML what `mixedpy.report.text.summary_text` prints, and the rows left out for missing values.

    Parameters
    ----------
    record : SummaryRecord
        The numbers and names.
    digits : int
        Significant digits of residuals, random and fixed effects.

    Returns
    -------
    str
        One ``div`` element without scripts or references to other resources; all text is escaped.

    Examples
    --------
    >>> import numpy as np
    >>> from mixedpy.report.records import CoefTable, VarCorrTerm
    >>> batch = VarCorrTerm("Batch", ("(Intercept)",), np.array([42.00060]), np.eye(1))
    >>> html = summary_html(SummaryRecord(
    ...     FitHeader(True, "Yield ~ 1 + (1 | Batch)", "Dyestuff"), Criteria(319.65428), np.arange(-2.0, 3.0),
    ...     VarCorrRecord((batch,), 49.51010), Notes(30, (("Batch", 6),)),
    ...     CoefTable(("(Intercept)",), np.array([1527.5]), np.array([19.38341]), np.array([78.80447]))))
    >>> html.count("<table"), "<caption" in html, "t value" in html
    (3, True, True)
    """
    body = [_heading(record.header, record.coef.ddf_label), _criteria(record.criteria, 1)]
    names, texts = zip(*parts.residual_items(record.scaled_residuals, digits), strict=True)
    body.append(_table("Scaled residuals", names, [texts], row_headers=0))
    body += [_varcorr(record.varcorr, digits, VARIANCE_AND_SD), _sizes(record.notes, as_double=True)]
    body.append(_coefficients(record, digits))
    if record.own is not None:
        cells = [[name, *row] for name, row in zip(record.own.names, own_cells(record.own, digits), strict=True)]
        body.append(_table(OWN_CAPTION, ["", *OWN_COLUMNS], cells))
    if record.correlation is not None and len(record.coef.names) > 1:
        columns, rows, cells = parts.correlation_cells(record.coef.names, record.correlation)
        labelled = [[name, *row] for name, row in zip(rows, cells, strict=True)]
        body.append(_table("Correlation of fixed effects", ["", *columns], labelled))
    body.append(_paragraphs(parts.correlation_note(record)))
    return _document([*body, _warnings(record.notes)])


def varcorr_html(record: VarCorrRecord, digits: int | None = None, comp: Sequence[str] = ("Std.Dev.",)) -> str:
    """Lay out as HTML what `mixedpy.report.text.varcorr_text` prints.

    Parameters
    ----------
    record : VarCorrRecord
        The random effects.
    digits : int, optional
        Significant digits; 5 if not given.
    comp : sequence of str
        "Variance", "Std.Dev." or both.

    Returns
    -------
    str
        One ``div`` element without scripts or references to other resources; all text is escaped.

    Examples
    --------
    >>> import numpy as np
    >>> from mixedpy.report.records import VarCorrTerm
    >>> batch = VarCorrTerm("Batch", ("(Intercept)",), np.array([42.00060]), np.eye(1))
    >>> "42.001" in varcorr_html(VarCorrRecord((batch,), 49.51010))
    True
    """
    return _document([_varcorr(record, 5 if digits is None else digits, comp)])


def _text(text: str) -> str:
    """Escape a text that stands between tags."""
    return escape(text, quote=False)


def _document(pieces: Iterable[str]) -> str:
    return "\n".join(['<div style="color: inherit; background: none">', *filter(None, pieces), "</div>"])


def _paragraphs(texts: Iterable[str]) -> str:
    return "\n".join(f"<p>{_text(text.strip())}</p>" for text in texts)


def _definitions(items: Iterable[tuple[str, str]]) -> str:
    pairs = "".join(f"<dt>{_text(name)}</dt><dd>{_text(text.strip())}</dd>" for name, text in items)
    return f"<dl>{pairs}</dl>"


def _table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, row_headers: int = 1, last_spans: int = 1
) -> str:
    """Build a table whose first ``row_headers`` columns are headers; the last head spans ``last_spans`` columns."""

    def align(j: int) -> str:
        return "left" if j < row_headers else "right"

    head = []
    for j, name in enumerate(columns):
        span = f' colspan="{last_spans}"' if last_spans > 1 and j == len(columns) - 1 else ""
        head.append(f'<th scope="col"{span} style="{_HEAD.format(align(j))}">{_text(name)}</th>')
    body = []
    for row in rows:
        cells = []
        for j, text in enumerate(row):
            tag, scope = ("th", ' scope="row"') if j < row_headers else ("td", "")
            cells.append(f'<{tag}{scope} style="{_CELL.format(align(j))}">{_text(text.strip())}</{tag}>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join(
        [
            f'<table style="{_TABLE}">',
            f'<caption style="{_CAPTION}">{_text(caption)}</caption>',
            f"<thead><tr>{''.join(head)}</tr></thead>",
            "<tbody>",
            *body,
            "</tbody>",
            "</table>",
        ]
    )


def _heading(header: FitHeader, ddf_label: str | None) -> str:
    title = f"<p><strong>{_text(parts.title(header, ddf_label).strip())}</strong></p>"
    items = [("Formula", header.formula), *parts.source_items(header)]
    family = parts.family_text(header)
    return f"{title}\n{_definitions(items if family is None else [('Family', family), *items])}"


def _criteria(criteria: Criteria, decimals: int) -> str:
    items = parts.criteria_items(criteria, decimals)
    if criteria.reml_criterion is not None:
        return _definitions(items)
    names, texts = zip(*items, strict=True)
    return _table("Fit criteria", names, [texts], row_headers=0)


def _varcorr(record: VarCorrRecord, digits: int, components: Sequence[str]) -> str:
    columns, rows = varcorr_cells(record, digits, components)
    named = [name for name in columns if name]
    return _table("Random effects", named, rows, row_headers=2, last_spans=len(columns) - len(named) + 1)


def _sizes(notes: Notes, *, as_double: bool) -> str:
    sizes = f"Number of obs: {notes.nobs}, groups: {parts.groups_text(notes, as_double=as_double)}"
    return _paragraphs([sizes, *parts.missing_messages(notes), *parts.accuracy_messages(notes)])


def _coefficients(record: SummaryRecord, digits: int) -> str:
    table = record.coef
    if not table.names:
        return ""
    columns = ["", *coefficient_columns(table)]
    rows = [[name, *row] for name, row in zip(table.names, coefficient_cells(table, digits), strict=True)]
    if table.pvalue is None or not bool(np.any(table.pvalue < 0.1)):
        return _table("Fixed effects", columns, rows)
    marked = [[*row, stars(p)] for row, p in zip(rows, table.pvalue.tolist(), strict=True)]
    # The marks stand beside the p values, under the same head.
    return f"{_table('Fixed effects', columns, marked, last_spans=2)}\n{_paragraphs([f'Signif. codes: {LEGEND}'])}"


def _warnings(notes: Notes) -> str:
    heading = parts.optimizer_heading(notes)
    texts = [f"Fit warning: {message}" for message in parts.rank_messages(notes)]
    if heading is not None:
        texts += [heading, *parts.optimizer_messages(notes)]
    return _paragraphs(texts)
