"""Settings of the numeric core that a user may change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from typing import Literal, get_args

from mixedpy.core.frozen import sealed

__all__ = ["Control", "Factorization"]

Factorization = Literal["auto", "blocked", "sparse", "iterative", "dense"]


@sealed
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

    Raises
    ------
    TypeError, ValueError
        If a setting has the wrong type or is out of range.

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
        self._whole("max_iterations", 1)
        self._whole("probes", 2, ", so that their spread gives an error")
        self._whole("seed", 0)
        self._number("tol", "positive", lambda value: value > 0)
        self._number("singular_tol", "zero or positive", lambda value: value >= 0)
        self._number("cg_tol", "positive and 1e-5 at most", lambda value: 0 < value <= 1e-5)
        if not isinstance(self.finish, bool):
            raise TypeError(f"Control(finish={self.finish!r}) must be True or False")

    def _whole(self, name: str, least: int, reason: str = "") -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TypeError(f"Control({name}={value!r}) must be a whole number of at least {least}{reason}")
        if int(value) < least:
            raise ValueError(f"Control({name}={value}) must be at least {least}{reason}")

    def _number(self, name: str, wanted: str, holds: Callable[[float], bool]) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"Control({name}={value!r}) must be a number, {wanted}")
        if not (isfinite(value) and holds(float(value))):
            raise ValueError(f"Control({name}={value}) must be {wanted}")
