"""The profiled ML and REML deviance of a linear mixed model: value, gradient and average information.

With M = Lambda'Z'Z Lambda + I (|M| = |V|), S = X'V^-1X and r2 = y'Py (Bates, Maechler, Bolker & Walker 2015, J. Stat.
Softw. 67(1), section 3; prior weights w scale the rows):

    ML    d = log|V| + n (1 + log(2 pi r2 / n)) - sum log w
    REML  d = log|V| + log|S| + (n - p) (1 + log(2 pi r2 / (n - p))) - sum log w
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from mixedpy.core.arrays import Floats
from mixedpy.core.factor.protocol import Factor, Reduced, Seed
from mixedpy.core.parameters import Parameters

__all__ = ["Deviance", "Profiled", "profile_fixed"]

_LOG_2PI_E = 1.0 + np.log(2.0 * np.pi)


@dataclass(frozen=True, slots=True)
class Profiled:
    """The fixed effects and sigma profiled out at one theta.

    Attributes
    ----------
    value : float
        Deviance or REML criterion.
    beta : (p,) array
        Fixed effects.
    sigma2 : float
        Residual variance, r2 / n (ML) or r2 / (n - p) (REML).
    c : (p + 1,) array
        (-beta, 1).
    half : (p, p) array
        Lower triangular inverse factor: half'half = (X'V^-1X)^-1.
    """

    value: float
    beta: Floats
    sigma2: float
    c: Floats
    half: Floats


def profile_fixed(reduced: Reduced, n: int, log_weights: float, *, reml: bool) -> Profiled:
    """Solve for beta and sigma from the reduced Gram matrix.

    Parameters
    ----------
    reduced : Reduced
        log|V| and [X y]'V^-1[X y].
    n : int
        Number of rows.
    log_weights : float
        Sum of the logarithms of the prior weights.
    reml : bool
        REML criterion rather than ML deviance.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the Gram matrix is not positive definite, as when y is fitted without error.
    """
    p = len(reduced.gram) - 1
    nu = n - p if reml else n
    C, info = lapack.dpotrf(reduced.gram, lower=1)
    if info:
        raise np.linalg.LinAlgError("X'V^-1X is not positive definite")
    diagonal = np.diag(C)
    sigma2 = float(diagonal[p]) ** 2 / nu
    value = reduced.logdet + nu * (_LOG_2PI_E + np.log(sigma2)) - log_weights
    half = np.empty((0, 0))
    if p:
        half = lapack.dtrtri(C[:p, :p], lower=1)[0]
        if reml:
            value += 2.0 * np.log(diagonal[:p]).sum()
    beta = half.T @ C[p, :p]
    return Profiled(float(value), beta, sigma2, np.append(-beta, 1.0), half)


class Deviance:
    """The objective over theta, in two phases: the value first, derivatives on demand from the kept factor."""

    def __init__(self, factor: Factor, parameters: Parameters, n: int, log_weights: float, *, reml: bool):
        self.factor, self.parameters, self.n, self.log_weights, self.reml = factor, parameters, n, log_weights, reml
        self.evaluations = self.gradients = 0
        self.logdet_se = 0.0  # Monte-Carlo standard error of the last value
        self.noise = 0.0  # part of a decrement that may be Monte-Carlo error, at the last derivatives
        self.theta = np.empty(0)
        self.profiled: Profiled | None = None

    def reparametrized(self, parameters: Parameters) -> Deviance:
        """The same function over other parameters, its counts carried on."""
        return self._continued(self.factor, parameters)

    def over(self, factor: Factor) -> Deviance:
        """The same function by another factorization, its counts carried on."""
        return self._continued(factor, self.parameters)

    def _continued(self, factor: Factor, parameters: Parameters) -> Deviance:
        other = Deviance(factor, parameters, self.n, self.log_weights, reml=self.reml)
        other.evaluations, other.gradients = self.evaluations, self.gradients
        return other

    def value(self, theta: Floats) -> float:
        """Deviance at theta (k,)."""
        self.evaluations += 1
        self.theta = theta
        reduced = self.factor.update(self.parameters.Lambdas(theta))
        self.logdet_se = reduced.logdet_se
        self.profiled = profile_fixed(reduced, self.n, self.log_weights, reml=self.reml)
        return self.profiled.value

    def derivatives(self) -> tuple[Floats, Floats]:
        """Gradient (k,) and average-information Hessian (k, k) at the theta of the last ``value``."""
        self.gradients += 1
        done = self.profiled
        assert done is not None
        nu = self.n - len(done.beta) if self.reml else self.n
        seed = Seed(done.c, done.sigma2, done.half if self.reml else None)
        spaces = self.parameters.tangents(self.theta)
        found = self.factor.derivatives(seed, [space.dSigma for space in spaces])
        # y'P dV P dV P y / sigma^2, with sigma profiled out
        fixed = done.half @ found.fixed
        score = found.score / done.sigma2
        hessian = (found.quadratic - fixed.T @ fixed) / done.sigma2 - np.outer(score, score) / nu
        gradient = np.empty(len(self.theta))
        for space, dSigma, dLambda in zip(spaces, found.dSigma, found.dLambda, strict=True):
            own = space.slice
            gradient[own] = space.jacobian.reshape(len(space.jacobian), -1) @ dLambda.ravel()
            hessian[own, own] += space.second_order(dSigma, dLambda)
        if found.noise is not None:
            self.noise = _expected_decrement(found.noise, hessian)
        return gradient, hessian


def _expected_decrement(noise: Floats, hessian: Floats) -> float:
    """E g'H^-1g / 2 for a gradient g of this covariance, over the directions in which the Hessian is positive."""
    w, vectors = np.linalg.eigh(hessian)
    variances = np.einsum("ij,ik,kj->j", vectors, noise, vectors)
    curved = w > 1e-9 * abs(w[-1])
    return 0.5 * float((variances[curved] / w[curved]).sum())
