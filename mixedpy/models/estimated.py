"""The estimates of a fit, linear or generalized, with names; each is a line of delegation."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mixedpy.inference import names
from mixedpy.inference.criteria import criteria
from mixedpy.inference.ranef import coef, ranef
from mixedpy.inference.singular import singular_terms
from mixedpy.inference.varcorr import variance_components
from mixedpy.inference.vcov import joint_vcov, vcov
from mixedpy.models.varcorr import VarCorr

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit

__all__ = ["Estimated"]


class Estimated:
    """Estimates of a mixed model."""

    __slots__ = ()

    @property
    def formula(self: Fit) -> str:  # type: ignore[misc]
        """The formula, spaced as R deparses it."""
        return str(self.schema.formula)

    @property
    def nobs(self: Fit) -> int:  # type: ignore[misc]
        """Number of rows used."""
        return self.record.n

    @property
    def ngroups(self: Fit) -> dict[str, int]:  # type: ignore[misc]
        """Number of levels of each grouping factor, in the order of the print-out."""
        return {term.group: len(term.levels) for term in self.schema.terms}

    @property
    def fixef(self: Fit) -> pd.Series[float]:  # type: ignore[misc]
        """Fixed effects, on the scale of the link."""
        return pd.Series(self.record.beta.copy(), index=list(self.schema.fixed_names))

    @property
    def se(self: Fit) -> pd.Series[float]:  # type: ignore[misc]
        """Standard errors of the fixed effects; of a generalized fit from the joint Hessian of all parameters."""
        return pd.Series(np.sqrt(np.diag(self.record.fixed_vcov)), index=list(self.schema.fixed_names))

    @property
    def theta(self: Fit) -> pd.Series[float]:  # type: ignore[misc]
        """Covariance parameters: entries of the factors Lambda, named as lme4 names them.

        Random effects have covariance sigma^2 Lambda Lambda' in a linear model, Lambda Lambda' in a generalized one.
        """
        return pd.Series(self.record.theta.copy(), index=names.theta_names(self.design, self.schema))

    @property
    def sigma(self: Fit) -> float:  # type: ignore[misc]
        """Residual standard deviation; of a generalized fit the root of the dispersion, 1 for a family without one."""
        return self.record.sigma

    @property
    def loglik(self: Fit) -> float:  # type: ignore[misc]
        """Log-likelihood with every constant; the restricted one of a REML fit."""
        return criteria(self.record).loglik

    @property
    def deviance(self: Fit) -> float:  # type: ignore[misc]
        """-2 log-likelihood; the REML criterion of a REML fit."""
        return criteria(self.record).deviance

    @property
    def aic(self: Fit) -> float:  # type: ignore[misc]
        """Akaike's information criterion."""
        return criteria(self.record).aic

    @property
    def aicc(self: Fit) -> float:  # type: ignore[misc]
        """AIC corrected for a small number of rows."""
        return criteria(self.record).aicc

    @property
    def bic(self: Fit) -> float:  # type: ignore[misc]
        """Schwarz's information criterion, with n the number of rows."""
        return criteria(self.record).bic

    @property
    def df_resid(self: Fit) -> int:  # type: ignore[misc]
        """Rows less parameters: fixed effects, theta and the residual variance, or the family's own."""
        return criteria(self.record).df_resid

    @property
    def converged(self: Fit) -> bool:  # type: ignore[misc]
        """Whether the optimizer's criteria for convergence were met."""
        return self.record.convergence.converged

    @property
    def singular(self: Fit) -> bool:  # type: ignore[misc]
        """Whether a variance is zero or a correlation one, to within ``Control.singular_tol``."""
        return bool(singular_terms(self.design, self.schema, self.record, self.request.control.singular_tol))

    @property
    def optinfo(self: Fit) -> dict[str, Any]:  # type: ignore[misc]
        """The optimizer's account of itself, as a dictionary."""
        found = self.record.convergence
        return {**asdict(found), "status": found.status.name, "converged": found.converged}

    def ranef(self: Fit, condvar: bool = False) -> dict[str, pd.DataFrame]:  # type: ignore[misc]
        """Return the conditional modes of the random effects, on the scale of the link.

        Parameters
        ----------
        condvar : bool
            Whether to add columns ``<effect>_sd``, the standard deviations given the data (lme4's ``condVar``).

        Returns
        -------
        dict of str to DataFrame
            Per grouping factor a table level x effect.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.ranef()["Subject"].loc["308"].round(2).to_dict()
        {'(Intercept)': 2.26, 'Days': 9.2}
        """
        return ranef(self.design, self.schema, self.record, condvar=condvar)

    def coef(self: Fit) -> dict[str, pd.DataFrame]:  # type: ignore[misc]
        """Return the sum of fixed effects and conditional modes per grouping factor and level."""
        return coef(self.design, self.schema, self.record)

    def varcorr(self: Fit) -> VarCorr:  # type: ignore[misc]
        """Return the covariances of the random effects; the result prints as R's ``VarCorr(m)``."""
        return VarCorr(variance_components(self.design, self.schema, self.record))

    def vcov(self: Fit, full: bool = False) -> pd.DataFrame:  # type: ignore[misc]
        """Return the covariance matrix of the fixed effects.

        Parameters
        ----------
        full : bool
            Whether to add the family's own coefficients, of a generalized fit, and the errors of the random effects.

        Returns
        -------
        DataFrame
            p x p, or with ``full`` the joint matrix: fixed effects, the family's own coefficients (``fit.auxiliary``),
            random effects named ``term.level.effect``.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer_nb("TICKS ~ YEAR + (1 | BROOD)", mp.datasets.load("grouseticks"))
        >>> fit.vcov(full=True).index[:5].tolist()
        ['(Intercept)', 'YEAR96', 'YEAR97', 'log(size)', 'BROOD.501.(Intercept)']
        """
        return joint_vcov(self.design, self.schema, self.record) if full else vcov(self.schema, self.record)
