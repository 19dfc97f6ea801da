"""Parametric replicates: responses drawn from a fitted model, as sufficient statistics where possible, and refitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.estimate import Engine
from mixedpy.core.refit.classes import classes_of
from mixedpy.core.refit.entries import Entries
from mixedpy.core.refit.oneway import OneWay
from mixedpy.core.refit.refit import Refits, in_lockstep, outward, refit_all, refit_reduced
from mixedpy.core.refit.responses import Responses
from mixedpy.core.refit.sampler import Sampler
from mixedpy.core.refit.surrogate import MOST_PARAMETERS, REACH, Minima, Surrogate

__all__ = ["Replicator", "draw_responses", "interior"]

_MANY_CLASSES = 4000
"""Distinct levels from which polynomials around theta-hat pay."""

_ACCURATE = 1e-4
"""Error of the polynomials' log-determinants up to which they serve; optima are then good to about 1e-7."""

_PROBES = 4
"""Responses drawn to find the standard errors of theta."""

_NUMBERS = 4_000_000
"""Numbers drawn at a time."""


def draw_responses(
    design: Design, beta: Floats, roots: Sequence[Floats], sigma: float, count: int, rng: np.random.Generator
) -> Floats:
    """Draw responses row by row, (n, count).

    Parameters
    ----------
    design : Design
        The model; its response is not used.
    beta : (p,) array
        Fixed effects.
    roots : sequence of (m, m) arrays
        Relative covariance factors, in the order of the terms.
    sigma : float
        Residual standard deviation.
    """
    Y = sigma * rng.standard_normal((design.n, count))
    if design.weights is not None:
        Y /= np.sqrt(design.weights)[:, None]
    Y += (design.X @ beta)[:, None]
    if design.offset is not None:
        Y += design.offset[:, None]
    for term, root in zip(design.terms, roots, strict=True):
        if not root.any():
            continue
        b = sigma * np.einsum("ac,cjb->ajb", root, rng.standard_normal((term.m, term.n_levels, count)))
        for effect, c in zip(b, term.columns, strict=True):
            Y += design.columns[c][:, None] * effect[term.codes]
    return Y


class Replicator:
    """Draws responses from a model and refits it to them.

    Parameters
    ----------
    engine : Engine
        The prepared model.
    design : Design
        Its design in the user's columns.
    theta, beta, sigma
        The parameters to draw from, in the user's columns.
    roots : sequence of (m, m) arrays
        Relative covariance factors of theta.
    reml : bool
        Criterion of the refits.
    control : Control
        Settings.
    """

    def __init__(
        self,
        engine: Engine,
        design: Design,
        theta: Floats,
        beta: Floats,
        roots: Sequence[Floats],
        sigma: float,
        *,
        reml: bool,
        control: Control,
    ):
        self.engine, self.design, self.reml, self.control = engine, design, reml, control
        self.theta, self.beta, self.roots, self.sigma = theta, beta, tuple(roots), sigma
        try:
            self.sampler: Sampler | None = Sampler(engine, roots, sigma)
        except ValueError:  # so many crossed columns that rows are drawn instead
            self.sampler = None
        self.start = theta if interior(roots) else None
        self.surrogate = self._surrogate()

    @property
    def batch(self) -> int:
        """Number of replicates to draw at a time; it depends on the model alone."""
        cp = self.engine.cross_products
        size = cp.n if self.sampler is None else 2 * sum(m * J for m, J in zip(cp.m, cp.J, strict=True))
        return int(np.clip(_NUMBERS // max(size, 1), 10, 500))

    def _surrogate(self) -> Surrogate | None:
        """Polynomials, if there are many levels and theta-hat is far from every boundary."""
        engine, cp = self.engine, self.engine.cross_products
        if self.sampler is None or not in_lockstep(engine) or cp.k > 1 or self.start is None:
            return None
        entries = Entries(engine.parameters.templates)
        if entries.size > MOST_PARAMETERS or cp.J[0] < _MANY_CLASSES:
            return None
        classes = classes_of(cp.own[0])
        if classes.max() + 1 < _MANY_CLASSES:
            return None
        center = engine.inward(self.theta)
        some = self.sampler.draw(_PROBES, np.random.default_rng(0))
        covariance = _covariance(OneWay(cp, some, entries, classes, reml=self.reml), center)
        if covariance is None:
            return None
        (L,) = entries.Lambdas(center[:, None])
        diagonal = np.arange(cp.m[0])
        on_diagonal = entries.positions[0][0] == entries.positions[0][1]
        errors = np.sqrt(np.diag(covariance))[on_diagonal]
        if np.any(np.abs(L[diagonal, diagonal, 0]) < 1.5 * REACH * errors):
            return None
        found = Surrogate(engine, entries, center, covariance, reml=self.reml)
        return found if found.error < _ACCURATE else None

    def run(self, count: int, rng: np.random.Generator) -> Refits:
        """Draw and refit some replicates."""
        if self.sampler is None:
            Y = draw_responses(self.design, self.beta, self.roots, self.sigma, count, rng)
            return refit_all(
                self.engine,
                Y,
                reml=self.reml,
                offset=self.design.offset,
                start=self.start,
                control=self.control,
                errors=True,
            )
        responses = self.sampler.draw(count, rng)
        if self.surrogate is None:
            found = refit_reduced(
                self.engine, responses, reml=self.reml, start=self.start, control=self.control, errors=True
            )
        else:
            found = self._near(self.surrogate.minimize(responses), responses)
        return replace(found, beta=found.beta + self.beta)

    def _near(self, minima: Minima, responses: Responses) -> Refits:
        """Results of the polynomials; replicates whose optimum is not well inside the ball are refitted exactly."""
        engine = self.engine
        found = outward(
            engine,
            Entries(engine.parameters.templates).Lambdas(minima.theta),
            minima.beta,
            np.sqrt(minima.sigma2),
            minima.value,
            minima.S_inverse,
            responses.shift,
            converged=minima.trusted,
            iterations=np.full(responses.count, minima.iterations, dtype=np.intp),
            reml=self.reml,
            covariance=minima.covariance,
        )
        rest = np.flatnonzero(~minima.trusted)
        if not len(rest):
            return found
        exact = refit_reduced(
            engine, responses.take(rest), reml=self.reml, start=self.start, control=self.control, errors=True
        )
        for name in ("theta", "beta", "sigma", "criterion", "unscaled_vcov", "converged", "iterations"):
            getattr(found, name)[rest] = getattr(exact, name)
        assert found.errors is not None
        assert exact.errors is not None
        for mine, theirs in zip(
            (*found.errors.terms, found.errors.sigma), (*exact.errors.terms, exact.errors.sigma), strict=True
        ):
            mine[rest] = theirs
        return found


def interior(roots: Sequence[Floats]) -> bool:
    """Whether no variance is zero and no correlation one: theta is then a good start for all replicates."""
    return all(float(np.abs(np.diag(root)).min()) > 1e-2 * float(np.abs(root).max()) > 0 for root in roots)


def _covariance(objective: OneWay, center: Floats) -> Floats | None:
    """Covariance matrix of theta-hat from the mean Hessian of some replicates; None where it is not positive."""
    count = len(objective.yy)
    _, hessian = objective.derivatives(objective.values(np.repeat(center[:, None], count, axis=1)))
    H = hessian.mean(2)
    if not np.isfinite(H).all() or np.linalg.eigvalsh(H)[0] <= 0:
        return None
    return 2.0 * np.asarray(np.linalg.inv(H), np.float64)
