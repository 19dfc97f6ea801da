"""Bases whose constants come from the data (``poly``, ``scale``, splines): frozen once, re-applied to new data.

``poly``, ``scale``, ``center`` and ``cr`` are formulaic's, whose numbers are R's; ``bs`` and ``ns`` follow R's package
splines, whose knots, extrapolation and natural basis formulaic does not share, on SciPy's B-splines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from mixedpy.design.columns import Floats

__all__ = ["BASES", "STATES", "BasisError", "BasisState", "Option", "fit_basis"]

Option: TypeAlias = "float | str | bool | list[Any]"


class BasisError(ValueError):
    """An option that does not suit, or data that do not determine the basis."""

    def __init__(self, message: str, option: str | None = None):
        super().__init__(message)
        self.option = option


class BasisState(Protocol):
    """The constants of a basis."""

    def columns(self, x: Floats) -> Floats:
        """Values of the basis at x (n,), as (n, k)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Formulaic:
    """A stateful transform of formulaic with its state."""

    function: str
    options: Mapping[str, Any]
    state: Mapping[str, Any]

    def columns(self, x: Floats) -> Floats:
        return _formulaic(self.function, x, self.options, dict(self.state))


@dataclass(frozen=True, slots=True, eq=False)
class _Polynomial:
    """Raw powers."""

    degree: int

    def columns(self, x: Floats) -> Floats:
        return x[:, None] ** np.arange(1, self.degree + 1)


@dataclass(frozen=True, slots=True, eq=False)
class _BSpline:
    """B-splines over a full sequence of knots; the edge pieces go on beyond the boundary knots."""

    knots: Floats
    degree: int
    first: int

    def columns(self, x: Floats) -> Floats:
        return _bsplines(self.knots, self.degree, x)[:, self.first :]


@dataclass(frozen=True, slots=True, eq=False)
class _NaturalSpline:
    """Cubic splines that are straight beyond the boundary knots.

    The B-splines are projected on the directions without second derivative at the boundary knots.
    """

    knots: Floats
    projection: Floats
    first: int

    def columns(self, x: Floats) -> Floats:
        low, high = self.knots[0], self.knots[-1]
        inside = np.clip(x, low, high)
        basis = _bsplines(self.knots, 3, inside)
        for bound, outside in ((low, x < low), (high, x > high)):
            if outside.any():
                slope = _bsplines(self.knots, 3, np.array([bound]), derivative=1)
                basis[outside] += (x[outside] - bound)[:, None] * slope
        out: Floats = basis[:, self.first :] @ self.projection
        return out


STATES: tuple[type[BasisState], ...] = (_Formulaic, _Polynomial, _BSpline, _NaturalSpline)
"""Every kind of state; a saved fit names them by class."""


def _bsplines(knots: Floats, degree: int, x: Floats, derivative: int = 0) -> Floats:
    """Values or derivatives of all B-splines at x, (n, len(knots) - degree - 1)."""
    from scipy.interpolate import BSpline  # only where a formula has a spline

    spline = BSpline(knots, np.eye(len(knots) - degree - 1), degree)
    return np.asarray(spline(x, nu=derivative), dtype=np.float64)


def _formulaic(function: str, x: Floats, options: Mapping[str, Any], state: dict[str, Any]) -> Floats:
    # formulaic is slow to import: only where a formula needs it
    from formulaic.transforms.cubic_spline import natural_cubic_spline
    from formulaic.transforms.poly import poly
    from formulaic.transforms.scale import scale

    functions: dict[str, Callable[..., Any]] = {"poly": poly, "scale": scale, "cr": natural_cubic_spline}
    values = functions[function](x, **options, _state=state)
    if isinstance(getattr(values, "__wrapped__", values), dict):
        return np.column_stack([np.asarray(v, dtype=np.float64) for v in values.values()])
    array = np.asarray(values, dtype=np.float64)
    return array[:, None] if array.ndim == 1 else array


def _learned(function: str, x: Floats, options: Mapping[str, Any]) -> _Formulaic:
    state: dict[str, Any] = {}
    try:
        _formulaic(function, x, options, state)
    except ValueError as error:
        raise BasisError(str(error)) from error
    return _Formulaic(function, options, state)


def _whole(options: Mapping[str, Option], name: str, default: int, least: int) -> int:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, float | int) or value != int(value) or value < least:
        raise BasisError(f"`{name}` must be a whole number from {least}", name)
    return int(value)


def _flag(options: Mapping[str, Option], name: str, default: bool) -> bool:
    value = options.get(name, default)
    if not isinstance(value, bool):
        raise BasisError(f"`{name}` must be TRUE or FALSE", name)
    return value


def _numbers(options: Mapping[str, Option], name: str) -> list[float] | None:
    if name not in options:
        return None
    value = options[name]
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(v, float) for v in listed):
        raise BasisError(f"`{name}` must be a number or c(...) of numbers", name)
    return sorted(listed)


def _poly(x: Floats, options: Mapping[str, Option]) -> BasisState:
    degree = _whole(options, "degree", 1, 1)
    if _flag(options, "raw", False):
        return _Polynomial(degree)
    distinct = len(np.unique(x))
    if degree >= distinct:
        raise BasisError(
            f"`degree` {degree} needs more than {degree} distinct values, but there are {distinct}", "degree"
        )
    return _learned("poly", x, {"degree": degree})


def _scale(x: Floats, options: Mapping[str, Option]) -> BasisState:
    given = {}
    for name in ("center", "scale"):
        given[name] = options.get(name, True)
        if not isinstance(given[name], bool | float):
            raise BasisError(f"`{name}` must be TRUE, FALSE or a number", name)
    state = _learned("scale", x, given)
    if state.state["scale"] is not None and not state.state["scale"] > 0:
        raise BasisError("the values are all the same, so their standard deviation is zero")
    return state


def _center(x: Floats, options: Mapping[str, Option]) -> BasisState:
    return _learned("scale", x, {"center": True, "scale": False})


def _cr(x: Floats, options: Mapping[str, Option]) -> BasisState:
    knots, bounds = _numbers(options, "knots"), _boundary(x, options)
    if (knots is None) == ("df" not in options):
        raise BasisError("give either `df`, the number of columns, or the interior `knots`")
    chosen: dict[str, Any] = {"constraints": "center", "lower_bound": bounds[0], "upper_bound": bounds[1]}
    if knots is None:
        chosen["df"] = _whole(options, "df", 0, 2)
    else:
        chosen["knots"] = knots
    return _learned("cr", x, chosen)


def _boundary(x: Floats, options: Mapping[str, Option]) -> tuple[float, float]:
    given = _numbers(options, "Boundary.knots")
    if given is None:
        given = [float(x.min()), float(x.max())]
    if len(given) != 2 or not given[0] < given[1]:
        raise BasisError("the two boundary knots must differ", "Boundary.knots")
    return given[0], given[1]


def _interior(x: Floats, options: Mapping[str, Option], bounds: tuple[float, float], fewest: int) -> list[float]:
    """The interior knots: those given, or as many as ``df`` asks for at quantiles of the values within the bounds."""
    knots = _numbers(options, "knots")
    if knots is not None:
        if knots and not bounds[0] < knots[0] <= knots[-1] < bounds[1]:
            raise BasisError(f"the knots must lie between the boundary knots {bounds[0]:g} and {bounds[1]:g}", "knots")
        return knots
    count = _whole(options, "df", fewest, fewest) - fewest
    within = x[(x >= bounds[0]) & (x <= bounds[1])]
    return list(np.quantile(within, np.linspace(0.0, 1.0, count + 2)[1:-1])) if count else []


def _bs(x: Floats, options: Mapping[str, Option]) -> BasisState:
    degree, bounds = _whole(options, "degree", 3, 1), _boundary(x, options)
    first = 0 if _flag(options, "intercept", False) else 1
    knots = _interior(x, options, bounds, degree + 1 - first)
    return _BSpline(_sequence(knots, bounds, degree), degree, first)


def _ns(x: Floats, options: Mapping[str, Option]) -> BasisState:
    bounds = _boundary(x, options)
    first = 0 if _flag(options, "intercept", False) else 1
    knots = _sequence(_interior(x, options, bounds, 2 - first), bounds, 3)
    bend = _bsplines(knots, 3, np.array(bounds), derivative=2)[:, first:]  # (2, number of B-splines)
    # The columns of Q beyond the second span what has no second derivative at the bounds, with R's choice of basis.
    Q = np.linalg.qr(bend.T, mode="complete")[0]
    return _NaturalSpline(knots, Q[:, 2:], first)


def _sequence(knots: list[float], bounds: tuple[float, float], degree: int) -> Floats:
    low, high = bounds
    return np.array([*[low] * (degree + 1), *knots, *[high] * (degree + 1)], dtype=np.float64)


BASES: dict[str, Callable[[Floats, Mapping[str, Option]], BasisState]] = {
    "poly": _poly,
    "scale": _scale,
    "center": _center,
    "bs": _bs,
    "ns": _ns,
    "cr": _cr,
}
"""The functions of a formula that take constants from the data."""


def fit_basis(function: str, x: Floats, options: Mapping[str, Option]) -> BasisState:
    """Take the constants of a basis from data.

    Parameters
    ----------
    function : str
        A name in ``BASES``.
    x : (n,) array
        Values without missing ones.
    options : mapping
        The constant arguments by name.

    Returns
    -------
    BasisState
        The basis, frozen.

    Raises
    ------
    BasisError
        If an option does not suit, or the values do not determine the basis.

    Examples
    --------
    >>> import numpy as np
    >>> basis = fit_basis("poly", np.array([1.0, 2.0, 3.0]), {"degree": 1.0})
    >>> basis.columns(np.array([1.0, 4.0])).round(4).tolist()
    [[-0.7071], [1.4142]]
    """
    if len(x) == 0:
        raise BasisError("there are no values")
    if not np.isfinite(x).all():
        raise BasisError(f"{np.isinf(x).sum()} of the values are infinite; correct them or mark them as missing")
    return BASES[function](x, options)
