"""Draw the gallery of docs/plots.md: python docs/gallery.py [folder]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

import mixedpy as mp
from mixedpy.report.plots.style import flat

HERE = Path(__file__).resolve().parent / "gallery"


def plots() -> dict[str, Any]:
    """Draw one plot of each kind."""
    sleep = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
    crossed = mp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mp.datasets.load("Penicillin"))
    cake = mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", mp.datasets.load("cake"))
    return {
        "ranef": sleep.plot.ranef(),
        "shrinkage": sleep.plot.shrinkage(),
        "shrinkage-one-effect": crossed.plot.shrinkage("plate"),
        "trajectories": sleep.plot.trajectories(),
        "trajectories-overlay": sleep.plot.trajectories(overlay=True),
        "variance": crossed.plot.variance(),
        "residuals": sleep.plot.residuals(),
        "qq": sleep.plot.qq(),
        "profile": sleep.plot.profile(),
        "effects": sleep.plot.effects(),
        "effects-by": cake.plot.effects("temperature", by="recipe"),
    }


def main(folder: Path = HERE) -> None:
    """Write every plot as a small PNG."""
    folder.mkdir(exist_ok=True)
    for name, drawn in plots().items():
        figure = flat(drawn)[0].figure
        figure.savefig(folder / f"{name}.png", dpi=90, metadata={"Software": None})
        plt.close(figure)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
