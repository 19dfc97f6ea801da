"""One parameter of a linear mixed model held at a value, the ML deviance minimized over all others.

Standard deviations and correlations of an unstructured term are held through its triangular square root L (b = L u),
rows in an order that puts the parameter into one place:

    sd of effect a          a first, L[a, 0] = x
    correlation of a and b  b, then a: L[b, 0] = s1, (L[a, 0], L[a, 1]) = s2 (x, sqrt(1 - x^2))

Where one of the two standard deviations is zero the correlation means nothing, so that such a covariance satisfies
every constraint: the profile of a correlation never rises above that plateau. A product s1 s2 < 0 would be the
correlation -x; the optimum under the constraint then lies on the plateau as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.covariance import Diagonal
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.deviance import Deviance
from mixedpy.core.estimate import Engine
from mixedpy.core.factor.choose import choose_factor
from mixedpy.core.profile.solve import (
    Point,
    failed,
    minimize_turning,
    outward_roots,
    relative_roots,
    solve_absolute,
    solve_scaled,
)
from mixedpy.core.record import Status

__all__ = ["CorrelationSlice", "FixedSlice", "SdSlice", "SigmaSlice", "Slice"]


class Slice(Protocol):
    """A parameter that can be held."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Ends of its range."""

    @property
    def closed(self) -> bool:
        """Whether finite ends belong to the range."""

    def of(self, point: Point) -> float:
        """Its value at a point."""

    def solve(self, x: float, warm: Point) -> Point:
        """Minimize with the parameter held at x, from a nearby solution."""


@dataclass(frozen=True, slots=True)
class SigmaSlice:
    """The residual standard deviation held."""

    engine: Engine
    control: Control

    @property
    def bounds(self) -> tuple[float, float]:
        """Positive numbers."""
        return 0.0, np.inf

    @property
    def closed(self) -> bool:
        """No: the deviance grows without limit towards zero."""
        return False

    def of(self, point: Point) -> float:
        """Residual standard deviation."""
        return point.sigma

    def solve(self, x: float, warm: Point) -> Point:
        """Minimize over the covariances."""
        return solve_scaled(self.engine, warm, self.control, sigma=x)


@dataclass(frozen=True, slots=True)
class SdSlice:
    """The standard deviation of effect a of a term held."""

    engine: Engine
    control: Control
    term: int
    a: int

    @property
    def bounds(self) -> tuple[float, float]:
        """Numbers that are not negative."""
        return 0.0, np.inf

    @property
    def closed(self) -> bool:
        """Yes."""
        return True

    def of(self, point: Point) -> float:
        """Standard deviation."""
        return point.sd(self.term, self.a)

    def solve(self, x: float, warm: Point) -> Point:
        """Minimize over everything else."""
        root = warm.roots[self.term]
        m, a = len(root), self.a
        fixed = np.zeros((m, m))
        fixed[a, 0] = x
        template = self.engine.conditioned.design.terms[self.term].template
        if isinstance(template, Diagonal) and template.hom:  # one standard deviation for all effects
            phi, basis = np.empty(0), np.zeros((0, m, m))
            return solve_absolute(self.engine, warm, self.control, self.term, x * np.eye(m), basis, phi)
        if isinstance(template, Diagonal):
            fixed[a, 0], fixed[a, a] = 0.0, x
            others = [c for c in range(m) if c != a]
            basis = np.zeros((m - 1, m, m))
            basis[np.arange(m - 1), others, others] = 1.0
            phi = np.array([root[c, c] for c in others])
            return solve_absolute(self.engine, warm, self.control, self.term, fixed, basis, phi)
        order = [a, *(c for c in range(m) if c != a)]
        old = float(np.linalg.norm(root[a]))
        scaled = root.copy()
        scaled[a] *= x / old if old > 0 else 0.0
        if old == 0:
            scaled[a, 0] = x
        L = _permuted_triangle(scaled, order)
        places = [(order[k], l) for k in range(1, m) for l in range(k + 1)]
        basis = np.zeros((len(places), m, m))
        for E, at in zip(basis, places, strict=True):
            E[at] = 1.0
        phi = np.array([L[at] for at in places])
        return solve_absolute(self.engine, warm, self.control, self.term, fixed, basis, phi)


@dataclass(frozen=True, slots=True)
class CorrelationSlice:
    """The correlation of effects a and b of an unstructured term held.

    Attributes
    ----------
    neutral : Point
        A start away from the plateau.
    plateau : Point
        The best fit in which one of the two standard deviations is zero; see :meth:`of_effects`.
    """

    engine: Engine
    control: Control
    term: int
    a: int
    b: int
    neutral: Point
    plateau: Point

    @classmethod
    def of_effects(
        cls, engine: Engine, control: Control, term: int, a: int, b: int, estimate: Point
    ) -> CorrelationSlice:
        """Find the plateau from the unconstrained minimum.

        The neutral start has independent effects with as much information in the level's rows as in the distribution:
        sd_a^2 = sigma^2 / mean_j (Z_j'Z_j)_aa.
        """
        ends = (SdSlice(engine, control, term, c).solve(0.0, estimate) for c in (a, b))
        plateau = min(ends, key=lambda point: point.deviance if point.converged else np.inf)
        place = engine.cross_products.order.index(term)
        blocks = engine.cross_products.own[place].mean(2)
        if (T := engine.conditioned.terms[term]) is not None:
            inverse = np.linalg.inv(T)
            blocks = inverse.T @ blocks @ inverse
        roots = list(estimate.roots)
        roots[term] = np.diag(estimate.sigma / np.sqrt(np.diag(blocks)))
        return cls(engine, control, term, a, b, replace(estimate, roots=tuple(roots)), plateau)

    @property
    def bounds(self) -> tuple[float, float]:
        """From -1 to 1."""
        return -1.0, 1.0

    @property
    def closed(self) -> bool:
        """Yes."""
        return True

    def of(self, point: Point) -> float:
        """Correlation, NaN if a standard deviation is zero."""
        return point.correlation(self.term, self.a, self.b)

    def solve(self, x: float, warm: Point) -> Point:
        """Minimize over everything else, from the solution at hand and, where that leads to the plateau, once more."""
        found = self._solve(x, warm)
        if not self._better(found, x):
            found = self._solve(x, self.neutral)
        if self._better(found, x):
            return found
        return self.plateau if self.plateau.converged else failed(found)

    def _better(self, found: Point, x: float) -> bool:
        """Whether a minimum satisfies the constraint and lies below the plateau."""
        T = found.roots[self.term] @ found.roots[self.term].T
        below = not self.plateau.converged or found.deviance < self.plateau.deviance
        return found.converged and bool(T[self.a, self.b] * x >= 0.0) and below

    def _solve(self, x: float, warm: Point) -> Point:
        root, a, b = warm.roots[self.term], self.a, self.b
        m = len(root)
        order = [b, a, *(c for c in range(m) if c not in (a, b))]
        L = _permuted_triangle(root, order)
        basis = np.zeros((2, m, m))
        basis[0, b, 0] = 1.0
        basis[1, a, :2] = x, np.sqrt(max(0.0, 1.0 - x * x))
        phi = [float(L[b, 0]), float(np.linalg.norm(L[a]))]
        places = [(order[k], l) for k in range(2, m) for l in range(k + 1)]
        rest = np.zeros((len(places), m, m))
        for E, at in zip(rest, places, strict=True):
            E[at] = 1.0
        phi += [float(L[at]) for at in places]
        return solve_absolute(
            self.engine,
            warm,
            self.control,
            self.term,
            np.zeros((m, m)),
            np.concatenate([basis, rest]),
            np.array(phi),
        )


class FixedSlice:
    """A fixed effect held: its column leaves X and its share leaves y.

    Parameters
    ----------
    engine : Engine
        The prepared model.
    control : Control
        Settings.
    j : int
        Position of the effect.
    """

    def __init__(self, engine: Engine, control: Control, j: int):
        self.engine, self.control, self.j = engine, control, j
        conditioned, cp = engine.conditioned, engine.cross_products
        self.row = conditioned.T[j]  # beta_j = row beta'
        self.intercept_shift = conditioned.shift if conditioned.design.fixed[j] == 0 else 0.0
        self.pivot = int(np.argmax(np.abs(self.row)))
        self.kept = [k for k in range(cp.p) if k != self.pivot]
        self.map = np.zeros((cp.p + 1, cp.p))  # [X y] -> [X less the pivot, y]
        self.map[self.kept, np.arange(cp.p - 1)] = 1.0
        self.map[self.pivot, : cp.p - 1] = -self.row[self.kept] / self.row[self.pivot]
        self.map[cp.p, cp.p - 1] = 1.0
        self.design = self._design(0.0)
        self.factor = choose_factor(self.design, self._cross_products(0.0), control.factorization)

    @property
    def bounds(self) -> tuple[float, float]:
        """The whole line."""
        return -np.inf, np.inf

    @property
    def closed(self) -> bool:
        """Yes."""
        return True

    def of(self, point: Point) -> float:
        """The fixed effect."""
        return float(point.beta[self.j])

    def _share(self, x: float) -> float:
        """What the pivot column is multiplied by and taken from y, before the other columns are."""
        return float((x - self.intercept_shift) / self.row[self.pivot])

    def _cross_products(self, x: float) -> CrossProducts:
        cp = self.engine.cross_products
        C = self.map.copy()
        C[self.pivot, -1] = -self._share(x)
        gram = C.T @ cp.fixed @ C
        right = tuple(np.einsum("acj,cd->adj", block, C) for block in cp.right)
        return replace(cp, p=cp.p - 1, fixed=0.5 * (gram + gram.T), right=right)

    def _design(self, x: float) -> Design:
        design = self.engine.conditioned.design
        columns = list(design.columns)
        out = design.columns[design.fixed[self.pivot]]
        fixed = []
        for k in self.kept:
            change = self.map[self.pivot, self.kept.index(k)]
            if change:
                columns.append(columns[design.fixed[k]] + change * out)
                fixed.append(len(columns) - 1)
            else:
                fixed.append(design.fixed[k])
        return replace(design, y=design.y - self._share(x) * out, columns=tuple(columns), fixed=tuple(fixed))

    def solve(self, x: float, warm: Point) -> Point:
        """Minimize over theta and the other fixed effects."""
        cp = self._cross_products(x)
        factor = self.factor.with_response(self._design(x), cp)
        objective = Deviance(factor, self.engine.parameters, cp.n, cp.log_weights, reml=False)
        start = self.engine.parameters.join(relative_roots(self.engine, warm))
        minimum, objective = minimize_turning(objective, self.engine.parameters, start, self.control, cp.n)
        done = objective.profiled
        if done is None or not np.isfinite(minimum.value):
            return failed(warm)
        sigma = float(np.sqrt(done.sigma2))
        inner = np.empty(cp.p + 1)
        inner[self.kept] = done.beta
        inner[self.pivot] = self._share(x) - self.row[self.kept] @ done.beta / self.row[self.pivot]
        roots = outward_roots(self.engine, [sigma * L for L in objective.parameters.Lambdas(minimum.theta)])
        beta = self.engine.conditioned.beta(inner)
        beta[self.j] = x
        return Point(minimum.value, roots, sigma, beta, minimum.status is Status.CONVERGED)


def _permuted_triangle(root: Floats, order: list[int]) -> Floats:
    """Square root of the same covariance that is lower triangular when its rows are read in the given order."""
    L = np.asarray(np.linalg.qr(root[order].T, mode="r"), np.float64).T
    L = L * np.where(np.diag(L) < 0, -1.0, 1.0)
    out = np.empty_like(L)
    out[order] = L
    return out
