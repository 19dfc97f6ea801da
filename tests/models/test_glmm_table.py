"""``mixedpy.table`` with generalized fits among its columns."""

from __future__ import annotations

import numpy as np
import pytest

import mixedpy as mp


@pytest.fixture(scope="module")
def fits() -> list[mp.LmmFit | mp.GlmmFit]:
    data = mp.datasets.load("Arabidopsis")
    formula = "total.fruits ~ nutrient + amd + (1 | gen)"
    return [
        mp.lmer(formula, data),
        mp.glmer(formula, data, family="poisson", nagq=3),
        mp.glmer(formula, data, family="nbinom2", ziformula="~ amd"),
    ]


def test_columns_of_both_kinds(fits: list[mp.LmmFit | mp.GlmmFit]) -> None:
    table = mp.table(*fits, names=["linear", "counts", "zeros"]).to_frame()
    model = table.loc["Model"]
    assert model.loc["Fitted by"].tolist() == ["REML", "ML (nAGQ = 3)", "ML (Laplace)"]
    assert model.loc["Family (link)"].tolist() == [
        "gaussian (identity)",
        "poisson (log)",
        "zero-inflated negative binomial (log)",
    ]
    assert model.loc["ICC", "zeros"] == ""  # not defined
    assert model.loc["ICC", "counts"] == f"{fits[1].icc():.3f}"
    assert model.loc["AIC", "zeros"] == f"{fits[2].aic:.1f}"
    own = table.loc["Distribution"].index[::2]
    assert own.tolist() == fits[2].auxiliary.index.tolist()
    assert table.loc[("Random effects", "SD residual")].tolist()[1:] == ["", ""]


def test_limits_and_stars_are_those_of_the_normal_distribution(fits: list[mp.LmmFit | mp.GlmmFit]) -> None:
    fit = fits[2]
    table = mp.table(fit, digits=4).to_frame()["Model 1"]
    position = list(table.index).index(("Fixed effects", "nutrient"))
    assert table.iloc[position].endswith("***")
    low, high = (float(x.replace("−", "-")) for x in table.iloc[position + 1].strip("[]").split(", "))
    half = 1.959963984540054 * fit.se["nutrient"]
    np.testing.assert_allclose([low, high], [fit.fixef["nutrient"] - half, fit.fixef["nutrient"] + half], atol=1e-4)


def test_linear_fits_alone_have_no_family(fits: list[mp.LmmFit | mp.GlmmFit]) -> None:
    assert "Family (link)" not in mp.table(fits[0]).to_frame().loc["Model"].index


def test_anything_else_is_named() -> None:
    with pytest.raises(TypeError, match="argument 1 is of type str"):
        mp.table("fit")  # type: ignore[arg-type]
