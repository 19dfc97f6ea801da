"""Check the committed files: none too long, none that names a folder of the machine it was written on."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MOST_LINES = 700
"""Longest file that people are asked to read."""

DATA = {".csv", ".json", ".gz"}
"""Suffixes of files that are read by programs only, of any length."""

MACHINE = re.compile(r"(?<![\w.~*>/-])/(?:home|Users|root|tmp|opt|mnt|srv|work|workspace|builds?)/\w")
"""Absolute paths below the folders where people keep checkouts and environments."""

LEFT_BEHIND = {
    "__pycache__",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "build",
    "dist",
}
"""Folders that tools write into a checkout."""

HERE = Path(__file__).resolve()


def committed(checkout: Path) -> list[Path]:
    """List the files that git knows; in a copy without history, all that no tool has left behind."""
    if not (checkout / ".git").exists():
        everything = (path for path in checkout.rglob("*") if path.is_file())
        return [path for path in everything if not LEFT_BEHIND & set(path.relative_to(checkout).parts)]
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(git, cwd=checkout, check=True, capture_output=True, text=True)
    return [path for name in listing.stdout.split("\0") if name and (path := checkout / name).is_file()]


def complaints(path: Path, name: str) -> Iterator[str]:
    """Say what is wrong with one file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return
    if path.suffix not in DATA and len(lines) > MOST_LINES:
        yield f"{name} has {len(lines)} lines; split it (at most {MOST_LINES})"
    if path == HERE:
        return
    for number, line in enumerate(lines, 1):
        if found := MACHINE.search(line):
            yield f"{name}:{number} names a folder of one machine: {line[found.start() :][:60]}"


def main() -> int:
    """Report on every committed file."""
    checkout = HERE.parent.parent
    found = [c for path in committed(checkout) for c in complaints(path, str(path.relative_to(checkout)))]
    print("\n".join(found) or "no complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
