"""``all_fit``: one model fitted by every optimizer, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.core.all_fit import all_linear
from mixedpy.core.glmm.all_fit import all_generalized
from mixedpy.core.searches import TRUST_REGION, Found, available
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.lmm import LmmFit
from mixedpy.report.grids import Grid, Section, grid_html, grid_text

__all__ = ["AllFit", "all_fit"]

_SAME = 1e-3
"""Criteria nearer than this to the lowest belong to one optimum: they are in units of a chi-square statistic."""

_SINGLE = ("criterion", "difference", "evaluations", "seconds", "converged")

_PRINTED = {
    "Covariance parameters": ("theta", "sigma"),
    "Fixed effects": ("fixef",),
    "Parameters of the family": ("auxiliary",),
}


class AllFit(pd.DataFrame):
    """Fits of one model by several optimizers, from :func:`all_fit`; prints as R's ``summary(allFit(m))`` does.

    A DataFrame with a row for each optimizer and start. ``criterion``, ``difference`` (to the lowest), ``evaluations``,
    ``seconds``, ``converged`` and ``message`` are columns; ``theta`` and ``fixef``, ``sigma`` of a linear and
    ``auxiliary`` of a generalized model are groups of columns, so that ``found["fixef"]`` is a table of its own. A
    search that failed says why in ``message`` and has NaN for numbers.
    """

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def _grids(self) -> list[Grid]:
        rows = []
        for label, (criterion, difference, evaluations, seconds, converged) in zip(
            self.index, zip(*(self[name] for name in _SINGLE), strict=True), strict=True
        ):
            found = ("", "") if np.isnan(criterion) else (f"{criterion:.4f}", f"{difference:.1e}")
            rows.append((*label, *found, str(evaluations), f"{seconds:.3f}", "yes" if converged else "no"))
        heads = ("optimizer", "start", *_SINGLE)
        grids = [Grid(self.attrs["heading"], heads, (Section(None, tuple(rows)),), tuple(self._notes()), labels=2)]
        for title, groups in _PRINTED.items():
            shown = self.loc[:, self.columns.get_level_values(0).isin(groups)]
            if shown.shape[1]:
                grids.append(_grid(title, shown.droplevel(0, axis=1)))
        return grids

    def _notes(self) -> list[str]:
        same = (self["difference"] < _SAME).to_numpy()
        said = f"{same.sum()} of {len(self)} searches end within {_SAME:g} of the lowest criterion"
        if same.sum() > 1 and len(self.attrs["se"]):
            apart = np.ptp(self["fixef"].to_numpy(np.float64)[same], axis=0) / self.attrs["se"]
            said += f"; their fixed effects are within {apart.max():.1e} standard errors"
        failed = self[~self["converged"]]
        reasons = zip(failed.index, failed["message"], strict=True)
        return [f"{said}.", *(f"{optimizer}, {start}: {text}" for (optimizer, start), text in reasons)]

    def __str__(self) -> str:
        return "\n\n".join(grid_text(grid) for grid in self._grids())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(grid_html(grid) for grid in self._grids())


def all_fit(
    fit: LmmFit | GlmmFit,
    *,
    optimizers: str | Sequence[str] | None = None,
    starts: int = 1,
    seed: int | np.random.Generator | None = None,
    max_evaluations: int = 5000,
) -> AllFit:
    """Fit a model by every optimizer, to see whether they agree.

    The package's own trust-region search and optimizers of SciPy, and of NLopt where it is installed, minimize the same
    criterion, made from the arrays of the fit, from the same starts. Where optimizers that know nothing of one another
    end at one point, a warning about convergence was a false alarm; where they do not, the likelihood is flat or has
    several optima.

    Parameters
    ----------
    fit : LmmFit or GlmmFit
        The model; it is not changed.
    optimizers : str or sequence of str, optional
        Some of ``"trust region"``, ``"L-BFGS-B"`` and ``"trust-constr"``, which use the exact gradient, and
        ``"Nelder-Mead"``, ``"Powell"``, ``"COBYQA"`` (from SciPy 1.14 on) and ``"BOBYQA"`` (of NLopt), which use none.
        By default all that are installed.
    starts : int
        Number of starts for each: from moments of the response, as every fit; with all relative covariance factors one,
        as in lme4; and random ones.
    seed : int or numpy Generator, optional
        Source of the random starts.
    max_evaluations : int
        Limit of a search; the own one has that of the fit's ``Control``.

    Returns
    -------
    AllFit
        A DataFrame with a row for each optimizer and start.

    Raises
    ------
    ValueError
        For an unknown optimizer, or a count below one.

    Notes
    -----
    Searches have no bounds, since the criterion is even in the sign of a column of Lambda, and run over the parameters
    of conditioned columns. Linear models profile out fixed effects and residual variance; generalized ones search over
    all parameters at once, with ``nagq=0`` over those of the random effects.

    Examples
    --------
    >>> import mixedpy as mp
    >>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
    >>> found = mp.all_fit(fit, optimizers=["trust region", "L-BFGS-B", "Nelder-Mead"])
    >>> found["criterion"].round(3).tolist()
    [1743.628, 1743.628, 1743.628]
    >>> found["fixef"].round(2)
                          (Intercept)   Days
    optimizer    start
    trust region moments       251.41  10.47
    L-BFGS-B     moments       251.41  10.47
    Nelder-Mead  moments       251.41  10.47
    """
    if not isinstance(fit, LmmFit | GlmmFit):
        raise TypeError(f"all_fit takes a fit of lmer or glmer, not a {type(fit).__name__}")
    options: dict[str, Any] = {
        "optimizers": _chosen(optimizers),
        "starts": _count("starts", starts),
        "seed": seed,
        "most": _count("max_evaluations", max_evaluations),
        "control": fit.request.control,
    }
    if isinstance(fit, LmmFit):
        found = list(all_linear(fit.design, reml=fit.record.reml, **options))
        what = "REML criterion" if fit.record.reml else "deviance"
    else:
        found, what = list(all_generalized(fit.design, fit.record, **options)), "deviance"
    table = _table(fit, found)
    table.attrs["heading"] = f"{fit.formula}: the {what} by optimizer"
    table.attrs["se"] = fit.se.to_list()
    return table


def _chosen(optimizers: str | Sequence[str] | None) -> list[str]:
    known = [TRUST_REGION, *available()]
    if optimizers is None:
        return known
    chosen = list(dict.fromkeys([optimizers] if isinstance(optimizers, str) else optimizers))
    if not chosen or not set(chosen) <= set(known):
        raise ValueError(f"optimizers={chosen} must name some of those installed: {', '.join(known)}")
    return chosen


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}={value!r} must be a whole number, at least 1")
    return int(value)


def _table(fit: LmmFit | GlmmFit, found: Sequence[Found]) -> AllFit:
    criteria = np.array([np.nan if one.estimate is None else one.estimate.criterion for one in found])
    columns: dict[tuple[str, str], Any] = {
        ("criterion", ""): criteria,
        ("difference", ""): criteria - np.min(criteria, where=~np.isnan(criteria), initial=np.inf),
        ("evaluations", ""): [one.evaluations for one in found],
        ("seconds", ""): [one.seconds for one in found],
        ("converged", ""): [one.converged for one in found],
        ("message", ""): [one.message for one in found],
    }
    last = ("sigma", ["sigma"]) if isinstance(fit, LmmFit) else ("auxiliary", list(fit.auxiliary.index))
    groups = (("theta", list(fit.theta.index)), ("fixef", list(fit.fixef.index)), last)
    for (group, names), part in zip(groups, ("theta", "beta", "others"), strict=True):
        for k, name in enumerate(names):
            columns[group, name] = [np.nan if one.estimate is None else getattr(one.estimate, part)[k] for one in found]
    index = pd.MultiIndex.from_tuples([(one.optimizer, one.start) for one in found], names=["optimizer", "start"])
    return AllFit(columns, index=index)


def _grid(title: str, table: pd.DataFrame) -> Grid:
    """Parameters by search, to six significant digits."""
    rows = tuple(
        (*label, *("" if np.isnan(value) else f"{value:.6g}" for value in row))
        for label, row in zip(table.index, table.to_numpy(np.float64), strict=True)
    )
    return Grid(title, ("optimizer", "start", *table.columns), (Section(None, rows),), labels=2)
