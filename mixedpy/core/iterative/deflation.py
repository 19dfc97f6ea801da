"""The few directions in which the preconditioned matrix is far from the identity, taken out of the random estimate.

All trailing levels moving together is such a direction, and so is each community of levels that meet mostly one
another. Left to the probes, they make most of the Monte-Carlo error of log|M|; on their span W the trace is computed,
and the probes are projected off it (Hutch++: Meyer, Musco, Musco & Woodruff 2021, SIAM SOSA, 142-155).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixedpy.core.arrays import Floats

__all__ = ["leading_directions"]

_WIDTH = 24
"""Directions tried."""

_SWEEPS = 3
"""Power iterations on them."""

_WORTH = 0.02
"""A direction is kept where |log(1 + mu) - mu|, what it adds to a probe's estimate, is above this."""


def leading_directions(excess: Callable[[Floats], Floats], start: Floats, seed: int) -> Floats:
    """Approximate the eigenvectors of C^-1 M C^-T - I that matter to the variance of the probes.

    Parameters
    ----------
    excess : callable
        V -> (C^-1 M C^-T - I) V for V (q, c).
    start : (q, s) array
        Directions likely to be among them.
    seed : int
        Of the random directions that complete the start.

    Returns
    -------
    (q, d) array
        Orthonormal columns; d may be 0.
    """
    q = len(start)
    width = min(q, max(_WIDTH, start.shape[1]))
    random = np.random.default_rng([seed, 1]).standard_normal((q, max(width - start.shape[1], 0)))
    V = np.linalg.qr(np.concatenate([start, random], axis=1))[0]
    for _ in range(_SWEEPS):
        V = np.linalg.qr(excess(V))[0]
    mu, vectors = np.linalg.eigh(V.T @ excess(V))
    mu = np.maximum(mu, -1.0 + 1e-15)
    kept: Floats = V @ vectors[:, np.abs(np.log1p(mu) - mu) > _WORTH]
    return kept
