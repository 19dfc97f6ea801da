"""The methods of a generalized fit that hold parameters or draw replicates: intervals, profiles, bootstrap, power."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.inference.bootstrap import Kind
from mixedpy.inference.glmm.profile import profile_glmm
from mixedpy.inference.intervals import check_level, normal_cutoff
from mixedpy.inference.profile import Profiles, limits
from mixedpy.inference.wald import wald_intervals
from mixedpy.models.bootstrap import Bootstrap
from mixedpy.models.generalized.bootstrap import bootstrap, parameters_of
from mixedpy.models.generalized.power import glmm_power
from mixedpy.models.power import Power
from mixedpy.models.profile import Profile, check_cutoff, warn_of_missing

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit

__all__ = ["GlmmIntervals"]

Parm = str | int | Sequence[str | int] | None


class GlmmIntervals:
    """Part of :class:`mixedpy.GlmmFit`."""

    __slots__ = ()

    def profile(self, parm: Parm = None, *, cutoff: float | None = None) -> Profile:
        """Profile the likelihood: hold one parameter at a value, fit all others, for a series of values.

        Parameters
        ----------
        parm : str, int or sequence of these, optional
            Names (``".sig01"``, ``"x"``, ``"log(size)"``) or positions of the parameters as :meth:`confint` has them,
            ``"theta_"`` for all of the random effects, ``"beta_"`` for the fixed effects; by default all.
        cutoff : float, optional
            Largest \\|zeta\\| to reach; by default lme4's, the root of the 99 % quantile of chi-square with one degree
            of freedom for each parameter of the model.

        Returns
        -------
        Profile
            With ``zeta``, ``confint()`` and ``plot()``. Parameters of fits that did not converge have no profile;
            ``reasons`` says so.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> profile = fit.profile("period2")
        >>> profile.confint().round(2).loc["period2"].tolist()
        [-1.62, -0.41]
        >>> profile.zeta[[".zeta", "period2", ".par"]].round(2).head(2)
           .zeta  period2     .par
        0  -3.91    -2.30  period2
        1  -3.43    -2.12  period2
        """
        fit = cast("GlmmFit", self)
        check_cutoff(cutoff)
        return Profile(_profiles(fit, parm, cutoff), fit.formula)

    def confint(
        self,
        method: Literal["profile", "wald", "boot"] = "profile",
        level: float = 0.95,
        parm: Parm = None,
        nsim: int = 500,
        seed: int | np.random.Generator | None = None,
        *,
        kind: Kind = "percentile",
        progress: bool | None = None,
        n_jobs: int = 1,
    ) -> pd.DataFrame:
        """Compute confidence intervals.

        Parameters
        ----------
        method : {"profile", "wald", "boot"}
            Profile likelihood; estimate plus and minus a normal quantile times the standard error (coefficients only,
            NaN elsewhere); or parametric bootstrap.
        level : float
            Confidence level.
        parm : str, int or sequence of these, optional
            Parameters, as for :meth:`profile`; by default all.
        nsim, seed, progress, n_jobs
            For the bootstrap, as for :meth:`bootstrap`.
        kind : {"percentile", "basic", "studentized"}
            For the bootstrap, as for :meth:`Bootstrap.confint`.

        Returns
        -------
        DataFrame
            Rows ``.sig01``, ... (standard deviations and correlations in lme4's order), fixed effects, and the
            coefficients of the family's own parameters, on their scale (``log(size)``). ``.attrs["reasons"]`` says why
            limits are missing.

        Warns
        -----
        IntervalWarning
            If limits are missing, or bootstrap replicates failed.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> fit.confint().loc[".sig01"].round(2).tolist()
        [0.35, 1.1]
        """
        fit = cast("GlmmFit", self)
        check_level(level)
        name = method.lower() if isinstance(method, str) else method
        if name == "wald":
            errors, p = np.sqrt(np.diag(fit.record.vcov)), fit.record.p
            known = {"fixed": (fit.record.beta, errors[:p]), "family": (fit.record.alpha, errors[p:])}
            return wald_intervals(parameters_of(fit, parm), known, level)
        if name == "boot":
            return bootstrap(fit, nsim, None, seed, progress, n_jobs, parm).confint(level, kind)
        if name != "profile":
            raise ValueError(f"method={method!r} is unknown; use 'profile', 'wald' or 'boot'")
        table, reasons = limits(_profiles(fit, parm, normal_cutoff(level), limits_alone=True), level)
        warn_of_missing(reasons)
        table.attrs["reasons"] = reasons
        return table

    def bootstrap(
        self,
        nsim: int,
        statistic: Callable[[GlmmFit], Any] | None = None,
        seed: int | np.random.Generator | None = None,
        progress: bool | None = None,
        n_jobs: int = 1,
    ) -> Bootstrap:
        """Draw parametric bootstrap replicates: simulate responses, random effects drawn anew, and fit again.

        Parameters
        ----------
        nsim : int
            Number of replicates.
        statistic : callable, optional
            Takes a fit and returns a number, a vector, a Series, or a dict of numbers or of pairs (number, standard
            error). By default all parameters, named as in :meth:`confint`.
        seed : int or numpy Generator, optional
            Source of the random numbers. The replicates of an int seed are the same whatever ``n_jobs``.
        progress : bool, optional
            Whether to show a progress bar (tqdm); by default after two seconds, where tqdm is installed.
        n_jobs : int
            Number of workers (joblib); -1 takes all processors.

        Returns
        -------
        Bootstrap
            With ``replicates`` and ``confint()``; studentized intervals are for coefficients, whose standard errors
            are known.

        Warns
        -----
        IntervalWarning
            If replicates failed; they are NaN, and counted in ``failures``.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> boot = fit.bootstrap(100, seed=1)
        >>> boot.replicates.shape, boot.failed
        ((100, 5), 0)
        >>> fit.bootstrap(20, lambda m: m.icc(), seed=1).replicates.shape
        (20, 1)
        """
        return bootstrap(cast("GlmmFit", self), nsim, statistic, seed, progress, n_jobs)

    def power(
        self,
        test: str,
        nsim: int = 1000,
        *,
        alpha: float = 0.05,
        seed: int | np.random.Generator | None = None,
        fixef: Mapping[str, float] | None = None,
        theta: npt.ArrayLike | None = None,
        progress: bool | None = None,
        n_jobs: int = 1,
    ) -> Power:
        """Simulate the power of a Wald test of fixed effects.

        Responses are drawn from the model, the model is fitted to each, and the test is counted as a success where its
        p value is at most alpha.

        Parameters
        ----------
        test : str
            Name of a fixed effect, or of a fixed term for all its coefficients.
        nsim : int
            Number of simulations.
        alpha : float
            Significance level.
        seed : int or numpy Generator, optional
            Source of the random numbers; the results of an int seed are the same whatever ``n_jobs``.
        fixef : dict or Series, optional
            Fixed effects to simulate from instead of the estimates, on the scale of the link; those not named stay.
        theta : array, optional
            Covariance parameters to simulate from instead of the estimates.
        progress, n_jobs
            As for :meth:`bootstrap`.

        Returns
        -------
        Power
            With ``power``, its Monte-Carlo ``interval`` and the ``pvalues``.

        Raises
        ------
        MixedpyError
            For a name that is no fixed effect or term.

        Warns
        -----
        IntervalWarning
            If simulated data sets could not be fitted; they are counted in ``failed``.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))
        >>> fit.power("period2", 100, fixef={"period2": -0.7}, seed=1)
        period2, Wald z test
        power 0..., 95 % interval ...
        alpha 0.05, 100 simulations
        """
        return glmm_power(
            cast("GlmmFit", self),
            test,
            nsim,
            alpha=alpha,
            seed=seed,
            fixef=fixef,
            theta=theta,
            progress=progress,
            n_jobs=n_jobs,
        )


def _profiles(fit: GlmmFit, parm: Parm, cutoff: float | None, *, limits_alone: bool = False) -> Profiles:
    every = parameters_of(fit)
    chosen = parameters_of(fit, parm)
    return profile_glmm(fit.design, fit.record, fit.request.control, every, chosen, cutoff, limits_alone=limits_alone)
