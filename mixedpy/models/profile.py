"""The profile likelihood of a fit: zeta, confidence limits, plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from mixedpy.core.frozen import sealed
from mixedpy.errors import IntervalWarning, warn
from mixedpy.inference import profile as inference
from mixedpy.inference.intervals import normal_cutoff
from mixedpy.inference.profile import Profiles
from mixedpy.report.plots.profile import CurvePoints, plot_curves
from mixedpy.report.plots.style import AxesLike

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["Profile", "check_cutoff", "profile_fit", "profile_limits", "warn_of_missing"]

Parm = str | int | Sequence[str | int] | None


@sealed
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Profile:
    """Profile likelihood of a fit, from its method ``profile``.

    zeta is the signed square root of the increase of the ML deviance when one parameter is held at a value and all
    others are fitted; for a parameter whose likelihood is normal it is a straight line.

    Attributes
    ----------
    profiles : Profiles
        The points as records.
    formula : str
        Of the model.
    """

    profiles: Profiles
    formula: str

    @property
    def zeta(self) -> pd.DataFrame:
        """The points: ``.zeta``, every parameter at that point, and ``.par``, the name of the one held."""
        return inference.zeta_frame(self.profiles)

    @property
    def reasons(self) -> dict[str, str]:
        """Why parameters have no profile, or only part of one, by name."""
        return inference.limits(self.profiles, 0.95)[1]

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Find the values at which \\|zeta\\| reaches the normal quantile.

        Parameters
        ----------
        level : float
            Confidence level.

        Returns
        -------
        DataFrame
            Lower and upper limit of each parameter. A standard deviation whose profile does not reach the quantile
            has the limit 0, such a correlation -1 or 1. NaN where there is no limit; an :class:`IntervalWarning` and
            ``.attrs["reasons"]`` say why.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
        >>> fit.profile().confint(0.9).round(2)
                         5 %     95 %
        .sig01         16.77    72.87
        .sigma         39.73    64.07
        (Intercept)  1494.78  1560.22
        """
        table, reasons = inference.limits(self.profiles, level)
        warn_of_missing(reasons)
        table.attrs["reasons"] = reasons
        return table

    def plot(
        self,
        kind: Literal["zeta", "density"] = "zeta",
        *,
        levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99),
        ax: AxesLike = None,
    ) -> Any:
        """Plot the profiles with matplotlib.

        Parameters
        ----------
        kind : {"zeta", "density"}
            zeta against the parameter, or the density of the parameter if zeta were standard normal.
        levels : sequence of float
            Confidence levels whose intervals are marked on plots of zeta.
        ax : Axes or sequence of Axes, optional
            Where to draw, one for each parameter.

        Returns
        -------
        numpy array of matplotlib Axes
            One for each parameter.
        """
        return plot_curves(self._points(), kind, tuple(levels), ax)

    def _points(self) -> list[CurvePoints]:
        frame = self.zeta
        out = []
        for curve in self.profiles.curves:
            name = curve.parameter.name
            own = frame[frame[".par"] == name]
            if len(own) > 1:
                out.append(CurvePoints(name, own[name].to_numpy(float), own[".zeta"].to_numpy(float)))
        return out

    def __repr__(self) -> str:
        names = ", ".join(curve.parameter.name for curve in self.profiles.curves)
        points = sum(
            len(curve.lower.steps) + len(curve.upper.steps) - 1
            for curve in self.profiles.curves
            if curve.lower is not None and curve.upper is not None
        )
        return f"<profile of {self.formula}: {names}; {points} points>"


def check_cutoff(cutoff: float | None) -> None:
    """Raise a ValueError unless the cutoff is positive, or None."""
    if cutoff is not None and not cutoff > 0:
        raise ValueError(f"cutoff={cutoff!r} must be positive; it is the largest |zeta| to reach")


def profile_fit(fit: LmmFit, parm: Parm, cutoff: float | None) -> Profile:
    """Profile a fit up to \\|zeta\\| = cutoff."""
    check_cutoff(cutoff)
    found = inference.profile(fit.design, fit.schema, fit.record, fit.request.control, parm=parm, cutoff=cutoff)
    return Profile(found, fit.formula)


def profile_limits(fit: LmmFit, parm: Parm, level: float) -> tuple[pd.DataFrame, dict[str, str]]:
    """Profile a fit just as far as the limits need."""
    cutoff = normal_cutoff(level)
    found = inference.profile(fit.design, fit.schema, fit.record, fit.request.control, parm=parm, cutoff=cutoff)
    return inference.limits(found, level)


def warn_of_missing(reasons: dict[str, str]) -> None:
    """Warn of limits that are missing, with the reasons."""
    if reasons:
        what = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        warn(IntervalWarning(f"some limits are missing (NaN). {what}"))
