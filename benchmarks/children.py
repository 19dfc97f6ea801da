"""Child processes that do the timing, with the threads of BLAS fixed before anything is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from engines import engine
from measure import Measurement
from problems import Problem

__all__ = ["Settings", "lme4_version", "measured", "python_child"]

HERE = Path(__file__).resolve().parent

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the clock is run.

    Attributes
    ----------
    repeats : int
        Most timed calls of one engine on one problem, after a first call that is not timed.
    budget : float
        Seconds after which no further call begins.
    threads : int or None
        Threads of BLAS and of the compiled engines; None leaves each library its own default.
    """

    repeats: int
    budget: float
    threads: int | None

    def environment(self, checkout: Path | None = None) -> dict[str, str]:
        """Make the environment of a child; mixedpy comes from ``checkout``, by default the one of this file."""
        threads = {} if self.threads is None else dict.fromkeys(_THREADS, str(self.threads))
        return os.environ | threads | {"PYTHONPATH": str(checkout or HERE.parent)}

    def arguments(self) -> list[str]:
        """Repeats and budget, as the children take them."""
        return [str(self.repeats), str(self.budget)]


def python_child(script: str, arguments: list[str], settings: Settings, checkout: Path | None = None) -> Any:
    """Run one of the scripts of this folder, and read the JSON it prints.

    Raises
    ------
    RuntimeError
        If it fails; with the last line of its complaint.
    """
    command = [sys.executable, str(HERE / script), *arguments, *settings.arguments()]
    done = subprocess.run(command, env=settings.environment(checkout), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(_last_line(done))
    return json.loads(done.stdout.splitlines()[-1])


def measured(name: str, problem: Problem, settings: Settings, checkout: Path | None = None) -> Measurement | None:
    """Time one engine on one problem; None where the engine is not installed.

    Raises
    ------
    RuntimeError
        If the engine is there and fails.
    """
    if name == "lme4":
        return None if lme4_version() is None else _lme4(problem, settings)
    if name != "mixedpy" and engine(name).version() is None:
        return None
    found = python_child("measure.py", [name, problem.name], settings, checkout)
    return Measurement(tuple(found["seconds"]), found["loglik"], found["peak_mb"])


def lme4_version() -> str | None:
    """Ask R for the version of lme4; None where there is no R, or no lme4."""
    if shutil.which("Rscript") is None:
        return None
    ask = 'cat(as.character(packageVersion("lme4")), "in", R.version.string)'
    done = subprocess.run(["Rscript", "-e", ask], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _lme4(problem: Problem, settings: Settings) -> Measurement:
    table = problem.table()
    factors = [name for name in table.columns if isinstance(table[name].dtype, pd.CategoricalDtype)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        table.to_csv(path, index=False)
        command = [
            "Rscript",
            str(HERE / "lme4.R"),
            str(path),
            problem.formula,
            ",".join(factors),
            *settings.arguments(),
        ]
        done = subprocess.run(command, env=settings.environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(_last_line(done))
    lines = [line.split() for line in done.stdout.splitlines()]
    values = {key: float(rest[0]) for key, *rest in lines if key in ("loglik", "peak_mb") and rest[0] != "NA"}
    seconds = tuple(float(rest[0]) for key, *rest in lines if key == "seconds")
    return Measurement(seconds, values["loglik"], values.get("peak_mb"))


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {done.returncode}"
