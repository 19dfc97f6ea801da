"""Tail probabilities against scipy.stats, which the package itself does not import."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from mixedpy.core import distributions as d
from mixedpy.core.lattice import sphere

DF = st.floats(0.5, 1e6)
PROBABILITY = st.floats(1e-12, 1 - 1e-6)


@given(st.floats(-40, 40), DF)
def test_student(t: float, df: float):
    assert_allclose(d.t_sf(t, df), stats.t.sf(t, df), rtol=1e-8, atol=1e-300)


@given(PROBABILITY, DF, st.integers(1, 20))
def test_quantiles_undo_tails(q: float, df: float, ndf: int):
    assert_allclose(d.t_sf(d.t_isf(q, df), df), q, rtol=1e-6)
    assert_allclose(d.f_sf(d.f_isf(q, ndf, df), ndf, df), q, rtol=1e-6)
    assert_allclose(d.chi2_sf(d.chi2_isf(q, ndf), ndf), q, rtol=1e-8)


@given(st.floats(1e-3, 1e4), st.integers(1, 30), DF)
def test_f(F: float, ndf: int, ddf: float):
    assert_allclose(d.f_sf(F, ndf, ddf), stats.f.sf(F, ndf, ddf), rtol=1e-7, atol=1e-280)


@given(st.floats(0.01, 10), st.integers(1, 30))
def test_infinite_degrees_of_freedom_are_the_limit(F: float, ndf: int):
    assert_allclose(d.f_sf(F, ndf, np.inf), stats.chi2.sf(F * ndf, ndf))
    assert_allclose(d.t_sf(F, np.inf), stats.norm.sf(F))
    assert_allclose(d.t_isf(0.025, np.inf), stats.norm.isf(0.025))
    assert_allclose(d.f_isf(0.05, ndf, np.inf), stats.chi2.isf(0.05, ndf) / ndf)


def test_beta_and_normal():
    p = np.linspace(0.01, 0.99, 9)
    assert_allclose(d.beta_quantile(p, 3.0, 7.0), stats.beta.ppf(p, 3.0, 7.0))
    assert_allclose(d.normal_quantile(p), stats.norm.ppf(p))
    assert_allclose(d.normal_density(p), stats.norm.pdf(p))


@pytest.mark.parametrize("df", [2.5, 7.0, 42.3, 500.0, np.inf])
@pytest.mark.parametrize("k", [2, 3, 8, 20])
def test_studentized_range(k: int, df: float):
    for q in (0.5, 2.0, 3.5, 5.0):
        wanted = stats.studentized_range.sf(q, k, df)
        assert d.studentized_range_sf(q, k, df) == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("q", [1.0, 5.0, 20.0, 60.0])
def test_range_of_two_means_is_a_t_ratio_far_into_the_tail(q: float):
    assert d.studentized_range_sf(q, 2, 11.3) == pytest.approx(2 * stats.t.sf(q / np.sqrt(2), 11.3), rel=1e-7)


@pytest.mark.parametrize("dimension", [1, 2, 5, 15])
def test_directions_are_even(dimension: int):
    u = sphere(dimension, 4096)
    assert_allclose(np.linalg.norm(u, axis=1), 1.0)
    assert np.abs(u.mean(axis=0)).max() < 0.02
    assert_allclose(u.T @ u / len(u), np.eye(dimension) / dimension, atol=0.05 / dimension)


def test_nothing_slow_is_imported_with_the_package():
    code = "import sys, mixedpy; sys.exit(bool({'scipy.stats', 'scipy.optimize', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
