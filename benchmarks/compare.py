"""Time mixedpy beside the other programs that fit linear mixed models: same rows, same model, REML, whole call."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median

from children import Settings, lme4_version, measured
from engines import PYTHON_ENGINES
from measure import Measurement
from problems import Problem
from run import chosen, parser, write
from tables import machine, markdown, milliseconds

__all__ = ["Row", "compare", "main", "report"]

OURS = "mixedpy"


@dataclass(frozen=True, slots=True)
class Row:
    """One problem and what every engine made of it.

    Attributes
    ----------
    problem : Problem
        The problem.
    results : dict of str to Measurement or str
        By engine; the text of its complaint where a fit failed.
    """

    problem: Problem
    results: dict[str, Measurement | str]

    def measurement(self, name: str) -> Measurement | None:
        """What this engine measured, if it did."""
        found = self.results.get(name)
        return found if isinstance(found, Measurement) else None

    def ratio(self) -> float:
        """Our median time over that of the fastest peer; NaN without a peer."""
        ours = self.measurement(OURS)
        times = [median(m.seconds) for n, m in self.results.items() if n != OURS and isinstance(m, Measurement)]
        return median(ours.seconds) / min(times) if ours is not None and times else math.nan


def compare(problems: Sequence[Problem], engines: Sequence[str], settings: Settings) -> list[Row]:
    """Time all engines on all problems, each in a process of its own."""
    rows = []
    for one in problems:
        results: dict[str, Measurement | str] = {}
        for name in engines:
            if name != OURS and name not in one.peers:
                continue
            print(f"{one.name}: {name} ...", file=sys.stderr, flush=True)
            try:
                found = measured(name, one, settings)
            except RuntimeError as error:
                found, results[name] = None, str(error)
                print(f"{one.name}: {name} failed: {error}", file=sys.stderr, flush=True)
            if found is not None:
                results[name] = found
        rows.append(Row(one, results))
    return rows


def report(rows: Sequence[Row], engines: Sequence[str]) -> str:
    """Lay out three tables: times, log-likelihoods, memory."""
    peers = [name for name in engines if name != OURS]
    ratios = [ratio for row in rows if math.isfinite(ratio := row.ratio())]
    times = [[row.problem.title, *(_time(row, n) for n in engines), _ratio(row), _worst(row)] for row in rows]
    gains = [[row.problem.title, *(_gain(row, n) for n in peers)] for row in rows]
    memory = [[row.problem.title, *(_memory(row, n) for n in engines)] for row in rows]
    mean = f"Geometric mean of the ratios: {geometric_mean(ratios):.3f}.\n\n" if ratios else ""
    failures = [
        f"- {row.problem.name}, {name}: {found}"
        for row in rows
        for name, found in row.results.items()
        if isinstance(found, str)
    ]
    return (
        "## Time, ms\n\nThe ratio is that of mixedpy to the fastest other program; beside it the log-likelihood of "
        "mixedpy less the best of the others.\n\n"
        f"{markdown(['problem', *engines, 'ratio', 'logLik difference'], times)}\n\n{mean}"
        f"## Log-likelihood of mixedpy less that of the other program\n\n{markdown(['problem', *peers], gains)}\n\n"
        "## Peak memory beyond the table and the imports, MB\n\n"
        f"{markdown(['problem', *engines], memory)}" + ("\n\n## Failures\n\n" + "\n".join(failures) if failures else "")
    )


def _time(row: Row, name: str) -> str:
    found = row.results.get(name)
    if isinstance(found, str):
        return "failed"
    return "" if found is None else milliseconds(median(found.seconds))


def _ratio(row: Row) -> str:
    return f"{row.ratio():.3f}" if math.isfinite(row.ratio()) else ""


def _worst(row: Row) -> str:
    ours = row.measurement(OURS)
    peers = [m for name, m in row.results.items() if name != OURS and isinstance(m, Measurement)]
    others = [m.loglik for m in peers if math.isfinite(m.loglik)]
    return f"{ours.loglik - max(others):.1e}" if ours is not None and others else ""


def _gain(row: Row, name: str) -> str:
    ours, theirs = row.measurement(OURS), row.measurement(name)
    if ours is None or theirs is None:
        return ""
    return f"{ours.loglik - theirs.loglik:.1e}" if math.isfinite(theirs.loglik) else "ML"


def _memory(row: Row, name: str) -> str:
    found = row.measurement(name)
    return "" if found is None or found.peak_mb is None else f"{found.peak_mb:.0f}"


def _versions() -> dict[str, str]:
    found = {e.name: e.version() for e in PYTHON_ENGINES if e.name != OURS} | {"lme4": lme4_version()}
    return {name: version for name, version in found.items() if version is not None}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the comparison that the arguments ask for."""
    args = parser(__doc__).parse_args(argv)
    settings = Settings(args.repeats, args.budget, args.threads)
    versions = _versions()
    engines = [OURS, *versions]
    rows = compare(chosen(args.problems), engines, settings)
    others = ", ".join(f"{name} {version}" for name, version in versions.items())
    write(f"{machine(settings)}\n- Other programs: {others or 'none installed'}\n\n{report(rows, engines)}", args.out)


if __name__ == "__main__":
    main()
