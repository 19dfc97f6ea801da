"""Standard deviations and correlations of the random effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema

__all__ = ["TermCovariance", "VarianceComponents", "to_frame", "variance_components"]


@dataclass(frozen=True, slots=True)
class TermCovariance:
    """Covariance of the m effects of one random term.

    Attributes
    ----------
    name : str
        Label of the term, "Subject" or "Subject.1".
    effects : tuple of str
        Names of the m effects.
    sd : (m,) array
        Standard deviations, in units of the response.
    corr : (m, m) array
        Correlations; NaN beside an effect whose standard deviation is zero.
    template : str
        Form of the covariance matrix: "us", "diag", "cs" or "ar1".
    hom : bool
        Whether the effects share one standard deviation.
    """

    name: str
    effects: tuple[str, ...]
    sd: Floats
    corr: Floats
    template: str
    hom: bool = False

    @property
    def cov(self) -> Floats:
        """Covariance matrix, (m, m)."""
        return np.where(np.isnan(self.corr), 0.0, self.corr) * np.outer(self.sd, self.sd)


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Covariances of all random terms, in the order of the fit, and the residual standard deviation if there is one."""

    terms: tuple[TermCovariance, ...]
    sigma: float | None


def variance_components(design: Design, schema: Schema, record: FitRecord | GlmmRecord) -> VarianceComponents:
    """Compute the covariances of every term as standard deviations and correlations.

    sigma^2 Lambda Lambda' in a linear model; Lambda Lambda' in a generalized one, whose sigma is None where the family
    has no dispersion.
    """
    if isinstance(record, GlmmRecord):
        sigma = record.sigma if record.family.has_scale else None
        return VarianceComponents(_term_covariances(design, schema, record.Lambda), sigma)
    return VarianceComponents(_term_covariances(design, schema, record.Lambda, record.sigma), record.sigma)


def _term_covariances(
    design: Design, schema: Schema, Lambdas: tuple[Floats, ...], scale: float = 1.0
) -> tuple[TermCovariance, ...]:
    """Describe the covariances scale^2 Lambda Lambda' of the terms."""
    terms = []
    for term, names, Lambda in zip(design.terms, schema.terms, Lambdas, strict=True):
        relative = np.sqrt(np.einsum("ab,ab->a", Lambda, Lambda))  # (m,)
        with np.errstate(invalid="ignore"):
            rows = Lambda / relative[:, None]
        corr = rows @ rows.T
        corr[np.diag_indices_from(corr)] = np.where(relative > 0, 1.0, np.nan)
        terms.append(
            TermCovariance(
                name=names.name,
                effects=tuple(names.effects),
                sd=scale * relative,
                corr=np.clip(corr, -1.0, 1.0),
                template=term.template.name,
                hom=names.hom,
            )
        )
    return tuple(terms)


def to_frame(components: VarianceComponents, order: Literal["cov.last", "lower.tri"] = "cov.last") -> pd.DataFrame:
    """Lay out the components as R's ``as.data.frame(VarCorr(m))``.

    Parameters
    ----------
    components : VarianceComponents
        What to lay out.
    order : {"cov.last", "lower.tri"}
        Within a term: all variances and then all covariances, or the lower triangle column by column.

    Returns
    -------
    DataFrame
        Columns ``grp``, ``var1``, ``var2`` (None where R has NA), ``vcov`` and ``sdcor``; the last row is the residual,
        if there is one.
    """
    if order not in ("cov.last", "lower.tri"):
        raise ValueError(f"order={order!r} is unknown; use 'cov.last' or 'lower.tri'")
    rows: list[tuple[str, str | None, str | None, float, float]] = []
    for term in components.terms:
        cov, m = term.cov, len(term.effects)
        columns, lower = np.triu_indices(m)
        pairs = list(zip(columns.tolist(), lower.tolist(), strict=True))
        if term.template == "diag":
            pairs = [(a, b) for a, b in pairs if a == b]
        if order == "cov.last":
            pairs.sort(key=lambda pair: pair[0] != pair[1])
        for a, b in pairs:
            if a == b:
                rows.append((term.name, term.effects[a], None, float(cov[a, a]), float(term.sd[a])))
            else:
                rows.append((term.name, term.effects[a], term.effects[b], float(cov[a, b]), float(term.corr[a, b])))
    if components.sigma is not None:
        rows.append(("Residual", None, None, components.sigma**2, components.sigma))
    grp, var1, var2, vcov, sdcor = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "grp": list(grp),
            "var1": pd.Series(var1, dtype=object),
            "var2": pd.Series(var2, dtype=object),
            "vcov": vcov,
            "sdcor": sdcor,
        }
    )
