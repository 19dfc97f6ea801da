"""``simulate``: responses from a formula, a table and parameters, without a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.core.covariance import lower_root
from mixedpy.core.parameters import Parameters
from mixedpy.core.record import Convergence, FitRecord, Status
from mixedpy.design import Built, build
from mixedpy.design.frame import open_table
from mixedpy.errors import DataError
from mixedpy.formula import parse
from mixedpy.inference import names, rows
from mixedpy.inference.predictors import of_fit
from mixedpy.inference.simulate import simulate as draw
from mixedpy.models.request import Column, NaAction

__all__ = ["simulate"]

_RESPONSE = "simulated"


def simulate(
    formula: str,
    data: Any,
    beta: npt.ArrayLike | Mapping[str, float],
    theta: npt.ArrayLike | Mapping[str, float],
    sigma: float,
    *,
    nsim: int = 1,
    seed: int | np.random.Generator | None = None,
    weights: Column = None,
    offset: Column = None,
    contrasts: Mapping[str, Any] | None = None,
    covariances: Mapping[str, str] | None = None,
    na_action: NaAction = "drop",
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> pd.DataFrame:
    """Draw responses of a linear mixed model from its parameters.

    Parameters
    ----------
    formula : str
        The model, with or without a response: ``"y ~ x + (x | g)"`` or ``"~ x + (x | g)"``.
    data : DataFrame, Table or mapping
        Predictors and grouping factors, such as :func:`mixedpy.design` makes; a response in it is not read.
    beta : array or mapping
        Fixed effects, in the order of the columns or by name.
    theta : array or mapping
        Covariance parameters as in ``fit.theta``: entries of the covariance factors relative to ``sigma``, in order or
        by name. For ``(1 | g)`` the standard deviation divided by ``sigma``.
    sigma : float
        Residual standard deviation, positive.
    nsim : int
        Number of simulations.
    seed : int or numpy Generator, optional
        Source of the random numbers.
    weights, offset, contrasts, covariances, na_action, functions
        As for :func:`mixedpy.lmer`.

    Returns
    -------
    DataFrame
        n x nsim, columns ``sim_1``, ``sim_2``, ...; random effects and residuals are drawn anew for each.

    Raises
    ------
    FormulaError, DataError
        If the formula cannot be read or does not suit the table, or parameters are missing, too many or not finite; the
        message lists their names.

    Examples
    --------
    >>> import mixedpy as mp
    >>> study = mp.design(crossed={"subject": 20, "time": [0.0, 1, 2, 3]})
    >>> y = mp.simulate("~ time + (1 | subject)", study, beta=[10, 2], theta=[1.5], sigma=0.5, nsim=3, seed=1)
    >>> y.shape
    (80, 3)
    >>> fit = mp.lmer("y ~ time + (1 | subject)", study.assign(y=y["sim_1"]))
    >>> fit.fixef.round(1).to_dict()
    {'(Intercept)': 10.1, 'time': 2.0}
    """
    built = _built(formula, data, weights, offset, contrasts, covariances, na_action, functions)
    if isinstance(sigma, bool) or not isinstance(sigma, int | float | np.number) or not 0.0 < float(sigma) < np.inf:
        raise DataError(f"sigma={sigma!r} must be a positive number, the residual standard deviation")
    fixed = _parameters("beta", beta, list(built.schema.fixed_names))
    record = _record(built, fixed, _parameters("theta", theta, names.theta_names(built.design, built.schema)), sigma)
    parts = of_fit(built.design, built.schema, record)
    nothing = tuple(np.zeros(len(term.effects), dtype=bool) for term in built.schema.terms)
    y = draw(parts, built.schema, record, nothing, nsim=nsim, seed=seed)
    return rows.frame_on_rows(built.schema, y, [f"sim_{i}" for i in range(1, nsim + 1)])


def _built(
    formula: str,
    data: Any,
    weights: Column,
    offset: Column,
    contrasts: Mapping[str, Any] | None,
    covariances: Mapping[str, str] | None,
    na_action: NaAction,
    functions: Mapping[str, Callable[..., Any]] | None,
) -> Built:
    """Build the design with a response of zeros in the place of the formula's own."""
    table = open_table(data)
    _, tilde, right = formula.partition("~") if isinstance(formula, str) else ("", "", "")
    if not tilde:
        parse(formula, functions or {})  # says what is wrong
    response = _RESPONSE
    while response in table.names:
        response += "_"
    return build(
        f"{response} ~ {right}",
        table.with_columns({response: np.zeros(table.length())}),
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        covariances=covariances,
        na_action=na_action,
        functions=functions,
    )


def _parameters(what: str, given: Any, wanted: list[str]) -> Floats:
    """Put parameters given in order or by name in order."""
    if isinstance(given, Mapping | pd.Series):
        found = {str(name): value for name, value in given.items()}
        missing = [name for name in wanted if name not in found]
        unknown = [name for name in found if name not in wanted]
        if missing or unknown:
            said = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(unknown)}"] * bool(unknown)
            raise DataError(f"{what} {' and '.join(said)}; the model wants {', '.join(wanted)}")
        given = [found[name] for name in wanted]
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{what} must hold numbers: {', '.join(wanted)}") from None
    if values.shape != (len(wanted),):
        raise DataError(f"{what} has shape {values.shape}; {len(wanted)} values are wanted: {', '.join(wanted)}")
    if not np.isfinite(values).all():
        raise DataError(f"{what} holds values that are not finite; the model wants {', '.join(wanted)}")
    return values


def _record(built: Built, beta: Floats, theta: Floats, sigma: float) -> FitRecord:
    """Put the parameters in the form of a fit."""
    design = built.design
    status = Convergence(Status.CONVERGED, 0, 0, 0, 0, 0.0, 0.0, 0.0, theta, "none")
    return FitRecord(
        reml=True,
        theta=theta,
        Lambda=tuple(lower_root(L) for L in Parameters([term.template for term in design.terms]).Lambdas(theta)),
        beta=beta,
        sigma=float(sigma),
        criterion=np.nan,
        unscaled_vcov=np.full((design.p, design.p), np.nan),
        modes=tuple(np.zeros((term.n_levels, term.m)) for term in design.terms),
        n=design.n,
        convergence=status,
    )
