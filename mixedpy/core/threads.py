"""How many threads BLAS may use for small matrices.

A fit of small blocks calls BLAS some thousand times on matrices that take microseconds. Handing each to several threads
costs more than it gains, and many times more where the processors are busy with something else, since the threads wait
in a spin. Only threadpoolctl can say so to the BLAS that is there; it is an optional dependency, and without it BLAS
keeps the number of threads it was given (``OMP_NUM_THREADS=1`` in the environment does the same for a whole process).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["one_blas_thread"]


@cache
def _controller() -> Any | None:
    """The BLAS libraries of this process, found once: they are all loaded when NumPy and SciPy are."""
    try:
        return importlib.import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None


@contextmanager
def one_blas_thread(small: bool = True) -> Iterator[None]:
    """Let BLAS use one thread within the block; nothing changes where ``small`` is false.

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    controller = _controller() if small else None
    if controller is None:
        yield
        return
    with controller.limit(limits=1, user_api="blas"):
        yield
