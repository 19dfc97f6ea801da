"""Columns whose names need backticks: R's names in print-outs, and either spelling where a name is asked for."""

import numpy as np
import pytest

import mixedpy as mp


@pytest.fixture(scope="module")
def fit() -> mp.LmmFit:
    data = mp.datasets.load("sleepstudy").rename(columns={"Days": "day no", "Subject": "per son"})
    return mp.lmer("Reaction ~ `day no` + (`day no` | `per son`)", data)


def test_a_grouping_column_stands_without_backticks(fit):
    assert list(fit.ngroups) == list(fit.ranef()) == list(fit.coef()) == ["per son"]
    assert " per son  (Intercept)" in str(fit)
    assert "groups:  per son, 18" in str(fit)
    assert set(fit.tidy("ran_pars")["group"]) == {"per son", "Residual"}
    assert list(fit.fixef.index) == ["(Intercept)", "`day no`"]
    assert fit.theta.index[0] == "per son.(Intercept)"


def test_formulas_made_from_a_fit_can_be_read_again(fit):
    table = fit.ranova()
    assert list(table.index) == ["<none>", "`day no` in (`day no` | `per son`)"]
    assert fit.update(". ~ . - (`day no` | `per son`) + (1 | `per son`)").ngroups == {"per son": 18}
    np.testing.assert_array_equal(fit.predict(re_form="~ (`day no` | `per son`)"), fit.predict())


def test_the_plain_name_is_understood(fit):
    assert len(fit.influence("per son").cooks_distance) == 18
    plain, quoted = (fit.power(name, 5, seed=1, fixef={name: 1.0}) for name in ("day no", "`day no`"))
    np.testing.assert_array_equal(plain.pvalues, quoted.pvalues)
    plain, quoted = (fit.power(f"{name} | per son", 5, seed=1) for name in ("day no", "`day no`"))
    np.testing.assert_array_equal(plain.pvalues, quoted.pvalues)
    for plain, quoted in (("day no", "`day no`"), ({"day no": 2.0}, {"`day no`": 2.0})):
        np.testing.assert_array_equal(fit.contrast(plain), fit.contrast(quoted))
    slopes = [fit.emtrends("1", name) for name in ("day no", "`day no`")]
    np.testing.assert_array_equal(slopes[0].iloc[:, 1:], slopes[1].iloc[:, 1:])


def test_covariances_by_the_plain_name(fit):
    assert len(fit.update(covariances={"per son": "diag"}).theta) == 2


def test_advice_is_a_formula():
    data = mp.datasets.load("cake").rename(columns={"replicate": "rep no"})
    with pytest.warns(mp.SingularFitWarning):
        fit = mp.lmer("angle ~ recipe + (recipe | `rep no`)", data)
    assert "(... || `rep no`)" in " ".join(str(fit.check()).split())
