"""Generalized fits written to files and read back; the container itself is tested with linear fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixedpy as mp
from mixedpy.core import family as families
from mixedpy.models.storage.codec import FAMILIES
from tests.models.test_storage import HOSTILE, leaves, pack, unpack, with_manifest

FITS: dict[str, Callable[[], mp.GlmmFit]] = {
    "cbind": lambda: mp.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        mp.datasets.load("cbpp"),
        family="binomial(probit)",
        laplace="expected",
    ),
    "dispersion": lambda: mp.glmer(
        "Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"), family="gamma(log)"
    ),
    "zeros": lambda: mp.glmer(
        "total.fruits ~ nutrient + amd + (1 | gen)",
        mp.datasets.load("Arabidopsis"),
        family="nbinom2",
        ziformula="~ amd + log(rack)",
    ),
    "hurdle": lambda: mp.glmer(
        "total.fruits ~ nutrient + (1 | gen)", mp.datasets.load("Arabidopsis"), family="hurdle_poisson"
    ),
    "quadrature": lambda: mp.glmer_nb(
        "TICKS ~ YEAR + offset(HEIGHT / 500) + (1 | BROOD)", mp.datasets.load("grouseticks"), nagq=5
    ),
    "text": lambda: mp.glmer("r2 ~ Anger + (1 | id)", mp.datasets.load("VerbAgg").head(1500), nagq=0),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "zeros.fit"
    FITS["zeros"]().save(path)
    return path.read_bytes()


@pytest.mark.parametrize("name", FITS)
def test_a_fit_comes_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    fit = FITS[name]()
    fit.save(tmp_path / "a.fit")
    other = mp.load(tmp_path / "a.fit")
    assert isinstance(other, mp.GlmmFit)
    assert str(other) == str(fit)
    assert str(other.summary()) == str(fit.summary())
    data = fit.request.data
    for options in ({}, {"newdata": data.head(40), "type": "response"}, {"newdata": data.head(40), "re_form": "NA"}):
        pd.testing.assert_series_equal(other.predict(**options), fit.predict(**options), check_exact=True)
    pd.testing.assert_frame_equal(other.vcov(), fit.vcov(), check_exact=True)
    pd.testing.assert_frame_equal(other.simulate(2, seed=1), fit.simulate(2, seed=1), check_exact=True)
    pd.testing.assert_frame_equal(other.augment()[[".mu", ".hat"]], fit.augment()[[".mu", ".hat"]], check_exact=True)
    for group, table in fit.ranef(condvar=True).items():
        pd.testing.assert_frame_equal(other.ranef(condvar=True)[group], table, check_exact=True)
    assert other.request.nagq == fit.request.nagq
    assert other.request.laplace == fit.request.laplace


@pytest.mark.parametrize("name", ["cbind", "zeros", "text"])
def test_the_table_comes_along(name: str, tmp_path: Path) -> None:
    fit = FITS[name]()
    fit.save(tmp_path / "a.fit")
    again = mp.load(tmp_path / "a.fit").update()
    pd.testing.assert_series_equal(again.fixef, fit.fixef, check_exact=True)
    assert again.loglik == fit.loglik


def test_every_family_is_registered() -> None:
    """A class that is not in FAMILIES could not be saved."""
    made = {kind for name in families.__all__ if isinstance(kind := getattr(families, name), type)}
    abstract = {families.Family, families.CountFamily}
    assert {kind for kind in made if issubclass(kind, families.Family)} - abstract == set(FAMILIES[families.Family])


CHANGES: dict[str, Callable[[Any], None]] = {
    "link": lambda m: m["record"]["family"].update({"is": "Poisson", "link": "logit"}),
    "no such family": lambda m: m["record"]["family"].update({"is": "os.system"}),
    "another family": lambda m: m["record"].update(family={"is": "Beta", "link": "logit"}),
    "no zeros": lambda m: m["schema"].update(zeros=None),
    "nodes": lambda m: m["record"].update(nagq=10**9),
    "condvar": lambda m: m["record"].update(condvar=m["record"]["modes"]),
    "vcov": lambda m: m["record"].update(vcov=m["record"]["alpha"]),
    "kind": lambda m: m.update(kind="linear"),
    "unhashable kind": lambda m: m.update(kind=[]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_parts_that_do_not_belong_together(what: str, saved: bytes, tmp_path: Path) -> None:
    with pytest.raises(mp.DataError, match="damaged"):
        mp.load(pack(tmp_path / "a.fit", with_manifest(saved, CHANGES[what])))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=200)
@given(data=st.data(), value=HOSTILE)
def test_a_manifest_changed_on_purpose(saved: bytes, tmp_path_factory: Any, data: st.DataObject, value: Any) -> None:
    """Whatever stands in the place of any part: a DataError, or a fit whose methods give numbers or our errors."""
    manifest = json.loads(unpack(saved)["manifest.json"])
    place = data.draw(st.sampled_from(sorted((p for p in leaves(manifest) if p), key=str)))

    def change(manifest: Any) -> None:
        for key in place[:-1]:
            manifest = manifest[key]
        manifest[place[-1]] = value

    path = pack(tmp_path_factory.getbasetemp() / "changed.fit", with_manifest(saved, change))
    try:
        other = mp.load(path)
    except mp.DataError:
        return
    table = mp.datasets.load("Arabidopsis").head(20)
    for call in (lambda: other.predict(table), other.predict, lambda: str(other.summary()), lambda: other.ranef()):
        try:
            call()
        except mp.MixedpyError:
            continue


@settings(max_examples=60)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_or_harmless(saved: bytes, tmp_path_factory: Any, at: float, bit: int) -> None:
    changed = bytearray(saved)
    changed[int(at * len(saved))] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.fit"
    path.write_bytes(bytes(changed))
    try:
        other = mp.load(path)
    except mp.DataError:
        return
    assert np.isfinite(other.predict()).all()
