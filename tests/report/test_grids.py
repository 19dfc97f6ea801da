"""Tables as text, Markdown, LaTeX, HTML and JSON: one content, four layouts, nothing that escapes its cell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import mixedpy as mp
from mixedpy.report.grids import Grid, Section, grid_html, grid_latex, grid_markdown, grid_text
from mixedpy.report.model_table import ModelColumn, model_grid
from mixedpy.report.records import CoefTable, VarCorrRecord, VarCorrTerm
from mixedpy.report.summary_grids import summary_json, summary_latex, summary_markdown

cells = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=6)
grids = st.integers(1, 4).flatmap(
    lambda n: st.builds(
        Grid,
        st.none() | cells,
        st.tuples(*[cells] * n),
        st.lists(
            st.builds(Section, st.none() | cells, st.lists(st.tuples(*[cells] * n), max_size=3).map(tuple)),
            min_size=1,
            max_size=3,
        ).map(tuple),
        st.lists(cells, max_size=2).map(tuple),
        st.integers(0, n),
    )
)


class Cells(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and data.strip("\n"):
            self.rows[-1][-1] += data


@given(grids)
def test_html_has_every_cell(grid: Grid):
    parsed = Cells(grid_html(grid))
    wanted = [list(row) for section in grid.sections for row in section.rows]
    assert [row for row in parsed.rows if row in wanted] == wanted or len(grid.columns) == 1
    assert set(parsed.tags) <= {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "br"}


@given(grids)
def test_markdown_has_as_many_columns_in_every_row(grid: Grid):
    lines = [line for line in grid_markdown(grid).splitlines() if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines]
    assert set(bars) == {len(grid.columns) + 1}


@given(grids)
def test_latex_has_balanced_braces_and_no_bare_special_character(grid: Grid):
    text = grid_latex(grid)
    bare = re.sub(r"\\[\\&%$#_{}]|\$-\$|\$\\sigma\$", "", text)
    assert bare.count("{") == bare.count("}")
    assert not set("%#_^~") & set(re.sub(r"\\[a-z]+", "", bare))


@given(grids)
def test_text_is_aligned(grid: Grid):
    lines = grid_text(grid).splitlines()
    rules = [line for line in lines if line and set(line) == {"-"}]
    assert len({len(rule) for rule in rules if len(rule) > 6}) <= 1


def term(name: str, effects: tuple[str, ...], sd: list[float], r: float = 0.5) -> VarCorrTerm:
    m = len(effects)
    return VarCorrTerm(name, effects, np.array(sd), np.full((m, m), r) + (1 - r) * np.eye(m))


def column(name: str, names: tuple[str, ...], pvalue: list[float] | None = None) -> ModelColumn:
    k = len(names)
    estimate, se = np.linspace(-1.23456, 98.7, k), np.full(k, 0.0456)
    p = None if pvalue is None else np.array(pvalue)
    coef = CoefTable(names, estimate, se, estimate / se, None if p is None else np.full(k, 9.0), p)
    varcorr = VarCorrRecord((term("g", ("(Intercept)", names[-1]), [1.5, 0.25], -0.5),), 2.0)
    return ModelColumn(name, coef, estimate - 0.1, estimate + 0.1, varcorr, 1234, (("g", 12),), (("AIC", 7.0),), "ML")


def test_models_with_different_rows_leave_cells_empty():
    grid = model_grid([column("A", ("(Intercept)", "x")), column("B", ("(Intercept)", "z"))], caption="Models")
    fixed, random, sizes = grid.sections
    assert fixed.rows == (
        ("(Intercept)", "−1.2346", "−1.2346"),
        ("", "[−1.3346, −1.1346]", "[−1.3346, −1.1346]"),
        ("x", "98.7000", ""),
        ("", "[98.6000, 98.8000]", ""),
        ("z", "", "98.7000"),
        ("", "", "[98.6000, 98.8000]"),
    )
    assert [row[0] for row in random.rows] == [
        "SD (Intercept) | g",
        "SD x | g",
        "Cor (Intercept), x | g",
        "SD z | g",
        "Cor (Intercept), z | g",
        "SD residual",
    ]
    assert random.rows[2] == ("Cor (Intercept), x | g", "−0.50", "")
    assert sizes.rows[0] == ("Observations", "1,234", "1,234")


def test_standard_errors_and_marks():
    grid = model_grid([column("A", ("(Intercept)", "x"), [0.2, 0.0004])], below="se", digits=2, caption=None)
    assert grid.sections[0].rows[1] == ("", "(0.046)")
    assert grid.sections[0].rows[2] == ("x", "98.700***")
    assert "Signif. codes" in grid.notes[-1]


@pytest.mark.parametrize("options", [{"below": "p"}, {"digits": 0}])
def test_bad_options(options: dict):
    with pytest.raises(ValueError, match=next(iter(options))):
        model_grid([column("A", ("x",))], caption=None, **options)


@pytest.fixture(scope="module")
def fit() -> mp.LmmFit:
    return mp.lmer("Reaction ~ Days + I(Days^2) + (Days | Subject)", mp.datasets.load("sleepstudy"))


def test_a_table_of_fits(fit: mp.LmmFit):
    table = mp.table(fit, fit.update(". ~ . - I(Days^2)", reml=False), names=["Curved", "Straight"], caption="Sleep")
    assert str(table) == table.to_text() == repr(table)
    for text in (table.to_text(), table.to_markdown(), table.to_latex(), table.to_html()):
        assert "Curved" in text
        assert "Sleep" in text
    frame = table.to_frame()
    assert frame.loc[("Model", "Fitted by")].tolist() == ["REML", "ML"]
    assert frame.loc[("Fixed effects", "I(Days^2)"), "Straight"] == ""
    assert float(frame.loc[("Fixed effects", "Days"), "Straight"].rstrip("*")) == pytest.approx(10.467, abs=5e-3)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", None])
def test_limits_and_stars_of_a_table_follow_the_degrees_of_freedom(fit: mp.LmmFit, ddf: str | None):
    frame = mp.table(fit, level=0.9, ddf=ddf, digits=6).to_frame()["Model 1"]
    at = list(frame.index).index(("Fixed effects", "Days"))
    estimate, limits = frame.iloc[at], frame.iloc[at + 1]
    low, high = map(float, limits.strip("[]").replace("−", "-").split(", "))
    fixed = fit.summary(ddf=ddf).tables["fixed"].loc["Days"]
    q = stats.norm.ppf(0.95) if ddf is None else stats.t.ppf(0.95, fixed["df"])
    assert (high - low) / 2 == pytest.approx(q * fixed["Std. Error"], rel=1e-5)
    wanted = "" if ddf is None else "*" * sum(fixed["Pr(>|t|)"] <= p for p in (0.05, 0.01, 0.001))
    assert estimate.lstrip("0123456789.") == wanted


@pytest.mark.parametrize(("fits", "options"), [(0, {}), (2, {"names": ["one"]}), (1, {"level": 95})])
def test_mistakes_in_a_table(fit: mp.LmmFit, fits: int, options: dict):
    with pytest.raises(ValueError, match=r"table\(\)|names|level"):
        mp.table(*[fit] * fits, **options)


def test_great_tables(fit: mp.LmmFit):
    pytest.importorskip("great_tables")
    html = mp.table(fit, caption="Sleep").to_great_tables().as_raw_html()
    assert "I(Days^2)" in html
    assert "Fixed effects" in html


def test_json_has_the_numbers_in_full(fit: mp.LmmFit):
    content = json.loads(summary_json(fit.summary().record))
    assert [row["term"] for row in content["fixed"]] == list(fit.fixef.index)
    assert [row["estimate"] for row in content["fixed"]] == fit.fixef.tolist()
    assert [row["std_error"] for row in content["fixed"]] == fit.se.tolist()
    assert content["criteria"] == {"reml_criterion": fit.reml_criterion}
    assert content["random"][0]["sd"] == fit.varcorr().to_frame()["sdcor"].head(2).tolist()
    assert content["groups"] == {"Subject": 18}
    assert content["nobs"] == 180


@pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")
def test_json_of_a_singular_fit_is_json():
    fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff2"), reml=False)
    content = json.loads(summary_json(fit.summary().record))
    assert content["singular"] is True
    assert content["random"][0]["correlation"] == [[None]]
    assert set(content["criteria"]) == {"aic", "bic", "loglik", "deviance", "df_resid"}
    assert "singular" in summary_markdown(fit.summary().record)
    assert "% boundary (singular)" in summary_latex(fit.summary().record)


def test_latex_is_accepted_by_latex(fit: mp.LmmFit, tmp_path: Path):
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("there is no pdflatex")
    body = "\n".join([summary_latex(fit.summary().record), mp.table(fit, fit, caption="50 % & more_").to_latex()])
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs}"
    source = rf"{head}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "a.tex").write_text(source, encoding="utf-8")
    ran = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", "a.tex"], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert ran.returncode == 0, ran.stdout.decode()[-2000:]
