"""Estimated marginal means and contrasts among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.errors import DataError, MixedpyError
from mixedpy.formula.syntax import Name
from mixedpy.inference.contrasts import contrasts_of
from mixedpy.inference.ddf import Inference, TTests, t_tests
from mixedpy.inference.grid import Weights, averages, reference_grid
from mixedpy.inference.multiplicity import Adjust, Family, adjusted_pvalues, check_adjust, critical_values
from mixedpy.inference.transformation import Transformation, transformation_of
from mixedpy.models.memo import check_ddf, inference_of
from mixedpy.report.emmeans import MeansRecord, means_html, means_text

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["ContrastTable", "MeansTable", "Scale", "emmeans"]

Scale = Literal["link", "response"]

_Table = TypeVar("_Table", bound="_FunctionTable")

_SEPARATORS = re.compile(r"[:*+]")


@dataclass(frozen=True, slots=True, eq=False)
class Functions:
    """Linear functions of the fixed effects, r in number: what a table of means or contrasts is made from.

    Attributes
    ----------
    labels : DataFrame
        A row for each function.
    by : tuple of str
        Columns of ``labels`` that set groups apart.
    L : (r, p) array
        The functions; NaN where not estimable.
    offset : (r,) array
        Their known part.
    inference : Inference
        Estimates and degrees of freedom.
    ddf : str
        Name of the method.
    transformation : Transformation or None
        Of the response, if the table is on the response scale.
    scale_name : str or None
        Name of the transformation, if the response has a known one.
    means : int
        Number of means that the functions of a group are, or compare.
    pairs : bool
        Whether they are all pairwise differences.
    averaged : tuple of str
        Predictors averaged over.
    """

    labels: pd.DataFrame
    by: tuple[str, ...]
    L: Floats
    offset: Floats
    inference: Inference
    ddf: str
    transformation: Transformation | None
    scale_name: str | None
    means: int
    pairs: bool
    averaged: tuple[str, ...]

    def groups(self) -> list[NDArray[np.intp]]:
        """Rows of each combination of the ``by`` columns."""
        if not self.by:
            return [np.arange(len(self.labels))]
        number = self.labels.groupby(list(self.by), sort=False, observed=True).ngroup().to_numpy()
        return [np.flatnonzero(number == k) for k in range(number.max() + 1)]

    def tests(self) -> TTests:
        """t tests of all functions against zero, NaN where not estimable."""
        known = _estimable(self.L)
        found = t_tests(self.inference, self.L[known], -self.offset[known])
        columns = np.full((5, len(self.L)), np.nan)
        columns[:, known] = found.estimate + self.offset[known], found.se, found.df, found.t, found.pvalue
        return TTests(*columns)

    def family(self, rows: NDArray[np.intp]) -> Family:
        """What the estimable functions of a group have in common."""
        L = self.L[rows]
        V = L @ self.inference.vcov @ L.T
        sd = np.sqrt(np.diag(V))
        correlation = V / np.outer(sd, sd)
        return Family(self.means, int(np.linalg.matrix_rank(correlation, tol=1e-7)), correlation)

    def adjusted(self, adjust: Adjust, change: Callable[[NDArray[np.intp], Family], Floats]) -> Floats:
        """Fill a column group by group, from the estimable rows of each, NaN elsewhere."""
        if adjust == "tukey" and not self.pairs:
            raise ValueError("adjust='tukey' is for all pairwise differences; use 'sidak', 'scheffe' or 'mvt'")
        out = np.full(len(self.L), np.nan)
        for group in self.groups():
            rows = group[_estimable(self.L[group])]
            if len(rows):
                out[rows] = change(rows, self.family(rows))
        return out


def _estimable(L: Floats) -> NDArray[np.bool_]:
    """Which functions the data determine, (r,)."""
    return np.asarray(np.isfinite(L).all(axis=1))


class _FunctionTable(pd.DataFrame):
    """A DataFrame of linear functions; prints in groups, with notes. What is derived from it prints as pandas does."""

    _metadata: list[str] = ["_functions", "_notes"]  # noqa: RUF012 - pandas' interface
    _functions: Functions
    _notes: tuple[str, ...]

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def _record(self) -> MeansRecord:
        functions = self._functions
        shown = [name for name in functions.labels.columns if name not in functions.by]
        numbers = [name for name in self.columns if name not in functions.labels.columns]
        groups = []
        for rows in functions.groups():
            first = functions.labels.iloc[rows[0]]
            heading = ", ".join(f"{name} = {_text(first[name])}" for name in functions.by)
            groups.append((heading, tuple(rows.tolist())))
        return MeansRecord(
            label_names=tuple(map(str, shown)),
            labels=tuple(tuple(_text(cell) for cell in row) for row in functions.labels[shown].itertuples(index=False)),
            names=tuple(map(str, numbers)),
            values=self[numbers].to_numpy(np.float64),
            groups=tuple(groups),
            notes=self._notes,
        )

    def __str__(self) -> str:
        return means_text(self._record())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return means_html(self._record())


class MeansTable(_FunctionTable):
    """Estimated marginal means, from :meth:`LmmFit.emmeans`.

    A DataFrame with the predictors' values, ``emmean`` (``response`` on that scale), ``SE``, ``df``, ``lower.CL`` and
    ``upper.CL``.
    """

    def confint(self, level: float = 0.95, adjust: str = "none") -> MeansTable:
        """Give intervals of another level, or adjusted for their number."""
        return means_table(self._functions, level, check_adjust(adjust))

    def contrast(
        self,
        method: str | Mapping[str, Sequence[float]] = "pairwise",
        *,
        adjust: str | None = None,
        ref: int | str = 0,
        reverse: bool = False,
    ) -> ContrastTable:
        """Compare the means, within each group of ``by``.

        Parameters
        ----------
        method : str or mapping of str to weights
            ``"pairwise"``, ``"trt.vs.ctrl"``, ``"consec"`` (neighbours), ``"eff"`` (against the mean of all),
            ``"poly"`` (orthogonal polynomials), or weights of the means by name.
        adjust : str, optional
            Adjustment of p values for the number of contrasts in a group: ``"tukey"``, ``"dunnettx"``, ``"mvt"``,
            ``"sidak"``, ``"scheffe"``, ``"bonferroni"``, ``"holm"``, ``"hochberg"``, ``"fdr"``, ``"by"`` or ``"none"``;
            by default what suits the method.
        ref : int or str
            The control of ``"trt.vs.ctrl"``: position from 0, or label.
        reverse : bool
            Whether to take differences the other way round.

        Returns
        -------
        ContrastTable
            Differences of means on the scale of the model; ratios, where means of a logarithm are on the response
            scale.
        """
        functions, suited = _contrasts(self._functions, method, ref, reverse)
        return contrast_table(functions, suited if adjust is None else check_adjust(adjust))

    def pairs(self, adjust: str = "tukey", reverse: bool = False) -> ContrastTable:
        """Compare all pairs of means."""
        return self.contrast("pairwise", adjust=adjust, reverse=reverse)


class ContrastTable(_FunctionTable):
    """Contrasts among marginal means: ``estimate`` (or ``ratio``), ``SE``, ``df``, ``t.ratio`` and ``p.value``."""

    def confint(self, level: float = 0.95, adjust: str | None = None) -> ContrastTable:
        """Give intervals in the place of tests, by the adjustment of the tests unless told otherwise."""
        chosen = self.attrs["adjust"] if adjust is None else check_adjust(adjust)
        return interval_table(self._functions, level, chosen)


def emmeans(
    fit: LmmFit,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None,
    at: Mapping[str, Any] | None,
    weights: Weights,
    type: Scale,
    ddf: str | None,
    level: float,
    adjust: str,
) -> MeansTable:
    """Estimate marginal means; see ``LmmFit.emmeans``."""
    if type not in get_args(Scale):
        raise ValueError(f"type={type!r} is unknown; use 'link' or 'response'")
    over, within = _read_specs(specs, by)
    grid = reference_grid(fit.schema, fit.design, fit.request.data, at)
    means = averages(grid, (*over, *within), weights)
    known = transformation_of(fit.schema.formula.response)
    if type == "response" and known is None and not isinstance(fit.schema.formula.response, Name):
        raise MixedpyError(
            f"type='response': the way back from {fit.schema.response} is not known; log, log2, log10, log1p, sqrt and "
            "exp of a column, or of a column plus a number, are. Use type='link'"
        )
    labels = means.labels
    if not over:
        labels.insert(0, "1", "overall")
    functions = Functions(
        labels=labels,
        by=within,
        L=means.L,
        offset=means.offset,
        inference=inference_of(fit, ddf),
        ddf=check_ddf(ddf),
        transformation=known if type == "response" else None,
        scale_name=None if known is None else known.name,
        means=len(means.labels),
        pairs=False,
        averaged=means.averaged,
    )
    return means_table(functions, level, check_adjust(adjust))


def _read_specs(specs: str | Sequence[str], by: str | Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read "a", "a:b", "a * b", "~ a | b", "1" for the mean over all, or a list of names."""
    within = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    if isinstance(specs, str):
        left, bar, right = specs.strip().removeprefix("~").partition("|")
        over = tuple(name.strip() for name in _SEPARATORS.split(left))
        if bar:
            within = (*within, *(name.strip() for name in _SEPARATORS.split(right)))
    else:
        over = tuple(specs)
    names = [*over, *within]
    if over == ("1",):
        return (), within
    if not over or not all(names) or len(set(names)) < len(names):
        raise DataError(
            f"emmeans: specs={specs!r}, by={by!r} must name distinct predictors, as in 'recipe', ['recipe', 'temp'] or "
            "'recipe | temp'"
        )
    return over, within


def means_table(functions: Functions, level: float, adjust: Adjust) -> MeansTable:
    """Lay out means with their intervals."""
    name = "emmean" if functions.transformation is None else "response"
    columns, notes = _interval_columns(functions, name, level, adjust)
    return _filled(MeansTable(columns), functions, [*_averaged(functions), *notes])


def contrast_table(functions: Functions, adjust: Adjust) -> ContrastTable:
    """Lay out contrasts with their tests."""
    tests = functions.tests()
    estimate, se = _on_scale(functions, tests)
    pvalue = functions.adjusted(
        adjust, lambda rows, family: adjusted_pvalues(tests.t[rows], tests.df[rows], adjust, family)
    )
    columns = _labelled(functions, {_name(functions): estimate, "SE": se, "df": tests.df})
    columns |= {"t.ratio": tests.t, "p.value": pvalue}
    notes = [*_averaged(functions), f"Degrees-of-freedom method: {functions.ddf}"]
    if adjust != "none" and len(functions.groups()[0]) > 1:
        notes.append(f"P value adjustment: {adjust} method {_what_for(functions, adjust)}")
    if functions.transformation is not None:
        notes.append(f"Tests are performed on the {functions.scale_name} scale")
    elif functions.scale_name is not None:
        notes.append(f"Results are given on the {functions.scale_name} (not the response) scale.")
    table = _filled(ContrastTable(columns), functions, notes)
    table.attrs["adjust"] = adjust
    return table


def interval_table(functions: Functions, level: float, adjust: Adjust) -> ContrastTable:
    """Lay out contrasts with their intervals."""
    columns, notes = _interval_columns(functions, _name(functions), level, adjust)
    table = _filled(ContrastTable(columns), functions, [*_averaged(functions), *notes])
    table.attrs["adjust"] = adjust
    return table


def _contrasts(
    means: Functions, method: str | Mapping[str, Sequence[float]], ref: int | str, reverse: bool
) -> tuple[Functions, Adjust]:
    """Contrasts of the means in each group; on the response scale those of logarithms, which are ratios."""
    ratio = means.transformation is not None and means.transformation.ratio
    shown = [name for name in means.labels.columns if name not in means.by]
    prefix = {name: name if _all_numbers(means.labels[name]) else "" for name in shown}
    labels, L, offset = [], [], []
    found = None
    for rows in means.groups():
        texts = [
            " ".join(prefix[name] + _text(value) for name, value in zip(shown, row, strict=True))
            for row in means.labels[shown].iloc[rows].itertuples(index=False)
        ]
        found = contrasts_of(method, texts, ref=ref, reverse=reverse, ratio=ratio)
        here = means.labels[list(means.by)].iloc[[rows[0]] * len(found.names)].reset_index(drop=True)
        here.insert(0, "contrast", list(found.names))
        labels.append(here)
        # a mean that is not estimable spoils only the contrasts that use it
        used = found.C != 0.0
        known = _estimable(means.L[rows])
        product = found.C @ np.where(known[:, None], means.L[rows], 0.0)
        product[used @ ~known] = np.nan
        L.append(product)
        offset.append(found.C @ means.offset[rows])
    assert found is not None
    functions = replace(
        means,
        labels=pd.concat(labels, ignore_index=True),
        L=np.concatenate(L),
        offset=np.concatenate(offset),
        transformation=means.transformation if ratio else None,
        means=len(means.groups()[0]),
        pairs=found.pairs,
    )
    return functions, found.adjust


def _interval_columns(
    functions: Functions, name: str, level: float, adjust: Adjust
) -> tuple[dict[str, Any], list[str]]:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r} must lie between 0 and 1")
    tests = functions.tests()
    estimate, se = _on_scale(functions, tests)
    width = tests.se * functions.adjusted(
        adjust, lambda rows, family: critical_values(level, tests.df[rows], adjust, family)
    )
    lower, upper = tests.estimate - width, tests.estimate + width
    notes = [f"Degrees-of-freedom method: {functions.ddf}", f"Confidence level used: {level:g}"]
    if adjust != "none" and len(functions.groups()[0]) > 1:
        notes.append(f"Conf-level adjustment: {adjust} method {_what_for(functions, adjust)}")
    if functions.transformation is not None:
        ends = functions.transformation.inverse(np.array([lower, upper]))
        lower, upper = ends.min(axis=0), ends.max(axis=0)
        notes.append(f"Intervals are back-transformed from the {functions.scale_name} scale")
    elif functions.scale_name is not None:
        notes.insert(0, f"Results are given on the {functions.scale_name} (not the response) scale.")
    columns = _labelled(functions, {name: estimate, "SE": se, "df": tests.df, "lower.CL": lower, "upper.CL": upper})
    return columns, notes


def _on_scale(functions: Functions, tests: TTests) -> tuple[Floats, Floats]:
    """Estimates and standard errors, by the delta method on the response scale."""
    if functions.transformation is None:
        return tests.estimate, tests.se
    slope = np.abs(functions.transformation.slope(tests.estimate))
    return functions.transformation.inverse(tests.estimate), slope * tests.se


def _name(functions: Functions) -> str:
    return "estimate" if functions.transformation is None else "ratio"


def _labelled(functions: Functions, numbers: dict[str, Any]) -> dict[str, Any]:
    return {**{str(name): functions.labels[name].to_numpy() for name in functions.labels.columns}, **numbers}


def _averaged(functions: Functions) -> list[str]:
    if not functions.averaged:
        return []
    return [f"Results are averaged over the levels of: {', '.join(functions.averaged)}"]


def _what_for(functions: Functions, adjust: Adjust) -> str:
    rows = functions.groups()[0]
    if adjust == "tukey":
        return f"for comparing a family of {functions.means} estimates"
    if adjust == "scheffe":
        return f"with rank {functions.family(rows).rank}"
    return f"for {len(rows)} tests"


def _filled(table: _Table, functions: Functions, notes: list[str]) -> _Table:
    table._functions = functions
    table._notes = tuple(notes)
    return table


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(value).upper()
    return f"{value:.7g}" if isinstance(value, float | np.floating) else str(value)


def _all_numbers(values: pd.Series[Any]) -> bool:
    try:
        values.astype(str).astype(float)
    except ValueError:
        return False
    return True
