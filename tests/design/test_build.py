"""Building designs: what is refused and how it is named, missing rows, weights, offsets, new data, invariances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixedpy import datasets
from mixedpy.design import build, fixed_columns, offset_column, random_columns
from mixedpy.design.columns import Factor
from mixedpy.design.contrasts import CODINGS, coding_of
from mixedpy.errors import DataError, FormulaError, RankDeficiencyWarning


def table(n: int = 24, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "Days": rng.uniform(1, 5, size=n).round(2),
            "f": pd.Categorical(np.resize(["a", "b", "c"], n)),
            "g": np.resize(["u", "v", "w", "z"], n),
            "w": rng.uniform(1, 2, size=n),
        }
    )


def changed(**columns: Any) -> pd.DataFrame:
    return table().assign(**columns)


HOLES = np.where(np.arange(24) % 5 == 0, np.nan, 1.0 + np.arange(24))
INFINITE = np.where(np.arange(24) == 7, np.inf, 1.0)

# What is done, words that the message must have.
BAD: list[tuple[str, pd.DataFrame, dict[str, Any], tuple[str, ...]]] = [
    ("y ~ Dyas + (1 | g)", table(), {}, ("`Dyas`", "did you mean `Days`?")),
    ("y ~ days + (1 | g)", table(), {}, ("`days`", "did you mean `Days`?")),
    ("y ~ Days + (1 | subject)", table(), {}, ("`subject`",)),
    ("y ~ Days + (1 | g)", changed(Days=np.nan), {}, ("`Days`", "all 24 rows")),
    ("y ~ Days + (1 | g)", changed(g=None), {}, ("`g`", "all 24 rows")),
    ("y ~ Days + (1 | g)", changed(Days=INFINITE), {}, ("`Days`", "infinite", "row 7")),
    ("y ~ Days + (1 | g)", changed(y=-INFINITE), {}, ("`y`", "infinite", "row 7")),
    ("y ~ log(Days - 3) + (1 | g)", table(), {}, ("`log(Days - 3)`", "not a number")),
    ("y ~ I(1 / (Days * 0)) + (1 | g)", table(), {}, ("infinite", "24 of 24")),
    ("y ~ Days + (1 | g)", table().iloc[:0], {}, ("no rows",)),
    ("y ~ Days + (1 | g)", table(), {"weights": np.ones(23)}, ("weights", "23", "24")),
    ("y ~ Days + (1 | g)", table(), {"offset": np.ones(25)}, ("offset", "25", "24")),
    ("y ~ Days + (1 | g)", table(), {"weights": -np.ones(24)}, ("weights", "positive", "row 0")),
    ("y ~ Days + (1 | g)", changed(w=np.arange(24.0)), {"weights": "w"}, ("`w`", "positive", "row 0", "1 of 24")),
    ("y ~ Days + (1 | g)", table(), {"weights": "v"}, ("`v`",)),
    ("y ~ Days + (1 | g)", table(), {"weights": "f"}, ("`f`", "numeric")),
    ("y ~ Days + (1 | g)", table(), {"weights": INFINITE}, ("`weights`", "infinite", "row 7")),
    ("y ~ Days + (1 | g)", table(), {"offset": ["a"] * 24}, ("offset", "numbers")),
    ("f ~ Days + (1 | g)", table(), {}, ("`f`", "3 levels", "not numeric")),
    ("y ~ log(f) + (1 | g)", table(), {}, ("`f`", "not numeric")),
    ("y ~ I(f < 'b') + (1 | g)", table(), {}, ("not ordered",)),
    ("y ~ I(1) + (1 | g)", table(), {}, ("constant",)),
    ("y ~ Days + (1 | g)", changed(g="only"), {}, ("`g`", "1 level")),
    ("y ~ Days + (1 | g)", changed(g=np.arange(24)), {}, ("`g`", "24 levels in 24 rows")),
    ("y ~ Days + (1 | g:f:r)", changed(r=np.arange(24) // 12), {}, ("`g:f:r`", "levels in 24 rows")),
    ("y ~ Days + (Days | r)", changed(r=np.arange(24) // 2), {}, ("`r`", "24 random effects", "24 rows")),
    ("y ~ f + (1 | g)", changed(f="one"), {}, ("`f`", "'one'")),
    ("y ~ Days + (f | g)", changed(f="one"), {}, ("`f`", "'one'")),
    ("y ~ f + (1 | g)", table(), {"contrasts": {"f": "zum"}}, ("`f`", "'zum'", "treatment")),
    ("y ~ f + (1 | g)", table(), {"contrasts": {"F": "sum"}}, ("`F`", "`f`")),
    ("y ~ f + (1 | g)", table(), {"contrasts": {"f": np.eye(3)}}, ("`f`", "3 x 3", "2 columns")),
    ("y ~ f + (1 | g)", table(), {"contrasts": {"f": np.ones((3, 2))}}, ("`f`", "singular")),
    ("y ~ f + (1 | g)", table(), {"covariances": {"h": "diag"}}, ("`h`", "`g`")),
    ("y ~ f + (1 | g)", table(), {"covariances": {"g": "ar7"}}, ("`g`", "'ar7'", "diag")),
    ("y ~ Days + (1 | g)", changed(Days=HOLES), {"na_action": "raise"}, ("`Days` in 5 of 24",)),
    ("y ~ Days + (1 | g)", table(), {"na_action": "omit"}, ("'omit'", "'drop'")),
    ("y ~ Days + (1 | g)", changed(Days=HOLES, y=np.where(np.isnan(HOLES), 1.0, np.nan)), {}, ("no row is complete",)),
    ("y ~ Days + (1 | g)", changed(Days=pd.Timestamp("2020-01-01")), {}, ("`Days`", "datetime")),
    ("y ~ Days + (1 | g)", changed(Days=1j), {}, ("`Days`", "complex")),
    ("y ~ Days + (1 | g)", changed(Days=[[1]] * 24), {}, ("`Days`", "type list")),
    ("y ~ Days + offset(f) + (1 | g)", table(), {}, ("offset(f)", "numeric")),
]


@pytest.mark.parametrize(("formula", "data", "options", "words"), BAD)
def test_bad_input_is_named(formula: str, data: pd.DataFrame, options: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        build(formula, data, **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("data", [None, 3, "data.csv", [1, 2], np.ones((3, 2))])
def test_other_kinds_of_tables_are_refused(data: Any) -> None:
    with pytest.raises(DataError, match="pyarrow Table or a dict"):
        build("y ~ x + (1 | g)", data)


def test_formula_errors_come_first() -> None:
    with pytest.raises(FormulaError):
        build("y ~ x", table())


def test_unequal_columns_of_a_dict() -> None:
    with pytest.raises(DataError, match="`x` has 2 rows but `y` has 3"):
        build("y ~ x + (1 | g)", {"y": [1.0, 2, 3], "x": [1.0, 2], "g": list("aab")})


def test_a_name_that_stands_twice() -> None:
    data = pd.concat([table(), table()[["Days"]]], axis=1)
    assert build("y ~ f + (1 | g)", data).design.n == 24
    with pytest.raises(DataError, match="2 columns named `Days`"):
        build("y ~ Days + (1 | g)", data)


def test_too_few_rows_for_the_fixed_effects() -> None:
    with pytest.raises(DataError, match="cannot determine"):
        build("y ~ factor(r) + (1 | g)", changed(r=np.arange(24)))


def test_missing_rows_are_dropped_jointly_and_counted() -> None:
    data = changed(Days=HOLES, other=np.nan)
    data.loc[1, "g"] = None
    data.loc[2, "f"] = None
    data.index = data.index + 100
    weights = np.full(24, 2.0)
    weights[3] = np.nan
    before = data.copy(deep=True)
    built = build("y ~ Days + f + (1 | g)", data, weights=weights, offset=np.arange(24.0))
    keep = np.array([4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23])
    np.testing.assert_array_equal(built.schema.rows, keep)
    assert list(built.schema.index) == list(keep + 100)
    assert dict(built.schema.missing) == {"Days": 5, "f": 1, "g": 1, "(weights)": 1}
    assert (built.schema.n_total, built.schema.n_missing_rows, built.design.n) == (24, 8, 16)
    np.testing.assert_array_equal(built.design.offset, keep)
    np.testing.assert_array_equal(built.design.y, data["y"].to_numpy()[keep])
    pd.testing.assert_frame_equal(data, before)


def test_levels_of_dropped_rows_go() -> None:
    data = table()
    data.loc[data["f"] == "b", "Days"] = np.nan
    built = build("y ~ f + Days + (1 | f:g) + (1 | g)", data)
    assert built.schema.fixed_names == ("(Intercept)", "fc", "Days")
    assert not any(level.startswith("b:") for level in built.schema.terms[0].levels)


def test_aliased_columns_go_with_a_warning_and_leave_the_pool() -> None:
    data = changed(twice=2 * table()["Days"])
    with pytest.warns(RankDeficiencyWarning, match="twice"):
        built = build("y ~ Days + twice + w + (1 | g)", data)
    assert built.schema.fixed_names == ("(Intercept)", "Days", "w")
    assert built.schema.dropped == ("twice",)
    assert len(built.design.columns) == 3
    np.testing.assert_array_equal(fixed_columns(built.schema, data), built.design.X)


def test_equal_columns_stand_once() -> None:
    design = build("y ~ Days * f + (Days + f | g) + (0 + f | g) + (0 + Days:f | g)", table(96)).design
    arrays = np.stack(design.columns)
    assert len(np.unique(arrays, axis=0)) == len(arrays)
    np.testing.assert_array_equal(design.columns[0], 1.0)


def test_arrays_are_frozen_and_the_callers_are_not_shared() -> None:
    data = table()
    weights = np.ones(24)
    design = build("y ~ Days + (Days | g)", data, weights=weights, offset=weights).design
    data["Days"].to_numpy()
    assert design.weights is not None
    assert design.offset is not None
    for array in (design.y, design.weights, design.offset, *design.columns):
        assert not array.flags.writeable
        for other in (weights, data["y"].to_numpy(), data["Days"].to_numpy()):
            assert not np.shares_memory(array, other)
    assert weights.flags.writeable


def test_offsets_add_up() -> None:
    data = table()
    built = build("y ~ f + offset(w) + offset(log(Days)) + (1 | g)", data, offset="w")
    wanted = 2 * data["w"] + np.log(data["Days"])
    np.testing.assert_allclose(built.design.offset, wanted)
    np.testing.assert_allclose(offset_column(built.schema, data.iloc[:5]), wanted[:5])
    assert built.schema.offset_name == "w"
    assert offset_column(build("y ~ f + (1 | g)", data).schema, data) is None


def test_names_for_the_print_outs() -> None:
    schema = build("Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy")).schema
    assert (schema.data_name, schema.weights_name, schema.response) == ("sleepstudy", None, "Reaction")
    assert schema.term_labels == ("Days",)
    assert build("y ~ f + (1 | g)", table(), weights="w").schema.weights_name == "w"


def test_covariance_templates() -> None:
    data = table(48)
    built = build("y ~ Days + (Days | g) + (1 | f)", data, covariances={"g": "diag"})
    assert [(t.group, t.template) for t in built.schema.terms] == [("g", "diag"), ("f", "us")]
    assert [t.template.size for t in built.design.terms] == [2, 1]
    built = build("y ~ Days + (Days | g) + (0 + f | g)", data, covariances={"g.1": "diag"})
    assert [(t.name, t.template) for t in built.schema.terms] == [("g", "us"), ("g.1", "diag")]


KINDS: dict[str, Any] = {
    "list": list,
    "numpy text": lambda v: np.array(v),
    "object": lambda v: np.array(v, dtype=object),
    "pandas string": lambda v: pd.Series(v, dtype="string"),
    "pandas default": pd.Series,
    "category": lambda v: pd.Categorical(v),
}


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_every_kind_are_sorted_factors(kind: str) -> None:
    data = {"y": table()["y"], "Days": table()["Days"], "g": KINDS[kind](["b", "A", "a", "B"] * 6)}
    built = build("y ~ Days + (1 | g)", data)
    assert built.schema.terms[0].levels == ("A", "B", "a", "b")
    np.testing.assert_array_equal(built.design.terms[0].codes[:4], [3, 0, 2, 1])


NUMBERS: list[tuple[Any, tuple[str, ...]]] = [
    (np.resize([10, 9, 1], 24), ("1", "9", "10")),
    (np.resize([10.0, 2.5, 1], 24), ("1", "2.5", "10")),
    (np.resize([2**60, 2**60 + 1], 24), ("1152921504606846976", "1152921504606846977")),
    (pd.array([10, 9, None] * 8, dtype="Int64"), ("9", "10")),
    (pd.array([True, False, None] * 8, dtype="boolean"), ("FALSE", "TRUE")),
    (np.resize([True, False], 24), ("FALSE", "TRUE")),
    ([True, None, False] * 8, ("FALSE", "TRUE")),
    ([3, None, 20] * 8, ("3", "20")),
    (pd.Categorical(np.resize([3, 20, 1], 24), categories=[20, 3, 1, 7]), ("20", "3", "1")),
    (pd.Categorical(np.resize([0.5, 2.0], 24)), ("0.5", "2")),
    (np.resize([1, 0], 24).astype(np.int8), ("0", "1")),
]


@pytest.mark.parametrize(("values", "levels"), NUMBERS)
def test_numbers_and_booleans_as_grouping_factor(values: Any, levels: tuple[str, ...]) -> None:
    data = {"y": table()["y"], "Days": table()["Days"], "g": values}
    assert build("y ~ Days + (1 | g)", data).schema.terms[0].levels == levels


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float32", "Int64", "Float64", "object"])
def test_numbers_of_every_dtype(dtype: str) -> None:
    values = np.arange(24) % 7
    X = build("y ~ x + (1 | g)", changed(x=pd.Series(values).astype(dtype))).design.X
    np.testing.assert_array_equal(X[:, 1], values)


def test_new_data() -> None:
    data = table()
    schema = build("log(Days) ~ f * I(Days^2) + (f | g) + (1 | g:f)", data, contrasts={"f": "sum"}).schema
    new = pd.DataFrame({"f": ["c", "a", None], "Days": [2.0, 3.0, 4.0], "g": ["w", "new", None]})
    X = fixed_columns(schema, new)
    assert schema.fixed_names == ("(Intercept)", "f1", "f2", "I(Days^2)", "f1:I(Days^2)", "f2:I(Days^2)")
    np.testing.assert_array_equal(X[:2], [[1, -1, -1, 4, -4, -4], [1, 1, 0, 9, 9, 0]])
    assert np.isnan(X[2]).all()
    crossed, single = (random_columns(schema, new, k) for k in range(2))
    assert list(crossed.labels) == ["w:c", "new:a", None]
    assert crossed.codes.tolist() == [schema.terms[0].levels.index("w:c"), -1, -1]
    assert single.codes.tolist() == [2, -1, -1]
    np.testing.assert_array_equal(single.Z[:2], [[1, 0, 1], [1, 0, 0]])
    assert np.isnan(single.Z[2]).all()


def test_new_data_may_be_one_row_or_none() -> None:
    schema = build("y ~ Days + f + (1 | g)", table()).schema
    np.testing.assert_array_equal(fixed_columns(schema, {"Days": [2.0], "f": ["b"]}), [[1, 2, 1, 0]])
    assert fixed_columns(schema, table().iloc[:0]).shape == (0, 4)
    assert random_columns(schema, table().iloc[:0], 0).Z.shape == (0, 1)


def test_new_data_of_a_model_with_an_intercept_alone() -> None:
    schema = build("y ~ 1 + (1 | g)", table()).schema
    assert fixed_columns(schema, {"g": ["u", "v"]}).tolist() == [[1.0], [1.0]]


def test_unknown_levels_of_fixed_factors_are_named() -> None:
    schema = build("y ~ f + (f | g)", table()).schema
    for refused in (
        lambda: fixed_columns(schema, {"f": ["a", "B"]}),
        lambda: random_columns(schema, {"f": ["a", "B"], "g": ["u", "u"]}, 0),
    ):
        with pytest.raises(DataError, match=r"`f`.*'B'.*did you mean `b`"):
            refused()
    schema = build("y ~ Days + (1 | g)", table()).schema
    with pytest.raises(DataError, match="`Days` is numeric in the model"):
        fixed_columns(schema, {"Days": ["a"]})
    with pytest.raises(DataError, match="no column `Days`"):
        fixed_columns(schema, {"x": [1.0]})


def test_factors_of_new_data_are_matched_by_label() -> None:
    data = changed(k=np.resize([1, 2, 10], 24))
    schema = build("y ~ factor(k) + (1 | g)", data).schema
    wanted = [[1, 0, 1], [1, 1, 0]]
    for values in ([10, 2], [10.0, 2.0]):
        assert fixed_columns(schema, {"k": values}).tolist() == wanted
    schema = build("y ~ f + (1 | g)", table()).schema
    shuffled = pd.Categorical(["c", "a"], categories=["c", "b", "a"])
    assert fixed_columns(schema, {"f": shuffled}).tolist() == [[1, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("name", CODINGS)
@given(n_levels=st.integers(2, 9))
def test_contrasts_and_the_constant_are_independent(name: str, n_levels: int) -> None:
    factor = Factor(np.arange(n_levels, dtype=np.intp), tuple(map(str, range(n_levels))))
    coding = coding_of("f", factor, name)
    assert coding.matrix.shape == (n_levels, n_levels - 1)
    assert len(set(coding.endings)) == n_levels - 1
    assert np.linalg.matrix_rank(np.column_stack([np.ones(n_levels), coding.matrix])) == n_levels
    if name not in ("treatment", "SAS"):
        np.testing.assert_allclose(coding.matrix.sum(axis=0), 0, atol=1e-12)
    if name == "poly":
        np.testing.assert_allclose(coding.matrix.T @ coding.matrix, np.eye(n_levels - 1), atol=1e-12)


FORMULAS = [
    "y ~ Days * f + (Days | g)",
    "y ~ f + (f | g) + (1 | g:f)",
    "log(Days) ~ 0 + f:w + (Days || g)",
]


@pytest.mark.parametrize("formula", FORMULAS)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_rows_may_come_in_any_order(formula: str, seed: int) -> None:
    data = table(60)
    order = np.random.default_rng(seed).permutation(60)
    one, other = build(formula, data), build(formula, data.iloc[order])
    assert one.schema.fixed_names == other.schema.fixed_names
    assert [t.levels for t in one.schema.terms] == [t.levels for t in other.schema.terms]
    np.testing.assert_allclose(one.design.X[order], other.design.X, rtol=1e-14)
    np.testing.assert_allclose(one.design.y[order], other.design.y, rtol=1e-14)
    for a, b in zip(one.design.terms, other.design.terms, strict=True):
        assert a.columns == b.columns
        np.testing.assert_array_equal(a.codes[order], b.codes)


@given(st.lists(st.integers(2, 6), min_size=2, max_size=5))
@settings(max_examples=25)
def test_terms_stand_by_their_numbers_of_levels(sizes: list[int]) -> None:
    data = table(60)
    for k, size in enumerate(sizes):
        data[f"g{k}"] = np.arange(60) // (k + 1) % size
    formula = "y ~ Days" + "".join(f" + (1 | g{k})" for k in range(len(sizes)))
    terms = build(formula, data).design.terms
    levels = [term.n_levels for term in terms]
    assert levels == sorted(levels, reverse=True)
    assert sorted(levels) == sorted(data[f"g{k}"].nunique() for k in range(len(sizes)))


def test_large_interactions_use_the_sorted_route() -> None:
    n = 3000
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 1200, n), rng.integers(0, 1100, n)
    data = {"y": rng.normal(size=2 * n), "a": np.tile(a, 2), "b": np.tile(b, 2)}
    built = build("y ~ 1 + (1 | a:b)", data)
    pairs = sorted({(int(i), int(j)) for i, j in zip(a, b, strict=True)})
    assert built.schema.terms[0].levels == tuple(f"{i}:{j}" for i, j in pairs)
    lookup = {pair: k for k, pair in enumerate(pairs)}
    wanted = [lookup[(int(i), int(j))] for i, j in zip(a, b, strict=True)]
    np.testing.assert_array_equal(built.design.terms[0].codes[:n], wanted)
