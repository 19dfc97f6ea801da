"""Estimated marginal means and contrasts among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.errors import DataError, MixedpyError
from mixedpy.formula.syntax import Name
from mixedpy.inference.contrasts import contrasts_of
from mixedpy.inference.ddf import Inference, TTests, t_tests
from mixedpy.inference.grid import Grid, Weights, averages, in_larger_term, reference_grid, trend_grid
from mixedpy.inference.intervals import check_level
from mixedpy.inference.joint import joint_test
from mixedpy.inference.multiplicity import Adjust, Family, adjusted_pvalues, check_adjust, critical_values
from mixedpy.inference.transformation import Transformation, link_transformation, transformation_of
from mixedpy.models.kept import kept_table
from mixedpy.models.means.joint_tests import JointTable, joint_table
from mixedpy.models.means.record import RecordTable, by_groups, label_text
from mixedpy.models.memo import check_ddf, inference_of

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = ["ContrastTable", "MeansTable", "Scale", "emmeans", "emtrends"]

Scale = Literal["link", "response"]

_Table = TypeVar("_Table", bound="_FunctionTable")

_SEPARATORS = re.compile(r"[:*+]")

_OPERATOR = re.compile(r"[-+*/]")

_INTERACTION = "NOTE: Results may be misleading due to involvement in interactions"


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
    ddf : str or None
        Name of the method; None for a generalized fit, which has none.
    known : Transformation or None
        Of the response, if it has one that is known and the functions are on its scale.
    response : bool
        Whether the table is on the response scale.
    name : str
        Of the column of estimates, where they are not on the response scale.
    means : int
        Number of means that the functions of a group are, or compare.
    pairs : bool
        Whether they are all pairwise differences.
    averaged : tuple of str
        Predictors averaged over.
    misleading : bool
        Whether the means hide interactions.
    left_on : str or None
        Name of the scale of differences that have no counterpart on the response scale.
    """

    labels: pd.DataFrame
    by: tuple[str, ...]
    L: Floats
    offset: Floats
    inference: Inference
    ddf: str | None
    known: Transformation | None
    response: bool
    name: str
    means: int
    pairs: bool
    averaged: tuple[str, ...]
    misleading: bool
    left_on: str | None = None

    @property
    def transformation(self) -> Transformation | None:
        """The transformation, if the table is on the response scale."""
        return self.known if self.response else None

    @property
    def normal(self) -> bool:
        """Whether there are no degrees of freedom, so that statistics are called z."""
        return self.ddf in ("asymptotic", None)

    def groups(self) -> list[NDArray[np.intp]]:
        """Rows of each combination of the ``by`` columns."""
        return by_groups(self.labels, self.by)

    def largest(self) -> NDArray[np.intp]:
        """Rows of the group with most estimable functions, less the others: those that adjustments count."""
        return max((rows[_estimable(self.L[rows])] for rows in self.groups()), key=len)

    def suited(self, adjust: Adjust) -> tuple[Adjust, tuple[str, ...]]:
        """Replace Tukey's method where the functions are not all pairs, and say so."""
        if adjust == "tukey" and not self.pairs and len(self.groups()[0]) > 1:
            why = 'because "tukey" is only appropriate for one set of pairwise comparisons'
            return "sidak", ('Note: adjust = "tukey" was changed to "sidak"', why)
        return adjust, ()

    def tests(self, null: float = 0.0) -> TTests:
        """t tests of all functions, NaN where not estimable."""
        known = _estimable(self.L)
        found = t_tests(self.inference, self.L[known], null - self.offset[known])
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
        out = np.full(len(self.L), np.nan)
        for group in self.groups():
            rows = group[_estimable(self.L[group])]
            if len(rows):
                out[rows] = change(rows, self.family(rows))
        return out


def _check_null(null: object) -> None:
    if not isinstance(null, Real) or not np.isfinite(float(null)):
        raise ValueError(f"null={null!r} must be a number")


def _estimable(L: Floats) -> NDArray[np.bool_]:
    """Which functions the data determine, (r,)."""
    return np.asarray(np.isfinite(L).all(axis=1))


class _FunctionTable(RecordTable):
    """A table of linear functions."""

    _metadata: list[str] = [*RecordTable._metadata, "_functions"]  # noqa: RUF012 - pandas' interface
    _functions: Functions

    def joint_test(self, null: float = 0.0) -> JointTable:
        """Test all rows of each group at once, by an F test.

        Parameters
        ----------
        null : float
            Value of every row under the hypothesis, on the scale of the model.

        Returns
        -------
        JointTable
            ``df1``, ``df2``, ``F.ratio`` and ``p.value`` for each group. ``df2`` is the smallest number of degrees of
            freedom of orthogonal functions, as in the R package emmeans.

        Raises
        ------
        DataError
            If rows depend on one another and ``null`` contradicts that.
        """
        _check_null(null)
        functions, tests, lost = self._functions, [], []
        beta = functions.inference.beta
        for group in functions.groups():
            rows = group[_estimable(functions.L[group])]
            L = functions.L[rows]
            tests.append(joint_test(functions.inference, L, L @ beta + functions.offset[rows] - null))
            lost.append(len(rows) < len(group))
        first = [rows[0] for rows in functions.groups()]
        labels = functions.labels[list(functions.by)].iloc[first].reset_index(drop=True)
        return joint_table(labels, tests, (), lost)


class MeansTable(_FunctionTable):
    """Estimated marginal means, from a fit's ``emmeans``, or slopes, from its ``emtrends``.

    A DataFrame with the predictors' values, ``emmean`` (``response``, ``prob`` or ``rate`` on that scale, ``x.trend``
    for slopes), ``SE``, ``df``, and the limits ``lower.CL`` and ``upper.CL`` (``asymp.LCL`` and ``asymp.UCL`` without
    degrees of freedom).
    """

    _metadata: list[str] = [*_FunctionTable._metadata, "_contrasts"]  # noqa: RUF012 - pandas' interface
    _contrasts: ContrastTable | None

    @property
    def contrasts(self) -> ContrastTable:
        """The contrasts that ``"pairwise ~ a"`` asked for."""
        if self._contrasts is None:
            raise MixedpyError("no contrasts were asked for; call .contrast(), or ask for them: 'pairwise ~ a'")
        return self._contrasts

    def __str__(self) -> str:
        own = super().__str__()
        if self._contrasts is None:
            return own
        name = "emtrends" if self._functions.name.endswith(".trend") else "emmeans"
        return f"${name}\n{own}\n\n$contrasts\n{self._contrasts}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        own = super()._repr_html_()
        return own if self._contrasts is None else own + self._contrasts._repr_html_()

    def confint(self, level: float = 0.95, adjust: str = "none") -> MeansTable:
        """Give intervals of another level, or adjusted for their number."""
        return means_table(self._functions, level, check_adjust(adjust))

    def test(self, null: float = 0.0, adjust: str = "none") -> MeansTable:
        """Test each mean in the place of an interval.

        Parameters
        ----------
        null : float
            Value under the hypothesis, on the scale of the model (the logarithm of 300, where means are of ``log(y)``).
        adjust : str
            Adjustment of p values for the number of means in a group.

        Returns
        -------
        MeansTable
            With the columns ``null`` (unless zero), ``t.ratio`` and ``p.value``.
        """
        return _test_table(MeansTable, self._functions, check_adjust(adjust), null)

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
            scale, odds ratios, where those of a logit are.
        """
        functions, suited = _contrasts(self._functions, method, ref, reverse)
        return contrast_table(functions, suited if adjust is None else check_adjust(adjust))

    def pairs(self, adjust: str = "tukey", reverse: bool = False) -> ContrastTable:
        """Compare all pairs of means."""
        return self.contrast("pairwise", adjust=adjust, reverse=reverse)


class ContrastTable(_FunctionTable):
    """Contrasts among marginal means: ``estimate`` (or ``ratio``), ``SE``, ``df``, ``t.ratio`` and ``p.value``.

    Ratios of odds are called ``odds.ratio``. Without degrees of freedom the statistic is ``z.ratio``; ``null`` is the
    value under the hypothesis, unless zero.
    """

    def confint(self, level: float = 0.95, adjust: str | None = None) -> ContrastTable:
        """Give intervals in the place of tests, by the adjustment of the tests unless told otherwise."""
        chosen = self.attrs["adjust"] if adjust is None else check_adjust(adjust)
        return interval_table(self._functions, level, chosen)

    def test(self, null: float = 0.0, adjust: str | None = None) -> ContrastTable:
        """Test against another value than zero, on the scale of the model."""
        chosen = self.attrs["adjust"] if adjust is None else check_adjust(adjust)
        return contrast_table(self._functions, chosen, null)


def emmeans(
    fit: LmmFit | GlmmFit,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None,
    at: Mapping[str, Any] | None,
    weights: Weights,
    type: Scale,
    ddf: str | None,
    level: float,
    adjust: str | None,
) -> MeansTable:
    """Estimate marginal means; see ``LmmFit.emmeans``."""
    if type not in get_args(Scale):
        raise ValueError(f"type={type!r} is unknown; use 'link' or 'response'")
    if not fit.schema.fixed_names:
        raise DataError("emmeans: the model has no fixed effects, so that there are no means to estimate")
    response = fit.schema.formula.response
    known = link_transformation(fit.record.family) if isinstance(fit.record, GlmmRecord) else None
    if known is None:
        known = transformation_of(response, fit.schema.states)
    if type == "response" and known is None and not isinstance(response, Name):
        raise MixedpyError(
            f"type='response': the way back from {fit.schema.response} is not known; log, log2, log10, log1p, sqrt and "
            "exp of a column, or of a column plus a number, and scale of a column are. Use type='link'"
        )
    grid = reference_grid(fit.schema, fit.design, kept_table(fit), at)
    return _averaged_table(
        fit, grid, specs, by, weights, ddf, level, adjust, name="emmean", known=known, response=type == "response"
    )


def emtrends(
    fit: LmmFit | GlmmFit,
    specs: str | Sequence[str],
    var: str,
    by: str | Sequence[str] | None,
    at: Mapping[str, Any] | None,
    weights: Weights,
    ddf: str | None,
    level: float,
    adjust: str | None,
) -> MeansTable:
    """Estimate slopes in a numeric predictor; see ``LmmFit.emtrends``."""
    data = kept_table(fit)
    points = reference_grid(fit.schema, fit.design, data, at)
    grid = trend_grid(fit.schema, data, points, var)
    return _averaged_table(fit, grid, specs, by, weights, ddf, level, adjust, name=f"{var}.trend", trend=var)


def _averaged_table(
    fit: LmmFit | GlmmFit,
    grid: Grid,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None,
    weights: Weights,
    ddf: str | None,
    level: float,
    adjust: str | None,
    *,
    name: str,
    known: Transformation | None = None,
    response: bool = False,
    trend: str | None = None,
) -> MeansTable:
    """Average a grid by what the specs say, and contrast the averages if they ask for that."""
    method, over, within = _read_specs(specs, by)
    means = averages(grid, (*over, *within), weights)
    labels = means.labels
    if not over:
        labels.insert(0, "1", "overall")
    functions = Functions(
        labels=labels,
        by=within,
        L=means.L,
        offset=means.offset,
        inference=inference_of(fit, ddf),
        ddf=None if isinstance(fit.record, GlmmRecord) else check_ddf(ddf),
        known=known,
        response=response and known is not None,
        name=name,
        means=len(means.labels),
        pairs=False,
        averaged=means.averaged,
        misleading=bool(over) and in_larger_term(fit.schema, [*over, *within, *([] if trend is None else [trend])]),
    )
    if method is None:
        return means_table(functions, level, check_adjust("none" if adjust is None else adjust))
    table = means_table(functions, level, "none")
    table._contrasts = table.contrast(method, adjust=adjust)
    table._contrasts._above = tuple(line for line in table._contrasts._above if line != _INTERACTION)  # said above
    return table


def _read_specs(
    specs: str | Sequence[str], by: str | Sequence[str] | None
) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """Read "a", "a:b", "a * b", "~ a | b", "pairwise ~ a", "1" for the mean over all, or a list of names.

    Returns a method of contrasts or None, the predictors, and those that make groups.
    """
    within = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    method = None
    if isinstance(specs, str):
        before, _, right = specs.rpartition("~")
        method = before.strip() or None
        left, bar, right = right.partition("|")
        over = tuple(name.strip() for name in _SEPARATORS.split(left))
        if bar:
            within = (*within, *(name.strip() for name in _SEPARATORS.split(right)))
    else:
        over = tuple(specs)
    names = [*over, *within]
    if over == ("1",):
        return method, (), within
    if "~" in (method or "") or not over or not all(names) or len(set(names)) < len(names):
        raise DataError(
            f"emmeans: specs={specs!r}, by={by!r} must name distinct predictors, as in 'recipe', ['recipe', 'temp'], "
            "'recipe | temp' or 'pairwise ~ recipe'"
        )
    return method, over, within


def means_table(functions: Functions, level: float, adjust: Adjust) -> MeansTable:
    """Lay out means with their intervals."""
    return _interval_table(MeansTable, functions, _name(functions), level, adjust)


def contrast_table(functions: Functions, adjust: Adjust, null: float = 0.0) -> ContrastTable:
    """Lay out contrasts with their tests."""
    return _test_table(ContrastTable, functions, adjust, null)


def interval_table(functions: Functions, level: float, adjust: Adjust) -> ContrastTable:
    """Lay out contrasts with their intervals."""
    return _interval_table(ContrastTable, functions, _name(functions), level, adjust)


def _test_table(kind: type[_Table], functions: Functions, adjust: Adjust, null: float) -> _Table:
    """Lay out functions with tests."""
    _check_null(null)
    chosen, above = functions.suited(adjust)
    tests = functions.tests(null)
    estimate, se = _on_scale(functions, tests)
    pvalue = functions.adjusted(
        chosen, lambda rows, family: adjusted_pvalues(tests.t[rows], tests.df[rows], chosen, family)
    )
    back = functions.transformation
    shown = null if back is None else float(back.inverse(np.array([null]))[0])
    columns = _labelled(functions, {_name(functions): estimate, "SE": se, "df": tests.df})
    columns |= {"null": shown} if shown != 0.0 else {}
    columns |= {"z.ratio" if functions.normal else "t.ratio": tests.t, "p.value": pvalue}
    notes = _first_notes(functions)
    if _adjusts(functions, chosen):
        notes.append(f"P value adjustment: {_printed(chosen)} method {_what_for(functions, chosen, 'tests')}")
    if back is not None:
        notes.append(f"Tests are performed on the {back.name} scale")
    return _filled(kind(columns), functions, above, notes, chosen)


def _interval_table(kind: type[_Table], functions: Functions, name: str, level: float, adjust: Adjust) -> _Table:
    """Lay out functions with intervals."""
    check_level(level)
    chosen, above = functions.suited(adjust)
    tests = functions.tests()
    estimate, se = _on_scale(functions, tests)
    width = tests.se * functions.adjusted(
        chosen, lambda rows, family: critical_values(level, tests.df[rows], chosen, family)
    )
    lower, upper = tests.estimate - width, tests.estimate + width
    notes = [*_first_notes(functions), f"Confidence level used: {level:g}"]
    if _adjusts(functions, chosen):
        notes.append(f"Conf-level adjustment: {_printed(chosen)} method {_what_for(functions, chosen, 'estimates')}")
    if functions.transformation is not None:
        ends = functions.transformation.inverse(np.array([lower, upper]))
        lower, upper = ends.min(axis=0), ends.max(axis=0)
        notes.append(f"Intervals are back-transformed from the {functions.transformation.name} scale")
    limits = ("asymp.LCL", "asymp.UCL") if functions.normal else ("lower.CL", "upper.CL")
    columns = _labelled(functions, {name: estimate, "SE": se, "df": tests.df, limits[0]: lower, limits[1]: upper})
    return _filled(kind(columns), functions, above, notes, chosen)


def _contrasts(
    means: Functions, method: str | Mapping[str, Sequence[float]], ref: int | str, reverse: bool
) -> tuple[Functions, Adjust]:
    """Contrasts of the means in each group; on the response scale those of logarithms, which are ratios."""
    logarithm = means.known is not None and means.known.ratio
    ratio = logarithm and means.response
    shown = [name for name in means.labels.columns if name not in means.by]
    prefix = {name: name if _all_numbers(means.labels[name]) else "" for name in shown}
    labels, L, offset = [], [], []
    found = None
    for rows in means.groups():
        texts = [
            " ".join(prefix[name] + label_text(value) for name, value in zip(shown, row, strict=True))
            for row in means.labels[shown].iloc[rows].itertuples(index=False)
        ]
        control = texts.index(ref) if isinstance(ref, str) and ref in texts else ref
        enclosed = [f"({text})" if _OPERATOR.search(text) else text for text in texts]
        found = contrasts_of(method, enclosed, ref=control, reverse=reverse, ratio=ratio)
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
    differences = bool((np.abs(found.C.sum(axis=1)) <= 1e-6 * np.abs(found.C).max(axis=1, initial=0.0)).all())
    kept = logarithm and differences
    functions = replace(
        means,
        labels=pd.concat(labels, ignore_index=True),
        L=np.concatenate(L),
        offset=np.concatenate(offset),
        known=(means.known.differences or means.known) if means.known is not None and kept else None,
        response=means.response and kept,
        name="estimate",
        means=len(means.groups()[0]),
        pairs=found.pairs,
        left_on=None if kept or means.known is None else means.known.name,
    )
    return functions, found.adjust


def _on_scale(functions: Functions, tests: TTests) -> tuple[Floats, Floats]:
    """Estimates and standard errors, by the delta method on the response scale."""
    if functions.transformation is None:
        return tests.estimate, tests.se
    slope = np.abs(functions.transformation.slope(tests.estimate))
    return functions.transformation.inverse(tests.estimate), slope * tests.se


def _name(functions: Functions) -> str:
    """Of the column of estimates."""
    if functions.transformation is None:
        return functions.name
    back = functions.transformation
    return back.ratios if functions.name == "estimate" else back.column


def _labelled(functions: Functions, numbers: dict[str, Any]) -> dict[str, Any]:
    return {**{str(name): functions.labels[name].to_numpy() for name in functions.labels.columns}, **numbers}


def _first_notes(functions: Functions) -> list[str]:
    """What was averaged over, the degrees of freedom, and the scale."""
    notes = []
    if functions.averaged:
        notes.append(f"Results are averaged over the levels of: {', '.join(functions.averaged)}")
    if functions.left_on is not None:
        notes.append(f"Note: contrasts are still on the {functions.left_on} scale")
    if functions.ddf is not None:
        notes.append(f"Degrees-of-freedom method: {functions.ddf}")
    if functions.known is not None and not functions.response:
        notes.append(f"Results are given on the {functions.known.name} (not the response) scale.")
    return notes


def _adjusts(functions: Functions, adjust: Adjust) -> bool:
    """Whether the adjustment changes anything."""
    if adjust in ("tukey", "scheffe"):
        return functions.means > 2
    return adjust != "none" and len(functions.largest()) > 1


def _printed(adjust: Adjust) -> str:
    return "BY" if adjust == "by" else adjust


def _what_for(functions: Functions, adjust: Adjust, noun: str) -> str:
    rows = functions.largest()
    if adjust == "tukey":
        return f"for comparing a family of {functions.means} estimates"
    if adjust == "scheffe":
        return f"with rank {functions.family(rows).rank}"
    return f"for {len(rows)} {noun}"


def _filled(table: _Table, functions: Functions, above: Sequence[str], notes: Sequence[str], adjust: Adjust) -> _Table:
    if isinstance(table, MeansTable):
        table._contrasts = None
    table._functions = functions
    table._labels, table._by = tuple(map(str, functions.labels.columns)), functions.by
    table._above = (*([_INTERACTION] if functions.misleading else []), *above)
    table._notes = tuple(notes)
    table.attrs["adjust"] = adjust
    return table


def _all_numbers(values: pd.Series[Any]) -> bool:
    try:
        values.astype(str).astype(float)
    except ValueError:
        return False
    return True
