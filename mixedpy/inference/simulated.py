"""Residuals by simulation, and tests of them (as the R package DHARMa has them)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Floats

__all__ = ["SimulatedResiduals", "simulated_residuals"]


@dataclass(frozen=True, slots=True, repr=False)
class SimulatedResiduals:
    """Where each observation stands among simulations of it, and tests of whether it stands there by chance.

    Attributes
    ----------
    scaled : Series
        Share of the simulations of a row below the observation, uniform on (0, 1) where the model holds.
    tests : DataFrame
        Indexed by test; columns ``statistic``, ``expected`` (its mean over the simulations) and ``p_value``. Rows
        ``uniformity``, ``dispersion``, ``outliers``, ``trend``, ``spread``, and ``zeros`` for counts and the like.
    nsim : int
        Number of simulations.

    Notes
    -----
    Every test compares a statistic of the observed response with the same statistic of each simulated response, each
    ranked among all others, so that correlation between rows is allowed for. Parameters are those of the fit, which
    makes the tests a little conservative. Hartig (2022), the R package DHARMa.
    """

    scaled: pd.Series[float]
    tests: pd.DataFrame
    nsim: int

    def __str__(self) -> str:
        table = self.tests.to_string(float_format=lambda v: f"{v:.4g}")
        return f"Residuals of {len(self.scaled)} rows by {self.nsim} simulations\n{table}"

    __repr__ = __str__


def simulated_residuals(
    y: Floats, simulations: Floats, predicted: Floats, rng: np.random.Generator, *, discrete: bool = False
) -> tuple[Floats, pd.DataFrame]:
    """Rank the response among its simulations, and test.

    Parameters
    ----------
    y : (n,) array
        Response.
    simulations : (n, nsim) array
        Responses drawn from the model.
    predicted : (n,) array
        What residuals are held against in the tests of trend and spread.
    rng : Generator
        Spreads the scaled residuals over the steps of 1 / (nsim + 1), and over those of equal values.
    discrete : bool
        Whether values repeat, so that the number of zeros is tested as well.

    Returns
    -------
    scaled : (n,) array
        Scaled residuals.
    tests : DataFrame
        Uniformity (Kolmogorov-Smirnov distance), dispersion (variance about the mean of the simulations, relative to
        that of the simulations), outliers (rows outside all others), trend and spread (rank correlation of the
        residuals, and of their distance from the middle, with the prediction), and the number of zeros.
    """
    pool = np.column_stack([y, simulations])  # (n, nsim + 1); under the model its columns are exchangeable
    n, width = pool.shape
    below, equal = _places(pool)
    scaled = (below + equal * rng.random(pool.shape)) / width

    ordered = np.sort(scaled, axis=0)
    grid = np.arange(n)[:, None] / n
    distance = np.maximum(ordered - grid, grid + 1.0 / n - ordered).max(axis=0)
    others = (pool.sum(axis=1, keepdims=True) - pool) / (width - 1)
    spread = np.square(pool - others).mean(axis=0)
    extreme = ((equal == 1.0) & ((below == 0.0) | (below == width - 1.0))).sum(axis=0).astype(float)
    along = np.argsort(np.argsort(predicted, kind="stable"), kind="stable").astype(float)
    statistics = {
        "uniformity": (distance, False),
        "dispersion": (spread / spread[1:].mean(), True),
        "outliers": (extreme, True),
        "trend": (_correlations(along, scaled), True),
        "spread": (_correlations(along, np.abs(scaled - 0.5)), True),
    }
    if discrete:
        statistics["zeros"] = ((pool == 0.0).sum(axis=0).astype(float), True)
    table = {
        name: (values[0], values[1:].mean(), _p_value(values, both_sides))
        for name, (values, both_sides) in statistics.items()
    }
    return scaled[:, 0], pd.DataFrame.from_dict(table, orient="index", columns=["statistic", "expected", "p_value"])


def _places(pool: Floats) -> tuple[Floats, Floats]:
    """Number of values of the same row below each value, and equal to it (itself included)."""
    order = np.argsort(pool, axis=1)
    ordered = np.take_along_axis(pool, order, axis=1)
    at = np.arange(pool.shape[1])
    new = np.ones(pool.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.maximum.accumulate(np.where(new, at, 0), axis=1)
    last = np.full(pool.shape, at[-1])
    last[:, :-1] = np.where(new[:, 1:], at[:-1], at[-1])
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    below, equal = np.empty(pool.shape), np.empty(pool.shape)
    np.put_along_axis(below, order, first, axis=1)
    np.put_along_axis(equal, order, last - first + 1.0, axis=1)
    return below, equal


def _correlations(x: Floats, columns: Floats) -> Floats:
    x = x - x.mean()
    centred = columns - columns.mean(axis=0)
    length = np.sqrt(float(x @ x) * np.square(centred).sum(axis=0))
    correlation: Floats = x @ centred / np.where(length > 0, length, 1.0)
    return correlation


def _p_value(values: Floats, both_sides: bool) -> float:
    """Monte Carlo p value of the first value among all (Davison & Hinkley 1997, section 4.2)."""
    above = float((values >= values[0]).mean())
    if not both_sides:
        return above
    return min(1.0, 2.0 * min(above, float((values <= values[0]).mean())))
