"""Values given beside a table: a Series follows its row labels, whatever else the order of the rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixedpy as mp
from mixedpy.design.align import in_order

FORMULA = "Reaction ~ Days + (1 | Subject)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    sleepstudy = mp.datasets.load("sleepstudy")
    rng = np.random.default_rng(8)
    return sleepstudy.assign(w=rng.uniform(0.5, 2.0, len(sleepstudy)), o=rng.normal(size=len(sleepstudy)))


def shuffled(values):
    return values.sample(frac=1, random_state=1)


def labelled(data: pd.DataFrame, prefix: str = "row") -> pd.DataFrame:
    return data.set_axis([f"{prefix}{k}" for k in range(len(data))], axis=0)


@pytest.mark.parametrize("argument", ["weights", "offset"])
@pytest.mark.parametrize("label", [lambda data: data, labelled])
def test_a_series_follows_its_labels(data, argument, label):
    table, column = label(data), {"weights": "w", "offset": "o"}[argument]
    wanted = mp.lmer(FORMULA, table, **{argument: column}).deviance
    for values in (table[column], shuffled(table[column]), table[column].to_numpy(), table[column].tolist()):
        assert mp.lmer(FORMULA, table, **{argument: values}).deviance == wanted


@pytest.mark.parametrize("argument", ["weights", "offset"])
def test_generalized_models_as_well(argument):
    ticks = mp.datasets.load("grouseticks").head(150).assign(w=1.0, o=lambda t: np.linspace(-1, 1, len(t)))
    ticks["w"] = np.arange(150) % 3 + 1.0
    column = {"weights": "w", "offset": "o"}[argument]

    def fit(values):
        return mp.glmer("TICKS ~ YEAR + (1 | BROOD)", ticks, family="poisson", **{argument: values})

    wanted = fit(column)
    assert fit(shuffled(ticks[column])).deviance == wanted.deviance
    assert wanted.refit(shuffled(ticks["TICKS"])).deviance == pytest.approx(wanted.deviance, abs=1e-9)


def test_labels_that_say_nothing_leave_the_order(data):
    """Default labels on one side and none of the table's on the other: the order is all there is."""
    table = labelled(data)
    wanted = mp.lmer(FORMULA, data, weights="w").deviance
    assert mp.lmer(FORMULA, table, weights=data["w"]).deviance == wanted
    assert mp.lmer(FORMULA, data, weights=table["w"]).deviance == wanted
    some = data[data["Days"] > 2]
    wanted = mp.lmer(FORMULA, some, weights="w").deviance
    assert mp.lmer(FORMULA, some, weights=some["w"].reset_index(drop=True)).deviance == wanted
    assert mp.lmer(FORMULA, pl.from_pandas(some), weights=some["w"].to_numpy()).deviance == wanted


def test_foreign_labels_are_an_error(data):
    table = labelled(data)
    with pytest.raises(mp.DataError, match=r"weights has other row labels than the table \('x0', .*'row0'.*to_numpy"):
        mp.lmer(FORMULA, table, weights=labelled(data, "x")["w"])
    with pytest.raises(mp.DataError, match=r"offset has other row labels than the table \(180, "):
        mp.lmer(FORMULA, data, offset=data["o"].rename(lambda k: k + 1))
    twice = pd.concat([data, data])
    assert mp.lmer(FORMULA, twice, weights=twice["w"]).nobs == 360
    with pytest.raises(mp.DataError, match="weights repeats row labels, in another order"):
        mp.lmer(FORMULA, twice, weights=shuffled(twice["w"]))
    with pytest.raises(mp.DataError, match=r"180 values but the table has 126 rows.*give \.loc\[data\.index\]"):
        mp.lmer(FORMULA, data[data["Days"] > 2], weights=data["w"])


def test_series_in_a_dict_have_one_order(data):
    columns = {name: data[name] for name in ("Reaction", "Days", "Subject")}
    wanted = mp.lmer(FORMULA, data).deviance
    assert mp.lmer(FORMULA, {**columns, "Days": columns["Days"].to_numpy()}).deviance == wanted
    with pytest.raises(mp.DataError, match="`Reaction` and `Days` are Series whose row labels are in different orders"):
        mp.lmer(FORMULA, {**columns, "Days": shuffled(columns["Days"])})


def test_responses_follow_their_labels(data):
    y = data["Reaction"] ** 1.1
    prepared, fit = mp.prepare(FORMULA, data), mp.lmer(FORMULA, data)
    wanted = fit.refit(y.to_numpy())
    assert fit.refit(shuffled(y)).deviance == wanted.deviance
    assert prepared.fit(shuffled(y)).deviance == prepared.fit(y.to_numpy()).deviance
    many = shuffled(pd.DataFrame({"a": y, "b": data["Reaction"]}))
    found, ordered = prepared.fit_many(many), prepared.fit_many(many.sort_index().to_numpy())
    np.testing.assert_array_equal(found.deviance, ordered.deviance)
    assert list(found.deviance.index) == ["a", "b"]
    other = labelled(data)
    with pytest.raises(mp.DataError, match="the new response has other row labels"):
        mp.lmer(FORMULA, other).refit(labelled(data, "x")["Reaction"])
    with pytest.raises(mp.DataError, match="the matrix of responses has other row labels"):
        mp.prepare(FORMULA, other).fit_many(labelled(data, "x")[["Reaction"]])


def test_responses_where_rows_were_dropped(data):
    holes = data.assign(Days=data["Days"].astype(float))
    holes.loc[[3, 70], "Days"] = np.nan
    fit = mp.lmer(FORMULA, holes)
    y = data["Reaction"]
    used = y.drop([3, 70])
    wanted = fit.refit(used.to_numpy()).deviance
    for values in (y, shuffled(y), used, shuffled(used), used.reset_index(drop=True), y.to_numpy()):
        assert fit.refit(values).deviance == wanted
    with pytest.raises(mp.DataError, match=r"has other row labels than the table \(3, "):
        fit.refit(y.drop([4, 70]))
    with pytest.raises(mp.DataError, match=r"178 values \(those used, .*\) or 180 \(all rows of the table"):
        fit.refit(y.head(50))


def test_a_saved_fit_has_the_weights_in_order(data, tmp_path):
    fit = mp.lmer(FORMULA, data, weights=shuffled(data["w"]))
    fit.save(tmp_path / "model.fit")
    loaded = mp.load(tmp_path / "model.fit")
    assert loaded.update(reml=True).deviance == fit.deviance
    pd.testing.assert_frame_equal(loaded.augment(), fit.augment())


def test_starting_values_by_name(data):
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", data)
    for start in (fit.theta, fit.theta.iloc[::-1], fit.theta.to_numpy()):
        again = fit.update(start=start)
        np.testing.assert_allclose(again.convergence.start, fit.theta, rtol=1e-10)


@given(st.lists(st.integers() | st.text(max_size=3), unique=True, min_size=1, max_size=8), st.randoms())
def test_any_permutation_is_undone(labels, random):
    order = list(range(len(labels)))
    random.shuffle(order)
    index = pd.Index(labels, dtype=object)
    values = pd.Series(np.arange(len(labels)), index=index)
    assert in_order(values.iloc[order], index, "values").tolist() == values.tolist()
