"""Methods of a fit that ask whether it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mixedpy.inference import rows
from mixedpy.inference.fitted import Level
from mixedpy.inference.leverage import Kind, residuals
from mixedpy.inference.pooling import pooling
from mixedpy.models.checking import Checking

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["Diagnostics"]


class Diagnostics(Checking):
    """Residuals and degrees of pooling of a linear mixed model."""

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
