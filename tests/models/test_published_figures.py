"""Figures that were published or agreed on for two growth studies, to the digits given."""

from pathlib import Path

import pandas as pd
import pytest

import mixedpy as mp

RAT_GROWTH = Path(__file__).resolve().parents[3] / "shared" / "data" / "rat_growth.csv"


@pytest.fixture(scope="module")
def sleep_fit():
    return mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))


def test_sleepstudy(sleep_fit):
    assert sleep_fit.reml_criterion == pytest.approx(1743.628, abs=5e-4)
    frame = sleep_fit.varcorr().to_frame()
    assert frame["vcov"].iloc[[0, 1, 3]].tolist() == pytest.approx([612.10, 35.07, 654.94], abs=5e-3)
    assert frame["sdcor"].iloc[2] == pytest.approx(0.066, abs=5e-4)
    assert sleep_fit.fixef.tolist() == pytest.approx([251.405, 10.467], abs=5e-4)
    assert sleep_fit.se.tolist() == pytest.approx([6.825, 1.546], abs=5e-4)
    modes = sleep_fit.ranef()["Subject"]
    assert modes.loc["308"].tolist() == pytest.approx([2.2585, 9.1990], rel=1e-4)
    assert modes.loc["337"].tolist() == pytest.approx([34.8905, 8.6283], rel=1e-4)


@pytest.fixture(scope="module")
def rats() -> pd.DataFrame:
    if not RAT_GROWTH.exists():
        pytest.skip("the folder shared/data does not stand beside the repository")
    return pd.read_csv(RAT_GROWTH)


def test_rat_growth_slopes(rats):
    fit = mp.lmer("y ~ week + (week | rat)", rats)
    assert fit.reml_criterion == pytest.approx(1084.58, abs=5e-3)
    frame = fit.varcorr().to_frame()
    assert frame["sdcor"].iloc[[0, 1]].tolist() == pytest.approx([10.933, 3.535], abs=5e-4)
    assert frame["sdcor"].iloc[2] == pytest.approx(0.18, abs=5e-3)
    assert fit.sigma == pytest.approx(5.817, abs=5e-4)


def test_rat_growth_intercepts(rats):
    fit = mp.lmer("y ~ week + (1 | rat)", rats)
    assert fit.reml_criterion == pytest.approx(1127.169, abs=5e-4)
    assert fit.varcorr().to_frame()["sdcor"].tolist() == pytest.approx([13.851, 8.018], abs=5e-4)


@pytest.mark.parametrize(
    ("formula", "aic", "bic"),
    [("y ~ week + (week | rat)", 1101.124, 1119.188), ("y ~ week + (1 | rat)", 1139.204, 1151.246)],
)
def test_rat_growth_information_criteria(rats, formula, aic, bic):
    fit = mp.lmer(formula, rats, reml=False)
    assert (fit.aic, fit.bic) == pytest.approx((aic, bic), abs=5e-4)
