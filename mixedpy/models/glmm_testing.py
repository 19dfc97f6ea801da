"""The part of a generalized fit's methods that tests hypotheses; each is one line of delegation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy.typing as npt
import pandas as pd

from mixedpy.models import waldtests
from mixedpy.models.comparable import check_fits, check_likelihoods, check_names, check_same_data
from mixedpy.models.printed import AnovaTable
from mixedpy.models.ratios import Comparison, order_by_size, ratio_table

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["GlmmTesting"]


class GlmmTesting:
    """Tests of fixed effects and random terms of a generalized linear mixed model."""

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
        return waldtests.anova(_fit(self), type)

    def contrast(
        self,
        L: npt.ArrayLike | Mapping[str, float] | str | Sequence[Any],
        *,
        rhs: npt.ArrayLike = 0.0,
        joint: bool = False,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Test linear combinations of the fixed effects.

        Parameters
        ----------
        L : array (p,) or (r, p), mapping, str, or sequence of these
            The combinations: weights in the order of ``fixef``, or by the coefficients' names; a name alone is the
            coefficient itself.
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
            If a row has the wrong length or names an unknown coefficient.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> fit.contrast({"period3": 1, "period2": -1}).round(3)
           Estimate  Std. Error  z value  lower  upper  Pr(>|z|)
        L    -0.136       0.381   -0.358 -0.883   0.61      0.72
        >>> fit.contrast(["period2", "period3"], joint=True).round(3).loc["L"].tolist()
        [17.545, 2.0, 0.0]
        """
        return waldtests.contrast(_fit(self), L, rhs, joint, level)

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
