"""How many threads BLAS may use for small matrices.

A fit of small blocks calls BLAS some thousand times on matrices that take microseconds. Handing each to several threads
costs more than it gains, and many times more where the processors are busy with something else, since the threads wait
in a spin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]


@cache
def _controller() -> ThreadpoolController:
    """The BLAS libraries of this process, found once: they are all loaded when NumPy and SciPy are."""
    return ThreadpoolController()


@contextmanager
def one_blas_thread(small: bool = True) -> Iterator[None]:
    """Let BLAS use one thread within the block; nothing changes where ``small`` is false.

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    if not small:
        yield
        return
    with _controller().limit(limits=1, user_api="blas"):
        yield
