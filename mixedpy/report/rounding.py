"""Rounding as R does it: to decimals, to significant digits, and relative to the largest element."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mixedpy.report.records import Floats

__all__ = ["round_decimals", "round_significant", "zap_small"]

_DOUBLE_DIGITS = 15
_MAX_EXPONENT = 308


def round_decimals(x: ArrayLike, digits: int = 0) -> Floats:
    """Round to a number of decimals as R's ``round`` does since version 4.0.0.

    Of the two neighbours with ``digits`` decimals that double precision can hold, take the closer one; when both are
    equally far, the one with the even last digit. A number that has more than about 15 significant digits down to
    that decimal stays as it is.

    Parameters
    ----------
    x : array_like
        Numbers of any shape; not finite values stay.
    digits : int
        Decimals; negative values round to tens, hundreds and so on.

    Returns
    -------
    array
        Of the shape of ``x``.

    Examples
    --------
    >>> round_decimals([0.15, 2.5, -1.005], 1).tolist()
    [0.1, 2.5, -1.0]
    >>> round_decimals([0.5, 1.5, 1234.5], 0).tolist()
    [0.0, 2.0, 1234.0]
    """
    values = np.asarray(x, dtype=np.float64)
    return np.array([_round_one(v, digits) for v in values.ravel().tolist()]).reshape(values.shape)


def _round_one(x: float, digits: int) -> float:
    if not math.isfinite(x) or x == 0 or digits > _MAX_EXPONENT + _DOUBLE_DIGITS:
        return x
    if digits < -_MAX_EXPONENT:
        return 0.0
    if digits == 0:
        return float(round(x))
    return math.copysign(_round_positive(abs(x), digits), x)


def _round_positive(x: float, digits: int) -> float:
    # Decimal digits down to the wanted decimal, estimated from the binary exponent.
    if digits + math.log10(2) * (math.frexp(x)[1] - 0.5) > _DOUBLE_DIGITS:
        return x
    # 10^digits itself overflows for tiny x, so that large numbers of decimals are applied in two steps.
    first = min(digits, _MAX_EXPONENT)
    power, rest = _power_of_ten(abs(first)), _power_of_ten(digits - first)
    scaled = x * power * rest if digits > 0 else x / power
    below, above = math.floor(scaled), math.ceil(scaled)
    low, high = (below / power / rest, above / power / rest) if digits > 0 else (below * power, above * power)
    gap_low, gap_high = x - low, high - x
    return low if gap_low < gap_high or (gap_low == gap_high and below % 2 == 0) else high


def _power_of_ten(n: int) -> float:
    """10^n by repeated squaring in double precision, whose last bits R's results carry."""
    power, square = 1.0, 10.0
    while n:
        if n & 1:
            power *= square
        n >>= 1
        if n:
            square *= square
    return power


def round_significant(x: ArrayLike, digits: int = 6) -> Floats:
    """Round to significant digits, R's ``signif``.

    Examples
    --------
    >>> round_significant([123456.0, 0.00123456, -0.5], 3).tolist()
    [123000.0, 0.00123, -0.5]
    """
    values = np.asarray(x, dtype=np.float64)
    return np.array([_signif_one(v, max(digits, 1)) for v in values.ravel().tolist()]).reshape(values.shape)


def _signif_one(x: float, digits: int) -> float:
    if not math.isfinite(x) or x == 0 or digits > 22:
        return x
    shift = digits - 1 - math.floor(math.log10(abs(x)))
    if shift > 0:
        first = min(shift, _MAX_EXPONENT)
        power, rest = _power_of_ten(first), _power_of_ten(shift - first)
        return round(x * power * rest) / power / rest
    return round(x / _power_of_ten(-shift)) * _power_of_ten(-shift)


def zap_small(x: ArrayLike, digits: int = 7) -> Floats:
    """Round so that elements small beside the largest become zero, R's ``zapsmall``.

    Decimals are ``digits - log10(max |x|)``, rounded to the nearest whole number, at least zero.

    Examples
    --------
    >>> zap_small([1234.5678, 1e-9], 5).tolist()
    [1234.57, 0.0]
    """
    values = np.asarray(x, dtype=np.float64)
    present = np.abs(values[~np.isnan(values)])
    if present.size == 0:
        return values
    largest = float(present.max())
    if math.isinf(largest):
        return round_decimals(values, 0)
    return round_decimals(values, math.floor(max(0.0, digits - math.log10(largest)) + 0.5) if largest > 0 else digits)
