"""What the fit of a generalized linear mixed model leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from mixedpy.core.arrays import Floats
from mixedpy.core.family.protocol import Family
from mixedpy.core.frozen import freeze_arrays, restore
from mixedpy.core.record import Status

__all__ = ["GlmmConvergence", "GlmmRecord"]


@dataclass(frozen=True, slots=True)
class GlmmConvergence:
    """The optimizer's account of itself.

    Attributes
    ----------
    status : Status
        How it ended.
    iterations : int
        Trust-region steps tried.
    evaluations : int
        Points at which modes and deviance were computed.
    refused : int
        Steps that did not lower the deviance.
    inner_steps, halvings : int
        Steps of the penalized least-squares iterations, and how many were halved.
    inner_converged : bool
        Whether the conditional modes of the last point met their tolerance.
    gradient_norm : float
        Largest absolute entry of the gradient, in eta units.
    decrement : float
        What the last step was expected to gain; it is included in the estimates.
    min_eigenvalue, max_eigenvalue : float
        Extreme eigenvalues of the Hessian in eta units; a ratio near zero says that the likelihood is flat.
    largest_eta : float
        Largest absolute value of the linear predictor.
    start : (k + p + s,) array
        theta, beta and auxiliary coefficients at which the optimizer started, in conditioned columns.
    factorization : str
        "blocks" (one random term), "dense" or "pairs" (how the cross-products of several are kept).
    """

    status: Status
    iterations: int
    evaluations: int
    refused: int
    inner_steps: int
    halvings: int
    inner_converged: bool
    gradient_norm: float
    decrement: float
    min_eigenvalue: float
    max_eigenvalue: float
    largest_eta: float
    start: Floats
    factorization: str

    __setstate__ = restore

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def converged(self) -> bool:
        """Whether the criteria for convergence were met."""
        return self.status is Status.CONVERGED


@dataclass(frozen=True, slots=True)
class GlmmRecord:
    """Estimates of a generalized linear mixed model, terms in the order of ``Design.terms``.

    Attributes
    ----------
    family : Family
        Distribution of the response and link.
    nagq : int
        Quadrature nodes per effect; 1 is the Laplace approximation, 0 the joint mode of fixed and random effects.
    expected : bool
        Whether the Laplace approximation uses expected weights, as lme4 does.
    theta : (k,) array
        Covariance parameters.
    Lambda : tuple of (m, m) arrays
        Covariance factors: the random effects of a term have covariance Lambda Lambda'.
    beta : (p,) array
        Fixed effects.
    alpha : (s,) array
        Coefficients of the auxiliary predictors, one predictor after another.
    criterion : float
        -2 log-likelihood, with every constant.
    vcov : (p + s, p + s) array
        Covariance matrix of beta and alpha, from the inverse of the joint Hessian.
    modes : tuple of (J, m) arrays
        Conditional modes of the random effects.
    condvar : tuple of (J, m, m) arrays
        Covariances of the random effects given the data, at the estimates.
    auxiliary : tuple of (n, k) array or None
        Columns of the auxiliary predictors; None for a constant.
    n : int
        Number of rows.
    convergence : GlmmConvergence
        The optimizer's account of itself.
    """

    family: Family
    nagq: int
    expected: bool
    theta: Floats
    Lambda: tuple[Floats, ...]
    beta: Floats
    alpha: Floats
    criterion: float
    vcov: Floats
    modes: tuple[Floats, ...]
    condvar: tuple[Floats, ...]
    auxiliary: tuple[Floats | None, ...]
    n: int
    convergence: GlmmConvergence

    __setstate__ = restore

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return len(self.beta)

    @property
    def npar(self) -> int:
        """Number of parameters."""
        return len(self.theta) + len(self.beta) + len(self.alpha)

    @property
    def fixed_vcov(self) -> Floats:
        """Covariance matrix of the fixed effects, (p, p)."""
        return self.vcov[: self.p, : self.p]

    @property
    def sigma(self) -> float:
        """Square root of the dispersion phi, 1 for a family without."""
        if not self.family.has_scale:
            return 1.0
        return exp(-0.5 * float(self.alpha[0]))
