"""Check that a wheel holds the type marker, every data set, and nothing but the package."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def missing_and_foreign(wheel: Path, checkout: Path) -> tuple[list[str], list[str]]:
    """List what the wheel lacks and what does not belong in it."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
    data = {f"mixedpy/data/{path.name}" for path in (checkout / "data").iterdir() if path.is_file()}
    package = checkout / "mixedpy"
    files = [*package.rglob("*.py"), *package.rglob("templates/*.html")]
    code = {str(path.relative_to(checkout)) for path in files}
    wanted = data | code | {"mixedpy/py.typed"}
    foreign = {name for name in held - wanted if ".dist-info/" not in name}
    return sorted(wanted - held), sorted(foreign)


def main() -> int:
    """Report on the wheel named on the command line."""
    missing, foreign = missing_and_foreign(Path(sys.argv[1]), Path(__file__).resolve().parent.parent)
    for name in missing:
        print(f"the wheel lacks {name}")
    for name in foreign:
        print(f"the wheel holds {name}, which is not part of the package")
    return 1 if missing or foreign else 0


if __name__ == "__main__":
    sys.exit(main())
