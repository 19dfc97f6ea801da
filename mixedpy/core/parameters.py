"""theta of all random terms <-> their relative covariance factors, in the factorization's order of the terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.covariance import Template

__all__ = ["Parameters", "Tangent"]


@dataclass(frozen=True, slots=True)
class Tangent:
    """First-order behaviour of one term's covariance at theta.

    Attributes
    ----------
    slice : slice
        The term's share of theta.
    jacobian : (T, m, m) array
        dLambda/dtheta.
    dSigma : (T, m, m) array
        d(Lambda Lambda')/dtheta.
    template, theta
        Covariance template and its share of theta, for the second derivatives of Lambda.
    """

    slice: slice
    jacobian: Floats
    dSigma: Floats
    template: Template
    theta: Floats

    def second_order(self, dSigma: Floats, dLambda: Floats) -> Floats:
        """<dd/dSigma, d2 Sigma>: 2 tr(dLambda_s' dd/dSigma dLambda_t) + <dd/dLambda, d2 Lambda>, (T, T)."""
        T = len(self.jacobian)
        flat = self.jacobian.reshape(T, -1)
        gained = np.matmul(dSigma, self.jacobian).reshape(T, -1)
        return 2.0 * flat @ gained.T + self.template.curvature(self.theta, dLambda)


class Parameters:
    """Layout of theta for a sequence of covariance templates."""

    def __init__(self, templates: Sequence[Template]):
        self.templates = tuple(templates)
        ends = list(accumulate(t.size for t in templates))
        self.slices = tuple(slice(end - t.size, end) for end, t in zip(ends, templates, strict=True))
        self.size = ends[-1]

    def Lambdas(self, theta: Floats) -> list[Floats]:
        """Relative covariance factors (m, m) at theta (k,)."""
        return [t.Lambda(theta[s]) for t, s in zip(self.templates, self.slices, strict=True)]

    def tangents(self, theta: Floats) -> list[Tangent]:
        """First-order behaviour of every term at theta."""
        out = []
        for template, share in zip(self.templates, self.slices, strict=True):
            own = theta[share]
            jacobian = template.jacobian(own)
            half = np.matmul(jacobian, template.Lambda(own).T)
            out.append(Tangent(share, jacobian, half + half.transpose(0, 2, 1), template, own))
        return out

    def join(self, Lambdas: Sequence[Floats]) -> Floats:
        """theta (k,) of the given factors."""
        return np.concatenate([t.parameters(L) for t, L in zip(self.templates, Lambdas, strict=True)])

    def snapped(self, theta: Floats, tol: float) -> Floats:
        """Put parameters that are nearer than tol to the boundary at the boundary, (k,)."""
        return np.concatenate([t.snapped(theta[s], tol) for t, s in zip(self.templates, self.slices, strict=True)])
