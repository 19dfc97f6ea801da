"""What every family of response distributions can do; families are immutable and their methods pure functions.

Notation: row i has linear predictor eta_i and auxiliary predictors xi_ic (logarithm of a dispersion parameter, logit of
a share of zeros, ...). l is the log-likelihood of a row, r = l' = dl/deta, w = -l'', w1 = w', w2 = w''. All arrays have
shape (n,); an auxiliary predictor that is the same in every row has shape (1,).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.family.links import Link, find_link

__all__ = ["Auxiliary", "Family", "Floats", "Offence", "Predictors", "first_offence"]

Floats = NDArray[np.float64]
Predictors: TypeAlias = tuple[Floats, ...]
"""Auxiliary predictors, each (n,) or (1,)."""


@dataclass(frozen=True, slots=True)
class Offence:
    """A response outside the family's support.

    Attributes
    ----------
    rule : str
        What the family wants.
    row : int
        First row that breaks it.
    count : int
        Number of rows that do.
    """

    rule: str
    row: int
    count: int


def first_offence(rule: str, bad: NDArray[np.bool_]) -> Offence | None:
    """Report the rows that break a rule, None where there are none."""
    rows = np.flatnonzero(bad)
    return Offence(rule, int(rows[0]), len(rows)) if len(rows) else None


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """An auxiliary predictor of a family.

    Attributes
    ----------
    name : str
        Name of the parameter for people: "size", "zero-inflation".
    scale : str
        Function that the predictor is on: "log" or "logit".
    """

    name: str
    scale: str


@dataclass(frozen=True)
class Family(ABC):
    """Base of the families.

    Parameters
    ----------
    link : str
        Name of the link function.
    """

    link: str

    name: ClassVar[str]
    links: ClassVar[tuple[str, ...]]
    auxiliary: ClassVar[tuple[Auxiliary, ...]] = ()
    discrete: ClassVar[bool] = False
    has_scale: ClassVar[bool] = False
    """Whether the family has a dispersion that multiplies the variance (R's ``useSc``)."""
    mean_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Between which the inverse link must lie."""

    def __post_init__(self) -> None:
        if self.link not in self.links:
            wanted = ", ".join(map(repr, self.links))
            raise ValueError(f"the family {self.name} has no link {self.link!r}; use one of {wanted}")

    @property
    def label(self) -> str:
        """Name in print-outs."""
        return self.name

    @property
    def linkage(self) -> Link:
        """The link function itself."""
        return find_link(self.link)

    @property
    def concave(self) -> bool:
        """Whether l is concave in eta for every response."""
        return False

    @property
    def canonical(self) -> bool:
        """Whether observed and expected weights agree."""
        return False

    @property
    def multiplicative(self) -> bool:
        """Whether effects multiply the mean: starting values come from the data, and variances from a log scale."""
        return self.link == "log"

    # ---- likelihood

    @abstractmethod
    def check(self, y: Floats, m: Floats) -> Offence | None:
        """Say which rule of the support the response breaks, if any; m are the prior weights, (n,) or (1,)."""

    @abstractmethod
    def constant(self, y: Floats, m: Floats) -> Floats:
        """Part of l that depends on the response alone, (n,)."""

    @abstractmethod
    def kernel(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """The rest of l, (n,)."""

    @abstractmethod
    def slopes(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
        """r and w."""

    @abstractmethod
    def derivatives(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats, Floats]:
        """r, w, w1 and w2."""

    def auxiliary_slopes(
        self, y: Floats, m: Floats, eta: Floats, xi: Predictors
    ) -> tuple[tuple[Floats, Floats, Floats], ...]:
        """dl/dxi, dr/dxi and dw/dxi for every auxiliary predictor."""
        return ()

    def expected(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats, Floats]:
        """Expected weights -E l'' and their first two derivatives in eta."""
        raise NotImplementedError

    @property
    def has_expected(self) -> bool:
        """Whether expected weights are known in closed form."""
        return False

    # ---- moments and draws; mu is the inverse link, ``mean`` the mean of the response

    def mu(self, eta: Floats) -> Floats:
        """The inverse link."""
        return self.linkage.inverse(eta)

    def mean(self, eta: Floats, xi: Predictors) -> Floats:
        """Mean of the response, (n,)."""
        return self.mu(eta)

    @abstractmethod
    def variance(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Variance of the response, prior weights included, (n,)."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Responses, one for each row."""

    @abstractmethod
    def cdf(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y <= y), (n,)."""

    def cdf_below(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """P(Y < y), (n,)."""
        return self.cdf(y, m, eta, xi)

    @abstractmethod
    def pearson_scale(self, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """Square root of the variance function over the prior weights, without the dispersion, (n,)."""

    def unit_deviance(self, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> Floats:
        """2 (l at saturation - l) without the dispersion, (n,)."""
        raise NotImplementedError

    @property
    def has_deviance(self) -> bool:
        """Whether unit deviances are defined."""
        return True

    # ---- starts

    def working(self, y: Floats) -> tuple[Family, Floats]:
        """Family and response of the regression that gives starting values: one with expected weights."""
        return self, y

    @abstractmethod
    def first_eta(self, y: Floats, m: Floats) -> Floats:
        """Linear predictor near the response, moved off the boundary, (n,)."""

    def first_auxiliary(self, y: Floats, m: Floats, eta: Floats) -> tuple[float, ...]:
        """Start of every auxiliary predictor, given a fitted linear predictor."""
        return ()
