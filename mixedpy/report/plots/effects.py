"""Fitted effects of the predictors, with confidence bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mixedpy.report.plots.records import EffectPanel
from mixedpy.report.plots.style import CYCLE, GREY, AxesLike, Panels, one_or_all, panels, styled

__all__ = ["draw_effects"]


@styled
def draw_effects(effects: Sequence[EffectPanel], *, ax: AxesLike) -> Panels:
    """Draw a panel for each predictor: a curve with a band, or points with bars for a factor."""
    axes = panels(len(effects), ax, columns=3, size=(3.3, 2.8))
    for panel, effect in zip(axes, effects, strict=True):
        _draw(panel, effect)
    return one_or_all(axes)


def _draw(panel: Any, effect: EffectPanel) -> None:
    k = len(effect.curves)
    for i, curve in enumerate(effect.curves):
        colour = CYCLE[i % len(CYCLE)]
        if effect.categories:
            at = effect.grid + (0.0 if k == 1 else 0.14 * (i - (k - 1) / 2))
            size = np.stack([curve.fit - curve.lower, curve.upper - curve.fit])
            panel.errorbar(at, curve.fit, size, fmt="o", color=colour, markersize=4, capsize=2, label=curve.label)
        else:
            panel.fill_between(effect.grid, curve.lower, curve.upper, color=colour, alpha=0.18, linewidth=0)
            panel.plot(effect.grid, curve.fit, color=colour, label=curve.label)
    if effect.categories:
        rotation = 30 if sum(map(len, effect.categories)) > 40 else 0
        panel.set_xticks(effect.grid, effect.categories, rotation=rotation, ha="right" if rotation else "center")
        panel.set_xlim(-0.5, len(effect.categories) - 0.5)
    elif len(effect.rug):
        panel.plot(
            effect.rug, np.full(len(effect.rug), 0.015), "|", color=GREY, markersize=5, markeredgewidth=0.5,
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip
    panel.set_xlabel(effect.x_name)
    panel.set_ylabel(effect.y_name)
    if effect.by_name is not None:
        panel.legend(title=effect.by_name, loc="best")
