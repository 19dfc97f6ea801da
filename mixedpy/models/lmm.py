"""The fitted linear mixed model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.frozen import sealed
from mixedpy.core.record import Convergence, FitRecord
from mixedpy.design import Schema
from mixedpy.errors import MixedpyError
from mixedpy.inference import names, rows
from mixedpy.inference.fitted import fitted
from mixedpy.inference.prediction_intervals import Ddf, Interval
from mixedpy.models import fitting
from mixedpy.models.diagnostics import Diagnostics
from mixedpy.models.estimated import Estimated
from mixedpy.models.explaining import Explaining
from mixedpy.models.intervals import IntervalMethods
from mixedpy.models.prediction import Scale, predict_rows, simulate_rows
from mixedpy.models.request import KEEP, Column, Keep, NaAction, Request
from mixedpy.models.summary import Summary, summarize
from mixedpy.models.tables import print_record
from mixedpy.models.testing import Testing
from mixedpy.models.update import remaining_contrasts, update_formula
from mixedpy.models.views import Views
from mixedpy.report.html import print_html
from mixedpy.report.text import print_text

__all__ = ["LmmFit", "fit_request"]


@sealed
@dataclass(frozen=True, slots=True, weakref_slot=True, repr=False, eq=False)
class LmmFit(Estimated, Views, Diagnostics, Testing, IntervalMethods, Explaining):
    """A linear mixed model fitted by :func:`mixedpy.lmer`; nothing that is called on it changes it.

    Attributes
    ----------
    record : FitRecord
        The estimates as arrays.
    design : Design
        The arrays of the model.
    schema : Schema
        Names of columns, terms and levels, and how to make the columns from a new table.
    request : Request
        The arguments of the call.

    Examples
    --------
    >>> import mixedpy as mp
    >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
    >>> fit.fixef.round(3)
    (Intercept)    251.405
    Days            10.467
    dtype: float64
    >>> fit.varcorr()["Subject"].round(1)
                 (Intercept)  Days
    (Intercept)        612.1   9.6
    Days                 9.6  35.1
    """

    record: FitRecord
    design: Design
    schema: Schema
    request: Request

    @property
    def family(self) -> str:
        """Distribution of the response given the random effects."""
        return "gaussian"

    @property
    def reml_criterion(self) -> float:
        """The REML criterion; a MixedpyError for a fit by maximum likelihood."""
        if not self.record.reml:
            raise MixedpyError(
                "this fit is by maximum likelihood and has no REML criterion; use .deviance, or refit it with "
                ".update(reml=True)"
            )
        return self.record.criterion

    @property
    def fitted(self) -> pd.Series[float]:
        """Fitted values, random effects included, on the rows of the table."""
        return rows.on_rows(self.schema, fitted(self.design, self.record))

    @property
    def convergence(self) -> Convergence:
        """The optimizer's account of itself."""
        return self.record.convergence

    def summary(self, ddf: str | None = "satterthwaite", correlation: bool | None = None) -> Summary:
        """Summarize the fit as R's ``summary(m)``.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "asymptotic", None}
            Method for the denominator degrees of freedom of the t tests, as in lmerTest. Kenward and Roger's also
            adjusts the standard errors for small samples. None leaves out degrees of freedom and p values, as lme4.
        correlation : bool, optional
            Whether the print-out shows the correlations of the fixed effects; None shows them for up to 12.

        Returns
        -------
        Summary
            Prints as in R; ``.tables`` holds the tables.

        Raises
        ------
        MixedpyError
            For Kenward and Roger's method on a fit by maximum likelihood.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.summary().tables["fixed"].round(3)
                     Estimate  Std. Error    df  t value  Pr(>|t|)
        (Intercept)   251.405       6.825  17.0   36.838       0.0
        Days           10.467       1.546  17.0    6.771       0.0
        """
        return summarize(self, ddf, show_correlation=correlation)

    @overload
    def predict(
        self,
        newdata: Any = ...,
        re_form: str | None = ...,
        type: Scale = ...,
        allow_new_levels: bool = ...,
        interval: None = ...,
        level: float = ...,
        se: Literal[False] = ...,
        ddf: None = ...,
    ) -> pd.Series[float]: ...

    @overload
    def predict(
        self,
        newdata: Any = ...,
        re_form: str | None = ...,
        type: Scale = ...,
        allow_new_levels: bool = ...,
        interval: Interval | None = ...,
        level: float = ...,
        se: bool = ...,
        ddf: Ddf | None = ...,
    ) -> pd.Series[float] | pd.DataFrame: ...

    def predict(
        self,
        newdata: Any = None,
        re_form: str | None = None,
        type: Scale = "link",
        allow_new_levels: bool = False,
        interval: Interval | None = None,
        level: float = 0.95,
        se: bool = False,
        ddf: Ddf | None = None,
    ) -> pd.Series[float] | pd.DataFrame:
        """Predict the response.

        Parameters
        ----------
        newdata : DataFrame or mapping, optional
            Rows to predict for; by default those of the fit. Missing values in its columns give NaN.
        re_form : str, optional
            Random effects to use: None for all, ``"NA"`` (or ``mp.NA``) for none, or a formula of some of them, such
            as ``"~ (1 | Subject)"``.
        type : {"link", "response"}
            The scale; both are the same for a linear model.
        allow_new_levels : bool
            Whether a level that the fit has not seen, or that is missing, gets random effects of 0, with their prior
            variance in standard errors and intervals, rather than an error.
        interval : {"confidence", "prediction"}, optional
            Limits for the mean given the effects used, or for a new observation: this adds the residual variance and
            the prior variance of the random effects that ``re_form`` leaves out.
        level : float
            Probability that the interval covers.
        se : bool
            Whether to add the standard errors of the predictions, without the variance of a new observation.
        ddf : {"satterthwaite"}, optional
            Limits by the t distribution with Satterthwaite's degrees of freedom for each row, which cover better where
            levels are few; by default those of the normal distribution.

        Returns
        -------
        Series or DataFrame
            One value per row; with ``interval`` or ``se`` columns ``fit``, ``se``, ``lower`` and ``upper`` as asked.

        Raises
        ------
        DataError
            If ``newdata`` lacks a column or has unknown levels.

        Notes
        -----
        Variances are those of Henderson's (1975, Biometrics 31, 423) mixed-model equations: errors of the fixed and of
        the random effects jointly. The covariance parameters count as known, unless ``ddf`` is given.

        Examples
        --------
        >>> import mixedpy as mp
        >>> sleepstudy = mp.datasets.load("sleepstudy")
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
        >>> fit.predict(sleepstudy.head(2), re_form="NA").round(2).tolist()
        [251.41, 261.87]
        >>> fit.predict({"Days": [10.0], "Subject": ["308"]}, interval="prediction").round(1)
             fit  lower  upper
        0  450.3  391.3  509.3
        """
        return predict_rows(
            self,
            newdata,
            re_form=re_form,
            type=type,
            allow_new_levels=allow_new_levels,
            interval=interval,
            level=level,
            se=se,
            ddf=ddf,
        )

    def simulate(
        self,
        nsim: int = 1,
        seed: int | np.random.Generator | None = None,
        newdata: Any = None,
        re_form: str | None = "NA",
    ) -> pd.DataFrame:
        """Draw new responses from the fitted model.

        Parameters
        ----------
        nsim : int
            Number of simulations.
        seed : int or numpy Generator, optional
            Source of the random numbers; an int makes the draws repeatable.
        newdata : DataFrame or mapping, optional
            Rows to simulate; by default those of the fit.
        re_form : str, optional
            Random effects held at their conditional modes: ``"NA"`` for none (all are drawn anew), None for all, or a
            formula of whole terms.

        Returns
        -------
        DataFrame
            n x nsim, columns ``sim_1``, ``sim_2``, ...

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
        >>> fit.simulate(nsim=100, seed=1).shape
        (30, 100)
        """
        return simulate_rows(self, newdata, nsim=nsim, seed=seed, re_form=re_form)

    def refit(self, y: npt.ArrayLike) -> LmmFit:
        """Fit the same model to another response.

        Parameters
        ----------
        y : (n,) array
            The response of the rows used, or of all rows of the table. A Series is aligned by its row labels, which are
            those of ``fit.fitted`` or of the table; arrays are in the order of the rows.

        Raises
        ------
        DataError
            If the length fits neither, the row labels are others, or a value of a row used is missing or infinite.
        """
        design = replace(self.design, y=rows.response(self.schema, y))
        record = fitting.estimate_design(design, self.schema, self.request, None)
        fit = LmmFit(record, design, self.schema, replace(self.request, refitted=True))
        fitting.warn(fit.design, fit.schema, record, self.request.control)
        return fit

    def update(
        self,
        formula: str | None = None,
        *,
        data: Any = KEEP,
        reml: bool | Keep = KEEP,
        weights: Column | Keep = KEEP,
        offset: Column | Keep = KEEP,
        contrasts: Mapping[str, Any] | Keep | None = KEEP,
        covariances: Mapping[str, str] | Keep | None = KEEP,
        na_action: NaAction | Keep = KEEP,
        start: npt.ArrayLike | None = None,
        control: Control | Keep = KEEP,
        functions: Mapping[str, Callable[..., Any]] | Keep | None = KEEP,
    ) -> LmmFit:
        """Fit again with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            The new formula; a dot stands for the old left or right side, as in R: ``". ~ . + x - (1 | g)"``. Contrasts
            of factors that it lacks are left out.
        data, reml, weights, offset, contrasts, covariances, na_action, control, functions
            As for :func:`mixedpy.lmer`; those not given stay as they were.
        start : array, optional
            Starting values; those of the old call are not used again.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.update(". ~ . - (Days | Subject) + (1 | Subject)", reml=False).formula
        'Reaction ~ Days + (1 | Subject)'
        """
        if self.request.refitted:
            raise MixedpyError(
                "this fit comes from refit(), so its response is not in the table; put the response into the table "
                "and call lmer()"
            )
        options = {
            "data": data,
            "reml": reml,
            "weights": weights,
            "offset": offset,
            "contrasts": contrasts,
            "covariances": covariances,
            "na_action": na_action,
            "control": control,
            "functions": functions,
        }
        changed = {name: value for name, value in options.items() if value is not KEEP}
        new = self.request.formula
        if formula is not None:
            new = update_formula(self.formula, formula, self.schema.functions)
            kept = remaining_contrasts(self.request.contrasts, new, changed.get("functions", self.request.functions))
            changed.setdefault("contrasts", kept)
        return fit_request(replace(self.request, formula=new, start=start, **changed))

    def __str__(self) -> str:
        return print_text(print_record(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return print_html(print_record(self))


def fit_request(request: Request) -> LmmFit:
    """Build the design that a request describes, estimate, and warn where the estimate calls for it.

    The warnings point at the caller of the caller.
    """
    built = fitting.build_design(request)
    start = None if request.start is None else names.start_values(built.design, built.schema, request.start)
    record = fitting.estimate_design(built.design, built.schema, request, start)
    fitting.warn(built.design, built.schema, record, request.control)
    return LmmFit(record, built.design, built.schema, request)
