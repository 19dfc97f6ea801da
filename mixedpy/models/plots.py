"""``fit.plot``: from a fit to the numbers of a plot, and to the plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtri

from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.design import Schema
from mixedpy.errors import DataError
from mixedpy.inference.curves import averaged, level_curves
from mixedpy.inference.fitted import fitted, residuals
from mixedpy.inference.glmm.residuals import quantile_residuals
from mixedpy.inference.glmm.response import of_rows
from mixedpy.inference.glmm.variance import response_variance
from mixedpy.inference.icc import random_variance
from mixedpy.inference.intervals import check_level
from mixedpy.inference.ranef import effect_covariances
from mixedpy.inference.shrinkage import shrinkage
from mixedpy.inference.varcorr import variance_components
from mixedpy.inference.variables import fixed_variables, grid_of, grouping_variables, rows_to_vary
from mixedpy.models.fitting import check_offset_is_a_column
from mixedpy.models.kept import kept_table
from mixedpy.report.plots.effects import draw_effects
from mixedpy.report.plots.ranef import draw_caterpillar, draw_qq
from mixedpy.report.plots.records import (
    EffectCurve,
    EffectModes,
    EffectPanel,
    ResidualRecord,
    ShrinkageRecord,
    TrajectoryPanel,
    TrajectoryRecord,
    VarianceRecord,
)
from mixedpy.report.plots.residuals import draw_residuals
from mixedpy.report.plots.shrinkage import draw_shrinkage
from mixedpy.report.plots.style import AxesLike, Panels, one_or_all
from mixedpy.report.plots.trajectories import draw_trajectories
from mixedpy.report.plots.variance import draw_variance

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit

__all__ = ["Plots"]

_POINTS = 50
_MOST_RUG = 500
_TINY = 1e-15
"""Probabilities nearer than this to 0 or 1 have no finite normal quantile worth drawing."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Plots:
    """The plots of a fit; each method draws one with matplotlib and returns its axes.

    Every method takes ``ax``, the axes to draw on: one, or as many as the plot has panels; without it a new figure is
    made. It returns the axes, or an array of them if there are several panels; ``axes.figure.savefig("plot.pdf")``
    writes them.

    Examples
    --------
    >>> import mixedpy as mp
    >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
    >>> fit.plot
    plots of Reaction ~ Days + (Days | Subject): ranef, shrinkage, trajectories, ...
    """

    fit: Fit

    def __repr__(self) -> str:
        kinds = "ranef, shrinkage, trajectories, variance, residuals, qq, effects, profile"
        return f"plots of {self.fit.formula}: {kinds}"

    def ranef(
        self,
        group: str | None = None,
        *,
        effects: Sequence[str] | None = None,
        level: float = 0.95,
        sort: bool = True,
        ax: AxesLike = None,
    ) -> Panels:
        """Draw the conditional modes of the random effects with intervals: a caterpillar for each effect.

        Parameters
        ----------
        group : str, optional
            Grouping factor; by default the first.
        effects : sequence of str, optional
            Effects to show; all by default.
        level : float
            Coverage of the intervals, which are those given the data, with fixed effects and variances known.
        sort : bool
            Whether the levels stand in the order of the first effect, the same in all panels, or in their own.
        ax : Axes or sequence of Axes, optional
            Where to draw, one for each effect.
        """
        check_level(level)
        return draw_caterpillar(self._modes(self._group(group), effects), level=level, sort=sort, ax=ax)

    def qq(
        self,
        group: str | None = None,
        *,
        effects: Sequence[str] | None = None,
        level: float = 0.95,
        ax: AxesLike = None,
    ) -> Panels:
        """Draw the conditional modes against normal quantiles, a panel for each effect.

        Parameters
        ----------
        group : str, optional
            Grouping factor; by default all of them.
        effects : sequence of str, optional
            Effects to show; all by default.
        level : float
            Probability of the band, for each point by itself.
        ax : Axes or sequence of Axes, optional
            Where to draw, one for each effect.
        """
        check_level(level)
        groups = list(self.fit.ngroups) if group is None else [self._group(group)]
        return draw_qq([modes for g in groups for modes in self._modes(g, effects)], level=level, ax=ax)

    def shrinkage(
        self, group: str | None = None, *, effects: Sequence[str] | None = None, ax: AxesLike = None
    ) -> Panels:
        """Draw arrows from the estimates of each level alone to those of the mixed model, on the scale of the link.

        Parameters
        ----------
        group : str, optional
            Grouping factor; by default the first.
        effects : sequence of str, optional
            One effect, drawn level by level, or two, drawn as a plane; by default the first two.
        ax : Axes, optional
            Where to draw.
        """
        group = self._group(group)
        pooled = shrinkage(self.fit.design, self.fit.schema, self.fit.record, group)
        chosen = list(pooled.effects[:2]) if effects is None else self._effects(effects, group, pooled.effects)
        if len(chosen) > 2:
            raise ValueError(f"effects={chosen} are {len(chosen)}; the plot has room for one or two")
        at = [pooled.effects.index(effect) for effect in chosen]
        record = ShrinkageRecord(
            group,
            tuple(chosen),
            pooled.levels,
            pooled.none[:, at],
            pooled.partial[:, at],
            pooled.complete[at],
            pooled.covariance[np.ix_(at, at)],
        )
        return draw_shrinkage(record, ax=ax)

    def trajectories(
        self,
        x: str | None = None,
        group: str | None = None,
        *,
        levels: Sequence[str] | None = None,
        most: int = 24,
        overlay: bool = False,
        ax: AxesLike = None,
    ) -> Panels:
        """Draw the data of each level, its fitted curve, and the curve of the fixed effects.

        Other predictors are held at the level's mean, or its most frequent category. The curves of a generalized fit
        are means of the response.

        Parameters
        ----------
        x : str, optional
            Column over which the curves run; by default the first with a random effect, or else the first fixed one.
        group : str, optional
            Grouping factor; by default the first.
        levels : sequence of str, optional
            Levels to show; by default all, or if there are more than ``most`` that many, spread evenly over the order
            of the conditional modes of the first effect.
        most : int
            Number of levels shown unasked.
        overlay : bool
            Whether all levels share one panel rather than having one each.
        ax : Axes or sequence of Axes, optional
            Where to draw.
        """
        fit, group = self.fit, self._group(group)
        check_offset_is_a_column(fit.request)
        rows = rows_to_vary(fit.schema, kept_table(fit))
        x = self._predictor(x, rows, group)
        k = next(k for k, term in enumerate(fit.schema.terms) if term.group == group)
        chosen = self._levels(k, levels, most)
        curves = level_curves(fit.design, fit.schema, fit.record, rows, group=group, x=x, chosen=chosen, points=_POINTS)
        at = curves.grid[rows[x].astype("category").cat.codes] if curves.categories else rows[x].to_numpy(dtype=float)
        codes = fit.design.terms[k].codes
        panels = tuple(
            TrajectoryPanel(
                fit.schema.terms[k].levels[j],
                at[codes == j],
                fit.design.y[codes == j],
                curves.conditional[i],
                curves.population[i],
            )
            for i, j in enumerate(chosen)
        )
        record = TrajectoryRecord(
            group, x, fit.schema.response, curves.categories, curves.grid, panels, fit.design.terms[k].n_levels
        )
        return draw_trajectories(record, overlay=overlay, ax=ax)

    def variance(self, *, ax: AxesLike = None) -> Panels:
        """Draw the variance components as shares of the variance around the fixed effects, with the ICC.

        The variance of a term with slopes is averaged over the rows. In a generalized fit all variances are on the
        scale of the link, the last being that of the response itself (see :meth:`mixedpy.GlmmFit.r2`).

        Parameters
        ----------
        ax : Axes, optional
            Where to draw.
        """
        fit = self.fit
        components = variance_components(fit.design, fit.schema, fit.record)
        effects = tuple(tuple(zip(t.effects, t.sd.tolist(), strict=True)) for t in components.terms)
        if isinstance(fit.record, GlmmRecord):
            last = f"Response,\n{fit.record.family.link} scale"
            residual = response_variance(fit.design, fit.record, fit.request.control)
        else:
            last, residual = "Residual", fit.sigma**2
        record = VarianceRecord(
            (*(t.name for t in components.terms), last),
            np.append(random_variance(fit.design, fit.record), residual),
            (*effects, ()),
            fit.icc(),
        )
        return draw_variance(record, ax=ax)

    def residuals(self, *, level: float = 0.95, group: str | None = None, ax: AxesLike = None) -> Panels:
        """Draw four views of the scaled residuals: against fitted values, their spread, normal quantiles, by group.

        Those of a generalized fit are its quantile residuals on the normal scale, standard normal where the model holds
        (those of a discrete response drawn with seed 0), against linear predictors.

        Parameters
        ----------
        level : float
            Probability of the band about the normal quantiles, for each point by itself.
        group : str, optional
            Grouping factor of the last panel; by default the first.
        ax : sequence of 4 Axes, optional
            Where to draw.
        """
        check_level(level)
        fit, group = self.fit, self._group(group)
        k = next(k for k, term in enumerate(fit.schema.terms) if term.group == group)
        if isinstance(fit.record, GlmmRecord):
            response = of_rows(fit.design, fit.record)
            u = quantile_residuals(fit.design.y, response, 0)
            scaled, at = ndtri(np.clip(u, _TINY, 1.0 - _TINY)), response.eta
            names = ("quantile residual", "linear predictor")
        else:
            scaled, at = residuals(fit.design, fit.record, "scaled"), fitted(fit.design, fit.record)
            names = ("scaled residual", "fitted value")
        by_level = pd.Series(scaled).groupby(fit.design.terms[k].codes)
        quartiles = np.array([by_level.quantile(q) for q in (0.25, 0.5, 0.75)], dtype=np.float64).T
        record = ResidualRecord(at, scaled, group, quartiles, *names)
        return draw_residuals(record, level=level, ax=ax)

    def effects(
        self, x: str | Sequence[str] | None = None, *, by: str | None = None, level: float = 0.95, ax: AxesLike = None
    ) -> Panels:
        """Draw the fitted effects of the predictors with confidence bands, averaged over the rows of the data.

        Those of a generalized fit are means of the response at random effects of zero: linear predictors are averaged.

        Parameters
        ----------
        x : str or sequence of str, optional
            Columns to draw over; by default all those of the fixed part, a panel each.
        by : str, optional
            Second column, with a curve for each of its categories, or for its mean less and plus a standard deviation.
        level : float
            Confidence level; covariance parameters of a linear fit count as known.
        ax : Axes or sequence of Axes, optional
            Where to draw, one for each of ``x``.
        """
        check_level(level)
        rows = rows_to_vary(self.fit.schema, kept_table(self.fit))
        known = fixed_variables(self.fit.schema, rows.columns)
        wanted = [name for name in known if name != by] if x is None else [x] if isinstance(x, str) else list(x)
        for name in [*wanted, *([] if by is None else [by])]:
            if name not in known:
                raise DataError(f"`{name}` is no predictor of the fixed part; it has {', '.join(known) or 'none'}")
        if not wanted or by in wanted:
            raise DataError(f"the fixed part has no predictor to draw over{'' if by is None else f' beside `{by}`'}")
        return draw_effects([self._effect(rows, name, by, level) for name in wanted], ax=ax)

    def profile(
        self,
        parm: Sequence[str] | str | None = None,
        *,
        kind: Literal["zeta", "density"] = "zeta",
        levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
        ax: AxesLike = None,
    ) -> Panels:
        """Draw the profile likelihoods of the parameters, a panel for each.

        Parameters
        ----------
        parm : str or sequence of str, optional
            Parameters, as for ``fit.profile``; by default all.
        kind : {"zeta", "density"}
            The signed root of the deviance's rise, a straight line where the likelihood is quadratic, or the density
            of the parameter if that root were standard normal.
        levels : sequence of float
            Confidence levels whose intervals are marked.
        ax : Axes or sequence of Axes, optional
            Where to draw, one for each parameter.
        """
        return one_or_all(self.fit.profile(parm).plot(kind, levels=levels, ax=ax))

    def _effect(self, rows: pd.DataFrame, x: str, by: str | None, level: float) -> EffectPanel:
        fit = self.fit
        values, grid, categories = grid_of(fit.schema, x, rows[x], _POINTS)
        needed = rows[fixed_variables(fit.schema, rows.columns, offset=True)]
        curves = []
        for label, held in _held(fit.schema, rows, by):
            points = pd.DataFrame({x: values, **({} if by is None else {by: held.repeat(len(grid))})})
            a = averaged(fit.design, fit.schema, fit.record, needed, points, level=level)
            curves.append(EffectCurve(label, a.fit, a.lower, a.upper))
        rug = np.zeros(0) if categories else np.unique(rows[x].to_numpy(dtype=float))
        if len(rug) > _MOST_RUG:
            rug = np.quantile(rug, np.linspace(0.0, 1.0, _MOST_RUG))
        return EffectPanel(x, fit.schema.response, by, categories, grid, tuple(curves), rug, level)

    def _group(self, group: str | None) -> str:
        groups = list(self.fit.ngroups)
        if group is None:
            return groups[0]
        if group not in groups:
            raise ValueError(f"group={group!r} is no grouping factor of the fit; it has {', '.join(groups)}")
        return group

    def _effects(self, effects: Sequence[str], group: str, known: Sequence[str]) -> list[str]:
        wanted = [effects] if isinstance(effects, str) else list(effects)
        unknown = [effect for effect in wanted if effect not in known]
        if unknown or not wanted:
            raise ValueError(f"effects={wanted} are not all random effects of {group}; it has {', '.join(known)}")
        return wanted

    def _modes(self, group: str, effects: Sequence[str] | None) -> list[EffectModes]:
        fit = self.fit
        covariances = effect_covariances(fit.design, fit.record)
        found = {
            effect: EffectModes(names.group, effect, names.levels, modes[:, a], np.sqrt(covariance[:, a, a]))
            for names, modes, covariance in zip(fit.schema.terms, fit.record.modes, covariances, strict=True)
            if names.group == group
            for a, effect in enumerate(names.effects)
        }
        return [found[e] for e in (found if effects is None else self._effects(effects, group, list(found)))]

    def _levels(self, k: int, levels: Sequence[str] | None, most: int) -> list[int]:
        known = self.fit.schema.terms[k].levels
        if levels is not None:
            unknown = [str(level) for level in levels if str(level) not in known]
            if unknown:
                raise ValueError(f"levels={unknown} are not levels of {self.fit.schema.terms[k].group}")
            return [known.index(str(level)) for level in levels]
        if len(known) <= most:
            return list(range(len(known)))
        order = np.argsort(self.fit.record.modes[k][:, 0], kind="stable")
        return [int(j) for j in order[np.linspace(0, len(known) - 1, most).round().astype(int)]]

    def _predictor(self, x: str | None, rows: pd.DataFrame, group: str) -> str:
        grouping, varying = grouping_variables(self.fit.schema, group, rows.columns)
        known = dict.fromkeys([*varying, *fixed_variables(self.fit.schema, rows.columns)])
        candidates = [name for name in known if name not in grouping]
        if x is None:
            if not candidates:
                raise DataError("the model has no predictor over which a curve could be drawn")
            return candidates[0]
        if x not in candidates:
            raise DataError(f"`{x}` is no predictor of the model; it has {', '.join(candidates) or 'none'}")
        return x


def _held(schema: Schema, rows: pd.DataFrame, by: str | None) -> list[tuple[str | None, Any]]:
    """Values at which the second predictor is held, one each, with their labels."""
    if by is None:
        return [(None, None)]
    values, _, categories = grid_of(schema, by, rows[by], 2)
    if categories:
        return [(label, values[k : k + 1]) for k, label in enumerate(categories)]
    mean, sd = float(rows[by].mean()), float(rows[by].std())
    return [(f"{v:.4g}", np.array([v])) for v in (mean - sd, mean, mean + sd)]
