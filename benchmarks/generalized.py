"""Times of generalized models beside glmm and lme4, the whole call, in one run.

    python benchmarks/generalized.py [--repeats 5] [--out benchmarks/generalized.md] [problem ...]

mixedpy and glmm take turns in one process; the median of the repeats counts, after a first call that does not. lme4,
where ``Rscript`` finds it, fits the same table once with its default settings; its own clock counts, without reading.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mixedpy as mp

try:
    import glmm
except ImportError:
    glmm = None


@dataclass(frozen=True)
class Problem:
    """A generalized model and its table; responses are numbers, so that every program reads them alike."""

    name: str
    formula: str
    family: str
    table: Callable[[], pd.DataFrame]
    weights: str | None = None
    nagq: int = 1
    lme4: bool = True
    factors: tuple[str, ...] = field(default=())


def cbpp() -> pd.DataFrame:
    return mp.datasets.load("cbpp").assign(share=lambda d: d["incidence"] / d["size"])


def verbagg() -> pd.DataFrame:
    return mp.datasets.load("VerbAgg").assign(r=lambda d: (d["r2"] == "Y").astype(float))


def ticks() -> pd.DataFrame:
    return mp.datasets.load("grouseticks").assign(h=lambda d: (d["HEIGHT"] - d["HEIGHT"].mean()) / 100.0)


def binary(n: int = 200_000, groups: int = 4_000) -> pd.DataFrame:
    """Binary rows in many groups."""
    rng = np.random.default_rng(4)
    g, x = rng.integers(0, groups, n), rng.normal(size=n)
    eta = -0.5 + 0.8 * x + rng.normal(size=groups)[g]
    return pd.DataFrame({"y": (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(float), "x": x, "g": _factor(g)})


def crossed(n: int = 60_000, one: int = 2_000, two: int = 300) -> pd.DataFrame:
    """Counts under two crossed factors."""
    rng = np.random.default_rng(5)
    a, b, x = rng.integers(0, one, n), rng.integers(0, two, n), rng.normal(size=n)
    eta = 0.2 + 0.3 * x + 0.5 * rng.normal(size=one)[a] + 0.4 * rng.normal(size=two)[b]
    return pd.DataFrame({"y": rng.poisson(np.exp(eta)).astype(float), "x": x, "a": _factor(a), "b": _factor(b)})


def _factor(codes: np.ndarray) -> pd.Categorical:
    return pd.Categorical(codes.astype(str))


ITEMS = "r ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)"
PROBLEMS = (
    Problem("cbpp", "share ~ period + (1 | herd)", "binomial", cbpp, weights="size"),
    Problem("cbpp9", "share ~ period + (1 | herd)", "binomial", cbpp, weights="size", nagq=9),
    Problem("VerbAgg", ITEMS, "binomial", verbagg),
    Problem("grouseticks", "TICKS ~ YEAR + h + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)", "poisson", ticks),
    Problem("binary200k", "y ~ x + (1 | g)", "binomial", binary),
    Problem("crossed60k", "y ~ x + (1 | a) + (1 | b)", "poisson", crossed),
)


def ours(p: Problem, data: pd.DataFrame) -> mp.GlmmFit:
    return mp.glmer(p.formula, data, family=p.family, weights=p.weights, nagq=p.nagq)


def theirs(p: Problem, data: pd.DataFrame) -> Any:
    given = {} if p.weights is None else {"weights": data[p.weights].to_numpy(float)}
    return glmm.fit(data, p.formula, p.family, nagq=p.nagq, **given)


R_SCRIPT = """
suppressMessages(library(lme4)); a <- commandArgs(TRUE)
d <- read.csv(a[1], stringsAsFactors = TRUE)
for (f in strsplit(a[6], ",")[[1]]) if (nzchar(f)) d[[f]] <- factor(d[[f]])
args <- list(as.formula(a[2]), d, get(a[3])(), nAGQ = as.integer(a[5])); if (nzchar(a[4])) args$weights <- d[[a[4]]]
t <- system.time(m <- suppressWarnings(suppressMessages(do.call(glmer, args))))[["elapsed"]]
cat(t, as.numeric(logLik(m)), "\\n")
"""


def lme4_seconds(p: Problem, data: pd.DataFrame) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        table, script = Path(folder, "table.csv"), Path(folder, "fit.R")
        data.to_csv(table, index=False)
        script.write_text(R_SCRIPT)
        factors = [str(c) for c in data if isinstance(data[c].dtype, pd.CategoricalDtype)]
        arguments = [str(table), p.formula, p.family, p.weights or "", str(p.nagq), ",".join(factors)]
        ran = subprocess.run(["Rscript", str(script), *arguments], capture_output=True, text=True, check=True)
    seconds, loglik = ran.stdout.split()
    return float(seconds), float(loglik)


def timed(calls: list[Callable[[], Any]], repeats: int) -> tuple[list[float], list[Any]]:
    """Median seconds of calls that take turns, and their last results."""
    results = [call() for call in calls]
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for k, call in enumerate(calls):
            start = time.perf_counter()
            results[k] = call()
            seconds[k].append(time.perf_counter() - start)
    return [statistics.median(s) for s in seconds], results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", help="names; by default all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the table there")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    columns = "problem|rows|mixedpy ms|glmm ms|mixedpy / glmm|lme4 ms|lme4 / mixedpy|log-likelihood less glmm's"
    head = "| " + columns.replace("|", " | ") + " |"
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    print(*lines, sep="\n", flush=True)
    for p in PROBLEMS:
        if args.problems and p.name not in args.problems:
            continue
        data = p.table()
        calls: list[Callable[[], Any]] = [lambda p=p, d=data: ours(p, d)]  # type: ignore[misc]
        if glmm is not None:
            calls.append(lambda p=p, d=data: theirs(p, d))  # type: ignore[misc]
        seconds, results = timed(calls, args.repeats)
        cells = [p.name, f"{len(data):,}", f"{1e3 * seconds[0]:.1f}"]
        if glmm is None:
            cells += ["", ""]
        else:
            cells += [f"{1e3 * seconds[1]:.1f}", f"{seconds[0] / seconds[1]:.2f}"]
        if shutil.which("Rscript"):
            other = lme4_seconds(p, data)[0]
            cells += [f"{1e3 * other:.0f}", f"{other / seconds[0]:.0f}"]
        else:
            cells += ["", ""]
        cells.append("" if glmm is None else f"{results[0].loglik - results[1].loglik:+.1e}")
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    if args.out is not None:
        about = (__doc__ or "").split("\n\n")[2].strip()
        threads = f"{os.cpu_count()} processors, every program with its own number of threads."
        args.out.write_text(
            f"# Generalized models\n\n{about}\n\n{threads}\n\n" + "\n".join(lines) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
