"""The part of a generalized fit's methods that tests hypotheses; each is one line of delegation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy.typing as npt
import pandas as pd

from mixedpy.inference.grid import Weights
from mixedpy.models import fixedtests
from mixedpy.models.comparing.comparable import check_fits, check_likelihoods, check_names, check_same_data
from mixedpy.models.comparing.ratios import Comparison, order_by_size, ratio_table
from mixedpy.models.generalized.waldtests import drop1, wald_anova
from mixedpy.models.means.emmeans import MeansTable, Scale, emmeans, emtrends
from mixedpy.models.means.joint_tests import JointTable, joint_tests
from mixedpy.models.printed import AnovaTable
from mixedpy.models.testing import RandomTesting

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["GlmmTesting"]


class GlmmTesting(RandomTesting):
    """Tests of fixed effects of a generalized linear mixed model, by the normal and chi-square distributions."""

    __slots__ = ()

    def anova(self, type: int | str = 3) -> AnovaTable:
        """Test every term of the fixed part by a Wald chi-square.

        Parameters
        ----------
        type : {1, 2, 3}
            Type of the hypotheses, whatever contrasts the model was fitted with. I: each term given those before it.
            II: each term given all that do not contain it. III: each term at equal weights of the cells.

        Returns
        -------
        AnovaTable
            A DataFrame with a row for each term, columns ``Chisq``, ``Df`` and ``Pr(>Chisq)``, that prints as in R.

        Raises
        ------
        DataError
            For type III, if the table was changed after the fit.

        Warns
        -----
        RankDeficiencyWarning
            For type III, if cells are empty.

        Notes
        -----
        Types I and II are those of R's ``car::Anova``. For type III ``car`` tests the coefficients as they are, which
        with contrasts that sum to zero is the same as here, and with R's treatment contrasts is not what type III
        means.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> fit.anova()
        Analysis of Deviance Table (Type III Wald chisquare tests)
        <BLANKLINE>
        Response: cbind(incidence, size - incidence)
                Chisq Df Pr(>Chisq)
        period 24.949  3  1.583e-05 ***
        ---
        Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
        """
        return wald_anova(_fit(self), type)

    def drop1(self, scope: str | Sequence[str] | None = None) -> AnovaTable:
        """Test the deletion of single fixed terms by likelihood ratios, as R's ``drop1(m, test = "Chisq")``.

        Parameters
        ----------
        scope : str or sequence of str, optional
            Terms to drop; by default all that are part of no other term.

        Returns
        -------
        AnovaTable
            ``npar`` (parameters of the term), ``AIC`` without it, ``LRT`` and ``Pr(Chi)``.

        Raises
        ------
        DataError
            If a term cannot be dropped on its own, the reduced model would use other rows, or the table was changed
            after the fit.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> fit.drop1()
        Single term deletions
        <BLANKLINE>
        Model:
        cbind(incidence, size - incidence) ~ period + (1 | herd)
               npar    AIC   LRT   Pr(Chi)
        <none>      194.05
        period    3 213.66 25.61 1.151e-05 ***
        ---
        Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
        """
        return drop1(_fit(self), scope)

    def contrast(
        self,
        L: npt.ArrayLike | Mapping[str, Any] | str | Sequence[Any],
        *,
        rhs: npt.ArrayLike = 0.0,
        joint: bool = False,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Test linear combinations of the fixed effects.

        Parameters
        ----------
        L : array (p,) or (r, p), mapping, str, or sequence of these
            The combinations: weights in the order of ``fixef``, or by the coefficients' names; a sum of coefficients,
            ``"Ab - Ac"``; a coefficient's name; or a term, for all its coefficients. A mapping of mappings, vectors or
            sums names the rows.
        rhs : float or (r,) array
            Values under the hypothesis, on the scale of the link.
        joint : bool
            Whether to test all rows together, by a chi-square, rather than each on its own.
        level : float
            Of the confidence intervals of single tests.

        Returns
        -------
        DataFrame
            A row for each combination with its z test and confidence interval; or the table of the joint test.

        Raises
        ------
        DataError
            If a row has the wrong length, names an unknown coefficient, or is zero.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> fit.contrast("period3 - period2").round(3)
                           Estimate  Std. Error  z value  lower  upper  Pr(>|z|)
        period3 - period2    -0.136       0.381   -0.358 -0.883   0.61      0.72
        >>> fit.contrast(["period2", "period3"], joint=True).round(3).loc["L"].tolist()
        [17.545, 2.0, 0.0]
        """
        return fixedtests.contrast(_fit(self), L, rhs, None, joint, level)

    def emmeans(
        self,
        specs: str | Sequence[str],
        by: str | Sequence[str] | None = None,
        *,
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
        type: Scale = "link",
        level: float = 0.95,
        adjust: str | None = None,
    ) -> MeansTable:
        """Estimate marginal means: averages of linear predictors over a grid of the predictors' reference values.

        Parameters
        ----------
        specs, by, at, weights, level, adjust
            As for :meth:`LmmFit.emmeans`.
        type : {"link", "response"}
            Whether to bring the means, averaged on the scale of the link, back to the scale of the response. Contrasts
            are then ratios where the link is a logarithm, odds ratios where it is a logit, and stay on the scale of any
            other link. Of counts with a process of zeros the mean is that of the counts.

        Returns
        -------
        MeansTable
            A DataFrame with a row for each mean, at random effects of zero; its ``contrast``, ``pairs``, ``confint``
            and ``test`` go on from there. Means that the data do not determine are NaN.

        Raises
        ------
        DataError
            If a name is no predictor, or the table was changed after the fit.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> means = fit.emmeans("period", at={"period": ["1", "2"]}, type="response")
        >>> means
         period   prob     SE  df asymp.LCL asymp.UCL
         1      0.1980 0.0369 Inf    0.1354     0.280
         2      0.0839 0.0238 Inf    0.0475     0.144
        <BLANKLINE>
        Confidence level used: 0.95
        Intervals are back-transformed from the logit scale
        >>> means.pairs()
         contrast          odds.ratio    SE  df null z.ratio p.value
         period1 / period2        2.7 0.827 Inf    1   3.236  0.0012
        <BLANKLINE>
        Tests are performed on the log odds ratio scale
        """
        return emmeans(_fit(self), specs, by, at, weights, type, None, level, adjust)

    def emtrends(
        self,
        specs: str | Sequence[str],
        var: str,
        by: str | Sequence[str] | None = None,
        *,
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
        level: float = 0.95,
        adjust: str | None = None,
    ) -> MeansTable:
        """Estimate slopes of the linear predictor in a numeric predictor, averaged over a grid of the others.

        Parameters
        ----------
        specs, var, by, at, weights, level, adjust
            As for :meth:`LmmFit.emtrends`.

        Returns
        -------
        MeansTable
            With the slopes, on the scale of the link, in a column ``<var>.trend``.

        Raises
        ------
        DataError
            If ``var`` is no numeric predictor.

        Examples
        --------
        >>> import mixedpy as mp
        >>> ticks = mp.datasets.load("grouseticks")
        >>> fit = mp.glmer("TICKS ~ YEAR * cHEIGHT + (1 | BROOD)", ticks, family="poisson")
        >>> fit.emtrends("YEAR", "cHEIGHT").round(4)["cHEIGHT.trend"].tolist()
        [-0.0352, -0.0173, -0.0215]
        """
        return emtrends(_fit(self), specs, var, by, at, weights, None, level, adjust)

    def joint_tests(
        self,
        by: str | Sequence[str] | None = None,
        *,
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
    ) -> JointTable:
        """Test all main effects and interactions by contrasts of marginal means.

        Parameters
        ----------
        by, at, weights
            As for :meth:`LmmFit.joint_tests`.

        Returns
        -------
        JointTable
            ``model term``, ``df1``, ``df2`` (infinite), ``F.ratio`` (chi-square over ``df1``) and ``p.value``.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> fit.joint_tests()
         model term df1 df2 F.ratio p.value
         period       3 Inf   8.316  <.0001
        """
        return joint_tests(_fit(self), by, at, weights, None)

    def compare(self, *others: GlmmFit, names: Sequence[str] | None = None) -> Comparison:
        """Compare this fit with others by likelihood-ratio tests, as :func:`mixedpy.anova` does.

        Parameters
        ----------
        *others : GlmmFit
            Fits to the same data, nested in one another; they are put in order of their numbers of parameters.
        names : sequence of str, optional
            Names of the rows, this fit first; by default ``m0``, ``m1``, ...

        Returns
        -------
        Comparison
            The table of :func:`mixedpy.anova`.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> fit.compare(fit.update(". ~ . - period"))["Chisq"].round(3).tolist()
        [nan, 25.61]
        """
        fits = [_fit(self), *others]
        check_fits("compare", fits, 1)
        labels = [f"m{k}" for k in range(len(fits))] if names is None else check_names("compare", names, len(fits))
        check_same_data(fits, labels)
        check_likelihoods(fits, labels, nested=True)
        order = order_by_size(fits)
        return ratio_table([fits[k] for k in order], [labels[k] for k in order], note=None, boundary=True)


def _fit(methods: GlmmTesting) -> GlmmFit:
    return cast("GlmmFit", methods)
