"""The benchmark problems as data: a model, a table, and the programs that can be expected to fit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy import datasets

__all__ = ["PROBLEMS", "Problem", "crossing", "problem"]

Codes = npt.NDArray[np.int64]

ALL = ("glmm", "mixedlm", "lme4")
INTERCEPTS = (*ALL, "gpboost")


@dataclass(frozen=True, slots=True)
class Problem:
    """A linear mixed model, fitted by REML, and its table.

    Attributes
    ----------
    name : str
        Word that selects it on the command line.
    title : str
        Row of the result table.
    formula : str
        The model.
    table : callable
        Makes the table, the same at each call.
    peers : tuple of str
        Engines of ``engines.py`` that fit this model in bearable time and memory.
    """

    name: str
    title: str
    formula: str
    table: Callable[[], pd.DataFrame]
    peers: tuple[str, ...] = ALL


def slope(n: int = 1_000_000, groups: int = 50_000) -> pd.DataFrame:
    """Correlated intercepts and slopes over many small groups."""
    rng = np.random.default_rng(11)
    g, x = rng.integers(0, groups, n), rng.standard_normal(n)
    effects = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.3], [0.3, 0.5]], groups)
    y = 1.0 + 2.0 * x + effects[g, 0] + effects[g, 1] * x + rng.standard_normal(n)
    return pd.DataFrame({"y": y, "x": x, "g": _factor(g)})


def nested(n: int = 200_000, outer: int = 500, inner: int = 10_000) -> pd.DataFrame:
    """Classes c within schools s, every class in one school."""
    rng = np.random.default_rng(12)
    c, x = rng.integers(0, inner, n), rng.standard_normal(n)
    s = c % outer
    y = x + rng.normal(0.0, 0.5, inner)[c] + rng.normal(0.0, 0.7, outer)[s] + rng.standard_normal(n)
    return pd.DataFrame({"y": y, "x": x, "c": _factor(c), "s": _factor(s)})


def nearly_nested(
    persons: int = 3_000, staff: int = 1_200, units: int = 80, visits: int = 4, moved: float = 0.005
) -> pd.DataFrame:
    """Visits of persons p to staff t within units u, a few of them in a foreign unit: crossed, but sparsely so."""
    rng = np.random.default_rng(13)
    p = np.repeat(np.arange(persons), visits)
    n = len(p)
    u = np.where(rng.random(n) < moved, rng.integers(0, units, n), rng.integers(0, units, persons)[p])
    t = u + units * rng.integers(0, staff // units, n)
    x = rng.standard_normal(n)
    effects = rng.normal(0.0, 1.0, persons)[p] + rng.normal(0.0, 0.5, staff)[t] + rng.normal(0.0, 0.4, units)[u]
    y = 0.3 * x + effects + rng.standard_normal(n)
    return pd.DataFrame({"y": y, "x": x, "p": _factor(p), "t": _factor(t), "u": _factor(u)})


def maximal(n: int = 30_000, subjects: int = 150, items: int = 100) -> pd.DataFrame:
    """Three two-level conditions whose effects vary over subjects s and over items i: 20 covariance parameters."""
    rng = np.random.default_rng(14)
    s, i = rng.integers(0, subjects, n), rng.integers(0, items, n)
    Z = np.column_stack([np.ones(n), rng.choice([-1.0, 1.0], (n, 3))])
    by_subject = rng.standard_normal((subjects, 4)) * [0.6, 0.3, 0.3, 0.2]
    by_item = rng.standard_normal((items, 4)) * [0.5, 0.2, 0.2, 0.2]
    y = np.einsum("nk,nk->n", Z, by_subject[s] + by_item[i]) + 0.3 * Z[:, 1] + rng.standard_normal(n)
    return pd.DataFrame({"y": y, "A": Z[:, 1], "B": Z[:, 2], "C": Z[:, 3], "s": _factor(s), "i": _factor(i)})


def crossing(n: int, subjects: int, items: int) -> pd.DataFrame:
    """Subjects with slopes crossed with items, rows at random."""
    rng = np.random.default_rng(11)
    s, i, x = rng.integers(0, subjects, n), rng.integers(0, items, n), rng.normal(size=n)
    b = rng.normal(size=(2, subjects))
    y = x + b[0, s] + b[1, s] * x + rng.normal(size=items)[i] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "s": _factor(s), "i": _factor(i)})


def crossed(n: int = 500_000, users: int = 20_000, items: int = 1_500) -> pd.DataFrame:
    """Users u and items i drawn with heavy-tailed popularity: a few have a large share of the rows."""
    rng = np.random.default_rng(15)
    u, i = _popular(rng, n, users, 1.5), _popular(rng, n, items, 1.2)
    x = rng.standard_normal(n)
    effects = rng.normal(0.0, 0.8, users)[u] + rng.normal(0.0, 0.6, items)[i]
    y = 1.0 + 0.5 * x + effects + rng.standard_normal(n)
    return pd.DataFrame({"y": y, "x": x, "u": _factor(u), "i": _factor(i)})


def _popular(rng: np.random.Generator, n: int, levels: int, tail: float) -> Codes:
    """Draw n levels with probabilities proportional to shifted Pareto variables of this tail index."""
    weights = rng.pareto(tail, levels) + 0.1
    return rng.choice(levels, n, p=weights / weights.sum())


def _factor(codes: Codes) -> pd.Categorical:
    """Make a factor of the levels that occur, the same for every program."""
    levels, positions = np.unique(codes, return_inverse=True)
    return pd.Categorical.from_codes(positions, categories=pd.Index(levels.astype(str).tolist()))


PROBLEMS = (
    Problem(
        "sleepstudy",
        "sleepstudy, 180 rows",
        "Reaction ~ Days + (Days | Subject)",
        partial(datasets.load, "sleepstudy"),
        (*ALL, "statsmodels"),
    ),
    Problem(
        "penicillin",
        "Penicillin, 144 rows, 24 x 6",
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        partial(datasets.load, "Penicillin"),
        INTERCEPTS,
    ),
    Problem(
        "pastes",
        "Pastes, 60 rows, 30 in 10",
        "strength ~ 1 + (1 | batch) + (1 | sample)",
        partial(datasets.load, "Pastes"),
        INTERCEPTS,
    ),
    Problem(
        "insteval2",
        "InstEval, 73,421 rows, 2972 x 1128, p = 28",
        "y ~ service * dept + (1 | s) + (1 | d)",
        partial(datasets.load, "InstEval"),
        INTERCEPTS,
    ),
    Problem(
        "insteval3",
        "InstEval, 73,421 rows, 2972 x 1128 x 14",
        "y ~ service + (1 | s) + (1 | d) + (1 | dept)",
        partial(datasets.load, "InstEval"),
        INTERCEPTS,
    ),
    Problem("slope", "slope, 1,000,000 rows, 50,000 groups", "y ~ x + (x | g)", slope),
    Problem("nested", "nested, 200,000 rows, 10,000 in 500", "y ~ x + (1 | s) + (1 | c)", nested, INTERCEPTS),
    Problem(
        "sparse",
        "nearly nested, 12,000 rows, 3 factors",
        "y ~ x + (1 | p) + (1 | t) + (1 | u)",
        nearly_nested,
        INTERCEPTS,
    ),
    Problem(
        "maximal",
        "maximal, 30,000 rows, 150 x 100, 20 parameters",
        "y ~ A + B + C + (A + B + C | s) + (A + B + C | i)",
        maximal,
    ),
    Problem("crossed", "crossed, 500,000 rows, 20,000 x 1500", "y ~ x + (1 | u) + (1 | i)", crossed, INTERCEPTS),
)
"""All problems, small ones first."""


def problem(name: str) -> Problem:
    """Find a problem by its name.

    Raises
    ------
    KeyError
        If there is none.
    """
    for candidate in PROBLEMS:
        if candidate.name == name:
            return candidate
    raise KeyError(f"there is no problem {name!r}; choose one of {', '.join(p.name for p in PROBLEMS)}")
