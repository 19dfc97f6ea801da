"""Drawing: every kind of plot from its record or its fit, rendered to PNG; numbers in the axes are those of the fit."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.image import imread  # noqa: E402

from mixedpy.report.plots.ranef import normal_quantiles  # noqa: E402
from mixedpy.report.plots.residuals import local_line  # noqa: E402
from mixedpy.report.plots.style import flat  # noqa: E402

KINDS = ("ranef", "shrinkage", "trajectories", "variance", "residuals", "qq", "effects")


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def load(name: str) -> pd.DataFrame:
    return mp.datasets.load(name)


@pytest.fixture(scope="module")
def models() -> dict[str, mp.LmmFit]:
    arabidopsis = load("Arabidopsis")
    machines = pd.DataFrame({"a b": np.tile(np.arange(6.0), 30), "f": np.tile(list("xyz"), 60)})
    rng = np.random.default_rng(5)
    machines["g"] = np.repeat([f"${k}_{{" for k in range(12)], 15)  # dollar signs that are no formulas
    machines["flag"] = rng.random(180) < 0.4
    machines["y"] = rng.normal(size=180) + np.repeat(rng.normal(size=12), 15) + machines["a b"] * 0.3
    machines.loc[[4, 90], "y"] = np.nan
    return {
        "sleepstudy": mp.lmer("Reaction ~ Days + (Days | Subject)", load("sleepstudy")),
        "penicillin": mp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", load("Penicillin")),
        "cake": mp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", load("cake")),
        "arabidopsis": mp.lmer("log(total.fruits + 1) ~ nutrient + amd + rack + status + (1 | popu/gen)", arabidopsis),
        "odd names": mp.lmer(
            "exp(y / 9) ~ log(`a b` + 1) * f + flag + offset(`a b` / 99) + (`a b` || g)", machines, na_action="exclude"
        ),
    }


def render(drawn: Any) -> np.ndarray:
    """Draw the figure to PNG and read it back; the warning of a missing glyph or a failed layout is an error."""
    buffer = io.BytesIO()
    flat(drawn)[0].figure.savefig(buffer, format="png", dpi=60)
    buffer.seek(0)
    return imread(buffer)


def assert_drawn(drawn: Any) -> None:
    picture = render(drawn)
    assert picture.shape[0] > 50
    ink = (picture[:, :, :3].min(axis=2) < 0.9).mean()
    assert 0.005 < ink < 0.9


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["sleepstudy", "penicillin", "cake", "arabidopsis", "odd names"])
def test_every_plot_of_every_model(models: dict[str, mp.LmmFit], name: str, kind: str):
    plot = getattr(models[name].plot, kind)
    if name == "penicillin" and kind in ("effects", "trajectories"):
        with pytest.raises(mp.DataError, match="predictor"):
            plot()
        return
    drawn = plot()
    assert_drawn(drawn)
    for axes in flat(drawn):
        assert isinstance(axes, Axes)
        assert axes.get_xlabel() or axes.figure.get_supxlabel()


@pytest.mark.parametrize("kind", KINDS)
def test_plots_on_the_callers_axes(models: dict[str, mp.LmmFit], kind: str):
    fit = models["sleepstudy"]
    options = {"levels": ["308", "372"]} if kind == "trajectories" else {}
    n = len(flat(getattr(fit.plot, kind)(**options)))
    _, axes = plt.subplots(1, n, squeeze=False)
    given = axes.ravel() if n > 1 else axes[0, 0]
    drawn = getattr(fit.plot, kind)(ax=given, **options)
    assert flat(drawn) == list(axes.ravel())
    assert_drawn(drawn)
    _, more = plt.subplots(1, n + 1)
    with pytest.raises(ValueError, match=f"{n + 1} axes, but the plot has {n} panels"):
        getattr(fit.plot, kind)(ax=more, **options)


def test_the_users_settings_stay(models: dict[str, mp.LmmFit]):
    before = dict(plt.rcParams)
    models["sleepstudy"].plot.residuals()
    assert dict(plt.rcParams) == before


def test_caterpillar_shows_modes_and_intervals(models: dict[str, mp.LmmFit]):
    fit = models["sleepstudy"]
    panels = flat(fit.plot.ranef(level=0.5))
    table = fit.ranef(condvar=True)["Subject"].sort_values("(Intercept)")
    for panel, effect in zip(panels, ["(Intercept)", "Days"], strict=True):
        points = next(line for line in panel.lines if len(line.get_xdata()) == 18)
        np.testing.assert_array_equal(points.get_xdata(), table[effect])
        half = np.diff([segment[:, 0] for segment in panel.collections[0].get_segments()], axis=1)[:, 0] / 2
        np.testing.assert_allclose(half, 0.6744897501960817 * table[f"{effect}_sd"])
    assert [label.get_text() for label in panels[0].get_yticklabels()] == list(table.index)
    unsorted = flat(fit.plot.ranef(sort=False, effects=["Days"]))
    assert [label.get_text() for label in unsorted[0].get_yticklabels()][::-1] == list(fit.ranef()["Subject"].index)


def test_shrinkage_goes_from_least_squares_to_the_mixed_model(models: dict[str, mp.LmmFit]):
    fit = models["sleepstudy"]
    panel = flat(fit.plot.shrinkage())[0]
    lines = {line.get_label(): line.get_xydata() for line in panel.lines}
    np.testing.assert_allclose(lines["partial pooling"], fit.coef()["Subject"][["(Intercept)", "Days"]])
    data = load("sleepstudy")
    alone = [np.polyfit(rows["Days"], rows["Reaction"], 1)[::-1] for _, rows in data.groupby("Subject", observed=True)]
    np.testing.assert_allclose(lines["no pooling"], alone)
    np.testing.assert_allclose(lines["fixed effects"], [fit.fixef])


def test_shrinkage_leaves_out_levels_without_an_estimate():
    data = load("sleepstudy")
    data = data[(data["Subject"] != "308") | (data["Days"] == 0)]
    fit = mp.lmer("Reaction ~ Days + (Days | Subject)", data)
    panel = flat(fit.plot.shrinkage())[0]
    assert "1 of 18 levels alone do not determine" in panel.texts[0].get_text()
    assert len(next(line for line in panel.lines if line.get_label() == "no pooling").get_xdata()) == 17


def test_trajectories_are_predictions(models: dict[str, mp.LmmFit]):
    fit = models["sleepstudy"]
    panel = flat(fit.plot.trajectories(levels=["335"]))[0]
    rows, population, conditional = panel.lines
    data = load("sleepstudy").query("Subject == '335'")
    np.testing.assert_array_equal(rows.get_xydata(), data[["Days", "Reaction"]])
    grid = conditional.get_xdata()
    new = {"Days": grid, "Subject": ["335"] * len(grid)}
    np.testing.assert_allclose(conditional.get_ydata(), fit.predict(new))
    np.testing.assert_allclose(population.get_ydata(), fit.predict(new, re_form="NA"))


def test_trajectories_of_many_levels_say_so():
    fit = mp.lmer("y ~ studage + (1 | d)", load("InstEval").head(8000))
    drawn = flat(fit.plot.trajectories(most=9))
    assert len(drawn) == 9
    assert "9 of" in drawn[0].figure.get_supxlabel()
    single = fit.plot.trajectories(overlay=True, most=30)
    assert isinstance(single, Axes)
    assert_drawn(single)
    assert_drawn(fit.plot.ranef())
    assert_drawn(fit.plot.shrinkage())


def test_effects_average_over_the_data(models: dict[str, mp.LmmFit]):
    """Against predictions for the whole table with the column set, and their delta-method errors by hand."""
    fit = models["arabidopsis"]
    panel = flat(fit.plot.effects("rack", level=0.9))[0]
    line = panel.lines[0]
    data = load("Arabidopsis")
    wanted = [fit.predict(data.assign(rack=value), re_form="NA").mean() for value in line.get_xdata()]
    np.testing.assert_allclose(line.get_ydata(), wanted)
    band = panel.collections[0].get_paths()[0].vertices
    top = band[np.isclose(band[:, 0], line.get_xdata()[-1]), 1].max()
    X = np.column_stack([fit.design.columns[c] for c in fit.design.fixed])
    X[:, list(fit.schema.fixed_names).index("rack")] = line.get_xdata()[-1]
    se = np.sqrt(X.mean(0) @ fit.vcov().to_numpy() @ X.mean(0))
    assert top == pytest.approx(wanted[-1] + 1.6448536269514722 * se)


def test_effects_by_a_second_predictor(models: dict[str, mp.LmmFit]):
    fit = models["cake"]
    panel = flat(fit.plot.effects("temperature", by="recipe"))[0]
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["A", "B", "C"]
    means = load("cake").groupby(["recipe", "temperature"], observed=True)["angle"].mean().unstack()
    drawn = np.array([container[0].get_ydata() for container in panel.containers])
    np.testing.assert_allclose(drawn, means)  # the interaction is saturated and the data are balanced
    curves = flat(models["odd names"].plot.effects("a b", by="f"))[0]
    assert len(curves.lines) == 4  # three curves and the rug


def test_variance_shares(models: dict[str, mp.LmmFit]):
    fit = models["penicillin"]
    panel = flat(fit.plot.variance())[0]
    variance = fit.varcorr().to_frame()["vcov"].to_numpy()
    np.testing.assert_allclose([bar.get_width() for bar in panel.patches], variance / variance.sum())
    assert f"ICC = {fit.icc():.3f}" in panel.get_title()


def test_residual_panels(models: dict[str, mp.LmmFit]):
    fit = models["sleepstudy"]
    against, spread, quantiles, by_group = flat(fit.plot.residuals())
    scaled = fit.residuals("scaled").to_numpy()
    np.testing.assert_allclose(against.lines[1].get_xydata(), np.column_stack([fit.fitted, scaled]))
    np.testing.assert_allclose(spread.lines[0].get_ydata(), np.sqrt(np.abs(scaled)))
    np.testing.assert_allclose(quantiles.lines[-1].get_ydata(), np.sort(scaled))
    medians = pd.Series(scaled).groupby(load("sleepstudy")["Subject"].to_numpy()).median()
    np.testing.assert_allclose(by_group.lines[-1].get_ydata(), np.sort(medians))


@pytest.mark.parametrize("kind", ["zeta", "density"])
def test_profiles(models: dict[str, mp.LmmFit], kind: str):
    fit = models["penicillin"]
    drawn = fit.plot.profile(kind=kind)
    assert [axes.get_xlabel() for axes in flat(drawn)] == [".sig01", ".sig02", ".sigma", "(Intercept)"]
    assert_drawn(drawn)
    mine = plt.subplots()[1]
    assert fit.plot.profile(".sigma", kind=kind, ax=mine) is mine
    assert_drawn(mine)


def test_normal_quantiles_and_band_have_their_probabilities():
    """The band of a normal sample holds each ordered value with its level, in 4,000 samples."""
    rng = np.random.default_rng(11)
    n, level = 18, 0.8
    samples = np.sort(rng.normal(size=(4000, n)), axis=1)
    np.testing.assert_allclose(samples.mean(0), normal_quantiles(n), atol=0.06)
    panel = plt.subplots()[1]
    from mixedpy.report.plots.ranef import quantile_band

    quantile_band(panel, samples[0], level)
    vertices = panel.collections[0].get_paths()[0].vertices
    for x, values in zip(normal_quantiles(n), samples.T, strict=True):
        edges = vertices[np.isclose(vertices[:, 0], x), 1]
        inside = ((values > edges.min()) & (values < edges.max())).mean()
        assert inside == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 4000))


def test_the_smooth_follows_a_curve():
    x = np.linspace(0, 10, 400)
    grid, smooth = local_line(x, np.sin(x / 3))
    assert np.abs(smooth - np.sin(grid / 3)).max() < 0.15
    grid, smooth = local_line(np.repeat([1.0, 2.0], 20), np.repeat([5.0, 7.0], 20))
    np.testing.assert_allclose(smooth[[0, -1]], [5.0, 7.0], atol=0.2)
    assert np.isfinite(local_line(np.ones(30), np.arange(30.0))[1]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.ranef("Subjet"), "group='Subjet' is no grouping factor of the fit; it has Subject"),
        (lambda p: p.ranef(effects=["Day"]), "it has .Intercept., Days"),
        (lambda p: p.ranef(level=95), "level=95 must lie between 0 and 1"),
        (lambda p: p.shrinkage(effects=["Days", "(Intercept)", "Days"]), "room for one or two"),
        (lambda p: p.effects("Subject"), "`Subject` is no predictor of the fixed part; it has Days"),
        (lambda p: p.effects(by="Days"), "no predictor to draw over beside `Days`"),
        (lambda p: p.trajectories("x"), "`x` is no predictor of the model; it has Days"),
        (lambda p: p.trajectories(levels=["999"]), r"levels=\['999'\] are not levels of Subject"),
    ],
)
def test_mistakes_are_named(models: dict[str, mp.LmmFit], call: Any, message: str):
    with pytest.raises(ValueError, match=message):
        call(models["sleepstudy"].plot)


def test_an_offset_given_as_an_array_cannot_be_extended():
    fit = mp.lmer("Reaction ~ Days + (1 | Subject)", load("sleepstudy"), offset=np.ones(180))
    with pytest.raises(mp.DataError, match="offset given as an array"):
        fit.plot.trajectories()
    assert_drawn(fit.plot.effects())


def test_without_matplotlib_the_error_names_the_remedy(models: dict[str, mp.LmmFit], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(mp.MixedpyError, match=r'pip install "mixedpy\[plots\]"'):
        models["sleepstudy"].plot.ranef()


def test_levels_that_a_filtered_table_lacks():
    """The curves of a table whose category has unused levels are those of the table without them."""
    whole = load("cake")
    some = whole[whole["recipe"] != "B"]
    formula = "angle ~ recipe + temp + (1 | replicate)"
    kept, dropped = (
        mp.lmer(formula, data) for data in (some, some.assign(recipe=some["recipe"].cat.remove_unused_categories()))
    )
    assert list(kept.augment()["recipe"].cat.categories) == ["A", "C"]

    def drawn(fit: mp.LmmFit) -> Iterator[list[np.ndarray]]:
        for axes in (
            fit.plot.effects(),
            fit.plot.effects("recipe"),
            fit.plot.effects("temp", by="recipe"),
            fit.plot.effects("recipe", by="temp"),
            fit.plot.trajectories("recipe"),
            fit.plot.trajectories("temp"),
        ):
            yield [line.get_xydata() for panel in flat(axes) for line in panel.lines]

    for seen, wanted in zip(drawn(kept), drawn(dropped), strict=True):
        for one, other in zip(seen, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_numbers_that_are_levels():
    fit = mp.lmer("Reaction ~ factor(Days) + (1 | Subject)", load("sleepstudy"))
    panel = flat(fit.plot.effects())[0]
    assert [label.get_text() for label in panel.get_xticklabels()] == [str(day) for day in range(10)]
    new = {"Days": np.arange(10)}
    np.testing.assert_allclose(panel.containers[0][0].get_ydata(), fit.predict(new, re_form="NA"))
    panel = flat(fit.plot.trajectories("Days", levels=["335"]))[0]
    np.testing.assert_allclose(
        panel.lines[-1].get_ydata(), fit.predict({**new, "Subject": ["335"] * 10}), err_msg="fitted means of the level"
    )
