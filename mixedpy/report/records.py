"""The plain tables behind every print-out: numbers and names, no fit object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CoefTable",
    "Criteria",
    "FitHeader",
    "Floats",
    "Notes",
    "PrintRecord",
    "SummaryRecord",
    "VarCorrRecord",
    "VarCorrTerm",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VarCorrTerm:
    """Standard deviations and correlations of one random term with m effects.

    Attributes
    ----------
    name : str
        Label of the term, "Subject" or "Subject.1".
    effects : tuple of str
        The m effects as R names them, "(Intercept)", "Days".
    sd : (m,) array
        Standard deviations, in units of the response.
    corr : (m, m) array
        Correlations; NaN in row and column of an effect with standard deviation zero.
    template : str
        Kind of covariance matrix: "us" (unstructured), "diag", "cs" (compound symmetry) or "ar1".
    hom : bool
        Whether the effects share one standard deviation, which then stands beside the first of them.
    """

    name: str
    effects: tuple[str, ...]
    sd: Floats
    corr: Floats
    template: str = "us"
    hom: bool = False


@dataclass(frozen=True, slots=True)
class VarCorrRecord:
    """Random-effects part of a fit.

    Attributes
    ----------
    terms : tuple of VarCorrTerm
        The random terms in R's order.
    sigma : float or None
        Residual standard deviation; None for a family without a scale, whose print-out has no Residual row.
    """

    terms: tuple[VarCorrTerm, ...]
    sigma: float | None


@dataclass(frozen=True, slots=True)
class FitHeader:
    """What was fitted to what.

    Attributes
    ----------
    reml : bool
        Whether the REML criterion was minimized.
    formula : str
        The formula on one line, spaced as R deparses it.
    data_name, weights_name, offset_name : str or None
        Names for the lines Data, Weights and Offset; None leaves the line out.
    family, link : str or None
        Response distribution and link; None for a linear mixed model.
    nagq : int
        Quadrature points per random effect of a generalized model; 1 is the Laplace approximation.
    """

    reml: bool
    formula: str
    data_name: str | None = None
    weights_name: str | None = None
    offset_name: str | None = None
    family: str | None = None
    link: str | None = None
    nagq: int = 1


@dataclass(frozen=True, slots=True)
class Criteria:
    """The fit criteria: ``reml_criterion`` of a REML fit, the five others of a maximum-likelihood fit.

    Attributes
    ----------
    reml_criterion : float or None
        The REML criterion; None says that this is a maximum-likelihood fit.
    aic, bic, loglik, deviance : float or None
        Criteria of a maximum-likelihood fit.
    df_resid : int or None
        Observations less parameters.
    """

    reml_criterion: float | None = None
    aic: float | None = None
    bic: float | None = None
    loglik: float | None = None
    deviance: float | None = None
    df_resid: int | None = None


@dataclass(frozen=True, slots=True)
class Notes:
    """Sizes and warnings.

    Attributes
    ----------
    nobs : int
        Rows used.
    ngroups : tuple of (str, int)
        Grouping factors and their numbers of levels, in R's order.
    singular : bool
        Whether the estimate lies on the boundary.
    converged : bool
        Whether the optimizer's criteria for convergence were met.
    message : str or None
        Why not, where ``converged`` is false.
    dropped : tuple of str
        Aliased columns left out of the fixed effects.
    n_missing_rows : int
        Rows left out for missing values.
    loglik_se : float
        Monte-Carlo standard error of the log-likelihood; 0 where it is exact.
    """

    nobs: int
    ngroups: tuple[tuple[str, int], ...]
    singular: bool = False
    converged: bool = True
    message: str | None = None
    dropped: tuple[str, ...] = ()
    n_missing_rows: int = 0
    loglik_se: float = 0.0


@dataclass(frozen=True, slots=True)
class CoefTable:
    """The table of p fixed effects.

    Attributes
    ----------
    names : tuple of str
        Coefficient names.
    estimate, se, t : (p,) arrays
        Estimates, standard errors and their ratios.
    df : (p,) array or None
        Denominator degrees of freedom; None leaves the column out.
    pvalue : (p,) array or None
        Two-sided p values; None leaves column, stars and legend out.
    ddf_label : str or None
        Method of the degrees of freedom as the title names it, "Satterthwaite's" or "Kenward-Roger's".
    statistic : str
        "t", or "z" for a generalized model without a scale.
    p_statistic : str or None
        Statistic in the heading of the p values where that differs: "z" for a generalized model with a scale.
    """

    names: tuple[str, ...]
    estimate: Floats
    se: Floats
    t: Floats
    df: Floats | None = None
    pvalue: Floats | None = None
    ddf_label: str | None = None
    statistic: str = "t"
    p_statistic: str | None = None


@dataclass(frozen=True, slots=True)
class PrintRecord:
    """What ``print(fit)`` shows.

    Attributes
    ----------
    fixef_names : tuple of str
        Names of the p fixed effects.
    fixef : (p,) array
        Their estimates.
    """

    header: FitHeader
    criteria: Criteria
    varcorr: VarCorrRecord
    notes: Notes
    fixef_names: tuple[str, ...]
    fixef: Floats


@dataclass(frozen=True, slots=True)
class SummaryRecord:
    """What ``print(summary(fit))`` shows.

    Attributes
    ----------
    scaled_residuals : (5,) array
        Minimum, quartiles and maximum of the scaled residuals.
    correlation : (p, p) array or None
        Correlation of the fixed-effects estimates; None leaves the block out.
    own : CoefTable or None
        Parameters of the distribution that no other part of the print-out has, such as those of its zeros.
    """

    header: FitHeader
    criteria: Criteria
    scaled_residuals: Floats
    varcorr: VarCorrRecord
    notes: Notes
    coef: CoefTable
    correlation: Floats | None = None
    own: CoefTable | None = None
