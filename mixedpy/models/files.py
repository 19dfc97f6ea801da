"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["check_folder", "write_whole"]


def check_folder(path: Path) -> None:
    """Raise a FileNotFoundError, before any work is done, if the folder of a file to be written does not exist."""
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(path.parent)!r} to write {path.name!r} to; make it first, or write elsewhere"
        )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file; an interrupted call leaves the old file, or none, never a half-written one.

    What is no regular file, such as a device, is written to as it is.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written to.
    """
    check_folder(path)
    path = path.resolve()
    if path.exists() and not path.is_file():  # a device or a pipe, which must not be replaced
        path.write_bytes(data)
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
