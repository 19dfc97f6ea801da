"""The fitted generalized linear mixed model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.family import Family
from mixedpy.core.frozen import sealed
from mixedpy.core.glmm.record import GlmmConvergence, GlmmRecord
from mixedpy.design import Schema
from mixedpy.errors import MixedpyError
from mixedpy.inference import names, rows
from mixedpy.inference.fitted import Level
from mixedpy.inference.glmm.residuals import GlmmKind, glmm_residuals
from mixedpy.inference.glmm.response import of_rows
from mixedpy.inference.glmm.variance import Overdispersion, glmm_icc, overdispersion, r_squared
from mixedpy.inference.prediction_intervals import Interval
from mixedpy.models.checking import Checking
from mixedpy.models.estimated import Estimated
from mixedpy.models.generalized import fitting as fitting
from mixedpy.models.generalized.intervals import GlmmIntervals
from mixedpy.models.generalized.prediction import population_rows, predict_general_rows, simulate_general_rows
from mixedpy.models.generalized.request import GlmmRequest, Start, Weights
from mixedpy.models.generalized.response import new_response
from mixedpy.models.generalized.tables import glmm_print_record, summarize_glmm
from mixedpy.models.generalized.testing import GlmmTesting
from mixedpy.models.prediction import Scale
from mixedpy.models.request import KEEP, Column, Keep, NaAction
from mixedpy.models.summary import Summary
from mixedpy.models.update import remaining_contrasts, update_formula
from mixedpy.models.views import Views
from mixedpy.report.html import print_html
from mixedpy.report.text import print_text

__all__ = ["GlmmFit", "fit_glmm_request"]


@sealed
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class GlmmFit(Estimated, Views, Checking, GlmmTesting, GlmmIntervals):
    """A generalized linear mixed model fitted by :func:`mixedpy.glmer`; nothing that is called on it changes it.

    Attributes
    ----------
    record : GlmmRecord
        The estimates as arrays.
    design : Design
        The arrays of the model.
    schema : Schema
        Names of columns, terms and levels, and how to make the columns from a new table.
    request : GlmmRequest
        The arguments of the call.

    Examples
    --------
    >>> import mixedpy as mp
    >>> cbpp = mp.datasets.load("cbpp")
    >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial")
    >>> round(fit.loglik, 4)
    -92.0263
    >>> fit.fixef.round(3)
    (Intercept)   -1.399
    period2       -0.992
    period3       -1.129
    period4       -1.580
    dtype: float64
    """

    record: GlmmRecord
    design: Design
    schema: Schema
    request: GlmmRequest

    @property
    def family(self) -> str:
        """Name of the distribution of the response given the random effects."""
        return self.record.family.name

    @property
    def link(self) -> str:
        """Name of the link function."""
        return self.record.family.link

    @property
    def auxiliary(self) -> pd.Series[float]:
        """Coefficients of the family's own predictors: logarithm of a dispersion, logit of a share of zeros.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer_nb("TICKS ~ YEAR + (1 | BROOD)", mp.datasets.load("grouseticks"))
        >>> list(fit.auxiliary.index)
        ['log(size)']
        """
        return pd.Series(self.record.alpha.copy(), index=names.auxiliary_names(self.schema, self.record), dtype=float)

    @property
    def reml_criterion(self) -> float:
        """Not defined: a MixedpyError."""
        raise MixedpyError("a generalized fit is by maximum likelihood and has no REML criterion; use .deviance")

    @property
    def fitted(self) -> pd.Series[float]:
        """Fitted means, random effects included, on the rows of the table."""
        return rows.on_rows(self.schema, of_rows(self.design, self.record).mean)

    @property
    def convergence(self) -> GlmmConvergence:
        """The optimizer's account of itself."""
        return self.record.convergence

    def summary(self, ddf: None = None, correlation: bool | None = None) -> Summary:
        """Summarize the fit as R's ``summary(m)``, with z values.

        Parameters
        ----------
        ddf : None
            A generalized fit has no degrees of freedom: its statistics are compared with the normal distribution.
        correlation : bool, optional
            Whether the print-out shows the correlations of the fixed effects; None shows them for up to 12.

        Returns
        -------
        Summary
            Prints as in R; ``.tables`` holds the tables.
        """
        if ddf is not None:
            raise ValueError(f"summary(ddf={ddf!r}): a generalized fit has no degrees of freedom; leave it out")
        return summarize_glmm(self, show_correlation=correlation)

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
    ) -> pd.Series[float] | pd.DataFrame:
        """Predict the linear predictor or the mean of the response.

        Parameters
        ----------
        newdata : DataFrame or mapping, optional
            Rows to predict for; by default those of the fit. Missing values in its columns give NaN.
        re_form : str, optional
            Random effects to use: None for all, ``"NA"`` (or ``mp.NA``) for none, or a formula of some of them.
        type : {"link", "response"}
            The scale.
        allow_new_levels : bool
            Whether a level that the fit has not seen, or that is missing, gets random effects of 0, with their prior
            variance in standard errors and intervals, rather than an error.
        interval : {"confidence", "prediction"}, optional
            Limits for the linear predictor or the mean given the effects used; or, with ``type="response"``, for a new
            observation, over the distribution of the response and of the random effects that ``re_form`` leaves out.
        level : float
            Probability that the interval covers.
        se : bool
            Whether to add the standard errors of the predictions, on the scale of the response by the delta method.

        Returns
        -------
        Series or DataFrame
            One value per row; with ``interval`` or ``se`` columns ``fit``, ``se``, ``lower`` and ``upper`` as asked.

        Notes
        -----
        Errors of the fixed effects have the covariance ``fit.vcov()``, those of the random effects follow from
        Henderson's equations of the working linear model at the estimated covariance parameters. Limits of means are
        those of the linear predictor put through the inverse link; with zeros of their own, those of the logarithm of
        the mean. Prediction limits are quantiles: the least value whose probability reaches that of the limit. Weights
        of new rows, such as numbers of trials, come from their column, or from those of ``cbind``.

        Examples
        --------
        >>> import mixedpy as mp
        >>> cbpp = mp.datasets.load("cbpp")
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
        >>> fit.predict(cbpp.head(2), re_form="NA", type="response").round(4).tolist()
        [0.198, 0.0839]
        >>> fit.predict({"period": ["1"]}, re_form="NA", type="response", interval="confidence").round(3)
             fit  lower  upper
        0  0.198  0.135   0.28
        """
        return predict_general_rows(
            self,
            newdata,
            re_form=re_form,
            type=type,
            allow_new_levels=allow_new_levels,
            interval=interval,
            level=level,
            se=se,
        )

    def simulate(
        self,
        nsim: int = 1,
        seed: int | np.random.Generator | None = None,
        newdata: Any = None,
        re_form: str | None = "NA",
    ) -> pd.DataFrame:
        """Draw new responses from the fitted model; proportions where prior weights are numbers of trials.

        Parameters
        ----------
        nsim : int
            Number of simulations.
        seed : int or numpy Generator, optional
            Source of the random numbers; an int makes the draws repeatable.
        newdata : DataFrame or mapping, optional
            Rows to simulate; by default those of the fit. Missing values in its columns give NaN.
        re_form : str, optional
            Random effects held at their conditional modes: ``"NA"`` for none (all are drawn anew), None for all, or a
            formula of whole terms.

        Returns
        -------
        DataFrame
            n x nsim, columns ``sim_1``, ``sim_2``, ...

        Raises
        ------
        MixedpyError
            If means leave the range of the family, as they may with the link identity.
        """
        return simulate_general_rows(self, newdata, nsim=nsim, seed=seed, re_form=re_form)

    def residuals(
        self, kind: GlmmKind = "response", level: Level = "conditional", seed: int | None = None
    ) -> pd.Series[float]:
        """Return residuals on the rows of the table.

        Parameters
        ----------
        kind : {"response", "pearson", "deviance", "scaled", "studentized", "quantile"}
            Observed less fitted; over the square root of the variance function; signed roots of the unit deviances (the
            default of R's ``residuals``); Pearson residuals over sigma; these over sqrt(1 - leverage); or the
            probability of a smaller response, uniform on (0, 1) where the model holds.
        level : {"conditional", "marginal"}
            Whether the fitted values include the random effects.
        seed : int, optional
            Source of the random numbers that spread quantile residuals of a discrete response over its steps.

        Raises
        ------
        MixedpyError
            For deviance residuals of a family without a saturated model.
        """
        return rows.on_rows(self.schema, glmm_residuals(self.design, self.record, kind, level, seed))

    def overdispersion(self) -> Overdispersion:
        """Compare the sum of squared Pearson residuals with its degrees of freedom.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("TICKS ~ YEAR + (1 | LOCATION)", mp.datasets.load("grouseticks"), family="poisson")
        >>> round(fit.overdispersion().ratio, 1)
        2.7
        """
        return overdispersion(self.design, self.record)

    def r2(self) -> pd.Series[float]:
        """Return marginal and conditional R^2 on the scale of the link (Nakagawa et al. 2017).

        Returns
        -------
        Series
            ``marginal``: explained by the fixed effects; ``conditional``: by fixed and random effects.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> fit.r2().round(3).to_dict()
        {'marginal': 0.085, 'conditional': 0.187}
        """
        found = r_squared(self.design, self.record, self.request.control)
        return pd.Series({"marginal": found.marginal, "conditional": found.conditional})

    def icc(self, adjusted: bool = True) -> float:
        """Return the intraclass correlation on the scale of the link: the random effects' share of the variance.

        Parameters
        ----------
        adjusted : bool
            Whether the variance of the fixed effects is left out of the whole.
        """
        return glmm_icc(self.design, self.record, self.request.control, adjusted=adjusted)

    def population_mean(self, newdata: Any = None, re_form: str | None = "NA") -> pd.Series[float]:
        """Predict means of the response with the random effects integrated out, not set to zero.

        Parameters
        ----------
        newdata : DataFrame or mapping, optional
            Rows to predict for; by default those of the fit.
        re_form : str, optional
            Random effects held at their conditional modes; the others are integrated out. By default all are.

        Examples
        --------
        >>> import mixedpy as mp
        >>> cbpp = mp.datasets.load("cbpp")
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
        >>> fit.population_mean(cbpp.head(2)).round(4).tolist()
        [0.2161, 0.097]
        """
        return population_rows(self, newdata, re_form)

    def refit(self, y: Any) -> GlmmFit:
        """Fit the same model to another response, for example a column of ``simulate``.

        Parameters
        ----------
        y : (n,) array, or (n, 2) array
            The response of the rows used, or of all rows of the table, as it was: proportions where the weights are
            trials, two levels as text, or successes and failures for ``cbind``. A Series or DataFrame is aligned by its
            row labels.

        Raises
        ------
        DataError
            If it does not suit the rows or the family.
        """
        design = new_response(self.design, self.schema, self.request, y)
        fitting.check_response(design, self.schema, self.record.family)
        record = fitting.estimate_built(design, self.schema, self.record.family, self.record.auxiliary, self.request)
        fitting.warn_glmm(design, self.schema, record, self.request.control)
        return GlmmFit(record, design, self.schema, replace(self.request, refitted=True))

    def update(
        self,
        formula: str | None = None,
        *,
        data: Any = KEEP,
        family: str | Family | Keep = KEEP,
        nagq: int | Keep = KEEP,
        laplace: Weights | Keep = KEEP,
        ziformula: str | Keep | None = KEEP,
        weights: Column | Keep = KEEP,
        offset: Column | Keep = KEEP,
        contrasts: Mapping[str, Any] | Keep | None = KEEP,
        covariances: Mapping[str, str] | Keep | None = KEEP,
        na_action: NaAction | Keep = KEEP,
        start: Start = None,
        control: Control | Keep = KEEP,
        functions: Mapping[str, Callable[..., Any]] | Keep | None = KEEP,
    ) -> GlmmFit:
        """Fit again with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            The new formula; a dot stands for the old left or right side, as in R: ``". ~ . + x - (1 | g)"``. Contrasts
            of factors that it lacks are left out.
        data, family, nagq, laplace, ziformula, weights, offset, contrasts, covariances, na_action, control, functions
            As for :func:`mixedpy.glmer`; those not given stay as they were.
        start : array or dict, optional
            Starting values; those of the old call are not used again.
        """
        if self.request.refitted:
            raise MixedpyError(
                "this fit comes from refit(), so its response is not in the table; put the response into the table "
                "and call glmer()"
            )
        options = {
            "data": data,
            "family": family,
            "nagq": nagq,
            "laplace": laplace,
            "ziformula": ziformula,
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
        return fit_glmm_request(replace(self.request, formula=new, start=start, **changed))

    def __str__(self) -> str:
        return print_text(glmm_print_record(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return print_html(glmm_print_record(self))


def fit_glmm_request(request: GlmmRequest) -> GlmmFit:
    """Build the design that a request describes, estimate, and warn where the estimate calls for it."""
    built, family = fitting.build_glmm(request)
    start = (None, None) if request.start is None else names.start_parts(built.design, built.schema, request.start)
    auxiliary = fitting.auxiliary_columns(built, family)
    record = fitting.estimate_built(built.design, built.schema, family, auxiliary, request, start)
    fitting.warn_glmm(built.design, built.schema, record, request.control)
    return GlmmFit(record, built.design, built.schema, request)
