"""Points that fill a sphere more evenly than random ones, the same at every call."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.distributions import normal_quantile

__all__ = ["sphere"]


def sphere(d: int, count: int) -> Floats:
    """Spread points over the unit sphere.

    Richtmyer's rule fills the cube with multiples of the square roots of primes, modulo one; folding makes it periodic
    (Genz & Bretz 2009, Computation of Multivariate Normal and t Probabilities, section 4.2). Normal quantiles of the
    points have uniform directions.

    Parameters
    ----------
    d : int
        Dimensions.
    count : int
        Number of points.

    Returns
    -------
    (count, d) array
        Of length one each.

    Examples
    --------
    >>> bool(np.abs(sphere(3, 1000).mean(axis=0)).max() < 0.01)
    True
    """
    primes = [k for k in range(2, 100 + 20 * d) if all(k % j for j in range(2, int(k**0.5) + 1))]
    steps = np.sqrt(np.array(primes[:d], float))
    cube = np.abs(2.0 * np.mod(np.arange(1, count + 1)[:, None] * steps, 1.0) - 1.0)
    z = normal_quantile(np.clip(cube, 1e-12, 1.0 - 1e-12))
    return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True), np.float64)
