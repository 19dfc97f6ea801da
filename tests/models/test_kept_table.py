"""Whatever reads the table of a fit again refuses one that was changed after the fit."""

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp


def table() -> pd.DataFrame:
    data = mp.datasets.load("sleepstudy")
    return data.assign(w=np.linspace(0.5, 1.5, len(data)), other=1.0)


def fitted(data, **options) -> mp.LmmFit:
    return mp.lmer("Reaction ~ Days + (Days | Subject)", data, **{"weights": "w", **options})


def readers(fit, folder):
    return {
        "augment": fit.augment,
        "effects": fit.plot.effects,
        "trajectories": fit.plot.trajectories,
        "ranova": fit.ranova,
        "save": lambda: fit.save(folder / "model.fit"),
        "report": lambda: fit.report(folder / "page.html"),
        "emmeans": lambda: fit.emmeans("Days"),
        "emtrends": lambda: fit.emtrends("1", "Days"),
        "joint_tests": fit.joint_tests,
    }


READERS = list(readers(fitted(table()), None))


@pytest.mark.parametrize("reader", READERS)
def test_a_changed_column_is_noticed(reader, tmp_path):
    data = table()
    fit = fitted(data)
    readers(fit, tmp_path)[reader]()
    data["Days"] = data["Days"] + 1
    with pytest.raises(mp.DataError, match=r"the table has been changed since the model was fitted to it.*`Days`"):
        readers(fit, tmp_path)[reader]()


def test_a_fit_of_marginaleffects_notices_as_well():
    pytest.importorskip("marginaleffects")
    from mixedpy.adapters.marginaleffects import as_model

    data = table()
    fit = fitted(data)
    data["Days"] = 0
    with pytest.raises(mp.DataError, match="has been changed"):
        as_model(fit)


def _all_zero(data):
    data["Days"] = 0


def _reverse(data):
    data["Subject"] = data["Subject"].to_numpy()[::-1]


def _lose(data):
    data.loc[data.index[3], "Reaction"] = np.nan


def _remove(data):
    del data["Days"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_all_zero, "restore the columns of Days"),
        (_reverse, "restore `Subject`"),
        (_lose, "its 180 rows, of which 180 had no missing value"),
        (_remove, "no column `Days`"),
        (lambda data: data.__setitem__("Reaction", data["Reaction"] + 1), "restore `Reaction`"),
        (lambda data: data.__setitem__("w", 1.0), "restore the weights"),
    ],
)
def test_the_message_names_what_was_changed(change, said):
    data = table()
    fit = fitted(data)
    change(data)
    with pytest.raises(mp.DataError, match=said):
        fit.augment()


def test_levels_of_a_varying_effect():
    data = table().assign(late=lambda t: np.where(t["Days"] > 4, "late", "early"))
    fit = mp.lmer("Reaction ~ Days + (0 + late | Subject)", data)
    data["late"] = np.where(data["Days"] > 4, "late", "soon")
    with pytest.raises(mp.DataError, match="restore the effects that vary over `Subject`"):
        fit.ranova()


def test_arrays_given_beside_the_table_count_as_part_of_it():
    data = table()
    weights = data["w"].to_numpy().copy()
    fit = fitted(data, weights=weights)
    weights[0] = 7
    with pytest.raises(mp.DataError, match="restore the weights"):
        fit.augment()


def test_what_the_model_does_not_read_may_change(tmp_path):
    data = table()
    fit = fitted(data)
    data["other"] = 0.0
    data["more"] = 1
    for reader in readers(fit, tmp_path).values():
        reader()


def test_refits_and_saved_fits_have_their_table(tmp_path):
    data = table()
    fit = mp.lmer("Reaction ~ poly(Days, 2) + (1 | Subject)", data)
    y = fit.simulate(seed=1)["sim_1"]
    again = fit.refit(y)
    np.testing.assert_array_equal(again.augment()["Reaction"], y)
    np.testing.assert_allclose(again.augment().eval("Reaction - `.fitted` - `.resid`"), 0.0, atol=1e-9)
    again.save(tmp_path / "model.fit")
    loaded = mp.load(tmp_path / "model.fit")
    pd.testing.assert_frame_equal(loaded.augment(), again.augment())


COUNTS = "total.fruits ~ amd + status + (1 | gen)"


def counts(**options) -> tuple[pd.DataFrame, mp.GlmmFit]:
    data = mp.datasets.load("Arabidopsis").iloc[::3].copy()
    return data, mp.glmer(COUNTS, data, family="poisson", **options)


@pytest.mark.parametrize("reader", ["augment", "anova", "drop1", "ranova", "joint_tests"])
def test_a_generalized_fit_notices_a_changed_column(reader):
    data, fit = counts()
    getattr(fit, reader)()
    data["amd"] = data["amd"].to_numpy()[::-1]
    with pytest.raises(mp.DataError, match=r"restore .*amd"):
        getattr(fit, reader)()


@pytest.mark.parametrize(
    ("zeros", "change", "said"),
    [
        ("~ rack", lambda column: column[::-1], "restore `rack` of the zeros"),
        ("~ nutrient + popu", lambda column: column[::-1], "restore `nutrient` of the zeros"),
        ("~ factor(rack)", lambda column: 10 * column, "restore the columns of the zeros' formula"),
    ],
)
def test_columns_of_the_zeros_are_part_of_the_table(zeros, change, said):
    data, fit = counts(ziformula=zeros)
    fit.augment()
    name = "nutrient" if "nutrient" in zeros else "rack"
    data[name] = change(data[name].to_numpy())
    for reader in (fit.augment, fit.drop1, lambda: fit.emmeans("amd")):
        with pytest.raises(mp.DataError, match=said):
            reader()


def test_refits_of_counts_have_other_trials_than_the_table(tmp_path):
    data = mp.datasets.load("cbpp")
    fit = mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", data)
    counts = np.column_stack([data["incidence"] + 1, data["size"]])
    again = fit.refit(counts)
    new = data.assign(incidence=counts[:, 0], size=counts.sum(1))
    direct = mp.glmer(fit.formula, new)
    pd.testing.assert_frame_equal(again.emmeans("period"), direct.emmeans("period"), rtol=1e-7)
    again.save(tmp_path / "model.fit")
    pd.testing.assert_frame_equal(mp.load(tmp_path / "model.fit").emmeans("period"), again.emmeans("period"))
    data["period"] = data["period"].to_numpy()[::-1]
    with pytest.raises(mp.DataError, match="restore `period2`"):
        again.emmeans("period")
