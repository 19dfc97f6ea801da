"""The arguments of ``glmer``, kept so that ``update`` can change some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from mixedpy.core.control import Control
from mixedpy.core.family import Family
from mixedpy.models.request import DEFAULT_CONTROL, Column, NaAction

__all__ = ["GlmmRequest", "Start", "Weights"]

Weights = Literal["observed", "expected"]

Start: TypeAlias = npt.ArrayLike | Mapping[str, npt.ArrayLike] | None
"""Starting values of theta, or a dict of those of theta and of the fixed effects."""


@dataclass(frozen=True, slots=True)
class GlmmRequest:
    """The arguments of ``glmer``, which documents them; the table is the caller's own, not a copy."""

    formula: str
    data: Any
    family: str | Family = "binomial"
    nagq: int = 1
    laplace: Weights = "observed"
    ziformula: str | None = None
    weights: Column = None
    offset: Column = None
    contrasts: Mapping[str, Any] | None = None
    covariances: Mapping[str, str] | None = None
    na_action: NaAction = "drop"
    start: Start = None
    control: Control = DEFAULT_CONTROL
    functions: Mapping[str, Callable[..., Any]] | None = None
    refitted: bool = False
