"""Numbers to text as R's ``format`` does it: one common layout for a vector, fixed or scientific by width."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["as_character", "format_general", "format_numbers", "format_text", "percent_names"]

_MANTISSA_BITS = 64
_LARGEST_POWER = 22


@dataclass(frozen=True, slots=True)
class _Digits:
    """A positive number at a given number of significant digits.

    ``exponent`` is that of its scientific form, ``digits`` the significant digits left after trailing zeros are
    dropped, ``widens`` tells that rounding gave it one more digit before the point than fixed notation shows.
    """

    exponent: int
    digits: int
    widens: bool


@dataclass(frozen=True, slots=True)
class _Layout:
    """Common layout of a vector: field width, decimals of the mantissa, and whether it is scientific."""

    width: int
    decimals: int
    scientific: bool


def _extended(x: Fraction) -> Fraction:
    """Round to the 64-bit mantissa of the extended precision in which R scales a number by a power of ten."""
    size = x.numerator.bit_length() - x.denominator.bit_length() - _MANTISSA_BITS
    scaled = x / Fraction(2) ** size
    if scaled >= 2**_MANTISSA_BITS:
        size += 1
        scaled /= 2
    elif scaled < 2 ** (_MANTISSA_BITS - 1):
        size -= 1
        scaled *= 2
    return round(scaled) * Fraction(2) ** size


def _digits(x: float, digits: int) -> _Digits:
    if x == 0:
        return _Digits(0, 1, False)
    shift = math.floor(math.log10(x)) - digits + 1
    scaled = _extended(Fraction(x) / _extended(Fraction(10) ** abs(shift)) ** (1 if shift > 0 else -1))
    if scaled < 10 ** (digits - 1):
        scaled = _extended(scaled * 10)
        shift -= 1
    whole = round(scaled)
    if whole == 10**digits:
        exponent, significant = shift + digits, 1
    else:
        exponent, significant = shift + digits - 1, len(str(whole).rstrip("0"))
    fuzz = 0.5 / 10.0 ** min(max(digits - exponent, 0), _LARGEST_POWER)
    widens = 0 < exponent <= _LARGEST_POWER and x < 10.0**exponent - fuzz
    return _Digits(exponent, significant, widens)


def _layout(values: list[float], digits: int, nsmall: int) -> _Layout:
    finite = [x for x in values if math.isfinite(x)]
    width, decimals, scientific = 0, 0, False
    if finite:
        decimal = [_digits(abs(x), digits) for x in finite]
        negative = [x < 0 for x in finite]
        left = max(s + max(d.exponent + 1 - d.widens, 1) for s, d in zip(negative, decimal, strict=True))
        right = max(max(d.digits - d.exponent - 1 for d in decimal), 0)
        fixed_width = left + right + (right > 0)
        exponents = [d.exponent for d in decimal]
        mantissa = max(d.digits for d in decimal) - 1
        three_digits = max(exponents) >= 100 or min(exponents) <= -100
        width = any(negative) + (mantissa > 0) + mantissa + 5 + three_digits
        scientific, decimals = fixed_width > width, mantissa
        if not scientific:
            decimals = max(right, nsmall)
            width = left + decimals + (decimals > 0)
    return _Layout(width, decimals, scientific)


def _encode(x: float, layout: _Layout) -> str:
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "Inf" if x > 0 else "-Inf"
    return f"{x + 0.0:.{layout.decimals}{'e' if layout.scientific else 'f'}}"


def format_numbers(
    x: ArrayLike, digits: int = 7, *, nsmall: int = 0, trim: bool = False, na: Iterable[bool] | None = None
) -> list[str]:
    """Format a vector of numbers in one common layout, R's ``format``.

    The elements get the decimals that the element in need of most of them takes to show ``digits`` significant digits
    (trailing zeros not counted). Scientific notation is used when it is narrower than fixed notation for the vector
    as a whole.

    Parameters
    ----------
    x : array_like
        Numbers; read in row-major order.
    digits : int
        Significant digits, 1 to 15.
    nsmall : int
        Least number of decimals in fixed notation.
    trim : bool
        Whether to leave out the blanks that bring all elements to one width.
    na : iterable of bool, optional
        Which elements are missing and print as "NA"; a NaN not named here prints as "NaN".

    Returns
    -------
    list of str
        The elements, right-justified to one width.

    Examples
    --------
    >>> format_numbers([24.7366, 5.9221, 25.5918], 4)
    ['24.737', ' 5.922', '25.592']
    >>> format_numbers([1e-10, 1.0], 3)
    ['1e-10', '1e+00']
    """
    values = np.asarray(x, dtype=np.float64).ravel().tolist()
    missing = [False] * len(values) if na is None else list(na)
    layout = _layout([v for v, m in zip(values, missing, strict=True) if not m], digits, nsmall)
    texts = ["NA" if m else _encode(v, layout) for v, m in zip(values, missing, strict=True)]
    if trim:
        return texts
    width = max([layout.width, *map(len, texts)], default=0)
    return [t.rjust(width) for t in texts]


def as_character(x: float, digits: int = 15) -> str:
    """Format one number on its own, as R's ``as.character`` (15 digits) and ``cat`` (7 digits) do.

    Examples
    --------
    >>> as_character(1743.6283, 7), as_character(100000.0), as_character(18.0)
    ('1743.628', '1e+05', '18')
    """
    return format_numbers([x], digits)[0]


def format_text(texts: Iterable[str], *, justify: str = "left") -> list[str]:
    """Bring strings to one width, R's ``format`` of a character vector.

    Parameters
    ----------
    texts : iterable of str
        Strings.
    justify : str
        "left", "right" or "centre"; centring leaves the odd blank on the right.

    Examples
    --------
    >>> format_text(["a", "bcd"]), format_text(["a", "bcde"], justify="centre")
    (['a  ', 'bcd'], [' a  ', 'bcde'])
    """
    items = list(texts)
    width = max(map(len, items), default=0)
    if justify == "left":
        return [t.ljust(width) for t in items]
    if justify == "right":
        return [t.rjust(width) for t in items]
    if justify == "centre":
        return [(" " * ((width - len(t)) // 2) + t).ljust(width) for t in items]
    raise ValueError(f"justify is {justify!r}; use 'left', 'right' or 'centre'")


def format_general(x: float, digits: int, *, kind: str = "g", width: int = 0) -> str:
    """Format one number in a C layout, R's ``formatC``.

    The kind "fg" shows the digits before the point in full, however many.

    Parameters
    ----------
    x : float
        Number.
    digits : int
        Decimals for the kinds "f" and "e", significant digits for "g" and "fg".
    kind : str
        "f" fixed, "e" scientific, "g" the narrower of both, "fg" fixed without trailing zeros.
    width : int
        Least width; blanks are put before the number.

    Examples
    --------
    >>> format_general(97.5, 7, kind="fg"), format_general(3.14159, 2, kind="f", width=6), format_general(1e-9, 3)
    ('97.5', '  3.14', '1e-09')
    """
    if not math.isfinite(x):
        return _encode(x, _Layout(0, 0, False)).rjust(width)
    if kind == "fg":
        whole = abs(x) >= 10.0**digits
        text = f"{x + 0.0:.0f}" if whole else f"{Decimal(f'{x + 0.0:.{digits}g}'):f}"
        return text.rjust(width)
    if kind not in ("f", "e", "g"):
        raise ValueError(f"kind is {kind!r}; use 'f', 'e', 'g' or 'fg'")
    return f"{x:.{digits}{kind}}".rjust(width)


def percent_names(probabilities: Iterable[float], digits: int = 7) -> list[str]:
    """Name quantiles as R's ``quantile`` does.

    Examples
    --------
    >>> percent_names([0, 0.25, 0.975, 1 / 3])
    ['0%', '25%', '97.5%', '33.33333%']
    """
    return [f"{format_general(100 * p, digits, kind='fg')}%" for p in probabilities]
