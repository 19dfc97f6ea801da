"""Seeds as users give them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_seed", "random_source"]


def check_seed(seed: Any) -> None:
    """Raise a TypeError or ValueError unless a seed is None, a whole number that is not negative, or a Generator."""
    wanted = f"seed={seed!r} must be a whole number, at least 0, a numpy Generator, or None"
    if seed is None or isinstance(seed, np.random.Generator):
        return
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(wanted)
    if seed < 0:
        raise ValueError(wanted)


def random_source(seed: int | np.random.Generator | None) -> np.random.Generator:
    """Make the generator of a seed; a generator stays itself."""
    check_seed(seed)
    return np.random.default_rng(seed)
