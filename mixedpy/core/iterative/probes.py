"""Random right-hand sides: vectors of independent signs, fixed by a seed so that the objective is smooth in theta."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats

__all__ = ["rademacher"]


def rademacher(q: int, count: int, seed: int) -> Floats:
    """Draw ``count`` vectors of q independent signs, (q, count).

    Examples
    --------
    >>> z = rademacher(4, 3, seed=1)
    >>> z.shape, bool((np.abs(z) == 1).all()), bool((z == rademacher(4, 3, seed=1)).all())
    ((4, 3), True, True)
    """
    bits = np.random.default_rng(seed).integers(0, 2, (q, count), dtype=np.int8)
    return 2.0 * bits.astype(np.float64) - 1.0
