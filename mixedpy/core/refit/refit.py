"""Refit one prepared model to many responses: in lockstep where one random term allows it, one by one elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.conditioning import Conditioned
from mixedpy.core.control import Control
from mixedpy.core.estimate import Engine, estimate_prepared
from mixedpy.core.factor.chain import Chain
from mixedpy.core.moments import moment_starts
from mixedpy.core.refit.entries import Entries, entries_are_parameters
from mixedpy.core.refit.oneway import OneWay, classes_of
from mixedpy.core.refit.respond import respond
from mixedpy.core.refit.responses import Responses, reduce_responses
from mixedpy.core.refit.search import Lockstep, minimize_all

__all__ = ["Refits", "in_lockstep", "outward", "refit_all", "refit_reduced"]

_PATIENCE = 6
"""Steps after which unstructured terms are turned round, as for a single fit."""

_NEAR_ZERO = 1e-3
"""Diagonals of Lambda below this are tried at exactly zero, as for a single fit."""

_WORKING_SET = 1_000_000
"""Numbers in the largest array of one batch."""


@dataclass(frozen=True, slots=True)
class Refits:
    """Estimates of one model from B responses, in the user's columns and parameters.

    Attributes
    ----------
    theta : (B, k) array
        Covariance parameters, as in ``FitRecord``; NaN where the criterion has no finite value.
    beta : (B, p) array
        Fixed effects.
    sigma : (B,) array
        Residual standard deviations.
    criterion : (B,) array
        Minimized ML deviances or REML criteria.
    unscaled_vcov : (B, p, p) array
        (X'V^-1X)^-1.
    converged : (B,) bool array
        Whether the criteria for convergence were met.
    iterations : (B,) int array
        Steps tried.
    lockstep : bool
        Whether the responses advanced together.
    """

    theta: Floats
    beta: Floats
    sigma: Floats
    criterion: Floats
    unscaled_vcov: Floats
    converged: NDArray[np.bool_]
    iterations: NDArray[np.intp]
    lockstep: bool

    @property
    def count(self) -> int:
        """Number of responses B."""
        return len(self.sigma)


def refit_all(
    engine: Engine,
    Y: Floats,
    *,
    reml: bool,
    offset: Floats | None = None,
    start: Floats | None = None,
    control: Control | None = None,
) -> Refits:
    """Refit a prepared model to every column of Y.

    Parameters
    ----------
    engine : Engine
        The prepared model; its own response is not used.
    Y : (n, B) array
        Finite responses in the user's units.
    reml : bool
        Minimize the REML criterion rather than the ML deviance.
    offset : (n,) array, optional
        Known part of the linear predictor.
    start : (k,) array, optional
        Starting theta of all, in the user's parameters; by default from the moments of each response.
    control : Control, optional
        Settings.

    Returns
    -------
    Refits
        A response whose criterion has no finite value gets NaN and is not converged; nothing is dropped.
    """
    control = control or Control()
    responses = reduce_responses(engine.conditioned, engine.cross_products, Y, offset)
    if in_lockstep(engine):
        return _lockstep(engine, responses, reml=reml, start=start, control=control)
    return _one_by_one(engine, responses, Y, offset, reml=reml, start=start, control=control)


def refit_reduced(
    engine: Engine,
    responses: Responses,
    *,
    reml: bool,
    start: Floats | None = None,
    control: Control | None = None,
) -> Refits:
    """Refit a prepared model to responses of which only the sufficient statistics are known; see ``refit_all``."""
    control = control or Control()
    if in_lockstep(engine):
        return _lockstep(engine, responses, reml=reml, start=start, control=control)
    return _one_by_one(engine, responses, None, None, reml=reml, start=start, control=control)


def in_lockstep(engine: Engine) -> bool:
    """Whether the responses can advance together."""
    return (
        isinstance(engine.factor, Chain)
        and engine.cross_products.k == 1
        and entries_are_parameters(engine.parameters.templates)
    )


def _one_by_one(
    engine: Engine,
    responses: Responses,
    Y: Floats | None,
    offset: Floats | None,
    *,
    reml: bool,
    start: Floats | None,
    control: Control,
) -> Refits:
    cp = engine.cross_products
    k, B = engine.parameters.size, responses.count
    theta, beta, unscaled = np.full((B, k), np.nan), np.full((B, cp.p), np.nan), np.full((B, cp.p, cp.p), np.nan)
    sigma, criterion = np.full(B, np.nan), np.full(B, np.nan)
    converged, iterations = np.zeros(B, bool), np.zeros(B, np.intp)
    y = engine.conditioned.design.y
    for b in range(B):
        if Y is not None:
            y = Y[:, b] - responses.shift[b] - (0.0 if offset is None else offset)
        try:
            record = estimate_prepared(respond(engine, responses, b, y), reml=reml, start=start, control=control)
        except np.linalg.LinAlgError:
            continue
        theta[b], beta[b], sigma[b], criterion[b] = record.theta, record.beta, record.sigma, record.criterion
        unscaled[b], converged[b] = record.unscaled_vcov, record.convergence.converged
        iterations[b] = record.convergence.iterations
    return Refits(theta, beta, sigma, criterion, unscaled, converged, iterations, lockstep=False)


def _lockstep(engine: Engine, responses: Responses, *, reml: bool, start: Floats | None, control: Control) -> Refits:
    cp = engine.cross_products
    classes = classes_of(cp.own[0])
    m, C = cp.m[0], int(classes.max()) + 1
    size = max(16, _WORKING_SET // (m * m * C * (cp.p + 1)))
    parts = []
    for first in range(0, max(responses.count, 1), size):
        batch = responses.take(slice(first, first + size))
        parts.append(_batch(engine, batch, classes, reml=reml, start=start, control=control))
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: list[Refits]) -> Refits:
    def join(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Refits(
        theta=join("theta"),
        beta=join("beta"),
        sigma=join("sigma"),
        criterion=join("criterion"),
        unscaled_vcov=join("unscaled_vcov"),
        converged=join("converged").astype(bool),
        iterations=join("iterations").astype(np.intp),
        lockstep=True,
    )


def _batch(
    engine: Engine,
    responses: Responses,
    classes: NDArray[np.intp],
    *,
    reml: bool,
    start: Floats | None,
    control: Control,
) -> Refits:
    """Refit one batch; arithmetic on responses that have no finite criterion is silent, the record shows them."""
    cp, conditioned = engine.cross_products, engine.conditioned
    entries = Entries(engine.parameters.templates)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        objective = OneWay(cp, responses, entries, classes, reml=reml)
        if start is None:
            theta = _from_moments(engine, responses, entries)
        else:
            theta = np.repeat(engine.inward(start)[:, None], responses.count, axis=1)
        found = _minimize(objective, theta, control)
        theta = _on_the_boundary(objective, found, control.tol)
        state = objective.values(theta)
    return outward(
        conditioned,
        state.Lambda,
        state.beta,
        np.sqrt(state.sigma2),
        state.value,
        state.S_inverse,
        responses.shift,
        converged=found.converged,
        iterations=found.iterations,
        reml=reml,
    )


def outward(
    conditioned: Conditioned,
    Lambda: Floats,
    beta: Floats,
    sigma: Floats,
    value: Floats,
    S_inverse: Floats,
    shift: Floats,
    *,
    converged: NDArray[np.bool_],
    iterations: NDArray[np.intp],
    reml: bool,
) -> Refits:
    """Turn estimates of one term in conditioned columns, replicates last, into those in the user's columns.

    Parameters
    ----------
    conditioned : Conditioned
        The columns.
    Lambda : (m, m, B) array
        Relative covariance factors.
    beta : (p, B) array
        Fixed effects.
    sigma, value, shift : (B,) array
        Residual standard deviation, criterion less the constant of the columns, what was taken from the responses.
    S_inverse : (p, p, B) array
        (X'V^-1X)^-1.
    converged, iterations : (B,) array
        As in ``Refits``.
    reml : bool
        Whether the criterion is that of REML.
    """
    beta = conditioned.T @ beta
    if 0 in conditioned.design.fixed:
        beta[conditioned.design.fixed.index(0)] += shift
    T, template = conditioned.terms[0], Entries([conditioned.design.terms[0].template])
    finite = np.isfinite(value)
    theirs = np.full((template.size, len(value)), np.nan)
    L = Lambda[:, :, finite]
    theirs[:, finite] = template.join([L if T is None else _rounded(np.einsum("ab,bcr->acr", T, L))])
    vcov = np.einsum("xy,yzb,wz->bxw", conditioned.T, S_inverse, conditioned.T)
    return Refits(
        theta=theirs.T,
        beta=np.where(finite, beta, np.nan).T,
        sigma=np.where(finite, sigma, np.nan),
        criterion=value + (2.0 * conditioned.log_scale if reml else 0.0),
        unscaled_vcov=np.where(finite[:, None, None], vcov, np.nan),
        converged=converged & finite,
        iterations=iterations,
        lockstep=True,
    )


def _rounded(L: Floats) -> Floats:
    """Zeros blurred by the change of columns are zeros."""
    return np.where(np.abs(L) < 1e-14 * np.abs(L).max((0, 1)), 0.0, L)


def _from_moments(engine: Engine, responses: Responses, entries: Entries) -> Floats:
    (sd,) = moment_starts(engine.cross_products, responses.random, responses.fixed, responses.square)
    m = len(sd)
    L = np.zeros((m, m, responses.count))
    L[np.arange(m), np.arange(m)] = sd
    return entries.join([L])


def _minimize(objective: OneWay, start: Floats, control: Control) -> Lockstep:
    """Minimize; replicates that have not ended after some steps go on with the effects in reverse order."""
    entries = objective.entries
    limit = min(_PATIENCE, control.max_iterations) if entries.turnable else control.max_iterations
    found = minimize_all(objective, start, tol=control.tol, max_iterations=limit)
    rest = np.flatnonzero(~found.converged & np.isfinite(found.value))
    if limit == control.max_iterations or not len(rest):
        return found
    turned = entries.turned()
    again = minimize_all(
        objective.take(rest).reparametrized(turned),
        turned.join(entries.Lambdas(found.theta[:, rest])),
        tol=control.tol,
        max_iterations=control.max_iterations - limit,
    )
    found.theta[:, rest] = entries.join(turned.Lambdas(again.theta))
    found.value[rest], found.converged[rest] = again.value, again.converged
    found.iterations[rest] += again.iterations
    return found


def _on_the_boundary(objective: OneWay, found: Lockstep, tol: float) -> Floats:
    """Put diagonals of Lambda that are nearly zero at exactly zero where the objective does not mind."""
    entries, theta = objective.entries, found.theta
    (L,) = entries.Lambdas(theta)
    diagonal = np.arange(len(L))
    near = (np.abs(L[diagonal, diagonal]) < _NEAR_ZERO) & (L[diagonal, diagonal] != 0.0)
    some = np.flatnonzero(near.any(0))
    if not len(some):
        return theta
    L = L[:, :, some]
    L[diagonal, diagonal] = np.where(near[:, some], 0.0, L[diagonal, diagonal])
    snapped = entries.join([L])
    value = objective.take(some).values(snapped).value
    kept = value <= found.value[some] + tol
    theta = theta.copy()
    theta[:, some[kept]] = snapped[:, kept]
    return theta
