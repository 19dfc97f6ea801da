"""The container of a saved fit: a zip file of one JSON manifest and plain arrays, read with suspicion.

Members are stored, never compressed, so that reading a file takes no more memory than its size on disk; every array is
checked against the digest and the size that the manifest and its own header give before any of it is used.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixedpy.errors import DataError
from mixedpy.models.files import write_whole

__all__ = ["damaged", "read_archive", "write_archive"]

_MANIFEST = "manifest.json"
_DTYPES = frozenset({"<f8", "<f4", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1", "|b1"})
_MOST_DIMENSIONS = 3
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)(?P<text>\{'descr': '(?P<dtype>[<|][fiub][1248])', 'fortran_order': False, "
    rb"'shape': \((?P<shape>(?:\d{1,18}(?:, ?|(?=\))))*)\), \} *\n)",
    re.DOTALL,
)
"""The start of an array as numpy writes it (version 1.0 of the .npy format); matched, so that nothing is evaluated."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""Time stamp of every member, so that equal fits give equal files."""


def damaged(path: Path, reason: str) -> DataError:
    """Make the error for a file that is not what ``save`` writes."""
    return DataError(f"{str(path)!r} is damaged, or was not written by fit.save: {reason}; save the fit again")


def write_archive(path: Path, content: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
    """Write a manifest and arrays; an interrupted call leaves no half-written file behind.

    Parameters
    ----------
    path : Path
        Where to write; a file that is there is replaced.
    content : mapping
        What goes into the manifest beside the list of arrays: JSON values.
    arrays : sequence of arrays
        Of at most three dimensions; stored as ``arrays/0.npy``, ``arrays/1.npy``, ...
    """
    members = [_npy(array) for array in arrays]
    digests = [hashlib.sha256(data).hexdigest() for data in members]
    manifest = json.dumps({**content, "arrays": digests}, allow_nan=False, ensure_ascii=False, indent=1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_MANIFEST, _DATE), manifest.encode())
        for k, data in enumerate(members):
            archive.writestr(zipfile.ZipInfo(_member(k), _DATE), data)
    write_whole(path, buffer.getvalue())


def read_archive(path: Path) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Read manifest and arrays.

    Returns
    -------
    content : dict
        The manifest without the list of arrays.
    arrays : list of arrays
        Read-only.

    Raises
    ------
    DataError
        If anything about the container is not as ``write_archive`` makes it.
    OSError
        If there is no such file, or it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(path, archive, size)
        except (zipfile.BadZipFile, struct.error, EOFError, OSError, ValueError, RuntimeError) as error:
            raise damaged(path, str(error) or type(error).__name__) from error
    try:
        content = json.loads(members.pop(_MANIFEST))
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"its manifest is not JSON ({type(error).__name__})") from error
    digests = content.pop("arrays", None) if isinstance(content, dict) else None
    if not isinstance(digests, list) or sorted(members) != sorted(map(_member, range(len(digests)))):
        raise damaged(path, "its manifest does not list its arrays")
    arrays = []
    for k, digest in enumerate(digests):
        data = members[_member(k)]
        if hashlib.sha256(data).hexdigest() != digest:
            raise damaged(path, f"array {k} does not have the digest that the manifest gives")
        arrays.append(_array(path, k, data))
    return content, arrays


def _member(k: int) -> str:
    return f"arrays/{k}.npy"


def _members(path: Path, archive: zipfile.ZipFile, size: int) -> dict[str, bytes]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if _MANIFEST not in names or len(set(names)) != len(names):
        raise damaged(path, f"it needs one {_MANIFEST} and no member twice")
    if any(e.compress_type != zipfile.ZIP_STORED or e.file_size != e.compress_size or e.flag_bits & 1 for e in entries):
        raise damaged(path, "its members must be stored as they are, neither compressed nor encrypted")
    if sum(entry.file_size for entry in entries) > size:
        raise damaged(path, "its members overlap")
    return {entry.filename: archive.read(entry) for entry in entries}


def _npy(array: NDArray[Any]) -> bytes:
    plain = np.ascontiguousarray(array)
    plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False).reshape(array.shape)
    if plain.dtype.str not in _DTYPES or plain.ndim > _MOST_DIMENSIONS:
        raise DataError(f"an array of type {array.dtype} and {array.ndim} dimensions cannot be saved")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, plain, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _array(path: Path, k: int, data: bytes) -> NDArray[Any]:
    """Read an array whose header is the one that numpy writes and agrees with the length."""
    header = _HEADER.match(data)
    if header is None or int.from_bytes(header["length"], "little") != header.end() - header.start("text"):
        raise damaged(path, f"array {k} does not start as an array of a saved fit")
    dtype = np.dtype(header["dtype"].decode())
    shape = tuple(int(size) for size in header["shape"].replace(b",", b" ").split())
    if dtype.str not in _DTYPES or len(shape) > _MOST_DIMENSIONS:
        raise damaged(path, f"array {k} has a type or shape that no saved fit has")
    if math.prod(shape) * dtype.itemsize != len(data) - header.end():
        raise damaged(path, f"array {k} has the wrong length for its shape {shape}")
    return np.frombuffer(data, dtype, offset=header.end()).reshape(shape)
