"""Every kind of bad input is one error that says what is wrong, before any numerics start."""

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from mixedpy.models import fitting


@pytest.fixture
def sleep() -> pd.DataFrame:
    return mp.datasets.load("sleepstudy")


@pytest.fixture(autouse=True)
def _no_numerics(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the numerics started")

    monkeypatch.setattr(fitting, "estimate", refuse)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("Reaction ~ Dayz + (1 | Subject)", "Dayz"),
        ("Reaction ~ Days + (1 | Subjekt)", "Subjekt"),
        ("Reactions ~ Days + (1 | Subject)", "Reactions"),
        ("Reaction ~ Days + (Dais | Subject)", "Dais"),
    ],
)
def test_unknown_column(sleep, formula, said):
    with pytest.raises(mp.MixedpyError, match=rf"\b{said}\b"):
        mp.lmer(formula, sleep)


@pytest.mark.parametrize(
    "formula",
    [
        "Reaction Days + (1 | Subject)",
        "Reaction ~ Days + (1 | Subject",
        "Reaction ~ Days + 1 | Subject)",
        "Reaction ~ Days + (1 | )",
        "Reaction ~ Days + 1 | Subject",
        "Reaction ~ Days",
        "~ Days + (1 | Subject)",
        "",
    ],
)
def test_formula_that_cannot_be_read(sleep, formula):
    with pytest.raises(mp.FormulaError) as caught:
        mp.lmer(formula, sleep)
    lines = str(caught.value).splitlines()
    if formula:
        assert lines[-2] == f"  {formula}"
        assert set(lines[-1]) == {" ", "^"}


def test_grouping_factor_with_one_level(sleep):
    sleep["only"] = "a"
    with pytest.raises(mp.DataError, match="only"):
        mp.lmer("Reaction ~ Days + (1 | only)", sleep)


def test_grouping_factor_with_as_many_levels_as_rows(sleep):
    sleep["row"] = np.arange(len(sleep))
    with pytest.raises(mp.DataError, match=r"row\b.*180|180.*\brow\b"):
        mp.lmer("Reaction ~ Days + (1 | row)", sleep)


def test_more_random_effects_than_rows():
    few = pd.DataFrame({"y": np.arange(6.0) ** 2, "x": [1.0, 2.0] * 3, "g": list("aabbcc")})
    with pytest.raises(mp.DataError, match=r"\bg\b"):
        mp.lmer("y ~ x + (x | g)", few)


@pytest.mark.parametrize("column", ["Reaction", "Days", "Subject"])
def test_column_that_is_all_missing(sleep, column):
    sleep[column] = np.nan
    with pytest.raises(mp.DataError, match=rf"\b{column}\b"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep)


@pytest.mark.parametrize("column", ["Reaction", "Days"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_value(sleep, column, value):
    sleep.loc[[4, 9], column] = value
    with pytest.raises(mp.DataError, match=rf"\b{column}\b.*\b2\b|\b2\b.*\b{column}\b"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep)


def test_zero_rows(sleep):
    with pytest.raises(mp.DataError, match="row"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep.head(0))


@pytest.mark.parametrize("option", ["weights", "offset"])
def test_array_of_the_wrong_length(sleep, option):
    options = {option: np.ones(179)}
    with pytest.raises(mp.DataError, match=rf"{option}.*179.*180"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, **options)


@pytest.mark.parametrize("option", ["weights", "offset"])
def test_option_that_names_no_column(sleep, option):
    options = {option: "wait"}
    with pytest.raises(mp.DataError, match=r"\bwait\b"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, **options)


def test_negative_weights(sleep):
    sleep["w"] = -1.0
    with pytest.raises(mp.DataError, match=r"\bw\b|weights"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, weights="w")


def test_response_that_is_text(sleep):
    with pytest.raises(mp.DataError, match="Subject"):
        mp.lmer("Subject ~ Days + (1 | Subject)", sleep)


@pytest.mark.parametrize("start", [[1.0], [1.0, 0.0, 1.0, 1.0], [1.0, np.nan, 1.0]])
def test_start_values_that_do_not_fit(sleep, start):
    with pytest.raises(mp.DataError, match=r"Subject\.Days\.\(Intercept\)"):
        mp.lmer("Reaction ~ Days + (Days | Subject)", sleep, start=start)


def test_missing_rows_can_be_refused(sleep):
    sleep.loc[3, "Days"] = np.nan
    with pytest.raises(mp.DataError, match="Days"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, na_action="raise")


def test_unknown_na_action(sleep):
    with pytest.raises((ValueError, mp.MixedpyError), match="na_action"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep, na_action="omit")


@pytest.mark.parametrize(
    ("options", "error"),
    [({"reml": "no"}, TypeError), ({"control": "fast"}, TypeError), ({"formula": None}, mp.FormulaError)],
)
def test_arguments_of_the_wrong_type(sleep, options, error):
    arguments = {"formula": "Reaction ~ Days + (1 | Subject)", "data": sleep} | options
    with pytest.raises(error, match=next(iter(options))):
        mp.lmer(arguments.pop("formula"), arguments.pop("data"), **arguments)


def test_constant_response(sleep):
    with pytest.raises(mp.DataError, match=r"Reaction.*180"):
        mp.lmer("Reaction ~ Days + (1 | Subject)", sleep.assign(Reaction=3.0))
