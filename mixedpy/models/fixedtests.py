"""Tests of the fixed effects of a fit: F tables by term, single-term deletions, contrasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.core.arrays import Floats
from mixedpy.core.distributions import chi2_sf
from mixedpy.design import Schema
from mixedpy.errors import DataError
from mixedpy.inference import hypotheses
from mixedpy.inference.combinations import combination_of
from mixedpy.inference.ddf import FTest, Inference, f_test, t_tests
from mixedpy.inference.hypotheses import Hypotheses
from mixedpy.inference.intervals import check_level
from mixedpy.inference.names import spelled
from mixedpy.models.kept import table_of
from mixedpy.models.memo import check_ddf, inference_of
from mixedpy.models.printed import AnovaTable, anova_table

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = ["anova", "chisquare_columns", "contrast", "contrast_matrix", "drop1", "droppable_terms", "read_type"]

_TYPES = {"1": "I", "2": "II", "3": "III"}


def anova(fit: LmmFit, type: int | str, ddf: str | None) -> AnovaTable:
    """Test every fixed term; see ``LmmFit.anova``."""
    roman = read_type(type)
    if roman == "I":
        found = hypotheses.type1(fit.schema, fit.design)
    elif roman == "II":
        found = hypotheses.type2(fit.schema, fit.design)
    else:
        found = hypotheses.type3(fit.schema, fit.design, table_of(fit))
    found = dict(sorted(found.items(), key=lambda item: len(item[1]) == 0))  # terms without a hypothesis last
    inference = inference_of(fit, ddf)
    heading = f"Type {roman} Analysis of Variance Table with {inference.method.label} method"
    return _table(fit, inference, found, [heading])


def read_type(type: int | str) -> str:
    """Read the type of a table of tests, 1 to 3 or a Roman number; a ValueError for anything else."""
    roman = _TYPES.get(str(type), str(type).upper())
    if roman not in _TYPES.values():
        raise ValueError(f"type={type!r} is unknown; use 1, 2 or 3")
    return roman


def droppable_terms(schema: Schema, scope: str | Sequence[str] | None) -> list[int]:
    """Find the terms to drop: those of the scope, or all that are part of no other term.

    Raises
    ------
    DataError
        If the scope names a term that cannot be dropped on its own.
    """
    terms = hypotheses.droppable(schema)
    if scope is None:
        return terms
    labels = [schema.term_labels[t] for t in terms]
    wanted = [scope] if isinstance(scope, str) else list(scope)
    for label in wanted:
        if label not in labels:
            raise DataError(
                f"drop1: {label!r} cannot be dropped on its own; terms that are part of no other term are "
                + ", ".join(map(repr, labels))
            )
    return [terms[labels.index(label)] for label in wanted]


def drop1(fit: LmmFit, scope: str | Sequence[str] | None, ddf: str | None) -> AnovaTable:
    """Test the terms that may be dropped; see ``LmmFit.drop1``."""
    schema = fit.schema
    terms = droppable_terms(schema, scope)
    if schema.dropped:
        found = hypotheses.deletions(schema, fit.design, table_of(fit), terms)
    else:
        every = hypotheses.marginal(schema, fit.design)
        found = {schema.term_labels[t]: every[schema.term_labels[t]] for t in terms}
    inference = inference_of(fit, ddf)
    heading = [f"Single term deletions using {inference.method.label} method:", "\nModel:", fit.schema.formula.expanded]
    return _table(fit, inference, found, heading)


def _table(fit: LmmFit, inference: Inference, found: Hypotheses, heading: Sequence[str]) -> AnovaTable:
    """F tests of the hypotheses."""
    tests = [f_test(inference, L) for L in found.values()]
    return anova_table(_columns(fit, tests), list(found), heading)


def _columns(fit: LmmFit, tests: Sequence[FTest]) -> dict[str, Floats]:
    F = np.array([test.statistic for test in tests], float)
    ndf = np.array([test.ndf if test.ndf else np.nan for test in tests], float)
    mean = (
        fit.sigma**2 * F / np.array([test.scaling for test in tests], float)
    )  # of Wald's statistic, as lmerTest has it
    return {
        "Sum Sq": mean * ndf,
        "Mean Sq": mean,
        "NumDF": ndf,
        "DenDF": np.array([test.ddf for test in tests], float),
        "F value": F,
        "Pr(>F)": np.array([test.pvalue for test in tests], float),
    }


def contrast(
    fit: LmmFit | GlmmFit,
    L: npt.ArrayLike | Mapping[str, Any] | str | Sequence[Any],
    rhs: npt.ArrayLike,
    ddf: str | None,
    joint: bool,
    level: float,
) -> pd.DataFrame:
    """Test linear combinations of the fixed effects; see ``LmmFit.contrast``.

    Without degrees of freedom, as of generalized fits, statistics are z and chi-square.
    """
    rows, names = contrast_matrix(fit.schema, L)
    values = np.asarray(rhs, float)
    if values.shape not in ((), (len(rows),)):
        raise DataError(f"contrast: rhs has shape {values.shape}; one number, or one for each of the {len(rows)} rows")
    check_level(level)
    inference = inference_of(fit, ddf)
    normal = check_ddf(ddf) == "asymptotic"
    if joint:
        label = L if isinstance(L, str) else "L"
        tests = [f_test(inference, rows, values)]
        what = f"{len(rows)} linear hypotheses"
        method = inference.method.label
        title = f"Joint Wald chisquare test of {what}" if normal else f"Joint test of {what} with {method} method"
        columns = chisquare_columns(tests) if normal else _columns(cast("LmmFit", fit), tests)
        return anova_table(columns, [label], [title])
    single = t_tests(inference, rows, values)
    from_estimate = single.se * single.quantile(level)
    return pd.DataFrame(
        {
            "Estimate": single.estimate,
            "Std. Error": single.se,
            **({} if normal else {"df": single.df}),
            "z value" if normal else "t value": single.t,
            "lower": single.estimate - from_estimate,
            "upper": single.estimate + from_estimate,
            "Pr(>|z|)" if normal else "Pr(>|t|)": single.pvalue,
        },
        index=names,
    )


def chisquare_columns(tests: Sequence[FTest]) -> dict[str, Floats]:
    """Chi-squares: F tests with infinitely many denominator degrees of freedom, times their own degrees of freedom."""
    df = np.array([test.ndf if test.ndf else np.nan for test in tests], float)
    statistic = df * np.array([test.statistic for test in tests], float)
    return {"Chisq": statistic, "Df": df, "Pr(>Chisq)": np.asarray(chi2_sf(statistic, df), np.float64)}


def contrast_matrix(schema: Schema, L: Any) -> tuple[Floats, list[str]]:
    """Read linear combinations and their labels: names, sums, terms, weights by name, vectors, or several of these.

    Raises
    ------
    DataError
        If the length is wrong, a name unknown, a number not finite, or a combination zero.
    """
    rows, labels = _rows_of(schema, L)
    for row, label in zip(rows, labels, strict=True):
        if not row.any():
            raise DataError(f"contrast: {label} is zero, all its weights are; there is nothing to test")
    return rows, labels


def _rows_of(schema: Schema, L: Any) -> tuple[Floats, list[str]]:
    names = list(schema.fixed_names)
    if isinstance(L, str):
        L = spelled(L, [*names, *schema.term_labels])
        if L not in names and L in schema.term_labels:
            columns = [k for k, t in enumerate(schema.assign) if t == schema.term_labels.index(L) + 1]
            if not columns:
                raise DataError(f"contrast: {L!r} has no coefficient in the fit, since its columns depend on others")
            return np.eye(len(names))[columns], [names[k] for k in columns]
        return (_weights({L: 1.0}, names) if L in names else combination_of(L, names))[None, :], [L]
    if isinstance(L, Mapping) and any(not np.isscalar(value) or isinstance(value, str) for value in L.values()):
        parts = [_rows_of(schema, row) for row in L.values()]
        for name, (found, _) in zip(L, parts, strict=True):
            if len(found) != 1:
                raise DataError(f"contrast: {name!r} has {len(found)} rows; a named contrast is one combination")
        return np.concatenate([found for found, _ in parts]), [str(name) for name in L]
    if isinstance(L, Mapping):
        return _weights(L, names)[None, :], ["L"]
    if isinstance(L, pd.Series):
        return _weights(L.to_dict(), names)[None, :], ["L"]
    if isinstance(L, pd.DataFrame):
        rows = [_weights(row.to_dict(), names) for _, row in L.iterrows()]
        return np.array(rows).reshape(-1, len(names)), [str(label) for label in L.index]
    if isinstance(L, Sequence) and any(isinstance(row, str | Mapping) for row in L):
        parts = [_rows_of(schema, row) for row in L]
        labels = [
            f"L{k + 1}" if label == "L" and not isinstance(row, str) else label
            for k, (row, (_, own)) in enumerate(zip(L, parts, strict=True))
            for label in own
        ]
        return np.concatenate([rows for rows, _ in parts]), labels
    try:
        matrix = np.atleast_2d(np.asarray(L, dtype=float))
    except (TypeError, ValueError) as error:
        raise DataError(f"contrast: L cannot be read as numbers ({error}); {_wanted(names)}") from None
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise DataError(f"contrast: L has {matrix.shape[-1]} columns; {_wanted(names)}")
    if not np.isfinite(matrix).all():
        raise DataError(f"contrast: L holds values that are not finite; {_wanted(names)}")
    return matrix, ["L"] if len(matrix) == 1 else [f"L{k + 1}" for k in range(len(matrix))]


def _weights(given: Mapping[Any, float], names: list[str]) -> Floats:
    row = np.zeros(len(names))
    for label, weight in given.items():
        name = spelled(label, names)
        if name not in names:
            raise DataError(f"contrast: there is no fixed effect {name!r}; {_wanted(names)}")
        row[names.index(name)] = weight
    if not np.isfinite(row).all():
        raise DataError(f"contrast: L holds values that are not finite; {_wanted(names)}")
    return row


def _wanted(names: list[str]) -> str:
    if not names:
        return "the model has no fixed effects"
    return f"it takes {len(names)} numbers a row, one for each of {', '.join(names)}"
