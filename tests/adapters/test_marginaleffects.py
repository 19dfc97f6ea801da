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


def test_probabilities_with_errors_by_the_delta_method():
    cbpp = mp.datasets.load("cbpp")
    fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", cbpp)
    got = me.avg_predictions(as_model(fit), by="period").data.sort("period")
    new = {"period": ["1", "2", "3", "4"]}
    p = fit.predict(new, re_form="NA", type="response").to_numpy()
    np.testing.assert_allclose(got["estimate"], p, rtol=1e-8)
    X = np.column_stack([np.ones(4), np.eye(4)[:, 1:]])
    gradient = (p * (1 - p))[:, None] * X
    se = np.sqrt(np.diag(gradient @ fit.vcov().to_numpy() @ gradient.T))
    np.testing.assert_allclose(got["std_error"], se, rtol=1e-4)
    link = me.avg_predictions(as_model(fit, type="link"), by="period").data.sort("period")
    np.testing.assert_allclose(link["estimate"], fit.predict(new, re_form="NA"), rtol=1e-8)
    with pytest.raises(ValueError, match="type='probs' is unknown"):
        as_model(fit, type="probs")


def test_average_probability_of_a_binary_response_is_one():
    verb = mp.datasets.load("VerbAgg").head(2000)
    fit = mp.glmer("r2 ~ Anger + Gender + (1 | id)", verb, family="binomial(probit)")
    model = as_model(fit)
    got = me.avg_predictions(model).data["estimate"][0]
    assert got == pytest.approx(fit.predict(re_form="NA", type="response").mean(), rel=1e-8)
    slope = me.avg_slopes(model, variables="Anger").data
    density = np.exp(-0.5 * fit.predict(re_form="NA").to_numpy() ** 2) / np.sqrt(2 * np.pi)
    assert slope["estimate"][0] == pytest.approx(density.mean() * fit.fixef["Anger"], rel=1e-3)


def test_the_zeros_and_their_uncertainty_count():
    data = mp.datasets.load("Arabidopsis")
    fit = mp.glmer("total.fruits ~ nutrient + amd + (1 | gen)", data, family="nbinom2", ziformula="~ amd + rack")
    got = me.predictions(as_model(fit)).data
    np.testing.assert_allclose(got["estimate"], fit.predict(re_form="NA", type="response"), rtol=1e-8)
    alone = fit.record.vcov.copy()
    alone[fit.record.p :] = alone[:, fit.record.p :] = 0.0
    only_fixed = me.predictions(as_model(fit), vcov=alone).data["std_error"].to_numpy()
    assert (np.abs(got["std_error"].to_numpy() / only_fixed - 1) > 1e-4).all()


def test_other_things_are_not_wrapped():
    with pytest.raises(TypeError, match="fits made by mixedpy"):
        as_model("fit")


def test_what_cannot_be_done_is_named(curved: mp.LmmFit):
    with pytest.raises(mp.DataError, match="vcov='HC3' is not available"):
        me.avg_slopes(as_model(curved), vcov="HC3")
    by_array = mp.lmer("Reaction ~ Days + (1 | Subject)", mp.datasets.load("sleepstudy"), offset=np.ones(180))
    with pytest.raises(mp.DataError, match="offset given as an array"):
        as_model(by_array)
