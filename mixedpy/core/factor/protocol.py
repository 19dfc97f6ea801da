"""What every factorization can do, and the records it returns.

Notation: V = I + Z Sigma Z' relative to sigma^2; Omega = d(deviance)/d([X y]'V^-1[X y]); c = (-beta, 1), so that
[X y] c is the residual of the fixed part and e = Z'V^-1[X y] c = Z'Py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.crossproducts import CrossProducts

__all__ = ["Derivatives", "Factor", "Reduced", "Seed"]


@dataclass(frozen=True, slots=True)
class Reduced:
    """The model after the random effects have been eliminated.

    Attributes
    ----------
    logdet : float
        log|V|.
    gram : (p + 1, p + 1) array
        [X y]'V^-1[X y].
    logdet_se : float
        Monte-Carlo standard error of ``logdet``; 0 where it is exact.
    """

    logdet: float
    gram: Floats
    logdet_se: float = 0.0


@dataclass(frozen=True, slots=True)
class Seed:
    """Where differentiation starts: the deviance as a function of the reduced Gram matrix.

    Attributes
    ----------
    c : (p + 1,) array
        (-beta, 1).
    sigma2 : float
        Residual variance.
    half : (p, p) array or None
        half'half = (X'V^-1X)^-1 for the REML criterion, None for the ML deviance.
    """

    c: Floats
    sigma2: float
    half: Floats | None

    @property
    def Omega(self) -> Floats:
        """d(deviance)/d([X y]'V^-1[X y]), (p + 1, p + 1)."""
        Omega: Floats = np.outer(self.c, self.c) / self.sigma2
        if self.half is not None:
            Omega[:-1, :-1] += self.half.T @ self.half
        return Omega


@dataclass(frozen=True, slots=True)
class Derivatives:
    """Derivatives at the last update, random terms in elimination order, T directions in all.

    Attributes
    ----------
    dSigma : tuple of (m, m) arrays
        d(deviance)/dSigma_i, with log|V| and the reduced Gram both counted.
    dLambda : tuple of (m, m) arrays
        2 dSigma_i Lambda_i, formed without loss where Lambda_i is near zero.
    score : (T,) array
        e'dSigma_t e, summed over the levels.
    quadratic : (T, T) array
        e'dSigma_s Z'V^-1Z dSigma_t e.
    fixed : (p, T) array
        X'V^-1Z dSigma_t e.
    noise : (T, T) array or None
        Monte-Carlo covariance of the gradient in the T directions; None where it is exact.
    """

    dSigma: tuple[Floats, ...]
    dLambda: tuple[Floats, ...]
    score: Floats
    quadratic: Floats
    fixed: Floats
    noise: Floats | None = None


class Factor(Protocol):
    """A factorization of V: symbolic work at construction, numeric work at every ``update``.

    It is the one mutable object of the core. ``derivatives``, ``modes`` and ``conditional_covariance`` speak of the
    last ``update``. ``derivatives`` and ``conditional_covariance`` may spend the factor: one of them, once, per update.
    """

    @property
    def name(self) -> str:
        """Which kind it is, for the fit record."""

    @property
    def analyses(self) -> int:
        """Number of symbolic analyses made."""

    def with_response(self, design: Design, cross_products: CrossProducts) -> Self:
        """The same factorization for another response to the same columns.

        Symbolic work is shared, and so may be the storage: of the two only the one updated last is valid.
        """

    def update(self, Lambdas: list[Floats]) -> Reduced:
        """Factor V at the given relative covariance factors (m, m), in elimination order."""

    def derivatives(self, seed: Seed, directions: list[Floats]) -> Derivatives:
        """Gradient and average-information blocks; directions[i] is (T_i, m, m), the dSigma of term i."""

    def modes(self, c: Floats) -> list[Floats]:
        """Conditional modes of the random effects, (m, J) for each term."""

    def conditional_covariance(self) -> list[Floats]:
        """Var(b | y) / sigma^2 at fixed beta, (m, m, J) for each term."""
