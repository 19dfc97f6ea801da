"""Power by simulation: how often a test of a fixed effect or of a random term rejects, on this design or another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mixedpy.core.arrays import Design, Floats, RandomTerm
from mixedpy.core.boundary.spectral import simulate_rlrt, spectrum
from mixedpy.core.control import Control
from mixedpy.core.covariance import Diagonal, Template, Unstructured
from mixedpy.core.distributions import beta_quantile, f_sf
from mixedpy.core.estimate import prepare
from mixedpy.core.frozen import sealed
from mixedpy.core.parameters import Parameters
from mixedpy.core.record import FitRecord
from mixedpy.core.refit.ratio import LikelihoodRatio
from mixedpy.core.refit.refit import Refits, refit_all
from mixedpy.core.refit.replicate import draw_responses, interior
from mixedpy.core.second_order.fit import fit_blocks
from mixedpy.design import Schema, build
from mixedpy.design.frame import open_table
from mixedpy.errors import DataError, IntervalWarning, MixedpyError, warn
from mixedpy.formula.syntax import Name, walk
from mixedpy.inference.bootstrap import Batch, batches, check_nsim
from mixedpy.inference.kenward_roger import KenwardRoger
from mixedpy.inference.mixture import Mixture, mixture
from mixedpy.inference.names import spelled, start_values, variance_name
from mixedpy.inference.nesting import Embedding, TermEmbedding
from mixedpy.inference.parallel import check_n_jobs, run_batches

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["Power", "changed_fixef", "check_alpha", "power", "simulated_power", "tested_columns"]

Ddf = Literal["kenward-roger"] | None

_BATCH = 250
"""Responses per batch, or fewer where they are long."""

_NUMBERS = 4_000_000

_NULL_DRAWS = 50_000
"""Statistics drawn from the exact null distribution of one variance."""

_ROUNDING = 1e-6

_INTERCEPT = "(Intercept)"


@sealed
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Power:
    """Simulated power of a test, from a fit's method ``power``.

    Attributes
    ----------
    test : str
        What was tested, and by what.
    alpha : float
        Significance level.
    pvalues : (nsim,) array
        p value of every simulation; NaN where a fit failed.
    """

    test: str
    alpha: float
    pvalues: Floats

    @property
    def nsim(self) -> int:
        """Number of simulations, failed ones included."""
        return len(self.pvalues)

    @property
    def failed(self) -> int:
        """Number of simulations without a p value, which the power leaves out."""
        return int(np.isnan(self.pvalues).sum())

    @property
    def power(self) -> float:
        """Share of simulations with a p value of at most alpha."""
        return self._rejected / (self.nsim - self.failed) if self.nsim > self.failed else float("nan")

    @property
    def _rejected(self) -> int:
        return int((self.pvalues <= self.alpha).sum())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the power (Clopper & Pearson): the Monte-Carlo error."""
        hits, count = self._rejected, self.nsim - self.failed
        if not count:
            return float("nan"), float("nan")
        low = float(beta_quantile(0.025, hits, count - hits + 1)) if hits else 0.0
        high = float(beta_quantile(0.975, hits + 1, count - hits)) if hits < count else 1.0
        return low, high

    def __repr__(self) -> str:
        low, high = self.interval
        failed = f", {self.failed} failed" if self.failed else ""
        return (
            f"{self.test}\n"
            f"power {self.power:.3f}, 95 % interval {low:.3f} to {high:.3f}\n"
            f"alpha {self.alpha:g}, {self.nsim} simulations{failed}"
        )


@dataclass(frozen=True, slots=True)
class _FixedTest:
    """L beta = 0 by a t or F test with degrees of freedom that all simulations share."""

    L: Floats  # (q, p)
    df: float
    scaling: float

    def pvalues(self, refits: Refits) -> Floats:
        q = len(self.L)
        estimate = refits.beta @ self.L.T  # (B, q)
        V = np.einsum("qx,bxy,ry->bqr", self.L, refits.unscaled_vcov, self.L) * refits.sigma[:, None, None] ** 2
        out = np.full(refits.count, np.nan)
        good = refits.converged
        solved = np.linalg.solve(V[good], estimate[good][..., None])[..., 0]
        F = self.scaling * np.einsum("bq,bq->b", estimate[good], solved) / q
        out[good] = f_sf(F, q, self.df)
        return out


@dataclass(frozen=True, slots=True)
class _RandomTest:
    """A term left out, by the restricted likelihood ratio."""

    reduced: Design
    draws: Floats | None  # sorted statistics of the exact null distribution
    mixed: Mixture | None

    def pvalues(self, statistic: Floats) -> Floats:
        statistic = np.where(statistic < _ROUNDING, 0.0, statistic)
        if self.draws is not None:
            above = len(self.draws) - np.searchsorted(self.draws, statistic, side="right")
            out = np.where(statistic > 0, above / len(self.draws), 1.0)
        else:
            assert self.mixed is not None
            out = np.array([self.mixed.pvalue(t) for t in statistic.tolist()])
        return np.where(np.isnan(statistic), np.nan, out)


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker needs, all of it plain data."""

    design: Design
    record: FitRecord
    control: Control
    test: _FixedTest | _RandomTest

    @property
    def batch(self) -> int:
        """Simulations per batch."""
        return int(np.clip(_NUMBERS // self.design.n, 10, _BATCH))

    def worker(self) -> Callable[[Batch], Floats]:
        """Do what serves all batches."""
        return _Worker(self).run


def power(
    fit: LmmFit,
    test: str,
    nsim: int,
    *,
    alpha: float,
    seed: int | np.random.Generator | None,
    fixef: Mapping[str, float] | None,
    theta: npt.ArrayLike | None,
    sigma: float | None,
    newdata: Any,
    ddf: Ddf,
    progress: bool | None,
    n_jobs: int,
) -> Power:
    """Simulate the power of a test; see :meth:`LmmFit.power`."""
    nsim = check_nsim(nsim)
    check_n_jobs(n_jobs)
    check_alpha(alpha)
    if ddf not in ("kenward-roger", None):
        raise ValueError(f"ddf={ddf!r} is unknown; use 'kenward-roger', or None for the normal distribution")
    design, schema = (fit.design, fit.schema) if newdata is None else _new_design(fit, newdata)
    record = _parameters(fit, design, schema, fixef, theta, sigma)
    label, chosen = _resolve(design, schema, record, fit.request.control, test, ddf)
    job = _Job(design, record, fit.request.control, chosen)
    return simulated_power(label, alpha, job, nsim, seed, progress, n_jobs)


def check_alpha(alpha: float) -> None:
    """Raise a ValueError unless the significance level lies between 0 and 1."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha={alpha!r} must lie between 0 and 1")


class PowerJob(Protocol):
    """What workers need to simulate, fit and test, all of it plain data."""

    @property
    def batch(self) -> int:
        """Simulations per batch."""

    def worker(self) -> Callable[[Batch], Floats]:
        """Do what serves all batches; the result gives the p values of one."""


def simulated_power(
    label: str,
    alpha: float,
    job: PowerJob,
    nsim: int,
    seed: int | np.random.Generator | None,
    progress: bool | None,
    n_jobs: int,
) -> Power:
    """Let workers simulate all data sets of a job; warn of those that could not be fitted."""
    plan = batches(nsim, job.batch, seed)
    found = run_batches(job.worker, plan, n_jobs=n_jobs, progress=progress, unit="fit")
    result = Power(label, alpha, np.concatenate(found))
    if result.failed:
        message = f"{result.failed} of {nsim} simulated data sets could not be fitted; the power leaves them out"
        warn(IntervalWarning(message))
    return result


class _Worker:
    """Simulates, fits and tests; what it prepares once serves all its batches."""

    def __init__(self, job: _Job):
        self.job, self.start = job, job.record.theta if interior(job.record.Lambda) else None
        self.ratio: LikelihoodRatio | None = None
        if isinstance(job.test, _RandomTest):
            self.ratio = LikelihoodRatio(
                job.test.reduced, job.design, reml=True, control=job.control, larger_start=self.start
            )
        self.engine = prepare(job.design, job.control) if self.ratio is None else self.ratio.larger

    def run(self, batch: Batch) -> Floats:
        """p values of one batch."""
        job, rng = self.job, np.random.default_rng(batch.seed)
        design, record = job.design, job.record
        Y = draw_responses(design, record.beta, record.Lambda, record.sigma, batch.count, rng)
        if isinstance(job.test, _RandomTest):
            assert self.ratio is not None
            return job.test.pvalues(self.ratio.statistics(Y))
        refits = refit_all(self.engine, Y, reml=True, offset=design.offset, start=self.start, control=job.control)
        return job.test.pvalues(refits)


def _new_design(fit: LmmFit, newdata: Any) -> tuple[Design, Schema]:
    """The model's design for a new table; a response that the table lacks is made up, since it is not used."""
    request = fit.request
    for what, column in (("weights", request.weights), ("offset", request.offset)):
        if column is not None and not isinstance(column, str):
            raise DataError(f"the fit has {what} given as an array, which new rows lack; put them into a column")
    table = open_table(newdata)
    rng = np.random.default_rng(0)
    made_up = {
        node.name: rng.uniform(0.5, 1.5, table.length())
        for node in walk(fit.schema.formula.response)
        if isinstance(node, Name) and node.name not in table.names
    }
    built = build(
        request.formula,
        table.with_columns(made_up),
        weights=request.weights,
        offset=request.offset,
        contrasts=request.contrasts,
        covariances=request.covariances,
        functions=request.functions,
    )
    if built.schema.fixed_names != fit.schema.fixed_names:
        raise DataError(
            f"newdata gives the fixed effects {', '.join(built.schema.fixed_names)} instead of "
            f"{', '.join(fit.schema.fixed_names)}; its factors must have the levels of the fit, and its predictors "
            "must not depend on one another"
        )
    effects = [(term.name, term.effects) for term in built.schema.terms]
    wanted = {(term.name, term.effects): k for k, term in enumerate(fit.schema.terms)}
    if set(effects) != set(wanted):
        raise DataError("newdata gives other random effects than the fit; its factors must have the levels of the fit")
    return built.design, built.schema


def _parameters(
    fit: LmmFit,
    design: Design,
    schema: Schema,
    fixef: Mapping[str, float] | None,
    theta: npt.ArrayLike | None,
    sigma: float | None,
) -> FitRecord:
    """The parameters to simulate from, terms in the order of the design."""
    record = fit.record
    place = {(term.name, term.effects): k for k, term in enumerate(fit.schema.terms)}
    order = [place[term.name, term.effects] for term in schema.terms]
    beta = changed_fixef(fit.schema, record.beta, fixef)
    Lambdas = list(record.Lambda)
    if theta is not None:
        Lambdas = Parameters([t.template for t in fit.design.terms]).Lambdas(
            start_values(fit.design, fit.schema, theta, "theta")
        )
    if sigma is not None and not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma={sigma!r} must be a positive number")
    chosen = tuple(Lambdas[k] for k in order)
    shares_ = [term.template.parameters(L) for term, L in zip(design.terms, chosen, strict=True)]
    return replace(
        record,
        reml=True,
        beta=beta,
        Lambda=chosen,
        theta=np.concatenate(shares_),
        sigma=record.sigma if sigma is None else float(sigma),
        n=design.n,
    )


def changed_fixef(schema: Schema, beta: Floats, fixef: Mapping[str, float] | None) -> Floats:
    """Put other values into a copy of the fixed effects (p,)."""
    out = beta.copy()
    for given, value in ({} if fixef is None else fixef).items():
        name = spelled(given, schema.fixed_names)
        if name not in schema.fixed_names:
            raise DataError(f"fixef names {name!r}; the fixed effects are {', '.join(schema.fixed_names)}")
        out[schema.fixed_names.index(name)] = float(value)
    return out


def tested_columns(schema: Schema, test: str) -> list[int]:
    """Positions of the fixed effect, or of those of the fixed term, of a name; none if there is none."""
    names = list(schema.fixed_names)
    test = spelled(test, [*names, *schema.term_labels])
    if test in names:
        return [names.index(test)]
    if test not in schema.term_labels:
        return []
    t = schema.term_labels.index(test) + 1
    return [k for k, term in enumerate(schema.assign) if term == t]


def _resolve(
    design: Design, schema: Schema, record: FitRecord, control: Control, test: str, ddf: Ddf
) -> tuple[str, _FixedTest | _RandomTest]:
    """Find what a name stands for: a fixed effect, a fixed term, or a random term."""
    names, columns = list(schema.fixed_names), tested_columns(schema, test)
    test = spelled(test, [*names, *schema.term_labels, *(term.name for term in schema.terms)])
    if columns:
        return _fixed_test(design, record, control, test, columns, ddf)
    if test in schema.term_labels:
        raise MixedpyError(f"test={test!r} has no coefficient in the fit, since its columns depend on others")
    found = _random_effects(schema, test)
    if found is None:
        known = [*names, *(label for label in schema.term_labels if label not in names)]
        random = [
            *dict.fromkeys(term.name for term in schema.terms),
            *(f"{effect} in {term.group}" for term in schema.terms for effect in term.effects if effect != _INTERCEPT),
        ]
        raise MixedpyError(
            f"test={test!r} is neither a fixed effect or term ({', '.join(known)}) nor a random term or effect "
            f"({', '.join(random)})"
        )
    return _random_test(design, schema, record, control, *found)


def _random_effects(schema: Schema, test: str) -> tuple[int, tuple[int, ...]] | None:
    """Read "g", "x | g", "(x | g)" or "x in g": a random term, and the positions of its effects that are tested."""
    left, group = _effects_and_group(test)
    for k, term in enumerate(schema.terms):
        every = tuple(range(len(term.effects)))
        if left is None and test == term.name:
            return k, every
        if not _same_group(group, term.group):
            continue
        if left is None:
            return k, every
        labels = [":".join(part.variable for part in key) or "1" for key in term.encoding.keys]
        wanted = {spelled(part.strip(), [*term.effects, *labels]) for part in left.split("+")} - {"0"}
        chosen = tuple(a for a in every if {labels[a], term.effects[a]} & wanted)
        if chosen and wanted <= {*term.effects, *labels}:
            return k, chosen
    return None


def _effects_and_group(test: str) -> tuple[str | None, str]:
    """Take "x | g", "(x | g)", "x in g" or "x in (x | g)" apart; None for a group alone."""
    left, inside, right = test.partition(" in ")
    if not inside:
        left, right = "", test
    right = right.strip()
    if right.startswith("(") and right.endswith(")"):
        right = right[1:-1]
    before, bar, group = right.partition("|")
    if bar:
        return left or before, group
    return (left if inside else None), right


def _same_group(one: str, two: str) -> bool:
    """Whether two names are of one grouping factor, "a:b" and "b:a" being the same."""
    return sorted(part.strip() for part in one.split(":")) == sorted(part.strip() for part in two.split(":"))


def _fixed_test(
    design: Design, record: FitRecord, control: Control, test: str, columns: list[int], ddf: Ddf
) -> tuple[str, _FixedTest]:
    L = np.eye(design.p)[columns]
    kind = "t test" if len(columns) == 1 else "F test"
    if ddf is None:
        return f"{test}, Wald test", _FixedTest(L, np.inf, 1.0)
    method = KenwardRoger(fit_blocks(design, record, control))
    scaling, df = method.f_scaling(L, np.ones(len(L)))
    return f"{test}, {kind} with {df:.4g} degrees of freedom", _FixedTest(L, df, scaling)


def _random_test(
    design: Design, schema: Schema, record: FitRecord, control: Control, k: int, tested: tuple[int, ...]
) -> tuple[str, _RandomTest]:
    """The restricted likelihood-ratio test of the variances of some effects of a term, with their covariances."""
    whole, names = design.terms[k], schema.terms[k]
    kept = tuple(a for a in range(whole.m) if a not in tested)
    roots = [np.zeros_like(L) if i == k else L for i, L in enumerate(record.Lambda)]
    if kept:
        name = f"{' + '.join(names.effects[a] for a in tested)} in {names.group}"
        reduced = replace(
            design, terms=tuple(_less(t, kept, name) if i == k else t for i, t in enumerate(design.terms))
        )
    else:
        name = variance_name(names) if whole.m == 1 else names.name
        reduced = replace(design, terms=tuple(term for i, term in enumerate(design.terms) if i != k))
    if whole.m == 1:
        try:
            found = spectrum(prepare(design, control), k, roots)
        except ValueError:  # more levels than the eigenvalues allow; the mixture below is accurate then
            found = None
        if found is not None:
            draws = np.sort(simulate_rlrt(found, _NULL_DRAWS, np.random.default_rng(0)))
            return f"{name}, exact restricted likelihood-ratio test", _RandomTest(reduced, draws, None)
    terms = []
    for i, (term, root) in enumerate(zip(design.terms, record.Lambda, strict=True)):
        held = kept if i == k else tuple(range(term.m))
        new = tested if i == k else ()
        diagonal = isinstance(term.template, Diagonal)
        blocks = tuple((a,) for a in held) if diagonal else (held,) if held else ()
        covariance = np.zeros((term.m, term.m))
        covariance[np.ix_(held, held)] = (root @ root.T)[np.ix_(held, held)]
        terms.append(TermEmbedding(blocks, new, covariance, diagonal))
    mixed = mixture(Embedding(tuple(terms), singular=False), design, control, extra=0, reml=True)
    assert mixed is not None
    return f"{name}, restricted likelihood-ratio test ({mixed.name})", _RandomTest(reduced, None, mixed)


def _less(term: RandomTerm, kept: tuple[int, ...], tested: str) -> RandomTerm:
    """A term with some of its effects."""
    template: Template
    if isinstance(term.template, Unstructured):
        template = Unstructured(len(kept))
    elif isinstance(term.template, Diagonal) and not term.template.hom:
        template = Diagonal(len(kept))
    else:
        raise MixedpyError(
            f"{tested} cannot be tested on its own: with the covariance structure of its term the model without it is "
            "no special case; name the term as a whole"
        )
    return replace(term, columns=tuple(term.columns[a] for a in kept), template=template)
