"""Shrinkage: from the estimates of each level alone to those of the mixed model."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixedpy.report.plots.records import Floats, ShrinkageRecord
from mixedpy.report.plots.style import BLUE, GREY, LIGHT, ORANGE, AxesLike, Panels, one_or_all, panels, styled

__all__ = ["draw_shrinkage"]

_MOST_LABELS = 60
_RADII = (1.0, 2.0)


@styled
def draw_shrinkage(record: ShrinkageRecord, *, ax: AxesLike) -> Panels:
    """Draw arrows from no pooling to partial pooling, in the plane of two effects or along one.

    Ellipses show the estimated distribution of the coefficients at one and two standard deviations.
    """
    if len(record.effects) == 2:
        axes = panels(1, ax, size=(4.4, 4.0))
        _plane(axes[0], record)
    else:
        few = len(record.levels) <= _MOST_LABELS
        axes = panels(1, ax, size=(4.4, 1.0 + 0.17 * max(len(record.levels), 8) if few else 4.8))
        _line(axes[0], record)
    lost = int(np.isnan(record.none).any(axis=1).sum())
    if lost:
        text = f"{lost} of {len(record.levels)} levels alone do not determine an estimate"
        axes[0].annotate(text, (0.01, 0.01), xycoords="axes fraction", fontsize=7, color=GREY)
    return one_or_all(axes)


def _plane(panel: Any, record: ShrinkageRecord) -> None:
    known = ~np.isnan(record.none).any(axis=1)
    start, end = record.none[known], record.partial[known]
    for radius in _RADII:
        panel.plot(*_ellipse(record.complete, record.covariance, radius).T, color=LIGHT, linewidth=0.9, zorder=0)
    move = end - start
    dense = len(start) > 2000
    panel.quiver(
        *start.T,
        *move.T,
        angles="xy",
        scale_units="xy",
        scale=1.0,
        color=GREY,
        width=0.0028,
        headwidth=5.0,
        headlength=6.0,
        alpha=0.8,
        zorder=1,
        rasterized=dense,
    )
    panel.plot(*start.T, "o", color=GREY, fillstyle="none", markersize=3.6, label="no pooling", rasterized=dense)
    panel.plot(*record.partial.T, "o", color=BLUE, markersize=3.6, label="partial pooling", rasterized=dense)
    panel.plot(*record.complete, "P", color=ORANGE, markersize=8, label="fixed effects")
    every = np.concatenate([start, record.partial, record.complete[None]])
    room = 0.06 * np.ptp(every, axis=0)
    panel.set_xlim(every[:, 0].min() - room[0], every[:, 0].max() + room[0])
    panel.set_ylim(every[:, 1].min() - room[1], every[:, 1].max() + room[1])
    panel.set_xlabel(record.effects[0])
    panel.set_ylabel(record.effects[1])
    panel.set_title(f"Shrinkage by {record.group}")
    panel.legend(loc="best")


def _ellipse(centre: Floats, covariance: Floats, radius: float) -> Floats:
    """Points at a Mahalanobis distance from the centre, (k, 2); a covariance without rank gives a line."""
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0.0, 2.0 * np.pi, 181)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.asarray(centre + radius * (circle * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _line(panel: Any, record: ShrinkageRecord) -> None:
    start, end = record.none[:, 0], record.partial[:, 0]
    order = np.argsort(end, kind="stable")
    start, end, at = start[order], end[order], np.arange(len(end))
    few = len(end) <= _MOST_LABELS
    dense = len(end) > 2000
    sd, size = float(np.sqrt(record.covariance[0, 0])), 3.6 if few else 1.4
    panel.axvspan(record.complete[0] - sd, record.complete[0] + sd, color=LIGHT, alpha=0.45, linewidth=0, zorder=0)
    panel.axvline(record.complete[0], color=ORANGE, linewidth=1.0, label="fixed effect", zorder=1)
    known = ~np.isnan(start)
    panel.quiver(
        start[known],
        at[known],
        (end - start)[known],
        np.zeros(known.sum()),
        angles="xy",
        scale_units="xy",
        scale=1.0,
        color=GREY,
        width=0.003 if few else 0.001,
        headwidth=4.0,
        zorder=2,
        rasterized=dense,
    )
    panel.plot(start, at, "o", color=GREY, fillstyle="none", markersize=size, label="no pooling", rasterized=dense)
    panel.plot(end, at, "o", color=BLUE, markersize=size, label="partial pooling", rasterized=dense)
    if few:
        panel.set_yticks(at, [record.levels[k] for k in order])
    else:
        panel.set_yticks([])
    panel.set_ylim(-0.8, len(end) - 0.2)
    every = np.concatenate([start[known], end, record.complete])
    room = 0.06 * np.ptp(every)
    panel.set_xlim(every.min() - room, every.max() + room)
    panel.set_xlabel(record.effects[0])
    panel.set_ylabel(record.group if few else f"{record.group}, {len(end):,} levels")
    panel.set_title(f"Shrinkage by {record.group}")
    panel.legend(loc="lower right")
