"""The part of a fit's methods that says how much the model explains; each is a line of delegation."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pandas as pd

from mixedpy.inference.caic import conditional_aic
from mixedpy.inference.icc import icc, r2, variance_table, variances
from mixedpy.models.memo import blocks_of

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["Explaining"]


class Explaining:
    """R2, intraclass correlations and the conditional AIC of a linear mixed model."""

    __slots__ = ()

    def r2(self) -> pd.Series[float]:
        """Return Nakagawa and Schielzeth's R2: the shares of variance that the model explains.

        Returns
        -------
        Series
            ``marginal``: by the fixed effects; ``conditional``: by fixed and random effects.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.r2().round(4).to_dict()
        {'marginal': 0.2787, 'conditional': 0.7992}
        """
        fit = _fit(self)
        return r2(variances(fit.design, fit.schema, fit.record))

    def icc(self, adjusted: bool = True) -> float:
        """Return the intraclass correlation: the random effects' share of the variance.

        Parameters
        ----------
        adjusted : bool
            Whether the share is in the variance beside the fixed effects, rather than in all variance.
        """
        fit = _fit(self)
        return float(icc(variances(fit.design, fit.schema, fit.record), adjusted=adjusted).sum())

    def icc_by_term(self, adjusted: bool = True) -> pd.Series[float]:
        """Return the share of each random term in the variance, as of :meth:`icc`, which is their sum.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mp.datasets.load("Penicillin"))
        >>> fit.icc_by_term().round(3).to_dict()
        {'plate': 0.151, 'sample': 0.785}
        """
        fit = _fit(self)
        shares = icc(variances(fit.design, fit.schema, fit.record), adjusted=adjusted)
        return pd.Series(shares, [term.name for term in fit.schema.terms], name="ICC")

    def variance_explained(self) -> pd.DataFrame:
        """Return the variance of the response by source, and its shares, which add up to one.

        A fixed term has its covariance with the whole fixed part, a random term its variance averaged over the rows.

        Returns
        -------
        DataFrame
            Columns ``variance`` and ``share``; rows by kind ("fixed", "random", "residual") and source.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("angle ~ recipe + temp + (1 | recipe:replicate)", mp.datasets.load("cake"))
        >>> fit.variance_explained().round(3)
                                   variance  share
        kind     source
        fixed    recipe               0.502  0.007
                 temp                 7.311  0.104
        random   recipe:replicate    41.798  0.594
        residual Residual            20.707  0.294
        """
        fit = _fit(self)
        return variance_table(fit.schema, variances(fit.design, fit.schema, fit.record))

    def caic(self) -> pd.Series[float]:
        """Return the conditional AIC of Greven and Kneib, which judges predictions for the levels at hand.

        Returns
        -------
        Series
            ``caic``; ``df``, the effective degrees of freedom with the estimation of the covariance parameters and the
            residual variance counted; ``loglik`` given the conditional modes.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.caic().round(1).to_dict()
        {'caic': 1711.5, 'df': 31.3, 'loglik': -824.5}
        """
        fit = _fit(self)
        found = conditional_aic(fit.design, fit.record, blocks_of(fit))
        return pd.Series({"caic": found.caic, "df": found.df, "loglik": found.loglik})


def _fit(methods: Explaining) -> LmmFit:
    return cast("LmmFit", methods)
