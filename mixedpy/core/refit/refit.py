"""Refit one prepared model to many responses: in lockstep, or one by one where crossed terms are many columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.control import Control
from mixedpy.core.estimate import Engine, estimate_prepared
from mixedpy.core.factor.chain import Chain
from mixedpy.core.factor.schur import Schur
from mixedpy.core.factor.storage import DenseStorage
from mixedpy.core.moments import moment_starts
from mixedpy.core.refit.classes import classes_of
from mixedpy.core.refit.crossed import Columns, Crossed, small
from mixedpy.core.refit.entries import Entries, entries_are_parameters
from mixedpy.core.refit.errors import Errors, record_errors, sd_cor_errors
from mixedpy.core.refit.nested import Nested
from mixedpy.core.refit.oneway import OneWay
from mixedpy.core.refit.respond import respond
from mixedpy.core.refit.responses import Responses, reduce_responses
from mixedpy.core.refit.search import Lockstep, Objective, minimize_all

__all__ = ["Refits", "in_lockstep", "outward", "refit_all", "refit_reduced"]

_PATIENCE = 6
"""Steps after which unstructured terms are turned round, as for a single fit."""

_NEAR_ZERO = 1e-3
"""Diagonals of Lambda below this are tried at exactly zero, as for a single fit."""

_WORKING_SET = 1_000_000
"""Numbers in the largest array of one batch."""

_Together = OneWay | Nested | Crossed
"""Objectives of replicates that advance together."""


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
    errors : Errors or None
        Standard errors of standard deviations and correlations, where they were asked for.
    """

    theta: Floats
    beta: Floats
    sigma: Floats
    criterion: Floats
    unscaled_vcov: Floats
    converged: NDArray[np.bool_]
    iterations: NDArray[np.intp]
    lockstep: bool
    errors: Errors | None = None

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
    errors: bool = False,
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
    errors : bool
        Whether to compute standard errors of standard deviations and correlations.

    Returns
    -------
    Refits
        A response whose criterion has no finite value gets NaN and is not converged; nothing is dropped.
    """
    control = control or Control()
    responses = reduce_responses(engine.conditioned, engine.cross_products, Y, offset)
    if in_lockstep(engine):
        return _lockstep(engine, responses, reml=reml, start=start, control=control, errors=errors)
    return _one_by_one(engine, responses, Y, offset, reml=reml, start=start, control=control, errors=errors)


def refit_reduced(
    engine: Engine,
    responses: Responses,
    *,
    reml: bool,
    start: Floats | None = None,
    control: Control | None = None,
    errors: bool = False,
) -> Refits:
    """Refit a prepared model to responses of which only the sufficient statistics are known; see ``refit_all``."""
    control = control or Control()
    if in_lockstep(engine):
        return _lockstep(engine, responses, reml=reml, start=start, control=control, errors=errors)
    return _one_by_one(engine, responses, None, None, reml=reml, start=start, control=control, errors=errors)


def in_lockstep(engine: Engine) -> bool:
    """Whether the responses advance together: nested terms always do, crossed ones in small designs.

    Parameters are then entries of Lambda, and there are fixed effects; a factorization that was asked for and is
    another one is used.
    """
    factor = engine.factor
    if engine.cross_products.p == 0 or not entries_are_parameters(engine.parameters.templates):
        return False
    if isinstance(factor, Schur):
        return isinstance(factor.storage, DenseStorage) and small(engine.cross_products)
    return isinstance(factor, Chain)


def _one_by_one(
    engine: Engine,
    responses: Responses,
    Y: Floats | None,
    offset: Floats | None,
    *,
    reml: bool,
    start: Floats | None,
    control: Control,
    errors: bool,
) -> Refits:
    cp = engine.cross_products
    k, B = engine.parameters.size, responses.count
    theta, beta, unscaled = np.full((B, k), np.nan), np.full((B, cp.p), np.nan), np.full((B, cp.p, cp.p), np.nan)
    sigma, criterion = np.full(B, np.nan), np.full(B, np.nan)
    converged, iterations = np.zeros(B, bool), np.zeros(B, np.intp)
    y = engine.conditioned.design.y
    found: list[Errors] = []
    nothing = Errors(tuple(np.full((1, t.m, t.m), np.nan) for t in engine.conditioned.design.terms), np.full(1, np.nan))
    for b in range(B):
        if Y is not None:
            y = Y[:, b] - responses.shift[b] - (0.0 if offset is None else offset)
        one = respond(engine, responses, b, y)
        try:
            record = estimate_prepared(one, reml=reml, start=start, control=control)
        except np.linalg.LinAlgError:
            found.append(nothing)
            continue
        if errors:
            found.append(record_errors(one, record))
        theta[b], beta[b], sigma[b], criterion[b] = record.theta, record.beta, record.sigma, record.criterion
        unscaled[b], converged[b] = record.unscaled_vcov, record.convergence.converged
        iterations[b] = record.convergence.iterations
    joined = Errors.joined(found) if errors and found else None
    return Refits(theta, beta, sigma, criterion, unscaled, converged, iterations, lockstep=False, errors=joined)


def _lockstep(
    engine: Engine, responses: Responses, *, reml: bool, start: Floats | None, control: Control, errors: bool
) -> Refits:
    make, numbers = _objectives(engine, reml=reml)
    size = max(16, _WORKING_SET // numbers)
    parts = []
    for first in range(0, max(responses.count, 1), size):
        batch = responses.take(slice(first, first + size))
        parts.append(_batch(engine, batch, make(batch), start=start, control=control, errors=errors, reml=reml))
    return parts[0] if len(parts) == 1 else _joined(parts)


def _objectives(engine: Engine, *, reml: bool) -> tuple[Callable[[Responses], _Together], int]:
    """What makes the objectives of a batch, and the numbers that one replicate keeps busy."""
    cp, entries = engine.cross_products, Entries(engine.parameters.templates)
    if isinstance(engine.factor, Schur):
        columns = Columns(cp)
        return partial(Crossed, columns, entries=entries, reml=reml), 3 * columns.numbers
    if cp.k > 1:
        return partial(Nested, cp, entries=entries, reml=reml), 4 * cp.m[0] * cp.J[0] * (sum(cp.m) + cp.p + 1)
    classes = classes_of(cp.own[0])
    numbers = cp.m[0] ** 2 * (int(classes.max()) + 1) * (cp.p + 1)
    return partial(OneWay, cp, entries=entries, classes=classes, reml=reml), numbers


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
        errors=Errors.joined([part.errors for part in parts if part.errors is not None]) if parts[0].errors else None,
    )


def _batch(
    engine: Engine,
    responses: Responses,
    objective: _Together,
    *,
    reml: bool,
    start: Floats | None,
    control: Control,
    errors: bool,
) -> Refits:
    """Refit one batch; arithmetic on responses that have no finite criterion is silent, the record shows them."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if start is None:
            first = _from_moments(engine, responses, objective.entries)
        else:
            first = np.repeat(engine.inward(start)[:, None], responses.count, axis=1)
        found = _minimize(objective, first, control)
        state = objective.values(_on_the_boundary(objective, found, control.tol))
        covariance = objective.covariance(state) if errors else None  # type: ignore[arg-type]
    return outward(
        engine,
        state.Lambdas,
        state.beta,
        np.sqrt(state.sigma2),
        state.value,
        state.S_inverse,
        responses.shift,
        converged=found.converged,
        iterations=found.iterations,
        reml=reml,
        covariance=covariance,
    )


def outward(
    engine: Engine,
    Lambdas: Sequence[Floats],
    beta: Floats,
    sigma: Floats,
    value: Floats,
    S_inverse: Floats,
    shift: Floats,
    *,
    converged: NDArray[np.bool_],
    iterations: NDArray[np.intp],
    reml: bool,
    covariance: Floats | None = None,
) -> Refits:
    """Turn estimates in conditioned columns, replicates last, into those in the user's columns.

    Parameters
    ----------
    engine : Engine
        The prepared model, for its columns.
    Lambdas : sequence of (m, m, B) arrays
        Relative covariance factors, terms in the order of the cross-products.
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
    covariance : (k + 1, k + 1, B) array, optional
        Of (theta, sigma), for standard errors of standard deviations and correlations.
    """
    conditioned = engine.conditioned
    beta = conditioned.T @ beta
    if 0 in conditioned.design.fixed:
        beta[conditioned.design.fixed.index(0)] += shift
    finite = np.isfinite(value)
    layout = Entries([term.template for term in conditioned.design.terms])
    theirs = np.full((layout.size, len(value)), np.nan)
    found: list[Floats] = [np.empty(0)] * len(Lambdas)
    for i, L in zip(engine.cross_products.order, Lambdas, strict=True):
        T, good = conditioned.terms[i], L[:, :, finite]
        found[i] = good if T is None else _rounded(np.einsum("ab,bcr->acr", T, good))
    theirs[:, finite] = layout.join(found)
    vcov = conditioned.T @ S_inverse.transpose(2, 0, 1) @ conditioned.T.T
    errors = None
    if covariance is not None:
        jacobians = [
            template.jacobian(template.from_variances(np.ones(template.m)))[..., None]  # linear: the same everywhere
            for template in engine.parameters.templates
        ]
        order = engine.cross_products.order
        errors = sd_cor_errors(Lambdas, jacobians, conditioned.terms, order, sigma, covariance)
    return Refits(
        theta=theirs.T,
        beta=np.where(finite, beta, np.nan).T,
        sigma=np.where(finite, sigma, np.nan),
        criterion=value + (2.0 * conditioned.log_scale if reml else 0.0),
        unscaled_vcov=np.where(finite[:, None, None], vcov, np.nan),
        converged=converged & finite,
        iterations=iterations,
        lockstep=True,
        errors=errors,
    )


def _rounded(L: Floats) -> Floats:
    """Zeros blurred by the change of columns are zeros."""
    return np.where(np.abs(L) < 1e-14 * np.abs(L).max((0, 1)), 0.0, L)


def _from_moments(engine: Engine, responses: Responses, entries: Entries) -> Floats:
    starts = moment_starts(engine.cross_products, responses.random, responses.fixed, responses.square)
    Lambdas = []
    for sd in starts:
        L = np.zeros((len(sd), len(sd), responses.count))
        L[np.arange(len(sd)), np.arange(len(sd))] = sd
        Lambdas.append(L)
    return entries.join(Lambdas)


def _minimize(objective: _Together, start: Floats, control: Control) -> Lockstep:
    """Minimize; replicates that have not ended go on with the effects in reverse order, in turns of growing length."""
    first, most = objective.entries, control.max_iterations
    limit = min(_PATIENCE, most) if first.turnable else most
    found = minimize_all(cast(Objective[Any], objective), start, tol=control.tol, max_iterations=limit)
    entries, used = first, limit
    while used < most:
        rest = np.flatnonzero(~found.converged & np.isfinite(found.value))
        if not len(rest):
            break
        entries, limit = entries.turned(), min(2 * limit, most - used)
        again = minimize_all(
            cast(Objective[Any], objective.take(rest).reparametrized(entries)),
            entries.join(first.Lambdas(found.theta[:, rest])),
            tol=control.tol,
            max_iterations=limit,
        )
        finite = np.isfinite(again.value)  # not where rounding has the last word
        some = rest[finite]
        found.theta[:, some] = first.join(entries.Lambdas(again.theta[:, finite]))
        found.value[some], found.converged[some] = again.value[finite], again.converged[finite]
        found.iterations[rest] += again.iterations
        used += limit
    return found


def _on_the_boundary(objective: _Together, found: Lockstep, tol: float) -> Floats:
    """Put diagonals of Lambda that are nearly zero at exactly zero where the objective does not mind."""
    entries, theta = objective.entries, found.theta
    Lambdas = entries.Lambdas(theta)
    diagonals = [np.einsum("aab->ab", L) for L in Lambdas]
    near = [(np.abs(d) < _NEAR_ZERO) & (d != 0.0) for d in diagonals]
    some = np.flatnonzero(np.concatenate(near).any(0))
    if not len(some):
        return theta
    moved = []
    for L, d, close in zip(Lambdas, diagonals, near, strict=True):
        L = L[:, :, some]
        at = np.arange(len(L))
        L[at, at] = np.where(close[:, some], 0.0, d[:, some])
        moved.append(L)
    snapped = entries.join(moved)
    value = objective.take(some).values(snapped).value
    kept = value <= found.value[some] + tol
    theta = theta.copy()
    theta[:, some[kept]] = snapped[:, kept]
    return theta
