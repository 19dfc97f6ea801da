"""The summary of a fit as Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
import math
from typing import Any

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
from mixedpy.report.grids import Grid, Section, grid_latex, grid_markdown
from mixedpy.report.records import SummaryRecord, VarCorrRecord
from mixedpy.report.varcorr import VARIANCE_AND_SD, varcorr_cells

__all__ = ["summary_grids", "summary_json", "summary_latex", "summary_markdown"]


def summary_grids(record: SummaryRecord, digits: int = 4) -> tuple[Grid, ...]:
    """Lay out criteria, random and fixed effects, the distribution's own parameters and correlations as grids.

    Parameters
    ----------
    record : SummaryRecord
        The numbers and names.
    digits : int
        Significant digits of random and fixed effects.

    Returns
    -------
    tuple of Grid
        The tables that a print-out has, in its order.
    """
    names, texts = zip(*parts.criteria_items(record.criteria, 1), strict=True)
    grids = [_grid("Fit criteria", names, [texts], labels=0)]
    names, texts = zip(*parts.residual_items(record.scaled_residuals, digits), strict=True)
    grids.append(_grid("Scaled residuals", names, [texts], labels=0))
    columns, rows = varcorr_cells(record.varcorr, digits, VARIANCE_AND_SD)
    sizes = f"Number of obs: {record.notes.nobs}, groups: {parts.groups_text(record.notes, as_double=False)}"
    notes = (sizes, *parts.missing_messages(record.notes))
    grids.append(_grid("Random effects", columns, rows, labels=2, notes=notes))
    if record.coef.names:
        grids.append(_coefficients(record, digits))
    if record.own is not None:
        rows = [[name, *row] for name, row in zip(record.own.names, own_cells(record.own, digits), strict=True)]
        grids.append(_grid(OWN_CAPTION, ["", *OWN_COLUMNS], rows))
    if record.correlation is not None and len(record.coef.names) > 1:
        heads, labels, cells = parts.correlation_cells(record.coef.names, record.correlation)
        labelled = [(label, *row) for label, row in zip(labels, cells, strict=True)]
        grids.append(_grid("Correlation of fixed effects", ["", *heads], labelled))
    return tuple(grids)


def _grid(caption: str, columns: Any, rows: Any, *, labels: int = 1, notes: tuple[str, ...] = ()) -> Grid:
    stripped = tuple(tuple(text.strip() for text in row) for row in rows)
    return Grid(caption, tuple(columns), (Section(None, stripped),), notes, labels)


def _coefficients(record: SummaryRecord, digits: int) -> Grid:
    table = record.coef
    columns = ["", *coefficient_columns(table)]
    rows = [[name, *row] for name, row in zip(table.names, coefficient_cells(table, digits), strict=True)]
    if table.pvalue is None or not bool(np.any(table.pvalue < 0.1)):
        return _grid("Fixed effects", columns, rows)
    marked = [[*row, stars(p)] for row, p in zip(rows, table.pvalue.tolist(), strict=True)]
    return _grid("Fixed effects", [*columns, ""], marked, notes=(f"Signif. codes: {LEGEND}",))


def _heading(record: SummaryRecord) -> list[tuple[str, str]]:
    family = parts.family_text(record.header)
    items = [("Formula", record.header.formula), *parts.source_items(record.header)]
    return items if family is None else [("Family", family), *items]


def _warnings(record: SummaryRecord) -> list[str]:
    return [*parts.rank_messages(record.notes), *parts.optimizer_messages(record.notes)]


def summary_markdown(record: SummaryRecord, digits: int = 4) -> str:
    """Lay out a summary as Markdown with pipe tables."""
    lines = [f"**{parts.title(record.header, record.coef.ddf_label).strip()}**", ""]
    lines += [f"- {label}: `{text}`" for label, text in _heading(record)]
    for grid in summary_grids(record, digits):
        lines += ["", grid_markdown(grid)]
    for message in _warnings(record):
        lines += ["", f"*{message}*"]
    return "\n".join(lines)


def summary_latex(record: SummaryRecord, digits: int = 4) -> str:
    """Lay out a summary as LaTeX tables for the package booktabs."""
    title = parts.title(record.header, record.coef.ddf_label).strip()
    lines = [f"% {title}", *(f"% {label}: {text}" for label, text in _heading(record))]
    lines += [f"% {message}" for message in _warnings(record)]
    return "\n\n".join(["\n".join(lines), *(grid_latex(grid) for grid in summary_grids(record, digits))])


def summary_json(record: SummaryRecord) -> str:
    """Write a summary as JSON, numbers in full precision; what is missing or not finite is null.

    Returns
    -------
    str
        An object with ``method``, ``formula``, ``data``, ``criteria``, ``random``, ``fixed``, ``distribution``,
        ``nobs``, ``groups``, ``scaled_residuals``, ``correlation``, ``converged``, ``singular`` and ``messages``.
    """
    table, header, notes = record.coef, record.header, record.notes
    columns = {"estimate": table.estimate, "std_error": table.se, "statistic": table.t}
    columns |= {name: values for name, values in (("df", table.df), ("p_value", table.pvalue)) if values is not None}
    criteria = {
        "reml_criterion": record.criteria.reml_criterion,
        "aic": record.criteria.aic,
        "bic": record.criteria.bic,
        "loglik": record.criteria.loglik,
        "deviance": record.criteria.deviance,
        "df_resid": record.criteria.df_resid,
    }
    content = {
        "method": "REML" if header.reml else "ML",
        "formula": header.formula,
        "data": header.data_name,
        "weights": header.weights_name,
        "offset": header.offset_name,
        "family": header.family,
        "link": header.link,
        "criteria": {name: _number(value) for name, value in criteria.items() if value is not None},
        "scaled_residuals": dict(
            zip(("min", "1q", "median", "3q", "max"), map(_number, record.scaled_residuals), strict=True)
        ),
        "random": _random(record.varcorr),
        "nobs": notes.nobs,
        "groups": dict(notes.ngroups),
        "rows_dropped_for_missing_values": notes.n_missing_rows,
        "fixed": [
            {"term": name, **{column: _number(values[k]) for column, values in columns.items()}}
            for k, name in enumerate(table.names)
        ],
        "distribution": _own(record),
        "columns_dropped": list(notes.dropped),
        "degrees_of_freedom": table.ddf_label,
        "correlation": None
        if record.correlation is None
        else [[_number(value) for value in row] for row in record.correlation],
        "converged": notes.converged,
        "singular": notes.singular,
        "messages": _warnings(record) + ([] if notes.message is None else [notes.message]),
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2)


def _own(record: SummaryRecord) -> list[dict[str, Any]]:
    if record.own is None:
        return []
    values = zip(record.own.names, record.own.estimate, record.own.se, strict=True)
    return [{"term": name, "estimate": _number(one), "std_error": _number(se)} for name, one, se in values]


def _number(value: Any) -> float | int | None:
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None


def _random(record: VarCorrRecord) -> list[dict[str, Any]]:
    terms: list[dict[str, Any]] = []
    for term in record.terms:
        correlation = [[_number(value) for value in row] for row in term.corr]
        sd = [_number(value) for value in term.sd]
        terms.append({"group": term.name, "effects": list(term.effects), "sd": sd, "correlation": correlation})
    if record.sigma is not None:
        terms.append({"group": "Residual", "effects": [], "sd": [_number(record.sigma)], "correlation": []})
    return terms
