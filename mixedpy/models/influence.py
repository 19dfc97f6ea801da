"""``influence``, ``cooks_distance`` and ``leverage`` of a fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.errors import MixedpyError
from mixedpy.inference import influence, names, rows
from mixedpy.inference.influence import Influence
from mixedpy.inference.leverage import leverage
from mixedpy.inference.pooling import group_position

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["InfluenceTable", "Method", "influence_table", "leverage_table"]

Method = Literal["auto", "held", "refit"]

_MOST_REFITS = 20_000_000
"""Rows times groups up to which "auto" refits the model without each group."""

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


def influence_table(fit: LmmFit, by: str, method: Method) -> InfluenceTable:
    """Compute the measures; see :meth:`mixedpy.LmmFit.influence`."""
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


def _on_rows(fit: LmmFit) -> Callable[[NDArray[Any], list[str]], pd.DataFrame]:
    return lambda values, columns: rows.frame_on_rows(fit.schema, values, columns)


def _of_rows(fit: LmmFit, method: Method) -> Influence:
    if method != "refit":
        return influence.influence_of_rows(fit.design, fit.record)
    return _by_refits(fit, np.arange(fit.nobs), fit.nobs, full=True)


def _of_groups(fit: LmmFit, codes: NDArray[np.intp], n_groups: int, method: Method) -> Influence:
    if method == "refit" or (method == "auto" and fit.nobs * n_groups <= _MOST_REFITS):
        return _by_refits(fit, codes, n_groups, full=True)
    if influence.independent(fit.design, codes):
        return influence.influence_of_groups(fit.design, fit.record, codes, n_groups)
    return _by_refits(fit, codes, n_groups, full=False)


def _by_refits(fit: LmmFit, codes: NDArray[np.intp], n_groups: int, *, full: bool) -> Influence:
    control = fit.request.control
    return influence.influence_by_refits(fit.design, fit.record, codes, n_groups, full=full, control=control)


def _note(fit: LmmFit, found: Influence, what: str) -> str:
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


def leverage_table(fit: LmmFit, by: str) -> pd.DataFrame:
    """Collect the leverages; see :meth:`mixedpy.LmmFit.leverage`."""
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
