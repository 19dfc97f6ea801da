"""``predict`` and ``simulate`` of a fit: which rows, which effects, and the shape of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.inference import prediction_intervals as intervals
from mixedpy.inference import rows, selection
from mixedpy.inference.predict import predict
from mixedpy.inference.predictors import Predictors, of_fit, of_table
from mixedpy.inference.simulate import simulate
from mixedpy.models import fitting

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["Scale", "predict_rows", "simulate_rows"]

Scale = Literal["link", "response"]


def predict_rows(
    fit: LmmFit,
    newdata: Any,
    *,
    re_form: str | None,
    type: Scale,
    allow_new_levels: bool,
    interval: intervals.Interval | None,
    level: float,
    se: bool,
    ddf: intervals.Ddf | None,
) -> pd.Series[float] | pd.DataFrame:
    """Predict; see :meth:`mixedpy.LmmFit.predict`."""
    if type not in ("link", "response"):
        raise ValueError(f"type={type!r} is unknown; use 'link' or 'response'")
    intervals.check_interval(interval, level, ddf)
    chosen = selection.select(fit.schema, re_form)
    if newdata is None:
        parts = of_fit(fit.design, fit.schema, fit.record)
    else:
        fitting.check_offset_is_a_column(fit.request)
        new = interval == "prediction"
        parts = of_table(fit.schema, fit.record, newdata, chosen=chosen, unchosen_columns=new, weights=new)
    values = predict(parts, fit.schema, fit.record, chosen, allow_new_levels or newdata is None)
    if interval is None and not se:
        return rows.on_rows(fit.schema, values) if newdata is None else pd.Series(values, index=parts.index)
    columns = {"fit": values}
    variance = intervals.prediction_variance(fit.design, fit.record, parts, chosen)
    if se:
        columns["se"] = np.sqrt(variance)
    if interval is not None:
        if interval == "prediction":
            extra = intervals.new_observation_variance(fit.record.Lambda, parts, chosen)
            variance = variance + fit.sigma**2 * extra
        df = None
        if ddf is not None:
            control = fit.request.control
            df = intervals.degrees_of_freedom(fit.design, fit.record, parts, chosen, interval, control)
        columns["lower"], columns["upper"] = intervals.limits(values, variance, level, df)
    return _table(fit, newdata, parts, np.column_stack(list(columns.values())), list(columns))


def simulate_rows(
    fit: LmmFit, newdata: Any, *, nsim: int, seed: int | np.random.Generator | None, re_form: str | None
) -> pd.DataFrame:
    """Draw new responses; see :meth:`mixedpy.LmmFit.simulate`."""
    given = selection.select(fit.schema, re_form)
    if newdata is None:
        parts = of_fit(fit.design, fit.schema, fit.record)
    else:
        fitting.check_offset_is_a_column(fit.request)
        parts = of_table(fit.schema, fit.record, newdata, weights=True)
    y = simulate(parts, fit.schema, fit.record, given, nsim=nsim, seed=seed)
    return _table(fit, newdata, parts, y, [f"sim_{i}" for i in range(1, nsim + 1)])


def _table(fit: LmmFit, newdata: Any, parts: Predictors, values: Floats, columns: list[str]) -> pd.DataFrame:
    if newdata is None:
        return rows.frame_on_rows(fit.schema, values, columns)
    return pd.DataFrame(values, index=parts.index, columns=columns)
