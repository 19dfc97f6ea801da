"""What ``import mixedpy`` brings with it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import mixedpy as mp

ROOT = Path(__file__).parents[1]
OPTIONAL = {"sksparse", "matplotlib", "polars", "pyarrow", "arviz", "IPython", "hypothesis", "pytest"}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(ran.stdout.split())


def test_nothing_optional_is_imported():
    # pandas itself imports pyarrow where it is installed, and scipy.stats sksparse, so only what mixedpy adds counts
    needed = loaded_by("import numpy, pandas, formulaic, scipy.sparse.linalg, scipy.linalg, scipy.stats")
    assert not (loaded_by("import mixedpy") - needed) & OPTIONAL


def test_public_names_exist_and_are_described():
    assert sorted(mp.__all__) == sorted(set(mp.__all__))
    for name in mp.__all__:
        assert getattr(mp, name).__doc__


def test_version_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert mp.__version__ == project["version"]
