"""The table of a fit: the caller's own, not a copy, so that whoever reads it again must find it as it was."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.record import FitRecord
from mixedpy.design import Built
from mixedpy.errors import DataError, MixedpyError, RankDeficiencyWarning
from mixedpy.models.fitting import build_design
from mixedpy.models.generalized.fitting import build_glmm
from mixedpy.models.request import Request

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = ["kept_table", "table_of"]

_CHANGED = "the table has been changed since the model was fitted to it; fit again, or restore "

_NO_TABLE = (
    "rows or groups drawn by a bootstrap have no table to make means or predictors from; use what the estimates give, "
    "such as fixef, contrast and varcorr"
)

_ROUNDING = 1e-10


def kept_table(fit: LmmFit | GlmmFit) -> Any:
    """The table that was fitted, after the model's arrays were made from it anew and found equal to those of the fit.

    Raises
    ------
    DataError
        If there is none, or it, or an array given beside it, no longer makes the model that was fitted.
    """
    data = table_of(fit)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RankDeficiencyWarning)  # given when the fit was made
            built = build_design(fit.request) if isinstance(fit.request, Request) else build_glmm(fit.request)[0]
    except MixedpyError as error:
        raise DataError(f"{_CHANGED}it: {error}") from error
    found = list(dict.fromkeys((*_differences(fit, built), *_zero_differences(fit, built))))
    if found:
        raise DataError(f"{_CHANGED}{', '.join(found)}")
    return data


def table_of(fit: LmmFit | GlmmFit) -> Any:
    """The table that was fitted, as it now is.

    Raises
    ------
    DataError
        If there is none, since the rows were drawn by a bootstrap.
    """
    if fit.request.data is None:
        raise DataError(_NO_TABLE)
    return fit.request.data


def _differences(fit: LmmFit | GlmmFit, built: Built) -> Iterator[str]:
    """Name what differs; a refit has another response than the table, and with it other trials of ``cbind``."""
    design, schema, refitted = fit.design, fit.schema, fit.request.refitted
    again = built.schema
    if again.n_total != schema.n_total or not np.array_equal(again.rows, schema.rows):
        yield f"its {schema.n_total} rows, of which {len(schema.rows)} had no missing value"
        return
    new = built.design
    if not refitted and not _same(new.y, design.y):
        yield f"`{schema.response}`"
    if again.fixed_names != schema.fixed_names:
        yield "the columns of " + (" + ".join(schema.term_labels) or "the fixed part")
        return
    for name, k, there in zip(schema.fixed_names, design.fixed, new.fixed, strict=True):
        if not _same(new.columns[there], design.columns[k]):
            yield f"`{name}`"
    for frozen, other, old, now in zip(schema.terms, again.terms, design.terms, new.terms, strict=False):
        if (frozen.name, frozen.levels) != (other.name, other.levels) or not np.array_equal(old.codes, now.codes):
            yield f"`{frozen.group}`"
            continue
        if frozen.effects != other.effects:
            yield f"the effects that vary over `{frozen.group}`"
            continue
        for effect, k, there in zip(frozen.effects, old.columns, now.columns, strict=True):
            if not _same(new.columns[there], design.columns[k]):
                yield f"`{effect}`"
    trials = refitted and schema.formula.counts is not None and fit.request.weights is None
    if not trials and not _same(design.weights, new.weights):
        yield "the weights"
    if not _same(design.offset, new.offset):
        yield "the offset"


def _zero_differences(fit: LmmFit | GlmmFit, built: Built) -> Iterator[str]:
    """Name the columns of the zeros' formula that differ."""
    encoding, again = fit.schema.zeros, built.schema.zeros
    if encoding is None or again is None or built.zeros is None or isinstance(fit.record, FitRecord):
        return
    if again.names != encoding.names:
        yield "the columns of the zeros' formula"
        return
    columns = fit.record.auxiliary[-1]  # None for a constant
    if columns is None or len(columns) != len(built.zeros):
        return
    for name, old, new in zip(encoding.names, columns.T, built.zeros.T, strict=True):
        if not _same(new, old):
            yield f"`{name}` of the zeros"


def _same(first: Floats | None, second: Floats | None) -> bool:
    """Whether two columns are equal but for rounding, which may differ where a saved fit is read on another machine."""
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second) or np.allclose(first, second, _ROUNDING, _ROUNDING * np.abs(second).max())
