"""``glmer`` and ``glmer_nb``: formula and table -> fitted generalized linear mixed model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mixedpy.core.control import Control
from mixedpy.core.family import Family, NegativeBinomial2
from mixedpy.models.generalized.request import GlmmRequest, Start, Weights
from mixedpy.models.glmm import GlmmFit, fit_glmm_request
from mixedpy.models.request import DEFAULT_CONTROL, Column, NaAction

__all__ = ["glmer", "glmer_nb"]


def glmer(
    formula: str,
    data: Any,
    *,
    family: str | Family = "binomial",
    nagq: int = 1,
    laplace: Weights = "observed",
    ziformula: str | None = None,
    weights: Column = None,
    offset: Column = None,
    contrasts: Mapping[str, Any] | None = None,
    covariances: Mapping[str, str] | None = None,
    na_action: NaAction = "drop",
    start: Start = None,
    control: Control = DEFAULT_CONTROL,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> GlmmFit:
    """Fit a generalized linear mixed model by maximum likelihood.

    Parameters
    ----------
    formula : str
        As in lme4: ``"y ~ x + (x | g)"``. A binomial response is 0/1, boolean, a factor of two levels, a proportion
        with ``weights``, or ``cbind(successes, failures)``.
    data : DataFrame, Table or mapping
        A table; only columns that are named are read.
    family : str or Family
        ``"binomial"``, ``"poisson"``, ``"gamma"``, ``"inverse_gaussian"``, ``"gaussian"``, ``"nbinom2"``,
        ``"nbinom1"``, ``"beta"``, ``"beta_binomial"``, ``"zero_inflated_poisson"``, ``"hurdle_nbinom2"``, ...; with a
        link as in ``"binomial(probit)"``; or a family such as ``mp.Binomial(link="probit")``.
    nagq : int
        Nodes of adaptive Gauss-Hermite quadrature per effect: 1 is the Laplace approximation; 2 to 25 need a single
        random term with at most three effects per level; 0 is lme4's fast fit, in which fixed effects are part of the
        mode.
    laplace : {"observed", "expected"}
        Weights in the determinant of the Laplace approximation. ``"observed"`` is the Laplace approximation itself, as
        in glmmTMB; ``"expected"`` reproduces lme4. They agree for canonical links.
    ziformula : str, optional
        One-sided formula of the zeros, ``"~ x"``: makes a family of counts zero-inflated, and gives the predictors of
        the zeros of a hurdle family; by default an intercept.
    weights : str or (n,) array, optional
        Numbers of trials of a binomial response, or what multiplies those of ``cbind``; weights that divide the
        dispersion of gaussian, gamma and inverse gaussian responses; frequencies otherwise.
    offset : str or (n,) array, optional
        Known part of the linear predictor. As for :func:`mixedpy.lmer` a Series is aligned by its row labels.
    contrasts, covariances, na_action, functions
        As for :func:`mixedpy.lmer`.
    start : array or dict, optional
        Starting values of ``theta``, in the order of ``fit.theta``; or a dict with entries ``theta`` and ``fixef``, as
        lme4's list.
    control : Control
        How the fit is computed.

    Returns
    -------
    GlmmFit
        Estimates, and methods for all that follows from them.

    Raises
    ------
    FormulaError
        If the formula cannot be read, or ``nagq`` does not suit its random terms.
    DataError
        If a column is missing, or the response is outside the family's support.

    Warns
    -----
    SeparationWarning
        If fixed effects tell some responses apart completely.
    ConvergenceWarning
        If the optimizer stopped early.
    SingularFitWarning
        If a variance is estimated as zero or a correlation as plus or minus one.

    Notes
    -----
    Random effects have covariance Lambda Lambda', not multiplied by a dispersion. The log-likelihood holds every
    constant at any ``nagq``; lme4's lacks those of the response for nAGQ > 1.

    Examples
    --------
    >>> import mixedpy as mp
    >>> cbpp = mp.datasets.load("cbpp")
    >>> print(mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp, family="binomial"))
    Generalized linear mixed model fit by maximum likelihood (Laplace
      Approximation) [glmerMod]
     Family: binomial  ( logit )
    Formula: cbind(incidence, size - incidence) ~ period + (1 | herd)
       Data: cbpp
          AIC       BIC    logLik  deviance  df.resid
     194.0526  204.1793  -92.0263  184.0526        51
    Random effects:
     Groups Name        Std.Dev.
     herd   (Intercept) 0.6423
    Number of obs: 56, groups:  herd, 15
    Fixed Effects:
    (Intercept)      period2      period3      period4
         -1.3985      -0.9923      -1.1287      -1.5803
    """
    request = GlmmRequest(
        formula, data, family, nagq, laplace, ziformula, weights, offset, contrasts, covariances, na_action, start,
        control, functions,
    )  # fmt: skip
    return fit_glmm_request(request)


def glmer_nb(
    formula: str,
    data: Any,
    *,
    link: str = "log",
    nagq: int = 1,
    laplace: Weights = "observed",
    ziformula: str | None = None,
    weights: Column = None,
    offset: Column = None,
    contrasts: Mapping[str, Any] | None = None,
    covariances: Mapping[str, str] | None = None,
    na_action: NaAction = "drop",
    start: Start = None,
    control: Control = DEFAULT_CONTROL,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> GlmmFit:
    """Fit a negative binomial mixed model with variance mu + mu^2 / size, the size estimated jointly.

    Parameters
    ----------
    formula, data, nagq, ziformula, weights, offset, contrasts, covariances, na_action, start, control, functions
        As for :func:`mixedpy.glmer`.
    laplace : {"observed"}
        As for :func:`mixedpy.glmer`; this family has no expected weights, so that "expected" is refused.
    link : {"log", "identity"}
        Link function.

    Returns
    -------
    GlmmFit
        ``fit.auxiliary["log(size)"]`` is the logarithm of the size.

    Examples
    --------
    >>> import mixedpy as mp
    >>> fit = mp.glmer_nb("TICKS ~ YEAR + (1 | BROOD)", mp.datasets.load("grouseticks"))
    >>> fit.family
    'negative binomial'
    """
    request = GlmmRequest(
        formula, data, NegativeBinomial2(link), nagq, laplace, ziformula, weights, offset, contrasts, covariances,
        na_action, start, control, functions,
    )  # fmt: skip
    return fit_glmm_request(request)
