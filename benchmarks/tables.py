"""Markdown tables of timings, and the description of the machine that belongs above them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from children import Settings

__all__ = ["machine", "markdown", "milliseconds"]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table, the first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])


def milliseconds(seconds: float) -> str:
    """Write a time in milliseconds with three significant digits."""
    ms = 1e3 * seconds
    digits = max(0, 2 - int(np.floor(np.log10(ms)))) if ms > 0 else 0
    return f"{ms:.{digits}f}"


def machine(settings: Settings) -> str:
    """Describe processor, memory, system, versions and threads, as a Markdown list."""
    lines = [
        f"Processor: {_processor()}, {_cores()} cores available; memory {_memory()}",
        f"System: {platform.system()} {platform.release()}, Python {platform.python_version()}",
        f"Libraries: {', '.join(f'{name} {_version(name)}' for name in ('numpy', 'scipy', 'pandas', 'scikit-sparse'))}",
        f"BLAS: {_blas()}, threads: {settings.threads or 'default of the library'}",
        f"Clock: one call to warm up, then the median of {settings.repeats} or of those begun in {settings.budget:g} s",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    if "SC_PHYS_PAGES" not in os.sysconf_names:
        return "unknown"
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB"


def _blas() -> str:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas.get('version', '')}".strip()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
