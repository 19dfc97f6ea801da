"""``mixedpy.load``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.errors import DataError
from mixedpy.models.fits import Fit
from mixedpy.models.generalized.request import GlmmRequest
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.lmm import LmmFit
from mixedpy.models.request import Request
from mixedpy.models.storage.archive import damaged, read_archive
from mixedpy.models.storage.checks import check_fit
from mixedpy.models.storage.codec import Reader, Unreadable
from mixedpy.models.storage.save import FORMAT, KINDS, VERSION
from mixedpy.models.storage.table import read_table

__all__ = ["load"]


def load(path: str | os.PathLike[str], *, functions: Mapping[str, Callable[..., Any]] | None = None) -> Fit:
    """Read a fit that ``fit.save`` wrote.

    The file is data only: nothing in it is run, and no class or module is looked up by a name from it. What it holds
    is checked before it is used.

    Parameters
    ----------
    path : str or path
        The file.
    functions : dict, optional
        The functions that were given to ``lmer`` or ``glmer`` as ``functions=``, if any: a file has their names only.

    Returns
    -------
    LmmFit or GlmmFit
        Equal to the fit that was saved, estimates and predictions to the last bit. The table behind it, which
        ``update`` fits again, has the columns that the model reads; texts have become categories.

    Raises
    ------
    DataError
        If the file is not a saved fit, is damaged or manipulated, was written by a later version of mixedpy, or calls
        functions that are not given.
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
        _check_functions(path, content, functions or {})
        return _fit(content, Reader(arrays, functions or {}))
    except DataError:
        raise
    except (Unreadable, LookupError, ArithmeticError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, str(error) or type(error).__name__) from error


def _check_functions(path: Path, content: dict[str, Any], given: Mapping[str, Any]) -> None:
    wanted = content["schema"].get("functions", [])
    missing = [name for name in wanted if isinstance(name, str) and name not in given]
    if missing:
        names = ", ".join(f'"{name}": ...' for name in missing)
        raise DataError(
            f"the fit in {str(path)!r} calls functions of its author, which a file does not hold; give them with "
            f"load(path, functions={{{names}}})"
        )


def _fit(content: dict[str, Any], reader: Reader) -> Fit:
    kind = KINDS.get(content.get("kind", ""))
    if kind is None:
        raise Unreadable(f"there is no kind of fit {content.get('kind')!r}")
    parts = {name: reader.read(content[name], annotation) for name, annotation in kind.parts.items()}
    check_fit(**parts)
    given = content["request"]
    arguments = {name: reader.read(given[name], hint) for name, hint in kind.arguments.items() if name in given}
    table = read_table(reader, parts["schema"], content["table"])
    if isinstance(parts["record"], GlmmRecord):
        return GlmmFit(**parts, request=GlmmRequest(data=table, **arguments))
    return LmmFit(**parts, request=Request(data=table, **arguments))
