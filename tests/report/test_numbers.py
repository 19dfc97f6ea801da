"""Number formatting against a literal table made by R."""

import json
from pathlib import Path

import numpy as np
import pytest

from mixedpy.report.abbreviation import abbreviate
from mixedpy.report.coefmat import coefficient_columns, coefficient_lines, format_pvalues
from mixedpy.report.formula_lines import formula_lines
from mixedpy.report.layout import fill_line, matrix_lines, named_vector_lines
from mixedpy.report.numbers import as_character, format_general, format_numbers, format_text, percent_names
from mixedpy.report.records import CoefTable
from mixedpy.report.rounding import round_decimals, round_significant, zap_small

TABLE = json.loads((Path(__file__).parents[1] / "reference" / "format_reference.json").read_text(encoding="utf-8"))


def numbers(texts):
    return [float("nan") if t == "NA" else float(t) for t in texts]


def missing(texts):
    return [t == "NA" for t in texts]


POOL = numbers(TABLE["pool"])


def differences(seen, wanted):
    return [(s, w) for s, w in zip(seen, wanted, strict=True) if s != w]


def test_the_table_holds_hundreds_of_cases():
    assert len(TABLE["format"]) > 300
    assert len({name for case in TABLE["abbreviate"] for name in case["names"]}) >= 100


@pytest.mark.parametrize("digits", TABLE["format"][0]["text"])
def test_format(digits):
    cases = TABLE["format"]
    seen = [format_numbers(numbers(c["x"]), int(digits), na=missing(c["x"])) for c in cases]
    assert differences(seen, [c["text"][digits] for c in cases]) == []


def test_format_with_least_decimals():
    for case in TABLE["nsmall"]:
        x = round_decimals(numbers(case["x"]), case["nsmall"])
        assert format_numbers(x, nsmall=case["nsmall"], na=missing(case["x"])) == case["text"], case["x"]


def test_trimmed_numbers_have_no_blanks():
    assert format_numbers([1.5, -20.25], trim=True) == ["1.50", "-20.25"]


@pytest.mark.parametrize("case", TABLE["round"], ids=lambda case: str(case["digits"]))
def test_round(case):
    seen = round_decimals(POOL, case["digits"]).tolist()
    assert differences(seen, numbers(case["value"])) == []


@pytest.mark.parametrize("case", TABLE["signif"], ids=lambda case: str(case["digits"]))
def test_signif(case):
    seen = round_significant(POOL, case["digits"]).tolist()
    assert differences(seen, numbers(case["value"])) == []


def test_zapsmall():
    for case in TABLE["zapsmall"]:
        np.testing.assert_array_equal(zap_small(numbers(case["x"]), case["digits"]), numbers(case["value"]), str(case))


def test_single_numbers():
    assert differences([as_character(v, 7) for v in POOL], TABLE["cat"]["seven"]) == []
    assert differences([as_character(v) for v in POOL], TABLE["cat"]["fifteen"]) == []


def test_c_layouts():
    for case in TABLE["c"]:
        seen = [format_general(x, case["digits"], kind=case["kind"], width=case["width"]) for x in POOL[:200]]
        assert differences(seen, case["text"]) == []
    seen = [format_general(x, 7, kind="fg", width=1) for x in POOL]
    assert differences(seen, TABLE["fg"]["text"]) == []


def test_percent_names():
    assert percent_names(numbers(TABLE["percent"]["x"])) == TABLE["percent"]["text"]


@pytest.mark.parametrize("digits", [1, 3, 5])
def test_pvalues(digits):
    for case in TABLE["pvalue"]:
        assert format_pvalues(numbers(case["x"]), digits) == case[f"text{digits}"], case["x"]


def test_abbreviate():
    for case in TABLE["abbreviate"]:
        assert abbreviate(case["names"], case["minlength"], strict=case["strict"]) == case["text"]


def test_coefficient_tables():
    for case in TABLE["coef"]:
        columns = {name: np.array(numbers(v)) for name, v in zip(case["columns"], case["values"], strict=True)}
        statistic = "z" if "z value" in columns else "t"
        table = CoefTable(
            tuple(case["names"]),
            columns["Estimate"],
            columns["Std. Error"],
            columns[f"{statistic} value"],
            columns.get("df"),
            columns.get(f"Pr(>|{statistic}|)"),
            statistic=statistic,
        )
        assert coefficient_columns(table) == tuple(case["columns"])
        assert coefficient_lines(table, case["digits"]) == case["text"]


def test_formula_lines():
    for case in TABLE["formula"]:
        lines = formula_lines(case["formula"])
        assert lines == case["lines"]
        assert fill_line(["Formula:", *lines]) == case["filled"]


def test_filled_lines():
    for case in TABLE["fill"]:
        assert fill_line(case["items"]) == case["text"]


def test_wide_and_combining_characters():
    wide = TABLE["wide"]
    names = wide["names"]
    assert named_vector_lines(names, ["1", "2", "3", "4", "5"]) == wide["vector"]
    cells = [[name, name] for name in names]
    assert matrix_lines(names[1:3], names, cells) == wide["left"]
    assert matrix_lines(names[1:3], names, cells, right=True) == wide["right"]


def test_justification():
    assert format_text(["a", "bcd"], justify="right") == ["  a", "bcd"]
    with pytest.raises(ValueError, match="justify"):
        format_text(["a"], justify="middle")
