"""The errors and warnings of mixedpy: each says what was seen, what was wanted and what to do."""

from __future__ import annotations

import sys
import warnings

__all__ = [
    "ConvergenceWarning",
    "DataError",
    "FormulaError",
    "IntervalWarning",
    "MixedpyError",
    "MixedpyWarning",
    "RankDeficiencyWarning",
    "SeparationWarning",
    "SingularFitWarning",
    "SparseFallbackWarning",
    "warn",
]


class MixedpyError(Exception):
    """Base class of every error that mixedpy raises on purpose."""


class FormulaError(MixedpyError, ValueError):
    """A formula that cannot be read, with a caret under the offending text.

    Parameters
    ----------
    message : str
        What was seen, what was wanted and what to do.
    formula : str, optional
        The formula as typed.
    start, stop : int, optional
        The offending characters of ``formula``, as for a slice.
    """

    def __init__(self, message: str, formula: str | None = None, start: int | None = None, stop: int | None = None):
        self.message, self.formula, self.start, self.stop = message, formula, start, stop
        super().__init__(message if formula is None or start is None else f"{message}\n{self._caret()}")

    def _caret(self) -> str:
        assert self.formula is not None
        assert self.start is not None
        stop = max(self.stop or 0, self.start + 1)
        return f"  {self.formula}\n  {' ' * self.start}{'^' * (stop - self.start)}"


class DataError(MixedpyError, ValueError):
    """A table, column or array that does not fit the model; the message names it."""


class MixedpyWarning(UserWarning):
    """Base class of every warning that mixedpy gives."""


class ConvergenceWarning(MixedpyWarning):
    """The optimizer stopped before its criteria for convergence were met."""


class IntervalWarning(MixedpyWarning):
    """A confidence interval lacks a limit, or rests on fewer replicates than were asked for."""


class SingularFitWarning(MixedpyWarning):
    """The estimate lies on the boundary: a variance of zero or a correlation of plus or minus one."""


class RankDeficiencyWarning(MixedpyWarning):
    """Columns of X depend linearly on columns to their left and were dropped."""


class SeparationWarning(MixedpyWarning):
    """Predictors tell some responses apart completely: their coefficients have no finite estimate."""


class SparseFallbackWarning(MixedpyWarning):
    """A design that calls for a sparse Cholesky factor is fitted with SciPy's SuperLU instead of CHOLMOD."""


def warn(warning: MixedpyWarning) -> None:
    """Give a warning that points at the line outside the package that called into it.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn(SingularFitWarning("the fit is singular"))
    >>> caught[0].category.__name__, str(caught[0].message)
    ('SingularFitWarning', 'the fit is singular')
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "mixedpy":
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level)
