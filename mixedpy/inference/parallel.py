"""Many independent tasks: one after another or through joblib, with a progress bar if they take long."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from mixedpy.inference.bootstrap import Batch

__all__ = ["check_n_jobs", "run_batches", "run_tasks", "shares"]

Task = TypeVar("Task")
Result = TypeVar("Result")

_PER_WORKER = 4
"""Tasks per worker: what a task sets up once is not repeated too often, and workers end at about the same time."""

_PATIENCE = 2.0
"""Seconds after which a progress bar appears unasked."""


def check_n_jobs(n_jobs: int) -> None:
    """Raise a ValueError unless n_jobs is a whole number other than 0."""
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise ValueError(f"n_jobs={n_jobs!r} must be a whole number other than 0; -1 means all processors")


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    weights: Sequence[int],
    *,
    n_jobs: int,
    progress: bool | None,
    unit: str,
) -> list[Result]:
    """Apply a function to all tasks; results come in the order of the tasks.

    Parameters
    ----------
    function : callable
        Without side effects; for ``n_jobs`` other than 1 it and the tasks must be picklable (or the joblib backend
        in force must be able to send them).
    tasks : sequence
        Arguments.
    weights : sequence of int
        Size of each task in units of the progress bar.
    n_jobs : int
        Number of workers; 1 stays in this process, -1 takes all processors. A surrounding
        ``joblib.parallel_config(backend=...)`` chooses the workers, Dask or Ray for instance.
    progress : bool, optional
        Whether to show a tqdm progress bar; None shows it after two seconds, if tqdm is installed.
    unit : str
        What is counted.

    Raises
    ------
    ImportError
        If joblib, or tqdm with ``progress=True``, is not installed.
    """
    results: Iterator[Result] = map(function, tasks) if n_jobs == 1 else _parallel(function, tasks, n_jobs)
    out: list[Result] = []
    with _Bar(sum(weights), progress, unit) as bar:
        for result, weight in zip(results, weights, strict=True):
            out.append(result)
            bar.advance(weight)
    return out


def run_batches(
    prepare: Callable[[], Callable[[Batch], Result]],
    plan: Sequence[Batch],
    *,
    n_jobs: int,
    progress: bool | None,
    unit: str,
    here: Callable[[Batch], Result] | None = None,
) -> list[Result]:
    """Work off batches of replicates; results come in the order of the plan, whoever works.

    Parameters
    ----------
    prepare : callable
        Does once per worker what serves all its batches, and returns what does a batch; picklable.
    plan : sequence of Batch
        From ``batches``.
    n_jobs, progress, unit
        As for :func:`run_tasks`.
    here : callable, optional
        What ``prepare`` returns in this process, if it is at hand.
    """
    if n_jobs == 1:
        counts = [batch.count for batch in plan]
        return run_tasks(here or prepare(), plan, counts, n_jobs=1, progress=progress, unit=unit)
    parts = shares(plan, n_jobs)
    counts = [sum(batch.count for batch in part) for part in parts]
    found = run_tasks(partial(_work, prepare), parts, counts, n_jobs=n_jobs, progress=progress, unit=unit)
    return [result for part in found for result in part]


def _work(prepare: Callable[[], Callable[[Batch], Result]], part: Sequence[Batch]) -> list[Result]:
    return list(map(prepare(), part))


def shares(items: Sequence[Task], n_jobs: int) -> list[list[Task]]:
    """Divide a sequence into runs for some workers, in order."""
    workers = n_jobs if n_jobs > 0 else os.cpu_count() or 1
    ends = np.linspace(0, len(items), min(len(items), _PER_WORKER * workers) + 1).round().astype(int)
    return [list(items[a:b]) for a, b in pairwise(ends.tolist()) if b > a]


def _parallel(function: Callable[[Task], Result], tasks: Sequence[Task], n_jobs: int) -> Iterator[Result]:
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise ImportError(
            f"n_jobs={n_jobs} needs joblib, which is not installed; pip install 'mixedpy[parallel]', or use n_jobs=1"
        ) from error
    results: Iterator[Result] = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(function)(task) for task in tasks
    )
    return results


class _Bar:
    """A progress bar that is made when it is due."""

    def __init__(self, total: int, wanted: bool | None, unit: str):
        self.total, self.wanted, self.unit = total, wanted, unit
        self.done, self.began = 0, time.monotonic()
        self.bar: Any = None

    def __enter__(self) -> _Bar:
        if self.wanted:
            self._show()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def advance(self, count: int) -> None:
        """Count something as done."""
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
        elif self.wanted is None and self.done < self.total and time.monotonic() - self.began > _PATIENCE:
            self._show()

    def _show(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            if self.wanted:
                raise ImportError(
                    "progress=True needs tqdm, which is not installed; pip install 'mixedpy[parallel]'"
                ) from error
            self.wanted = False
            return
        self.bar = tqdm(total=self.total, initial=self.done, unit=self.unit)
