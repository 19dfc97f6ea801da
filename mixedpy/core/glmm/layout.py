"""Layout of the parameters: templates' theta <-> free entries of the relative covariance factors, with derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.covariance import Template
from mixedpy.core.glmm.rows import Entry
from mixedpy.core.parameters import Parameters

__all__ = ["Layout", "make_layout"]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Parameters (theta, beta, alpha) of the optimizer and psi = (lambda, beta, alpha) of the blocks.

    Attributes
    ----------
    parameters : Parameters
        theta of the terms, in the order of the blocks' terms.
    entries : tuple of Entry
        The free entries of the factors.
    p, s : int
        Number of fixed effects and of auxiliary coefficients.
    plain : bool
        Whether theta are the entries themselves.
    """

    parameters: Parameters
    entries: tuple[Entry, ...]
    p: int
    s: int
    plain: bool

    @property
    def k(self) -> int:
        """Number of covariance parameters."""
        return self.parameters.size

    @property
    def size(self) -> int:
        """Number of all parameters."""
        return self.k + self.p + self.s

    def psi(self, x: Floats) -> Floats:
        """(theta, beta, alpha) -> (lambda, beta, alpha)."""
        if self.plain:
            return x
        Lambdas = self.parameters.Lambdas(x[: self.k])
        lam = np.array([Lambdas[e.term][e.a, e.b] for e in self.entries])
        return np.concatenate([lam, x[self.k :]])

    def jacobian(self, x: Floats) -> Floats:
        """d psi / d x, (L + p + s, k + p + s)."""
        L = len(self.entries)
        out = np.zeros((L + self.p + self.s, self.size))
        if self.plain:
            np.fill_diagonal(out, 1.0)
            return out
        out[L:, self.k :] = np.eye(self.p + self.s)
        parameters = self.parameters
        derivatives = [t.jacobian(x[s]) for t, s in zip(parameters.templates, parameters.slices, strict=True)]
        for row, e in enumerate(self.entries):
            out[row, parameters.slices[e.term]] = derivatives[e.term][:, e.a, e.b]
        return out

    def pull_back(self, x: Floats, gradient: Floats, hessian: Floats | None) -> tuple[Floats, Floats | None]:
        """Gradient and Hessian in psi -> those in (theta, beta, alpha)."""
        if self.plain:
            return gradient, hessian
        J = self.jacobian(x)
        if hessian is not None:
            hessian = J.T @ hessian @ J
            for t, (template, share) in enumerate(zip(self.parameters.templates, self.parameters.slices, strict=True)):
                D = np.zeros((template.m, template.m))
                for value, e in zip(gradient.tolist(), self.entries, strict=False):
                    if e.term == t:
                        D[e.a, e.b] = value
                hessian[share, share] += template.curvature(x[share], D)
        return J.T @ gradient, hessian


def make_layout(templates: Sequence[Template], p: int, s: int) -> Layout:
    """Find the entries of the factors that the templates move."""
    parameters = Parameters(templates)
    entries: list[Entry] = []
    plain = True
    for t, template in enumerate(templates):
        theta = template.from_variances(np.ones(template.m))
        moved = template.jacobian(theta)  # (size, m, m)
        fixed = template.Lambda(theta)
        single = np.count_nonzero(moved, axis=(1, 2))
        linear = not np.any(template.curvature(theta, np.ones((template.m, template.m))))
        if linear and (single == 1).all() and np.allclose(np.tensordot(theta, moved, 1), fixed):
            # theta are entries of Lambda, in the template's order
            entries.extend(Entry(t, int(a), int(b)) for a, b in (np.argwhere(D)[0] for D in moved))
        else:
            plain = False
            entries.extend(Entry(t, a, b) for b in range(template.m) for a in range(b, template.m))
    return Layout(parameters, tuple(entries), p, s, plain)
