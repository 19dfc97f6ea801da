"""Every kind of table gives the same design; only named columns are read; what cannot be read is named."""

from __future__ import annotations

import decimal
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from mixedpy.design import build, fixed_columns, random_columns
from mixedpy.errors import DataError

FORMULA = "y ~ x * f + l + (x | g) + (1 | k)"
N = 40


def columns(*, holes: bool) -> dict[str, list[Any]]:
    rng = np.random.default_rng(3)
    made: dict[str, list[Any]] = {
        "y": rng.normal(size=N).round(3).tolist(),
        "x": rng.integers(0, 9, N).tolist(),
        "f": [["b", "a", "c"][i] for i in rng.integers(0, 3, N)],
        "l": [bool(i) for i in rng.integers(0, 2, N)],
        "g": [f"g{i}" for i in np.arange(N) % 5],
        "k": (np.arange(N) % 4 * 10 - 10).tolist(),
        "unnamed": [str(i) for i in range(N)],
    }
    if holes:
        for position, name in enumerate(("y", "x", "f", "l", "g", "k")):
            made[name][3 * position] = None
    return made


def in_numpy(data: dict[str, list[Any]]) -> Any:
    def array(values: list[Any]) -> Any:
        plain = None not in values or isinstance(next(v for v in values if v is not None), str | bool)
        return np.array(values) if None not in values else np.array(values, dtype=object if plain else float)

    return {name: array(values) for name, values in data.items()}


def in_pandas(data: dict[str, list[Any]]) -> Any:
    return pd.DataFrame(data)


def in_categories(data: dict[str, list[Any]]) -> Any:
    return pd.DataFrame(data).astype({"f": "category", "g": "category"})


def in_nullable(data: dict[str, list[Any]]) -> Any:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in data.items()})
    kinds = {"y": "Float64", "x": "Int64", "f": "string", "l": "boolean", "g": "string", "k": "Int32"}
    return frame.astype(kinds)


def in_pandas_arrow(data: dict[str, list[Any]]) -> Any:
    pa = pytest.importorskip("pyarrow")
    return pa.table(data).to_pandas(types_mapper=pd.ArrowDtype)


def in_pyarrow(data: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("pyarrow").table(data)


def in_chunks(data: dict[str, list[Any]]) -> Any:
    pa = pytest.importorskip("pyarrow")
    half = N // 2
    parts = [pa.table({name: values[rows] for name, values in data.items()}) for rows in (slice(half), slice(half, N))]
    whole = pa.concat_tables(parts)
    return whole.set_column(whole.column_names.index("g"), "g", whole["g"].dictionary_encode())


def in_polars(data: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("polars").DataFrame(data)


def in_polars_categories(data: dict[str, list[Any]]) -> Any:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(data)
    return frame.with_columns(pl.col("g").cast(pl.Enum([f"g{i}" for i in range(5)])), pl.col("f").cast(pl.Categorical))


def in_a_dict_of_series(data: dict[str, list[Any]]) -> Any:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    makers = (pl.Series, pa.array, pa.chunked_array, pd.Series, list)
    return {
        name: make([values] if make is pa.chunked_array else values)
        for make, (name, values) in zip([*makers, *makers], data.items(), strict=False)
    }


KINDS: list[Callable[[dict[str, list[Any]]], Any]] = [
    in_numpy, in_pandas, in_categories, in_nullable, in_pandas_arrow, in_pyarrow, in_chunks, in_polars,
    in_polars_categories, in_a_dict_of_series,
]  # fmt: skip


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_table_gives_the_same_design(kind: Callable[[dict[str, list[Any]]], Any], holes: bool) -> None:
    data = columns(holes=holes)
    wanted = build(FORMULA, pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in data.items()}))
    table = kind(data)
    built = build(FORMULA, table)
    assert built.schema.fixed_names == wanted.schema.fixed_names
    assert built.schema.missing == wanted.schema.missing
    assert len(built.schema.missing) == (6 if holes else 0)
    assert [t.levels for t in built.schema.terms] == [t.levels for t in wanted.schema.terms]
    np.testing.assert_array_equal(built.design.X, wanted.design.X)
    np.testing.assert_array_equal(built.design.y, wanted.design.y)
    for one, two in zip(built.design.terms, wanted.design.terms, strict=True):
        np.testing.assert_array_equal(one.codes, two.codes)
    new = kind(columns(holes=False))
    np.testing.assert_array_equal(fixed_columns(wanted.schema, new), fixed_columns(built.schema, new))
    np.testing.assert_array_equal(
        random_columns(wanted.schema, new, 0).codes, random_columns(built.schema, new, 0).codes
    )


@pytest.mark.parametrize("kind", [in_pandas, in_pyarrow, in_polars])
def test_a_fit_and_predictions_from_any_table(kind: Callable[[dict[str, list[Any]]], Any]) -> None:
    sleepstudy = mp.datasets.load("sleepstudy")
    data = {name: sleepstudy[name].astype(object).tolist() for name in ("Reaction", "Days", "Subject")}
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", kind(data))
    assert fit.reml_criterion == pytest.approx(1743.628, abs=1e-3)
    predicted = fit.predict(kind({name: values[:3] for name, values in data.items()}))
    np.testing.assert_allclose(predicted, fit.fitted[:3])


def test_levels_keep_a_declared_order_and_are_sorted_otherwise() -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    values = ["b", "a", "c", "b", "a", "c"]
    numbers = {"y": [1.0, 3, 2, 5, 4, 6], "g": list("uvuvuv")}
    enum = pl.Series(values, dtype=pl.Enum(["c", "b", "a", "unused"]))
    declared = pa.DictionaryArray.from_arrays(pa.array([1, 2, 0, 1, 2, 0]), pa.array(["c", "b", "a", "unused"]))
    ordered = declared.cast(pa.dictionary(pa.int64(), pa.string(), ordered=True))
    for column, names in (
        (enum, ["fb", "fa"]),
        (declared, ["fb", "fa"]),
        (ordered, ["f.L", "f.Q"]),
        (pl.Series(values, dtype=pl.Categorical), ["fb", "fc"]),
        (pl.Series(values), ["fb", "fc"]),
        (pa.array(values), ["fb", "fc"]),
        (pd.Categorical(values, ["c", "b", "a", "unused"]), ["fb", "fa"]),
    ):
        assert list(build("y ~ f + (1 | g)", {**numbers, "f": column}).schema.fixed_names)[1:] == names


def test_decimals_are_numbers_and_other_types_are_refused_by_name() -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    numbers = {"y": [1.0, 3, 2, 5, 4, 6], "g": list("uvuvuv")}
    exact = [decimal.Decimal(f"{k}.5") for k in range(6)]
    for column in (
        pl.Series(exact),
        pa.array(exact),
        pd.Series(pa.array(exact), dtype=pd.ArrowDtype(pa.decimal128(3, 1))),
    ):
        np.testing.assert_array_equal(
            build("y ~ x + (1 | g)", {**numbers, "x": column}).design.columns[1], np.arange(6) + 0.5
        )
    days = pd.date_range("2020-01-01", periods=6)
    for dated in (days.to_series(), pl.Series(days.to_list()), pa.array(days), np.array(days)):
        with pytest.raises(DataError, match=r"column `x` has the type .*(date|time).*is no predictor: give numbers"):
            build("y ~ x + (1 | g)", {**numbers, "x": dated})


def test_mistakes_in_any_table() -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    data = columns(holes=False)
    for table in (pl.DataFrame(data), pa.table(data), pd.DataFrame(data)):
        with pytest.raises(DataError, match=r"no column `X`; did you mean `x`\?"):
            build("y ~ X + (1 | g)", table)
    with pytest.raises(DataError, match=r"LazyFrame.*collect"):
        build(FORMULA, pl.DataFrame(data).lazy())
    empty = {**data, "x": [None] * N}
    for table in (pl.DataFrame(empty), pa.table(empty), pd.DataFrame(empty), in_nullable(empty)):
        with pytest.raises(DataError, match="column `x` is missing in all 40 rows"):
            build(FORMULA, table)


class OnlyNamed(Mapping[str, Any]):
    """A table that refuses to hand out a column that no formula names."""

    def __init__(self, data: dict[str, Any], named: set[str]) -> None:
        self.data, self.named = data, named

    def __getitem__(self, name: str) -> Any:
        assert name in self.named, f"column {name} was read"
        return self.data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


def test_columns_that_are_not_named_are_not_read() -> None:
    table = OnlyNamed(in_numpy(columns(holes=True)), {"y", "x", "f", "l", "g", "k"})
    assert build(FORMULA, table).design.n == N - 6


def test_memory_is_less_than_three_times_the_columns() -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    table = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "g": pd.Categorical.from_codes(rng.integers(0, 2000, n), [f"g{k}" for k in range(2000)]),
            "h": rng.integers(0, 50, n),
            **{f"unnamed{k}": rng.normal(size=n) for k in range(5)},
        }
    )
    used = int(table[["y", "x", "g", "h"]].memory_usage(index=False, deep=True).sum())
    build("y ~ x + (x | g) + (1 | h)", table)
    tracemalloc.start()
    built = build("y ~ x + (x | g) + (1 | h)", table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert built.design.n == n
    assert peak < 3 * used
