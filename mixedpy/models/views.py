"""Ways to look at a fit and to keep it, shared by the kinds of fits: tables, plots, files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mixedpy.models.plots import Plots
from mixedpy.models.storage.save import save_fit

if TYPE_CHECKING:
    from mixedpy.models.lmm import LmmFit

__all__ = ["Views"]


class Views:
    """Methods of a fit that show it or write it."""

    __slots__ = ()

    @property
    def plot(self: LmmFit) -> Plots:  # type: ignore[misc]
        """Plots with matplotlib: ``fit.plot.ranef()``, ``.shrinkage()``, ``.trajectories()`` and others."""
        return Plots(self)

    def save(self: LmmFit, path: str | os.PathLike[str]) -> None:  # type: ignore[misc]
        """Write the fit to a file that :func:`mixedpy.load` reads.

        The file is a zip archive of JSON and ``.npy`` arrays, described in ``docs/saving.md``; it holds the estimates,
        the model matrix, and the columns of the table that the model reads.

        Parameters
        ----------
        path : str or path
            Where to write; a file that is there is replaced.

        Raises
        ------
        OSError
            If the folder does not exist or cannot be written to.
        DataError
            If the row labels are of a type that cannot be saved.
        """
        save_fit(self, path)
