"""The ML deviance with the residual standard deviation as a parameter, one term on the absolute scale where wanted.

    d = log|V| + r2 / sigma^2 + n log(2 pi sigma^2) - sum log w,      V = I + Z Sigma Z'

Coordinates are the entries tau of the relative covariances Sigma_i and s = log sigma, with

    dd/ds = 2 n - 2 r2 / sigma^2     d2d/ds2 = 4 r2 / sigma^2     d2d/dtau_r ds = 2 f'E_r f / sigma^2,  f = Z'Py

and the average information in tau. A term on the absolute scale has Sigma = L L' / sigma^2 with L linear in its
parameters; the others have parameters of their templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.deviance import Profiled, profile_fixed
from mixedpy.core.factor.protocol import Factor, Seed
from mixedpy.core.parameters import Parameters
from mixedpy.core.refit.entries import lower_pairs

__all__ = ["Absolute", "ScaledDeviance"]


@dataclass(frozen=True, slots=True)
class Absolute:
    """One term whose square root of the covariance, in conditioned columns, is L = fixed + sum_k phi_k basis_k.

    Attributes
    ----------
    term : int
        Position in the order of the cross-products.
    fixed : (m, m) array
        The part that is held.
    basis : (T, m, m) array
        One matrix per free parameter.
    """

    term: int
    fixed: Floats
    basis: Floats

    def L(self, phi: Floats) -> Floats:
        """Square root of the absolute covariance, (m, m)."""
        return np.asarray(self.fixed + np.tensordot(phi, self.basis, 1), np.float64)


class ScaledDeviance:
    """ML deviance over (parameters of the relative terms, phi of the absolute term, log sigma).

    Parameters
    ----------
    factor : Factor
        Of the conditioned design.
    parameters : Parameters
        Of all terms; the share of the absolute term is not used.
    n : int
        Number of rows.
    log_weights : float
        Sum of the logarithms of the prior weights.
    absolute : Absolute, optional
        The term on the absolute scale.
    sigma : float, optional
        Holds sigma; by default log sigma is the last parameter.
    """

    def __init__(
        self,
        factor: Factor,
        parameters: Parameters,
        n: int,
        log_weights: float,
        *,
        absolute: Absolute | None = None,
        sigma: float | None = None,
    ):
        self.factor, self.n, self.log_weights = factor, n, log_weights
        self.absolute, self.held = absolute, sigma
        special = None if absolute is None else absolute.term
        self.relative = [i for i in range(len(parameters.templates)) if i != special]
        self.templates = parameters.templates
        sizes = [parameters.templates[i].size for i in self.relative]
        ends = np.cumsum([0, *sizes]).tolist()
        self.slices = [slice(a, b) for a, b in pairwise(ends)]
        extra = 0 if absolute is None else len(absolute.basis)
        self.own = slice(ends[-1], ends[-1] + extra)
        self.size = self.own.stop + (sigma is None)
        starts = np.cumsum([0, *(t.m * (t.m + 1) // 2 for t in self.templates)]).tolist()
        self.coordinates = [slice(a, b) for a, b in pairwise(starts)]
        self.directions = [_basis(t.m) for t in self.templates]
        self.evaluations = 0
        self.noise = 0.0  # differences of an iterative factorization's values have the same probes on both sides
        self.theta = np.empty(0)
        self.profiled: Profiled | None = None

    def sigma(self, theta: Floats) -> float:
        """Residual standard deviation at the parameters."""
        return float(np.exp(theta[-1])) if self.held is None else self.held

    def Lambdas(self, theta: Floats) -> list[Floats]:
        """Square roots of the relative covariances, terms in the order of the cross-products."""
        out = [np.empty(0)] * len(self.templates)
        for i, share in zip(self.relative, self.slices, strict=True):
            out[i] = self.templates[i].Lambda(theta[share])
        if self.absolute is not None:
            out[self.absolute.term] = self.absolute.L(theta[self.own]) / self.sigma(theta)
        return out

    def value(self, theta: Floats) -> float:
        """Deviance; raises LinAlgError where it has no value."""
        self.evaluations += 1
        self.theta = theta
        if self.held is None and abs(theta[-1]) > _LARGEST:
            raise np.linalg.LinAlgError("sigma is out of range")
        variance = self.sigma(theta) ** 2
        reduced = self.factor.update([_triangular(L) for L in self.Lambdas(theta)])
        self.profiled = profile_fixed(reduced, self.n, self.log_weights, reml=False)
        r2 = self.n * self.profiled.sigma2
        return float(reduced.logdet + r2 / variance + self.n * np.log(2.0 * np.pi * variance) - self.log_weights)

    def derivatives(self) -> tuple[Floats, Floats]:
        """Gradient and average-information Hessian at the parameters of the last value."""
        done = self.profiled
        assert done is not None
        theta = self.theta
        variance = self.sigma(theta) ** 2
        found = self.factor.derivatives(Seed(done.c, variance, None), self.directions)
        fixed = done.half @ found.fixed
        in_tau = (found.quadratic - fixed.T @ fixed) / variance
        r2 = self.n * done.sigma2
        free = self.held is None
        count = len(in_tau) + free
        hessian, gradient = np.zeros((count, count)), np.zeros(count)
        hessian[: len(in_tau), : len(in_tau)] = in_tau
        for share, dSigma in zip(self.coordinates, found.dSigma, strict=True):
            gradient[share] = _gradient(dSigma)
        if free:
            hessian[-1, :-1] = hessian[:-1, -1] = 2.0 * found.score / variance
            hessian[-1, -1] = 4.0 * r2 / variance
            gradient[-1] = 2.0 * self.n - 2.0 * r2 / variance
        J, second = self._chain(theta, found.dSigma)
        return J.T @ gradient, J.T @ hessian @ J + second

    def _chain(self, theta: Floats, dSigma: tuple[Floats, ...]) -> tuple[Floats, Floats]:
        """d(tau, s)/d(parameters), and the gradient times the second derivatives of the coordinates."""
        free = self.held is None
        g = self.coordinates[-1].stop
        J, second = np.zeros((g + free, self.size)), np.zeros((self.size, self.size))
        if free:
            J[-1, -1] = 1.0
        relative = Parameters([self.templates[i] for i in self.relative]) if self.relative else None
        tangents = relative.tangents(theta[: self.own.start]) if relative is not None else []
        for i, share, tangent in zip(self.relative, self.slices, tangents, strict=True):
            rows, columns = lower_pairs(self.templates[i].m)
            J[self.coordinates[i], share] = tangent.dSigma[:, rows, columns].T
            L = tangent.template.Lambda(theta[share])
            second[share, share] = tangent.second_order(dSigma[i], 2.0 * dSigma[i] @ L)
        if self.absolute is not None:
            self._absolute_chain(theta, dSigma[self.absolute.term], J, second)
        return J, second

    def _absolute_chain(self, theta: Floats, D: Floats, J: Floats, second: Floats) -> None:
        """Sigma = L L' / sigma^2: fill in its derivatives in phi and in log sigma."""
        one = self.absolute
        assert one is not None
        variance = self.sigma(theta) ** 2
        L, T = one.L(theta[self.own]), len(one.basis)
        rows, columns = lower_pairs(len(L))
        at = self.coordinates[one.term]
        half = np.matmul(one.basis, L.T) / variance
        dSigma = half + half.transpose(0, 2, 1)  # (T, m, m)
        J[at, self.own] = dSigma[:, rows, columns].T
        flat = one.basis.reshape(T, L.size)
        second[self.own, self.own] = 2.0 * flat @ np.matmul(D, one.basis).reshape(T, L.size).T / variance
        if self.held is None:
            Sigma = L @ L.T / variance
            J[at, -1] = -2.0 * Sigma[rows, columns]
            mixed = -2.0 * np.einsum("tab,ab->t", dSigma, D)
            second[self.own, -1] += mixed
            second[-1, self.own] += mixed
            second[-1, -1] += 4.0 * float(np.vdot(Sigma, D))


_LARGEST = 300.0
"""Largest |log sigma| that is looked at."""


def _basis(m: int) -> Floats:
    """Basis of the symmetric matrices, (g, m, m)."""
    rows, columns = lower_pairs(m)
    E = np.zeros((len(rows), m, m))
    k = np.arange(len(rows))
    E[k, rows, columns] = E[k, columns, rows] = 1.0
    return E


def _gradient(dSigma: Floats) -> Floats:
    """Derivative in the lower triangle of Sigma."""
    rows, columns = lower_pairs(len(dSigma))
    return np.where(rows == columns, 1.0, 2.0) * 0.5 * (dSigma + dSigma.T)[rows, columns]


def _triangular(L: Floats) -> Floats:
    """Lower triangular square root of the same covariance."""
    if np.triu(L, 1).any():
        return np.asarray(np.linalg.qr(L.T, mode="r"), np.float64).T
    return L
