"""Every family and link, with responses that suit it."""

from __future__ import annotations

import numpy as np

from mixedpy.core.family import (
    Beta,
    BetaBinomial,
    Binomial,
    Family,
    Gamma,
    Gaussian,
    Hurdle,
    InverseGaussian,
    NegativeBinomial1,
    NegativeBinomial2,
    Poisson,
    ZeroInflated,
)

_KINDS: tuple[type[Family], ...] = (
    Binomial,
    Poisson,
    Gaussian,
    Gamma,
    InverseGaussian,
    NegativeBinomial2,
    NegativeBinomial1,
    Beta,
    BetaBinomial,
)

FAMILIES: dict[str, Family] = {f"{kind.name}-{link}": kind(link) for kind in _KINDS for link in kind.links}
FAMILIES |= {
    family.name: family
    for counts in (Poisson(), NegativeBinomial2(), NegativeBinomial1())
    for family in (ZeroInflated(counts), Hurdle(counts))
}

_CENTRE = {"identity": 3.0, "inverse": 1.0, "1/mu^2": 1.0}
"""Middle of the linear predictor where zero is outside or on the edge of the link's domain."""


def predictor(family: Family, rng: np.random.Generator, n: int, spread: float = 0.5) -> np.ndarray:
    """A linear predictor inside the domain of the family's link."""
    if family.link == "log" and isinstance(family, Binomial):
        return -1.0 - np.abs(spread * rng.normal(size=n))
    x = spread * rng.uniform(-1.0, 1.0, n)
    return x + _CENTRE.get(family.link, 0.3)


def auxiliaries(family: Family, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Values of the auxiliary predictors."""
    return tuple(
        np.array([rng.uniform(-1.0, 0.5) if a.scale == "logit" else rng.uniform(0.3, 1.5)]) for a in family.auxiliary
    )


def weights(family: Family, rng: np.random.Generator, n: int) -> np.ndarray:
    """Prior weights: trials where they count, otherwise small whole numbers."""
    return (
        rng.integers(2, 9, n).astype(float)
        if "binomial" in family.name and "negative" not in family.name
        else rng.integers(1, 4, n).astype(float)
    )
