"""Time mixedpy on the benchmark problems, stage by stage, or a checkout of another revision against this one."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from children import HERE, Settings, measured, python_child
from problems import PROBLEMS, Problem, problem
from stages import Stages
from tables import machine, markdown, milliseconds

__all__ = ["base_against_head", "main", "parser", "stage_table"]

_PARTS = ("whole", "design", "estimate", "condition", "cross_products", "symbolic", "start", "value", "gradient")

_ROUNDS = 3
"""Base and head take turns this often, so that a machine that slows down slows both."""


def stage_table(problems: Sequence[Problem], settings: Settings) -> str:
    """Time the stages of each problem, as a Markdown table in milliseconds."""
    rows = []
    for one in problems:
        _progress(one.name)
        found = Stages(**python_child("stages.py", [one.name], settings))
        times = [milliseconds(getattr(found, part)) for part in _PARTS]
        counts = f"{found.evaluations}, {found.gradients}"
        rows.append([one.title, *times, counts, found.factorization, f"{found.loglik:.6f}"])
    return markdown(["ms", *(part.replace("_", " ") for part in _PARTS), "count", "factorization", "logLik"], rows)


def base_against_head(revision: str, problems: Sequence[Problem], settings: Settings) -> str:
    """Time another revision of mixedpy beside this checkout, as a Markdown table.

    The problems and the clock are those of this checkout for both.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        _git("worktree", "add", "--detach", str(base), revision)
        try:
            for one in problems:
                _progress(one.name)
                rows.append(_turns(one, settings, base))
        finally:
            _git("worktree", "remove", "--force", str(base))
    header = ["problem", f"{revision} ms", "head ms", "head / base", "logLik, head less base"]
    return markdown(header, rows)


def _turns(one: Problem, settings: Settings, base: Path) -> list[str]:
    old: list[float] = []
    new: list[float] = []
    gain = 0.0
    for _ in range(_ROUNDS):
        before, after = measured("mixedpy", one, settings, base), measured("mixedpy", one, settings)
        assert before is not None
        assert after is not None
        old += before.seconds
        new += after.seconds
        gain = after.loglik - before.loglik
    ratio = median(new) / median(old)
    return [one.title, milliseconds(median(old)), milliseconds(median(new)), f"{ratio:.3f}", f"{gain:.1e}"]


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=HERE.parent, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _progress(name: str) -> None:
    print(f"{name} ...", file=sys.stderr, flush=True)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make the options that all benchmark scripts share."""
    options = argparse.ArgumentParser(description=description)
    names = [one.name for one in PROBLEMS]
    options.add_argument("problems", nargs="*", metavar="PROBLEM", help=f"by default all: {', '.join(names)}")
    options.add_argument("--repeats", type=int, default=7, help="most timed calls (default %(default)s)")
    options.add_argument(
        "--budget", type=float, default=8.0, help="seconds for one engine's calls (default %(default)s)"
    )
    options.add_argument("--threads", type=int, default=None, help="of BLAS and the engines (default: the library's)")
    options.add_argument("--out", type=Path, help="write the tables there rather than to standard output")
    return options


def chosen(names: Sequence[str]) -> list[Problem]:
    """Look up problems, all of them if none is named."""
    return [problem(name) for name in names] or list(PROBLEMS)


def write(text: str, out: Path | None) -> None:
    """Write a report to a file or to standard output."""
    if out is None:
        print(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmarks that the arguments ask for."""
    options = parser(__doc__)
    options.add_argument("--base", metavar="REV", help="compare with this revision of the repository")
    args = options.parse_args(argv)
    settings = Settings(args.repeats, args.budget, args.threads)
    problems = chosen(args.problems)
    table = stage_table(problems, settings) if args.base is None else base_against_head(args.base, problems, settings)
    write(f"{machine(settings)}\n\n{table}", args.out)


if __name__ == "__main__":
    main()
