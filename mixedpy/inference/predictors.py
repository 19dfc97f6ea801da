"""The parts of the linear predictor, on the rows of the fit or of a new table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.record import Estimates
from mixedpy.design import (
    Schema,
    TermSchema,
    effect_columns,
    fixed_columns,
    offset_column,
    random_columns,
    trial_numbers,
)
from mixedpy.design.columns import Numeric
from mixedpy.design.frame import open_table
from mixedpy.errors import DataError
from mixedpy.inference.fitted import fixed_part
from mixedpy.inference.selection import Selection

__all__ = ["Predictors", "TermRows", "of_fit", "of_table"]


@dataclass(frozen=True, slots=True)
class TermRows:
    """One random term on n rows.

    Attributes
    ----------
    codes : (n,) intp array
        Level of each row; -1 for a level that is missing or that the fit has not seen.
    columns : tuple of (n,) arrays
        The m columns of the term.
    labels : (n,) object array or None
        Labels of the levels; None on the rows of the fit.
    """

    codes: NDArray[np.intp]
    columns: tuple[Floats, ...]
    labels: NDArray[np.object_] | None = None

    @property
    def m(self) -> int:
        """Number of effects."""
        return len(self.columns)

    def times(self, effects: Floats) -> Floats:
        """Compute Z b, (n,), for effects b (J, m); a row with no known level gets 0."""
        eta = np.zeros(len(self.codes))
        known = self.codes >= 0
        for k, column in enumerate(self.columns):
            eta += np.where(known, column * effects[self.codes, k], 0.0)
        return eta

    def check_known(self, names: TermSchema, remedy: str) -> None:
        """Raise a DataError, naming column and levels, where a row has no level that the fit knows."""
        unknown = self.codes < 0
        if not unknown.any():
            return
        assert self.labels is not None
        labels = pd.Series(self.labels[unknown], dtype=object)
        seen = [f"'{label}'" for label in labels.dropna().unique()]
        what = []
        if seen:
            more = f" and {len(seen) - 5} more" if len(seen) > 5 else ""
            what.append(f"levels that the fit has not seen ({', '.join(seen[:5])}{more})")
        if labels.isna().any():
            what.append(f"no level in {int(labels.isna().sum())} rows")
        raise DataError(
            f"the grouping column {names.group!r} of newdata has {' and '.join(what)}; {remedy}, or correct the column"
        )


@dataclass(frozen=True, slots=True)
class Predictors:
    """What the linear predictor of n rows is made of.

    Attributes
    ----------
    index : Index
        Labels of the rows.
    fixed : (n,) array
        X beta + offset.
    terms : tuple of TermRows
        The random terms.
    weights : (n,) array or None
        Prior weights.
    X : (n, p) array
        Columns of the fixed part.
    """

    index: pd.Index[Any]
    fixed: Floats
    terms: tuple[TermRows, ...]
    weights: Floats | None
    X: Floats

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.fixed)


def of_fit(design: Design, schema: Schema, record: Estimates) -> Predictors:
    """Collect the parts on the rows of the fit."""
    terms = tuple(TermRows(term.codes, tuple(design.columns[c] for c in term.columns)) for term in design.terms)
    return Predictors(schema.index, fixed_part(design, record), terms, design.weights, design.X)


def of_table(
    schema: Schema,
    record: Estimates,
    newdata: Any,
    *,
    chosen: Selection | None = None,
    unchosen_columns: bool = False,
    weights: bool = False,
) -> Predictors:
    """Collect the parts on the rows of a new table.

    Parameters
    ----------
    chosen : Selection, optional
        The effects that will be used; columns of a term without any are not read, and the term has no columns.
    unchosen_columns : bool
        Whether to read the columns of the effects of such a term all the same; its grouping factor is not read, and
        every row has the code -1.
    weights : bool
        Whether to read the column of prior weights.

    Raises
    ------
    DataError
        If a column is missing or a factor has a level that the fit has not seen.
    """
    X = fixed_columns(schema, newdata)
    fixed = X @ record.beta
    offset = offset_column(schema, newdata)
    nowhere = np.full(len(fixed), -1, dtype=np.intp)
    terms = []
    for k in range(len(schema.terms)):
        if chosen is None or chosen[k].any():
            terms.append(_new_term(schema, newdata, k))
        else:
            terms.append(TermRows(nowhere, tuple(effect_columns(schema, newdata, k).T) if unchosen_columns else ()))
    return Predictors(
        index=open_table(newdata).index(len(fixed)),
        fixed=fixed if offset is None else fixed + offset,
        terms=tuple(terms),
        weights=_new_weights(schema, newdata) if weights else None,
        X=X,
    )


def _new_term(schema: Schema, newdata: Any, k: int) -> TermRows:
    codes, labels, Z = random_columns(schema, newdata, k)
    return TermRows(codes, tuple(Z.T), labels)


def _new_weights(schema: Schema, newdata: Any) -> Floats | None:
    trials = None if schema.formula.counts is None else trial_numbers(schema, newdata)
    if schema.weights_name is None:
        return trials
    column = open_table(newdata).column(schema.weights_name)
    if not isinstance(column, Numeric) or not np.all((column.values > 0) & np.isfinite(column.values)):
        raise DataError(f"the weights column {schema.weights_name!r} of newdata must hold positive, finite numbers")
    return column.values if trials is None else trials * column.values
