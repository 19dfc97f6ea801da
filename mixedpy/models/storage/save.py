"""``fit.save``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mixedpy.core.arrays import Design
from mixedpy.core.control import Control
from mixedpy.core.family import Family
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import FitRecord
from mixedpy.design import Schema
from mixedpy.design.align import in_order
from mixedpy.models.generalized.families import find_family
from mixedpy.models.generalized.request import Weights
from mixedpy.models.kept import kept_table
from mixedpy.models.storage.archive import write_archive
from mixedpy.models.storage.codec import FUNCTIONS, Writer
from mixedpy.models.storage.table import write_table
from mixedpy.version import __version__

if TYPE_CHECKING:
    from mixedpy.models.fits import Fit

__all__ = ["FORMAT", "KINDS", "VERSION", "Kind", "save_fit"]

FORMAT: Final = "mixedpy fit"
VERSION: Final = 4
"""Version of the format. A part that a later version adds has a default, so that files of earlier versions are read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is written of a kind of fit.

    Attributes
    ----------
    parts : dict
        The parts of the fit that are written as they are, with their types.
    arguments : dict
        The arguments of the call that are written, with their types; the table has its own form.
    """

    parts: dict[str, Any]
    arguments: dict[str, Any]


_ARGUMENTS: Final[dict[str, Any]] = {
    "formula": str,
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

KINDS: Final[dict[str, Kind]] = {
    "linear": Kind({"record": FitRecord, "design": Design, "schema": Schema}, {**_ARGUMENTS, "reml": bool}),
    "generalized": Kind(
        {"record": GlmmRecord, "design": Design, "schema": Schema},
        {**_ARGUMENTS, "family": Family, "nagq": int, "laplace": Weights, "ziformula": str | None},
    ),
}


def save_fit(fit: Fit, path: str | os.PathLike[str]) -> None:
    """Write a fit to a file; see `mixedpy.models.views.Views.save`."""
    writer = Writer(fit.schema.functions)
    name = "generalized" if isinstance(fit.record, GlmmRecord) else "linear"
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION, "kind": name, "writer": __version__}
    for part, annotation in KINDS[name].parts.items():
        content[part] = writer.write(getattr(fit, part), annotation)
    arguments = {argument: getattr(fit.request, argument) for argument in KINDS[name].arguments}
    for beside in ("weights", "offset"):  # a file has no labels of a Series
        arguments[beside] = in_order(arguments[beside], fit.schema.table_index, beside)
    if "family" in arguments:
        arguments |= {"family": find_family(arguments["family"]), "nagq": int(arguments["nagq"])}
    content["request"] = {n: writer.write(arguments[n], annotation) for n, annotation in KINDS[name].arguments.items()}
    content["table"] = write_table(writer, fit.schema, kept_table(fit))
    write_archive(Path(path), content, writer.arrays)
