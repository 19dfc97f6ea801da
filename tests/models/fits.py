"""The reference models fitted by mixedpy, each once per run."""

from __future__ import annotations

import warnings
from functools import cache

import mixedpy as mp
from tests.cases import Case, case


def fit_of(reference: Case, *, tightly: bool = False) -> mp.LmmFit:
    """Fit a reference model, quietly; ``tightly`` to the last digits, as the references were."""
    return _fit(reference.name, tightly)


@cache
def _fit(name: str, tightly: bool) -> mp.LmmFit:
    reference = case(name)
    control = mp.Control(tol=1e-13) if tightly else mp.Control()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mp.MixedpyWarning)
        return mp.lmer(reference.formula, reference.frame(), **reference.options(), control=control)
