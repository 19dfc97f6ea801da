"""Residuals by simulation, and tests of a generalized fit that rest on them, as in R's DHARMa.

Each response is placed among responses simulated from the fitted model: where the model holds its scaled residual, the
share of simulations below it, is uniform on (0, 1), whatever the family (Dunn & Smyth 1996; Hartig, R package DHARMa).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from mixedpy.core.arrays import Floats
from mixedpy.inference.seeds import random_source

__all__ = ["SimulatedResiduals", "scaled_residuals"]


@dataclass(frozen=True, slots=True)
class SimulatedResiduals:
    """Scaled residuals of n rows with the simulations behind them.

    Attributes
    ----------
    residuals : Series
        Uniform on (0, 1) where the model holds.
    observed : (n,) array
        Responses.
    fitted : (n,) array
        Means of the simulations.
    simulated : (n, nsim) array
        Responses drawn from the fit.

    Examples
    --------
    >>> import mixedpy as mp
    >>> ticks = mp.datasets.load("grouseticks")
    >>> fit = mp.glmer("TICKS ~ YEAR + (1 | LOCATION)", ticks, family="poisson")
    >>> checks = fit.simulated_residuals(nsim=200, seed=1, re_form=None).table()
    >>> list(checks.columns)
    ['statistic', 'p value']
    >>> bool(checks.loc["uniformity", "p value"] < 0.001)  # a Poisson model does not fit these counts
    True
    """

    residuals: pd.Series[float]
    observed: Floats
    fitted: Floats
    simulated: Floats

    def uniformity(self) -> tuple[float, float]:
        """Kolmogorov and Smirnov's distance from the uniform distribution, and its p value."""
        u = np.sort(self.residuals.dropna().to_numpy())
        steps = np.arange(len(u) + 1) / len(u)
        distance = float(max((steps[1:] - u).max(), (u - steps[:-1]).max()))
        root = np.sqrt(len(u))
        # Stephens' (1970, J. R. Stat. Soc. B 32, 115) correction of the limiting distribution for finite n
        return distance, float(special.kolmogorov((root + 0.12 + 0.11 / root) * distance))

    def dispersion(self) -> tuple[float, float]:
        """Variance about the fitted means over that of the simulations, and its p value among them."""
        spread = np.var(self.simulated - self.fitted[:, None], axis=0, ddof=1)
        return _among(float(np.var(self.observed - self.fitted, ddof=1)), spread)

    def zero_inflation(self) -> tuple[float, float]:
        """Number of zeros over its mean in the simulations, and its p value among them; NaN where no zero occurs."""
        return _among(float((self.observed == 0).sum()), (self.simulated == 0).sum(axis=0).astype(float))

    def outliers(self) -> tuple[float, float]:
        """Share of responses beyond all their simulations, and the p value of that number (binomial)."""
        beyond = (self.observed < self.simulated.min(axis=1)) | (self.observed > self.simulated.max(axis=1))
        chance = 2.0 / (self.simulated.shape[1] + 1.0)
        n, k = len(beyond), np.arange(len(beyond) + 1.0)
        choose = special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
        p = np.exp(choose + special.xlogy(k, chance) + special.xlog1py(n - k, -chance))
        as_rare = p <= p[int(beyond.sum())] * (1.0 + 1e-7)
        return float(beyond.mean()), min(float(p[as_rare].sum()), 1.0)

    def table(self) -> pd.DataFrame:
        """Run the four tests; rows ``uniformity``, ``dispersion``, ``zero_inflation``, ``outliers``."""
        tests = {name: getattr(self, name)() for name in ("uniformity", "dispersion", "zero_inflation", "outliers")}
        return pd.DataFrame.from_dict(tests, orient="index", columns=["statistic", "p value"])


def _among(observed: float, simulated: Floats) -> tuple[float, float]:
    """Ratio to the mean of the simulations, and the two-sided share of simulations as extreme."""
    mean = float(simulated.mean())
    tail = min(float((simulated <= observed).mean()), float((simulated >= observed).mean()))
    return (observed / mean if mean > 0 else float("nan")), min(2.0 * tail, 1.0)


def scaled_residuals(y: Floats, simulated: Floats, seed: int | np.random.Generator | None) -> Floats:
    """Place y (n,) among its simulations (n, nsim); ties are broken at random."""
    rng = random_source(seed)
    below, equal = (simulated < y[:, None]).mean(axis=1), (simulated == y[:, None]).mean(axis=1)
    return np.asarray(below + equal * rng.random(len(y)), np.float64)
