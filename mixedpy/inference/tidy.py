"""Tidy tables of a fit, with the rows and column names of R's broom.mixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.formula.syntax import Name
from mixedpy.inference.criteria import criteria
from mixedpy.inference.fitted import fitted, residuals
from mixedpy.inference.glmm.augment import general_columns
from mixedpy.inference.leverage import cooks_distance, leverage
from mixedpy.inference.names import auxiliary_names
from mixedpy.inference.ranef import coef, ranef
from mixedpy.inference.rows import frame_on_rows
from mixedpy.inference.varcorr import to_frame, variance_components
from mixedpy.inference.variables import as_values, model_columns, rows_used

__all__ = ["Effects", "Scale", "augment", "glance", "tidy"]

Effects = Literal["fixed", "auxiliary", "ran_pars", "ran_vals", "ran_coefs"]
Scale = Literal["sdcor", "vcov"]

_ORDER = (
    "effect", "group", "level", "term", "estimate", "std.error", "statistic", "p.value", "conf.low", "conf.high",
)  # fmt: skip
_PREFIX = {"sdcor": ("sd__", "cor__"), "vcov": ("var__", "cov__")}


def tidy(
    design: Design,
    schema: Schema,
    record: FitRecord | GlmmRecord,
    *,
    effects: Sequence[Effects],
    conf_int: bool,
    conf_level: float,
    scale: Scale,
) -> pd.DataFrame:
    """Lay out estimates as one table; the facade documents it."""
    wanted = [effects] if isinstance(effects, str) else list(effects)
    unknown = [effect for effect in wanted if effect not in get_args(Effects)]
    if unknown or not wanted:
        raise ValueError(f"effects={effects!r}; give one or more of {', '.join(map(repr, get_args(Effects)))}")
    if scale not in _PREFIX:
        raise ValueError(f"scale={scale!r} is unknown; use 'sdcor' or 'vcov'")
    if not 0.0 < conf_level < 1.0:
        raise ValueError(f"conf_level={conf_level!r} must lie between 0 and 1")
    z = float(ndtri(0.5 + conf_level / 2)) if conf_int else None
    parts = []
    for effect in get_args(Effects):
        if effect not in wanted:
            continue
        if effect == "fixed":
            se = np.sqrt(np.diag(record.fixed_vcov))
            parts.append(
                _estimates("fixed", schema.fixed_names, record.beta, se, z, test=isinstance(record, GlmmRecord))
            )
        elif effect == "auxiliary":
            names, alpha, se = _auxiliary(schema, record)
            parts.append(_estimates("auxiliary", names, alpha, se, z, test=False))
        elif effect == "ran_pars":
            parts.append(_parameters(design, schema, record, scale))
        elif effect == "ran_vals":
            parts.append(_values(design, schema, record, z))
        else:
            parts.append(_coefficients(design, schema, record))
    present = [name for name in _ORDER if any(name in part for part in parts)]
    columns: dict[str, Any] = {}
    for name in present:
        pieces = [part.get(name, _absent(name, len(part["term"]))) for part in parts]
        dtype = object if name in ("effect", "group", "level", "term") else np.float64
        columns[name] = pd.Series(np.concatenate([np.asarray(p, dtype=dtype) for p in pieces]), dtype=dtype)
    return pd.DataFrame(columns)


def _absent(name: str, n: int) -> list[Any]:
    return [None if name in ("group", "level") else np.nan] * n


def _auxiliary(schema: Schema, record: FitRecord | GlmmRecord) -> tuple[Sequence[str], Floats, Floats]:
    """The family's own coefficients with standard errors; a linear model has none."""
    if isinstance(record, GlmmRecord):
        return auxiliary_names(schema, record), record.alpha, np.sqrt(np.diag(record.vcov)[record.p :])
    return (), np.empty(0), np.empty(0)


def _estimates(
    effect: Effects, names: Sequence[str], estimate: Floats, se: Floats, z: float | None, *, test: bool
) -> dict[str, Any]:
    n = len(names)
    part: dict[str, Any] = {"effect": [effect] * n, "group": [None] * n, "term": list(names), "estimate": estimate}
    part |= {"std.error": se, "statistic": estimate / se}
    if test:
        part["p.value"] = 2.0 * ndtr(-np.abs(estimate / se))
    return {**part, **_limits(estimate, se, z)}


def _limits(estimate: Floats, se: Floats, z: float | None) -> dict[str, Floats]:
    return {} if z is None else {"conf.low": estimate - z * se, "conf.high": estimate + z * se}


def _parameters(design: Design, schema: Schema, record: FitRecord | GlmmRecord, scale: Scale) -> dict[str, Any]:
    frame = to_frame(variance_components(design, schema, record), "lower.tri")
    own, joint = _PREFIX[scale]
    terms = [
        f"{own}Observation" if a is None else f"{own}{a}" if b is None else f"{joint}{a}.{b}"
        for a, b in zip(frame["var1"], frame["var2"], strict=True)
    ]
    return {
        "effect": ["ran_pars"] * len(frame),
        "group": frame["grp"].tolist(),
        "term": terms,
        "estimate": frame[scale].to_numpy(),
    }


def _values(design: Design, schema: Schema, record: FitRecord | GlmmRecord, z: float | None) -> dict[str, Any]:
    modes = ranef(design, schema, record, condvar=True)
    parts = [
        (group, effect, table[effect], table[f"{effect}_sd"])
        for group, table in modes.items()
        for effect in table.columns[: table.shape[1] // 2]
    ]
    estimate = np.concatenate([values.to_numpy() for _, _, values, _ in parts])
    se = np.concatenate([sd.to_numpy() for _, _, _, sd in parts])
    return {**_by_level("ran_vals", [part[:3] for part in parts]), "std.error": se, **_limits(estimate, se, z)}


def _coefficients(design: Design, schema: Schema, record: FitRecord | GlmmRecord) -> dict[str, Any]:
    tables = coef(design, schema, record)
    return _by_level(
        "ran_coefs", [(group, str(name), table[name]) for group, table in tables.items() for name in table]
    )


def _by_level(effect: str, parts: Sequence[tuple[str, str, pd.Series[float]]]) -> dict[str, Any]:
    return {
        "effect": [effect] * sum(len(values) for _, _, values in parts),
        "group": [group for group, _, values in parts for _ in range(len(values))],
        "level": [level for _, _, values in parts for level in values.index],
        "term": [term for _, term, values in parts for _ in range(len(values))],
        "estimate": np.concatenate([values.to_numpy() for _, _, values in parts]),
    }


def glance(record: FitRecord | GlmmRecord) -> pd.DataFrame:
    """Lay out what there is one of per fit, as one row."""
    c = criteria(record)
    last = "REMLcrit" if isinstance(record, FitRecord) and record.reml else "deviance"
    row = {"nobs": record.n, "sigma": record.sigma, "logLik": c.loglik, "AIC": c.aic, "BIC": c.bic, last: c.deviance}
    return pd.DataFrame([{**row, "df.residual": c.df_resid}])


def augment(design: Design, schema: Schema, record: FitRecord | GlmmRecord, data: Any) -> pd.DataFrame:
    """Add fitted values, residuals and leverage to the columns of the table that the model reads."""
    columns = general_columns(design, record) if isinstance(record, GlmmRecord) else _linear_columns(design, record)
    added = frame_on_rows(schema, np.column_stack(list(columns.values())), list(columns))
    return pd.concat([_with_response(_table(schema, data), design, schema), added], axis=1)


def _linear_columns(design: Design, record: FitRecord) -> dict[str, Floats]:
    root = np.ones(design.n) if design.weights is None else np.sqrt(design.weights)
    conditional, r = fitted(design, record), residuals(design, record)
    hat = leverage(design, record).overall
    return {
        ".fitted": conditional,
        ".resid": r,
        ".hat": hat,
        ".cooksd": cooks_distance(root * r / record.sigma, hat, record.p),
        ".fixed": fitted(design, record, "marginal"),
        ".mu": conditional,
        ".offset": np.zeros(design.n) if design.offset is None else design.offset,
        ".sqrtXwt": root,
        ".sqrtrwt": root,
        ".weights": root**2,
        ".wtres": root * r,
    }


def _with_response(table: pd.DataFrame, design: Design, schema: Schema) -> pd.DataFrame:
    """The table with the response of a refit in the place of its own, where that is a column of numbers."""
    node = schema.formula.response
    if not isinstance(node, Name) or not pd.api.types.is_numeric_dtype(table[node.name]):
        return table
    rows = schema.rows if schema.na_action == "exclude" else slice(None)
    values = table[node.name].to_numpy(np.float64, copy=True)
    if np.array_equal(values[rows], design.y):
        return table
    values[rows] = design.y
    return table.assign(**{node.name: values})


def _table(schema: Schema, data: Any) -> pd.DataFrame:
    """The model's columns on the rows of the result: those used, or all with na_action="exclude"."""
    if schema.na_action != "exclude":
        return rows_used(schema, data)
    return pd.DataFrame(
        {name: as_values(c) for name, c in model_columns(schema, data).items()}, index=schema.table_index
    )
