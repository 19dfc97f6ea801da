"""The methods of a fit that hold parameters, draw replicates or simulate: intervals, bootstrap, power."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

import pandas as pd

from mixedpy.inference import wald
from mixedpy.models.profile import Profile, profile_fit, profile_limits, warn_of_missing

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["IntervalMethods"]

Parm = str | int | Sequence[str | int] | None


class IntervalMethods:
    """Part of :class:`mixedpy.LmmFit`."""

    __slots__ = ()

    def profile(self, parm: Parm = None, *, cutoff: float | None = None) -> Profile:
        """Profile the likelihood: hold one parameter at a value, fit all others, for a series of values.

        The deviance of maximum likelihood is profiled, also of a fit by REML, as in lme4.

        Parameters
        ----------
        parm : str, int or sequence of these, optional
            Names (``".sig01"``, ``".sigma"``, ``"Days"``) or positions of the parameters, ``"theta_"`` for all of the
            random effects and sigma, ``"beta_"`` for the fixed effects; by default all.
        cutoff : float, optional
            Largest \\|zeta\\| to reach; by default lme4's, the root of the 99 % quantile of chi-square with one degree
            of freedom for each parameter of the model.

        Returns
        -------
        Profile
            With ``zeta``, ``confint()`` and ``plot()``.

        Notes
        -----
        Standard deviations and correlations of the random effects are parameters of their own, not entries of theta
        (Bates et al. 2015, J. Stat. Softw. 67(1), section 5.1). lme4's own limits are off where its spline crosses a
        kink (a correlation that reaches 1 along the way), and, in version 1.1-31, for the fixed effects of every
        weighted model, where it mixes deviances with and without the weights' constant.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> profile = fit.profile("Days")
        >>> profile.zeta[[".zeta", "Days", ".par"]].round(2).iloc[[0, -1]].to_dict("records")[1][".par"]
        'Days'
        >>> profile.confint().round(3).loc["Days"].tolist()
        [7.359, 13.576]
        """
        return profile_fit(cast("LmmFit", self), parm, cutoff)

    def confint(
        self,
        method: Literal["profile", "wald"] = "profile",
        level: float = 0.95,
        parm: Parm = None,
    ) -> pd.DataFrame:
        """Compute confidence intervals.

        Parameters
        ----------
        method : {"profile", "wald"}
            Profile likelihood, or estimate plus and minus a normal quantile times the standard error (fixed effects
            only, NaN elsewhere).
        level : float
            Confidence level.
        parm : str, int or sequence of these, optional
            Parameters, as for :meth:`profile`; by default all.

        Returns
        -------
        DataFrame
            Rows ``.sig01``, ... , ``.sigma`` and the fixed effects, as lme4 names and orders them; columns ``2.5 %``
            and ``97.5 %``. ``.attrs["reasons"]`` says why limits are missing.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.confint().round(2)
                      2.5 %  97.5 %
        .sig01        14.38   37.72
        .sig02        -0.48    0.69
        .sig03         3.80    8.75
        .sigma        22.90   28.86
        (Intercept)  237.68  265.13
        Days           7.36   13.58
        >>> fit.confint("wald", parm="beta_").round(2)
                      2.5 %  97.5 %
        (Intercept)  238.03  264.78
        Days           7.44   13.50
        """
        fit = cast("LmmFit", self)
        if method == "wald":
            return wald.wald_intervals(fit.design, fit.schema, fit.record, level=level, parm=parm)
        if method != "profile":
            raise ValueError(f"method={method!r} is unknown; use 'profile' or 'wald'")
        table, reasons = profile_limits(fit, parm, level)
        warn_of_missing(reasons, stacklevel=3)
        table.attrs["reasons"] = reasons
        return table
