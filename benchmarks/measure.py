"""Time one engine on one problem, in a process of its own: ``measure.py ENGINE PROBLEM REPEATS BUDGET`` prints JSON.

The process is its own so that the peak memory is that of this fit, and so that the engines cannot warm each other up.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from engines import engine
from problems import problem

__all__ = ["Measurement", "clock", "measure"]

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one process found out.

    Attributes
    ----------
    seconds : tuple of float
        Wall-clock times of the whole call.
    loglik : float
        Restricted log-likelihood at the estimate.
    peak_mb : float or None
        Memory that the first call took beyond what the table and the imports held, in MB (10^6 bytes); None where
        the system does not tell (it does on Linux).
    """

    seconds: tuple[float, ...]
    loglik: float
    peak_mb: float | None


def clock(call: Callable[[], object], repeats: int, budget: float) -> tuple[float, ...]:
    """Time a call ``repeats`` times, but no longer than ``budget`` seconds in all; at least once."""
    seconds: list[float] = []
    while not seconds or (len(seconds) < repeats and sum(seconds) < budget):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return tuple(seconds)


def measure(engine_name: str, problem_name: str, repeats: int, budget: float) -> Measurement:
    """Fit once to warm up, watching the memory, and then again against the clock.

    A first fit that takes more than the budget is not repeated: its time is the result.
    """
    chosen, one = engine(engine_name), problem(problem_name)
    table = one.table()
    before = _reset_peak()
    start = time.perf_counter()
    loglik = chosen.call(one.formula, table)
    first = time.perf_counter() - start
    peak = _memory("VmHWM")
    seconds = (first,) if first > budget else clock(lambda: chosen.call(one.formula, table), repeats, budget)
    return Measurement(seconds, loglik, None if before is None or peak is None else peak - before)


def _reset_peak() -> float | None:
    """Make the present memory the peak (Linux), and return it in MB."""
    if not _RESET.exists():
        return None
    _RESET.write_text("5", encoding="ascii")
    return _memory("VmRSS")


def _memory(field: str) -> float | None:
    if not _STATUS.exists():
        return None
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None


if __name__ == "__main__":
    _, name, on, times, limit = sys.argv
    print(json.dumps(asdict(measure(name, on, int(times), float(limit)))))
