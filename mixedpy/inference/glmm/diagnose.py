"""What is wrong with a generalized fit, in words: separation, and a likelihood that is flat."""

from __future__ import annotations

import numpy as np

from mixedpy.core.arrays import Design
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.design import Schema

__all__ = ["alike_levels", "separation"]

_FAR = 8.0
"""Effects on the linear predictor beyond this, with standard errors beyond ``_VAGUE``, are on their way to infinity."""

_VAGUE = 15.0

_WIDE = 10.0
"""Standard deviations of random effects beyond this, on the scale of these links, are on their way to infinity."""

_LINKS = ("logit", "probit", "cloglog", "cauchit", "log")


def separation(design: Design, schema: Schema, record: GlmmRecord) -> str | None:
    """Describe coefficients without a finite estimate, None where there are none.

    A coefficient that has run far away while its standard error grew beyond all measure stands for a group of rows
    whose responses are all alike: the likelihood rises as long as it grows (Albert & Anderson 1984, Biometrika 71, 1).
    """
    if record.family.link not in _LINKS or not record.family.discrete:
        return None
    se = np.sqrt(np.maximum(np.diag(record.vcov)[: record.p], 0.0))
    found = []
    for name, c, beta, error in zip(schema.fixed_names, design.fixed, record.beta, se, strict=True):
        x = design.columns[c]
        reach = 1.0 if c == 0 else float(np.ptp(x))
        if abs(beta) * reach > _FAR and error * reach > _VAGUE:
            found.append(f"{name} ({beta:.3g}, standard error {error:.3g})")
    if not found:
        return None
    y = design.y
    if y.min() == y.max():
        return (
            f"every response {schema.response} is {y[0]:g}, so that the coefficients have no finite estimate: "
            f"{', '.join(found)}. The data say nothing of the model; the log-likelihood is that of the limit"
        )
    return (
        f"the fixed effects separate the responses: for some rows that they set apart all {schema.response} are alike, "
        f"so that the estimates of {', '.join(found)} are on their way to infinity and their z values mean nothing. "
        "Drop or merge the predictors or levels, or test them by comparing log-likelihoods, which stand"
    )


def alike_levels(design: Design, schema: Schema, record: GlmmRecord) -> str | None:
    """Describe random effects whose levels hold responses that are all alike, None where there are none."""
    if record.family.link not in _LINKS or not record.family.discrete:
        return None
    for term, names, Lambda in zip(design.terms, schema.terms, record.Lambda, strict=True):
        by_row = [sum(design.columns[c] * Lambda[a, b] for a, c in enumerate(term.columns)) for b in range(term.m)]
        sd = float(np.sqrt(np.mean(np.sum(np.square(by_row), axis=0))))  # of a row: columns may lie far from zero
        if sd < _WIDE:
            continue
        low, high = np.full(term.n_levels, np.inf), np.full(term.n_levels, -np.inf)
        np.minimum.at(low, term.codes, design.y)
        np.maximum.at(high, term.codes, design.y)
        alike = int((low == high).sum())
        return (
            f"the random effects of {names.name} have a standard deviation of {sd:.3g} on the scale of the link: in "
            f"{alike} of its {term.n_levels} levels all {schema.response} are alike, and the likelihood rises or stays "
            "flat as it grows. The data do not determine it; use a coarser grouping factor"
        )
    return None
