"""The fitted generalized linear mixed model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.family import Family
from mixedpy.core.glmm.record import GlmmConvergence, GlmmRecord
from mixedpy.design import Schema
from mixedpy.errors import MixedpyError
from mixedpy.inference import names, rows, selection
from mixedpy.inference.criteria import criteria
from mixedpy.inference.fitted import Level
from mixedpy.inference.glmm.population import population_mean
from mixedpy.inference.glmm.residuals import GlmmKind, glmm_residuals
from mixedpy.inference.glmm.response import auxiliary_predictors, new_auxiliary_predictors, of_rows
from mixedpy.inference.glmm.simulate import simulate_glmm
from mixedpy.inference.glmm.simulated import SimulatedResiduals, scaled_residuals
from mixedpy.inference.glmm.variance import Overdispersion, glmm_icc, overdispersion, r_squared
from mixedpy.inference.predict import predict
from mixedpy.inference.predictors import of_fit, of_table
from mixedpy.inference.ranef import coef, ranef_tables
from mixedpy.models import glmm_fitting as fitting
from mixedpy.models.fitting import check_offset_is_a_column
from mixedpy.models.glmm_intervals import GlmmIntervals
from mixedpy.models.glmm_request import GlmmRequest, Weights
from mixedpy.models.glmm_tables import components, glmm_print_record, summarize_glmm
from mixedpy.models.glmm_testing import GlmmTesting
from mixedpy.models.request import KEEP, Column, Keep, NaAction
from mixedpy.models.summary import Summary
from mixedpy.models.update import update_formula
from mixedpy.models.varcorr import VarCorr
from mixedpy.report.html import print_html
from mixedpy.report.text import print_text

__all__ = ["GlmmFit", "fit_glmm_request"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class GlmmFit(GlmmTesting, GlmmIntervals):
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
    def formula(self) -> str:
        """The formula, spaced as R deparses it."""
        return str(self.schema.formula)

    @property
    def family(self) -> str:
        """Name of the distribution of the response given the random effects."""
        return self.record.family.name

    @property
    def link(self) -> str:
        """Name of the link function."""
        return self.record.family.link

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return self.record.n

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor, in the order of the print-out."""
        return {term.group: len(term.levels) for term in self.schema.terms}

    @property
    def fixef(self) -> pd.Series[float]:
        """Fixed effects, on the scale of the link."""
        return pd.Series(self.record.beta.copy(), index=list(self.schema.fixed_names))

    @property
    def se(self) -> pd.Series[float]:
        """Standard errors of the fixed effects, from the joint Hessian of all parameters."""
        variances = np.diag(self.record.vcov)[: self.record.p]
        return pd.Series(np.sqrt(variances), index=list(self.schema.fixed_names))

    @property
    def theta(self) -> pd.Series[float]:
        """Covariance parameters: entries of the factors Lambda; random effects have covariance Lambda Lambda'."""
        return pd.Series(self.record.theta.copy(), index=names.theta_names(self.design, self.schema))

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
        labels = [f"{a.scale}({a.name})" for a in self.record.family.auxiliary]
        if self.schema.zeros is not None:
            labels[-1:] = [f"logit(zeros).{name}" for name in self.schema.zeros.names]
        return pd.Series(self.record.alpha.copy(), index=labels, dtype=float)

    @property
    def sigma(self) -> float:
        """Square root of the dispersion; 1 for a family without one."""
        return self.record.sigma

    @property
    def loglik(self) -> float:
        """Log-likelihood with every constant, at any number of quadrature nodes."""
        return -0.5 * self.record.criterion

    @property
    def deviance(self) -> float:
        """-2 log-likelihood."""
        return self.record.criterion

    @property
    def reml_criterion(self) -> float:
        """Not defined: a MixedpyError."""
        raise MixedpyError("a generalized fit is by maximum likelihood and has no REML criterion; use .deviance")

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return criteria(self.record).aic

    @property
    def aicc(self) -> float:
        """AIC corrected for a small number of rows."""
        return criteria(self.record).aicc

    @property
    def bic(self) -> float:
        """Schwarz's information criterion, with n the number of rows."""
        return criteria(self.record).bic

    @property
    def df_resid(self) -> int:
        """Rows less parameters: fixed effects, theta and the family's own."""
        return criteria(self.record).df_resid

    @property
    def fitted(self) -> pd.Series[float]:
        """Fitted means, random effects included, on the rows of the table."""
        return rows.on_rows(self.schema, of_rows(self.design, self.record).mean)

    @property
    def converged(self) -> bool:
        """Whether the optimizer's criteria for convergence were met."""
        return self.convergence.converged

    @property
    def singular(self) -> bool:
        """Whether a diagonal entry of a covariance factor is below ``Control.singular_tol``."""
        return bool(fitting.singular_terms(self.schema, self.record, self.request.control))

    @property
    def convergence(self) -> GlmmConvergence:
        """The optimizer's account of itself."""
        return self.record.convergence

    @property
    def optinfo(self) -> dict[str, Any]:
        """The optimizer's account of itself, as a dictionary."""
        return {**asdict(self.convergence), "status": self.convergence.status.name, "converged": self.converged}

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

    def ranef(self, condvar: bool = False) -> dict[str, pd.DataFrame]:
        """Return the conditional modes of the random effects, on the scale of the link.

        Parameters
        ----------
        condvar : bool
            Whether to add columns ``<effect>_sd``, the standard deviations given the data (lme4's ``condVar``).

        Returns
        -------
        dict of str to DataFrame
            Per grouping factor a table level x effect.
        """
        return ranef_tables(self.schema, self.record, self.record.condvar if condvar else None)

    def coef(self) -> dict[str, pd.DataFrame]:
        """Return the sum of fixed effects and conditional modes per grouping factor and level."""
        return coef(self.design, self.schema, self.record)

    def varcorr(self) -> VarCorr:
        """Return the covariances of the random effects; the result prints as R's ``VarCorr(m)``."""
        return VarCorr(components(self))

    def vcov(self, full: bool = False) -> pd.DataFrame:
        """Return the covariance matrix of the fixed effects; with ``full`` also of the family's own coefficients."""
        labels = [*self.schema.fixed_names, *self.auxiliary.index]
        matrix = pd.DataFrame(self.record.vcov.copy(), index=labels, columns=labels)
        return matrix if full else matrix.iloc[: self.record.p, : self.record.p]

    def predict(
        self,
        newdata: Any = None,
        re_form: str | None = None,
        type: Literal["link", "response"] = "link",
        allow_new_levels: bool = False,
    ) -> pd.Series[float]:
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
            Whether a level that the fit has not seen, or that is missing, gets random effects of 0 rather than an
            error.

        Examples
        --------
        >>> import mixedpy as mp
        >>> cbpp = mp.datasets.load("cbpp")
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
        >>> fit.predict(cbpp.head(2), re_form="NA", type="response").round(4).tolist()
        [0.198, 0.0839]
        """
        if type not in ("link", "response"):
            raise ValueError(f"type={type!r} is unknown; use 'link' or 'response'")
        chosen = selection.select(self.schema, re_form)
        if newdata is None:
            parts, xi = of_fit(self.design, self.schema, self.record), auxiliary_predictors(self.record)
        else:
            check_offset_is_a_column(self.request)
            parts = of_table(self.schema, self.record, newdata, chosen=chosen)
            xi = new_auxiliary_predictors(self.schema, self.record, newdata)
        eta = predict(parts, self.schema, self.record, chosen, newdata is None or allow_new_levels)
        values = eta if type == "link" else self.record.family.mean(eta, xi)
        return rows.on_rows(self.schema, values) if newdata is None else pd.Series(values, index=parts.index)

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
            Rows to simulate; by default those of the fit.
        re_form : str, optional
            Random effects held at their conditional modes: ``"NA"`` for none (all are drawn anew), None for all, or a
            formula of whole terms.

        Returns
        -------
        DataFrame
            n x nsim, columns ``sim_1``, ``sim_2``, ...
        """
        y, index = self._draw(nsim, seed, newdata, re_form)
        columns = [f"sim_{i}" for i in range(1, nsim + 1)]
        if newdata is None:
            return rows.frame_on_rows(self.schema, y, columns)
        return pd.DataFrame(y, index=index, columns=columns)

    def _draw(
        self, nsim: int, seed: int | np.random.Generator | None, newdata: Any, re_form: str | None
    ) -> tuple[npt.NDArray[np.float64], pd.Index[Any]]:
        given = selection.select(self.schema, re_form)
        if newdata is None:
            parts, xi = of_fit(self.design, self.schema, self.record), auxiliary_predictors(self.record)
        else:
            check_offset_is_a_column(self.request)
            fitting.check_trials_are_a_column(self.schema, self.request)
            parts = of_table(self.schema, self.record, newdata, weights=True)
            xi = new_auxiliary_predictors(self.schema, self.record, newdata)
        return simulate_glmm(parts, self.schema, self.record, xi, given, nsim=nsim, seed=seed), parts.index

    def residuals(
        self, kind: GlmmKind = "deviance", level: Level = "conditional", seed: int | None = None
    ) -> pd.Series[float]:
        """Return residuals on the rows of the table.

        Parameters
        ----------
        kind : {"response", "pearson", "deviance", "scaled", "quantile"}
            Observed less fitted; over the square root of the variance function; signed roots of the unit deviances
            (lme4's default); Pearson residuals over sigma; randomized quantile residuals.
        level : {"conditional", "marginal"}
            Whether the fitted values include the random effects.
        seed : int, optional
            Source of the random numbers of quantile residuals of a discrete response.
        """
        return rows.on_rows(self.schema, glmm_residuals(self.design, self.record, kind, level, seed))

    def simulated_residuals(
        self, nsim: int = 250, seed: int | None = None, re_form: str | None = "NA"
    ) -> SimulatedResiduals:
        """Place every response among responses simulated from the fit, as R's DHARMa.

        Parameters
        ----------
        nsim : int
            Number of simulations.
        seed : int, optional
            Source of the random numbers.
        re_form : str, optional
            Random effects held at their conditional modes; by default all are drawn anew.

        Returns
        -------
        SimulatedResiduals
            Scaled residuals; ``.table()`` tests uniformity, dispersion, zero-inflation and outliers.
        """
        rng = np.random.default_rng(seed)
        simulated = self._draw(nsim, rng, None, re_form)[0]
        y = self.design.y
        residuals = rows.on_rows(self.schema, scaled_residuals(y, simulated, rng))
        return SimulatedResiduals(residuals, y, simulated.mean(axis=1), simulated)

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
        held = selection.select(self.schema, re_form)
        if newdata is None:
            parts, xi = of_fit(self.design, self.schema, self.record), auxiliary_predictors(self.record)
        else:
            check_offset_is_a_column(self.request)
            parts = of_table(self.schema, self.record, newdata)
            xi = new_auxiliary_predictors(self.schema, self.record, newdata)
        eta = predict(parts, self.schema, self.record, held, newdata is None)
        means = population_mean(parts, self.record, xi, eta, held)
        return rows.on_rows(self.schema, means) if newdata is None else pd.Series(means, index=parts.index)

    def refit(self, y: npt.ArrayLike) -> GlmmFit:
        """Fit the same model to another response, for example a column of ``simulate``.

        Parameters
        ----------
        y : (n,) array
            The response of the rows used, or of all rows of the table; proportions where the weights are trials.
        """
        design = replace(self.design, y=rows.response(self.schema, y))
        fitting.check_response(design, self.schema, self.record.family)
        record = fitting.estimate_built(
            design, self.schema, self.record.family, self.record.auxiliary, self.request, None
        )
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
        start: npt.ArrayLike | None = None,
        control: Control | Keep = KEEP,
        functions: Mapping[str, Callable[..., Any]] | Keep | None = KEEP,
    ) -> GlmmFit:
        """Fit again with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            The new formula; a dot stands for the old left or right side, as in R: ``". ~ . + x - (1 | g)"``.
        data, family, nagq, laplace, ziformula, weights, offset, contrasts, covariances, na_action, control, functions
            As for :func:`mixedpy.glmer`; those not given stay as they were.
        start : array, optional
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
        new = self.request.formula if formula is None else update_formula(self.formula, formula)
        return fit_glmm_request(replace(self.request, formula=new, start=start, **changed))

    def __str__(self) -> str:
        return print_text(glmm_print_record(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return print_html(glmm_print_record(self))


def fit_glmm_request(request: GlmmRequest) -> GlmmFit:
    """Build the design that a request describes, estimate, and warn where the estimate calls for it."""
    built, family = fitting.build_glmm(request)
    start = None if request.start is None else names.start_values(built.design, built.schema, request.start)
    auxiliary = fitting.auxiliary_columns(built, family)
    record = fitting.estimate_built(built.design, built.schema, family, auxiliary, request, start)
    fitting.warn_glmm(built.design, built.schema, record, request.control)
    return GlmmFit(record, built.design, built.schema, request)
