"""Adjustments for several tests against what is known of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from mixedpy.core.distributions import studentized_range_sf
from mixedpy.inference.multiplicity import Family, adjusted_pvalues, check_adjust, critical_values


def pairs(k: int) -> Family:
    """All differences of k independent means."""
    L = np.zeros((k * (k - 1) // 2, k))
    for row, (i, j) in zip(L, combinations(range(k), 2), strict=True):
        row[i], row[j] = 1.0, -1.0
    return Family(k, k - 1, L @ L.T / 2.0)


@pytest.mark.parametrize(("k", "atol"), [(3, 1e-4), (5, 4e-4), (8, 1e-3)])
def test_multivariate_t_of_all_pairs_is_tukeys(k: int, atol: float):
    family = pairs(k)
    t = np.linspace(0.5, 4.5, len(family.correlation))
    df = np.full(len(t), 14.7)
    found = adjusted_pvalues(t, df, "mvt", family)
    assert_allclose(found, [studentized_range_sf(v * np.sqrt(2), k, 14.7) for v in t], atol=atol)
    assert_allclose(
        critical_values(0.95, df, "mvt", family)[0], critical_values(0.95, df, "tukey", family)[0], atol=5e-3
    )


def test_multivariate_t_of_independent_normals_is_sidaks():
    family = Family(4, 4, np.eye(4))
    t, df = np.array([0.3, 1.5, 2.5, 4.0]), np.full(4, np.inf)
    assert_allclose(
        adjusted_pvalues(t, df, "mvt", family), adjusted_pvalues(t, df, "sidak", family), atol=3e-4, rtol=0.02
    )


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.floats(2, 200))
def test_orders_of_the_methods(t: list[float], df: float):
    """Each adjustment lies between no adjustment and Bonferroni's; the stepwise ones are uniformly smaller."""
    x, nu = np.array(t), np.full(len(t), df)
    family = Family(len(t), len(t), np.eye(len(t)))
    p = {
        m: adjusted_pvalues(x, nu, m, family) for m in ("none", "bonferroni", "holm", "hochberg", "fdr", "sidak", "by")
    }
    assert_allclose(p["none"], 2 * stats.t.sf(np.abs(x), df))
    tiny = 1e-12
    assert (p["none"] <= p["fdr"] + tiny).all()
    assert (p["fdr"] <= p["hochberg"] + tiny).all()
    assert (p["hochberg"] <= p["holm"] + tiny).all()
    assert (p["holm"] <= p["bonferroni"] + tiny).all()
    assert (p["sidak"] <= p["bonferroni"] + tiny).all()
    assert (p["fdr"] <= p["by"] + tiny).all()


@pytest.mark.parametrize("method", ["tukey", "scheffe", "sidak", "bonferroni", "dunnettx", "mvt", "none"])
def test_critical_values_are_where_p_is_alpha(method: str):
    family = pairs(4)
    df = np.full(6, 9.3)
    at = critical_values(0.95, df, method, family)
    assert_allclose(adjusted_pvalues(at, df, method, family), 0.05, rtol=1e-6)


def test_what_is_missing_is_not_counted():
    t = np.array([2.0, np.nan, 3.0])
    found = adjusted_pvalues(t, np.full(3, 20.0), "bonferroni", Family(3, 2, np.eye(3)))
    assert_allclose(found[[0, 2]], 2 * adjusted_pvalues(t, np.full(3, 20.0), "none", Family(3, 2, np.eye(3)))[[0, 2]])
    assert np.isnan(found[1])


def test_names():
    assert check_adjust("BH") == "fdr"
    assert check_adjust("Tukey") == "tukey"
    with pytest.raises(ValueError, match="adjust='lsd' is unknown"):
        check_adjust("lsd")
