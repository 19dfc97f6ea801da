"""Tests of generalized fits against car, lme4 and emmeans, at R's own estimates and covariance matrices."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixedpy as mp
from tests.glmm_cases import REFERENCE

CASES = json.loads((REFERENCE / "glmm_tests_reference.json").read_text())["cases"]
HERD = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def frame(name: str) -> pd.DataFrame:
    data = mp.datasets.load(name)
    return data.assign(nutrient=data["nutrient"].astype(str)) if name == "Arabidopsis" else data


@cache
def own_fit(name: str, coding: str | None = None) -> mp.GlmmFit:
    case = CASES[name]
    contrasts = None if coding is None else dict.fromkeys(case["factors"], coding)
    family = f"{case['family']}({case['link']})"
    return mp.glmer(case["formula"], frame(case["data"]), family=family, laplace="expected", contrasts=contrasts)


def fit_of(name: str, coding: str | None = None) -> mp.GlmmFit:
    """The fit with R's fixed effects and their covariance matrix, which lme4 has from differences."""
    fit = own_fit(name, coding)
    given = CASES[name]["estimates" if coding is None else coding]
    beta, V = np.array(given["beta"]), np.array(given["vcov"])
    assert_allclose(fit.fixef, beta, atol=2e-3 * fit.se.max())
    assert_allclose(fit.vcov(), V, atol=0.03 * V.max())
    return replace(fit, record=replace(fit.record, beta=beta, vcov=V))


@pytest.mark.parametrize("name", sorted(CASES))
def test_wald_tables_are_cars(name: str) -> None:
    case = CASES[name]
    for found, wanted in (
        (fit_of(name).anova(2), case["type2"]),
        (fit_of(name, "sum").anova("III"), case["type3"]),
    ):
        assert list(found.index) == wanted["terms"]
        assert list(found.columns) == ["Chisq", "Df", "Pr(>Chisq)"]
        assert_allclose(found["Chisq"], wanted["chisq"], rtol=1e-6)
        assert_allclose(found["Df"], wanted["df"])
        assert_allclose(found["Pr(>Chisq)"], wanted["p"], rtol=1e-4, atol=1e-300)
    printed = [line.rstrip() for line in str(fit_of(name).anova(2)).splitlines()]
    assert printed == [line.rstrip() for line in case["type2_text"]]


@pytest.mark.parametrize("type", [1, 2, 3])
@pytest.mark.parametrize("name", ["ticks", "fruits"])
def test_types_do_not_depend_on_the_contrasts(name: str, type: int) -> None:
    wanted = own_fit(name).anova(type)
    for coding in ("sum", "helmert"):
        assert_allclose(own_fit(name, coding).anova(type)["Chisq"], wanted["Chisq"], rtol=1e-4)


def test_type_three_is_not_the_test_of_raw_coefficients() -> None:
    """With treatment contrasts those refer to the first year alone."""
    fit = own_fit("ticks")
    raw = fit.fixef["cHEIGHT"] ** 2 / fit.vcov().loc["cHEIGHT", "cHEIGHT"]
    assert abs(fit.anova().loc["cHEIGHT", "Chisq"] / raw - 1.0) > 0.1


def test_names_of_types() -> None:
    fit = own_fit("ticks")
    for names in ((1, "1", "I", "i"), (2, "2", "II"), (3, "3", "III")):
        first, *others = (fit.anova(name) for name in names)
        for other in others:
            assert str(other) == str(first)
    with pytest.raises(ValueError, match="type=4 is unknown; use 1, 2 or 3"):
        fit.anova(4)


def test_no_fixed_effects_and_dropped_columns() -> None:
    data = frame("cbpp")
    assert mp.glmer(HERD.replace("period", "0"), data).anova().empty
    twice = data.assign(again=data["period"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.RankDeficiencyWarning)
        table = mp.glmer(HERD.replace("period", "period + again"), twice).anova(1)
    wanted = mp.glmer(HERD, data).anova(1)
    assert_allclose(table.loc["period"], wanted.loc["period"], rtol=1e-6)
    assert table.loc["again"].isna().all()
