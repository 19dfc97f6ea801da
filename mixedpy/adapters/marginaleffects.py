"""Fits for the package marginaleffects: predictions, comparisons and slopes, with errors by the delta method."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.design import fixed_columns, offset_column
from mixedpy.errors import DataError, MixedpyError
from mixedpy.inference.glmm.response import new_auxiliary_predictors
from mixedpy.inference.variables import fixed_variables, rows_used
from mixedpy.models.fitting import check_offset_is_a_column
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.kept import kept_table
from mixedpy.models.lmm import LmmFit

__all__ = ["as_model"]

Scale = Literal["response", "link"]


def as_model(fit: LmmFit | GlmmFit, type: Scale = "response") -> Any:
    """Wrap a fit so that the functions of marginaleffects take it.

    Predictions are those of the fixed effects alone, at random effects of zero: ``fit.predict(newdata, "NA", type)``.
    Their covariance matrix is that of the fixed effects, ``fit.vcov()``, in a generalized model together with the
    family's own coefficients, which the mean of zero-inflated counts depends on.

    Parameters
    ----------
    fit : LmmFit or GlmmFit
        A fitted model.
    type : {"response", "link"}
        Scale of the predictions of a generalized model: means, such as probabilities, or the linear predictor.

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
    if not isinstance(fit, LmmFit | GlmmFit):
        raise TypeError(f"as_model() wraps fits made by mixedpy.lmer and mixedpy.glmer; not {fit.__class__.__name__}")
    if type not in get_args(Scale):
        raise ValueError(f"type={type!r} is unknown; use 'response' or 'link'")
    check_offset_is_a_column(fit.request)
    return _adapter()(fit, type)


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

        def __init__(self, fit: LmmFit | GlmmFit, scale: Scale) -> None:
            self.scale = scale
            coef, names, vcov = _coefficients(fit)
            rows = rows_used(fit.schema, kept_table(fit))
            predictors = fixed_variables(fit.schema, rows.columns, offset=True)
            response = fit.schema.response
            rows = rows[predictors].assign(**{response: fit.design.y})
            vault = ModelVault(
                coef=coef,
                coefnames=np.array(names),
                vcov=vcov,
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
                return self.vault.vcov if vcov else None
            raise DataError(f"vcov={vcov!r} is not available for a mixed model; give True, False or a matrix")

        def get_predict(self, params: Any, newdata: Any) -> Any:
            table = {name: newdata[name].to_numpy() for name in newdata.columns}
            fit, parameters = self.model, np.asarray(params, np.float64)
            X = fixed_columns(fit.schema, table)
            offset = offset_column(fit.schema, table)
            p = X.shape[1]
            estimate = X @ parameters[:p] + (0.0 if offset is None else offset)
            if isinstance(fit, GlmmFit) and self.scale == "response":
                there = replace(fit.record, alpha=parameters[p:])
                estimate = there.family.mean(estimate, new_auxiliary_predictors(fit.schema, there, table))
            return pl.DataFrame({"rowid": np.arange(len(estimate), dtype=np.int32), "estimate": estimate})

    return MixedModel


def _coefficients(fit: LmmFit | GlmmFit) -> tuple[Floats, list[str], Floats]:
    """All that the means depend on, with names and covariance matrix."""
    names, beta = list(fit.schema.fixed_names), fit.record.beta
    if isinstance(fit, LmmFit):
        return beta, names, fit.vcov().to_numpy()
    return np.concatenate([beta, fit.record.alpha]), [*names, *fit.auxiliary.index], fit.record.vcov


def _series(pl: Any, name: str, values: pd.Series[Any]) -> Any:
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = [str(level) for level in values.cat.categories]
        return pl.Series(name, values.astype(object).tolist(), dtype=pl.Enum(levels))
    return pl.Series(name, values.to_numpy())
