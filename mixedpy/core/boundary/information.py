"""Expected information on variances and covariances, relative to sigma^2, from the second-order blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.estimate import Engine
from mixedpy.core.second_order.blocks import second_order

__all__ = ["expected_information"]


def expected_information(
    engine: Engine, covariances: Sequence[Floats], directions: Sequence[Floats], *, reml: bool
) -> Floats:
    """Compute the expected information on (sigma^2 tau, sigma^2) at sigma = 1.

    With G_r the derivative of V in tau_r, G_e = I for the residual variance, and P = V^-1 - V^-1X(X'V^-1X)^-1X'V^-1
    for the restricted likelihood, P = V^-1 for the full one, the information is tr(P G_r P G_s) / 2. The residual part
    follows from I = V - sum_r tau_r G_r and P V P = P.

    Parameters
    ----------
    engine : Engine
        The prepared model.
    covariances : sequence of (m, m) arrays
        Relative covariances at which to evaluate, in the user's columns, in the order of ``Design.terms``.
    directions : sequence of (T, m, m) arrays
        Symmetric directions of each term that span its covariance, in the same order and columns.
    reml : bool
        Restricted rather than full likelihood.

    Returns
    -------
    (g + 1, g + 1) array
        Directions term by term, the residual variance last.
    """
    cp, conditioned = engine.cross_products, engine.conditioned
    inward, roots = [], []
    for i in cp.order:
        E, T = directions[i], conditioned.terms[i]
        if T is not None:
            E = np.linalg.solve(T, np.linalg.solve(T, E).transpose(0, 2, 1))
        inward.append(E)
        roots.append(conditioned.conditioned_Lambda(i, _square_root(covariances[i])))
    blocks = second_order(cp, roots, inward, engine.factor)
    p = cp.p
    R, t, count = blocks.trace2, blocks.trace, float(cp.n)
    if reml:
        S1, P, Q = blocks.S_inverse, blocks.P[:, :p, :p], blocks.Q[:, :, :p, :p]
        SP = S1 @ P
        R = R - 2.0 * np.einsum("ab,rsba->rs", S1, Q) + np.einsum("rab,sba->rs", SP, SP)
        t = t - np.einsum("raa->r", SP)
        count -= p
    tau = np.concatenate([_coordinates(covariances[i], directions[i]) for i in cp.order])
    g = len(tau)
    information = np.empty((g + 1, g + 1))
    information[:g, :g] = R
    information[:g, g] = information[g, :g] = t - R @ tau
    information[g, g] = (count - tau @ t) - tau @ information[:g, g]
    return 0.5 * information[np.ix_(*[_position(cp.order, directions)] * 2)]


def _position(order: Sequence[int], directions: Sequence[Floats]) -> list[int]:
    """From the order of the cross-products to that of the terms."""
    first, place = {}, 0
    for i in order:
        first[i] = place
        place += len(directions[i])
    return [first[i] + r for i, E in enumerate(directions) for r in range(len(E))] + [place]


def _square_root(covariance: Floats) -> Floats:
    w, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(w, 0.0)), np.float64)


def _coordinates(covariance: Floats, directions: Floats) -> Floats:
    """Coefficients of the covariance in the directions."""
    flat = directions.reshape(len(directions), -1)
    return np.asarray(np.linalg.lstsq(flat.T, covariance.ravel(), rcond=None)[0], np.float64)
