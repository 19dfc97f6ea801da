"""``fit.save``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.design.align import in_order
from mixedpy.models.kept import kept_table
from mixedpy.models.storage.archive import write_archive
from mixedpy.models.storage.codec import FUNCTIONS, Writer
from mixedpy.models.storage.table import write_table
from mixedpy.version import __version__

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["ARGUMENTS", "FORMAT", "PARTS", "VERSION", "save_fit"]

FORMAT: Final = "mixedpy fit"
VERSION: Final = 3
"""Version of the format. A part that a later version adds has a default, so that files of earlier versions are read."""

PARTS: Final[dict[str, Any]] = {"record": FitRecord, "design": Design, "schema": Schema}
"""The parts of a fit that are written as they are."""

ARGUMENTS: Final[dict[str, Any]] = {
    "formula": str,
    "reml": bool,
    "weights": Any,
    "offset": Any,
    "contrasts": Any,
    "covariances": Any,
    "na_action": str,
    "start": Any,
    "control": Control,
    "functions": FUNCTIONS | None,
    "refitted": bool,
}
"""The arguments of the call that are written; the table has its own form."""


def save_fit(fit: LmmFit, path: str | os.PathLike[str]) -> None:
    """Write a fit to a file; see `mixedpy.models.lmm.LmmFit.save`."""
    writer = Writer(fit.schema.functions)
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION, "kind": "linear", "writer": __version__}
    content["request"] = {}
    for name, kind in PARTS.items():
        content[name] = writer.write(getattr(fit, name), kind)
    for name, kind in ARGUMENTS.items():
        value = getattr(fit.request, name)
        if name in ("weights", "offset"):
            value = in_order(value, fit.schema.table_index, name)  # a file has no labels of a Series
        content["request"][name] = writer.write(value, kind)
    content["table"] = write_table(writer, fit.schema, kept_table(fit))
    write_archive(Path(path), content, writer.arrays)
