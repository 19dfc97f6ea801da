"""MixedRegressor as scikit-learn expects estimators to be, and as the mixed model that it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from mixedpy.adapters.sklearn import MixedRegressor


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks():
    outcomes = check_estimator(MixedRegressor(), on_fail=None, on_skip=None)
    failed = [f"{o['check_name']}: {o['exception']}" for o in outcomes if o["status"] not in ("passed", "skipped")]
    assert failed == []
    assert sum(o["status"] == "passed" for o in outcomes) >= 40


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, pd.Series]:
    table = mp.datasets.load("sleepstudy")
    return table[["Days", "Subject"]].astype(float), table["Reaction"]


def test_it_is_the_mixed_model(data):
    X, y = data
    model = MixedRegressor(groups=["Subject"], slopes=["Days"]).fit(X, y)
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
    np.testing.assert_allclose(model.predict(X), fit.predict(), rtol=1e-6)
    np.testing.assert_allclose([model.intercept_, *model.coef_], fit.fixef, rtol=1e-6)
    by_position = MixedRegressor(groups=[-1], slopes=[0]).fit(X.to_numpy(), y)
    np.testing.assert_array_equal(by_position.predict(X.to_numpy()), model.predict(X))
    apart = MixedRegressor(groups=["Subject"], slopes=["Days"], correlated=False, reml=False).fit(X, y)
    wanted = mp.lmer("Reaction ~ Days + (Days || Subject)", mp.datasets.load("sleepstudy"), reml=False)
    assert apart.fit_.deviance == pytest.approx(wanted.deviance)


def test_unknown_groups_get_the_fixed_effects(data):
    X, y = data
    model = MixedRegressor(groups=["Subject"]).fit(X, y)
    new = pd.DataFrame({"Days": [0.0, 4.0], "Subject": [1.0, 2.0]})
    np.testing.assert_allclose(model.predict(new), model.intercept_ + model.coef_[0] * np.array([0.0, 4.0]))


def test_cross_validation_over_groups_and_clones(data):
    X, y = data
    model = make_pipeline(MixedRegressor(groups=[1], slopes=[0]))
    scores = cross_val_score(model, X.to_numpy(), y, groups=X["Subject"], cv=GroupKFold(6))
    assert scores.shape == (6,)
    assert np.isfinite(scores).all()
    known = clone(model).fit(X.to_numpy(), y).score(X.to_numpy(), y)
    assert known > LinearRegression().fit(X[["Days"]], y).score(X[["Days"]], y) + 0.3


def test_sample_weights_are_prior_weights(data):
    X, y = data
    weights = np.random.default_rng(2).uniform(0.5, 2.0, len(y))
    weights[:10] = 0.0
    model = MixedRegressor(groups=["Subject"]).fit(X, y, sample_weight=weights)
    kept = weights > 0
    table = mp.datasets.load("sleepstudy")[kept]
    fit = mp.lmer("Reaction ~ Days + (1 | Subject)", table, weights=weights[kept])
    np.testing.assert_allclose(model.predict(X[kept]), fit.predict(), rtol=1e-6)


def test_least_squares_without_groups(data):
    X, y = data
    weights = np.random.default_rng(3).uniform(0.5, 2.0, len(y))
    model = MixedRegressor().fit(X, y, sample_weight=weights)
    wanted = LinearRegression().fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(model.predict(X), wanted.predict(X))
    assert model.fit_ is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ["subject"]}, "groups names 'subject', which is no column of X; it has Days, Subject"),
        ({"groups": [7]}, "groups names 7"),
        ({"groups": "Subject"}, "must be a list of columns"),
        ({"slopes": ["Days"]}, "slopes need groups"),
    ],
)
def test_mistakes_are_named(data, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        MixedRegressor(**options).fit(*data)


def of_type(kind: str, subject: pd.Series) -> pd.Series:
    match kind:
        case "text":
            return "s" + subject.astype(str)
        case "category":
            return ("s" + subject.astype(str)).astype("category")
        case "date":
            return pd.to_datetime("2020-01-01") + pd.to_timedelta(subject.astype(int), unit="D")
        case "boolean":
            return subject.astype(int) > 340
    return subject.astype(int)


@pytest.mark.parametrize("kind", ["text", "category", "date", "boolean", "integer"])
def test_groups_of_any_type(data, kind):
    X, y = data
    typed = X.assign(Subject=of_type(kind, mp.datasets.load("sleepstudy")["Subject"]), more=np.sqrt(np.arange(len(X))))
    numbers = typed.assign(Subject=typed["Subject"].astype("category").cat.codes.astype(float))
    model, wanted = (MixedRegressor(groups=["Subject"], slopes=["Days"]).fit(table, y) for table in (typed, numbers))
    np.testing.assert_allclose(model.coef_, wanted.coef_, rtol=1e-7)
    np.testing.assert_array_equal(model.predict(typed), wanted.predict(numbers))
    np.testing.assert_array_equal(model.predict(typed.iloc[[50, 3]]), model.predict(typed)[[50, 3]])
    assert list(model.feature_names_in_) == ["Days", "Subject", "more"]
    as_objects = MixedRegressor(groups=[1], slopes=[0]).fit(typed.to_numpy(dtype=object), y)
    np.testing.assert_allclose(as_objects.predict(typed.to_numpy(dtype=object)), model.predict(typed), rtol=1e-6)
    weights = np.where(np.arange(len(y)) % 3 == 0, 0.0, 2.0)
    weighted, without = (
        MixedRegressor(groups=["Subject"]).fit(typed, y, sample_weight=weights),
        MixedRegressor(groups=["Subject"]).fit(typed[weights > 0], y[weights > 0]),
    )
    np.testing.assert_allclose(weighted.predict(typed), without.predict(typed), rtol=1e-6)


def test_text_groups_in_polars_and_cross_validation(data):
    pl = pytest.importorskip("polars")
    X, y = data
    typed = X.assign(Subject="s" + X["Subject"].astype(int).astype(str))
    model = MixedRegressor(groups=["Subject"])
    wanted = clone(model).fit(typed, y).predict(typed)
    np.testing.assert_array_equal(clone(model).fit(pl.from_pandas(typed), y).predict(pl.from_pandas(typed)), wanted)
    scores = cross_val_score(model, typed, y, groups=typed["Subject"], cv=GroupKFold(3), error_score="raise")
    assert scores.shape == (3,)


def test_bad_tables_with_text_groups(data):
    X, y = data
    typed = X.assign(Subject="s" + X["Subject"].astype(int).astype(str))
    model = MixedRegressor(groups=["Subject"])
    with pytest.raises(ValueError, match="could not convert string to float"):
        clone(model).fit(typed.assign(Days=typed["Subject"]), y)
    with pytest.raises(ValueError, match="grouping column Subject has no value in 1 rows"):
        clone(model).fit(typed.assign(Subject=typed["Subject"].where(typed.index != 3)), y)
    fitted = clone(model).fit(typed, y)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(typed.rename(columns={"Days": "days"}))
    with pytest.raises(ValueError, match="now missing"):
        fitted.predict(typed[["Subject"]])
    with pytest.raises(ValueError, match="1 features"):
        MixedRegressor(groups=[1]).fit(X.to_numpy(), y).predict(np.ones((3, 1)))
    with pytest.raises(ValueError, match="NaN"):
        fitted.predict(typed.assign(Days=np.nan))
    only = MixedRegressor(groups=["Subject"]).fit(typed[["Subject"]], y)
    assert only.coef_.shape == (0,)
    with pytest.raises(ValueError, match="2D"):
        MixedRegressor(groups=[0]).fit(np.arange(5.0), np.arange(5.0))
