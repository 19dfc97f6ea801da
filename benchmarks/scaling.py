"""How time and memory grow with the rows at a fixed number of levels: one factor, random slope, 10,000 levels.

``scaling.py [--threads N ...]`` prints the table; each number of rows is measured in a process of its own.
"""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Sequence
from statistics import median

import numpy as np
from children import Settings, python_child
from measure import clock
from problems import slope
from run import parser, write
from tables import machine, markdown, milliseconds

import mixedpy as mp

__all__ = ["main"]

_LEVELS = 10_000
_ROWS = (125_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000)
_FORMULA = "y ~ x + (x | g)"


def measure_one(n: int, repeats: int, budget: float) -> tuple[float, int, int]:
    """Median seconds of a whole call, peak of traced memory, and bytes of the columns used, for n rows."""
    table = slope(n, _LEVELS)
    mp.lmer(_FORMULA, table)
    seconds = median(clock(lambda: mp.lmer(_FORMULA, table), repeats, budget))
    tracemalloc.start()
    mp.lmer(_FORMULA, table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak, int(table.memory_usage(index=False).sum())


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each number of rows, and the exponent of the growth in time."""
    args = parser(__doc__).parse_args(argv)
    settings = Settings(args.repeats, args.budget, args.threads)
    rows, times = [], []
    for n in _ROWS:
        seconds, peak, used = python_child("scaling.py", [str(n)], settings)
        times.append(seconds)
        cells = [f"{n:,}", milliseconds(seconds), f"{1e9 * seconds / n:.0f}", f"{peak / 1e6:.0f}", f"{peak / used:.2f}"]
        rows.append(cells)
    exponent = np.polyfit(np.log(_ROWS[3:]), np.log(times[3:]), 1)[0]
    header = ["rows", "ms", "ns per row", "peak MB", "peak / bytes of the used columns"]
    write(
        f"{machine(settings)}\n\n{markdown(header, rows)}\n\n"
        f"From 1,000,000 rows on, time grows as the power {exponent:.2f} of the rows.",
        args.out,
    )


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1].isdigit():
        print(json.dumps(measure_one(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
    else:
        main()
