"""``mixedpy report`` and the formats of ``mixedpy fit``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mixedpy as mp
from mixedpy.cli import main

DATA = str(Path(__file__).parents[1] / "data" / "sleepstudy.csv")
FORMULA = "Reaction ~ Days + (Days | Subject)"


def test_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    out = tmp_path / "report.html"
    assert main(["report", FORMULA, DATA, "--out", str(out), "--title", "Sleep & reaction"]) == 0
    assert capsys.readouterr() == ("", "")
    html = out.read_text(encoding="utf-8")
    assert "<title>Sleep &amp; reaction</title>" in html
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("command", ["report", "fit"])
def test_a_folder_that_does_not_exist(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([command, FORMULA, DATA, "--out", str(tmp_path / "none" / "report.html")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "there is no folder" in err
    assert list(tmp_path.iterdir()) == []


def test_a_report_of_a_bad_formula_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", "Reaction ~ Day + (1 | Subject)", DATA, "--out", str(tmp_path / "a.html")]) == 2
    assert "did you mean `Days`?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["markdown", "latex", "json", "html", "text"])
def test_formats(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", FORMULA, DATA, "--format", form]) == 0
    shown = capsys.readouterr().out
    assert main(["fit", FORMULA, DATA, "--format", form, "--out", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a").read_text(encoding="utf-8") == shown
    fit = mp.lmer(FORMULA, mp.datasets.load("sleepstudy"))
    starts = {"markdown": "**Linear mixed", "latex": "% Linear mixed", "html": "<div", "text": "Linear mixed"}
    if form == "json":
        content = json.loads(shown)
        assert [row["estimate"] for row in content["fixed"]] == pytest.approx(fit.fixef.tolist())
    else:
        assert shown.startswith(starts[form])
        assert "251.405" in shown


def test_anova_compares_formulas(capsys: pytest.CaptureFixture[str]):
    formulas = ["Reaction ~ Days + (1 | Subject)", FORMULA]
    assert main(["anova", DATA, *formulas, "--ml"]) == 0
    fits = [mp.lmer(text, mp.datasets.load("sleepstudy"), reml=False) for text in formulas]
    assert capsys.readouterr().out.rstrip() == str(mp.anova(*fits, names=["MODEL1", "MODEL2"])).rstrip()


def test_anova_of_one_formula_is_bad_input(capsys: pytest.CaptureFixture[str]):
    assert main(["anova", DATA, FORMULA]) == 2
    assert "two formulas or more" in capsys.readouterr().err
