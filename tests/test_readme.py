"""README.md: its two set-up commands and the print-out it shows (its examples run as doctests)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mixedpy.cli import main

CHECKOUT = Path(__file__).resolve().parent.parent
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_there_are_two_set_up_commands() -> None:
    install, test = (block.strip() for block in blocks("sh"))
    assert install.startswith("pip install . && mixedpy fit ")
    assert test == 'pip install ".[test]" && pytest'


def test_the_first_command_prints_what_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CHECKOUT)
    arguments = shlex.split(blocks("sh")[0].partition("&& mixedpy ")[2])
    assert main(arguments) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == blocks("text")[0].splitlines()


def test_links_lead_somewhere() -> None:
    for page in [CHECKOUT / "README.md", *(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "benchmarks" / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
