"""The kinds of fits, for the annotations of what serves either."""

from __future__ import annotations

from typing import TypeAlias

from mixedpy.models.glmm import GlmmFit
from mixedpy.models.lmm import LmmFit

__all__ = ["Fit"]

Fit: TypeAlias = LmmFit | GlmmFit
