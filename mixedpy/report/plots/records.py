"""The plain numbers behind every plot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "EffectCurve",
    "EffectModes",
    "EffectPanel",
    "ResidualRecord",
    "ShrinkageRecord",
    "TrajectoryPanel",
    "TrajectoryRecord",
    "VarianceRecord",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EffectModes:
    """Conditional modes of one effect.

    Attributes
    ----------
    group, effect : str
        Label of the term and name of the effect.
    levels : tuple of str
        The J levels.
    mode, sd : (J,) arrays
        Conditional modes and their standard deviations given the data.
    """

    group: str
    effect: str
    levels: tuple[str, ...]
    mode: Floats
    sd: Floats


@dataclass(frozen=True, slots=True)
class ShrinkageRecord:
    """Coefficients per level without and with pooling.

    Attributes
    ----------
    group : str
        The grouping factor.
    effects : tuple of str
        The m effects, one or two.
    levels : tuple of str
        The J levels.
    none, partial : (J, m) arrays
        Estimates from each level alone, NaN where the level does not determine them, and from the mixed model.
    complete : (m,) array
        Fixed effects.
    covariance : (m, m) array
        Covariance of the random effects.
    """

    group: str
    effects: tuple[str, ...]
    levels: tuple[str, ...]
    none: Floats
    partial: Floats
    complete: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True)
class TrajectoryPanel:
    """One level: its rows, and the fitted curves through them.

    Attributes
    ----------
    label : str
        The level.
    x, y : (n,) arrays
        The rows of the level.
    conditional, population : (g,) arrays
        Fitted values on the grid with the level's random effects and without.
    """

    label: str
    x: Floats
    y: Floats
    conditional: Floats
    population: Floats


@dataclass(frozen=True, slots=True)
class TrajectoryRecord:
    """Fitted curves per level of a grouping factor.

    Attributes
    ----------
    group, x_name, y_name : str
        Grouping factor, predictor and response.
    categories : tuple of str
        What the positions 0, 1, ... of x stand for; empty for a numeric predictor.
    grid : (g,) array
        Where the curves are evaluated.
    panels : tuple of TrajectoryPanel
        The levels shown.
    n_levels : int
        How many levels there are.
    """

    group: str
    x_name: str
    y_name: str
    categories: tuple[str, ...]
    grid: Floats
    panels: tuple[TrajectoryPanel, ...]
    n_levels: int


@dataclass(frozen=True, slots=True)
class VarianceRecord:
    """Where the variance of a row comes from.

    Attributes
    ----------
    names : tuple of str
        The random terms, and the residual last.
    variance : (k,) array
        Their variances, averaged over the rows.
    effects : tuple of tuple of (str, float)
        Per random term its effects with their standard deviations; empty for the residual.
    icc : float
        Intraclass correlation.
    """

    names: tuple[str, ...]
    variance: Floats
    effects: tuple[tuple[tuple[str, float], ...], ...]
    icc: float


@dataclass(frozen=True, slots=True)
class ResidualRecord:
    """Residuals of n rows.

    Attributes
    ----------
    fitted, scaled : (n,) arrays
        Fitted values, and residuals divided by their standard deviation.
    group : str
        Grouping factor of the last panel.
    quartiles : (J, 3) array
        Quartiles of the scaled residuals of each of its levels.
    name, fitted_name : str
        What the residuals and the fitted values are.
    """

    fitted: Floats
    scaled: Floats
    group: str
    quartiles: Floats
    name: str = "scaled residual"
    fitted_name: str = "fitted value"


@dataclass(frozen=True, slots=True)
class EffectCurve:
    """A fitted effect on a grid, with confidence limits.

    Attributes
    ----------
    label : str or None
        What distinguishes it from the other curves of the panel.
    fit, lower, upper : (g,) arrays
        Values.
    """

    label: str | None
    fit: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class EffectPanel:
    """The fitted effect of one predictor.

    Attributes
    ----------
    x_name, y_name : str
        Predictor and response.
    by_name : str or None
        The second predictor, over whose values the curves run.
    categories : tuple of str
        What the positions 0, 1, ... of x stand for; empty for a numeric predictor.
    grid : (g,) array
        Values of the predictor.
    curves : tuple of EffectCurve
        One, or one for each value of the second predictor.
    rug : array
        Values of the predictor in the data.
    level : float
        Confidence level.
    """

    x_name: str
    y_name: str
    by_name: str | None
    categories: tuple[str, ...]
    grid: Floats
    curves: tuple[EffectCurve, ...]
    rug: Floats
    level: float
