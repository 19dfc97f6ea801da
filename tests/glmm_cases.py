"""Generalized models fitted by lme4 and glmmTMB, for comparison: ``CASES`` and ``case(name)``.

The numbers are those of ``tests/reference/glmm_reference.json``, written by ``tests/reference/glmm_reference.R``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mixedpy as mp

__all__ = ["CASES", "GlmmCase", "case"]

REFERENCE = Path(__file__).resolve().parent / "reference"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Data that stand beside the checkout; tests that need them skip where they do not."""


@dataclass(frozen=True, slots=True)
class GlmmCase:
    """A model and what R says of it.

    Attributes
    ----------
    name, data, formula, family : str
        What was fitted to what.
    nagq : int
        Quadrature nodes.
    expected : bool
        Whether the reference takes expected weights.
    ziformula : str or None
        Formula of the zeros.
    results : dict
        By program, "lme4" and "glmmTMB": numbers by name.
    """

    name: str
    data: str
    formula: str
    family: str
    nagq: int
    expected: bool
    ziformula: str | None
    results: dict[str, dict[str, Any]]

    @property
    def available(self) -> bool:
        """Whether its data are there."""
        return self.data != "toxoplasmosis" or (SHARED / "toxoplasmosis.csv").exists()

    def frame(self) -> pd.DataFrame:
        """The data."""
        return _frame(self.data)

    def fit(self, **options: Any) -> mp.GlmmFit:
        """Fit the model."""
        laplace = "expected" if self.expected else "observed"
        given = {"family": self.family, "nagq": self.nagq, "laplace": laplace, "ziformula": self.ziformula}
        return mp.glmer(self.formula, self.frame(), **(given | options))


@cache
def _frame(name: str) -> pd.DataFrame:
    if name == "simulated":
        return pd.read_csv(REFERENCE / "glmm_simulated.csv", dtype={"g": str, "h": str})
    if name == "toxoplasmosis":
        data = pd.read_csv(SHARED / "toxoplasmosis.csv")
        return data.assign(city=[str(i + 1) for i in range(len(data))], rainfall=(data["rain"] - 1800.0) / 300.0)
    return mp.datasets.load(name)


@cache
def _cases() -> dict[str, GlmmCase]:
    entries = json.loads((REFERENCE / "glmm_reference.json").read_text())["cases"]
    return {
        name: GlmmCase(
            name=name,
            data=entry["data"],
            formula=entry["formula"],
            family=entry["family"] + (f"({entry['link']})" if entry["link"] else ""),
            nagq=entry["nagq"],
            expected=entry["expected"],
            ziformula=entry["ziformula"],
            results=entry["results"],
        )
        for name, entry in entries.items()
    }


CASES = tuple(_cases())
"""Names of the models."""


def case(name: str) -> GlmmCase:
    """Look a model up."""
    return _cases()[name]


def numbers(values: list[Any]) -> np.ndarray:
    """Numbers of the JSON file; R's NA is NaN."""
    return np.array([np.nan if isinstance(v, str) or v is None else v for v in values], dtype=float)
