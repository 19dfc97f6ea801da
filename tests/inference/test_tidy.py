"""tidy, glance and augment against R's broom.mixed (tests/reference/broom_reference.R)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp

REFERENCE = json.loads((Path(__file__).resolve().parents[1] / "reference" / "broom_reference.json").read_text())


def fits() -> dict[str, mp.LmmFit]:
    load, control = mp.datasets.load, mp.Control(tol=1e-13)
    weighted = load("Penicillin")
    weighted["w"] = 1 + (weighted["plate"].cat.codes + 1) / 10
    formula = "Reaction ~ Days + (Days || Subject)"
    return {
        "slopes": mp.lmer("Reaction ~ Days + (Days | Subject)", load("sleepstudy"), control=control),
        "double_bar": mp.lmer(formula, load("sleepstudy"), reml=False, control=control),
        "crossed": mp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", weighted, weights="w", control=control),
        "nested": mp.lmer("strength ~ 1 + (1 | batch/cask)", load("Pastes"), control=control),
    }


FITS = fits()
each = pytest.mark.parametrize("name", FITS)


def assert_same(table: pd.DataFrame, wanted: dict[str, Any], rtol: float = 2e-5) -> None:
    assert list(table.columns) == list(wanted)
    for column, values in wanted.items():
        values = values if isinstance(values, list) else [values]
        if table[column].dtype == object:
            assert [None if v is None else str(v) for v in table[column]] == values, column
            continue
        got, expected = table[column].to_numpy(dtype=float), np.array(values, dtype=float)
        scale = np.nanmax(np.abs(expected), initial=0.0)
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * scale, err_msg=column)


@each
def test_fixed_effects_with_limits(name: str):
    assert_same(FITS[name].tidy("fixed", conf_int=True), with_group(REFERENCE[name]["fixed"]))


def with_group(wanted: dict[str, Any]) -> dict[str, Any]:
    """broom.mixed leaves out a column of missing groups where only fixed effects are asked for; here it stays."""
    n = len(wanted["term"]) if isinstance(wanted["term"], list) else 1
    return {"effect": wanted["effect"], "group": [None] * n, **{k: v for k, v in wanted.items() if k != "effect"}}


@each
def test_fixed_effects_and_variance_components(name: str):
    assert_same(FITS[name].tidy(), REFERENCE[name]["default"])


@each
def test_variances_and_covariances(name: str):
    assert_same(FITS[name].tidy("ran_pars", scale="vcov"), REFERENCE[name]["ran_pars"])


@each
def test_modes_with_limits(name: str):
    assert_same(FITS[name].tidy("ran_vals", conf_int=True), REFERENCE[name]["ran_vals"])


@each
def test_coefficients_of_levels(name: str):
    assert_same(FITS[name].tidy("ran_coefs"), REFERENCE[name]["ran_coefs"])


@each
def test_glance(name: str):
    assert_same(FITS[name].glance(), REFERENCE[name]["glance"])


@each
def test_augment(name: str):
    wanted = REFERENCE[name]["augment"]
    table = FITS[name].augment().head(25)
    assert_same(table[[c for c in table.columns if c.startswith(".")]], wanted, rtol=1e-4)
    assert set(table.columns) - set(wanted) <= set(FITS[name].request.data.columns)


def test_all_effects_in_one_table():
    table = FITS["slopes"].tidy(["ran_vals", "fixed", "ran_coefs", "ran_pars"], conf_int=True, conf_level=0.5)
    assert table["effect"].value_counts().to_dict() == {"fixed": 2, "ran_pars": 4, "ran_vals": 36, "ran_coefs": 36}
    fixed = table[table["effect"] == "fixed"]
    half = (fixed["conf.high"] - fixed["conf.low"]) / 2
    np.testing.assert_allclose(half, 0.6744897501960817 * fixed["std.error"])
    assert table.loc[table["effect"] == "ran_coefs", "std.error"].isna().all()


def test_augment_with_missing_rows():
    data = mp.datasets.load("sleepstudy")
    data.loc[[3, 70], "Reaction"] = np.nan
    fit = mp.lmer("Reaction ~ Days + (1 | Subject)", data)
    assert len(fit.augment()) == 178
    whole = fit.update(na_action="exclude").augment()
    assert len(whole) == 180
    assert whole[".fitted"].isna().sum() == 2
    pd.testing.assert_series_equal(whole["Reaction"], data["Reaction"])


def test_augment_notices_a_table_that_has_changed():
    data = {"y": [1.0, 2, 4, 3, 6, 5], "g": list("aabbcc")}
    fit = mp.lmer("y ~ 1 + (1 | g)", data)
    data["y"] = data["y"][:5]
    with pytest.raises(mp.DataError, match="has been changed since the model was fitted"):
        fit.augment()


@pytest.mark.parametrize("options", [{"effects": "random"}, {"effects": []}, {"scale": "log"}, {"conf_level": 1.0}])
def test_bad_arguments(options: dict[str, Any]):
    with pytest.raises(ValueError, match=next(iter(options))):
        FITS["slopes"].tidy(**options)
