"""Fitted curves of the levels of a grouping factor, over their data."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixedpy.report.plots.records import TrajectoryRecord
from mixedpy.report.plots.style import BLUE, DENSE, GREY, ORANGE, AxesLike, Panels, one_or_all, panels, styled

__all__ = ["draw_trajectories"]

_COLUMNS = 6


@styled
def draw_trajectories(record: TrajectoryRecord, *, overlay: bool, ax: AxesLike) -> Panels:
    """Draw the rows of each level, its fitted curve, and the curve of the fixed effects.

    Parameters
    ----------
    record : TrajectoryRecord
        The curves.
    overlay : bool
        Whether all levels share one panel rather than having one each.
    ax : Axes or sequence of Axes, optional
        Where to draw.

    Returns
    -------
    Axes or array of Axes
        One, or one for each level shown.
    """
    if overlay:
        axes = panels(1, ax, size=(4.8, 3.6))
        _overlay(axes[0], record)
        return one_or_all(axes)
    k = len(record.panels)
    axes = panels(k, ax, columns=_COLUMNS, size=(1.45, 1.45), sharex=True, sharey=True)
    for panel, level in zip(axes, record.panels, strict=True):
        panel.plot(level.x, level.y, "o", color=GREY, markersize=2.4, alpha=0.8)
        panel.plot(record.grid, level.population, color=ORANGE, linewidth=0.9, linestyle=(0, (4, 2)))
        panel.plot(record.grid, level.conditional, color=BLUE)
        panel.set_title(level.label, fontsize=8, pad=2)
        _ticks(panel, record, 18)
    figure = axes[0].figure
    if ax is None:
        shown = "" if k == record.n_levels else f" ({k} of {record.n_levels:,} levels of {record.group})"
        figure.supxlabel(record.x_name + shown, fontsize=9)
        figure.supylabel(record.y_name, fontsize=9)
        figure.legend(
            handles=axes[0].get_lines(),
            labels=["data", "fixed effects alone", f"with the effects of {record.group}"],
            loc="outside upper center",
            ncols=3,
        )
    else:
        for panel in axes:
            panel.set_xlabel(record.x_name)
            panel.set_ylabel(record.y_name)
    return one_or_all(axes)


def _title(record: TrajectoryRecord) -> str:
    shown = len(record.panels)
    return record.group if shown == record.n_levels else f"{record.group}: {shown} of {record.n_levels:,} levels"


def _overlay(panel: Any, record: TrajectoryRecord) -> None:
    x = np.concatenate([level.x for level in record.panels])
    y = np.concatenate([level.y for level in record.panels])
    panel.plot(x, y, "o", color=GREY, markersize=2.0, alpha=0.45, label="data", rasterized=len(x) > DENSE)
    for k, level in enumerate(record.panels):
        label = f"with the effects of {record.group}" if k == 0 else None
        panel.plot(record.grid, level.conditional, color=BLUE, linewidth=0.8, alpha=0.7, label=label)
    mean = np.mean([level.population for level in record.panels], axis=0)
    panel.plot(record.grid, mean, color=ORANGE, linewidth=2.2, label="fixed effects alone")
    panel.set_xlabel(record.x_name)
    panel.set_ylabel(record.y_name)
    panel.set_title(_title(record))
    panel.legend(loc="best")
    _ticks(panel, record, 60)


def _ticks(panel: Any, record: TrajectoryRecord, room: int) -> None:
    """Label the categories, upright where they need more characters than there is room for."""
    if record.categories:
        crowded = sum(len(name) + 2 for name in record.categories) > room
        panel.set_xticks(range(len(record.categories)), record.categories, rotation=90 if crowded else 0)
