"""Influence of rows and of whole groups on the fixed effects.

With the covariance parameters held, leaving rows U out is exact in closed form. In coordinates in which beta^ has the
covariance sigma^2 I, let X~ be the rows of X, N = V^-1 X~ and r = y - X beta^. Then (Christensen, Pearson & Johnson
1992, Technometrics 34, 38)

    one row     beta^ - beta^(i) = N_i e_i / (1 - h_i),               Var(i) / sigma^2 = I + N_i N_i' / P_ii,
    a group     beta^ - beta^(U) = (I - S_U)^-1 N_U' r_U,             Var(U) / sigma^2 = (I - S_U)^-1

with e the conditional residual, h the leverage, P_ii = w_i (1 - h_i) and S_U = X~_U' N_U; the second where the rows of
U are independent of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.deletion import Outcome, Remainder, held, refitted, refitted_general, without
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.inference import fitted
from mixedpy.inference.leverage import fit_rows

__all__ = ["Influence", "Way", "independent", "influence_by_refits", "influence_of_groups", "influence_of_rows"]

Way = Literal["closed", "held", "refit"]
"""Closed form with the covariance parameters held; estimation on the remaining rows with them held; full refits."""

_SINGULAR = 1e-10


@dataclass(frozen=True, slots=True)
class Influence:
    """What leaving out each of N rows or groups does; NaN where the remaining rows do not determine the fixed effects.

    Attributes
    ----------
    way : {"closed", "held", "refit"}
        How it was computed.
    beta : (N, p) array
        Fixed effects without each.
    cooks_distance : (N,) array
        d'Var^-1 d / p with d the change of the fixed effects and Var their covariance in the full fit.
    mdffits : (N,) array
        The same with the covariance without the rows (Belsley, Kuh & Welsch 1980).
    covtrace : (N,) array
        |tr(Var^-1 Var(U)) - p|.
    covratio : (N,) array
        det Var(U) / det Var.
    dffits : (N,) array or None
        Change of the row's fitted value in its standard errors; None for groups and refits.
    theta : (N, k) array or None
        Covariance parameters without each, of refits.
    sigma : (N,) array or None
        Residual standard deviations without each, of refits.
    outcomes : tuple of (int, Outcome)
        Positions where something went wrong.
    """

    way: Way
    beta: Floats
    cooks_distance: Floats
    mdffits: Floats
    covtrace: Floats
    covratio: Floats
    dffits: Floats | None = None
    theta: Floats | None = None
    sigma: Floats | None = None
    outcomes: tuple[tuple[int, Outcome], ...] = ()


def influence_of_rows(design: Design, record: FitRecord) -> Influence:
    """Leave out each row with the covariance parameters held, in closed form."""
    joint, rows = fit_rows(design, record)
    w = np.ones(design.n) if design.weights is None else design.weights
    e = fitted.residuals(design, record)
    room = 1.0 - w * rows.joint
    room = np.where(room > _SINGULAR, room, np.nan)
    N = w[:, None] * rows.net
    size = np.einsum("nx,nx->n", N, N)
    d = N * (e / room)[:, None]
    growth = size / (w * room)
    cook = np.einsum("nx,nx->n", d, d) / record.sigma**2 / design.p
    return Influence(
        way="closed",
        beta=record.beta - d @ joint.half @ joint.T.T,
        cooks_distance=cook,
        mdffits=cook / (1.0 + growth),
        covtrace=growth,
        covratio=1.0 + growth,
        dffits=e * np.sqrt(w * w * rows.joint) / (record.sigma * room),
        outcomes=tuple((int(i), Outcome.RANK_DEFICIENT) for i in np.flatnonzero(np.isnan(room))),
    )


def independent(design: Design, codes: NDArray[np.intp]) -> bool:
    """Whether groups of rows are independent: every level of every random term lies in one group."""
    for term in design.terms:
        group = np.zeros(term.n_levels, dtype=np.intp)
        group[term.codes] = codes
        if not np.array_equal(group[term.codes], codes):
            return False
    return True


def influence_of_groups(design: Design, record: FitRecord, codes: NDArray[np.intp], n_groups: int) -> Influence:
    """Leave out each of the independent groups with the covariance parameters held, in closed form."""
    joint, rows = fit_rows(design, record)
    w = np.ones(design.n) if design.weights is None else design.weights
    p = design.p
    N = w[:, None] * rows.net
    X = design.X @ joint.T @ joint.half.T
    r = fitted.residuals(design, record, "response", "marginal")
    s = np.stack([np.bincount(codes, N[:, a] * r, n_groups) for a in range(p)], axis=1)  # (J, p)
    S = np.empty((n_groups, p, p))
    for a in range(p):
        for b in range(a + 1):
            S[:, a, b] = S[:, b, a] = np.bincount(codes, 0.5 * (X[:, a] * N[:, b] + X[:, b] * N[:, a]), n_groups)
    left = np.eye(p) - S
    values, vectors = np.linalg.eigh(left)
    values = np.where(values > _SINGULAR, values, np.nan)
    V = np.einsum("jab,jb,jcb->jac", vectors, 1.0 / values, vectors)  # Var(U), relative to Var
    d = np.einsum("jab,jb->ja", V, s)
    bad = np.flatnonzero(np.isnan(values).any(axis=1))
    return Influence(
        way="closed",
        beta=record.beta - d @ joint.half @ joint.T.T,
        cooks_distance=np.einsum("ja,ja->j", d, d) / record.sigma**2 / p,
        mdffits=np.einsum("ja,ja->j", d, s) / record.sigma**2 / p,
        covtrace=np.abs((1.0 / values).sum(axis=1) - p),
        covratio=1.0 / values.prod(axis=1),
        outcomes=tuple((int(j), Outcome.RANK_DEFICIENT) for j in bad),
    )


def influence_by_refits(
    design: Design,
    record: FitRecord | GlmmRecord,
    codes: NDArray[np.intp],
    n_groups: int,
    *,
    full: bool,
    control: Control,
) -> Influence:
    """Leave out each group and estimate from the other rows: all parameters if ``full``, else the fixed effects.

    Those of a generalized fit are always estimated in full.
    """
    found: list[Remainder] = []
    for j in range(n_groups):
        if isinstance(record, GlmmRecord):
            found.append(refitted_general(design, record, codes == j, control=control))
            continue
        rest = without(design, codes == j)
        if full:
            found.append(refitted(rest, record.theta, reml=record.reml, control=control))
        else:
            found.append(held(rest, record.theta, record.sigma, control=control))
    beta, vcov = np.stack([one.beta for one in found]), np.stack([one.vcov for one in found])
    p = design.p
    whole = record.fixed_vcov
    d = record.beta - beta
    with np.errstate(invalid="ignore"):
        inner = np.linalg.solve(vcov, d[:, :, None])[:, :, 0]
        relative = np.linalg.solve(whole, vcov)
        determinant = np.linalg.det(relative)
    return Influence(
        way="refit" if full else "held",
        beta=beta,
        cooks_distance=np.einsum("ja,ja->j", d, np.linalg.solve(whole, d.T).T) / p,
        mdffits=np.einsum("ja,ja->j", d, inner) / p,
        covtrace=np.abs(np.einsum("jaa->j", relative) - p),
        covratio=determinant,
        theta=np.stack([one.theta for one in found]) if full else None,
        sigma=np.array([one.sigma for one in found]) if full else None,
        outcomes=tuple((j, one.outcome) for j, one in enumerate(found) if one.outcome is not Outcome.FITTED),
    )
