"""Ways to look at a fit and to keep it, shared by the kinds of fits: tables, plots, files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from mixedpy.inference.tidy import Effects, Scale, augment, glance, tidy
from mixedpy.models.html_report import write_report
from mixedpy.models.kept import kept_table
from mixedpy.models.plots import Plots
from mixedpy.models.storage.save import save_fit

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit

__all__ = ["Views"]


class Views:
    """Methods of a fit that show it or write it."""

    __slots__ = ()

    @property
    def plot(self: Fit) -> Plots:  # type: ignore[misc]
        """Plots with matplotlib: ``fit.plot.ranef()``, ``.shrinkage()``, ``.trajectories()`` and others."""
        return Plots(self)

    def tidy(  # type: ignore[misc]
        self: Fit,
        effects: Effects | Sequence[Effects] = ("fixed", "ran_pars"),
        *,
        conf_int: bool = False,
        conf_level: float = 0.95,
        scale: Scale = "sdcor",
    ) -> pd.DataFrame:
        """Return the estimates as a tidy table, with the rows and column names of R's broom.mixed.

        Parameters
        ----------
        effects : str or sequence of str
            ``"fixed"``, ``"auxiliary"`` (a generalized family's own coefficients), ``"ran_pars"`` (standard deviations
            and correlations), ``"ran_vals"`` (conditional modes), ``"ran_coefs"`` (coefficients per level).
        conf_int : bool
            Whether to add ``conf.low`` and ``conf.high``, of the normal distribution, for fixed effects and modes.
        conf_level : float
            Confidence level.
        scale : {"sdcor", "vcov"}
            Standard deviations and correlations, or variances and covariances.

        Returns
        -------
        DataFrame
            ``effect``, ``group``, ``level`` (of modes and coefficients), ``term``, ``estimate``, ``std.error``,
            ``statistic``, and of a generalized fit ``p.value``; what a row does not have is NaN or None.

        Examples
        --------
        >>> import mixedpy as mp
        >>> fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
        >>> print(fit.tidy()[["effect", "group", "term", "estimate"]].round(2))
             effect     group             term  estimate
        0     fixed      None      (Intercept)   1527.50
        1  ran_pars     Batch  sd__(Intercept)     42.00
        2  ran_pars  Residual  sd__Observation     49.51
        """
        return tidy(
            self.design,
            self.schema,
            self.record,
            effects=[effects] if isinstance(effects, str) else effects,
            conf_int=conf_int,
            conf_level=conf_level,
            scale=scale,
        )

    def glance(self: Fit) -> pd.DataFrame:  # type: ignore[misc]
        """Return what there is one of per fit as one row, with the column names of R's broom.mixed.

        ``nobs``, ``sigma``, ``logLik``, ``AIC``, ``BIC``, ``REMLcrit`` or ``deviance``, ``df.residual``. The
        deviance is that of the print-out, -2 log-likelihood; for a generalized fit broom.mixed has the sum of the
        squared deviance residuals in its place.
        """
        return glance(self.record)

    def augment(self: Fit) -> pd.DataFrame:  # type: ignore[misc]
        """Return the columns that the model reads with fitted values, residuals and leverage, as R's broom.mixed.

        ``.fitted``, ``.resid``, ``.hat``, ``.cooksd``, ``.fixed``, ``.mu``, ``.offset``, ``.sqrtXwt``, ``.sqrtrwt``,
        ``.weights`` and ``.wtres``; a row for each row of the fit, or of the table with ``na_action="exclude"``.

        In a generalized fit ``.fitted``, ``.fixed`` and ``.eta`` are on the scale of the link and ``.mu`` is the mean;
        ``.resid`` are deviance residuals (NaN for a family that has none), ``.wtres`` Pearson residuals, and ``.hat``
        is the leverage of the working linear model, where R has a figure of which it warns.

        Raises
        ------
        DataError
            If the table was changed after the fit.
        """
        return augment(self.design, self.schema, self.record, kept_table(self))

    def report(self: Fit, path: str | os.PathLike[str], *, title: str | None = None) -> None:  # type: ignore[misc]
        """Write one self-contained HTML page: data, model, tables, plots, and diagnostics in words.

        Images are part of the file; it has no scripts and fetches nothing.

        Parameters
        ----------
        path : str or path
            Where to write; a file that is there is replaced.
        title : str, optional
            Heading of the page; by default the response and the formula.

        Raises
        ------
        MixedpyError
            If matplotlib or jinja2 is not installed.
        DataError
            If the table was changed after the fit.
        OSError
            If the folder does not exist or cannot be written to.
        """
        write_report(self, path, title)

    def save(self: Fit, path: str | os.PathLike[str]) -> None:  # type: ignore[misc]
        """Write the fit to a file that :func:`mixedpy.load` reads.

        The file is a zip archive of JSON and ``.npy`` arrays, described in ``docs/saving.md``; it holds the estimates,
        the model matrix, and the columns of the table that the model reads.

        Parameters
        ----------
        path : str or path
            Where to write; a file that is there is replaced.

        Raises
        ------
        OSError
            If the folder does not exist or cannot be written to.
        DataError
            If the row labels are of a type that cannot be saved, or the table was changed after the fit.
        """
        save_fit(self, path)
