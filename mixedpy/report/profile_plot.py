"""Plots of profile likelihoods; matplotlib is imported only here, when a plot is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.stats import norm

__all__ = ["CurvePoints", "density", "plot_curves"]

Floats = NDArray[np.float64]

_FINE = 200
"""Points of a drawn curve."""


@dataclass(frozen=True, slots=True)
class CurvePoints:
    """Points of one profile, by increasing value of the parameter.

    Attributes
    ----------
    name : str
        The parameter.
    x, zeta : (k,) array
        Values of the parameter and of zeta.
    """

    name: str
    x: Floats
    zeta: Floats


def density(curve: CurvePoints, at: Floats) -> Floats:
    """Density that the parameter has if zeta is standard normal, phi(zeta(x)) dzeta/dx."""
    interpolated = PchipInterpolator(curve.x, curve.zeta)
    return np.asarray(norm.pdf(interpolated(at)) * interpolated.derivative()(at), np.float64)


def plot_curves(curves: list[CurvePoints], kind: str, levels: tuple[float, ...]) -> Any:
    """Draw one panel per parameter.

    Parameters
    ----------
    curves : list of CurvePoints
        Profiles of at least two points each.
    kind : {"zeta", "density"}
        What to draw.
    levels : tuple of float
        Confidence levels to mark on plots of zeta.

    Returns
    -------
    array of matplotlib Axes
        One for each curve.

    Raises
    ------
    ValueError
        If the kind is unknown or there is nothing to draw.
    ImportError
        If matplotlib is not installed.
    """
    if kind not in ("zeta", "density"):
        raise ValueError(f"kind={kind!r} is unknown; use 'zeta' or 'density'")
    if not curves:
        raise ValueError("there is no profile to plot; see .reasons")
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plots need matplotlib, which is not installed; pip install 'mixedpy[plots]'") from error
    columns = min(len(curves), 4)
    rows = -(-len(curves) // columns)
    figure, grid = pyplot.subplots(
        rows, columns, figsize=(3.2 * columns, 2.8 * rows), squeeze=False, layout="constrained"
    )
    axes = grid.ravel()
    for ax, curve in zip(axes, curves, strict=False):
        (_draw_zeta if kind == "zeta" else _draw_density)(ax, curve, levels)
        ax.set_xlabel(curve.name)
    for row in grid:
        row[0].set_ylabel(kind)
    for ax in axes[len(curves) :]:
        figure.delaxes(ax)
    return axes[: len(curves)]


def _draw_zeta(ax: Any, curve: CurvePoints, levels: tuple[float, ...]) -> None:
    fine = np.linspace(curve.x[0], curve.x[-1], _FINE)
    interpolated = PchipInterpolator(curve.x, curve.zeta)
    ax.plot(fine, interpolated(fine))
    ax.axhline(0.0, color="0.7", linewidth=0.8)
    for level in levels:
        z = norm.ppf(0.5 + 0.5 * level)
        ends = [interpolated.solve(side, extrapolate=False) for side in (-z, z)]
        for side, found in zip((-z, z), ends, strict=True):
            if len(found):
                ax.plot([found[0], found[0]], [0.0, side], color="0.5", linewidth=0.8)


def _draw_density(ax: Any, curve: CurvePoints, levels: tuple[float, ...]) -> None:
    fine = np.linspace(curve.x[0], curve.x[-1], _FINE)
    ax.plot(fine, density(curve, fine))
    ax.set_ylim(bottom=0.0)
