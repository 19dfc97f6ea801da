"""Predictions and simulations of a generalized fit: which rows, which effects, and the shape of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixedpy.core.arrays import Floats
from mixedpy.core.family.protocol import Predictors as Auxiliary
from mixedpy.design import zero_columns
from mixedpy.inference import prediction_intervals as intervals
from mixedpy.inference import rows, selection
from mixedpy.inference.glmm.limits import LinearError, mean_error, mean_with_limits
from mixedpy.inference.glmm.population import population_mean
from mixedpy.inference.glmm.predictive import predictive_quantiles
from mixedpy.inference.glmm.response import auxiliary_predictors, new_auxiliary_predictors
from mixedpy.inference.glmm.simulate import simulate_glmm
from mixedpy.inference.glmm.working import prediction_covariance
from mixedpy.inference.predict import predict
from mixedpy.inference.predictors import Predictors, of_fit, of_table
from mixedpy.inference.selection import Selection
from mixedpy.models.fitting import check_offset_is_a_column
from mixedpy.models.generalized.fitting import check_weights_are_a_column
from mixedpy.models.prediction import Scale

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["population_rows", "predict_general_rows", "simulate_general_rows"]


def _parts(fit: GlmmFit, newdata: Any, **options: Any) -> tuple[Predictors, Auxiliary]:
    """The rows to speak of: those of the fit, or of a new table."""
    if newdata is None:
        return of_fit(fit.design, fit.schema, fit.record), auxiliary_predictors(fit.record)
    check_offset_is_a_column(fit.request)
    if options.get("weights"):
        check_weights_are_a_column(fit.schema, fit.request)
    parts = of_table(fit.schema, fit.record, newdata, **options)
    return parts, new_auxiliary_predictors(fit.schema, fit.record, newdata)


def _series(fit: GlmmFit, newdata: Any, parts: Predictors, values: Floats) -> pd.Series[float]:
    return rows.on_rows(fit.schema, values) if newdata is None else pd.Series(values, index=parts.index)


def _frame(fit: GlmmFit, newdata: Any, parts: Predictors, values: Floats, columns: list[str]) -> pd.DataFrame:
    if newdata is None:
        return rows.frame_on_rows(fit.schema, values, columns)
    return pd.DataFrame(values, index=parts.index, columns=columns)


def predict_general_rows(
    fit: GlmmFit,
    newdata: Any,
    *,
    re_form: str | None,
    type: Scale,
    allow_new_levels: bool,
    interval: intervals.Interval | None,
    level: float,
    se: bool,
) -> pd.Series[float] | pd.DataFrame:
    """Predict; see :meth:`mixedpy.GlmmFit.predict`."""
    if type not in ("link", "response"):
        raise ValueError(f"type={type!r} is unknown; use 'link' or 'response'")
    intervals.check_interval(interval, level, None)
    new = interval == "prediction"
    if new and type == "link":
        raise ValueError("interval='prediction' is for observations, which have no link scale; give type='response'")
    chosen = selection.select(fit.schema, re_form)
    parts, xi = _parts(fit, newdata, chosen=chosen, unchosen_columns=new, weights=new)
    record = fit.record
    eta = predict(parts, fit.schema, record, chosen, newdata is None or allow_new_levels)
    values = eta if type == "link" else record.family.mean(eta, xi)
    if interval is None and not se:
        return _series(fit, newdata, parts, values)
    error = _error(fit, newdata, parts, chosen)
    columns = {"fit": values}
    if se:
        columns["se"] = np.sqrt(error.variance(record)) if type == "link" else mean_error(record, eta, error)
    if new:
        m = np.ones(parts.n) if parts.weights is None else parts.weights
        variance = error.variance(record) + intervals.unchosen_variance(record.Lambda, parts, chosen)
        for name, probability in (("lower", 0.5 - 0.5 * level), ("upper", 0.5 + 0.5 * level)):
            columns[name] = predictive_quantiles(record.family, m, eta, xi, variance, probability)
    elif interval is not None and type == "link":
        columns["lower"], columns["upper"] = intervals.limits(eta, error.variance(record), level)
    elif interval is not None:
        z = float(ndtri(0.5 + 0.5 * level))
        columns["lower"], columns["upper"] = mean_with_limits(record, eta, error, z)[1:]
    return _frame(fit, newdata, parts, np.column_stack(list(columns.values())), list(columns))


def _error(fit: GlmmFit, newdata: Any, parts: Predictors, chosen: Selection) -> LinearError:
    """How the linear predictors depend on the estimates and on the random effects."""
    record = fit.record
    covariance = prediction_covariance(fit.design, record)
    found = covariance.rows(parts.X, intervals.rows_of(parts, chosen))
    given = np.maximum(found.joint - np.einsum("nx,nx->n", found.net, found.net), 0.0)
    zeros = record.auxiliary[-1] if record.auxiliary else None
    if zeros is not None and newdata is not None:
        zeros = zero_columns(fit.schema, newdata)
    return LinearError(found.slope, zeros, given)


def simulate_general_rows(
    fit: GlmmFit, newdata: Any, *, nsim: int, seed: int | np.random.Generator | None, re_form: str | None
) -> pd.DataFrame:
    """Draw new responses; see :meth:`mixedpy.GlmmFit.simulate`."""
    given = selection.select(fit.schema, re_form)
    parts, xi = _parts(fit, newdata, weights=True)
    y = simulate_glmm(parts, fit.schema, fit.record, xi, given, nsim=nsim, seed=seed)
    return _frame(fit, newdata, parts, y, [f"sim_{i}" for i in range(1, nsim + 1)])


def population_rows(fit: GlmmFit, newdata: Any, re_form: str | None) -> pd.Series[float]:
    """Integrate the random effects out; see :meth:`mixedpy.GlmmFit.population_mean`."""
    held = selection.select(fit.schema, re_form)
    parts, xi = _parts(fit, newdata, chosen=held, unchosen_columns=True)
    eta = predict(parts, fit.schema, fit.record, held, newdata is None)
    return _series(fit, newdata, parts, population_mean(parts, fit.record, xi, eta, held))
