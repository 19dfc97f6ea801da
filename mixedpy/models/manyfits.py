"""The fits of one model to many responses, as tables with one row per response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design
from mixedpy.core.frozen import sealed
from mixedpy.core.refit.refit import Refits
from mixedpy.design import Schema
from mixedpy.errors import ConvergenceWarning, warn
from mixedpy.inference import names
from mixedpy.models.request import Request

__all__ = ["ManyFits", "warn_of_failures"]


@sealed
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ManyFits:
    """Fits of one model to B responses; nothing that is called on it changes it.

    Attributes
    ----------
    refits : Refits
        The estimates as arrays.
    labels : Index
        Names of the responses.
    design, schema, request
        The model, as in a fit.
    """

    refits: Refits
    labels: pd.Index[Any]
    design: Design
    schema: Schema
    request: Request

    def __len__(self) -> int:
        return self.refits.count

    def __repr__(self) -> str:
        how = "REML" if self.request.reml else "maximum likelihood"
        failed = int((~self.refits.converged).sum())
        end = f"; {failed} did not converge" if failed else ""
        return f"<{len(self)} fits of {self.schema.formula} by {how}{end}>"

    @property
    def fixef(self) -> pd.DataFrame:
        """Fixed effects, (B, p)."""
        return pd.DataFrame(self.refits.beta.copy(), self.labels, list(self.schema.fixed_names))

    @property
    def se(self) -> pd.DataFrame:
        """Standard errors of the fixed effects, (B, p)."""
        variances = np.einsum("bxx->bx", self.refits.unscaled_vcov) * self.refits.sigma[:, None] ** 2
        return pd.DataFrame(np.sqrt(variances), self.labels, list(self.schema.fixed_names))

    @property
    def theta(self) -> pd.DataFrame:
        """Covariance parameters, (B, k)."""
        return pd.DataFrame(self.refits.theta.copy(), self.labels, names.theta_names(self.design, self.schema))

    @property
    def sigma(self) -> pd.Series[float]:
        """Residual standard deviations."""
        return pd.Series(self.refits.sigma.copy(), self.labels)

    @property
    def deviance(self) -> pd.Series[float]:
        """-2 log-likelihood; the REML criteria of REML fits."""
        return pd.Series(self.refits.criterion.copy(), self.labels)

    @property
    def loglik(self) -> pd.Series[float]:
        """Log-likelihoods, restricted for REML fits."""
        return -0.5 * self.deviance

    @property
    def converged(self) -> pd.Series[bool]:
        """Whether each fit met the criteria for convergence; False also where no fit was possible."""
        return pd.Series(self.refits.converged.copy(), self.labels)


def warn_of_failures(many: ManyFits) -> None:
    """Warn, with counts, of responses that could not be fitted."""
    refits = many.refits
    impossible = int(np.isnan(refits.criterion).sum())
    early = int((~refits.converged).sum()) - impossible
    what = []
    if impossible:
        what.append(
            f"{impossible} of {refits.count} responses have no finite criterion (constant, or determined exactly by "
            "the predictors); their estimates are NaN"
        )
    if early:
        what.append(f"{early} of {refits.count} fits did not converge; see .converged")
    if what:
        warn(ConvergenceWarning("; ".join(what)))
