"""``mixedpy.load``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mixedpy.errors import DataError
from mixedpy.models.lmm import LmmFit
from mixedpy.models.request import Request
from mixedpy.models.storage.archive import damaged, read_archive
from mixedpy.models.storage.checks import check_fit
from mixedpy.models.storage.codec import Reader, Unreadable
from mixedpy.models.storage.save import ARGUMENTS, FORMAT, PARTS, VERSION
from mixedpy.models.storage.table import read_table

__all__ = ["load"]


def load(path: str | os.PathLike[str]) -> LmmFit:
    """Read a fit that ``fit.save`` wrote.

    The file is data only: nothing in it is run, and no class or module is looked up by a name from it. What it holds
    is checked before it is used.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    LmmFit
        Equal to the fit that was saved, estimates and predictions to the last bit. The table behind it, which
        ``update`` fits again, has the columns that the model reads; texts have become categories.

    Raises
    ------
    DataError
        If the file is not a saved fit, is damaged or manipulated, or was written by a later version of mixedpy.
    OSError
        If there is no such file.

    Examples
    --------
    >>> import mixedpy as mp, tempfile, pathlib
    >>> fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(pathlib.Path(folder) / "dyestuff.fit")
    ...     again = mp.load(pathlib.Path(folder) / "dyestuff.fit")
    >>> bool((again.predict() == fit.predict()).all())
    True
    """
    path = Path(path)
    content, arrays = read_archive(path)
    if content.get("format") != FORMAT or type(content.get("version")) is not int:
        raise damaged(path, f"its manifest is not that of a {FORMAT}")
    if content["version"] > VERSION:
        raise DataError(
            f"{str(path)!r} has version {content['version']} of the format, this mixedpy reads up to {VERSION}; "
            "install a later mixedpy"
        )
    try:
        return _fit(content, Reader(arrays))
    except (Unreadable, LookupError, ArithmeticError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, str(error) or type(error).__name__) from error


def _fit(content: dict[str, Any], reader: Reader) -> LmmFit:
    if content.get("kind") != "linear":
        raise Unreadable(f"there is no kind of fit {content.get('kind')!r}")
    parts = {name: reader.read(content[name], kind) for name, kind in PARTS.items()}
    check_fit(**parts)
    arguments = {name: reader.read(content["request"][name], kind) for name, kind in ARGUMENTS.items()}
    request = Request(data=read_table(reader, parts["schema"], content["table"]), **arguments)
    return LmmFit(**parts, request=request)
