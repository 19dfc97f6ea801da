"""A model made ready once and fitted to many responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.estimate import Engine, estimate_prepared
from mixedpy.core.estimate import prepare as prepare_engine
from mixedpy.core.frozen import sealed
from mixedpy.core.refit.refit import refit_all
from mixedpy.core.refit.respond import respond
from mixedpy.core.refit.responses import reduce_responses
from mixedpy.design import Schema
from mixedpy.inference import names, rows
from mixedpy.models import fitting
from mixedpy.models.lmm import LmmFit
from mixedpy.models.manyfits import ManyFits, warn_of_failures
from mixedpy.models.request import DEFAULT_CONTROL, Column, NaAction, Request

__all__ = ["Prepared", "prepare"]


@sealed
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Prepared:
    """A linear mixed model whose columns, cross-products and symbolic factorization are ready; see :func:`prepare`.

    Attributes
    ----------
    engine : Engine
        The prepared arrays. Its workspace is used by one fit at a time: give every thread a model of its own.
    design : Design
        The arrays of the model.
    schema : Schema
        Names of columns, terms and levels.
    request : Request
        The arguments of the call.
    """

    engine: Engine
    design: Design
    schema: Schema
    request: Request

    @property
    def formula(self) -> str:
        """The formula, spaced as R deparses it."""
        return str(self.schema.formula)

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return self.design.n

    def __repr__(self) -> str:
        groups = ", ".join(f"{t.group} {len(t.levels)}" for t in self.schema.terms)
        return f"<prepared model {self.formula}: {self.nobs} rows; levels: {groups}>"

    def fit(self, y: npt.ArrayLike | None = None, *, reml: bool = True, start: npt.ArrayLike | None = None) -> LmmFit:
        """Fit the model to a response.

        Parameters
        ----------
        y : (n,) array, optional
            The response of the rows used, or of all rows of the table; by default that of the table. A Series is
            aligned by its row labels, arrays are in the order of the rows.
        reml : bool
            Whether to minimize the REML criterion rather than the deviance of maximum likelihood.
        start : array, optional
            Starting values of ``theta``; by default from moments of the response.

        Returns
        -------
        LmmFit
            As from :func:`mixedpy.lmer`.

        Raises
        ------
        DataError
            If the response has the wrong length, other row labels, or misses a value, or is constant.

        Examples
        --------
        >>> import mixedpy as mp
        >>> sleepstudy = mp.datasets.load("sleepstudy")
        >>> prep = mp.prepare("Reaction ~ Days + (Days | Subject)", sleepstudy)
        >>> round(prep.fit().sigma, 3)
        25.592
        >>> round(prep.fit(sleepstudy["Reaction"] / 10).sigma, 4)
        2.5592
        """
        request = self._request(reml, start, refitted=y is not None)
        first = None if start is None else names.start_values(self.design, self.schema, start)
        design, engine = self.design, self.engine
        if y is not None:
            design = replace(design, y=rows.response(self.schema, y))
            column = design.y[:, None]
            responses = reduce_responses(engine.conditioned, engine.cross_products, column, design.offset)
            moved = design.y - responses.shift[0] - (0.0 if design.offset is None else design.offset)
            engine = respond(engine, responses, 0, moved)
        with fitting.explained(design, self.schema):
            record = estimate_prepared(engine, reml=reml, start=first, control=request.control)
        fitting.warn(design, self.schema, record, request.control)
        return LmmFit(record, design, self.schema, request)

    def fit_many(self, Y: npt.ArrayLike, *, reml: bool = True, start: npt.ArrayLike | None = None) -> ManyFits:
        """Fit the model to every column of a matrix of responses.

        With nested terms, and crossed ones of few columns, all responses advance together, at a small part of the cost
        of single fits; elsewhere they are fitted one after another, sharing columns, cross-products and symbolic
        factorization.

        Parameters
        ----------
        Y : (n, B) array or DataFrame
            Responses, one per column, for the rows used or for all rows of the table. A DataFrame is aligned by its row
            labels, an array is in the order of the rows.
        reml : bool
            Whether to minimize the REML criterion rather than the deviance of maximum likelihood.
        start : array, optional
            Starting values of ``theta`` for all; by default from moments of each response.

        Returns
        -------
        ManyFits
            Tables with one row per response.

        Raises
        ------
        DataError
            If the shape is wrong, the row labels are others, or a value is missing.

        Warns
        -----
        ConvergenceWarning
            If some responses could not be fitted; the message counts them.

        Examples
        --------
        >>> import mixedpy as mp
        >>> sleepstudy = mp.datasets.load("sleepstudy")
        >>> prep = mp.prepare("Reaction ~ Days + (Days | Subject)", sleepstudy)
        >>> many = prep.fit_many(prep.fit().simulate(200, seed=1))
        >>> many.fixef.shape, bool(many.converged.all())
        ((200, 2), True)
        """
        request = self._request(reml, start, refitted=True)
        first = None if start is None else names.start_values(self.design, self.schema, start)
        values, labels = rows.responses(self.schema, Y)
        found = refit_all(
            self.engine, values, reml=reml, offset=self.design.offset, start=first, control=request.control
        )
        many = ManyFits(found, labels, self.design, self.schema, request)
        warn_of_failures(many)
        return many

    def _request(self, reml: bool, start: npt.ArrayLike | None, *, refitted: bool) -> Request:
        if not isinstance(reml, bool):
            raise TypeError(f"reml={reml!r} must be True or False")
        return replace(self.request, reml=reml, start=start, refitted=refitted)


def prepare(
    formula: str,
    data: Any,
    *,
    weights: Column = None,
    offset: Column = None,
    contrasts: Mapping[str, Any] | None = None,
    covariances: Mapping[str, str] | None = None,
    na_action: NaAction = "drop",
    control: Control = DEFAULT_CONTROL,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Prepared:
    """Do all work of a linear mixed model that does not depend on the response, for loops over responses.

    Parameters
    ----------
    formula, data, weights, offset, contrasts, covariances, na_action, control, functions
        As for :func:`mixedpy.lmer`.

    Returns
    -------
    Prepared
        Its ``fit`` and ``fit_many`` take responses.

    Examples
    --------
    >>> import mixedpy as mp
    >>> mp.prepare("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
    <prepared model Yield ~ 1 + (1 | Batch): 30 rows; levels: Batch 6>
    """
    request = Request(formula, data, True, weights, offset, contrasts, covariances, na_action, None, control, functions)
    built = fitting.build_design(request)
    return Prepared(prepare_engine(built.design, control), built.design, built.schema, request)
