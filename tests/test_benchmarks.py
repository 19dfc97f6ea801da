"""The benchmark problems are models that mixedpy reads, on tables that are the same at each call."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mixedpy import formula

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def problems(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("problems")


def test_names_are_distinct_and_found(problems: ModuleType) -> None:
    names = [one.name for one in problems.PROBLEMS]
    assert len(set(names)) == len(names)
    assert all(problems.problem(name).name == name for name in names)
    with pytest.raises(KeyError, match="choose one of sleepstudy"):
        problems.problem("sleepstudie")


def test_formulas_are_in_their_stable_form(problems: ModuleType) -> None:
    for one in problems.PROBLEMS:
        assert str(formula.parse(one.formula)) == one.formula


def test_simulated_tables_are_repeatable_and_keep_their_structure(problems: ModuleType) -> None:
    small = problems.nested(n=500, outer=5, inner=20)
    assert small.equals(problems.nested(n=500, outer=5, inner=20))
    assert (small.groupby("c", observed=True)["s"].nunique() == 1).all()
    visits = problems.nearly_nested(persons=60, staff=40, units=8, moved=0.1)
    assert (visits.groupby("t", observed=True)["u"].nunique() == 1).all()
    assert (visits.groupby("p", observed=True)["u"].nunique() > 1).any()
    popular = problems.crossed(n=5_000, users=200, items=50)
    counts = popular["i"].value_counts()
    assert counts.iloc[0] > 5 * counts.median()


def _printed(script: str, *arguments: str) -> list[str]:
    """Run a script of the folder; the lines that it prints."""
    command, environment = [sys.executable, str(FOLDER / script), *arguments], {"PYTHONPATH": str(FOLDER.parent)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()


def test_run_prints_a_row_for_each_problem() -> None:
    lines = _printed("run.py", "pastes", "--repeats", "1", "--budget", "1", "--threads", "1")
    row = next(line for line in lines if line.startswith("| Pastes"))
    assert "| chain |" in row
    assert any("threads: 1" in line for line in lines)


def test_coverage_counts_every_target() -> None:
    lines = _printed("coverage.py", "--simulations", "2")
    rows = [line for line in lines if line.startswith(("| mean", "| new"))]
    assert len(rows) == 12
    assert all(row.count("%") == 5 for row in rows)


@pytest.mark.parametrize(("script", "rows"), [("calibration.py", 7), ("boundary.py", 25)])
def test_calibration_has_a_row_for_every_design(script: str, rows: int) -> None:
    """With one data set all rates are 0 or 100."""
    lines = _printed(script, "--simulations", "1")
    table = [line.split("|")[1:-1] for line in lines if line.startswith("| ")]
    found = [row for row in table if not row[0].startswith((" design", " ---"))]
    assert len(found) == rows
    assert {cell.strip() for row in found for cell in row[-3:]} <= {"0.0", "100.0"}


def test_recovery_has_a_row_for_every_family() -> None:
    families = ["Poisson", "negative binomial, NB2"]
    lines = _printed("recovery.py", "--sets", "2", *families)
    assert [row.split("|")[1].strip() for row in lines[2:]] == families
