"""Plots of profile likelihoods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.distributions import normal_density, normal_quantile
from mixedpy.report.plots.style import BLUE, GREY, LIGHT, AxesLike, panels, styled

__all__ = ["CurvePoints", "density", "plot_curves"]

Floats = NDArray[np.float64]

_COLUMNS = 4
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
    from scipy.interpolate import PchipInterpolator  # slow to import, and only plots need it

    interpolated = PchipInterpolator(curve.x, curve.zeta)
    return np.asarray(normal_density(interpolated(at)) * interpolated.derivative()(at), np.float64)


@styled
def plot_curves(
    curves: list[CurvePoints], kind: str, levels: tuple[float, ...], ax: AxesLike = None
) -> NDArray[np.object_]:
    """Draw one panel per parameter.

    Parameters
    ----------
    curves : list of CurvePoints
        Profiles of at least two points each.
    kind : {"zeta", "density"}
        What to draw.
    levels : tuple of float
        Confidence levels to mark on plots of zeta.
    ax : Axes or sequence of Axes, optional
        Where to draw, one for each curve.

    Returns
    -------
    array of matplotlib Axes
        One for each curve.

    Raises
    ------
    ValueError
        If the kind is unknown or there is nothing to draw.
    MixedpyError
        If matplotlib is not installed.
    """
    if kind not in ("zeta", "density"):
        raise ValueError(f"kind={kind!r} is unknown; use 'zeta' or 'density'")
    if not curves:
        raise ValueError("there is no profile to plot; see .reasons")
    axes = panels(len(curves), ax, columns=_COLUMNS)
    for k, (panel, curve) in enumerate(zip(axes, curves, strict=True)):
        (_draw_zeta if kind == "zeta" else _draw_density)(panel, curve, levels)
        panel.set_xlabel(curve.name)
        if k % _COLUMNS == 0:
            panel.set_ylabel(kind)
    return axes


def _draw_zeta(ax: Any, curve: CurvePoints, levels: tuple[float, ...]) -> None:
    fine = np.linspace(curve.x[0], curve.x[-1], _FINE)
    from scipy.interpolate import PchipInterpolator  # slow to import, and only plots need it

    interpolated = PchipInterpolator(curve.x, curve.zeta)
    ax.plot(fine, interpolated(fine), color=BLUE)
    ax.axhline(0.0, color=LIGHT, linewidth=0.8)
    for level in levels:
        z = normal_quantile(0.5 + 0.5 * level)
        ends = [interpolated.solve(side, extrapolate=False) for side in (-z, z)]
        for side, found in zip((-z, z), ends, strict=True):
            if len(found):
                ax.plot([found[0], found[0]], [0.0, side], color=GREY, linewidth=0.8)


def _draw_density(ax: Any, curve: CurvePoints, levels: tuple[float, ...]) -> None:
    fine = np.linspace(curve.x[0], curve.x[-1], _FINE)
    ax.plot(fine, density(curve, fine), color=BLUE)
    ax.set_ylim(bottom=0.0)
