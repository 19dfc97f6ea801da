"""Fits written to files: what comes back equals what was saved, and no file makes the reader do anything else."""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixedpy as mp
from mixedpy.core import correlated, covariance
from mixedpy.design import bases
from mixedpy.models.lmm import LmmFit
from mixedpy.models.storage.codec import FAMILIES
from mixedpy.models.storage.save import VERSION
from tests.cases import CASES, Case
from tests.models.fits import fit_of

SAVED = sorted((Path(__file__).resolve().parent / "saved").glob("version-*.fit"))
SMALL = [c for c in CASES if c.nobs < 3000]


@pytest.fixture(scope="module")
def sleepstudy() -> pd.DataFrame:
    return mp.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def fit(sleepstudy: pd.DataFrame) -> LmmFit:
    return mp.lmer("Reaction ~ Days + I(Days^2) + (Days | Subject)", sleepstudy)


@pytest.fixture(scope="module")
def saved(fit: LmmFit, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "sleepstudy.fit"
    fit.save(path)
    return path.read_bytes()


def again(fit: LmmFit, folder: Path) -> LmmFit:
    fit.save(folder / "a.fit")
    return mp.load(folder / "a.fit")


def assert_same(fit: LmmFit, other: LmmFit) -> None:
    pd.testing.assert_series_equal(other.predict(), fit.predict(), check_exact=True)
    pd.testing.assert_series_equal(other.residuals("scaled"), fit.residuals("scaled"), check_exact=True)
    pd.testing.assert_frame_equal(other.vcov(), fit.vcov(), check_exact=True)
    assert str(other) == str(fit)
    assert str(other.summary()) == str(fit.summary())
    assert other.optinfo.keys() == fit.optinfo.keys()
    for name, value in fit.optinfo.items():
        np.testing.assert_array_equal(other.optinfo[name], value)


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_a_fit_comes_back_to_the_last_bit(case: Case, tmp_path: Path):
    fit = fit_of(case)
    other = again(fit, tmp_path)
    assert_same(fit, other)
    data = case.frame().head(50)
    pd.testing.assert_series_equal(other.predict(data, re_form="NA"), fit.predict(data, re_form="NA"), check_exact=True)
    known = case.frame().loc[fit.schema.index].head(50)
    pd.testing.assert_series_equal(other.predict(known), fit.predict(known), check_exact=True)
    for group, table in fit.ranef(condvar=True).items():
        pd.testing.assert_frame_equal(other.ranef(condvar=True)[group], table, check_exact=True)


@pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")
@pytest.mark.parametrize("case", SMALL[::4], ids=lambda c: c.name)
def test_the_table_comes_along(case: Case, tmp_path: Path):
    fit = fit_of(case)
    other = again(fit, tmp_path).update(reml=not case.reml)
    wanted = fit.update(reml=not case.reml)
    pd.testing.assert_series_equal(other.fixef, wanted.fixef, check_exact=True)
    assert str(other) == str(wanted)


def test_saving_twice_gives_the_same_file(fit: LmmFit, saved: bytes, tmp_path: Path):
    again(mp.lmer(fit.request.formula, fit.request.data), tmp_path)
    assert (tmp_path / "a.fit").read_bytes() == saved
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.fit"]


INDEXES: dict[str, Callable[[int], pd.Index]] = {
    "range": lambda n: pd.RangeIndex(5, 5 + 2 * n, 2, name="row"),
    "whole numbers": lambda n: pd.Index(np.arange(n)[::-1].copy()),
    "numbers": lambda n: pd.Index(np.arange(n) / 3.0, name=("a", 1)),
    "texts": lambda n: pd.Index([f"ä{k}" for k in range(n)], name="who"),
    "mixed": lambda n: pd.Index([*range(n - 2), "last", None], dtype=object),
    "dates": lambda n: pd.date_range("2020-01-31", periods=n, name="day"),
    "dates of a zone": lambda n: pd.date_range("2020-03-28", periods=n, tz="Europe/Zurich", unit="ns"),
    "two levels": lambda n: pd.MultiIndex.from_arrays([["a", "b"] * (n // 2), np.arange(n)], names=["x", None]),
    "boolean": lambda n: pd.Index(np.arange(n) % 2 == 0),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_row_labels(kind: str, sleepstudy: pd.DataFrame, tmp_path: Path):
    data = sleepstudy.set_axis(INDEXES[kind](len(sleepstudy)), axis=0)
    data.loc[data.index[3], "Days"] = np.nan
    fit = mp.lmer("Reaction ~ Days + (1 | Subject)", data, na_action="exclude")
    other = again(fit, tmp_path)
    assert other.fitted.index.equals(fit.fitted.index)
    assert other.fitted.index.names == fit.fitted.index.names
    assert other.fitted.index.dtype == fit.fitted.index.dtype
    pd.testing.assert_series_equal(other.fitted, fit.fitted, check_exact=True, check_freq=False)


def test_row_labels_that_cannot_be_saved_are_named(sleepstudy: pd.DataFrame, tmp_path: Path):
    data = sleepstudy.set_axis(pd.interval_range(0, len(sleepstudy)), axis=0)
    fit = mp.lmer("Reaction ~ Days + (1 | Subject)", data)
    with pytest.raises(mp.DataError, match=r"interval.*reset_index"):
        fit.save(tmp_path / "a.fit")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")
def test_columns_and_arguments_of_every_type(tmp_path: Path):
    rng = np.random.default_rng(3)
    n = 120
    data = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "text": rng.choice(["ü", "b", "a"], n),
            "ordered": pd.Categorical(rng.choice(["lo", "mid", "hi"], n), ["lo", "mid", "hi"], ordered=True),
            "flag": rng.random(n) < 0.5,
            "maybe": pd.array(rng.choice([True, False, None], n), dtype="boolean"),
            "whole": rng.integers(0, 9, n),
            "small": rng.integers(0, 9, n).astype(np.int8),
            "a b": rng.normal(size=n),
            "g": rng.integers(1, 12, n),
            "unused": [object()] * n,
        }
    )
    fit = mp.lmer(
        "y ~ text * flag + ordered + maybe + log(whole + 1) + small + `a b` + offset(0.1 * whole) + (flag || g:text)",
        data,
        weights=1 + rng.random(n),
        contrasts={"text": "sum", "ordered": np.array([[1.0, 0], [0, 1], [-1, -1]])},
        start=None,
        control=mp.Control(max_iterations=77),
    )
    other = again(fit, tmp_path)
    assert_same(fit, other)
    assert "unused" not in other.request.data
    assert other.request.control == fit.request.control
    new = data.drop(columns="unused").dropna().tail(20)
    pd.testing.assert_series_equal(other.predict(new), fit.predict(new), check_exact=True)
    pd.testing.assert_series_equal(other.update(reml=False).fixef, fit.update(reml=False).fixef, check_exact=True)


def test_a_refitted_fit_says_so_after_the_round_trip(fit: LmmFit, tmp_path: Path):
    other = again(fit.refit(fit.request.data["Reaction"] / 10), tmp_path)
    with pytest.raises(mp.MixedpyError, match="refit"):
        other.update(reml=False)


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_files_of_every_version_are_read(path: Path, sleepstudy: pd.DataFrame):
    """Files written when the format had that version, and what those fits predicted."""
    other = mp.load(path)
    wanted = json.loads(path.with_suffix(".json").read_text())
    np.testing.assert_allclose(other.predict(sleepstudy.head(12)), wanted["conditional"], rtol=1e-14)
    np.testing.assert_allclose(other.predict(sleepstudy.head(12), re_form="NA"), wanted["marginal"], rtol=1e-14)
    assert str(other.summary(ddf=None)) == wanted["summary"]


def test_there_is_a_file_of_every_version():
    assert [path.stem for path in SAVED] == [f"version-{k}" for k in range(1, VERSION + 1)]


def concrete(module: Any, method: str) -> set[type]:
    """The dataclasses of a module that have a method and are no abstract base."""
    found = (kind for _, kind in inspect.getmembers(module, inspect.isclass))
    return {
        kind
        for kind in found
        if is_dataclass(kind)
        and kind.__module__ == module.__name__
        and hasattr(kind, method)
        and not inspect.isabstract(kind)
    }


def test_every_template_and_every_basis_is_registered():
    """A class that is not in FAMILIES could not be saved."""
    made = concrete(covariance, "jacobian") | concrete(correlated, "jacobian")
    assert made == set(FAMILIES[covariance.Template])
    assert concrete(bases, "columns") == set(FAMILIES[bases.BasisState])


FORMULAS = [
    "Reaction ~ poly(Days, 3) + (Days | Subject)",
    "Reaction ~ poly(Days, 2, raw = TRUE) + (1 | Subject)",
    "Reaction ~ bs(Days, df = 5) + (1 | Subject)",
    "Reaction ~ ns(Days, df = 3) + (ns(Days, df = 2) | Subject)",
    "Reaction ~ cr(Days, df = 4) + (1 | Subject)",
    "Reaction ~ scale(Days) + (scale(Days) | Subject)",
    "Reaction ~ center(Days) + (1 | Subject)",
    "Reaction ~ C(half, contr.sum) * Days + cs(1 + Days | Subject)",
    "Reaction ~ Days + ar1(0 + factor(Days) | Subject)",
    "Reaction ~ Days + diag(half | Subject)",
    "Reaction ~ I(Days > 3 & Days < 8) + (1 | Subject)",
]


@pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")
@pytest.mark.parametrize("formula", FORMULAS)
def test_bases_and_structures(formula: str, sleepstudy: pd.DataFrame, tmp_path: Path):
    data = sleepstudy.assign(half=np.where(sleepstudy["Days"] > 4, "late", "early"))
    fit = mp.lmer(formula, data)
    other = again(fit, tmp_path)
    assert_same(fit, other)
    new = data.sample(30, random_state=1)
    pd.testing.assert_series_equal(other.predict(new), fit.predict(new), check_exact=True)
    pd.testing.assert_series_equal(other.theta, fit.theta, check_exact=True)


def test_functions_of_the_user_are_asked_for(sleepstudy: pd.DataFrame, tmp_path: Path):
    functions = {"late": lambda days: np.maximum(days - 4.0, 0.0)}
    fit = mp.lmer("Reaction ~ Days + late(Days) + (1 | Subject)", sleepstudy, functions=functions)
    fit.save(tmp_path / "a.fit")
    with pytest.raises(mp.DataError, match=r'calls functions of its author.*functions=\{"late": \.\.\.\}'):
        mp.load(tmp_path / "a.fit")
    other = mp.load(tmp_path / "a.fit", functions=functions)
    pd.testing.assert_series_equal(other.predict(sleepstudy), fit.predict(sleepstudy), check_exact=True)
    assert other.update(reml=False).deviance == fit.update(reml=False).deviance


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(degree=10**9),
        lambda state: state.update(first=-1),
        lambda state: state.update({"is": "Polynomial"}),
        lambda state: state.update({"is": "os.system"}),
    ],
)
def test_a_basis_changed_on_purpose(change: Callable[[Any], None], sleepstudy: pd.DataFrame, tmp_path: Path):
    mp.lmer("Reaction ~ bs(Days, df = 5) + (1 | Subject)", sleepstudy).save(tmp_path / "a.fit")
    members = with_manifest((tmp_path / "a.fit").read_bytes(), lambda m: change(m["schema"]["states"][0][1]))
    with pytest.raises(mp.DataError, match="damaged"):
        mp.load(pack(tmp_path / "b.fit", members))


def test_errors_of_the_file_system(fit: LmmFit, tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        fit.save(tmp_path / "nowhere" / "a.fit")
    with pytest.raises(FileNotFoundError):
        mp.load(tmp_path / "a.fit")
    with pytest.raises(OSError, match="irectory"):
        mp.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


# Hostile and damaged files


class Trap:
    """Unpickling it would leave a mark."""

    sprung = False

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return setattr, (Trap, "sprung", True)


def unpack(saved: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def with_array(saved: bytes, k: int, data: bytes) -> dict[str, bytes]:
    """Replace an array, digest included, as someone would who means it."""
    members = unpack(saved)
    manifest = json.loads(members["manifest.json"])
    manifest["arrays"][k] = hashlib.sha256(data).hexdigest()
    return {**members, "manifest.json": json.dumps(manifest).encode(), f"arrays/{k}.npy": data}


def with_manifest(saved: bytes, change: Callable[[Any], None]) -> dict[str, bytes]:
    members = unpack(saved)
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    return {**members, "manifest.json": json.dumps(manifest).encode()}


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def as_npy(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def test_no_pickle_is_read(saved: bytes, tmp_path: Path):
    objects = as_npy(np.array([Trap()], dtype=object), allow_pickle=True)
    assert pickle.dumps(Trap()) in objects or b"setattr" in objects
    for path in (
        pack(tmp_path / "array.fit", with_array(saved, 0, objects)),
        pack(tmp_path / "whole.fit", {"manifest.json": pickle.dumps(Trap())}),
    ):
        with pytest.raises(mp.DataError, match=r"damaged"):
            mp.load(path)
    (tmp_path / "raw.fit").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(mp.DataError, match=r"damaged"):
        mp.load(tmp_path / "raw.fit")
    assert Trap.sprung is False


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"


@pytest.mark.parametrize(
    "data",
    [
        npy(HUGE),
        npy(HUGE.replace("1000000000000000", "10**9")),
        npy(HUGE.replace("1000000000000000,", "-1,")),
        npy(HUGE.replace("<f8", "|O")),
        npy(HUGE.replace("(1000000000000000,)", "__import__('os').getcwd()")),
        npy("(" * 3000),
        npy(HUGE)[:9],
        as_npy(np.zeros((2, 2, 2))),
        as_npy(np.zeros(4, dtype=[("a", "f8")])),
        as_npy(np.asfortranarray(np.ones((3, 2)))),
        as_npy(np.zeros(180))[:-8],
        as_npy(np.zeros(180, dtype=complex)),
        b"",
    ],
    ids=range(13),
)
def test_an_array_that_is_not_one_of_ours(saved: bytes, tmp_path: Path, data: bytes):
    with pytest.raises(mp.DataError, match="damaged"):
        mp.load(pack(tmp_path / "a.fit", with_array(saved, 0, data)))


def test_a_bomb_does_not_go_off(saved: bytes, tmp_path: Path):
    members = {**unpack(saved), "arrays/0.npy": as_npy(np.zeros(20_000_000))}
    with pytest.raises(mp.DataError, match="stored"):
        mp.load(pack(tmp_path / "a.fit", members, zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "arrays/999.npy", "evil.py"])
def test_members_that_do_not_belong(saved: bytes, tmp_path: Path, name: str):
    with pytest.raises(mp.DataError, match="arrays"):
        mp.load(pack(tmp_path / "a.fit", {**unpack(saved), name: b"1"}))


def test_missing_members(saved: bytes, tmp_path: Path):
    for name in unpack(saved):
        members = unpack(saved)
        del members[name]
        with pytest.raises(mp.DataError, match="damaged"):
            mp.load(pack(tmp_path / "a.fit", members))


def test_a_changed_array_is_noticed(saved: bytes, tmp_path: Path):
    members = unpack(saved)
    members["arrays/0.npy"] = members["arrays/0.npy"][:-1] + b"\x01"
    with pytest.raises(mp.DataError, match="digest"):
        mp.load(pack(tmp_path / "a.fit", members))


def test_a_later_version_is_told_apart_from_damage(saved: bytes, tmp_path: Path):
    members = with_manifest(saved, lambda m: m.update(version=99))
    with pytest.raises(mp.DataError, match="install a later mixedpy"):
        mp.load(pack(tmp_path / "a.fit", members))


@settings(max_examples=100)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_or_harmless(saved: bytes, fit: LmmFit, tmp_path_factory, at: float, bit: int):
    changed = bytearray(saved)
    changed[int(at * len(saved))] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.fit"
    path.write_bytes(bytes(changed))
    try:
        other = mp.load(path)
    except mp.DataError:
        return
    pd.testing.assert_series_equal(other.predict(), fit.predict(), check_exact=True)


@given(length=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_found(saved: bytes, tmp_path_factory, length: float):
    path = tmp_path_factory.getbasetemp() / "short.fit"
    path.write_bytes(saved[: int(length * len(saved))])
    with pytest.raises(mp.DataError, match="damaged"):
        mp.load(path)


def leaves(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    yield path
    for key, item in items:
        yield from leaves(item, (*path, key))


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.sampled_from([10**30, -(10**30), 2**63, "", "os.system", "__import__('os')", "system(x)", [], {}, [[]], 1e308]),
    st.sampled_from([{"is": "Trap"}, {"is": "Unstructured", "m": 10**6}, {"is": "list", "of": [1]}, {"is": "float"}]),
    st.floats(allow_nan=False),
    st.text(max_size=8),
)


@settings(max_examples=200)
@given(data=st.data(), value=HOSTILE)
def test_a_manifest_changed_on_purpose(saved: bytes, sleepstudy, tmp_path_factory, data: st.DataObject, value: Any):
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
    for call in (lambda: other.predict(sleepstudy), other.predict, lambda: str(other.summary()), lambda: other.ranef()):
        try:
            call()
        except mp.MixedpyError:
            continue


def test_a_formula_cannot_smuggle_a_call(saved: bytes, tmp_path: Path):
    def change(manifest: Any) -> None:
        manifest["schema"]["fixed"]["variables"][0]["node"] = [0, "system(Days)"]

    with pytest.raises(mp.DataError, match="damaged"):
        mp.load(pack(tmp_path / "a.fit", with_manifest(saved, change)))


@pytest.mark.parametrize("place", [("codes",), ("codes", "high")])
def test_positions_outside_their_arrays_are_refused(saved: bytes, fit: LmmFit, tmp_path: Path, place: tuple[str, ...]):
    manifest = json.loads(unpack(saved)["manifest.json"])
    k = manifest["design"]["terms"][0]["codes"]
    codes = np.array(fit.design.terms[0].codes, dtype=np.int64)
    codes[5] = 18 if len(place) > 1 else -1
    with pytest.raises(mp.DataError, match="every row has a level"):
        mp.load(pack(tmp_path / "a.fit", with_array(saved, k, as_npy(codes))))
