"""The bootstrap of a fit: parametric, of residuals, of rows, of groups."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.estimate import Engine, estimate_prepared, prepare
from mixedpy.core.frozen import sealed
from mixedpy.core.rank import independent_columns
from mixedpy.core.record import FitRecord
from mixedpy.core.refit.errors import record_errors
from mixedpy.core.refit.refit import refit_all
from mixedpy.core.refit.replicate import Replicator, draw_responses, interior
from mixedpy.core.refit.resample import Resample, draw_groups, draw_reflated, draw_rows, groups_of, reflate
from mixedpy.design import Schema
from mixedpy.errors import DataError, IntervalWarning, MixedpyWarning, warn
from mixedpy.inference.bootstrap import (
    Batch,
    Block,
    Kind,
    Scale,
    batches,
    block_of_refits,
    check_nsim,
    count_failures,
    failed_block,
    intervals,
    parameter_errors,
    parameter_scales,
)
from mixedpy.inference.names import Parameter, choose_parameters, parameter_list, parameter_values
from mixedpy.inference.parallel import check_n_jobs, run_batches

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = [
    "SINGLE",
    "Bootstrap",
    "Method",
    "bootstrap",
    "check_statistic",
    "collect",
    "evaluated",
    "joined",
    "statistic_block",
]

Method = Literal["parametric", "residual", "case", "cluster"]
Statistic = Callable[["LmmFit"], Any]

SINGLE = 25
"""Replicates per batch where each is a fit of its own."""


@sealed
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Bootstrap:
    """Bootstrap replicates of a fit, from its method ``bootstrap``.

    Attributes
    ----------
    replicates : DataFrame
        One row per replicate, one column per statistic; NaN in replicates that failed.
    estimate : Series
        The statistics of the fit itself.
    replicate_se, estimate_se : DataFrame, Series
        Their standard errors, NaN where none is known.
    failures : dict of str to int
        Number of failed replicates by reason.
    method : str
        How replicates were drawn.
    scales : dict of str to str
        Where statistics are studentized: "log" for standard deviations, "atanh" for correlations, otherwise "identity".
    """

    replicates: pd.DataFrame
    estimate: pd.Series[float]
    replicate_se: pd.DataFrame
    estimate_se: pd.Series[float]
    failures: dict[str, int]
    method: str
    scales: dict[str, Scale]

    @property
    def nsim(self) -> int:
        """Number of replicates, failed ones included."""
        return len(self.replicates)

    @property
    def failed(self) -> int:
        """Number of replicates that failed."""
        return sum(self.failures.values())

    @property
    def bias(self) -> pd.Series[float]:
        """Mean of the replicates less the estimate."""
        return self.replicates.mean() - self.estimate

    @property
    def se(self) -> pd.Series[float]:
        """Standard deviations of the replicates."""
        return self.replicates.std()

    def confint(self, level: float = 0.95, kind: Kind = "percentile") -> pd.DataFrame:
        """Compute confidence intervals from the replicates.

        Parameters
        ----------
        level : float
            Confidence level.
        kind : {"percentile", "basic", "studentized"}
            Quantiles of the replicates; reflected at the estimate; or of the replicates divided by their own standard
            errors, which are known for all parameters and for statistics that come with one. Standard deviations are
            studentized as logarithms, correlations as their atanh, with standard errors by the delta method, so that
            limits stay within the range of the parameter. A limit that is decided by replicates on its boundary, which
            have no standard error, is the end of the range; the upper one of a standard deviation is then missing.

        Returns
        -------
        DataFrame
            One row per statistic; NaN where there is no interval, with an :class:`IntervalWarning` and the reasons in
            ``.attrs["reasons"]``.
        """
        table, reasons = intervals(
            self.estimate, self.replicates, level, kind, self.estimate_se, self.replicate_se, self.scales
        )
        table.attrs["reasons"] = reasons
        if reasons:
            what = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            warn(IntervalWarning(f"some limits are missing (NaN). {what}"))
        return table

    def __repr__(self) -> str:
        table = pd.DataFrame({"estimate": self.estimate, "bias": self.bias, "se": self.se})
        failed = "".join(f"\n{count} failed: {reason}" for reason, count in self.failures.items())
        return f"{self.method} bootstrap, {self.nsim} replicates\n{table}{failed}"


class Worker(Protocol):
    """Draws and refits; what it prepares once serves all its batches."""

    @property
    def batch(self) -> int:
        """Replicates per batch, by the model and the method alone."""

    def run(self, batch: Batch) -> Block:
        """Draw and refit one batch."""


class Job(Protocol):
    """What workers need to draw and refit, all of it plain data."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the statistics."""

    def worker(self) -> Worker:
        """Do what serves all batches."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker needs to draw and refit, all of it plain data."""

    method: Method
    fit: LmmFit
    parameters: tuple[Parameter, ...]
    statistic: Statistic | None
    names: tuple[str, ...]
    group: int

    def worker(self) -> _Worker:
        """Do what serves all batches."""
        return _Worker(self)


def bootstrap(
    fit: LmmFit,
    nsim: int,
    statistic: Statistic | None,
    seed: int | np.random.Generator | None,
    progress: bool | None,
    n_jobs: int,
    method: Method,
    by: str | None,
    parm: Any = None,
) -> Bootstrap:
    """Draw and refit replicates; see :meth:`LmmFit.bootstrap`."""
    nsim = check_nsim(nsim)
    check_n_jobs(n_jobs)
    if method not in get_args(Method):
        raise ValueError(f"method={method!r} is unknown; use one of {', '.join(map(repr, get_args(Method)))}")
    if by is not None and method != "cluster":
        raise ValueError(
            f"by={by!r} names the groups to draw with method='cluster'; with method={method!r} leave it out"
        )
    parameters = tuple(choose_parameters(parameter_list(fit.design, fit.schema), parm))
    if statistic is None:
        roots = [fit.record.sigma * L for L in fit.record.Lambda]
        values = parameter_values(parameters, roots, fit.record.sigma, fit.record.beta)
        errors = _standard_errors(prepare(fit.design, fit.request.control), fit.record, parameters)
        names = tuple(one.name for one in parameters)
    else:
        check_statistic(statistic)
        names, values, errors = evaluated(statistic(fit))
    group = _group(fit, by) if method == "cluster" else -1
    plain = fit if statistic is not None else replace(fit, request=replace(fit.request, data=None))
    job = _Job(method, plain, parameters, statistic, names, group)
    scales = parameter_scales(parameters) if statistic is None else {}
    return collect(job, values, errors, scales, nsim, seed, progress, n_jobs, method)


def collect(
    job: Job,
    values: Floats,
    errors: Floats,
    scales: dict[str, Scale],
    nsim: int,
    seed: int | np.random.Generator | None,
    progress: bool | None,
    n_jobs: int,
    method: str,
) -> Bootstrap:
    """Let workers draw and refit all replicates of a job; warn of those that failed.

    ``values`` and ``errors`` are the statistics of the fit itself and their standard errors, (k,), ``scales`` those on
    which they are studentized.
    """
    worker = job.worker()
    plan = batches(nsim, worker.batch, seed)
    blocks = run_batches(partial(_prepared, job), plan, n_jobs=n_jobs, progress=progress, unit="fit", here=worker.run)
    failures, names = count_failures(blocks), list(job.names)
    result = Bootstrap(
        replicates=pd.DataFrame(np.concatenate([block.values for block in blocks]), columns=names),
        estimate=pd.Series(values, index=names),
        replicate_se=pd.DataFrame(np.concatenate([block.errors for block in blocks]), columns=names),
        estimate_se=pd.Series(errors, index=names),
        failures=failures,
        method=method,
        scales=scales,
    )
    if failures:
        what = "; ".join(f"{count}: {reason}" for reason, count in failures.items())
        message = f"{result.failed} of {nsim} bootstrap replicates failed and are NaN ({what})"
        warn(IntervalWarning(message))
    return result


def _prepared(job: Job) -> Callable[[Batch], Block]:
    return job.worker().run


class _Worker:
    """Draws and refits; what it prepares once serves all its batches."""

    def __init__(self, job: _Job):
        self.job = job
        fit = job.fit
        self.record, self.design, self.control = fit.record, fit.design, fit.request.control
        self.engine = prepare(self.design, self.control)
        self.start = self.record.theta if interior(self.record.Lambda) else None
        self.replicator: Replicator | None = None
        if job.method == "parametric" and job.statistic is None:
            record = self.record
            self.replicator = Replicator(
                self.engine,
                self.design,
                record.theta,
                record.beta,
                record.Lambda,
                record.sigma,
                reml=record.reml,
                control=self.control,
            )
        self.parts = reflate(self.design, self.record) if job.method == "residual" else None
        self.groups = groups_of(self.design, job.group) if job.method == "cluster" else None

    @property
    def batch(self) -> int:
        """Replicates per batch, by the model and the method alone."""
        if self.replicator is not None:
            return self.replicator.batch
        if self.job.method == "residual" and self.job.statistic is None:
            return int(np.clip(2_000_000 // self.design.n, 10, 500))
        return SINGLE

    def run(self, batch: Batch) -> Block:
        """Draw and refit one batch."""
        rng = np.random.default_rng(batch.seed)
        if self.replicator is not None:
            return block_of_refits(self.design, self.job.parameters, self.replicator.run(batch.count, rng))
        if self.job.method in ("parametric", "residual"):
            return self._responses(batch.count, rng)
        return joined([self._resampled(rng) for _ in range(batch.count)])

    def _responses(self, count: int, rng: np.random.Generator) -> Block:
        """Responses row by row, to the design as it is."""
        record, design = self.record, self.design
        if self.parts is not None:
            Y = draw_reflated(design, self.parts, count, rng)
        else:
            Y = draw_responses(design, record.beta, record.Lambda, record.sigma, count, rng)
        if self.job.statistic is None:
            refits = refit_all(
                self.engine,
                Y,
                reml=record.reml,
                offset=design.offset,
                start=self.start,
                control=self.control,
                errors=True,
            )
            return block_of_refits(design, self.job.parameters, refits)
        return joined([self._fitted(replace(design, y=y), self.job.fit.schema) for y in Y.T])

    def _resampled(self, rng: np.random.Generator) -> Block:
        """One design of drawn rows or groups."""
        drawn = draw_rows(self.design, rng) if self.groups is None else draw_groups(self.design, self.groups, rng)
        columns = [drawn.design.columns[c] for c in drawn.design.fixed]
        if len(independent_columns(columns)) < len(columns):
            return failed_block(len(self.job.names), "columns of X are linearly dependent in the sample")
        return self._fitted(drawn.design, _schema_of(self.job.fit.schema, drawn), table=False)

    def _fitted(self, design: Design, schema: Schema, *, table: bool = True) -> Block:
        """One fit, and its statistics; ``table`` says whether its rows are those of the table."""
        job = self.job
        if design.y.min() == design.y.max():
            return failed_block(len(job.names), "the response is constant in the sample")
        engine = prepare(design, self.control)
        try:
            record = estimate_prepared(engine, reml=self.record.reml, start=self.start, control=self.control)
        except np.linalg.LinAlgError:
            return failed_block(len(job.names), "the criterion has no finite value")
        if not record.convergence.converged:
            return failed_block(len(job.names), "the fit did not converge")
        if job.statistic is None:
            roots = [record.sigma * L for L in record.Lambda]
            values = parameter_values(job.parameters, roots, record.sigma, record.beta)
            return Block(values[None], _standard_errors(engine, record, job.parameters)[None], (None,))
        request = replace(job.fit.request, refitted=True, data=job.fit.request.data if table else None)
        fit = replace(job.fit, record=record, design=design, schema=schema, request=request)
        return statistic_block(job.statistic, fit, job.names)


def check_statistic(statistic: object) -> None:
    """Raise a TypeError unless the statistic can be called."""
    if not callable(statistic):
        raise TypeError(f"statistic={statistic!r} must be a function of a fit, such as lambda fit: fit.sigma")


def statistic_block(statistic: Callable[[Any], Any], fit: Any, wanted: tuple[str, ...]) -> Block:
    """The user's statistic of a refit; an error that it raises, or other names, make a replicate that failed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MixedpyWarning)
            found = statistic(fit)
            names, values, errors = evaluated(found)
    except Exception as error:  # the user's function may raise anything; the replicate counts as failed
        return failed_block(len(wanted), f"the statistic raised {type(error).__name__}: {error}")
    if names != wanted:
        return failed_block(len(wanted), f"the statistic returned {list(names)} instead of {list(wanted)}")
    known = np.isfinite(values)
    reason = None if known.all() else f"the statistic {'returned None' if found is None else 'is not finite'}"
    return Block(np.where(known, values, np.nan)[None], errors[None], (reason,))


def joined(blocks: Sequence[Block]) -> Block:
    """Put blocks one after another."""
    return Block(
        np.concatenate([block.values for block in blocks]),
        np.concatenate([block.errors for block in blocks]),
        tuple(reason for block in blocks for reason in block.failures),
    )


def _standard_errors(engine: Engine, record: FitRecord, parameters: Sequence[Parameter]) -> Floats:
    """Standard errors of the parameters, (k,)."""
    found = None
    if any(one.kind != "fixed" for one in parameters):
        found = record_errors(engine, record)
    return parameter_errors(parameters, record.unscaled_vcov[None], np.array([record.sigma]), found)[0]


def evaluated(value: Any) -> tuple[tuple[str, ...], Floats, Floats]:
    """Names, values and standard errors of what a statistic returned; None is a number that is not known."""
    try:
        return _as_numbers(value)
    except (TypeError, ValueError):
        seen = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
        raise TypeError(
            f"statistic returned {seen}; return a number, a vector, a Series, or a dict of numbers or (number, "
            "standard error)"
        ) from None


def _as_numbers(value: Any) -> tuple[tuple[str, ...], Floats, Floats]:
    if isinstance(value, pd.Series):
        return tuple(map(str, value.index)), value.to_numpy(float), np.full(len(value), np.nan)
    if isinstance(value, Mapping):
        pairs = [one if isinstance(one, tuple) else (one, np.nan) for one in value.values()]
        both = np.array(pairs, dtype=float).reshape(len(pairs), 2)
        return tuple(map(str, value)), both[:, 0], both[:, 1]
    values = np.atleast_1d(np.asarray(value, dtype=float))
    if values.ndim != 1:
        raise ValueError
    return tuple(f"t{k}" for k in range(1, len(values) + 1)), values, np.full(len(values), np.nan)


def _group(fit: LmmFit, by: str | None) -> int:
    """The term whose groups are drawn."""
    names = [term.group for term in fit.schema.terms]
    if by is not None:
        if by not in names:
            raise DataError(
                f"by={by!r} is no grouping factor of the model; use one of {', '.join(dict.fromkeys(names))}"
            )
        return names.index(by)
    for k in range(len(names)):
        if all(groups_of(fit.design, k).inside):
            return k
    raise DataError(
        f"the grouping factors {', '.join(dict.fromkeys(names))} are crossed; say with by= which groups to draw"
    )


def _schema_of(schema: Schema, drawn: Resample) -> Schema:
    """Names for a resampled design; copies of a level are numbered."""
    terms = []
    for term, levels, copies in zip(schema.terms, drawn.levels, drawn.copies, strict=True):
        labels = [term.levels[level] for level in levels]
        if copies is not None:
            labels = [f"{label}.{copy + 1}" for label, copy in zip(labels, copies, strict=True)]
        terms.append(replace(term, levels=tuple(labels)))
    index = pd.RangeIndex(len(drawn.rows))
    return replace(
        schema,
        terms=tuple(terms),
        index=index,
        table_index=index,
        rows=np.arange(len(drawn.rows)),
        n_total=len(drawn.rows),
        missing=(),
    )
