"""How often tests of a variance reject where it is zero: small designs, many simulated data sets.

``boundary.py [--simulations N] [--out FILE]`` prints the tables. The restricted likelihood ratio is referred to
chi-square, as if zero were not a boundary, to the mixture and the simulated distribution of ``mp.anova``, and to its
exact distribution, ``mp.rlrt``. ``DESIGNS`` were fixed before a data set of them was simulated; ``LIMITS`` have fewer
levels, or fewer rows in each.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from run import write
from scipy.stats import chi2
from tables import markdown

import mixedpy as mp

__all__ = ["DESIGNS", "LIMITS", "Study", "main", "rejections"]

_LEVELS = (0.10, 0.05, 0.01)
_EXACT = 4000
"""Statistics drawn for each exact test."""

_NULL_DRAWS = 199
"""Data sets simulated for each simulated p value; 199 make tests of exactly 10, 5 and 1 %."""


@dataclass(frozen=True, slots=True)
class Study:
    """A design and the hypotheses that are true in it.

    Attributes
    ----------
    title : str
        Words for the table.
    table : callable
        Makes the predictors and groups from a random generator.
    full, null : str
        Models with and without the variance that is tested; ``null`` without a random term is a linear model.
    old : int
        Effects that the term has without the variance; then covariances are tested too, and there is no exact test.
    truth : dict of str to float
        Standard deviations of the other random effects; residuals have 1.
    """

    title: str
    table: Callable[[np.random.Generator], pd.DataFrame]
    full: str
    null: str | None
    old: int
    truth: dict[str, float]


def _one_way(rng: np.random.Generator, groups: int = 15) -> pd.DataFrame:
    g = np.repeat(np.arange(groups), rng.integers(2, 7, groups))
    return pd.DataFrame({"g": g.astype(str), "x": rng.normal(size=groups)[g]})


def _crossed(rng: np.random.Generator, first: int = 12, second: int = 8, rows: int = 80) -> pd.DataFrame:
    g, h = rng.integers(0, first, rows), rng.integers(0, second, rows)
    return pd.DataFrame({"g": g.astype(str), "h": h.astype(str), "x": rng.normal(size=first)[g]})


def _slopes(rng: np.random.Generator, groups: int = 12, rows: int = 6) -> pd.DataFrame:
    x = np.arange(rows) - 0.5 * (rows - 1)
    return pd.DataFrame({"g": np.repeat(np.arange(groups), rows).astype(str), "x": np.tile(x, groups)})


_ONE = "y ~ x + (1 | g)"
_BOTH = "y ~ x + (1 | g) + (1 | h)"
_OTHER = "y ~ x + (1 | h)"
_SLOPES = "y ~ x + (1 | g) + (0 + x | g)"

DESIGNS = (
    Study("one way, 30 groups of 2 to 6", partial(_one_way, groups=30), _ONE, None, 0, {}),
    Study("crossed, 30 x 20, 200 rows", partial(_crossed, first=30, second=20, rows=200), _BOTH, _OTHER, 0, {"h": 1.0}),
    Study("slopes, 30 groups of 6", partial(_slopes, groups=30), _SLOPES, _ONE, 0, {"g": 1.0}),
)

LIMITS = (
    Study("one way, 15 groups of 2 to 6", _one_way, _ONE, None, 0, {}),
    Study("crossed, 12 x 8, 80 rows", _crossed, _BOTH, _OTHER, 0, {"h": 0.7}),
    Study("slopes, 12 groups of 6", _slopes, _SLOPES, _ONE, 0, {"g": 0.7}),
    Study(
        "slopes and their correlation, 30 groups of 4",
        partial(_slopes, groups=30, rows=4),
        "y ~ x + (x | g)",
        _ONE,
        1,
        {"g": 1.0},
    ),
)


def _responses(prepared: mp.Prepared, truth: dict[str, float], count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw responses with fixed effects of zero."""
    design, Y = prepared.design, rng.normal(size=(prepared.nobs, count))
    for term, names in zip(design.terms, prepared.schema.terms, strict=True):
        b = truth.get(names.name, 0.0) * rng.normal(size=(term.n_levels, count))
        Y += design.columns[term.columns[0]][:, None] * b[term.codes]
    return pd.DataFrame(Y)


def _prepared(study: Study, rng: np.random.Generator) -> tuple[mp.Prepared, mp.Prepared | None]:
    table = study.table(rng)
    table["y"] = rng.normal(size=len(table))
    return mp.prepare(study.full, table), None if study.null is None else mp.prepare(study.null, table)


def rejections(study: Study, simulations: int, seed: int = 1) -> dict[str, np.ndarray]:
    """p values of the tests of a variance that is zero, by each reference."""
    rng = np.random.default_rng(seed)
    full, null = _prepared(study, rng)
    Y = _responses(full, study.truth, simulations, rng)
    found = [_pvalues(study, full.fit(Y[column]), None if null is None else null.fit(Y[column]), rng) for column in Y]
    return {name: np.array([p[name] for p in found]) for name in found[0]}


def _pvalues(study: Study, fit: mp.LmmFit, fit0: mp.LmmFit | None, rng: np.random.Generator) -> dict[str, float]:
    df = study.old + 1
    if fit0 is None:  # a linear model, which mp.anova does not compare
        exact = mp.rlrt(fit, nsim=_EXACT, seed=rng)
        tail = float(chi2.sf(exact.statistic, 1))
        return {"chi2(1)": tail, "mixture": 0.5 * tail + 0.5 * (exact.statistic <= 0), "exact": exact.pvalue}
    table = mp.anova(fit0, fit, names=["without", "with"], nsim=_NULL_DRAWS, seed=rng)
    columns = {f"chi2({df})": "Pr(>Chisq)", "mixture": "Pr(boundary)", "simulated": "Pr(simulated)"}
    out = {name: float(table[column].iloc[1]) for name, column in columns.items()}
    return out if study.old else {**out, "exact": mp.rlrt(fit, fit0, nsim=_EXACT, seed=rng).pvalue}


def _rows(title: str, found: dict[str, np.ndarray]) -> list[list[str]]:
    return [[title, name, *(f"{100.0 * np.mean(p <= level):.1f}" for level in _LEVELS)] for name, p in found.items()]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--simulations", type=int, default=2000)
    reader.add_argument("--out", type=Path)
    args = reader.parse_args(argv)
    warnings.simplefilter("ignore", mp.MixedpyWarning)
    header = ["design", "reference", *(f"{100 * level:g} %" for level in _LEVELS)]
    parts = []
    for studies in (DESIGNS, LIMITS):
        rows = [row for study in studies for row in _rows(study.title, rejections(study, args.simulations))]
        parts.append(markdown(header, rows))
    errors = ", ".join(f"{196 * np.sqrt(a * (1 - a) / args.simulations):.1f}" for a in _LEVELS)
    write(
        f"Rejections in percent, {args.simulations:,} data sets without the variance; 95 % of nominal rates lie within "
        f"{errors} of their level.\n\n" + "\n\n".join(parts),
        args.out,
    )


if __name__ == "__main__":
    main()
