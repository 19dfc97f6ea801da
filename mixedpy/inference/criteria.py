"""Likelihood, deviance and information criteria of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord

__all__ = ["Criteria", "criteria"]


@dataclass(frozen=True, slots=True)
class Criteria:
    """Criteria of a fit, those of a REML fit from its REML criterion, as R has them.

    Attributes
    ----------
    npar : int
        Parameters: p fixed effects, the covariance parameters theta and the residual variance, or what the family of a
        generalized fit has in its place.
    df_resid : int
        Rows less parameters.
    deviance : float
        -2 log-likelihood; the REML criterion of a REML fit.
    """

    npar: int
    df_resid: int
    deviance: float

    @property
    def nobs(self) -> int:
        """Number of rows."""
        return self.npar + self.df_resid

    @property
    def loglik(self) -> float:
        """Log-likelihood, restricted for a REML fit."""
        return -0.5 * self.deviance

    @property
    def aic(self) -> float:
        """Akaike's criterion, deviance + 2 npar."""
        return self.deviance + 2.0 * self.npar

    @property
    def aicc(self) -> float:
        """AIC with Hurvich & Tsai's (1989) correction for small n; infinite where n <= npar + 1."""
        room = self.df_resid - 1
        return self.aic + 2.0 * self.npar * (self.npar + 1) / room if room > 0 else inf

    @property
    def bic(self) -> float:
        """Schwarz's criterion, deviance + npar log n, with n the number of rows."""
        return self.deviance + self.npar * log(self.nobs)


def criteria(record: FitRecord | GlmmRecord) -> Criteria:
    """Count the parameters of a fit and collect its criteria."""
    npar = record.npar if isinstance(record, GlmmRecord) else record.p + len(record.theta) + 1
    return Criteria(npar=npar, df_resid=record.n - npar, deviance=record.criterion)
