"""Conditional modes of the random effects: caterpillars and normal quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import betaincinv, ndtri

from mixedpy.report.plots.records import EffectModes, Floats
from mixedpy.report.plots.style import BLUE, GREY, LIGHT, AxesLike, Panels, one_or_all, panels, styled

__all__ = ["draw_caterpillar", "draw_qq", "normal_quantiles", "quantile_band"]

_MOST_LABELS = 60
_MOST_BARS = 400
_CROWDED = 4.5
"""Height in inches of a panel with too many levels for labels."""


@styled
def draw_caterpillar(effects: Sequence[EffectModes], *, level: float, sort: bool, ax: AxesLike) -> Panels:
    """Draw the modes of every level with intervals, a panel for each effect of one term.

    Parameters
    ----------
    effects : sequence of EffectModes
        The effects; those of one term have the same levels.
    level : float
        Coverage of the intervals.
    sort : bool
        Whether the levels stand in the order of the modes of the first effect of their term, or in their own.
    ax : Axes or sequence of Axes, optional
        Where to draw.

    Returns
    -------
    Axes or array of Axes
        A panel for each effect.
    """
    tall = max(len(e.levels) for e in effects)
    axes = panels(len(effects), ax, size=(3.0, 0.9 + 0.16 * max(tall, 8) if tall <= _MOST_LABELS else _CROWDED))
    z = float(ndtri(0.5 + level / 2))
    orders: dict[str, Any] = {}
    for panel, effect in zip(axes, effects, strict=True):
        J = len(effect.levels)
        first = effect.group not in orders
        order = orders.setdefault(effect.group, np.argsort(effect.mode, kind="stable") if sort else np.arange(J)[::-1])
        at = np.arange(J)
        panel.axvline(0.0, color=LIGHT, linewidth=0.8, zorder=0)
        mode, half = effect.mode[order], z * effect.sd[order]
        if J <= _MOST_BARS:
            panel.hlines(at, mode - half, mode + half, color=BLUE, linewidth=0.9 if J <= _MOST_LABELS else 0.4)
        else:
            panel.fill_betweenx(at, mode - half, mode + half, color=BLUE, alpha=0.25, linewidth=0, rasterized=True)
        panel.plot(mode, at, "o", color=BLUE, markersize=3.2 if J <= _MOST_LABELS else 1.2, rasterized=J > 2000)
        if J <= _MOST_LABELS:
            panel.set_yticks(at, [effect.levels[k] for k in order] if first else [])
        else:
            panel.set_yticks([])
        panel.set_ylim(-0.8, J - 0.2)
        panel.set_title(effect.effect)
        panel.set_xlabel("conditional mode")
        if first:
            panel.set_ylabel(effect.group if J <= _MOST_LABELS else f"{effect.group}, {J:,} levels")
    return one_or_all(axes)


@styled
def draw_qq(effects: Sequence[EffectModes], *, level: float, ax: AxesLike) -> Panels:
    """Draw ordered modes, in units of their standard deviation, against normal quantiles, a panel for each effect.

    The band holds the ordered values of a normal sample with the probability ``level``, each one by itself.
    """
    axes = panels(len(effects), ax, columns=3, size=(2.7, 2.6))
    for panel, effect in zip(axes, effects, strict=True):
        spread = effect.mode.std()
        quantile_band(panel, np.sort(effect.mode) / (spread if spread > 0 else 1.0), level)
        panel.set_title(f"{effect.group}: {effect.effect}")
        panel.set_xlabel("normal quantile")
        panel.set_ylabel("standardized mode")
    return one_or_all(axes)


def normal_quantiles(n: int) -> Floats:
    """Expected order statistics of n normal values, by Blom's (1958) formula, (n,)."""
    return np.asarray(ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25)))


def quantile_band(panel: Any, ordered: Floats, level: float) -> None:
    """Draw ordered standardized values against normal quantiles, with the identity and a band about it.

    The i-th of n ordered uniform values has the distribution Beta(i, n + 1 - i).
    """
    n = len(ordered)
    x, i = normal_quantiles(n), np.arange(1, n + 1)
    tail = 0.5 - level / 2
    lower, upper = (ndtri(betaincinv(i, n + 1 - i, q)) for q in (tail, 1 - tail))
    panel.fill_between(x, lower, upper, color=LIGHT, alpha=0.6, linewidth=0)
    panel.plot(x, x, color=GREY, linewidth=0.8)
    panel.plot(x, ordered, "o", color=BLUE, markersize=2.6 if n <= 500 else 1.2, alpha=0.8, rasterized=n > 2000)
