"""Four views of the residuals."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixedpy.report.plots.ranef import quantile_band
from mixedpy.report.plots.records import Floats, ResidualRecord
from mixedpy.report.plots.style import BLUE, DENSE, GREY, LIGHT, ORANGE, AxesLike, Panels, one_or_all, panels, styled

__all__ = ["draw_residuals", "local_line"]

_SPAN = 0.5


@styled
def draw_residuals(record: ResidualRecord, *, level: float, ax: AxesLike) -> Panels:
    """Draw residuals and their size against fitted values, against normal quantiles, and by group.

    Returns
    -------
    array of Axes
        The four panels.
    """
    axes = panels(4, ax, columns=2, size=(3.3, 2.7))
    _scatter(axes[0], record.fitted, record.scaled, 0.0)
    axes[0].set_ylabel(record.name)
    axes[0].set_title(f"Residuals against {record.fitted_name}s")
    _scatter(axes[1], record.fitted, np.sqrt(np.abs(record.scaled)), None)
    axes[1].set_ylabel(f"√|{record.name}|")
    axes[1].set_title(f"Spread against {record.fitted_name}s")
    quantile_band(axes[2], np.sort(record.scaled), level)
    for panel in axes[:2]:
        panel.set_xlabel(record.fitted_name)
    axes[2].set_xlabel("normal quantile")
    axes[2].set_ylabel(record.name)
    axes[2].set_title("Normal quantiles")
    _by_group(axes[3], record)
    return one_or_all(axes)


def _scatter(panel: Any, x: Floats, y: Floats, reference: float | None) -> None:
    n = len(x)
    if reference is not None:
        panel.axhline(reference, color=LIGHT, linewidth=0.9, zorder=0)
    size, alpha = (2.6, 0.7) if n <= 2000 else (1.2, 0.35)
    panel.plot(x, y, "o", color=BLUE, markersize=size, alpha=alpha, markeredgewidth=0, rasterized=n > DENSE // 10)
    grid, smooth = local_line(x, y)
    panel.plot(grid, smooth, color=ORANGE)


def _by_group(panel: Any, record: ResidualRecord) -> None:
    order = np.argsort(record.quartiles[:, 1], kind="stable")
    low, middle, high = record.quartiles[order].T
    at = np.arange(len(order))
    dense = len(at) > 2000
    panel.axhline(0.0, color=LIGHT, linewidth=0.9, zorder=0)
    panel.vlines(at, low, high, color=GREY, linewidth=1.2 if len(at) <= 60 else 0.4, rasterized=dense)
    panel.plot(at, middle, "o", color=BLUE, markersize=3.0 if len(at) <= 60 else 1.2, rasterized=dense)
    panel.set_xticks([])
    panel.set_xlabel(f"levels of {record.group}, by median")
    panel.set_ylabel(f"quartiles of {record.name}s")
    panel.set_title(f"By {record.group}")


def local_line(x: Floats, y: Floats, points: int = 60) -> tuple[Floats, Floats]:
    """Smooth y over x by lines fitted locally with tricube weights to half of the rows.

    Cleveland (1979, J. Am. Stat. Assoc. 74, 829), without the robustness iterations, on a grid.

    Returns
    -------
    grid, smooth : arrays
        Quantiles of x, and the smooth there; where x does not vary locally, the local mean.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(20.0)
    >>> grid, smooth = local_line(x, 3.0 + 2.0 * x)
    >>> bool(np.allclose(smooth, 3.0 + 2.0 * grid))
    True
    """
    grid = np.unique(np.quantile(x, np.linspace(0.0, 1.0, points)))
    within = max(2, int(np.ceil(_SPAN * len(x)))) - 1
    smooth = np.empty(len(grid))
    for k, centre in enumerate(grid):
        distance = np.abs(x - centre)
        width = np.partition(distance, min(within, len(x) - 1))[min(within, len(x) - 1)] * 1.0001
        weight = np.clip(1.0 - (distance / width if width > 0 else 0.0 * distance) ** 3, 0.0, None) ** 3
        total = weight.sum()
        x_mean, y_mean = weight @ x / total, weight @ y / total
        spread = weight @ (x - x_mean) ** 2
        slope = weight @ ((x - x_mean) * y) / spread if spread > 1e-12 * total * (1.0 + x_mean**2) else 0.0
        smooth[k] = y_mean + slope * (centre - x_mean)
    return grid, smooth
