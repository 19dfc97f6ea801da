"""``influence``, ``cooks_distance`` and ``leverage`` of a fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.errors import MixedpyError
from mixedpy.inference import influence, names, rows
from mixedpy.inference.influence import Influence
from mixedpy.inference.leverage import leverage
from mixedpy.inference.pooling import group_position

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit

__all__ = ["InfluenceTable", "Method", "influence_table", "leverage_table"]

Method = Literal["auto", "held", "refit"]

_MOST_REFITS = 20_000_000
"""Rows times groups up to which "auto" refits the model without each group."""

_MOST_GENERAL_REFITS = 1_000_000
"""The same for generalized models, whose fits take longer."""

_MEASURES = ("cooks_distance", "mdffits", "covtrace", "covratio")


class InfluenceTable(pd.DataFrame):
    """Measures of influence, one row per row or level left out; the print says how they were computed.

    Attributes
    ----------
    note : str
        What is exact about the figures.
    fixef : DataFrame
        Fixed effects without each.
    theta : DataFrame or None
        Covariance parameters and, last, sigma without each, where the model was refitted.
    """

    _metadata = ["note", "fixef", "theta"]  # noqa: RUF012 (pandas looks for a list)

    note: str
    fixef: pd.DataFrame
    theta: pd.DataFrame | None

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def __repr__(self) -> str:
        return f"{self.note}\n{pd.DataFrame(self)!r}"

    def _repr_html_(self) -> str:
        table: Any = pd.DataFrame(self)
        return f"<p>{self.note}</p>{table._repr_html_()}"


def influence_table(fit: Fit, by: str, method: Method) -> InfluenceTable:
    """Compute the measures; see :meth:`mixedpy.models.checking.Checking.influence`."""
    if method not in get_args(Method):
        raise ValueError(f"method={method!r} is unknown; use one of {', '.join(map(repr, get_args(Method)))}")
    if fit.design.p == 0:
        raise MixedpyError("the fit has no fixed effects, so nothing has influence on them")
    if by == "obs":
        found, what = _of_rows(fit, method), "row"
        label = _on_rows(fit)
    else:
        term = group_position(fit.schema, by)[0]
        found, what = _of_groups(fit, fit.design.terms[term].codes, len(fit.schema.terms[term].levels), method), by
        index = pd.Index(fit.schema.terms[term].levels, name=by)

        def label(values: NDArray[Any], columns: list[str]) -> pd.DataFrame:
            return pd.DataFrame(values, index=index, columns=columns)

    measures = [getattr(found, name) for name in _MEASURES]
    columns = list(_MEASURES)
    if found.dffits is not None:
        measures.append(found.dffits)
        columns.append("dffits")
    table = InfluenceTable(label(np.column_stack(measures), columns))
    table.note = _note(fit, found, what)
    table.fixef = label(found.beta, list(fit.schema.fixed_names))
    table.theta = None
    if found.theta is not None and found.sigma is not None:
        parameters = [*names.theta_names(fit.design, fit.schema), "sigma"]
        table.theta = label(np.column_stack([found.theta, found.sigma]), parameters)
    return table


def _on_rows(fit: Fit) -> Callable[[NDArray[Any], list[str]], pd.DataFrame]:
    return lambda values, columns: rows.frame_on_rows(fit.schema, values, columns)


def _of_rows(fit: Fit, method: Method) -> Influence:
    if isinstance(fit.record, FitRecord) and method != "refit":
        return influence.influence_of_rows(fit.design, fit.record)
    _check_general(fit, method, fit.nobs)
    return _by_refits(fit, np.arange(fit.nobs), fit.nobs, full=True)


def _of_groups(fit: Fit, codes: NDArray[np.intp], n_groups: int, method: Method) -> Influence:
    if isinstance(fit.record, GlmmRecord):
        _check_general(fit, method, n_groups)
        return _by_refits(fit, codes, n_groups, full=True)
    if method == "refit" or (method == "auto" and fit.nobs * n_groups <= _MOST_REFITS):
        return _by_refits(fit, codes, n_groups, full=True)
    if influence.independent(fit.design, codes):
        return influence.influence_of_groups(fit.design, fit.record, codes, n_groups)
    return _by_refits(fit, codes, n_groups, full=False)


def _check_general(fit: Fit, method: Method, count: int) -> None:
    """Refuse what a generalized fit has no closed form for, and long work that was not asked for."""
    if isinstance(fit.record, FitRecord):
        return
    if method == "held":
        raise MixedpyError('a generalized fit has no closed form for method="held"; use method="refit"')
    if method == "auto" and fit.nobs * count > _MOST_GENERAL_REFITS:
        raise MixedpyError(
            f'the model would be fitted {count:,} times to {fit.nobs:,} rows; give method="refit" if that is wanted'
        )


def _by_refits(fit: Fit, codes: NDArray[np.intp], n_groups: int, *, full: bool) -> Influence:
    control = fit.request.control
    return influence.influence_by_refits(fit.design, fit.record, codes, n_groups, full=full, control=control)


def _note(fit: Fit, found: Influence, what: str) -> str:
    held = "for covariance parameters (theta, sigma) held at their estimates"
    how = {
        "refit": f"exact: all parameters were estimated anew without each of the {len(found.beta)}",
        "held": f"exact {held}: the fixed effects were estimated anew without each of the {len(found.beta)}",
        "closed": f'exact in closed form {held}; method="refit" estimates them anew',
    }[found.way]
    note = f"Influence of each {what} on the fixed effects of {fit.formula}\n{how[0].upper()}{how[1:]}."
    for outcome, count in Counter(outcome for _, outcome in found.outcomes).items():
        note += f"\n{count} of {len(found.beta)}: {outcome.value}."
    return note


def leverage_table(fit: Fit, by: str) -> pd.DataFrame:
    """Collect the leverages; see :meth:`mixedpy.models.checking.Checking.leverage`."""
    found = leverage(fit.design, fit.record)
    columns = {
        "overall": found.overall,
        "fixef": found.fixed,
        "ranef": found.random,
        "ranef_uc": found.unconfounded,
    }
    if by == "obs":
        return rows.frame_on_rows(fit.schema, np.column_stack(list(columns.values())), list(columns))
    term = group_position(fit.schema, by)[0]
    codes, levels = fit.design.terms[term].codes, fit.schema.terms[term].levels
    counts = np.bincount(codes, minlength=len(levels))
    means = {name: np.bincount(codes, values, len(levels)) / counts for name, values in columns.items()}
    return pd.DataFrame(means, index=pd.Index(levels, name=by))
