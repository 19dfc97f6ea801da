"""Columns of X, effects of Z, levels and the order of terms, equal to R's for a literal table of formulas."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixedpy.design import Built, build, fixed_columns, random_columns
from mixedpy.errors import RankDeficiencyWarning
from mixedpy.formula import parse

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "design_reference.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = REFERENCE["cases"]
IDS = [f"{i}: {case['formula']}" for i, case in enumerate(CASES)]


def column(stored: dict[str, Any]) -> Any:
    if stored["type"] in ("factor", "ordered"):
        return pd.Categorical(stored["values"], categories=stored["levels"], ordered=stored["type"] == "ordered")
    values = stored["values"]
    return np.array(values, dtype=float) if None in values else np.array(values)


TABLE = pd.DataFrame({name: column(stored) for name, stored in REFERENCE["columns"].items()})


def table(case: dict[str, Any]) -> pd.DataFrame:
    data = TABLE.rename(columns=case["rename"] or {})
    return data[case["columns"]] if case["columns"] else data


def built(case: dict[str, Any], data: pd.DataFrame | None = None) -> Built:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankDeficiencyWarning)
        return build(case["formula"], table(case) if data is None else data, contrasts=case["contrasts"] or None)


def probe(n: int) -> np.ndarray:
    return np.sqrt(np.arange(1.0, n + 1))


def z_probe(codes: np.ndarray, Z: np.ndarray, n_levels: int) -> np.ndarray:
    """Z'v for v = sqrt(1), sqrt(2), ...: level by level, the effects of a level together."""
    out = np.zeros((n_levels, Z.shape[1]))
    np.add.at(out, codes, Z * probe(len(codes))[:, None])
    return out.ravel()


def test_the_table_is_large_enough() -> None:
    assert len(CASES) >= 190


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_fixed_part(case: dict[str, Any]) -> None:
    result = built(case)
    design, schema = result.design, result.schema
    assert design.n == case["nobs"]
    assert list(schema.fixed_names) == case["fixed"]
    assert list(schema.assign) == case["assign"]
    assert list(schema.dropped) == case["dropped"]
    np.testing.assert_allclose(design.X.T @ probe(design.n), case["X_probe"], rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(design.X[6], case["X_row"], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(design.y @ probe(design.n), case["y_sum"], rtol=1e-13)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_offset(case: dict[str, Any]) -> None:
    design = built(case).design
    if case["offset"] is None:
        assert design.offset is None
    else:
        np.testing.assert_allclose(design.offset, case["offset"], rtol=1e-14)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_random_part(case: dict[str, Any]) -> None:
    result = built(case)
    design, schema = result.design, result.schema
    assert [term.group for term in schema.terms] == case["groups"]
    assert [list(term.effects) for term in schema.terms] == case["effects"]
    assert [list(term.levels) for term in schema.terms] == case["levels"]
    for term, wanted in zip(design.terms, case["Z_probe"], strict=True):
        Z = np.column_stack([design.columns[k] for k in term.columns])
        np.testing.assert_allclose(z_probe(term.codes, Z, term.n_levels), wanted, rtol=1e-12, atol=1e-11)
    lower = [
        "0" if row == column else "-Inf"
        for term in design.terms
        for column in range(term.m)
        for row in range(column, term.m)
    ]
    assert lower == case["theta_lower"]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_text(case: dict[str, Any]) -> None:
    formula = parse(case["formula"])
    assert str(formula) == case["text"]
    if not formula.has_dot:
        assert formula.expanded == case["expanded"]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_schema_rebuilds_the_columns(case: dict[str, Any]) -> None:
    result = built(case)
    design, schema = result.design, result.schema
    rows = table(case).iloc[schema.rows]
    np.testing.assert_array_equal(fixed_columns(schema, rows), design.X)
    np.testing.assert_allclose(fixed_columns(schema, rows.iloc[::-2]), design.X[::-2], rtol=1e-14)
    for k, term in enumerate(design.terms):
        again = random_columns(schema, rows.iloc[::-3], k)
        np.testing.assert_array_equal(again.codes, term.codes[::-3])
        Z = np.column_stack([design.columns[c] for c in term.columns])
        np.testing.assert_allclose(again.Z, Z[::-3], rtol=1e-14)
        assert list(again.labels) == [schema.terms[k].levels[c] for c in term.codes[::-3]]


@pytest.mark.parametrize("entry", REFERENCE["algebra"], ids=lambda entry: entry["text"])
def test_algebra_of_terms(entry: dict[str, Any]) -> None:
    terms = parse(f"y ~ {entry['text']} + (1 | g)").fixed_terms()
    # R labels the operator %in% as typed, and the term it makes is the interaction.
    assert [label.replace(":", " %in% ") if "%in%" in entry["text"] else label for label in terms.labels] == [
        label.replace(":", " %in% ") if "%in%" in entry["text"] else label for label in entry["labels"]
    ]
    assert terms.intercept is entry["intercept"]
