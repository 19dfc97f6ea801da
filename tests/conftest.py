"""Settings shared by all tests: hypothesis' profile, and the demand that nothing of CHOLMOD is left out."""

from __future__ import annotations

import importlib
import os

import pytest
from hypothesis import HealthCheck, settings

# Repeatable everywhere: a failure seen once is seen again. No deadline, since machines differ in speed.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=30,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# To search further: pytest --hypothesis-profile=thorough
settings.register_profile("thorough", deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci")

REQUIRE_CHOLMOD = "MIXEDPY_REQUIRE_CHOLMOD"
"""Environment variable: with "1", a test that is skipped for want of scikit-sparse is a failure."""

_CHOLMOD_WORDS = ("sksparse", "scikit-sparse", "cholmod")


class _NothingSkipped:
    """Plugin that fails the run if a test of CHOLMOD was skipped."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and any(word in f"{report.nodeid} {report.longrepr}".lower() for word in _CHOLMOD_WORDS):
            self.skipped.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skipped:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for nodeid in self.skipped:
            terminalreporter.write_line(f"skipped although {REQUIRE_CHOLMOD}=1: {nodeid}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(REQUIRE_CHOLMOD, "") not in ("", "0"):
        try:
            importlib.import_module("sksparse.cholmod")
        except ImportError as error:
            raise pytest.UsageError(
                f"{REQUIRE_CHOLMOD} is set and scikit-sparse cannot be imported: {error}"
            ) from error
        config.pluginmanager.register(_NothingSkipped())
