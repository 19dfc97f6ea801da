"""A design and its settings -> the fit record: condition, accumulate, start, minimize, undo the conditioning."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.conditioning import Conditioned, condition
from mixedpy.core.control import Control
from mixedpy.core.correlated import Correlated
from mixedpy.core.covariance import Unstructured
from mixedpy.core.crossproducts import CrossProducts, cross_products
from mixedpy.core.deviance import Deviance
from mixedpy.core.differenced import Differenced
from mixedpy.core.factor.choose import choose_factor, searcher
from mixedpy.core.factor.protocol import Factor
from mixedpy.core.iterative.factor import Iterative
from mixedpy.core.moments import moment_start
from mixedpy.core.optimize import Minimum, minimize
from mixedpy.core.parameters import Parameters
from mixedpy.core.record import Convergence, FitRecord, Status
from mixedpy.core.threads import one_blas_thread

__all__ = ["Engine", "estimate", "estimate_prepared", "prepare"]

_PATIENCE = 6
"""Steps after which unstructured terms are turned round first: their triangular form has a curved valley where the
first variance is nearly zero."""

_NEAR_ZERO = 1e-3
"""Parameters nearer than this to the boundary, in conditioned columns, are tried at the boundary itself."""

_FEW_COLUMNS, _FEW_LEVELS = 300, 10_000
"""A Schur complement of smaller order, and fewer levels of the eliminated term, leave BLAS with small matrices only."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A conditioned design with its cross-products and its factorization, ready to be evaluated at any theta.

    Attributes
    ----------
    conditioned : Conditioned
        The design in well-placed columns.
    cross_products : CrossProducts
        Of the conditioned design.
    factor : Factor
        The mutable workspace.
    parameters : Parameters
        theta of the conditioned problem, terms in the order of ``cross_products``.
    """

    conditioned: Conditioned
    cross_products: CrossProducts
    factor: Factor
    parameters: Parameters

    def objective(self, *, reml: bool) -> Deviance:
        """The deviance over conditioned theta; a REML criterion lacks ``2 * conditioned.log_scale``."""
        return Deviance(self.factor, self.parameters, self.cross_products.n, self.cross_products.log_weights, reml=reml)

    def inward(self, theta: Floats) -> Floats:
        """The user's theta -> theta of the conditioned problem."""
        return self.parameters.join(self.inward_Lambdas(theta))

    def inward_Lambdas(self, theta: Floats) -> list[Floats]:
        """The user's theta -> square roots of the terms' covariances in conditioned columns."""
        theirs = Parameters([t.template for t in self.conditioned.design.terms]).Lambdas(theta)
        return [self.conditioned.conditioned_Lambda(i, theirs[i]) for i in self.cross_products.order]

    def outward(self, theta: Floats) -> list[Floats]:
        """theta of the conditioned problem -> relative covariance factors in the order of ``Design.terms``."""
        Lambdas: list[Floats] = [np.empty(0)] * self.cross_products.k
        for i, L in zip(self.cross_products.order, self.parameters.Lambdas(theta), strict=True):
            Lambdas[i] = self.conditioned.Lambda(i, L)
        return Lambdas


def prepare(design: Design, control: Control | None = None) -> Engine:
    """Do all work that does not depend on theta."""
    conditioned = condition(design)
    cp = cross_products(conditioned.design)
    control = control or Control()
    factor = choose_factor(conditioned.design, cp, control.factorization, control)
    return Engine(conditioned, cp, factor, Parameters([conditioned.design.terms[i].template.free for i in cp.order]))


def estimate(design: Design, *, reml: bool, start: Floats | None = None, control: Control | None = None) -> FitRecord:
    """Fit a linear mixed model.

    Parameters
    ----------
    design : Design
        The model's arrays; X of full rank.
    reml : bool
        Minimize the REML criterion rather than the ML deviance.
    start : (k,) array, optional
        Starting theta, in the order of ``design.terms``; by default from moments.
    control : Control, optional
        Settings.

    Returns
    -------
    FitRecord
        Whether or not the optimizer converged; ``convergence.status`` tells.
    """
    engine = prepare(design, control)
    with one_blas_thread(_small(engine.cross_products)):
        return estimate_prepared(engine, reml=reml, start=start, control=control)


def estimate_prepared(
    engine: Engine, *, reml: bool, start: Floats | None = None, control: Control | None = None
) -> FitRecord:
    """Fit a model whose design has been prepared; arguments as for :func:`estimate`."""
    control = control or Control()
    first = _from_moments(engine) if start is None else engine.inward(np.asarray(start, float))
    templates = [t.template for t in engine.conditioned.design.terms]
    theirs = Parameters(templates).join(engine.outward(first))
    objective = engine.objective(reml=reml)
    exact, searched = engine.factor, searcher(engine.cross_products, engine.factor, control)
    if searched is not exact:
        engine, objective = replace(engine, factor=searched), objective.over(searched)
    minimum, engine, objective = _minimize(engine, objective, first, control)
    if isinstance(searched, Iterative) and control.finish and minimum.status is not Status.NOT_FINITE:
        last = searched.exact() if searched is exact else exact
        minimum, engine, objective = _finish(engine, objective, minimum, last, control)
    minimum = _on_the_boundary(engine, objective, minimum, control.tol)
    record = _record(engine, objective, minimum, theirs, reml=reml)
    return _sampled(record, searched, objective) if isinstance(searched, Iterative) else record


def _small(cp: CrossProducts) -> bool:
    """Whether every matrix that BLAS sees is too small for a second thread to pay."""
    return sum(m * J for m, J in zip(cp.m[1:], cp.J[1:], strict=True)) < _FEW_COLUMNS and cp.J[0] < _FEW_LEVELS


def _from_moments(engine: Engine) -> Floats:
    sds = moment_start(engine.cross_products)
    return np.concatenate([t.from_variances(sd) for t, sd in zip(engine.parameters.templates, sds, strict=True)])


def _minimize(engine: Engine, objective: Deviance, start: Floats, control: Control) -> tuple[Minimum, Engine, Deviance]:
    """Minimize; a search that has not ended after some steps goes on in another way.

    Unstructured terms then have their effects in reverse order, in turns of growing length, and with a correlated
    template the Hessian comes from differences of gradients.
    """
    templates, most = engine.parameters.templates, control.max_iterations
    n = engine.cross_products.n
    turnable = any(isinstance(t, Unstructured) and t.m > 1 for t in templates)
    bent = any(isinstance(t, Correlated) and t.m > 1 for t in templates)
    limit = min(_PATIENCE, most) if turnable or bent else most
    minimum = minimize(objective, start, n=n, tol=control.tol, max_iterations=limit)
    total, again = minimum.iterations, turnable or bent
    while again and minimum.status not in (Status.CONVERGED, Status.NOT_FINITE) and total < most:
        turned = Parameters([t.turned() if isinstance(t, Unstructured) else t for t in engine.parameters.templates])
        other = objective.reparametrized(turned)
        limit = min(2 * limit, most - total) if turnable else most - total
        theta = turned.join(engine.parameters.Lambdas(minimum.theta))
        second = minimize(Differenced(other) if bent else other, theta, n=n, tol=control.tol, max_iterations=limit)
        total, again = total + second.iterations, turnable
        if second.status is Status.NOT_FINITE:  # rounding: the value at this point is at the end of what is finite
            objective = objective.reparametrized(engine.parameters)
            break
        minimum, objective, engine = second, other, replace(engine, parameters=turned)
    return replace(minimum, iterations=total), engine, objective


def _finish(
    engine: Engine, objective: Deviance, minimum: Minimum, exact: Factor | None, control: Control
) -> tuple[Minimum, Engine, Deviance]:
    """End an iterative search with exact steps, where there is an exact factorization."""
    if exact is None:
        return minimum, engine, objective
    last = objective.over(exact)
    left = max(1, control.max_iterations - minimum.iterations)
    second = minimize(last, minimum.theta, n=engine.cross_products.n, tol=control.tol, max_iterations=left)
    return replace(second, iterations=minimum.iterations + second.iterations), replace(engine, factor=exact), last


def _on_the_boundary(engine: Engine, objective: Deviance, minimum: Minimum, tol: float) -> Minimum:
    """Put parameters that are nearly on the boundary at the boundary where the objective does not mind."""
    if not np.isfinite(minimum.value):
        return minimum
    theta = engine.parameters.snapped(minimum.theta, _NEAR_ZERO)
    if np.array_equal(theta, minimum.theta):
        return minimum
    try:
        value = objective.value(theta)
    except np.linalg.LinAlgError:
        return minimum
    if value > minimum.value + max(tol, objective.noise):
        return minimum
    return replace(minimum, theta=theta, value=value)


def _record(engine: Engine, objective: Deviance, minimum: Minimum, start: Floats, *, reml: bool) -> FitRecord:
    cp, conditioned = engine.cross_products, engine.conditioned
    if np.isfinite(minimum.value) and not np.array_equal(objective.theta, minimum.theta):
        objective.value(minimum.theta)
    profiled = objective.profiled
    if profiled is None or not np.isfinite(minimum.value):
        raise np.linalg.LinAlgError("the deviance has no finite value at the start")
    Lambdas = engine.outward(minimum.theta)
    modes: list[Floats] = [np.empty(0)] * cp.k
    for i, b in zip(cp.order, engine.factor.modes(profiled.c), strict=True):
        modes[i] = conditioned.modes(i, b)
    half = profiled.half @ conditioned.T.T
    parameters = Parameters([t.template for t in conditioned.design.terms])
    convergence = Convergence(
        status=minimum.status,
        iterations=minimum.iterations,
        evaluations=objective.evaluations,
        gradients=objective.gradients,
        symbolic_analyses=engine.factor.analyses,
        gradient_norm=minimum.gradient_norm,
        decrement=minimum.decrement,
        min_eigenvalue=minimum.min_eigenvalue,
        start=start,
        factorization=engine.factor.name,
    )
    return FitRecord(
        reml=reml,
        theta=parameters.join(Lambdas),
        Lambda=tuple(Lambdas),
        beta=conditioned.beta(profiled.beta),
        sigma=float(np.sqrt(profiled.sigma2)),
        criterion=minimum.value + (2.0 * conditioned.log_scale if reml else 0.0),
        unscaled_vcov=half.T @ half,
        modes=tuple(modes),
        n=cp.n,
        convergence=convergence,
    )


def _sampled(record: FitRecord, searched: Iterative, objective: Deviance) -> FitRecord:
    """Add what an iterative search drew and what error it leaves."""
    last = record.convergence.factorization
    convergence = replace(
        record.convergence,
        factorization=last if last == searched.name else f"{searched.name}, {last}",
        loglik_se=0.5 * objective.logdet_se,
        probes=searched.probes,
        cg_iterations=searched.cg_iterations,
    )
    return replace(record, convergence=convergence)
