"""BLAS is held to one thread within the block, and set free after it."""

from __future__ import annotations

import pytest

try:
    from threadpoolctl import threadpool_info
except ImportError:
    pytest.skip("threadpoolctl is not installed", allow_module_level=True)

from mixedpy.core.threads import one_blas_thread


def _threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_one_thread_within_and_as_before_after() -> None:
    before = _threads()
    with one_blas_thread():
        assert set(_threads()) <= {1}
    assert _threads() == before
    with one_blas_thread(small=False):
        assert _threads() == before
