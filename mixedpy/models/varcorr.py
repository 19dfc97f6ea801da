"""The covariances of the random effects, as R's ``VarCorr`` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from mixedpy.inference import varcorr as inference
from mixedpy.inference.varcorr import VarianceComponents
from mixedpy.models.tables import varcorr_record
from mixedpy.report.html import varcorr_html
from mixedpy.report.text import varcorr_text

__all__ = ["VarCorr"]


@dataclass(frozen=True, slots=True, repr=False)
class VarCorr:
    """Covariances of the random effects; prints as R's ``VarCorr(m)``.

    Attributes
    ----------
    components : VarianceComponents
        Standard deviations and correlations of each term, and the residual standard deviation.
    """

    components: VarianceComponents

    @property
    def sigma(self) -> float | None:
        """Residual standard deviation; None for a family without one."""
        return self.components.sigma

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Covariance matrix of the term with this label ("Subject", "Subject.1")."""
        for term in self.components.terms:
            if term.name == name:
                return pd.DataFrame(term.cov, index=list(term.effects), columns=list(term.effects))
        raise KeyError(f"{name!r}; the terms are {', '.join(repr(term.name) for term in self.components.terms)}")

    def to_frame(self, order: Literal["cov.last", "lower.tri"] = "cov.last") -> pd.DataFrame:
        """Lay the components out as R's ``as.data.frame(VarCorr(m))``.

        Parameters
        ----------
        order : {"cov.last", "lower.tri"}
            Within a term: all variances and then all covariances, or the lower triangle column by column.

        Returns
        -------
        DataFrame
            Columns ``grp``, ``var1``, ``var2`` (None where R has NA), ``vcov`` and ``sdcor``; the residual comes last.
        """
        return inference.to_frame(self.components, order)

    def __str__(self) -> str:
        return varcorr_text(varcorr_record(self.components))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return varcorr_html(varcorr_record(self.components))
