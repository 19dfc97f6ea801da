"""Starting values: iteratively reweighted least squares without random effects, then moments of its scores.

With S_t = Z_t'r over all random-effects columns t, E (sum_j S_tj^2 - tr A_t) = sum_t' sigma_t'^2 |Z_t'W Z_t'|_F^2 is
solved jointly for the variances, none negative. The fixed effects, marginal so far, are then made conditional.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from mixedpy.core.arrays import Floats
from mixedpy.core.family.protocol import Family, Predictors
from mixedpy.core.glmm.problem import Problem
from mixedpy.core.glmm.rows import Rows

__all__ = ["Start", "first_values", "unit_of"]

_RANGE = (0.1, 2.0)
"""Standard deviations of the random effects start within this range, in units of the linear predictor."""

_STEPS = 2
_MORE_STEPS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Where the optimizer starts.

    Attributes
    ----------
    x : (k + p + s,) array
        theta, beta, alpha.
    unit : float
        Natural size of a change of the linear predictor.
    """

    x: Floats
    unit: float


def first_values(problem: Problem) -> Start:
    """Compute starting values."""
    rows, family = problem.whole, problem.family
    working, y = family.working(rows.y)
    beta, eta, v, r = _fixed_effects(rows, working, y)
    unit = unit_of(working, y, rows.weights, eta, v, r)
    alpha = _auxiliaries(rows, family, y, eta)
    if family.has_scale:
        kappa = float(np.exp(alpha[0]))
        v, r = kappa * v, kappa * r
    sds, total = _standard_deviations(problem, v, r, unit)
    theta = np.concatenate(
        [t.from_variances(sd) for t, sd in zip(problem.layout.parameters.templates, sds, strict=True)]
    )
    return Start(np.concatenate([theta, _conditional(rows, working, beta, v, total), alpha]), unit)


def unit_of(family: Family, y: Floats, m: Floats, eta: Floats, v: Floats, r: Floats) -> float:
    """One for links to logarithms and probabilities, otherwise the residual spread on the scale of the link."""
    if family.link in ("log", "logit", "probit", "cloglog", "cauchit"):
        return 1.0
    spread = float(np.sqrt(np.average((r / v) ** 2, weights=v)))
    return spread if np.isfinite(spread) and spread > 0 else 1.0


def _fixed_effects(rows: Rows, family: Family, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Fit the fixed effects alone; returns beta, eta, expected weights and r, with dispersions of one."""
    m, xi = rows.weights, tuple(np.zeros(1) for _ in family.auxiliary)
    offset = np.zeros(rows.n) if rows.offset is None else rows.offset
    steady = family.link == "logit" or (family.link == "log" and family.multiplicative)
    if family.name == "binomial":
        mean = np.array([float(np.average(y, weights=np.broadcast_to(m, y.shape)))])
        centre = family.linkage.link(np.clip(mean, 0.01, 0.95))
        eta = np.full(rows.n, float(centre[0]))
    else:
        eta = family.first_eta(y, m)
    beta = np.zeros(rows.p)
    feasible: Floats | None = None
    for _ in range(_STEPS if steady else _MORE_STEPS):
        r, v = _scores(family, y, m, eta, xi)
        if not rows.p:
            eta = offset
            break
        XV = rows.X * v
        gram = XV @ rows.X.T
        gram[np.diag_indices(rows.p)] *= 1.0 + 1e-9
        proposal = np.asarray(np.linalg.solve(gram, XV @ (eta - offset) + rows.X @ r), np.float64)
        beta, eta = _feasible(rows, family, y, proposal, feasible, offset)
        feasible = beta
    r, v = _scores(family, y, m, eta, xi)
    return beta, eta, v, r


def _scores(family: Family, y: Floats, m: Floats, eta: Floats, xi: Predictors) -> tuple[Floats, Floats]:
    """r and expected weights, which for a canonical link are the observed ones."""
    r, w = family.slopes(y, m, eta, xi)
    return r, w if family.canonical else family.expected(y, m, eta, xi)[0]


def _feasible(
    rows: Rows, family: Family, y: Floats, proposal: Floats, before: Floats | None, offset: Floats
) -> tuple[Floats, Floats]:
    """Draw a proposal back towards the last feasible point, or a constant, until every row has a likelihood."""
    xi = tuple(np.zeros(1) for _ in family.auxiliary)
    back = before
    for _ in range(40):
        eta = proposal @ rows.X + offset
        if np.isfinite(family.kernel(y, rows.weights, eta, xi)).all():
            return proposal, eta
        if back is None:
            level = family.linkage.link(np.array([float(np.mean(y))])) - float(np.mean(offset))
            back = np.linalg.lstsq(rows.X.T, np.full(rows.n, float(level[0])), rcond=None)[0]
        proposal = 0.5 * (proposal + back)
    return proposal, proposal @ rows.X + offset


def _auxiliaries(rows: Rows, family: Family, y: Floats, eta: Floats) -> Floats:
    """Coefficients of the auxiliary predictors whose values the family proposes."""
    values = family.first_auxiliary(rows.y, rows.weights, eta)
    out = []
    for value, columns in zip(values, rows.auxiliary, strict=True):
        if columns is None:
            out.append(np.array([value]))
        else:
            out.append(np.linalg.lstsq(columns.T, np.full(rows.n, value), rcond=None)[0])
    return np.concatenate(out) if out else np.empty(0)


def _standard_deviations(problem: Problem, v: Floats, r: Floats, unit: float) -> tuple[list[Floats], float]:
    """Standard deviations of each term's effects, and the variance that they give to a row on average."""
    rows = problem.whole
    columns = [(rows.terms[e.term].codes, rows.terms[e.term].J, rows.z(k)) for k, e in enumerate(rows.effects)]
    K = len(columns)
    G, moments = np.zeros((K, K)), np.zeros(K)
    for i, (codes, J, z) in enumerate(columns):
        vz = v if z is None else v * z
        for k, (others, J2, z2) in enumerate(columns[: i + 1]):
            product = vz if z2 is None else vz * z2
            if codes is others:
                cells = np.bincount(codes, product, J)
            else:
                cells = sp.csr_array((product, (codes, others)), shape=(J, J2)).tocsr().data
            G[i, k] = G[k, i] = float(cells @ cells)
        S = np.bincount(codes, r if z is None else r * z, J)
        moments[i] = float(S @ S) - float((vz if z is None else vz * z).sum())
    scale = np.diag(G).copy()
    variances = _not_negative(G / scale[:, None], moments / scale)
    if problem.family.multiplicative:
        variances = np.log1p(variances)  # var(e^b) / (E e^b)^2 = e^variance - 1
    squares = np.array([1.0 if z is None else float(z @ z) / rows.n for _, _, z in columns])
    low, high = ((bound * unit) ** 2 / squares for bound in _RANGE)
    variances = np.clip(variances, low, high)
    sds, start = [], 0
    for term in rows.terms:
        sds.append(np.sqrt(variances[start : start + term.m]))
        start += term.m
    return sds, float(variances @ squares)


def _not_negative(A: Floats, b: Floats) -> Floats:
    """Solve A v = b, setting to zero what comes out negative and solving again for the rest."""
    kept = np.ones(len(b), dtype=bool)
    v = np.zeros(len(b))
    for _ in range(len(b)):
        v = np.zeros(len(b))
        if not kept.any():
            break
        v[kept] = np.linalg.lstsq(A[:, kept], b, rcond=None)[0]
        if (v >= 0.0).all():
            break
        kept &= v > 0.0
    return np.maximum(v, 0.0)


def _conditional(rows: Rows, family: Family, beta: Floats, v: Floats, variance: float) -> Floats:
    """Fixed effects given the random ones from marginal ones: exact for log and probit links, near for logit."""
    if not rows.p:
        return beta
    if family.multiplicative:  # E exp(x'beta + b) = exp(x'beta + variance / 2)
        XV = rows.X * v
        return beta - np.linalg.solve(XV @ rows.X.T, XV.sum(1)) * variance / 2.0
    if family.link == "logit":
        return beta * np.sqrt(1.0 + 0.346 * variance)
    if family.link == "probit":
        return beta * np.sqrt(1.0 + variance)
    return beta
