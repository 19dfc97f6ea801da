"""``mixedpy.table``: models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mixedpy.errors import MixedpyError
from mixedpy.inference.criteria import criteria
from mixedpy.inference.glmm.variance import icc_defined
from mixedpy.models.fits import Fit
from mixedpy.models.generalized.tables import auxiliary_table, glmm_summary_record
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.lmm import LmmFit
from mixedpy.models.tables import summary_record, wald_limits
from mixedpy.report.grids import Grid, grid_html, grid_latex, grid_markdown, grid_text
from mixedpy.report.model_table import GAUSSIAN, Below, ModelColumn, model_grid

__all__ = ["ModelTable", "table"]


@dataclass(frozen=True, slots=True, repr=False)
class ModelTable:
    """Models side by side; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    grid : Grid
        The texts of the table.
    """

    grid: Grid

    def to_text(self) -> str:
        """Lay out as plain text."""
        return grid_text(self.grid)

    def to_markdown(self) -> str:
        """Lay out as a Markdown table."""
        return grid_markdown(self.grid)

    def to_latex(self) -> str:
        """Lay out as a LaTeX table for the package booktabs."""
        return grid_latex(self.grid)

    def to_html(self) -> str:
        """Lay out as an HTML table whose colours are those of the page around it."""
        return grid_html(self.grid)

    def to_frame(self) -> pd.DataFrame:
        """Return the texts as a table: a row for each row, indexed by section and label."""
        keys = [(section.title, row[0]) for section in self.grid.sections for row in section.rows]
        rows = [row[1:] for section in self.grid.sections for row in section.rows]
        index = pd.MultiIndex.from_tuples(keys, names=["section", "row"])
        return pd.DataFrame(rows, index=index, columns=list(self.grid.columns[1:]))

    def to_great_tables(self) -> Any:
        """Return a ``great_tables.GT``, for further styling.

        Raises
        ------
        MixedpyError
            If great_tables is not installed.
        """
        try:
            from great_tables import GT  # optional
        except ImportError as error:
            raise MixedpyError(
                'to_great_tables() needs great_tables; install it with pip install "mixedpy[adapters]"'
            ) from error
        frame = self.to_frame().reset_index()
        made = GT(frame, rowname_col="row", groupname_col="section").cols_align("right", list(self.grid.columns[1:]))
        if self.grid.caption is not None:
            made = made.tab_header(self.grid.caption)
        for note in self.grid.notes:
            made = made.tab_source_note(note)
        return made

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _repr_latex_(self) -> str:
        return self.to_latex()


def table(
    *fits: Fit,
    names: Sequence[str] | None = None,
    below: Below = "ci",
    level: float = 0.95,
    ddf: str | None = "satterthwaite",
    digits: int = 3,
    caption: str | None = None,
) -> ModelTable:
    """Put models side by side, as journals print them.

    Parameters
    ----------
    *fits : LmmFit or GlmmFit
        The models.
    names : sequence of str, optional
        Their heads; by default Model 1, Model 2, ...
    below : {"ci", "se"}
        What stands below each estimate: its confidence interval (Wald), or its standard error.
    level : float
        Confidence level.
    ddf : {"satterthwaite", "kenward-roger", None}
        Degrees of freedom of the intervals, and of the p values behind the stars, of linear models; None takes the
        normal distribution for the intervals and leaves out the stars. Generalized models have the normal distribution.
    digits : int
        Significant digits of standard errors and standard deviations.
    caption : str, optional
        Title of the table.

    Returns
    -------
    ModelTable
        With ``to_text``, ``to_markdown``, ``to_latex``, ``to_html``, ``to_frame`` and ``to_great_tables``.

    Examples
    --------
    >>> import mixedpy as mp
    >>> sleepstudy = mp.datasets.load("sleepstudy")
    >>> slopes = mp.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    >>> intercepts = slopes.update(". ~ . - (Days | Subject) + (1 | Subject)")
    >>> print(mp.table(intercepts, slopes, names=["Intercepts", "Slopes"]))
    -------------------------------------------------------------------
                                           Intercepts            Slopes
    -------------------------------------------------------------------
    Fixed effects
    (Intercept)                             251.41***         251.41***
                                     [231.23, 271.58]  [237.01, 265.80]
    Days                                    10.467***         10.467***
                                      [8.879, 12.055]   [7.206, 13.729]
    -------------------------------------------------------------------
    Random effects
    SD (Intercept) | Subject                     37.1              24.7
    SD Days | Subject                                              5.92
    Cor (Intercept), Days | Subject                                0.07
    SD residual                                  31.0              25.6
    -------------------------------------------------------------------
    Model
    Observations                                  180               180
    Levels of Subject                              18                18
    ICC                                         0.589             0.722
    Log-likelihood                             −893.2            −871.8
    AIC                                        1794.5            1755.6
    BIC                                        1807.2            1774.8
    Fitted by                                    REML              REML
    -------------------------------------------------------------------
    Estimates with 95 % confidence intervals.
    SD: standard deviation; Cor: correlation.
    Signif. codes: 0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
    """
    if not fits:
        raise ValueError("table() needs at least one fit")
    for k, fit in enumerate(fits, start=1):
        if not isinstance(fit, LmmFit | GlmmFit):
            raise TypeError(
                f"table(): argument {k} is of type {type(fit).__name__}; fits made by mixedpy.lmer or mixedpy.glmer "
                "are wanted"
            )
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r} must lie between 0 and 1")
    heads = [f"Model {k + 1}" for k in range(len(fits))] if names is None else [str(name) for name in names]
    if len(heads) != len(fits):
        raise ValueError(f"names has {len(heads)} names for {len(fits)} fits; give one for each")
    columns = [_column(fit, name, level, ddf) for fit, name in zip(fits, heads, strict=True)]
    return ModelTable(model_grid(columns, below=below, level=level, digits=digits, caption=caption))


def _column(fit: Fit, name: str, level: float, ddf: str | None) -> ModelColumn:
    if isinstance(fit, LmmFit):
        summary, family, own = summary_record(fit, ddf, show_correlation=False), GAUSSIAN, None
        method = "REML" if fit.record.reml else "ML"
    else:
        summary = glmm_summary_record(fit, show_correlation=False)
        family, method, own = f"{fit.family} ({fit.link})", _approximation(fit.record.nagq), auxiliary_table(fit)
    lower, upper = wald_limits(summary.coef, level)
    c = criteria(fit.record)
    return ModelColumn(
        name=name,
        coef=summary.coef,
        lower=lower,
        upper=upper,
        varcorr=summary.varcorr,
        nobs=fit.nobs,
        ngroups=summary.notes.ngroups,
        criteria=(*_icc(fit), ("Log-likelihood", c.loglik), ("AIC", c.aic), ("BIC", c.bic)),
        method=method,
        family=family,
        auxiliary=None if own is None else (own, *wald_limits(own, level)),
    )


def _icc(fit: Fit) -> tuple[tuple[str, float], ...]:
    """The intraclass correlation, where it is defined."""
    if isinstance(fit, GlmmFit) and not icc_defined(fit.record):
        return ()
    return (("ICC", fit.icc()),)


def _approximation(nagq: int) -> str:
    return "ML (Laplace)" if nagq == 1 else f"ML (nAGQ = {nagq})"
