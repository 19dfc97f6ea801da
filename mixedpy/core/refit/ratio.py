"""Likelihood-ratio statistics of two models of the same responses, for many responses."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.estimate import prepare
from mixedpy.core.refit.linear import linear_criteria
from mixedpy.core.refit.refit import refit_all
from mixedpy.core.refit.responses import reduce_responses

__all__ = ["LikelihoodRatio"]


class LikelihoodRatio:
    """Twice the difference of the log-likelihoods of two linear models, each fitted to the same responses.

    Parameters
    ----------
    smaller, larger : Design
        The models; ``smaller`` may have no random terms, then with the fixed effects of ``larger``.
    reml : bool
        Restricted likelihoods, which are comparable where the fixed effects are the same.
    control : Control
        Settings of the fits.
    smaller_start, larger_start : (k,) array, optional
        Starting theta of all fits; by default from the moments of each response.
    """

    def __init__(
        self,
        smaller: Design,
        larger: Design,
        *,
        reml: bool,
        control: Control,
        smaller_start: Floats | None = None,
        larger_start: Floats | None = None,
    ):
        self.reml, self.control = reml, control
        self.offsets = smaller.offset, larger.offset
        self.starts = smaller_start, larger_start
        self.larger = prepare(larger, control)
        self.smaller = prepare(smaller, control) if smaller.terms else None

    def statistics(self, Y: Floats) -> Floats:
        """Statistics of the responses Y (n, B), (B,); not negative, NaN where a fit did not converge."""
        criterion = self._criteria(Y)
        fits = refit_all(
            self.larger, Y, reml=self.reml, offset=self.offsets[1], start=self.starts[1], control=self.control
        )
        gained = np.where(fits.converged, criterion - fits.criterion, np.nan)
        return np.maximum(gained, 0.0)

    def _criteria(self, Y: Floats) -> Floats:
        """Criteria of the smaller model, (B,)."""
        if self.smaller is None:
            engine = self.larger
            responses = reduce_responses(engine.conditioned, engine.cross_products, Y, self.offsets[0])
            return linear_criteria(engine, responses, reml=self.reml)
        fits = refit_all(
            self.smaller, Y, reml=self.reml, offset=self.offsets[0], start=self.starts[0], control=self.control
        )
        return np.where(fits.converged, fits.criterion, np.nan)
