"""What the user asked for: the arguments of a call, kept so that ``update`` can change some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy.typing as npt

from mixedpy.core.control import Control
from mixedpy.design.frame import NaAction

__all__ = ["DEFAULT_CONTROL", "KEEP", "Column", "Keep", "NaAction", "Request"]

Column = str | npt.ArrayLike | None

DEFAULT_CONTROL: Final = Control()


class Keep(Enum):
    """Type of the default of an option of ``update``: None is a value that a user may ask for."""

    KEEP = "as it was"

    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of ``lmer``, which documents them; the table is the caller's own, not a copy."""

    formula: str
    data: Any
    reml: bool = True
    weights: Column = None
    offset: Column = None
    contrasts: Mapping[str, Any] | None = None
    covariances: Mapping[str, str] | None = None
    na_action: NaAction = "drop"
    start: npt.ArrayLike | None = None
    control: Control = DEFAULT_CONTROL
    functions: Mapping[str, Callable[..., Any]] | None = None
    refitted: bool = False
