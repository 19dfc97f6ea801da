"""Fitted curves over a predictor: averaged over the data, or for each level of a grouping factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema, fixed_columns, offset_column, zero_columns
from mixedpy.inference.glmm.limits import LinearError, mean_with_limits
from mixedpy.inference.glmm.response import new_auxiliary_predictors
from mixedpy.inference.predict import predict
from mixedpy.inference.predictors import of_table
from mixedpy.inference.selection import Selection
from mixedpy.inference.variables import grid_of, typical

__all__ = ["Averaged", "LevelCurves", "averaged", "level_curves"]


@dataclass(frozen=True, slots=True)
class Averaged:
    """The mean fitted value at each point of a grid.

    Attributes
    ----------
    fit, lower, upper : (g,) arrays
        Estimates and confidence limits.
    """

    fit: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class LevelCurves:
    """Fitted curves of J levels on a grid of g points.

    Attributes
    ----------
    grid : (g,) array
        Positions.
    categories : tuple of str
        Levels of a factor at these positions; empty for numbers.
    conditional, population : (J, g) arrays
        With the random effects of the grouping factor, and with none.
    """

    grid: Floats
    categories: tuple[str, ...]
    conditional: Floats
    population: Floats


def averaged(
    design: Design,
    schema: Schema,
    record: FitRecord | GlmmRecord,
    rows: pd.DataFrame,
    points: pd.DataFrame,
    *,
    level: float,
) -> Averaged:
    """Average the fixed part over the rows of the data, with some columns set to given values in all of them.

    The limits are those of the normal distribution; the covariance parameters of a linear fit count as known. In a
    generalized fit linear predictors are averaged, and the result and its limits put on the scale of the response.

    Parameters
    ----------
    rows : DataFrame
        The columns that the fixed part reads, on the rows of the fit.
    points : DataFrame (g rows)
        Values of the columns to be set.
    level : float
        Confidence level.
    """
    others = rows.drop(columns=list(points.columns))
    if others.shape[1]:
        grouped = others.groupby(list(others.columns), observed=True, sort=False).size()
        combinations, share = grouped.index.to_frame(index=False), grouped.to_numpy() / len(rows)
        for name in others.columns:
            combinations[name] = combinations[name].astype(others[name].dtype)
    else:
        combinations, share = pd.DataFrame(index=range(1)), np.ones(1)
    X = np.empty((len(points), record.p))
    offset = np.zeros(len(points))
    zeros = None if schema.zeros is None else np.empty((len(points), len(schema.zeros.names)))
    constant = 0.0 if design.offset is None else float(design.offset.mean())
    for k in range(len(points)):
        set_to = points.iloc[np.full(len(combinations), k)].set_axis(combinations.index, axis=0)
        table = pd.concat([combinations, set_to], axis=1)
        X[k] = share @ fixed_columns(schema, table)
        if zeros is not None:
            zeros[k] = share @ zero_columns(schema, table)
        known = offset_column(schema, table) if _reads(schema, table) else None
        offset[k] = constant if known is None else share @ known
    fit, z = X @ record.beta + offset, float(ndtri(0.5 + level / 2))
    if isinstance(record, GlmmRecord):
        return Averaged(*mean_with_limits(record, fit, LinearError(X, zeros), z))
    half = z * np.sqrt(np.einsum("gp,pq,gq->g", X, record.fixed_vcov, X))
    return Averaged(fit, fit - half, fit + half)


def _reads(schema: Schema, table: pd.DataFrame) -> bool:
    """Whether the offset can be evaluated in a table."""
    return bool(schema.offsets) or (schema.offset_name is not None and schema.offset_name in table)


def level_curves(
    design: Design,
    schema: Schema,
    record: FitRecord | GlmmRecord,
    rows: pd.DataFrame,
    *,
    group: str,
    x: str,
    chosen: list[int],
    points: int,
) -> LevelCurves:
    """Evaluate the fitted curve of each chosen level of a grouping factor.

    Other columns are held at what is typical of the level: the mean of numbers, the most frequent category. Only the
    random effects of this grouping factor enter.

    Parameters
    ----------
    rows : DataFrame
        The columns that the model reads, on the rows of the fit.
    group, x : str
        Grouping factor, and the column over which the curves run.
    chosen : list of int
        Positions of the levels.
    points : int
        Number of points for a numeric predictor.
    """
    term = next(term for term, names in zip(design.terms, schema.terms, strict=True) if names.group == group)
    values, grid, categories = grid_of(schema, x, rows[x], points)
    base = typical(rows.drop(columns=[x]), term.codes, term.n_levels).iloc[chosen]
    table = base.iloc[np.repeat(np.arange(len(chosen)), len(grid))].reset_index(drop=True)
    table[x] = pd.Series(values).iloc[np.tile(np.arange(len(grid)), len(chosen))].to_numpy()
    if categories and not isinstance(values, np.ndarray):
        table[x] = pd.Categorical(table[x], values.categories, ordered=values.ordered)
    own = tuple(np.full(len(term.effects), term.group == group) for term in schema.terms)
    nothing = tuple(np.zeros(len(term.effects), dtype=bool) for term in schema.terms)
    conditional, population = (_predict(schema, record, table, which) for which in (own, nothing))
    shape = (len(chosen), len(grid))
    return LevelCurves(grid, categories, conditional.reshape(shape), population.reshape(shape))


def _predict(schema: Schema, record: FitRecord | GlmmRecord, table: pd.DataFrame, chosen: Selection) -> Floats:
    """Fitted means."""
    eta = predict(of_table(schema, record, table, chosen=chosen), schema, record, chosen, True)
    if isinstance(record, GlmmRecord):
        return record.family.mean(eta, new_auxiliary_predictors(schema, record, table))
    return eta
