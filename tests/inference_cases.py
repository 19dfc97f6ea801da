"""Tests and marginal means by R's packages, for comparison: ``INFERENCE`` and ``inference_case(name)``.

The numbers are those of ``tests/reference/inference_*.json``, written by ``tests/reference/inference_reference.R``,
whose heading says what was computed by which package.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mixedpy as mp
from tests.cases import table

__all__ = ["INFERENCE", "InferenceCase", "fit_of", "inference_case"]

REFERENCE = Path(__file__).resolve().parent / "reference"


@dataclass(frozen=True, slots=True)
class InferenceCase:
    """A model and what R says of it.

    Attributes
    ----------
    name, data, formula : str
        Name of the case, name of the data set, formula.
    reference : mapping
        The entry of the file: tables by their columns; a text where a package refused.
    """

    name: str
    data: str
    formula: str
    reference: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.reference[key]

    def has(self, key: str) -> bool:
        """Whether the package gave numbers rather than a message, or nothing."""
        return isinstance(self.reference.get(key), dict)


def inference_case(name: str) -> InferenceCase:
    """Look up a case by its name."""
    return _by_name()[name]


def fit_of(reference: InferenceCase, *, tightly: bool = True) -> mp.LmmFit:
    """Fit a case, quietly; ``tightly`` to the last digits, as the references were."""
    return _fit(reference.name, tightly)


@cache
def _fit(name: str, tightly: bool) -> mp.LmmFit:
    record = inference_case(name).reference
    control = mp.Control(tol=1e-13) if tightly else mp.Control()
    options = {key: record[key] for key in ("reml", "weights", "offset")}
    frame = table(record["data"], record["missing"], record["derive"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        return mp.lmer(record["formula"], frame, **options, contrasts=record["contrasts"] or None, control=control)


@cache
def _by_name() -> dict[str, InferenceCase]:
    files = sorted(REFERENCE.glob("inference_*.json"))
    records = [record for file in files for record in json.loads(file.read_text(encoding="utf-8"))["cases"]]
    return {r["name"]: InferenceCase(r["name"], r["data"], r["formula"], r) for r in records}


INFERENCE: tuple[InferenceCase, ...] = tuple(_by_name().values())
