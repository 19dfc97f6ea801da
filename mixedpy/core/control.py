"""Settings of the numeric core that a user may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["Control", "Factorization"]

Factorization = Literal["auto", "blocked", "sparse", "dense"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """How a fit is computed.

    Parameters
    ----------
    factorization : {"auto", "blocked", "sparse", "dense"}
        ``"auto"`` chooses by estimated cost. ``"blocked"`` eliminates level blocks in closed form and factors what is
        left densely; ``"sparse"`` factors what is left with a sparse Cholesky factorization; ``"dense"`` forms the
        n x n covariance matrix and serves only to check the others on small data.
    max_iterations : int
        Limit on trust-region steps.
    tol : float
        The optimizer stops when it expects to lower the deviance by less than this.
    singular_tol : float
        A fit is singular when a diagonal entry of Lambda is below this (lme4's ``isSingular``).

    Examples
    --------
    >>> Control(factorization="sparse").factorization
    'sparse'
    """

    factorization: Factorization = "auto"
    max_iterations: int = 100
    tol: float = 1e-8
    singular_tol: float = 1e-4

    def __post_init__(self) -> None:
        if self.factorization not in get_args(Factorization):
            wanted = ", ".join(repr(f) for f in get_args(Factorization))
            raise ValueError(f"Control(factorization={self.factorization!r}) is unknown; use one of {wanted}")
        if self.max_iterations < 1:
            raise ValueError(f"Control(max_iterations={self.max_iterations}) must be at least 1")
        if not self.tol > 0:
            raise ValueError(f"Control(tol={self.tol}) must be positive")
