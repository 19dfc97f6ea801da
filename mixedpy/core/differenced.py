"""A Hessian by differences of the exact gradient, for covariance templates whose parameters bend Lambda.

Average information stands for the second derivatives in Sigma. Where the data disagree with the model the two differ,
and with a template that is not linear in its parameters even in sign, so that the search crawls. One gradient per
parameter then buys Newton's own steps.
"""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.deviance import Deviance

__all__ = ["Differenced"]

_STEP = 1e-5


class Differenced:
    """The deviance with another Hessian."""

    def __init__(self, deviance: Deviance):
        self.deviance = deviance

    @property
    def noise(self) -> float:
        """Monte-Carlo error of the deviance, as it has it."""
        return self.deviance.noise

    def value(self, theta: Floats) -> float:
        """Deviance at theta (k,)."""
        return self.deviance.value(theta)

    def derivatives(self) -> tuple[Floats, Floats]:
        """Gradient (k,) and Hessian (k, k) at the theta of the last ``value``."""
        theta = self.deviance.theta
        gradient, _ = self.deviance.derivatives()
        hessian = np.empty((len(theta), len(theta)))
        for k in range(len(theta)):
            there = theta.copy()
            there[k] += _STEP * max(1.0, abs(theta[k]))
            self.deviance.value(there)
            hessian[k] = (self.deviance.derivatives()[0] - gradient) / (there[k] - theta[k])
        return gradient, 0.5 * (hessian + hessian.T)
