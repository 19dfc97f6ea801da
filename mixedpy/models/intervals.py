"""The methods of a fit that hold parameters, draw replicates or simulate: intervals, bootstrap, power."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.inference.bootstrap import Kind
from mixedpy.inference.intervals import check_level
from mixedpy.inference.names import choose_parameters, parameter_list
from mixedpy.inference.wald import wald_intervals
from mixedpy.models.bootstrap import Bootstrap, Method, bootstrap
from mixedpy.models.power import Power, power
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
        method: str = "profile",
        level: float = 0.95,
        parm: Parm = None,
        *,
        nsim: int = 500,
        seed: int | np.random.Generator | None = None,
        kind: Kind = "percentile",
        progress: bool | None = None,
        n_jobs: int = 1,
    ) -> pd.DataFrame:
        """Compute confidence intervals.

        Parameters
        ----------
        method : {"profile", "wald", "boot"}
            Profile likelihood; estimate plus and minus a normal quantile times the standard error (fixed effects only,
            NaN elsewhere); or parametric bootstrap. Capital letters do not matter.
        level : float
            Confidence level.
        parm : str, int or sequence of these, optional
            Parameters, as for :meth:`profile`; by default all.
        nsim, seed, progress, n_jobs
            For the bootstrap, as for :meth:`bootstrap`.
        kind : {"percentile", "basic", "studentized"}
            For the bootstrap, as for :meth:`Bootstrap.confint`: studentized limits of standard deviations and
            correlations come from the scales of their logarithms and atanh.

        Returns
        -------
        DataFrame
            Rows ``.sig01``, ... , ``.sigma`` and the fixed effects, as lme4 names and orders them; columns ``2.5 %``
            and ``97.5 %``. ``.attrs["reasons"]`` says why limits are missing.

        Warns
        -----
        IntervalWarning
            If limits are missing, or bootstrap replicates failed.

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
        check_level(level)
        name = method.lower() if isinstance(method, str) else method
        if name == "wald":
            chosen = choose_parameters(parameter_list(fit.design, fit.schema), parm)
            return wald_intervals(chosen, {"fixed": (fit.record.beta, np.asarray(fit.se, np.float64))}, level)
        if name == "boot":
            found = bootstrap(fit, nsim, None, seed, progress, n_jobs, "parametric", None, parm)
            return found.confint(level, kind)
        if name != "profile":
            raise ValueError(f"method={method!r} is unknown; use 'profile', 'wald' or 'boot'")
        table, reasons = profile_limits(fit, parm, level)
        warn_of_missing(reasons)
        table.attrs["reasons"] = reasons
        return table

    def bootstrap(
        self,
        nsim: int,
        statistic: Callable[[LmmFit], Any] | None = None,
        seed: int | np.random.Generator | None = None,
        progress: bool | None = None,
        n_jobs: int = 1,
        *,
        method: Method = "parametric",
        by: str | None = None,
    ) -> Bootstrap:
        """Draw bootstrap replicates: simulate or resample, and fit again.

        Parameters
        ----------
        nsim : int
            Number of replicates.
        statistic : callable, optional
            Takes a fit and returns a number, a vector, a Series, or a dict of numbers or of pairs (number, standard
            error). By default all parameters, named as in :meth:`confint`; replicates then cost a small part of a fit.
            A replicate for which it raises an error, returns None or a number that is not finite counts as failed.
            Fits to drawn rows or groups have no table, and so no ``emmeans``.
        seed : int or numpy Generator, optional
            Source of the random numbers. The replicates of an int seed are the same whatever ``n_jobs``.
        progress : bool, optional
            Whether to show a progress bar (tqdm); by default after two seconds, where tqdm is installed.
        n_jobs : int
            Number of workers (joblib); -1 takes all processors. ``joblib.parallel_config`` chooses other backends.
        method : {"parametric", "residual", "case", "cluster"}
            ``"parametric"`` draws random effects and errors from the fitted normal distributions. ``"residual"`` draws
            the predicted random effects and residuals, centred and brought to the estimated covariances, with
            replacement. ``"case"`` draws rows, ``"cluster"`` whole groups; a group drawn twice counts as two.
        by : str, optional
            For ``"cluster"``: the grouping factor; by default the one in which all others are nested.

        Returns
        -------
        Bootstrap
            With ``replicates`` and ``confint()``.

        Warns
        -----
        IntervalWarning
            If replicates failed; they are NaN, and counted in ``failures``.

        Notes
        -----
        Parametric replicates of the parameters are drawn as sufficient statistics (Z'y, X'y, y'y), exactly, so that
        their cost does not grow with the number of rows, and refitted in lockstep, save crossed terms of many columns.
        Reflated residuals: Carpenter, Goldstein & Rasbash (2003), J. R. Stat. Soc. C 52, 431-443.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> boot = fit.bootstrap(1000, seed=1)
        >>> boot.replicates.shape, boot.failed
        ((1000, 6), 0)
        >>> bool(boot.confint().loc["Days"].between(6, 15).all())
        True
        """
        return bootstrap(cast("LmmFit", self), nsim, statistic, seed, progress, n_jobs, method, by)

    def power(
        self,
        test: str,
        nsim: int = 1000,
        *,
        alpha: float = 0.05,
        seed: int | np.random.Generator | None = None,
        fixef: Mapping[str, float] | None = None,
        theta: npt.ArrayLike | None = None,
        sigma: float | None = None,
        newdata: Any = None,
        ddf: Literal["kenward-roger"] | None = "kenward-roger",
        progress: bool | None = None,
        n_jobs: int = 1,
    ) -> Power:
        """Simulate the power of a test.

        Responses are drawn from the model, the model is fitted to each by REML, and the test is counted as a success
        where its p value is at most alpha.

        Parameters
        ----------
        test : str
            Name of a fixed effect (``"Days"``), of a fixed term (``"recipe"``: all its coefficients), of a random term
            by its grouping factor (``"Subject"``: the term as a whole), or of one of its effects (``"Days | Subject"``
            or ``"Days in Subject"``: the variance of the slope with its covariances).
        nsim : int
            Number of simulations.
        alpha : float
            Significance level.
        seed : int or numpy Generator, optional
            Source of the random numbers; the results of an int seed are the same whatever ``n_jobs``.
        fixef : dict or Series, optional
            Fixed effects to simulate from instead of the estimates; those not named stay.
        theta : array, optional
            Covariance parameters to simulate from instead of the estimates.
        sigma : float, optional
            Residual standard deviation to simulate from instead of the estimate.
        newdata : DataFrame, Table or mapping, optional
            Another design: a table with the predictors and grouping factors, with any number of rows and groups. The
            response may be left out.
        ddf : {"kenward-roger", None}
            Reference distribution for fixed effects: t or F with Kenward and Roger's degrees of freedom at the
            simulated parameters, the same for all simulations, or normal and chi-square.
        progress, n_jobs
            As for :meth:`bootstrap`.

        Returns
        -------
        Power
            With ``power``, its Monte-Carlo ``interval`` and the ``pvalues``.

        Warns
        -----
        IntervalWarning
            If simulated data sets could not be fitted; they are counted in ``failed``.

        Notes
        -----
        Random terms with one effect are tested by the exact restricted likelihood-ratio distribution (see
        :func:`mixedpy.rlrt`), others, and single effects of these, by the mixture of chi-square distributions of
        :func:`mixedpy.anova`. The power at the estimates of one data set says no more than its p value; give the effect
        that matters.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.power("Days", 500, fixef={"Days": 4.0}, seed=1)
        Days, t test with 17 degrees of freedom
        power 0.6..., 95 % interval ...
        alpha 0.05, 500 simulations
        """
        return power(
            cast("LmmFit", self),
            test,
            nsim,
            alpha=alpha,
            seed=seed,
            fixef=fixef,
            theta=theta,
            sigma=sigma,
            newdata=newdata,
            ddf=ddf,
            progress=progress,
            n_jobs=n_jobs,
        )
