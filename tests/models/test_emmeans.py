"""Estimated marginal means and contrasts among them against the R package emmeans, and what must be refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import mixedpy as mp
from tests import tolerances as tol
from tests.inference_cases import INFERENCE, InferenceCase, fit_of
from tests.models.test_inference_references import numbers

REQUESTS = [
    pytest.param(case, request, ddf, id=f"{case.name}-{'_'.join(request['over'])}-{k}-{ddf}")
    for case in INFERENCE
    for k, request in enumerate(case.reference.get("means", []))
    for ddf in ("satterthwaite", "kenward_roger")
    if isinstance(request.get(ddf), dict)
]

ADJUSTED = {"dunnettx": 2e-3, "mvt": 3e-3}
"""Absolute tolerance of p values: emmeans finds quantiles of "dunnettx" to 5e-4, and "mvt" is Monte Carlo on both
sides, with degrees of freedom cut to whole numbers in R."""


def means_of(case: InferenceCase, request: dict[str, Any], ddf: str):
    return fit_of(case).emmeans(
        request["over"] or "1",
        by=request["by"] or None,
        at=request["at"] or None,
        weights=request["weights"],
        type=request["type"],
        ddf=ddf.replace("_", "-"),
    )


def aligned(found: pd.DataFrame, wanted: dict[str, list[Any]], labels: list[str]) -> pd.DataFrame:
    """R's table in the order of ours, by the labels."""
    table = pd.DataFrame({key: pd.Series(values, dtype=object) for key, values in wanted.items()})
    assert len(table) == len(found)
    key = pd.MultiIndex.from_frame(table[labels].map(text)) if len(labels) > 1 else pd.Index(table[labels[0]].map(text))
    own = found[labels].map(text)
    order = pd.MultiIndex.from_frame(own) if len(labels) > 1 else pd.Index(own[labels[0]])
    return table.set_index(key).loc[order]


def text(value: Any) -> str:
    try:
        return f"{float(value):.6g}"
    except ValueError:
        return str(value)


def column(table: pd.DataFrame, name: str) -> np.ndarray:
    return numbers(table[name].tolist())


@pytest.mark.parametrize(("case", "request_", "ddf"), REQUESTS)
def test_means(case: InferenceCase, request_: dict[str, Any], ddf: str):
    found = means_of(case, request_, ddf)
    labels = [*(request_["over"] or ["1"]), *request_["by"]]
    estimate = "response" if request_["type"] == "response" else "emmean"
    assert list(found.columns) == [*labels, estimate, "SE", "df", "lower.CL", "upper.CL"]
    wanted = request_[ddf]["means"]
    table = aligned(found, wanted, labels)
    known = ~np.isnan(column(table, estimate))
    assert_allclose(np.isnan(found[estimate]), ~known)
    for name, rtol in (("df", tol.DDF_RTOL), (estimate, 1e-6), ("SE", tol.KR_SE_RTOL)):
        assert_allclose(found[name][known], column(table, name)[known], rtol=rtol)
    width = column(table, "upper.CL") - column(table, "lower.CL")
    for end in ("lower.CL", "upper.CL"):
        assert_allclose(found[end][known] / width[known], column(table, end)[known] / width[known], atol=1e-4)


@pytest.mark.parametrize(("case", "request_", "ddf"), [r for r in REQUESTS if r.values[1].get("contrast") is not None])
def test_contrasts(case: InferenceCase, request_: dict[str, Any], ddf: str):
    means = means_of(case, request_, ddf)
    found = means.contrast(request_["contrast"], adjust=request_.get("adjust"))
    wanted = request_[ddf]["contrasts"]
    ratio = "ratio" in wanted
    estimate = "ratio" if ratio else "estimate"
    labels = ["contrast", *request_["by"]]
    table = aligned(found, wanted, labels)
    known = ~np.isnan(column(table, estimate))
    assert_allclose(np.isnan(found[estimate]), ~known)
    scale = np.abs(column(table, estimate)[known]).max()
    assert_allclose(found[estimate][known] / scale, column(table, estimate)[known] / scale, rtol=0, atol=1e-6)
    assert_allclose(found["SE"][known], column(table, "SE")[known], rtol=tol.KR_SE_RTOL)
    assert_allclose(found["df"][known], column(table, "df")[known], rtol=tol.DDF_RTOL)
    assert_allclose(found["t.ratio"][known], column(table, "t.ratio")[known], rtol=1e-4, atol=1e-6)
    adjust = found.attrs["adjust"]
    atol = ADJUSTED.get(adjust, 1e-6)
    # R counts contrasts that cannot be estimated among the tests of their group
    whole = known & ~np.isin(
        *[found[request_["by"]].astype(str).agg("".join, axis=1)[k] for k in (slice(None), ~known)]
    )
    assert_allclose(found["p.value"][whole], column(table, "p.value")[whole], rtol=5e-3, atol=atol)

    limits = found.confint()
    ends = aligned(limits, request_[ddf]["intervals"], labels)
    width = column(ends, "upper.CL") - column(ends, "lower.CL")
    close = 2e-2 if adjust == "mvt" else 2e-3
    for end in ("lower.CL", "upper.CL"):
        assert_allclose(limits[end][whole] / width[whole], column(ends, end)[whole] / width[whole], atol=close)


def test_there_are_requests_of_every_kind():
    assert len(REQUESTS) >= 40
    asked = [r.values[1] for r in REQUESTS]
    assert {r["weights"] for r in asked} == {"equal", "proportional", "outer", "cells"}
    assert {r.get("contrast") for r in asked} >= {"pairwise", "trt.vs.ctrl", "consec", "eff", "poly", None}
    assert any(r["by"] for r in asked)
    assert any(r["at"] for r in asked)


@pytest.fixture(scope="module")
def cake() -> mp.LmmFit:
    return mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", mp.datasets.load("cake"))


def test_balanced_means_are_cell_means(cake):
    cells = mp.datasets.load("cake").groupby("recipe", observed=True)["angle"].mean()
    assert_allclose(cake.emmeans("recipe")["emmean"], cells)


def test_specs_may_be_written_in_several_ways(cake):
    wanted = cake.emmeans(["recipe"], by=["temperature"])
    for specs in ("recipe | temperature", "~ recipe | temperature"):
        pd.testing.assert_frame_equal(pd.DataFrame(cake.emmeans(specs)), pd.DataFrame(wanted))
    together = cake.emmeans("recipe:temperature")
    pd.testing.assert_frame_equal(pd.DataFrame(together), pd.DataFrame(wanted))
    assert len(together.pairs()) == 18 * 17 / 2
    assert len(wanted.pairs()) == 3 * 6


def test_custom_contrasts_and_reverse(cake):
    means = cake.emmeans("recipe")
    custom = means.contrast({"A against the rest": [1, -0.5, -0.5]})
    e = means["emmean"].to_numpy()
    assert custom["estimate"].item() == pytest.approx(e[0] - (e[1] + e[2]) / 2)
    assert_allclose(means.pairs(reverse=True)["estimate"], -means.pairs()["estimate"])
    by_label = means.contrast("trt.vs.ctrl", ref="C")
    assert by_label["contrast"].tolist() == ["A - C", "B - C"]


def test_asymptotic_means_have_infinite_degrees_of_freedom(cake):
    table = cake.emmeans("recipe", ddf=None)
    assert np.isinf(table["df"]).all()
    assert_allclose(table["asymp.UCL"] - table["emmean"], 1.959963985 * table["SE"])
    assert np.isfinite(table.pairs("tukey")["p.value"]).all()
    assert np.isfinite(table.pairs("scheffe").confint()["asymp.UCL"]).all()
    assert "z.ratio" in table.pairs().columns
    assert np.isfinite(table.pairs("mvt")["p.value"]).all()


def test_print_of_means_and_contrasts(cake):
    text = str(cake.emmeans("recipe | temperature"))
    assert text.startswith("temperature = 175:\n recipe emmean   SE   df lower.CL upper.CL\n A        29.1 2.04 77.4")
    assert "Results are averaged" not in text
    averaged = cake.emmeans("recipe")
    assert "Results are averaged over the levels of: temperature" in str(averaged)
    assert "<table" in averaged._repr_html_()
    assert "tukey method for comparing a family of 3 estimates" in str(averaged.pairs())
    assert type(averaged.loc[0:1]) is pd.DataFrame
    assert "Degrees-of-freedom" not in str(averaged.round(2))


def test_sum_contrasts_give_the_same_means():
    data = mp.datasets.load("cake").drop(index=[1, 40, 41, 200])
    formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"
    one, other = mp.lmer(formula, data), mp.lmer(formula, data, contrasts={"recipe": "sum", "temperature": "helmert"})
    assert_allclose(one.emmeans("recipe")["emmean"], other.emmeans("recipe")["emmean"])
    assert_allclose(one.emmeans("recipe")["df"], other.emmeans("recipe")["df"], rtol=1e-3)


def test_expressions_and_splines_in_the_formula():
    sleep = mp.datasets.load("sleepstudy").assign(week=np.repeat([0, 1], 90))
    fit = mp.lmer("Reaction ~ ns(Days, df = 3) + factor(week) + (1 | Subject)", sleep)
    means = fit.emmeans("week", at={"Days": 2.0})
    at_two = fit.predict({"Days": [2.0, 2.0], "week": [0, 1]}, re_form="NA")
    assert_allclose(means["emmean"], at_two)
    pair = fit.emmeans("Days", at={"Days": [0.0, 9.0]}).pairs()
    assert pair["contrast"].tolist() == ["Days0 - Days9"]


def test_transformed_responses_come_back():
    sleep = mp.datasets.load("sleepstudy")
    for response, back in (("sqrt(Reaction)", np.square), ("log(Reaction - 100)", lambda x: np.exp(x) + 100)):
        fit = mp.lmer(f"{response} ~ Days + (1 | Subject)", sleep)
        link = fit.emmeans("Days", at={"Days": [0, 9]})
        means = fit.emmeans("Days", at={"Days": [0, 9]}, type="response")
        assert_allclose(means["response"], back(link["emmean"]))
        assert_allclose(means["upper.CL"], back(link["upper.CL"]))
        assert "not the response" in str(link)
        assert "estimate" in means.pairs().columns


@pytest.mark.parametrize("response", ["scale(Reaction)", "scale(Reaction, center = FALSE)", "center(Reaction)"])
def test_standardized_responses_come_back(response):
    sleep = mp.datasets.load("sleepstudy")
    found = mp.lmer(f"{response} ~ Days + (1 | Subject)", sleep).emmeans("Days", at={"Days": [0, 9]}, type="response")
    wanted = mp.lmer("Reaction ~ Days + (1 | Subject)", sleep).emmeans("Days", at={"Days": [0, 9]})
    assert_allclose(found.to_numpy(), wanted.to_numpy(), rtol=1e-3)
    assert "still on the scale(" in str(found.pairs())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.emmeans("recip"), "no predictor.*did you mean `recipe`"),
        (lambda f: f.emmeans("recipe", by="recipe"), "distinct predictors"),
        (lambda f: f.emmeans(""), "must name"),
        (lambda f: f.emmeans("recipe", weights="even"), "weights='even'.*'proportional'"),
        (lambda f: f.emmeans("recipe", type="mu"), "type='mu'"),
        (lambda f: f.emmeans("recipe", ddf="kr"), "ddf='kr'"),
        (lambda f: f.emmeans("recipe", level=95), "level=95"),
        (lambda f: f.emmeans("recipe", adjust="lsd"), "adjust='lsd'"),
        (lambda f: f.emmeans("recipe", at={"recipe": "D"}), "no level 'D'; it has 'A', 'B', 'C'"),
        (lambda f: f.emmeans("recipe", at={"replicate": 1}), "at: `replicate` is no predictor"),
        (lambda f: f.emmeans("recipe").contrast("all"), "method='all'"),
        (lambda f: f.emmeans("recipe").contrast({"x": [1, -1]}), "3 finite numbers"),
        (lambda f: f.emmeans("recipe").contrast({}), "empty"),
        (lambda f: f.emmeans("recipe").contrast("trt.vs.ctrl", ref="D"), "ref='D' is no mean"),
        (lambda f: f.emmeans("recipe").contrast("trt.vs.ctrl", ref=3), "ref=3 is out of range"),
        (lambda f: f.emmeans([], by="recipe"), "must name"),
        (lambda f: f.emmeans("paired ~ recipe"), "method='paired'"),
        (lambda f: f.emmeans("~ recipe ~ temperature"), "must name distinct predictors"),
        (lambda f: f.emmeans("recipe", level=[0.9, 0.95]), "one number"),
        (lambda f: f.emmeans("recipe").contrasts, "no contrasts were asked for"),
        (lambda f: f.emmeans("recipe").test(np.inf), "null=inf"),
        (lambda f: f.emmeans("recipe").pairs().joint_test(1.0), "depend on one another"),
        (lambda f: f.emtrends("recipe", "temperature"), "`temperature` is a factor"),
        (lambda f: f.emtrends("recipe", "temp"), "`temp` is no predictor"),
        (lambda f: f.emtrends("recipe", "1"), "0 predictors"),
        (lambda f: f.joint_tests(by="replicate"), "by='replicate' is no predictor"),
        (lambda f: f.joint_tests(by=["recipe", "temperature"]), "no predictor with several values"),
    ],
)
def test_bad_input(cake, call, message):
    with pytest.raises((ValueError, mp.MixedpyError), match=message):
        call(cake)


def test_a_response_without_a_known_way_back():
    fit = mp.lmer("I(1000/Reaction) ~ Days + (1 | Subject)", mp.datasets.load("sleepstudy"))
    with pytest.raises(mp.MixedpyError, match="way back from"):
        fit.emmeans("Days", type="response")


def test_a_table_changed_after_the_fit_is_noticed():
    data = mp.datasets.load("cake")
    fit = mp.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", data)
    data.loc[0, "temp"] = 0.0
    for call in (lambda: fit.emmeans("recipe"), fit.anova):
        with pytest.raises(mp.DataError, match="changed since"):
            call()


# --- offsets and weights


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    frame = mp.datasets.load("sleepstudy")
    days = frame["Days"]
    return frame.assign(e=np.exp(days / 5), half=np.where(days < 7, "a", "b"), two=np.where(days % 2, 1.0, 4.0))


def test_an_offset_is_averaged_wherever_it_is_given(sleep):
    total = np.log(sleep["e"]) + sleep["two"]
    means = [
        mp.lmer(f"Reaction ~ half{more} + (1 | Subject)", sleep, offset=given).emmeans("half")
        for more, given in (
            ("", total),
            (" + offset(log(e))", "two"),
            (" + offset(log(e)) + offset(two)", None),
            (" + offset(log(e) + two)", None),
        )
    ]
    for other in means[1:]:
        assert_allclose(other["emmean"], means[0]["emmean"], rtol=1e-8)
    plain = mp.lmer("I(Reaction - log(e) - two) ~ half + (1 | Subject)", sleep).emmeans("half")
    assert_allclose(means[0]["emmean"], plain["emmean"] + total.mean(), rtol=1e-8)


def test_an_offset_is_no_predictor(sleep):
    fit = mp.lmer("Reaction ~ half + offset(two) + (1 | Subject)", sleep)
    assert "averaged over" not in str(fit.emmeans("half"))
    with pytest.raises(mp.DataError, match="`two` is in an offset only"):
        fit.emmeans("half", at={"two": 1.0})
    both = mp.lmer("Reaction ~ half + two + offset(two) + (1 | Subject)", sleep)
    low, high = (both.emmeans("1", at={"two": value})["emmean"].item() for value in (1.0, 4.0))
    assert high - low == pytest.approx(3 * both.fixef["two"])


@pytest.mark.parametrize("weights", ["proportional", "outer", "cells"])
def test_weights_are_numbers_of_rows(sleep, weights):
    table = sleep.iloc[7:].assign(w=np.random.default_rng(3).uniform(0.2, 5, 173))
    fit = mp.lmer("Reaction ~ half + factor(two) + (1 | Subject)", table, weights="w")
    ones = table["two"] == 1
    share = np.asarray(ones.groupby(table["half"]).mean() if weights == "cells" else ones.mean())
    low, high = (fit.emmeans("half", at={"two": value})["emmean"].to_numpy() for value in (1.0, 4.0))
    assert_allclose(fit.emmeans("half", weights=weights)["emmean"], share * low + (1 - share) * high)


# --- slopes


def test_slopes_are_coefficients(sleep):
    fit = mp.lmer("Reaction ~ half * Days + (1 | Subject)", sleep)
    found = fit.emtrends("pairwise ~ half", "Days")
    slopes = fit.fixef["Days"] + np.array([0.0, fit.fixef["halfb:Days"]])
    assert_allclose(found["Days.trend"], slopes, rtol=1e-8)
    pvalue = fit.summary().tables["fixed"].loc["halfb:Days", "Pr(>|t|)"]
    assert found.contrasts["p.value"].item() == pytest.approx(pvalue, rel=1e-6)
    assert found._repr_html_().count("<table>") == 2


@pytest.mark.parametrize("term", ["poly(Days, 2)", "Days + I(Days^2)", "ns(Days, df = 4)", "log(Days + 1)"])
def test_slopes_of_curves_are_derivatives(sleep, term):
    fit = mp.lmer(f"Reaction ~ {term} + (1 | Subject)", sleep)
    x, h = np.array([1.0, 4.5, 8.0]), 1e-3
    near = [fit.predict({"Days": x + side}, re_form="NA").to_numpy() for side in (-h, h)]
    found = fit.emtrends("Days", "Days", at={"Days": x})
    assert_allclose(found["Days.trend"], (near[1] - near[0]) / (2 * h), rtol=1e-4)
    changed = fit.emtrends("Days", "exp(Days / 3)", at={"Days": x})
    assert_allclose(changed["exp(Days / 3).trend"], found["Days.trend"] * 3 / np.exp(x / 3), rtol=1e-4)


def test_slopes_that_cannot_be_estimated(sleep):
    table = sleep.assign(late=np.where(sleep["Days"] == 9, "yes", "no"))
    with pytest.warns(mp.RankDeficiencyWarning):
        fit = mp.lmer("Reaction ~ late * Days + (1 | Subject)", table)
    found = fit.emtrends("late", "Days")
    assert found["Days.trend"].isna().tolist() == [False, True]
    assert "nonEst" in str(found)


def test_an_expression_without_a_slope_is_refused(sleep):
    fit = mp.lmer("Reaction ~ half * Days + (1 | Subject)", sleep)
    with pytest.raises(mp.DataError, match="no finite, changing values"):
        fit.emtrends("half", "log(Days - 20)")
    with pytest.raises(mp.DataError, match="2 predictors"):
        fit.emtrends("half", "Days * e")


# --- joint tests


def test_joint_tests_are_those_of_type_three():
    data = mp.datasets.load("cake").drop(index=[1, 40, 41, 200])
    fit = mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", data)
    found, wanted = fit.joint_tests(), fit.anova()
    assert found["model term"].tolist() == list(wanted.index)
    assert_allclose(found["F.ratio"], wanted["F value"], rtol=1e-8)
    assert_allclose(found["df1"], wanted["NumDF"])
    assert_allclose(fit.joint_tests(ddf=None)["df2"], np.inf)


@pytest.mark.filterwarnings("ignore::mixedpy.SingularFitWarning")
def test_many_predictors():
    rng = np.random.default_rng(1)
    names = [f"x{k}" for k in range(18)]
    data = pd.DataFrame(rng.normal(size=(120, 18)), columns=names).assign(y=rng.normal(size=120), g=np.arange(120) % 10)
    fit = mp.lmer(f"y ~ {' + '.join(names)} + (1 | g)", data)
    with pytest.raises(mp.DataError, match="262,144 combinations, more than 100,000; hold some at one value with at="):
        fit.joint_tests()
    found = fit.joint_tests(at=dict.fromkeys(names[10:], 0.0))
    assert found["model term"].tolist() == names[:10]
    assert_allclose(found["F.ratio"], fit.summary().tables["fixed"]["t value"].iloc[1:11] ** 2)


@pytest.fixture(scope="module")
def gap() -> pd.DataFrame:
    data = mp.datasets.load("cake")
    return data[(data["recipe"] != "A") | (data["temperature"] != "195")]


def test_weights_by_cells_where_a_cell_is_empty(gap):
    with pytest.warns(mp.RankDeficiencyWarning):
        fit = mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", gap)
    found = fit.joint_tests(weights="cells").set_index("model term")
    assert found.index.tolist() == ["recipe", "temperature", "recipe:temperature"]
    assert found["df1"].tolist() == [2, 5, 9]
    assert found["note"].tolist() == ["", "", "   e"]
    for term in ("recipe", "temperature"):
        means = fit.emmeans(term, weights="cells").pairs().joint_test()
        assert found.loc[term, "F.ratio"] == pytest.approx(means["F.ratio"].iloc[0])
    # cells themselves have no weights
    equal = fit.joint_tests().set_index("model term")
    assert found.loc["recipe:temperature", "F.ratio"] == pytest.approx(equal.loc["recipe:temperature", "F.ratio"])
    additive = mp.lmer("angle ~ recipe + temperature + (1 | recipe:replicate)", gap)
    cells = additive.emmeans("recipe:temperature", weights="cells")
    assert_allclose(cells["emmean"], additive.emmeans("recipe:temperature")["emmean"])


@pytest.mark.parametrize(("adjust", "said"), [("sidak", "for 17 estimates"), ("scheffe", "with rank 17")])
def test_what_cannot_be_estimated_is_not_counted(gap, adjust, said):
    with pytest.warns(mp.RankDeficiencyWarning):
        fit = mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", gap)
    means = fit.emmeans("recipe:temperature")
    found = means.confint(adjust=adjust)
    assert f"Conf-level adjustment: {adjust} method {said}" in str(found)
    own = fit.emmeans("recipe | temperature").contrast("consec", adjust=adjust)
    assert ("for 2 tests" if adjust == "sidak" else "with rank 2") in str(own)


def test_simple_effects_are_joint_tests_of_means(cake):
    found = cake.joint_tests(by="recipe")
    assert found["recipe"].tolist() == ["A", "B", "C"]
    pairs = cake.emmeans("temperature | recipe").pairs().joint_test()
    assert_allclose(found["F.ratio"], pairs["F.ratio"])
    assert "recipe = A:" in str(found)
    assert pairs["note"].tolist() == [" d"] * 3


def test_a_note_where_a_mean_hides_an_interaction(cake):
    note = "NOTE: Results may be misleading"
    assert note in str(cake.emmeans("recipe"))
    assert note in str(cake.emmeans("recipe").pairs())
    assert note in cake.emmeans("recipe")._repr_html_()
    assert note not in str(cake.emmeans("recipe:temperature"))
    assert note not in str(cake.emmeans("1"))


def test_only_true_contrasts_of_logarithms_are_ratios(sleep):
    means = mp.lmer("log(Reaction) ~ half + (1 | Subject)", sleep).emmeans("half", type="response")
    assert list(means.pairs().columns) == ["contrast", "ratio", "SE", "df", "null", "t.ratio", "p.value"]
    total = means.contrast({"sum": [1, 1]})
    assert "estimate" in total.columns
    assert "still on the log scale" in str(total)


@pytest.mark.parametrize("null", ["a", [1.0, 2.0], float("nan"), None])
def test_a_null_that_is_no_number(cake, null):
    for table in (cake.emmeans("recipe"), cake.emmeans("recipe").pairs()):
        with pytest.raises(ValueError, match=r"null=.* must be a number"):
            table.test(null=null)
        with pytest.raises(ValueError, match=r"null=.* must be a number"):
            table.joint_test(null=null)


def test_groups_of_simple_effects_are_named_once(cake):
    with pytest.raises(mp.DataError, match="must name distinct predictors"):
        cake.joint_tests(by=["recipe", "recipe"])


def test_levels_of_numbers_and_times_by_their_values(sleep):
    start = pd.Timestamp("2020-01-01")
    table = sleep.assign(
        third=pd.Categorical((sleep["Days"] % 3).astype(int)), day=start + pd.to_timedelta(sleep["Days"], "D")
    )
    fits = {name: mp.lmer(f"Reaction ~ factor({name}) + (1 | Subject)", table) for name in ("third", "day")}
    for name, values, labels in (
        ("third", [2, 0], ["2", "0"]),
        ("third", np.array([1]), ["1"]),
        ("day", start + pd.Timedelta(1, "D"), ["2020-01-02"]),
        ("day", ["2020-01-03"], ["2020-01-03"]),
    ):
        found = fits[name].emmeans(name, at={name: values})
        assert found[name].tolist() == labels
    for name, value in (("third", 5), ("third", "x"), ("day", start - pd.Timedelta(1, "D")), ("third", np.nan)):
        with pytest.raises(mp.DataError, match=f"at: `{name}` has no level"):
            fits[name].emmeans(name, at={name: [value]})
