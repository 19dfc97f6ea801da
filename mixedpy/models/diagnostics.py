"""Methods of a fit that ask whether it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixedpy.inference import rows, selection
from mixedpy.inference.fitted import Level
from mixedpy.inference.leverage import Kind, residuals
from mixedpy.inference.pca import RandomPca, random_pca
from mixedpy.inference.pooling import pooling
from mixedpy.inference.predict import predict
from mixedpy.inference.predictors import of_fit
from mixedpy.inference.seeds import random_source
from mixedpy.inference.simulate import simulate
from mixedpy.inference.simulated import SimulatedResiduals, simulated_residuals
from mixedpy.models.check import Check, check_fit
from mixedpy.models.influence import InfluenceTable, Method, influence_table, leverage_table

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["Diagnostics"]


class Diagnostics:
    """Residuals, leverage, influence and checks of a linear mixed model."""

    __slots__ = ()

    def residuals(self: LmmFit, kind: Kind = "response", level: Level = "conditional") -> pd.Series[float]:  # type: ignore[misc]
        """Return residuals on the rows of the table.

        Parameters
        ----------
        kind : {"response", "pearson", "deviance", "scaled", "studentized", "quantile"}
            Observed less fitted; times the square root of the prior weight (also "deviance"); divided by sigma as well
            (the scaled residuals of R's summary); divided by the standard deviation that the residual itself has (R's
            ``rstudent``); or the probability of a smaller observation, uniform where the model holds.
        level : {"conditional", "marginal"}
            Whether the fitted values include the random effects.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.residuals("studentized").head(2).round(3).tolist()
        [-0.183, -0.627]
        """
        return rows.on_rows(self.schema, residuals(self.design, self.record, kind, level))

    def leverage(self: LmmFit, by: str = "obs") -> pd.DataFrame:  # type: ignore[misc]
        """Return the leverage of rows, or its mean per level of a grouping factor, split into fixed and random.

        Parameters
        ----------
        by : str
            ``"obs"``, or a grouping factor.

        Returns
        -------
        DataFrame
            ``overall`` = ``fixef`` + ``ranef``, the change of the fitted value with the observation (lme4's
            ``hatvalues``; Demidenko & Stukel 2005); ``ranef_uc``, the variance of the random effects relative to the
            residual variance (Nobre & Singer 2011). The names are HLMdiag's.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.leverage().head(2).round(3)
           overall  fixef  ranef  ranef_uc
        0    0.229  0.019  0.210     0.935
        1    0.170  0.014  0.156     1.017
        """
        return leverage_table(self, by)

    def influence(self: LmmFit, by: str = "obs", method: Method = "auto") -> InfluenceTable:  # type: ignore[misc]
        """Measure what leaving out each row, or each level of a grouping factor, does to the fixed effects.

        Parameters
        ----------
        by : str
            ``"obs"`` for rows, or a grouping factor.
        method : {"auto", "held", "refit"}
            ``"held"`` keeps the covariance parameters at their estimates: a closed form for rows and for independent
            groups, otherwise the fixed effects are estimated anew. ``"refit"`` estimates everything anew, starting
            from the fit. ``"auto"`` is "held" for rows, and "refit" for groups as long as rows times groups are at
            most 20 million. The print says which it was.

        Returns
        -------
        InfluenceTable
            A DataFrame with ``cooks_distance``, ``mdffits`` (Cook's distance in the covariance without the rows),
            ``covtrace``, ``covratio`` and, for rows in closed form, ``dffits``; ``.fixef`` and ``.theta`` hold the
            estimates without each.

        Notes
        -----
        Definitions as in HLMdiag (Loy & Hofmann 2014, J. Stat. Softw. 56(5)): Cook's distance is d'Var^-1 d / p with d
        the change of the p fixed effects and Var their covariance matrix.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> print(fit.influence("Subject").round(3).head(2))
                 cooks_distance  mdffits  covtrace  covratio
        Subject
        308               0.092    0.101     0.042     1.032
        309               0.149    0.188     0.084     0.890
        """
        return influence_table(self, by, method)

    def cooks_distance(self: LmmFit, by: str = "obs", method: Method = "auto") -> pd.DataFrame:  # type: ignore[misc]
        """Return Cook's distances of rows or of the levels of a grouping factor; as :meth:`influence`."""
        return pd.DataFrame(influence_table(self, by, method))[["cooks_distance"]]

    def repca(self: LmmFit) -> RandomPca:  # type: ignore[misc]
        """Return the principal components of the random effects of each grouping factor (lme4's ``rePCA``).

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> print(fit.repca())
        Subject
                                  PC1     PC2
        Standard deviation     0.9669  0.2309
        Proportion of Variance 0.9461 0.05395
        Cumulative Proportion  0.9461       1
        """
        return random_pca(self.schema, self.record)

    def pooling(self: LmmFit, group: str | None = None) -> pd.DataFrame:  # type: ignore[misc]
        """Compare complete, no and partial pooling of the effects of each level of a grouping factor.

        Parameters
        ----------
        group : str, optional
            The grouping factor; not needed where there is one.

        Returns
        -------
        DataFrame
            Indexed by level and effect: ``n`` rows of the level; ``complete``, least squares on all rows without
            random effects; ``none``, least squares on the rows of the level, with ``none_se``; ``partial``, fixed
            effect and conditional mode together, with ``partial_se``, their joint uncertainty.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.pooling().loc["309", ["complete", "none", "partial"]].round(1)
                     complete   none  partial
        effect
        (Intercept)     251.4  205.1    211.0
        Days             10.5    2.3      1.8
        """
        return pooling(self.design, self.schema, self.record, group)

    def simulate_residuals(  # type: ignore[misc]
        self: LmmFit,
        nsim: int = 250,
        seed: int | np.random.Generator | None = None,
        re_form: str | None = "NA",
    ) -> SimulatedResiduals:
        """Rank each observation among simulations of it, and test uniformity, dispersion, outliers, trend and spread.

        Parameters
        ----------
        nsim : int
            Number of simulations.
        seed : int or numpy Generator, optional
            Source of the random numbers.
        re_form : str, optional
            Random effects held at their modes, as for :meth:`simulate`; by default all are drawn anew.

        Returns
        -------
        SimulatedResiduals
            ``.scaled`` on the rows of the table, and ``.tests``.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> bool(fit.simulate_residuals(seed=1).tests["p_value"].between(0, 1).all())
        True
        """
        rng = random_source(seed)
        given = selection.select(self.schema, re_form)
        parts = of_fit(self.design, self.schema, self.record)
        drawn = simulate(parts, self.schema, self.record, given, nsim=nsim, seed=rng)
        predicted = predict(parts, self.schema, self.record, given, True)
        scaled, tests = simulated_residuals(self.design.y, drawn, predicted, rng)
        return SimulatedResiduals(rows.on_rows(self.schema, scaled), tests, nsim)

    def check(self: LmmFit) -> Check:  # type: ignore[misc]
        """Look for what commonly goes wrong, and say it in words with advice.

        Convergence, singular covariances and the term that causes them, few levels, badly scaled or collinear
        predictors, residual patterns, and influential groups.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
        >>> fit.check().to_frame().loc["convergence", "verdict"]
        'ok'
        """
        return check_fit(self)
