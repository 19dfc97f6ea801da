"""``fit.report``: one HTML page with data, model, tables, plots and diagnostics in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design.columns import Factor, Numeric, as_factor, used_levels
from mixedpy.inference.glmm.variance import icc_defined
from mixedpy.inference.variables import fixed_variables, grouping_variables, model_columns
from mixedpy.models.check import check_fit
from mixedpy.models.files import check_folder, write_whole
from mixedpy.models.generalized.tables import auxiliary_table, summary_record_of
from mixedpy.models.kept import kept_table
from mixedpy.models.tables import wald_limits
from mixedpy.report import parts
from mixedpy.report.coefmat import OWN_CAPTION
from mixedpy.report.grids import Grid, Section
from mixedpy.report.numbers import format_numbers
from mixedpy.report.page import Figure, Page, PageSection, figure_of, page_html
from mixedpy.report.plots.style import flat
from mixedpy.report.records import CoefTable, SummaryRecord
from mixedpy.report.summary_grids import summary_grids
from mixedpy.report.text import summary_text
from mixedpy.version import __version__

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit

__all__ = ["report_page", "write_report"]

_LEVEL = 0.95


def write_report(fit: Fit, path: str | os.PathLike[str], title: str | None) -> None:
    """Write the page of a fit to a file, whole or not at all."""
    path = Path(path)
    check_folder(path)
    write_whole(path, page_html(report_page(fit, title)).encode())


def report_page(fit: Fit, title: str | None = None) -> Page:
    """Collect what the page of a fit shows."""
    summary = summary_record_of(fit, "satterthwaite", show_correlation=None)
    name = fit.schema.data_name
    method = parts.title(summary.header).strip()
    heading = fit.formula if title is None else title
    sections = (
        _data(fit),
        _model(fit, summary, method),
        _effects(fit),
        _groups(fit),
        _diagnostics(fit),
        PageSection("print", "Print-out", printed=summary_text(summary, correlation_note=False).rstrip()),
    )
    made = f"mixedpy {__version__}, Python {platform.python_version()}"
    return Page(heading, f"{method}{'' if name is None else f', data {name}'}; {made}", __version__, sections)


def _data(fit: Fit) -> PageSection:
    schema = fit.schema
    texts = [f"{fit.nobs:,} of {schema.n_total:,} rows are used."]
    if schema.missing:
        counted = ", ".join(f"{column} in {count:,}" for column, count in schema.missing)
        texts.append(f"Rows with missing values are left out: {counted}.")
    read = model_columns(schema, kept_table(fit))
    labels = {name for group in fit.ngroups for name in grouping_variables(schema, group, read)[0]}
    labels -= {name for group in fit.ngroups for name in grouping_variables(schema, group, read)[1]}
    labels -= set(fixed_variables(schema, read))
    rows = [_column_row(name, as_factor(column) if name in labels else column) for name, column in read.items()]
    columns = Grid("Columns that the model reads", ("", "kind", "missing", "values"), (Section(None, tuple(rows)),))
    counts = tuple(_group_row(fit, group) for group in fit.ngroups)
    heads = ("", "levels", "rows per level: least", "median", "most")
    groups = Grid("Grouping factors", heads, (Section(None, counts),))
    return PageSection("data", "Data", tuple(texts), tables=(columns, groups))


def _column_row(name: str, column: Any) -> tuple[str, ...]:
    mask = column.missing()
    missing = "0" if mask is None else f"{int(mask.sum()):,}"
    if isinstance(column, Numeric):
        values = column.values if mask is None else column.values[~mask]
        low, mean, high, sd = format_numbers([values.min(), values.mean(), values.max(), values.std(ddof=1)], 4)
        text = f"{low.strip()} to {high.strip()}, mean {mean.strip()}, sd {sd.strip()}"
        return name, "numbers", missing, text
    assert isinstance(column, Factor)
    column = column if column.logical else used_levels(column)
    shown = ", ".join(column.levels[:6]) + (", ..." if len(column.levels) > 6 else "")
    kind = "true or false" if column.logical else "ordered categories" if column.ordered else "categories"
    return name, kind, missing, f"{len(column.levels):,}: {shown}"


def _group_row(fit: Fit, group: str) -> tuple[str, ...]:
    k = next(k for k, term in enumerate(fit.schema.terms) if term.group == group)
    sizes = np.bincount(fit.design.terms[k].codes, minlength=fit.design.terms[k].n_levels)
    return group, f"{len(sizes):,}", f"{sizes.min():,}", f"{np.median(sizes):g}", f"{sizes.max():,}"


def _model(fit: Fit, summary: SummaryRecord, method: str) -> PageSection:
    texts = [f"Formula: {fit.formula}", f"{method}."]
    if isinstance(fit.record, GlmmRecord):
        texts[1] = f"{method}; family {fit.record.family.name}, link {fit.record.family.link}."
    if _has_icc(fit):
        texts[1] += (
            f" The intraclass correlation is {fit.icc():.3f}: that share of the variance around the fixed effects"
            f"{_scale(fit)} is between the levels of the grouping factors."
        )
    named = {grid.caption: grid for grid in summary_grids(summary)}
    grids = [named["Fit criteria"], named["Random effects"]]
    if "Fixed effects" in named:
        grids.insert(1, _with_limits(named["Fixed effects"], summary))
    if (own := auxiliary_table(fit)) is not None:
        grids.append(_own_parameters(own))
    return PageSection("model", "Model", tuple(texts), tables=tuple(grids))


def _with_limits(original: Grid, summary: SummaryRecord) -> Grid:
    limits = wald_limits(summary.coef, _LEVEL)
    rows = []
    for k, row in enumerate(original.sections[0].rows):
        decimals = len(row[1].partition(".")[2])  # as many as the estimate has
        rows.append((*row, *(f"{side[k]:.{decimals}f}" for side in limits)))
    heads = (*original.columns, "2.5 %", "97.5 %")
    of = "of the normal distribution" if summary.coef.df is None else "with the degrees of freedom of the table"
    note = f"Wald limits {of}."
    return Grid("Fixed effects", heads, (Section(None, tuple(rows)),), (*original.notes, note))


def _has_icc(fit: Fit) -> bool:
    return isinstance(fit.record, FitRecord) or icc_defined(fit.record)


def _scale(fit: Fit) -> str:
    return f", on the scale of the link {fit.record.family.link}," if isinstance(fit.record, GlmmRecord) else ""


def _own_parameters(own: CoefTable) -> Grid:
    """The coefficients of the family's own predictors."""
    lower, upper = wald_limits(own, _LEVEL)
    cells = [[text.strip() for text in format_numbers(values, 4)] for values in (own.estimate, own.se, lower, upper)]
    rows = tuple(zip(own.names, *cells, strict=True))
    heads = ("", "Estimate", "Std. Error", "2.5 %", "97.5 %")
    return Grid(OWN_CAPTION, heads, (Section(None, rows),), ("Wald limits.",))


def _effects(fit: Fit) -> PageSection:
    columns = model_columns(fit.schema, fit.request.data)
    known = fixed_variables(fit.schema, columns)
    if not known:
        return PageSection("effects", "Fitted effects", ("The fixed part has no predictor.",))
    axes = flat(fit.plot.effects())[0]
    alt = f"Fitted {fit.schema.response} over {', '.join(known)} with 95 % confidence bands"
    caption = "Fitted effects with 95 % confidence bands, averaged over the rows of the data."
    return PageSection("effects", "Fitted effects", figures=(figure_of(axes, alt=alt, caption=caption),))


def _groups(fit: Fit) -> PageSection:
    columns = model_columns(fit.schema, fit.request.data)
    figures = []
    if _has_icc(fit):
        caption = (
            f"Variance components as shares of the variance around the fixed effects{_scale(fit).rstrip(',')}; slopes "
            "averaged over the rows."
        )
        figures.append(_drawn(fit.plot.variance(), "Shares of the variance components", caption))
    for group in fit.ngroups:
        grouping, varying = grouping_variables(fit.schema, group, columns)
        predictors = [name for name in (*varying, *fixed_variables(fit.schema, columns)) if name not in grouping]
        plottable = fit.request.offset is None or isinstance(fit.request.offset, str)
        if predictors and plottable and group == next(iter(fit.ngroups)):
            figures.append(
                _drawn(
                    fit.plot.trajectories(group=group),
                    f"Data and fitted curves of the levels of {group} over {predictors[0]}",
                    f"Data, fitted curves of the levels of {group}, and the curve of the fixed effects alone.",
                )
            )
        figures.append(
            _drawn(
                fit.plot.ranef(group),
                f"Conditional modes of the random effects of {group} with 95 % intervals",
                f"Random effects of {group}: conditional modes with 95 % intervals given the data.",
            )
        )
        figures.append(
            _drawn(
                fit.plot.shrinkage(group),
                f"Coefficients of the levels of {group} without and with pooling",
                f"Shrinkage by {group}: from the estimates of each level alone to those of the mixed model.",
            )
        )
    return PageSection("groups", "Variation between groups", figures=tuple(figures))


def _diagnostics(fit: Fit) -> PageSection:
    figures = (
        _drawn(
            fit.plot.residuals(),
            "Residuals against fitted values, their spread, normal quantiles, and residuals by group",
            f"{_residuals_are(fit)}; smooth lines are local fits, bands hold 95 % of normal samples at each point.",
        ),
        _drawn(
            fit.plot.qq(),
            "Conditional modes against normal quantiles",
            "Random effects against normal quantiles, with bands that hold 95 % of normal samples at each point.",
        ),
    )
    return PageSection("diagnostics", "Diagnostics", notes=tuple(_words(fit)), figures=figures)


def _residuals_are(fit: Fit) -> str:
    if isinstance(fit.record, FitRecord):
        return "Residuals divided by the residual standard deviation"
    return "Quantile residuals on the normal scale, standard normal where the model holds"


def _words(fit: Fit) -> list[str]:
    """Say in words what was looked at, and what to do."""
    marks = {"ok": "", "note": "Note. ", "problem": "Problem. "}
    return [f"{marks[f.verdict]}{f.topic.capitalize()}: {f.text} {f.advice}".strip() for f in check_fit(fit).findings]


def _drawn(panels: Any, alt: str, caption: str) -> Figure:
    return figure_of(flat(panels)[0], alt=alt, caption=caption)
