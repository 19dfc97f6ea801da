"""Joint tests of all terms by the contrasts of marginal means, as ``joint_tests`` of the R package emmeans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.errors import DataError
from mixedpy.inference.ddf import Inference
from mixedpy.inference.grid import Averaging, Grid, Weights, averaging, reference_grid, term_columns
from mixedpy.inference.joint import JointTest, estimable_part, joint_test
from mixedpy.models.kept import kept_table
from mixedpy.models.means.record import RecordTable
from mixedpy.models.memo import inference_of

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = ["JointTable", "joint_table", "joint_tests"]

_DEPENDENT = "d: df1 reduced due to linear dependence"
_NOT_ESTIMABLE = "e: df1 reduced due to non-estimability"


class JointTable(RecordTable):
    """Joint tests of linear functions: ``df1``, ``df2``, ``F.ratio`` and ``p.value``, a row for each.

    A column ``note`` says, where that is so, that degrees of freedom were lost: "d" to linear dependence, "e" since the
    data do not determine some functions.
    """


def joint_table(
    labels: pd.DataFrame, tests: Sequence[JointTest], by: Sequence[str], reduced: Sequence[bool]
) -> JointTable:
    """Lay out joint tests.

    Parameters
    ----------
    labels : DataFrame
        What each test is about; without columns for a single test.
    tests : sequence of JointTest
        The tests.
    by : sequence of str
        Columns of ``labels`` that set groups apart.
    reduced : sequence of bool
        Whether a test lacks functions that cannot be estimated.
    """
    remarks = [
        "".join([" d" if test.dependent else "  ", " e" if lost else ""]).rstrip()
        for test, lost in zip(tests, reduced, strict=True)
    ]
    columns = {
        **{str(name): labels[name].to_numpy() for name in labels.columns},
        "df1": [test.rank for test in tests],
        "df2": [test.ddf for test in tests],
        "F.ratio": [test.statistic for test in tests],
        "p.value": [test.pvalue for test in tests],
        **({"note": remarks} if any(remarks) else {}),
    }
    table = JointTable(columns)
    table._labels, table._by, table._above = tuple(map(str, labels.columns)), tuple(by), ()
    table._notes = (
        *([_DEPENDENT] if any(test.dependent for test in tests) else []),
        *([_NOT_ESTIMABLE] if any(reduced) else []),
    )
    return table


def joint_tests(
    fit: LmmFit | GlmmFit,
    by: str | Sequence[str] | None,
    at: Mapping[str, Any] | None,
    weights: Weights,
    ddf: str | None,
) -> JointTable:
    """Test all terms by contrasts of marginal means; see ``LmmFit.joint_tests``."""
    within = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    grid = reference_grid(fit.schema, fit.design, kept_table(fit), at, spread=True)
    for name in within:
        if name not in grid.values:
            raise DataError(f"joint_tests: by={name!r} is no predictor of the fixed part")
    if len(set(within)) < len(within):
        raise DataError(f"joint_tests: by={by!r} must name distinct predictors")
    factors = [name for name in grid.values if name not in within and len(grid.values[name]) > 1]
    if not factors:
        raise DataError("joint_tests: there is no predictor with several values left to test")
    inference, terms = inference_of(fit, ddf), term_columns(fit.schema)
    sets = [
        names
        for size in range(1, len(factors) + 1)
        for names in combinations(factors, size)
        if any(columns.issuperset(names) for columns in terms)
    ]
    every = averaging(grid, (*factors, *within), weights)
    size = int(np.prod([len(grid.values[name]) for name in factors]))
    labels, tests, reduced = [], [], []
    for start in range(0, len(every.labels), size):
        group = {name: every.labels[name].iloc[start] for name in within}
        found = {names: _tested(inference, grid, names, within, start // size, weights) for names in sets}
        found = {names: one for names, one in found.items() if one[0].rank}
        rest = _confounded(inference, grid, every, slice(start, start + size), [test for test, _ in found.values()])
        for name, (test, lost) in [*((":".join(names), one) for names, one in found.items()), *rest]:
            labels.append({**group, "model term": name})
            tests.append(test)
            reduced.append(lost)
    return joint_table(pd.DataFrame(labels), tests, within, reduced)


def _tested(
    inference: Inference, grid: Grid, names: Sequence[str], within: Sequence[str], group: int, weights: Weights
) -> tuple[JointTest, bool]:
    """Test the interaction contrasts of some predictors in a group; whether some cannot be estimated."""
    means = averaging(grid, (*names, *within), weights)
    levels = [len(grid.values[name]) for name in names]
    size = int(np.prod(levels))
    C: Floats = np.ones((1, 1))
    for k in levels:
        C = np.asarray(np.kron(_consecutive(k), C), np.float64)  # the first predictor varies fastest
    return _test(inference, grid, means, slice(group * size, (group + 1) * size), C)


def _confounded(
    inference: Inference, grid: Grid, every: Averaging, cells: slice, tests: Sequence[JointTest]
) -> list[tuple[str, tuple[JointTest, bool]]]:
    """What the cells of a group differ by beyond the terms that were tested, if anything."""
    total, _ = _test(inference, grid, every, cells, None)
    basis = np.concatenate([test.basis for test in tests]) if tests else np.empty((0, len(inference.beta)))
    part = joint_test(inference, basis, basis @ inference.beta)
    rank = total.rank - part.rank
    if rank <= 0:
        return []
    explained = part.rank * part.statistic if part.rank else 0.0
    statistic = (total.rank * total.statistic - explained) / rank
    return [("(confounded)", (JointTest(rank, total.ddf, statistic, dependent=False, basis=total.basis), False))]


def _test(inference: Inference, grid: Grid, means: Averaging, rows: slice, C: Floats | None) -> tuple[JointTest, bool]:
    """Test contrasts of some means, by default the differences of neighbours; whether some cannot be estimated."""
    chosen = replace(means, cells=means.cells[rows], weights=means.weights[rows])
    L, full = chosen.of(grid.L), chosen.of(grid.full)
    known: NDArray[np.bool_] = np.asarray(
        np.isfinite(L).all(axis=1)
    )  # NaN comes from cells without rows, by their weights
    if C is None:
        L, full = np.diff(L[known], axis=0), np.diff(full[known], axis=0)
    else:
        C = C[~(C != 0.0)[:, ~known].any(axis=1)]
        L, full = (C @ np.where(known[:, None], X, 0.0) for X in (L, full))
    L, lost = estimable_part(L, full, grid.null)
    return joint_test(inference, L, L @ inference.beta), lost or not known.all()


def _consecutive(k: int) -> Floats:
    """Differences of neighbours among k means, (k - 1, k)."""
    return np.eye(k)[1:] - np.eye(k)[:-1]
