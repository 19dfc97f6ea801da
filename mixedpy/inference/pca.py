"""Principal components of the random effects: how many dimensions their covariances really have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema

__all__ = ["RandomPca", "random_pca"]


@dataclass(frozen=True, slots=True, repr=False)
class RandomPca:
    """Principal components of the random effects of each grouping factor; prints as R's ``summary(rePCA(m))``.

    Attributes
    ----------
    sd : mapping of str to (m,) array
        By grouping factor: standard deviations of the components, relative to sigma, decreasing.
    rotation : mapping of str to DataFrame
        Effects x components: the directions.
    """

    sd: Mapping[str, Floats]
    rotation: Mapping[str, pd.DataFrame]

    def to_frame(self) -> pd.DataFrame:
        """Lay out group, component, standard deviation, and shares of the variance."""
        parts = []
        for group, sd in self.sd.items():
            variance = sd**2
            share = variance / variance.sum() if variance.any() else np.full(len(sd), np.nan)
            columns = {
                "group": group,
                "component": list(self.rotation[group].columns),
                "sd": sd,
                "proportion": share,
                "cumulative": np.cumsum(share),
            }
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    def __str__(self) -> str:
        blocks = []
        for group, part in self.to_frame().groupby("group", sort=False):
            table = part.set_index("component")[["sd", "proportion", "cumulative"]].T
            table.index = pd.Index(["Standard deviation", "Proportion of Variance", "Cumulative Proportion"])
            table.columns.name = None
            blocks.append(f"{group}\n{table.to_string(float_format=lambda v: f'{v:.4g}')}")
        return "\n\n".join(blocks)

    __repr__ = __str__


def random_pca(schema: Schema, record: FitRecord | GlmmRecord) -> RandomPca:
    """Decompose the relative covariance factors of each grouping factor, terms that share one side by side.

    Bates, Kliegl, Vasishth & Baayen (2015), arXiv 1506.04967: a component of standard deviation zero is a direction
    that the data do not support.
    """
    factors: dict[str, list[Floats]] = {}
    effects: dict[str, list[str]] = {}
    for term, Lambda in zip(schema.terms, record.Lambda, strict=True):
        factors.setdefault(term.group, []).append(Lambda)
        effects.setdefault(term.group, []).extend(term.effects)
    sd, rotation = {}, {}
    for group, blocks in factors.items():
        U, values, _ = np.linalg.svd(block_diag(*blocks))
        sd[group] = values
        rotation[group] = pd.DataFrame(U, index=effects[group], columns=[f"PC{k + 1}" for k in range(len(values))])
    return RandomPca(sd, rotation)
