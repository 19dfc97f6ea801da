"""Settings of the numeric core that a user may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["Control", "Factorization"]

Factorization = Literal["auto", "blocked", "sparse", "iterative", "dense"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """How a fit is computed.

    Parameters
    ----------
    factorization : {"auto", "blocked", "sparse", "iterative", "dense"}
        ``"auto"`` chooses by estimated cost. ``"blocked"`` eliminates level blocks in closed form and factors what is
        left densely; ``"sparse"`` factors what is left with a sparse Cholesky factorization; ``"iterative"`` factors
        nothing and estimates log-determinants from random probes, for crossed factors whose factor would be too large;
        ``"dense"`` forms the n x n covariance matrix and serves only to check the others on small data.
    max_iterations : int
        Limit on trust-region steps.
    tol : float
        The optimizer stops when it expects to lower the deviance by less than this.
    singular_tol : float
        A fit is singular when a diagonal entry of Lambda, times the root mean square of its column, is below this:
        lme4's ``isSingular`` without its dependence on units.
    probes : int
        Random vectors of the iterative factorization, at least 2. The Monte-Carlo standard error of the log-likelihood
        falls with their square root. The exact factorizations draw none.
    seed : int
        Seed of the probes: the same seed gives the same fit.
    cg_tol : float
        Relative residual at which conjugate gradients stop in the iterative factorization, at most 1e-5; those for the
        probes stop at 100 times as much.
    finish : bool
        End an iterative fit with exact Newton steps where an exact factorization is affordable, so that nothing random
        is left in the result.

    Examples
    --------
    >>> Control(factorization="sparse").factorization
    'sparse'
    """

    factorization: Factorization = "auto"
    max_iterations: int = 100
    tol: float = 1e-8
    singular_tol: float = 1e-4
    probes: int = 16
    seed: int = 0
    cg_tol: float = 1e-6
    finish: bool = True

    def __post_init__(self) -> None:
        if self.factorization not in get_args(Factorization):
            wanted = ", ".join(repr(f) for f in get_args(Factorization))
            raise ValueError(f"Control(factorization={self.factorization!r}) is unknown; use one of {wanted}")
        if self.max_iterations < 1:
            raise ValueError(f"Control(max_iterations={self.max_iterations}) must be at least 1")
        if not self.tol > 0:
            raise ValueError(f"Control(tol={self.tol}) must be positive")
        if self.probes < 2:
            raise ValueError(f"Control(probes={self.probes}) must be at least 2, so that their spread gives an error")
        if self.seed < 0:
            raise ValueError(f"Control(seed={self.seed}) must not be negative")
        if not 0 < self.cg_tol <= 1e-5:
            raise ValueError(f"Control(cg_tol={self.cg_tol}) must be positive and 1e-5 at most")
