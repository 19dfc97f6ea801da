"""Whether fits may be compared: of one kind, to the same data by content, by commensurate criteria."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.core.estimate import estimate_prepared, prepare
from mixedpy.core.family import BetaBinomial, Binomial, CountFamily, Family, Hurdle, Poisson, ZeroInflated
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design.encode import Encoding
from mixedpy.errors import DataError, MixedpyError
from mixedpy.inference.nesting import same_fixed_part, same_grouping

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = [
    "by_ml",
    "check_fits",
    "check_likelihoods",
    "check_names",
    "check_same_data",
    "is_limit",
    "one_fixed_part",
]

Fits = Sequence["LmmFit | GlmmFit"]

_BY_LEVEL = frozenset({"", "dummy"})
"""Codings of parts of columns that mean the same in every model: numbers, and indicators of a level."""


def check_fits(what: str, fits: Sequence[Any], least: int, *, linear: bool = False) -> None:
    """Raise a TypeError unless there are enough arguments and all are fits of one kind (``linear``: of this one)."""
    kinds = [_kind(fit) for fit in fits]
    wanted = "fits made by mixedpy.lmer are wanted" if linear else "fits are wanted"
    for k, (fit, kind) in enumerate(zip(fits, kinds, strict=True), start=1):
        if kind is None:
            raise TypeError(f"{what}: argument {k} is of type {type(fit).__name__}; {wanted}")
        if linear and kind != "linear":
            raise TypeError(f"{what}: argument {k} is a {kind} fit; {wanted}")
        if kind != kinds[0]:
            raise TypeError(
                f"{what}: argument 1 is a {kinds[0]} fit, argument {k} a {kind} one; compare fits of one kind"
            )
    if len(fits) < least:
        raise TypeError(f"{what} compares fits; give {least} or more (for the terms of one fit: fit.anova())")


def _kind(fit: Any) -> str | None:
    record = getattr(fit, "record", None)
    return "linear" if isinstance(record, FitRecord) else "generalized" if isinstance(record, GlmmRecord) else None


def check_names(what: str, names: Sequence[str], count: int) -> list[str]:
    """Raise a ValueError unless there is one name for each fit, all different."""
    found = [str(name) for name in names]
    if len(found) != count or len(set(found)) < count:
        raise ValueError(f"{what}: names={found} must give {count} different names, one for each fit")
    return found


def check_same_data(fits: Fits, names: Sequence[str]) -> None:
    """Raise a DataError, saying what differs, unless all fits are to the same data.

    They must have the same rows, response and weights, and the same contents of every predictor and grouping factor
    that two of them name alike.
    """
    first = fits[0]
    columns, groups = dict(_columns(first)), dict(_groups(first))
    for fit, name in zip(fits[1:], names[1:], strict=True):
        both = f"{names[0]} and {name}"
        if fit.nobs != first.nobs:
            raise DataError(
                f"{both} were fitted to {first.nobs} and {fit.nobs} rows; fit both to the same rows (leave out those "
                "with missing values of either model)"
            )
        unequal = first.design.y != fit.design.y
        if unequal.any():
            raise DataError(
                f"{both} were fitted to different responses ({first.schema.response} and {fit.schema.response}) or "
                f"rows: {int(unequal.sum())} of {fit.nobs} values differ; likelihoods of different data cannot be "
                "compared"
            )
        one, two = (np.ones(1) if f.design.weights is None else f.design.weights for f in (first, fit))
        if (one != two).any():
            raise DataError(f"{both} have different prior weights; fit both with the same weights")
        for label, column in _columns(fit):
            known = columns.setdefault(label, column)
            if known is not column and not np.array_equal(known, column):
                count = int((known != column).sum())
                raise DataError(
                    f"`{label[0]}` is not the same in the tables of {both}: {count} of {fit.nobs} values differ; fit "
                    "both to one table"
                )
        for group, term in _groups(fit):
            if not same_grouping(groups.setdefault(group, term), term):
                raise DataError(
                    f"the grouping factor `{group}` is not the same in the tables of {both}: it does not make the same "
                    "groups of rows; fit both to one table"
                )


def _columns(fit: LmmFit | GlmmFit) -> Iterator[tuple[tuple[str, str], Floats]]:
    """Columns that are numbers or indicators of a level, by the names of their variables and their own."""
    schema, design = fit.schema, fit.design
    parts: list[tuple[Encoding, Iterable[Floats]]] = [(schema.fixed, [design.columns[k] for k in design.fixed])]
    for names, term in zip(schema.terms, design.terms, strict=True):
        parts.append((names.encoding, [design.columns[k] for k in term.columns]))
    zeros = fit.record.auxiliary[-1] if isinstance(fit.record, GlmmRecord) and schema.zeros is not None else None
    if schema.zeros is not None and zeros is not None:
        parts.append((schema.zeros, zeros.T))
    for encoding, columns in parts:
        for key, name, column in zip(encoding.keys, encoding.names, columns, strict=True):
            if all(part.coding in _BY_LEVEL for part in key):
                yield (":".join(part.variable for part in key), name), column


def _groups(fit: LmmFit | GlmmFit) -> Iterator[tuple[str, Any]]:
    """Random terms by their grouping factor."""
    return ((names.group, term) for names, term in zip(fit.schema.terms, fit.design.terms, strict=True))


def check_likelihoods(fits: Sequence[GlmmFit], names: Sequence[str], *, nested: bool) -> None:
    """Raise a MixedpyError unless generalized fits have likelihoods by the same approximation.

    ``nested`` asks also for one family and link, or a family and one of which it is a limit.
    """
    first = fits[0]
    for fit, name in zip(fits[1:], names[1:], strict=True):
        one, two = first.record, fit.record
        if one.nagq != two.nagq:
            raise MixedpyError(
                f"{names[0]} was fitted with nagq={one.nagq}, {name} with nagq={two.nagq}; fit both with the same"
            )
        if one.expected != two.expected:
            raise MixedpyError(
                f"{names[0]} and {name} were fitted with different weights in the Laplace approximation; fit both with "
                "the same laplace="
            )
        if not nested or one.family == two.family or is_limit(one.family, two.family):
            continue
        if is_limit(two.family, one.family):
            continue
        raise MixedpyError(
            f"{names[0]} and {name} have different families or links ({one.family.name} with {one.family.link}, "
            f"{two.family.name} with {two.family.link}), so that neither is a special case of the other; compare() "
            "ranks them"
        )


def is_limit(family: Family, larger: Family) -> bool:
    """Whether a family is a limit of a larger one with more parameters, whose dispersion or share of zeros vanishes.

    Examples
    --------
    >>> import mixedpy as mp
    >>> is_limit(mp.Poisson(), mp.NegativeBinomial2()), is_limit(mp.Poisson(), mp.Poisson())
    (True, False)
    """
    if family.link != larger.link or family == larger:
        return False
    if isinstance(larger, ZeroInflated | Hurdle) and type(family) is type(larger):
        return is_limit(family.counts, larger.counts)
    if isinstance(larger, ZeroInflated):
        return isinstance(family, CountFamily) and (family == larger.counts or is_limit(family, larger.counts))
    if isinstance(larger, CountFamily) and isinstance(family, Poisson):
        return True
    return isinstance(larger, BetaBinomial) and isinstance(family, Binomial)


def one_fixed_part(fits: Sequence[LmmFit]) -> bool:
    """Whether all fits have the same columns of X and the same offset, so that REML criteria are commensurate."""
    return all(same_fixed_part(fits[0].design, fit.design) for fit in fits[1:])


def by_ml(fit: LmmFit) -> LmmFit:
    """Refit by maximum likelihood, from the arrays and the estimates of a REML fit."""
    if not fit.record.reml:
        return fit
    control = fit.request.control
    record = estimate_prepared(prepare(fit.design, control), reml=False, start=fit.record.theta, control=control)
    return replace(fit, record=record, request=replace(fit.request, reml=False, start=None))
