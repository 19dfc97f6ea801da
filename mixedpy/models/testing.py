"""The part of a fit's methods that tests hypotheses; each is one line of delegation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy.typing as npt
import pandas as pd

from mixedpy.inference.grid import Weights
from mixedpy.models import fixedtests
from mixedpy.models.comparing.ranova import ranova
from mixedpy.models.means.emmeans import MeansTable, Scale, emmeans, emtrends
from mixedpy.models.means.joint_tests import JointTable, joint_tests
from mixedpy.models.printed import AnovaTable

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = ["RandomTesting", "Testing"]


class RandomTesting:
    """Tests of random terms, of linear and generalized fits."""

    __slots__ = ()

    def ranova(self, reduce_terms: bool = True) -> AnovaTable:
        """Test the random effects by leaving them out one at a time, as lmerTest's ``ranova``.

        Parameters
        ----------
        reduce_terms : bool
            Whether to leave out single effects of a term, ``Days`` of ``(Days | Subject)``, which keeps the others;
            otherwise whole terms are left out.

        Returns
        -------
        AnovaTable
            A row for each reduced model: ``npar``, ``logLik``, ``AIC``, ``LRT``, ``Df``, ``Pr(>Chisq)``. The p values
            refer to a chi-square distribution and are too large where a variance is tested, whose value under the
            hypothesis lies on the boundary (Self & Liang 1987, J. Am. Stat. Assoc. 82, 605).

        Raises
        ------
        DataError
            If the reduced model would use other rows.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.ranova()
        ANOVA-like table for random-effects: Single term deletions
        <BLANKLINE>
        Model:
        Reaction ~ Days + (Days | Subject)
                                 npar  logLik    AIC    LRT Df Pr(>Chisq)
        <none>                      6 -871.81 1755.6
        Days in (Days | Subject)    4 -893.23 1794.5 42.837  2   4.99e-10 ***
        ---
        Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
        """
        return ranova(cast("LmmFit | GlmmFit", self), reduce_terms)


class Testing(RandomTesting):
    """Tests of fixed effects of a linear mixed model."""

    __slots__ = ()

    def anova(self, type: int | str = 3, ddf: str | None = "satterthwaite") -> AnovaTable:
        """Test every term of the fixed part, as lmerTest's ``anova``.

        Parameters
        ----------
        type : {1, 2, 3}
            Type of the hypotheses, whatever contrasts the model was fitted with. I: each term given those before it.
            II: each term given all that do not contain it. III: each term at equal weights of the cells.
        ddf : {"satterthwaite", "kenward-roger", "asymptotic", None}
            Method for the denominator degrees of freedom; None is "asymptotic".

        Returns
        -------
        AnovaTable
            A DataFrame with a row for each term, columns ``Sum Sq``, ``Mean Sq``, ``NumDF``, ``DenDF``, ``F value``
            and ``Pr(>F)``, that prints as in R.

        Raises
        ------
        DataError
            For type III, if the table was changed after the fit.

        Warns
        -----
        RankDeficiencyWarning
            For type III, if cells are empty.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("angle ~ recipe + temp + (1 | recipe:replicate)", mp.datasets.load("cake"))
        >>> fit.anova()
        Type III Analysis of Variance Table with Satterthwaite's method
               Sum Sq Mean Sq NumDF DenDF F value Pr(>F)
        recipe   10.3    5.15     2    42  0.2488 0.7809
        temp   1966.7 1966.71     1   224 94.9759 <2e-16 ***
        ---
        Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1
        """
        return fixedtests.anova(_fit(self), type, ddf)

    def drop1(self, scope: str | Sequence[str] | None = None, ddf: str | None = "satterthwaite") -> AnovaTable:
        """Test the deletion of single fixed terms, as lmerTest's ``drop1``.

        Parameters
        ----------
        scope : str or sequence of str, optional
            Terms to drop; by default all that are part of no other term.
        ddf : {"satterthwaite", "kenward-roger", "asymptotic", None}
            Method for the denominator degrees of freedom.

        Returns
        -------
        AnovaTable
            As of :meth:`anova`.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", mp.datasets.load("cake"))
        >>> list(fit.drop1().index)
        ['recipe:temp']
        """
        return fixedtests.drop1(_fit(self), scope, ddf)

    def contrast(
        self,
        L: npt.ArrayLike | Mapping[str, Any] | str | Sequence[Any],
        ddf: str | None = "satterthwaite",
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
        ddf : {"satterthwaite", "kenward-roger", "asymptotic", None}
            Method for the degrees of freedom; None is "asymptotic", for Wald z and chi-square tests.
        rhs : float or (r,) array
            Values under the hypothesis.
        joint : bool
            Whether to test all rows together, by an F or chi-square test, rather than each on its own.
        level : float
            Of the confidence intervals of single tests.

        Returns
        -------
        DataFrame
            A row for each combination with its t test and confidence interval (``z value`` and ``Pr(>|z|)`` without
            degrees of freedom); or the table of the joint test.

        Raises
        ------
        DataError
            If a row has the wrong length, names an unknown coefficient, or is zero.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.contrast({"(Intercept)": 1, "Days": 9}, ddf="kenward-roger").round(2)
           Estimate  Std. Error    df  t value   lower   upper  Pr(>|t|)
        L    345.61       14.63  17.0    23.63  314.75  376.47       0.0
        >>> fit.contrast({"day 9": "(Intercept) + 9*Days", "slope": "Days"}).round(2)[["Estimate", "df"]]
               Estimate    df
        day 9    345.61  17.0
        slope     10.47  17.0
        """
        return fixedtests.contrast(_fit(self), L, rhs, ddf, joint, level)

    def emmeans(
        self,
        specs: str | Sequence[str],
        by: str | Sequence[str] | None = None,
        *,
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
        type: Scale = "link",
        ddf: str | None = "satterthwaite",
        level: float = 0.95,
        adjust: str | None = None,
    ) -> MeansTable:
        """Estimate marginal means: averages of predictions over a grid of the predictors' reference values.

        Parameters
        ----------
        specs : str or sequence of str
            Predictors whose levels are kept apart: ``"a"``, ``["a", "b"]``, ``"a:b"``, or ``"a | b"`` for ``a`` in
            groups of ``b``; ``"1"`` for the mean over all. ``"pairwise ~ a"``, or another method of contrasts, asks for
            contrasts besides, which are then in ``.contrasts``.
        by : str or sequence of str, optional
            Predictors that make groups, within which means are compared.
        at : mapping of str to values, optional
            Values of predictors, in the place of all levels of a factor and the mean of a numeric column.
        weights : {"equal", "proportional", "outer", "cells"}
            Weights of the levels that are averaged over: equal; by the rows of each combination; by the rows of each
            level; by the rows of each cell. Rows count alike, whatever prior weights they have.
        type : {"link", "response"}
            Whether to transform means of ``log(y)``, ``sqrt(y)``, ``scale(y)``, ... back to the scale of ``y``.
        ddf : {"satterthwaite", "kenward-roger", "asymptotic", None}
            Method for the degrees of freedom; None is "asymptotic".
        level : float
            Confidence level.
        adjust : str, optional
            Adjustment of the intervals for the number of means in a group, by default none; of the contrasts, where
            ``specs`` asks for them.

        Returns
        -------
        MeansTable
            A DataFrame with a row for each mean; its ``contrast``, ``pairs``, ``confint``, ``test`` and ``joint_test``
            go on from there. Means that the data do not determine are NaN. A note says where a mean is over levels that
            it interacts with.

        Raises
        ------
        DataError
            If a name is no predictor, or the table was changed after the fit.

        Notes
        -----
        An offset enters with its mean over the rows of the fit, wherever it was given.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("angle ~ recipe + temp + (1 | recipe:replicate)", mp.datasets.load("cake"))
        >>> means = fit.emmeans("recipe")
        >>> means
         recipe emmean   SE df lower.CL upper.CL
         A        33.1 1.74 42     29.6     36.6
         B        31.6 1.74 42     28.1     35.1
         C        31.6 1.74 42     28.1     35.1
        <BLANKLINE>
        Degrees-of-freedom method: satterthwaite
        Confidence level used: 0.95
        >>> means.pairs()
         contrast estimate   SE df t.ratio p.value
         A - B      1.4778 2.46 42   0.602  0.8200
         A - C      1.5222 2.46 42   0.620  0.8102
         B - C      0.0444 2.46 42   0.018  0.9998
        <BLANKLINE>
        Degrees-of-freedom method: satterthwaite
        P value adjustment: tukey method for comparing a family of 3 estimates
        """
        return emmeans(_fit(self), specs, by, at, weights, type, ddf, level, adjust)

    def emtrends(
        self,
        specs: str | Sequence[str],
        var: str,
        by: str | Sequence[str] | None = None,
        *,
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
        ddf: str | None = "satterthwaite",
        level: float = 0.95,
        adjust: str | None = None,
    ) -> MeansTable:
        """Estimate slopes in a numeric predictor, averaged over a grid of the other predictors.

        Parameters
        ----------
        specs : str or sequence of str
            Predictors whose levels have slopes of their own, as for :meth:`emmeans`; ``"pairwise ~ a"`` compares them.
        var : str
            The predictor, or an expression of it, ``"log(dose)"``, for slopes in what it gives. Where the model is not
            linear in it, the slope is that at its mean, or at the values in ``at``.
        by, at, weights, ddf, level, adjust
            As for :meth:`emmeans`.

        Returns
        -------
        MeansTable
            With the slopes, on the scale of the model, in a column ``<var>.trend``.

        Raises
        ------
        DataError
            If ``var`` is no numeric predictor.

        Notes
        -----
        A slope is a difference of predictions a thousandth of the range of the predictor apart, taken around the point
        so that it is exact for parabolas.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", mp.datasets.load("cake"))
        >>> fit.emtrends("pairwise ~ recipe", "temp")
        $emtrends
         recipe temp.trend     SE  df lower.CL upper.CL
         A           0.154 0.0282 222   0.0981    0.209
         B           0.165 0.0282 222   0.1090    0.220
         C           0.156 0.0282 222   0.1002    0.211
        <BLANKLINE>
        Degrees-of-freedom method: satterthwaite
        Confidence level used: 0.95
        <BLANKLINE>
        $contrasts
         contrast estimate     SE  df t.ratio p.value
         A - B    -0.01086 0.0399 222  -0.272  0.9600
         A - C    -0.00210 0.0399 222  -0.053  0.9985
         B - C     0.00876 0.0399 222   0.220  0.9738
        <BLANKLINE>
        Degrees-of-freedom method: satterthwaite
        P value adjustment: tukey method for comparing a family of 3 estimates
        """
        return emtrends(_fit(self), specs, var, by, at, weights, ddf, level, adjust)

    def joint_tests(
        self,
        by: str | Sequence[str] | None = None,
        *,
        at: Mapping[str, Any] | None = None,
        weights: Weights = "equal",
        ddf: str | None = "satterthwaite",
    ) -> JointTable:
        """Test all main effects and interactions by contrasts of marginal means.

        Parameters
        ----------
        by : str or sequence of str, optional
            Predictors at whose values the others are tested, for simple effects.
        at : mapping of str to values, optional
            Values of predictors; by default all levels of a factor, and the mean of a numeric column less and plus one.
        weights : {"equal", "proportional", "outer", "cells"}
            Weights of the levels that are averaged over.
        ddf : {"satterthwaite", "kenward-roger", "asymptotic", None}
            Method for the degrees of freedom; None is "asymptotic".

        Returns
        -------
        JointTable
            ``model term``, ``df1``, ``df2``, ``F.ratio`` and ``p.value``. What the cells differ by beyond these terms,
            with empty cells or with main effects left out, is in a row ``(confounded)``.

        Raises
        ------
        DataError
            If no predictor has several values to compare.

        Notes
        -----
        The hypotheses are those of type III of :meth:`anova`. As in the R package emmeans, ``df2`` is the smallest
        number of degrees of freedom among orthogonal contrasts of a term, F is not rescaled with Kenward and Roger's
        method, and the slope of a numeric column is tested as a difference at its mean.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", mp.datasets.load("cake"))
        >>> fit.joint_tests()
         model term         df1 df2 F.ratio p.value
         recipe               2  42   0.249  0.7809
         temperature          5 210  20.520  <.0001
         recipe:temperature  10 210   1.006  0.4393
        """
        return joint_tests(_fit(self), by, at, weights, ddf)


def _fit(methods: Testing) -> LmmFit:
    return cast("LmmFit", methods)
