"""Methods of linear and generalized fits alike that hold the data against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.inference import rows
from mixedpy.inference.simulated import SimulatedResiduals, simulated_residuals

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit

__all__ = ["Checking"]


class Checking:
    """Checks of a mixed model."""

    __slots__ = ()

    def simulate_residuals(  # type: ignore[misc]
        self: Fit,
        nsim: int = 250,
        seed: int | np.random.Generator | None = None,
        re_form: str | None = "NA",
    ) -> SimulatedResiduals:
        """Rank each observation among simulations of it, and test uniformity, dispersion, outliers, trend and spread.

        As R's DHARMa; counts and the like are tested for their number of zeros as well.

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
        rng = np.random.default_rng(seed)
        drawn = rows.used(self.schema, self.simulate(nsim, rng, re_form=re_form).to_numpy())
        predicted = rows.used(self.schema, np.asarray(self.predict(re_form=re_form), np.float64))
        discrete = isinstance(self.record, GlmmRecord) and self.record.family.discrete
        scaled, tests = simulated_residuals(self.design.y, drawn, predicted, rng, discrete=discrete)
        return SimulatedResiduals(rows.on_rows(self.schema, scaled), tests, nsim)
