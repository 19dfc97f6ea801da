"""The table of random effects: variances, standard deviations and correlations, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixedpy.report.layout import matrix_lines
from mixedpy.report.numbers import format_numbers
from mixedpy.report.records import VarCorrRecord, VarCorrTerm
from mixedpy.report.rounding import round_decimals

__all__ = ["VARIANCE_AND_SD", "varcorr_cells", "varcorr_lines"]

VARIANCE_AND_SD = ("Variance", "Std.Dev.")


_ONE_CORRELATION = ("cs", "ar1")
"""Structures with a single correlation, which stands beside the first effect with the structure's name."""


def _shown_effects(term: VarCorrTerm) -> tuple[str, ...]:
    """The effects that have a row; one standard deviation for all of them is shown once, as in lme4 2.0."""
    return term.effects[:1] if term.hom else term.effects


def _n_correlations(term: VarCorrTerm) -> int:
    """Number of columns of correlations; those of a diagonal covariance matrix are zero by construction."""
    if len(term.effects) < 2 or term.template == "diag":
        return 0
    return 1 if term.template in _ONE_CORRELATION else len(term.effects) - 1


def _correlation_rows(term: VarCorrTerm, decimals: int, width: int) -> list[list[str]]:
    m = len(term.effects)
    rows = [[""] * width for _ in _shown_effects(term)]
    if _n_correlations(term) == 0:
        return rows
    if term.template in _ONE_CORRELATION:
        rho = format_numbers(round_decimals(term.corr[1:2, 0], decimals), nsmall=decimals)[0]
        rows[0][0] = f"{rho} ({term.template})"
        return rows
    texts = format_numbers(round_decimals(term.corr, decimals), nsmall=decimals)
    return [[texts[i * m + j] if j < i else "" for j in range(width)] for i in range(m)]


def varcorr_cells(record: VarCorrRecord, digits: int, components: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Lay out the random effects: a row for each effect, and one for the residual if the model has a scale.

    Parameters
    ----------
    record : VarCorrRecord
        The random effects.
    digits : int
        Significant digits; correlations get ``max(2, digits - 2)`` decimals.
    components : sequence of str
        Which of "Variance" and "Std.Dev." to show, in that order.

    Returns
    -------
    columns : list of str
        "Groups", "Name", the components, and as many columns of correlations as the longest term needs, only the first
        of which is named.
    rows : list of list of str
        The cells; only the first row of a term names its group.

    Raises
    ------
    ValueError
        If a component is not one of the two, or none is given.

    Examples
    --------
    >>> term = VarCorrTerm("Batch", ("(Intercept)",), np.array([42.0006]), np.eye(1))
    >>> varcorr_cells(VarCorrRecord((term,), 49.5101), 4, ["Std.Dev."])[1]
    [['Batch', '(Intercept)', '42.00'], ['Residual', '', '49.51']]
    """
    unknown = [c for c in components if c not in VARIANCE_AND_SD]
    if unknown or not components:
        raise ValueError(f"comp is {tuple(components)!r}; give one or both of 'Variance' and 'Std.Dev.'")
    sd = np.concatenate(
        [*(t.sd[: len(_shown_effects(t))] for t in record.terms), [] if record.sigma is None else [record.sigma]]
    )
    numbers = [format_numbers(sd**2 if c == "Variance" else sd, digits) for c in components]
    width = max((_n_correlations(t) for t in record.terms), default=0)
    names = [(t.name if k == 0 else "", effect) for t in record.terms for k, effect in enumerate(_shown_effects(t))]
    decimals = max(2, digits - 2)
    correlations = [row for t in record.terms for row in _correlation_rows(t, decimals, width)]
    if record.sigma is not None:
        names.append(("Residual", ""))
        correlations.append([""] * width)
    rows = [
        [*name, *(column[i] for column in numbers), *corr]
        for i, (name, corr) in enumerate(zip(names, correlations, strict=True))
    ]
    return ["Groups", "Name", *components, *["Corr", *[""] * (width - 1)][:width]], rows


def varcorr_lines(record: VarCorrRecord, digits: int, components: Sequence[str]) -> list[str]:
    """Print the table of random effects.

    Examples
    --------
    >>> term = VarCorrTerm("Batch", ("(Intercept)",), np.array([42.0006]), np.eye(1))
    >>> varcorr_lines(VarCorrRecord((term,), 49.5101), 4, VARIANCE_AND_SD)[1]
    ' Batch    (Intercept) 1764     42.00   '
    """
    columns, rows = varcorr_cells(record, digits, components)
    return matrix_lines(columns, [""] * len(rows), rows)
