"""One smooth function minimized by optimizers that know nothing of mixed models: SciPy's, and NLopt's if installed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import scipy

from mixedpy.core.arrays import Floats
from mixedpy.core.frozen import freeze_arrays, restore

__all__ = ["TRUST_REGION", "Criterion", "Estimate", "Found", "available", "run", "search"]

TRUST_REGION = "trust region"
"""The package's own search, which is no part of this file."""

_WALL = 1e8
"""Above the start: the value where the criterion has none."""

_STEP = 0.2
"""First steps of searches without derivatives, relative to parameters of at least a half."""

_OPTIONS: dict[str, tuple[bool, tuple[str, ...], dict[str, Any]]] = {
    "L-BFGS-B": (True, ("maxfun", "maxiter"), {"ftol": 1e-12, "gtol": 1e-6, "maxcor": 20}),
    "trust-constr": (True, ("maxiter",), {"gtol": 1e-6, "xtol": 1e-10}),
    "Nelder-Mead": (False, ("maxfev", "maxiter"), {"xatol": 1e-6, "fatol": 1e-9}),
    "Powell": (False, ("maxfev", "maxiter"), {"xtol": 1e-7, "ftol": 1e-12}),
    "COBYQA": (False, ("maxfev", "maxiter"), {"initial_tr_radius": 0.5, "final_tr_radius": 1e-7}),
}
"""Methods of ``scipy.optimize.minimize``: whether they use the gradient, the names of limits, tolerances."""

_BOBYQA = "BOBYQA"

_RESULTS = {
    1: "success",
    3: "the criterion changes no more",
    4: "the parameters change no more",
    5: "the limit on evaluations was reached",
}
"""What NLopt's codes mean."""


class Criterion(Protocol):
    """A function of unconstrained parameters, and what they stand for."""

    def value(self, x: Floats) -> float:
        """The criterion at x; infinite where it has none."""

    def value_and_gradient(self, x: Floats) -> tuple[float, Floats]:
        """The criterion and its gradient."""

    def estimate(self, x: Floats) -> Estimate:
        """The model's parameters at x."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The parameters of a model where a search ended.

    Attributes
    ----------
    theta : (k,) array
        Covariance parameters in the user's columns.
    beta : (p,) array
        Fixed effects.
    others : (s,) array
        The residual standard deviation of a linear model; auxiliary coefficients of a generalized one.
    criterion : float
        With every constant.
    """

    theta: Floats
    beta: Floats
    others: Floats
    criterion: float

    __setstate__ = restore

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, slots=True)
class Found:
    """How one search went.

    Attributes
    ----------
    optimizer, start : str
        Their names.
    estimate : Estimate or None
        None if the search failed.
    evaluations : int
        Evaluations of the criterion.
    seconds : float
        Wall-clock time.
    converged : bool
        Whether the optimizer says so.
    message : str
        What it says, or why it failed.
    """

    optimizer: str
    start: str
    estimate: Estimate | None
    evaluations: int
    seconds: float
    converged: bool
    message: str


class _Counted:
    """A criterion that counts its evaluations and is finite everywhere."""

    def __init__(self, criterion: Criterion, most: int):
        self.criterion, self.evaluations, self.most = criterion, 0, most
        self.wall = np.inf

    def value(self, x: Floats) -> float:
        return self._finite(self.criterion.value(x))

    def value_and_gradient(self, x: Floats) -> tuple[float, Floats]:
        value, gradient = self.criterion.value_and_gradient(x)
        return self._finite(value), np.where(np.isfinite(gradient), gradient, 0.0)

    def _finite(self, value: float) -> float:
        self.evaluations += 1
        if not np.isfinite(value):
            return self.wall
        if not np.isfinite(self.wall):
            self.wall = value + _WALL
        return value


def available() -> tuple[str, ...]:
    """Name the optimizers that are installed."""
    names = [name for name in _OPTIONS if name != "COBYQA" or _scipy_version() >= (1, 14)]
    try:
        import nlopt  # noqa: F401 - optional
    except ImportError:
        return tuple(names)
    return (*names, _BOBYQA)


def search(criterion: Criterion, optimizer: str, start: Floats, *, name: str, most: int) -> Found:
    """Minimize a criterion; a search that fails is told, not raised.

    Parameters
    ----------
    criterion : Criterion
        The function.
    optimizer : str
        One of :func:`available`.
    start : (k,) array
        Where to start.
    name : str
        Name of the start.
    most : int
        Limit on evaluations.
    """
    counted = _Counted(criterion, most)
    method = _bobyqa if optimizer == _BOBYQA else _scipy

    def attempt() -> tuple[Estimate, int, bool, str]:
        if not np.isfinite(counted.value(start)):
            raise ArithmeticError("the criterion has no finite value at the start")
        x, converged, message = method(counted, optimizer, start)
        return criterion.estimate(x), counted.evaluations, converged, message

    return run(attempt, optimizer, name, lambda: counted.evaluations)


def run(
    attempt: Callable[[], tuple[Estimate, int, bool, str]],
    optimizer: str,
    start: str,
    spent: Callable[[], int] = int,
) -> Found:
    """Time a search, and make of an error the reason why it failed."""
    began = perf_counter()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # what an optimizer warns of is in its message
            estimate, evaluations, converged, message = attempt()
    except (ArithmeticError, ValueError, RuntimeError) as error:  # numpy's LinAlgError is a ValueError
        text = str(error).strip() or type(error).__name__
        return Found(optimizer, start, None, spent(), perf_counter() - began, False, text)
    return Found(optimizer, start, estimate, evaluations, perf_counter() - began, converged, message)


def _scipy(counted: _Counted, optimizer: str, start: Floats) -> tuple[Floats, bool, str]:
    from scipy.optimize import minimize  # slow to import, and needed here alone

    gradient, limits, options = _OPTIONS[optimizer]
    options = {**options, **dict.fromkeys(limits, counted.most)}
    if optimizer == "Nelder-Mead":
        options["adaptive"] = len(start) > 2  # with one parameter an adaptive simplex shrinks to a point
        options["initial_simplex"] = np.vstack([start, start + np.diag(_STEP * np.maximum(np.abs(start), 0.5))])
    function = counted.value_and_gradient if gradient else counted.value
    result = minimize(function, start, jac=gradient or None, method=optimizer, options=options)
    return np.atleast_1d(result.x), bool(result.success), str(result.message)


def _bobyqa(counted: _Counted, optimizer: str, start: Floats) -> tuple[Floats, bool, str]:
    import nlopt  # optional

    if len(start) < 2:
        raise ArithmeticError("BOBYQA needs two parameters or more")
    problem = nlopt.opt(nlopt.LN_BOBYQA, len(start))
    problem.set_min_objective(lambda x, _: counted.value(np.array(x)))
    problem.set_initial_step((_STEP * np.maximum(np.abs(start), 0.5)).tolist())
    problem.set_ftol_abs(1e-10)
    problem.set_xtol_abs(1e-8)
    problem.set_maxeval(counted.most)
    try:
        x = problem.optimize(start.tolist())
    except nlopt.RoundoffLimited as error:
        raise ArithmeticError("BOBYQA stopped at rounding error") from error
    code = problem.last_optimize_result()
    return np.asarray(x, np.float64), code in (1, 2, 3, 4), _RESULTS.get(code, f"result {code} of NLopt")


def _scipy_version() -> tuple[int, ...]:
    return tuple(int(part) for part in scipy.__version__.split(".")[:2])
