"""Expressions of a formula: logical operators, bases, added functions, counts, groups, and their mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixedpy as mp
from mixedpy.design import build, fixed_columns, random_columns
from mixedpy.errors import DataError, FormulaError, MixedpyError
from mixedpy.formula.functions import FUNCTIONS

pytestmark = pytest.mark.filterwarnings("ignore::mixedpy.errors.SingularFitWarning")

N = 48
RNG = np.random.default_rng(8)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.uniform(0.5, 4, N),
        "z": RNG.normal(size=N),
        "l": RNG.random(N) < 0.5,
        "f": pd.Categorical(np.resize(["a", "b", "c"], N)),
        "g": [f"g{k}" for k in np.arange(N) % 6],
        "h": [f"h{k}" for k in np.arange(N) // 16],
        "won": RNG.integers(0, 5, N),
        "lost": RNG.integers(1, 5, N),
    }
)


def column(expression: str, data: Any = DATA, **options: Any) -> np.ndarray:
    built = build(f"y ~ 0 + {expression} + (1 | g)", data, **options)
    assert built.design.p >= 1
    return built.design.X[:, -1]


X, Z, L = DATA["x"].to_numpy(), DATA["z"].to_numpy(), DATA["l"].to_numpy()


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("I(x > 2 | z < 0)", (X > 2) | (Z < 0)),
        ("I(x > 2 & !l)", (X > 2) & ~L),
        ("I(!(l | x > 2))", ~(L | (X > 2))),
        ("I(!l & x > 2 | z > 0)", (~L & (X > 2)) | (Z > 0)),
        ("I(won & lost > 2)", (DATA["won"] != 0) & (DATA["lost"] > 2)),
        ('I(f == "a" | f == "b")', DATA["f"].isin(["a", "b"])),
    ],
)
def test_logical_operators(expression: str, wanted: Any) -> None:
    np.testing.assert_array_equal(column(expression), np.asarray(wanted, dtype=float))


def test_logical_or_in_a_bar() -> None:
    built = build("y ~ x + (I(x > 2 | l) | g)", DATA)
    assert built.schema.terms[0].effects == ("(Intercept)", "I(x > 2 | l)TRUE")
    design = built.design
    np.testing.assert_array_equal(design.columns[design.terms[0].columns[1]], ((X > 2) | L).astype(float))
    by_group = build("y ~ x + (1 | I(x > 2 | l))", DATA)
    assert by_group.schema.terms[0].levels == ("FALSE", "TRUE")


def test_crossed_groups_are_three_terms() -> None:
    one, two = build("y ~ x + (1 | f * h)", DATA), build("y ~ x + (1 | f) + (1 | h) + (1 | f:h)", DATA)
    assert [t.name for t in one.schema.terms] == [t.name for t in two.schema.terms]
    assert {t.group for t in one.schema.terms} == {"f", "h", "f:h"}
    for a, b in zip(one.design.terms, two.design.terms, strict=True):
        np.testing.assert_array_equal(a.codes, b.codes)


def test_grouping_expressions_in_new_data() -> None:
    schema = build("y ~ x + (1 | interaction(f, h))", DATA).schema
    assert schema.terms[0].levels[:3] == ("a.h0", "b.h0", "c.h0")
    new = {"x": [1.0, 1.0, 1.0], "f": ["c", "a", "a"], "h": ["h2", "h0", "h9"]}
    found = random_columns(schema, new, 0)
    assert [None if c < 0 else schema.terms[0].levels[c] for c in found.codes] == ["c.h2", "a.h0", None]
    nested = build("y ~ x + (1 | interaction(f, h)/l)", DATA).schema
    assert {t.group for t in nested.terms} == {"interaction(f, h)", "l:interaction(f, h)"}


def test_dummies_keep_the_levels_of_the_fit() -> None:
    schema = build('y ~ dummy(f, "b") + (dummy(f) | g)', DATA).schema
    assert schema.terms[0].effects == ("(Intercept)", "dummy(f)b", "dummy(f)c")
    new = {"f": ["c", "c"], "g": ["g1", "g2"]}
    assert fixed_columns(schema, new).tolist() == [[1, 0], [1, 0]]
    assert random_columns(schema, new, 0).Z.tolist() == [[1, 0, 1], [1, 0, 1]]


def test_constants_of_nested_bases_are_frozen_too() -> None:
    """R computes I(scale(x)^2) anew in new data; here its mean and standard deviation stay those of the fit."""
    schema = build("y ~ I(scale(x)^2) + log(center(z) + 10) + (1 | g)", DATA).schema
    new = {"x": [1.0, 2.0], "z": [0.0, 1.0]}
    columns = fixed_columns(schema, new)
    np.testing.assert_allclose(columns[:, 1], ((np.array([1.0, 2.0]) - X.mean()) / X.std(ddof=1)) ** 2)
    np.testing.assert_allclose(columns[:, 2], np.log(np.array([0.0, 1.0]) - Z.mean() + 10))
    assert set(schema.states) == {"scale(x)", "center(z)"}


def test_constants_come_from_all_values_of_their_own_columns() -> None:
    """As in R, a row that another column drops still counts for the mean of this one."""
    data = DATA.assign(z=np.where(np.arange(N) < 5, np.nan, Z))
    schema = build("y ~ scale(x) + z + (1 | g)", data).schema
    assert schema.n_missing_rows == 5
    np.testing.assert_allclose(fixed_columns(schema, {"x": [X.mean()], "z": [0.0]})[0, 1], 0.0, atol=1e-14)
    gaps = DATA.assign(x=np.where(np.arange(N) < 5, np.nan, X))
    schema = build("y ~ poly(x, 2) + (1 | g)", gaps).schema
    columns = fixed_columns(schema, {"x": gaps["x"]})[5:, 1:]
    np.testing.assert_allclose(columns.T @ columns, np.eye(2), atol=1e-12)
    assert np.isnan(fixed_columns(schema, {"x": gaps["x"]})[:5]).all()


def centred_within(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    assert groups.dtype == object
    return values - pd.Series(values).groupby(groups).transform("mean").to_numpy()


def test_added_functions() -> None:
    functions: dict[str, Callable[..., Any]] = {
        "within": centred_within,
        "power": lambda x, k: x**k,
        "pair": lambda x: np.column_stack([x, x**2]),
        "size": lambda x: np.where(x > 2, "large", "small"),
    }
    fit = mp.lmer("y ~ within(x, g) + power(x, k = 3) + size(x) + (pair(z) || g)", DATA, functions=functions)
    names = list(fit.fixef.index)
    assert names == ["(Intercept)", "within(x, g)", "power(x, k = 3)", "size(x)small"]
    assert fit.schema.terms[1].effects == ("pair(z)1", "pair(z)2")
    np.testing.assert_allclose(fit.design.X[:, 2], X**3)
    again = fit.predict(DATA)
    np.testing.assert_allclose(again, fit.fitted)
    assert fit.update(". ~ . - size(x)").formula.startswith("y ~ within(x, g) + power(x, k = 3) + (pair(z)")
    np.testing.assert_allclose(fit.predict(DATA, re_form="~ (0 + pair(z) | g)").size, N)


def test_functions_that_fail_are_named() -> None:
    def build_with(function: Callable[..., Any]) -> None:
        build("y ~ mine(x) + (1 | g)", DATA, functions={"mine": function})

    with pytest.raises(DataError, match=r"`mine\(x\)` failed: ZeroDivisionError"):
        build_with(lambda x: 1 / 0)
    with pytest.raises(DataError, match=r"returned shape \(3,\); a value for each of 48 rows"):
        build_with(lambda x: x[:3])
    with pytest.raises(DataError, match=r"`mine\(x\)` is not a number in 48 of 48 rows"):
        build_with(lambda x: x * np.nan)
    table = DATA.copy()
    build_with(lambda x: np.multiply(x, 2, out=x))
    pd.testing.assert_frame_equal(DATA, table)


def test_counts_are_a_share_and_a_weight() -> None:
    built = build("cbind(won, lost) ~ x + (1 | g)", DATA, counts=True)
    trials = (DATA["won"] + DATA["lost"]).to_numpy(float)
    np.testing.assert_allclose(built.design.y, DATA["won"] / trials)
    np.testing.assert_allclose(built.design.weights, trials)
    weighted = build("cbind(won, trials - won) ~ x + (1 | g)", DATA.assign(trials=trials), counts=True, weights="x")
    np.testing.assert_allclose(weighted.design.weights, trials * X)
    assert built.schema.response == "cbind(won, lost)"
    with pytest.raises(FormulaError, match="binomial") as caught:
        mp.lmer("cbind(won, lost) ~ x + (1 | g)", DATA)
    assert (caught.value.start, caught.value.stop) == (0, len("cbind(won, lost)"))
    with pytest.raises(DataError, match=r"`lost - 3` of the response is negative in \d+ of 48 rows, first in row \d+"):
        build("cbind(won, lost - 3) ~ x + (1 | g)", DATA, counts=True)
    with pytest.raises(DataError, match="counts no trial in 48 of 48 rows"):
        build("cbind(won - won, won - won) ~ x + (1 | g)", DATA, counts=True)
    with pytest.raises(DataError, match="`f` of the response counts"):
        build("cbind(f, lost) ~ x + (1 | g)", DATA, counts=True)


# formula, what the caret stands under, a word of the message
MISTAKES = [
    ("y ~ poly(x, 2.5) + (1 | g)", "2.5", "whole number from 1"),
    ("y ~ poly(x, 60) + (1 | g)", "60", "48"),
    ("y ~ poly(x, 2, raw = 1) + (1 | g)", "1", "TRUE or FALSE"),
    ('y ~ scale(x, center = "mean") + (1 | g)', '"mean"', "a number"),
    ("y ~ scale(I(x * 0)) + (1 | g)", "scale(I(x * 0))", "standard deviation is zero"),
    ("y ~ bs(x, df = 2) + (1 | g)", "2", "whole number from 3"),
    ("y ~ bs(x, knots = c(1, 9)) + (1 | g)", "c(1, 9)", "between the boundary knots"),
    ('y ~ ns(x, knots = "a") + (1 | g)', '"a"', "numbers"),
    ("y ~ ns(x, df = 3, Boundary.knots = c(1, 1)) + (1 | g)", "c(1, 1)", "must differ"),
    ("y ~ cr(x) + (1 | g)", "cr(x)", "either `df`"),
    ("y ~ C(f, contr.sum, 1.5) + (1 | g)", "1.5", "whole number"),
    ('y ~ relevel(f, ref = "d") + (1 | g)', '"d"', "there are 'a', 'b', 'c'"),
    ('y ~ dummy(f, "d") + (1 | g)', 'dummy(f, "d")', "'d' is no level"),
    ('y ~ factor(f, levels = c("a", "b")) + (1 | g)', 'factor(f, levels = c("a", "b"))', "lacks 'c'"),
]


@pytest.mark.parametrize(("formula", "under", "word"), MISTAKES)
def test_options_that_do_not_suit_are_pointed_at(formula: str, under: str, word: str) -> None:
    with pytest.raises(FormulaError) as caught:
        build(formula, DATA)
    error = caught.value
    assert word in error.message
    assert formula[error.start : error.stop] == under


def test_data_that_do_not_suit_are_named() -> None:
    for expression, message in (
        ("poly(f, 2)", "`f` is not numeric"),
        ("I(poly(x, 2) + 1)", r"`poly\(x, 2\)` has 2 columns"),
        ("scale(g)", "`g` is not numeric"),
        ("I(!f)", "`f` is not numeric"),
        ("C(f, contr.sum, 3)", "asks for 3 contrasts; its levels have 2"),
    ):
        with pytest.raises(DataError, match=message):
            build(f"y ~ {expression} + (1 | g)", DATA)
    with pytest.raises(DataError, match=r"`factor\(log\(z\)\)` has no level in \d+ of 48 rows, first in row \d+"):
        build("y ~ x + (1 | factor(log(z)))", DATA)
    with pytest.raises(DataError, match=r"`ordered\(log\(z\)\)` has no level in \d+ of 48 rows"):
        build("y ~ ordered(log(z)) + (1 | g)", DATA)
    with pytest.raises(DataError, match=r"`2.5` is a constant; a term needs a column"):
        build("y ~ center(2.5) + (1 | g)", DATA)
    with pytest.raises(FormulaError, match="1 of the values are infinite"):
        build("y ~ ns(log(x)) + (1 | g)", DATA.assign(x=np.where(np.arange(N) == 3, 0.0, X)))
    with pytest.raises(DataError, match=r"`poly\(log\(z\), 2\)` is not a number in \d+ of 48 rows, first in row \d+"):
        build("y ~ poly(log(z), 2) + (1 | g)", DATA)


def test_texts_among_numbers_are_counted() -> None:
    mixed = DATA["x"].astype(object)
    mixed.iloc[[4, 7]] = ["n/a", "?"]
    with pytest.raises(DataError, match=r"column `x` .* 2 of 48 values are none, first 'n/a' in row 4"):
        build("y ~ x + (1 | g)", DATA.assign(x=mixed))


def test_a_column_that_has_the_name_of_an_option_is_not_read() -> None:
    built = build("y ~ C(f, contr.sum) + (1 | g)", {**DATA.to_dict("list"), "f": DATA["f"], "contr.sum": None})
    assert built.schema.fixed_names == ("(Intercept)", "C(f, contr.sum)1", "C(f, contr.sum)2")


LEAVES = st.sampled_from(["x", "z", "l", "f", "g", "won", "1", "0", "2.5", '"a"', "TRUE", "pi"])
OPTIONS = [
    "df = 3",
    "2",
    "degree = 2",
    "knots = c(2, 3)",
    "raw = TRUE",
    "intercept = TRUE",
    "contr.sum",
    '"b"',
    "c()",
    "x",
]
OPTIONS += ["how.many = 1", 'ref = "b"', "scale = FALSE", "center = 2", "Boundary.knots = c(0, 5)", "base = 2"]
OPERATORS = ["+", "-", "*", "/", ":", "^", "%in%", "==", ">", "&", "|", "%%", "%/%"]


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    call = st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner, st.lists(st.sampled_from(OPTIONS), max_size=2))
    return st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(" ".join),
        st.tuples(st.sampled_from(["!", "-"]), inner).map("".join),
        inner.map("({})".format),
        call.map(lambda parts: f"{parts[0]}({', '.join([parts[1], *parts[2]])})"),
    )


EXPRESSIONS = st.recursive(LEAVES, _grown, max_leaves=4)
GROUPS = st.sampled_from(["g", "h", "f", "g/h", "f*h", "interaction(f, h)", "factor(won)"])


@pytest.mark.filterwarnings("ignore::mixedpy.errors.RankDeficiencyWarning")
@given(EXPRESSIONS, EXPRESSIONS, GROUPS, st.sampled_from(["", "us", "diag", "cs", "ar1"]))
@settings(max_examples=300)
def test_any_formula_is_built_or_refused(fixed: str, effects: str, group: str, structure: str) -> None:
    try:
        built = build(f"y ~ {fixed} + {structure}({effects} | {group})", DATA)
    except MixedpyError:
        return
    again = fixed_columns(built.schema, DATA.iloc[built.schema.rows])
    np.testing.assert_allclose(again, built.design.X, rtol=1e-9, atol=1e-9)
