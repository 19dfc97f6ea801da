"""Nothing that a user does to a fit changes it, and whoever tries is told so in a sentence."""

import copy
import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

import mixedpy as mp


@pytest.fixture(scope="module")
def linear() -> mp.LmmFit:
    return mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def generalized() -> mp.GlmmFit:
    return mp.glmer("cbind(incidence, size - incidence) ~ period + (1 | herd)", mp.datasets.load("cbpp"))


@pytest.fixture(params=["linear", "generalized"])
def fit(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("name", ["fixef", "record", "deviance", "note"])
def test_attributes_cannot_be_set(fit, name):
    with pytest.raises(FrozenInstanceError, match=rf"^`{name}` cannot be set: this {type(fit).__name__} is frozen"):
        setattr(fit, name, 1)
    with pytest.raises(FrozenInstanceError, match=f"`{name}` cannot be deleted"):
        delattr(fit, name)


def test_other_results_are_frozen_too(linear):
    prepared = mp.prepare("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
    many = prepared.fit_many(prepared.fit().simulate(2, seed=1))
    for result in (mp.Control(), prepared, many, linear.power("Days", 2, seed=1), linear.bootstrap(2, seed=1)):
        with pytest.raises(FrozenInstanceError, match=type(result).__name__):
            result.nobs = 1


def arrays_of(part):
    for field in fields(part):
        value = getattr(part, field.name)
        yield from (item for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, np.ndarray))


def test_arrays_cannot_be_written(fit):
    parts = [fit.record, fit.record.convergence, fit.design, *fit.design.terms]
    found = [array for part in parts for array in arrays_of(part)]
    assert len(found) >= 10
    for array in [*found, fit.schema.rows]:
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 0


@pytest.mark.parametrize("again", [copy.deepcopy, lambda fit: pickle.loads(pickle.dumps(fit))], ids=["copy", "pickle"])
def test_copies_are_as_they_were(fit, again):
    other = again(fit)
    assert other.record.beta.tolist() == fit.record.beta.tolist()
    for part in (other.record, other.record.convergence, other.design, *other.design.terms):
        for array in arrays_of(part):
            assert not array.flags.writeable


def test_what_a_user_computes_with_is_a_copy(fit):
    before = fit.fixef.to_numpy().copy()
    for table in (fit.fixef, fit.theta, *fit.ranef().values()):
        table.iloc[0] = np.nan
    np.testing.assert_array_equal(fit.fixef, before)
    assert np.isfinite(fit.theta).all()


def test_arrays_of_the_caller_stay_writable():
    dyestuff = mp.datasets.load("Dyestuff")
    data = {"y": dyestuff["Yield"].to_numpy().copy(), "g": dyestuff["Batch"].cat.codes.to_numpy().copy()}
    weights = np.ones(len(dyestuff))
    fit = mp.lmer("y ~ 1 + (1 | g)", data, weights=weights)
    y = data["y"].astype(float)
    again = fit.refit(y)
    for array in (*data.values(), weights, y):
        array[:] = 1
    assert again.design.y.std() > 1


@pytest.mark.parametrize(
    ("setting", "value", "error", "said"),
    [
        ("max_iterations", "a", TypeError, "max_iterations='a'.*whole number of at least 1"),
        ("max_iterations", True, TypeError, "whole number"),
        ("max_iterations", 0, ValueError, "at least 1"),
        ("tol", "a", TypeError, "tol='a'.*number, positive"),
        ("tol", 0.0, ValueError, "tol=0.0.*positive"),
        ("tol", float("inf"), ValueError, "positive"),
        ("tol", float("nan"), ValueError, "positive"),
        ("singular_tol", None, TypeError, "singular_tol=None.*zero or positive"),
        ("singular_tol", -1e-4, ValueError, "zero or positive"),
        ("probes", 2.5, TypeError, "probes=2.5.*whole number of at least 2"),
        ("probes", 1, ValueError, "at least 2"),
        ("seed", "x", TypeError, "seed='x'.*whole number"),
        ("seed", -1, ValueError, "at least 0"),
        ("cg_tol", "x", TypeError, "cg_tol='x'"),
        ("cg_tol", 1.0, ValueError, "1e-5 at most"),
        ("finish", 1, TypeError, "finish=1.*True or False"),
        ("factorization", [], ValueError, "factorization="),
    ],
)
def test_settings_are_checked(setting, value, error, said):
    with pytest.raises(error, match=said):
        mp.Control(**{setting: value})


def test_numbers_of_numpy_are_settings():
    control = mp.Control(max_iterations=np.int64(7), tol=np.float32(1e-6), singular_tol=0)
    assert control.max_iterations == 7
