"""Tests of linear hypotheses L beta = rhs, whatever the method that gives the denominator degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.distributions import f_sf, t_isf, t_sf
from mixedpy.core.record import FitRecord
from mixedpy.core.second_order.fit import FitBlocks
from mixedpy.errors import MixedpyError
from mixedpy.inference.kenward_roger import KenwardRoger
from mixedpy.inference.satterthwaite import Satterthwaite

__all__ = ["Ddf", "FTest", "Inference", "Method", "TTests", "asymptotic", "choose_method", "f_test", "t_tests"]

Ddf = Literal["satterthwaite", "kenward-roger", "asymptotic"]
"""Names of the methods, as users give them."""

_RANK = float(np.sqrt(np.finfo(float).eps))
"""Eigenvalues of L vcov L' below this share of the largest mean that rows of L depend on one another."""


class Method(Protocol):
    """A method for denominator degrees of freedom at the estimates of a fit; L (r, p) is in the user's columns."""

    @property
    def label(self) -> str:
        """Name in the titles of print-outs, "Satterthwaite's"."""

    def vcov(self) -> Floats:
        """Covariance matrix of the fixed effects that goes with the degrees of freedom, (p, p)."""

    def df(self, L: Floats) -> Floats:
        """Degrees of freedom of each row of L, (r,)."""

    def f_scaling(self, L: Floats, variances: Floats) -> tuple[float, float]:
        """Scaling of the F statistic and its denominator degrees of freedom, for orthogonal rows of L."""


class Asymptotic:
    """Normal and chi-square reference distributions: infinitely many degrees of freedom."""

    label = "asymptotic"

    def __init__(self, V: Floats):
        self.V = V

    def vcov(self) -> Floats:
        """The covariance matrix of the estimates."""
        return self.V

    def df(self, L: Floats) -> Floats:
        """Infinity."""
        return np.full(len(L), np.inf)

    def f_scaling(self, L: Floats, variances: Floats) -> tuple[float, float]:
        """No scaling, infinity."""
        return 1.0, np.inf


@dataclass(frozen=True, slots=True)
class Inference:
    """Estimates with a method for their degrees of freedom.

    Attributes
    ----------
    beta : (p,) array
        Fixed effects.
    vcov : (p, p) array
        Their covariance matrix, adjusted for small samples if the method does.
    method : Method
        Gives the degrees of freedom.
    """

    beta: Floats
    vcov: Floats
    method: Method


@dataclass(frozen=True, slots=True)
class TTests:
    """t tests of r linear combinations, (r,) arrays."""

    estimate: Floats
    se: Floats
    df: Floats
    t: Floats
    pvalue: Floats

    def quantile(self, level: float) -> Floats:
        """Half width of a two-sided interval of that level, in standard errors, (r,)."""
        return np.asarray(t_isf(0.5 - 0.5 * level, self.df), np.float64)


@dataclass(frozen=True, slots=True)
class FTest:
    """An F test.

    Attributes
    ----------
    statistic : float
        F, scaled if the method scales it; NaN where there is no hypothesis.
    ndf : int
        Numerator degrees of freedom: the rank of L.
    ddf : float
        Denominator degrees of freedom.
    scaling : float
        What Wald's statistic was multiplied by.
    """

    statistic: float
    ndf: int
    ddf: float
    scaling: float = 1.0

    @property
    def pvalue(self) -> float:
        """Upper tail probability."""
        return float(f_sf(self.statistic, self.ndf, self.ddf))


def asymptotic(beta: Floats, V: Floats) -> Inference:
    """Make Wald inference about estimates (p,) with a covariance matrix (p, p)."""
    return Inference(beta, V, Asymptotic(V))


def choose_method(name: Ddf, record: FitRecord, blocks: FitBlocks | None) -> Inference:
    """Make the inference of a fit by the method of a name.

    Parameters
    ----------
    name : {"satterthwaite", "kenward-roger", "asymptotic"}
        Method.
    record : FitRecord
        The fit.
    blocks : FitBlocks or None
        Its second-order blocks; "asymptotic" does without.

    Raises
    ------
    MixedpyError
        For Kenward and Roger's method on a fit by maximum likelihood.
    """
    method: Method
    if name == "asymptotic" or blocks is None:
        return asymptotic(record.beta, record.sigma**2 * record.unscaled_vcov)
    if name == "satterthwaite":
        method = Satterthwaite(blocks)
    else:
        if not record.reml:
            raise MixedpyError(
                "Kenward and Roger's method is defined for REML fits, and this fit is by maximum likelihood; refit "
                'with .update(reml=True), or use ddf="satterthwaite"'
            )
        method = KenwardRoger(blocks)
    return Inference(record.beta, method.vcov(), method)


def t_tests(inference: Inference, L: Floats, rhs: Floats | float = 0.0) -> TTests:
    """Test each row of L (r, p) on its own: L beta = rhs."""
    estimate = L @ inference.beta
    se = np.sqrt(np.einsum("ra,ab,rb->r", L, inference.vcov, L))
    df = inference.method.df(L)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (estimate - rhs) / se
    return TTests(estimate, se, df, t, 2.0 * t_sf(np.abs(t), df))


def f_test(inference: Inference, L: Floats, rhs: Floats | float = 0.0) -> FTest:
    """Test all rows of L (r, p) jointly: L beta = rhs.

    L vcov L' is brought to diagonal form; rows that depend on others, which must agree with rhs, are left out.

    Raises
    ------
    MixedpyError
        If rows that depend on one another contradict each other.
    """
    V = L @ inference.vcov @ L.T
    d, U = np.linalg.eigh(V)
    d, U = d[::-1], U[:, ::-1]
    rank = int((d > _RANK * max(d[0], 0.0)).sum()) if len(d) else 0
    if rank == 0:
        return FTest(np.nan, 0, np.nan)
    rows, variances = (U.T @ L)[:rank], d[:rank]
    distance = U.T @ (L @ inference.beta - np.broadcast_to(rhs, len(L)))
    size = np.sqrt(d[0]) + np.abs(L @ inference.beta).max()
    if np.abs(distance[rank:]).max(initial=0.0) > 1e-6 * size:
        raise MixedpyError(
            "the rows of L depend on one another, and the values given as rhs contradict that; leave out the "
            "rows that follow from the others"
        )
    scaling, ddf = inference.method.f_scaling(rows, variances)
    return FTest(scaling * float(np.sum(distance[:rank] ** 2 / variances)) / rank, rank, ddf, scaling)
