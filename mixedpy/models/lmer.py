"""``lmer``: formula and table -> fitted linear mixed model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from mixedpy.core.control import Control
from mixedpy.models.lmm import LmmFit, fit_request
from mixedpy.models.request import DEFAULT_CONTROL, Column, NaAction, Request

__all__ = ["lmer"]


def lmer(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Column = None,
    offset: Column = None,
    contrasts: Mapping[str, Any] | None = None,
    covariances: Mapping[str, str] | None = None,
    na_action: NaAction = "drop",
    start: npt.ArrayLike | None = None,
    control: Control = DEFAULT_CONTROL,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> LmmFit:
    """Fit a linear mixed model by REML or maximum likelihood.

    Parameters
    ----------
    formula : str
        As in lme4: ``"y ~ x + (x | g)"``.
    data : DataFrame or mapping
        A pandas table, or a dict of columns of equal length. It is not modified.
    reml : bool
        Whether to minimize the REML criterion rather than the deviance of maximum likelihood.
    weights : str or (n,) array, optional
        Prior weights, a column name or values: the residual variance of row i is sigma^2 / weights[i].
    offset : str or (n,) array, optional
        Known part of the linear predictor. A Series of weights or offsets is aligned with the table by its row labels;
        arrays and lists are in the order of the rows.
    contrasts : dict, optional
        Coding of factors of the fixed part, column name -> ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"``,
        ``"sdif"``, ``"SAS"`` or a matrix; by default R's.
    covariances : dict, optional
        Structure of the covariance matrices of terms whose structure the formula does not name, grouping factor or
        term -> ``"us"`` (unstructured, the default), ``"diag"``, ``"cs"`` (compound symmetry) or ``"ar1"``; with one
        standard deviation for all effects ``"homdiag"``, ``"homcs"`` (as ``"ar1"`` has anyway), or with one each
        ``"hetar1"``.
    na_action : {"drop", "exclude", "raise"}
        What to do with rows with missing values: leave them out; leave them out and pad residuals and fitted values
        with NaN; or raise an error.
    start : array, optional
        Starting values of ``theta``, in the order of ``fit.theta``, or a Series with its names.
    control : Control
        How the fit is computed.
    functions : dict, optional
        Functions that the formula may call beside those it knows, name -> function. They get columns as arrays of the
        rows used, factors as arrays of labels, and return one value (or one row) for each, which must follow from that
        row alone: they are called again for new rows.

    Returns
    -------
    LmmFit
        Estimates, and methods for all that follows from them.

    Raises
    ------
    FormulaError
        If the formula cannot be read; the message points into it.
    DataError
        If a column is missing or does not suit the model.
    MixedpyError
        If the criterion cannot be computed, as when the predictors determine the response exactly.

    Warns
    -----
    ConvergenceWarning
        If the optimizer stopped early.
    SingularFitWarning
        If a variance is estimated as zero or a correlation as plus or minus one.
    RankDeficiencyWarning
        If columns of the fixed part were dropped because they depend on others.

    Notes
    -----
    The criterion is that of Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), section 3.

    Examples
    --------
    >>> import mixedpy as mp
    >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
    >>> round(fit.reml_criterion, 3)
    1743.628
    >>> print(fit)
    Linear mixed model fit by REML ['lmerMod']
    Formula: Reaction ~ Days + (Days | Subject)
       Data: sleepstudy
    REML criterion at convergence: 1743.628
    Random effects:
     Groups   Name        Std.Dev. Corr
     Subject  (Intercept) 24.741
              Days         5.922   0.07
     Residual             25.592
    Number of obs: 180, groups:  Subject, 18
    Fixed Effects:
    (Intercept)         Days
         251.41        10.47
    """
    request = Request(
        formula, data, reml, weights, offset, contrasts, covariances, na_action, start, control, functions
    )
    return fit_request(request)
