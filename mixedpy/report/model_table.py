"""Models side by side, as journals print them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mixedpy.report.coefmat import LEGEND, stars
from mixedpy.report.grids import Grid, Section
from mixedpy.report.records import CoefTable, Floats, VarCorrRecord

__all__ = ["GAUSSIAN", "Below", "ModelColumn", "model_grid"]

Below = Literal["ci", "se"]
"""What stands below an estimate: its confidence interval, or its standard error in parentheses."""

GAUSSIAN = "gaussian (identity)"
"""Distribution and link of a linear model."""

_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class ModelColumn:
    """One model of the table.

    Attributes
    ----------
    name : str
        Its head.
    coef : CoefTable
        Fixed effects.
    lower, upper : (p,) arrays
        Confidence limits.
    varcorr : VarCorrRecord
        Random effects.
    nobs : int
        Rows.
    ngroups : tuple of (str, int)
        Grouping factors with their numbers of levels.
    criteria : tuple of (str, float)
        Rows of the last section with decimals: ICC, log-likelihood and the like.
    method : str
        "REML", "ML" or an approximation to it.
    family : str
        Distribution and link; shown where the models of a table differ from a linear one.
    auxiliary : CoefTable, lower and upper limits, or None
        The family's own coefficients.
    """

    name: str
    coef: CoefTable
    lower: Floats
    upper: Floats
    varcorr: VarCorrRecord
    nobs: int
    ngroups: tuple[tuple[str, int], ...]
    criteria: tuple[tuple[str, float], ...]
    method: str
    family: str = GAUSSIAN
    auxiliary: tuple[CoefTable, Floats, Floats] | None = None


def model_grid(
    models: Sequence[ModelColumn], *, below: Below = "ci", level: float = 0.95, digits: int = 3, caption: str | None
) -> Grid:
    """Lay out models side by side: fixed effects, random effects, sizes and criteria.

    Parameters
    ----------
    models : sequence of ModelColumn
        The models; a row that a model lacks is empty in its column.
    below : {"ci", "se"}
        What stands below an estimate.
    level : float
        Confidence level, for the note.
    digits : int
        Significant digits of the standard errors; the estimate and the limits have as many decimals.
    caption : str, optional
        Title.

    Returns
    -------
    Grid
        For one of the layouts of `mixedpy.report.grids`.
    """
    if below not in get_args(Below):
        raise ValueError(f"below={below!r} is unknown; use 'ci' or 'se'")
    if isinstance(digits, bool) or digits < 1:
        raise ValueError(f"digits={digits!r} must be at least 1")
    own = [model.auxiliary for model in models]
    sections = (
        Section("Fixed effects", tuple(_estimate_rows([(m.coef, m.lower, m.upper) for m in models], below, digits))),
        *([Section("Distribution", tuple(_estimate_rows(own, below, digits)))] if any(own) else []),
        Section("Random effects", tuple(_random_rows(models, digits))),
        Section("Model", tuple(_size_rows(models))),
    )
    percent = f"{100 * level:g} % confidence intervals" if below == "ci" else "standard errors in parentheses"
    notes = [f"Estimates with {percent}.", "SD: standard deviation; Cor: correlation."]
    if any(m.coef.pvalue is not None and bool(np.any(m.coef.pvalue < 0.1)) for m in models):
        notes.append(f"Signif. codes: {LEGEND}")
    return Grid(caption, ("", *(model.name for model in models)), sections, tuple(notes))


def _decimals(scale: float, digits: int) -> int:
    """Decimals that give a number of this size so many significant digits."""
    if not math.isfinite(scale) or scale <= 0:
        return digits
    return min(12, max(0, digits - 1 - math.floor(math.log10(scale))))


def _text(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return "NA"
    text = f"{value:.{decimals}f}"
    return text.replace("-", "" if float(text) == 0 else _MINUS)


def _estimate_rows(
    models: Sequence[tuple[CoefTable, Floats, Floats] | None], below: Below, digits: int
) -> list[tuple[str, ...]]:
    """Two rows for each coefficient: estimates, and below them limits or standard errors."""
    rows = []
    for name in dict.fromkeys(name for model in models if model is not None for name in model[0].names):
        found = [
            None if model is None or name not in model[0].names else (*model, model[0].names.index(name))
            for model in models
        ]
        decimals = max(_decimals(float(one[0].se[one[3]]), digits) for one in found if one is not None)
        cells = [("", "") if one is None else _estimate_cells(*one, below, decimals) for one in found]
        rows += [(name, *(first for first, _ in cells)), ("", *(second for _, second in cells))]
    return rows


def _estimate_cells(
    coef: CoefTable, lower: Floats, upper: Floats, k: int, below: Below, decimals: int
) -> tuple[str, str]:
    mark = "" if coef.pvalue is None else stars(float(coef.pvalue[k])).strip()
    limits = [_text(float(side[k]), decimals) for side in (lower, upper)]
    second = f"[{', '.join(limits)}]" if below == "ci" else f"({_text(float(coef.se[k]), decimals)})"
    return _text(float(coef.estimate[k]), decimals) + mark, second


def _random_rows(models: Sequence[ModelColumn], digits: int) -> list[tuple[str, ...]]:
    columns = [_parameters(model.varcorr, digits) for model in models]
    groups = dict.fromkeys(term.name for model in models for term in model.varcorr.terms)
    keys = dict.fromkeys(key for column in columns for key in column)
    order = sorted(keys, key=lambda key: [*groups, "Residual"].index(key[0]))
    return [(key[1], *(column.get(key, "") for column in columns)) for key in order]


def _parameters(record: VarCorrRecord, digits: int) -> dict[tuple[str, str], str]:
    """Texts of standard deviations and correlations by (group, label)."""
    made = {}
    for term in record.terms:
        for effect, sd in zip(term.effects, term.sd.tolist(), strict=True):
            made[term.name, f"SD {effect} | {term.name}"] = _text(sd, _decimals(sd, digits))
        if term.template == "diag":
            continue
        for a in range(1, len(term.effects)):
            for b in range(a):
                label = f"Cor {term.effects[b]}, {term.effects[a]} | {term.name}"
                made[term.name, label] = _text(float(term.corr[a, b]), 2)
    if record.sigma is not None:
        made["Residual", "SD residual"] = _text(record.sigma, _decimals(record.sigma, digits))
    return made


def _size_rows(models: Sequence[ModelColumn]) -> list[tuple[str, ...]]:
    rows = [("Observations", *(f"{model.nobs:,}" for model in models))]
    for group in dict.fromkeys(group for model in models for group, _ in model.ngroups):
        counts = [dict(model.ngroups).get(group) for model in models]
        rows.append((f"Levels of {group}", *("" if count is None else f"{count:,}" for count in counts)))
    for name in dict.fromkeys(name for model in models for name, _ in model.criteria):
        values = [dict(model.criteria).get(name) for model in models]
        decimals = 3 if name == "ICC" else 1
        rows.append((name, *("" if value is None else _text(value, decimals) for value in values)))
    if any(model.family != GAUSSIAN for model in models):
        rows.append(("Family (link)", *(model.family for model in models)))
    rows.append(("Fitted by", *(model.method for model in models)))
    return rows
