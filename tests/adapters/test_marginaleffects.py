"""marginaleffects on mixed models, against what follows from the fixed effects by hand."""

from __future__ import annotations

import numpy as np
import pytest

import mixedpy as mp

me = pytest.importorskip("marginaleffects")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from mixedpy.adapters.marginaleffects import as_model  # noqa: E402


@pytest.fixture(scope="module")
def curved() -> mp.LmmFit:
    return mp.lmer("Reaction ~ Days + I(Days^2) + (Days | Subject)", mp.datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def cake() -> mp.LmmFit:
    return mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", mp.datasets.load("cake"))


def test_average_slopes(curved: mp.LmmFit):
    got = me.avg_slopes(as_model(curved), variables="Days").data
    gradient = np.array([0.0, 1.0, 2 * mp.datasets.load("sleepstudy")["Days"].mean()])
    se = np.sqrt(gradient @ curved.vcov().to_numpy() @ gradient)
    assert got["estimate"][0] == pytest.approx(gradient @ curved.fixef.to_numpy(), rel=1e-5)
    assert got["std_error"][0] == pytest.approx(se, rel=2e-3)  # slopes and their Jacobian are forward differences
    assert got["conf_low"][0] == pytest.approx(got["estimate"][0] - 1.959963984540054 * se, rel=2e-3)


def test_predictions_at_given_values(curved: mp.LmmFit):
    model = as_model(curved)
    got = me.predictions(model, newdata=me.datagrid(model, Days=[0, 5])).data
    wanted = curved.predict({"Days": [0.0, 5.0]}, re_form="NA")
    np.testing.assert_allclose(got["estimate"], wanted)
    X = np.array([[1, 0, 0], [1, 5, 25]])
    np.testing.assert_allclose(got["std_error"], np.sqrt(np.diag(X @ curved.vcov().to_numpy() @ X.T)), rtol=1e-5)


def test_comparisons_of_a_factor(cake: mp.LmmFit):
    got = me.avg_comparisons(as_model(cake), variables="recipe").data
    means = mp.datasets.load("cake").groupby("recipe", observed=True)["angle"].mean()
    assert got["contrast"].to_list() == ["B - A", "C - A"]
    np.testing.assert_allclose(got["estimate"], [means["B"] - means["A"], means["C"] - means["A"]], rtol=1e-8)


def test_predictions_by_an_ordered_factor(cake: mp.LmmFit):
    got = me.avg_predictions(as_model(cake), by="temperature").data.sort("temperature")
    means = mp.datasets.load("cake").groupby("temperature", observed=True)["angle"].mean()
    np.testing.assert_allclose(got["estimate"], means)


def test_an_offset_and_a_transformed_response():
    data = mp.datasets.load("sleepstudy")
    data["known"] = data["Days"] * 3.0
    fit = mp.lmer("log(Reaction) ~ Days + offset(known / 1000) + (1 | Subject)", data)
    got = me.predictions(as_model(fit)).data
    np.testing.assert_allclose(got["estimate"], fit.predict(data, re_form="NA"))


def test_what_cannot_be_done_is_named(curved: mp.LmmFit):
    with pytest.raises(mp.DataError, match="vcov='HC3' is not available"):
        me.avg_slopes(as_model(curved), vcov="HC3")
    by_array = mp.lmer("Reaction ~ Days + (1 | Subject)", mp.datasets.load("sleepstudy"), offset=np.ones(180))
    with pytest.raises(mp.DataError, match="offset given as an array"):
        as_model(by_array)
