"""What a fit leaves behind: the frozen record from which everything a user sees is computed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mixedpy.core.arrays import Floats
from mixedpy.core.frozen import freeze_arrays, restore

__all__ = ["Convergence", "Estimates", "FitRecord", "Status"]


class Estimates(Protocol):
    """What linear and generalized linear fits share: the coefficients of the linear predictor."""

    @property
    def beta(self) -> Floats:
        """Fixed effects, (p,)."""

    @property
    def modes(self) -> tuple[Floats, ...]:
        """Conditional modes of the random effects of each term, (J, m)."""

    @property
    def fixed_vcov(self) -> Floats:
        """Covariance matrix of the fixed effects, (p, p)."""


class Status(Enum):
    """How the optimizer ended, and what to do about it."""

    CONVERGED = "converged"
    ITERATION_LIMIT = "the iteration limit was reached; raise Control(max_iterations=...) or give start= values"
    STALLED = "no step lowered the deviance; rescale the columns or simplify the random effects"
    NOT_FINITE = "the deviance is not finite at the start; check the data for extreme values or give start= values"


@dataclass(frozen=True, slots=True)
class Convergence:
    """The optimizer's account of itself.

    Attributes
    ----------
    status : Status
        How it ended.
    iterations : int
        Accepted and rejected trust-region steps.
    evaluations : int
        Numeric factorizations (deviance evaluations), the start included.
    gradients : int
        Evaluations of gradient and average information.
    symbolic_analyses : int
        Symbolic factorizations: one, or none where no sparse factor is used.
    gradient_norm : float
        Largest absolute entry of the last gradient computed, in the conditioned parameters.
    decrement : float
        Estimate of the deviance that a further step would still gain.
    min_eigenvalue : float
        Smallest eigenvalue of the last Hessian approximation; positive at a minimum.
    start : (k,) array
        theta at which the optimizer started, in the user's parameters.
    factorization : str
        Which factorization served: "chain", "schur-dense", "schur-sparse", "iterative", "dense", or two of them where
        an iterative search was finished by an exact one ("iterative, schur-dense").
    loglik_se : float
        Monte-Carlo standard error of the log-likelihood; 0 unless the last factorization was iterative.
    probes : int
        Random vectors behind the estimates; 0 unless an iterative factorization served.
    cg_iterations : int
        Iterations of conjugate gradients in all.
    """

    status: Status
    iterations: int
    evaluations: int
    gradients: int
    symbolic_analyses: int
    gradient_norm: float
    decrement: float
    min_eigenvalue: float
    start: Floats
    factorization: str
    loglik_se: float = 0.0
    probes: int = 0
    cg_iterations: int = 0

    __setstate__ = restore

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def converged(self) -> bool:
        """Whether the criteria for convergence were met."""
        return self.status is Status.CONVERGED


@dataclass(frozen=True, slots=True)
class FitRecord:
    """Estimates of a linear mixed model with p fixed effects and random terms in the order of ``Design.terms``.

    Attributes
    ----------
    reml : bool
        Whether the REML criterion was minimized rather than the ML deviance.
    theta : (k,) array
        Covariance parameters, the terms' shares one after another: entries of Lambda, the diagonals not negative, or
        standard deviations and a correlation, as the term's template has them.
    Lambda : tuple of (m, m) arrays
        Relative covariance factor of each term; its random effects have covariance sigma^2 Lambda Lambda'.
    beta : (p,) array
        Fixed effects.
    sigma : float
        Residual standard deviation.
    criterion : float
        The minimized ML deviance or REML criterion, with every constant.
    unscaled_vcov : (p, p) array
        (X' V^-1 X)^-1; times sigma^2 it is the covariance of beta.
    modes : tuple of (J, m) arrays
        Conditional modes of the random effects of each term.
    n : int
        Number of rows.
    convergence : Convergence
        The optimizer's account of itself.
    """

    reml: bool
    theta: Floats
    Lambda: tuple[Floats, ...]
    beta: Floats
    sigma: float
    criterion: float
    unscaled_vcov: Floats
    modes: tuple[Floats, ...]
    n: int
    convergence: Convergence

    __setstate__ = restore

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return len(self.beta)

    @property
    def npar(self) -> int:
        """Number of parameters, the residual variance included."""
        return len(self.theta) + len(self.beta) + 1

    @property
    def fixed_vcov(self) -> Floats:
        """Covariance matrix of the fixed effects, (p, p)."""
        return self.sigma**2 * self.unscaled_vcov
