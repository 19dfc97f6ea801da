"""A fit whose log-likelihood is estimated says so."""

from __future__ import annotations

import pytest

import mixedpy as mp
from mixedpy.datasets import load

FORMULA = "diameter ~ 1 + (1 | plate) + (1 | sample)"
LINE = "  (Monte-Carlo standard error of the log-likelihood: {:.2g})"


def _fit(*, finish: bool) -> mp.LmmFit:
    return mp.lmer(FORMULA, load("Penicillin"), control=mp.Control(factorization="iterative", finish=finish))


def test_print_and_summary_show_the_monte_carlo_error() -> None:
    fit = _fit(finish=False)
    line = LINE.format(fit.convergence.loglik_se)
    assert fit.convergence.loglik_se > 0
    for text in (str(fit), str(fit.summary())):
        lines = text.splitlines()
        sizes = next(k for k, shown in enumerate(lines) if shown.startswith("Number of obs"))
        assert lines[sizes + 1] == line
    assert line.strip(" ()") in fit._repr_html_()


def test_an_exact_finish_leaves_no_such_line() -> None:
    fit, exact = _fit(finish=True), mp.lmer(FORMULA, load("Penicillin"))
    assert fit.convergence.loglik_se == 0.0
    assert str(fit) == str(exact)
    assert fit.loglik == pytest.approx(exact.loglik, abs=1e-8)
