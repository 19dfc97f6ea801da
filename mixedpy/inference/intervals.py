"""What all confidence intervals share: the level and the names of their columns."""

from __future__ import annotations

import numpy as np

from mixedpy.core.distributions import normal_quantile

__all__ = ["check_level", "interval_columns", "normal_cutoff"]


def check_level(level: float) -> None:
    """Raise a ValueError unless the level is one number between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, int | float | np.integer | np.floating):
        raise ValueError(f"level={level!r} must be one number between 0 and 1, such as 0.95")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r} must lie between 0 and 1, such as 0.95")


def interval_columns(level: float) -> list[str]:
    """Name the limits as R's ``confint`` does.

    Examples
    --------
    >>> interval_columns(0.95), interval_columns(0.9)
    (['2.5 %', '97.5 %'], ['5 %', '95 %'])
    """
    tail = 50.0 * (1.0 - level)
    return [f"{round(100.0 * p, 3):.12g} %" for p in (tail / 100.0, 1.0 - tail / 100.0)]


def normal_cutoff(level: float) -> float:
    """Quantile of the standard normal distribution for a two-sided interval.

    Examples
    --------
    >>> round(normal_cutoff(0.95), 4)
    1.96
    """
    check_level(level)
    return float(normal_quantile(0.5 + 0.5 * level))
