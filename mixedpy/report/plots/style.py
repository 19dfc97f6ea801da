"""The look of all plots, and the axes they are drawn on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixedpy.errors import MixedpyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BLUE",
    "CYCLE",
    "DENSE",
    "GREY",
    "LIGHT",
    "ORANGE",
    "AxesLike",
    "Panels",
    "flat",
    "one_or_all",
    "panels",
    "pyplot",
    "styled",
]

AxesLike: TypeAlias = "Axes | Sequence[Axes] | NDArray[np.object_] | None"
"""What ``ax=`` takes."""

Panels: TypeAlias = "Axes | NDArray[np.object_]"
"""What a plot returns: its axes, or an array of them if it has several panels."""

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREY: Final = "#6b6b6b"
LIGHT: Final = "#d9d9d9"
CYCLE: Final = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#b8a800")
"""Okabe & Ito's colours, told apart by colour-blind readers; the yellow is darkened."""

DENSE: Final = 20_000
"""Number of points above which they are drawn as pixels, so that a vector file stays small."""

_STYLE: Final[dict[str, Any]] = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": False,
    "lines.linewidth": 1.4,
    "patch.linewidth": 0.8,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.w_pad": 0.07,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.dpi": 100.0,
    "savefig.dpi": 200.0,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "text.usetex": False,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
}

P = ParamSpec("P")
T = TypeVar("T")


def pyplot() -> Any:
    """Import matplotlib's pyplot.

    Raises
    ------
    MixedpyError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt  # optional, and slow to import
    except ImportError as error:
        raise MixedpyError(
            'plots need matplotlib, which is not installed; install it with pip install "mixedpy[plots]"'
        ) from error
    return plt


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Draw in the style of this package; the user's own settings come back afterwards."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        settings = pyplot().rcParams
        # Not rc_context(): it would also take back what the backend sets when its first figure is made.
        users = {name: settings[name] for name in _STYLE}
        settings.update(_STYLE)
        try:
            return draw(*args, **kwargs)
        finally:
            settings.update(users)

    return wrapper


def panels(
    n: int,
    ax: AxesLike,
    *,
    columns: int | None = None,
    size: tuple[float, float] = (3.2, 2.8),
    sharex: bool = False,
    sharey: bool = False,
) -> NDArray[np.object_]:
    """Make the axes of a plot, or take those that the caller gave.

    Parameters
    ----------
    n : int
        Number of panels.
    ax : Axes or sequence of Axes, optional
        The caller's; as many as there are panels.
    columns : int, optional
        Panels in a row; all by default.
    size : (float, float)
        Width and height of one panel in inches.
    sharex, sharey : bool
        Whether new panels share their axes.

    Returns
    -------
    (n,) array of Axes
        In reading order.

    Raises
    ------
    ValueError
        If the caller's axes are not as many.
    """
    if ax is not None:
        given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(given) != n:
            raise ValueError(f"ax= has {len(given)} axes, but the plot has {n} panels; give {n}, or none")
        return given
    columns = n if columns is None else min(columns, n)
    rows = -(-n // columns)
    _, axes = pyplot().subplots(
        rows,
        columns,
        figsize=(size[0] * columns, size[1] * rows),
        sharex=sharex,
        sharey=sharey,
        squeeze=False,
        layout="constrained",
    )
    made: NDArray[np.object_] = axes.ravel()
    for unused in made[n:]:
        unused.set_axis_off()
    return made[:n]


def one_or_all(axes: NDArray[np.object_]) -> Panels:
    """Return the axes themselves if there is one, the array of them otherwise."""
    single: Panels = axes[0] if len(axes) == 1 else axes
    return single


def flat(drawn: Panels) -> list[Any]:
    """List the axes that a plot returned."""
    return list(np.atleast_1d(np.asarray(drawn, dtype=object)).ravel())
