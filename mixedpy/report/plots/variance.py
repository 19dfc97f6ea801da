"""The variance components, and the intraclass correlation."""

from __future__ import annotations

import numpy as np

from mixedpy.report.plots.records import VarianceRecord
from mixedpy.report.plots.style import BLUE, GREY, AxesLike, Panels, one_or_all, panels, styled

__all__ = ["draw_variance"]


@styled
def draw_variance(record: VarianceRecord, *, ax: AxesLike) -> Panels:
    """Draw each term's share of the variance that the fixed effects leave, with the standard deviations in words."""
    k = len(record.names)
    axes = panels(1, ax, size=(5.4, 0.9 + 0.5 * k))
    panel = axes[0]
    total = record.variance.sum()
    share = record.variance / total
    at = np.arange(k)[::-1]
    panel.barh(at, share, height=0.55, color=[BLUE] * (k - 1) + [GREY])
    for y, s, v in zip(at, share, record.variance, strict=True):
        panel.annotate(
            f"{v:.4g}  ({100 * s:.1f} %)", (s, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    panel.set_yticks(at, [_label(record, i) for i in range(k)])
    panel.set_xlim(0.0, min(1.32, share.max() * 1.38))
    panel.set_xticks([t for t in np.linspace(0, 1, 6) if t <= share.max() + 0.1], minor=False)
    panel.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    panel.set_xlabel("share of the variance around the fixed effects")
    panel.set_title(f"Variance components, ICC = {record.icc:.3f}")
    return one_or_all(axes)


def _label(record: VarianceRecord, i: int) -> str:
    effects = record.effects[i]
    if not effects:
        return f"{record.names[i]}\nsd {np.sqrt(record.variance[i]):.3g}"
    shown = ", ".join(f"{name} {sd:.3g}" for name, sd in effects[:3])
    return f"{record.names[i]}\nsd {shown}{', ...' if len(effects) > 3 else ''}"
