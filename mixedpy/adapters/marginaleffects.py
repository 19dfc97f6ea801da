"""Fits for the package marginaleffects: predictions, comparisons and slopes, with errors by the delta method."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.design import fixed_columns, offset_column
from mixedpy.errors import DataError, MixedpyError
from mixedpy.inference.variables import fixed_variables, rows_used
from mixedpy.models.fitting import check_offset_is_a_column
from mixedpy.models.kept import kept_table
from mixedpy.models.lmm import LmmFit

__all__ = ["as_model"]


def as_model(fit: LmmFit) -> Any:
    """Wrap a fit so that the functions of marginaleffects take it.

    Predictions are those of the fixed effects alone, at random effects of zero; their covariance matrix is that of the
    fixed effects, ``fit.vcov()``.

    Parameters
    ----------
    fit : LmmFit
        A fitted model.

    Returns
    -------
    marginaleffects.classes.ModelAbstract
        To be given to ``marginaleffects.predictions``, ``comparisons``, ``slopes``, ``avg_slopes`` and so on.

    Raises
    ------
    MixedpyError
        If marginaleffects is not installed.
    DataError
        If the fit has an offset given as an array, which new rows lack.

    Examples
    --------
    >>> import mixedpy as mp
    >>> import marginaleffects  # doctest: +SKIP
    >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
    >>> marginaleffects.avg_slopes(as_model(fit), variables="Days")  # doctest: +SKIP
    """
    check_offset_is_a_column(fit.request)
    return _adapter()(fit)


@cache
def _adapter() -> Any:
    """Define the class once marginaleffects is there to derive it from."""
    try:
        import polars as pl  # optional; marginaleffects needs it
        from marginaleffects.classes import ModelAbstract, ModelVault
    except ImportError as error:
        raise MixedpyError(
            'as_model() needs marginaleffects; install it with pip install "mixedpy[adapters]"'
        ) from error

    class MixedModel(ModelAbstract):  # type: ignore[misc]
        """A fit as marginaleffects sees models."""

        df_resid = float("inf")  # normal limits; without it marginaleffects would take the residual degrees of freedom

        def __init__(self, fit: LmmFit) -> None:
            rows = rows_used(fit.schema, kept_table(fit))
            predictors = fixed_variables(fit.schema, rows.columns, offset=True)
            response = fit.schema.response
            rows = rows[predictors].assign(**{response: fit.design.y})
            vault = ModelVault(
                coef=fit.fixef.to_numpy(),
                coefnames=np.array(fit.schema.fixed_names),
                formula=self.get_exog,
                modeldata=pl.DataFrame([_series(pl, str(name), rows[name]) for name in rows]),
                package="mixedpy",
                variable_names=[response, *predictors],
            )
            super().__init__(fit, vault)

        def get_exog(self, newdata: Any) -> Any:
            return newdata

        def get_vcov(self, vcov: Any = True) -> Floats | None:
            if isinstance(vcov, bool):
                return self.model.vcov().to_numpy() if vcov else None
            raise DataError(f"vcov={vcov!r} is not available for a mixed model; give True, False or a matrix")

        def get_predict(self, params: Any, newdata: Any) -> Any:
            table = {name: newdata[name].to_numpy() for name in newdata.columns}
            X = fixed_columns(self.model.schema, table)
            offset = offset_column(self.model.schema, table)
            estimate = X @ np.asarray(params) + (0.0 if offset is None else offset)
            return pl.DataFrame({"rowid": np.arange(len(estimate), dtype=np.int32), "estimate": estimate})

    return MixedModel


def _series(pl: Any, name: str, values: pd.Series[Any]) -> Any:
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = [str(level) for level in values.cat.categories]
        return pl.Series(name, values.astype(object).tolist(), dtype=pl.Enum(levels))
    return pl.Series(name, values.to_numpy())
