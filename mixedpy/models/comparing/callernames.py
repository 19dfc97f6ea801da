"""What the caller calls the objects it passes: R names the rows of a comparison so."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["names_of"]


def names_of(objects: Sequence[object], depth: int) -> list[str]:
    """Name objects as variables of the calling scope do.

    Parameters
    ----------
    objects : sequence
        The objects.
    depth : int
        Frames between this function and the scope: 2 for the caller of the caller.

    Returns
    -------
    list of str
        One name each, or MODEL1, MODEL2, ... for all if one has no name or two have the same (as lme4 does).
    """
    frame = sys._getframe(depth)
    names = []
    for one in objects:
        scopes = (frame.f_locals, frame.f_globals)
        found = (name for scope in scopes for name, value in scope.items() if value is one and name[0] != "_")
        names.append(next(found, ""))
    if "" in names or len(set(names)) < len(names):
        return [f"MODEL{k}" for k in range(1, len(objects) + 1)]
    return names
