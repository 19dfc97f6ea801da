"""The deviance of a whole problem over (theta, beta, alpha), with derivatives, and starts for the next modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.hessian import hessian
from mixedpy.core.glmm.laplace import Block, Point, Tangents
from mixedpy.core.glmm.layout import Layout
from mixedpy.core.glmm.precision import Precision
from mixedpy.core.glmm.problem import Problem
from mixedpy.core.glmm.quadrature import Integral, Nodes, integrate, integrated_gradient

__all__ = ["Evaluation", "Objective"]

_BIG_STEP = 0.1
"""Steps longer than this, in eta units, try several starts for the modes where effects multiply the mean."""

_FAILURES = (np.linalg.LinAlgError, FloatingPointError)


@dataclass(slots=True, eq=False)
class Evaluation:
    """A point of the outer problem.

    Attributes
    ----------
    x : (P,) array
        theta, beta, alpha.
    deviance : float
        -2 log-likelihood with every constant; infinite where it has none.
    points : list of Point
        The blocks; empty where the deviance is infinite.
    """

    x: Floats
    deviance: float
    points: list[Point] = field(default_factory=list)
    integrals: list[Integral] = field(default_factory=list)
    tangents: list[Tangents] = field(default_factory=list)


class Objective:
    """Deviance, gradient and Hessian of a problem.

    Parameters
    ----------
    problem : Problem
        The model.
    nodes : Nodes, optional
        Quadrature rule; None is the Laplace approximation.
    """

    def __init__(self, problem: Problem, nodes: Nodes | None = None):
        self.problem, self.nodes = problem, nodes
        self.blocks: tuple[Block, ...] = problem.blocks
        self.layout: Layout = problem.layout
        self.evaluations = self.steps = self.halvings = 0

    def turned(self, layout: Layout) -> Objective:
        """The same objective over another layout of the covariance parameters."""
        other = Objective(self.problem, self.nodes)
        other.layout = layout
        other.blocks = tuple(replace(block, entries=layout.entries) for block in self.blocks)
        other.evaluations, other.steps, other.halvings = self.evaluations, self.steps, self.halvings
        return other

    def value(
        self,
        x: Floats,
        us: Sequence[Floats | None],
        chords: Sequence[Precision | None],
        tol: float,
    ) -> Evaluation:
        """Deviance at x, the modes sought from ``us``."""
        self.evaluations += 1
        psi = self.layout.psi(x)
        points: list[Point] = []
        with np.errstate(all="ignore"):
            try:
                for block, u, chord in zip(self.blocks, us, chords, strict=True):
                    points.append(block.evaluate(psi, u, chord, tol))
                integrals = (
                    []
                    if self.nodes is None
                    else [integrate(b, p, self.nodes) for b, p in zip(self.blocks, points, strict=True)]
                )
            except _FAILURES:
                return Evaluation(x, np.inf)
        self.steps += max(p.steps for p in points)
        self.halvings += sum(p.halvings for p in points)
        parts = [p.deviance for p in points] if self.nodes is None else [i.deviance for i in integrals]
        deviance = sum(parts) - 2.0 * self.problem.constant
        if not np.isfinite(deviance):
            return Evaluation(x, np.inf)
        return Evaluation(x, deviance, points, integrals)

    def gradient(self, at: Evaluation) -> Floats:
        """Gradient in (theta, beta, alpha)."""
        return self.layout.pull_back(at.x, self._psi_gradient(at), None)[0]

    def _psi_gradient(self, at: Evaluation) -> Floats:
        with np.errstate(all="ignore"):
            if not at.tangents:
                at.tangents = [b.tangents(p) for b, p in zip(self.blocks, at.points, strict=True)]
            if self.nodes is None:
                return np.sum([t.gradient for t in at.tangents], axis=0)
            parts = [
                integrated_gradient(b, p, t, self.nodes, i)
                for b, p, t, i in zip(self.blocks, at.points, at.tangents, at.integrals, strict=True)
            ]
            return np.sum(parts, axis=0)

    def derivatives(
        self, at: Evaluation, *, cross: int | None = None, held: Floats | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Gradient, Hessian (that of the Laplace approximation) and its cross-level traces."""
        gradient = self._psi_gradient(at)
        with np.errstate(all="ignore"):
            parts = [
                hessian(b, p, t, cross=cross, held=held)
                for b, p, t in zip(self.blocks, at.points, at.tangents, strict=True)
            ]
        H = np.sum([h for h, _ in parts], axis=0)
        g, pulled = self.layout.pull_back(at.x, gradient, H)
        assert pulled is not None
        return g, pulled, parts[0][1]

    def predicted_modes(self, at: Evaluation, step: Floats, length: float) -> list[Floats | None]:
        """Starts for the modes at ``at.x + step``: along the tangent, or the best of several for a big step."""
        psi0, psi1 = self.layout.psi(at.x), self.layout.psi(at.x + step)
        change = psi1 - psi0
        out: list[Floats | None] = []
        several = self.problem.family.multiplicative and length > _BIG_STEP
        with np.errstate(all="ignore"):
            for block, point, tangents in zip(self.blocks, at.points, at.tangents, strict=True):
                along = point.u + change @ tangents.dU
                if several:
                    inner = block.inner(psi1)
                    starts = [along, point.u, *_held_effects(block, point, along, psi1)]
                    along = min(starts, key=lambda u, inner=inner: float(inner.penalized(u)[0]))  # type: ignore[misc]
                out.append(along)
        return out


def _held_effects(block: Block, point: Point, along: Floats, psi: Floats) -> list[Floats]:
    """u such that b = Lambda u moves along its tangent: b hardly moves with Lambda where levels are informative."""
    new = block.Lambdas(psi)
    parts, start = [], 0
    for term, L0, L1 in zip(block.rows.terms, point.Lambdas, new, strict=True):
        if np.abs(np.diag(L1)).min() <= 1e-3 * np.abs(L0).max():
            return []
        share = slice(start, start + term.J * term.m)
        start = share.stop
        u, moved = point.u[share].reshape(term.m, -1), along[share].reshape(term.m, -1)
        parts.append(np.linalg.solve(L1, L0 @ moved + (L1 - L0) @ u).ravel())
    return [np.concatenate(parts)]
