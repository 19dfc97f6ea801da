"""Coverage of the intervals of ``predict``: simulate, fit, predict rows that were held back, count.

    python benchmarks/coverage.py [--simulations 1000] [--level 0.95] [--seed 1] [--out FILE]

Every simulation draws new random effects, so that what an interval has to cover changes with it: the mean of the
population, the mean at a level that the fit has seen, the mean at one that it has not, and a new observation at either.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tables import markdown

import mixedpy as mp
from mixedpy.core.arrays import Design, Floats
from mixedpy.core.parameters import Parameters
from mixedpy.design import build

TARGETS: tuple[tuple[str, str | None, Literal["confidence", "prediction"], int], ...] = (
    ("mean of the population", "NA", "confidence", 0),
    ("mean, seen level", None, "confidence", 0),
    ("mean, new level", None, "confidence", 1),
    ("new observation, seen level", None, "prediction", 0),
    ("new observation, new level", None, "prediction", 1),
    ('new observation, re_form="NA"', "NA", "prediction", 1),
)
"""Name, ``re_form``, ``interval``, and which of the two rows held back."""


@dataclass(frozen=True, slots=True)
class Study:
    """A model with its parameters, the rows that are fitted, and two that are predicted: seen levels, new levels."""

    name: str
    formula: str
    table: pd.DataFrame
    held_back: pd.DataFrame
    beta: tuple[float, ...]
    theta: tuple[float, ...]
    sigma: float = 1.0

    def design(self) -> Design:
        """All rows, those held back last."""
        stacked = pd.concat([self.table, self.held_back], ignore_index=True)
        return build(self.formula, stacked.assign(y=0.0)).design


def one_factor(J: int, x: Sequence[float]) -> Study:
    """Intercepts and slopes of one factor."""
    return Study(
        name=f"slopes, {J} levels of {len(x)} rows",
        formula="y ~ x + (x | g)",
        table=_texts(mp.design(crossed={"g": J, "x": x})),
        held_back=pd.DataFrame({"g": ["g2", "new"], "x": [0.7, 0.7]}),
        beta=(1.0, 0.5),
        theta=(1.0, 0.3, 0.6),
    )


def crossed(I: int, J: int) -> Study:
    """Two crossed factors, one row each."""
    return Study(
        name=f"crossed {I} x {J}",
        formula="y ~ 1 + (1 | s) + (1 | i)",
        table=_texts(mp.design(crossed={"s": I, "i": J})),
        held_back=pd.DataFrame({"s": ["s3", "new"], "i": ["i4", "new"]}),
        beta=(2.0,),
        theta=(0.8, 0.6),
    )


def nested(I: int, J: int, rows: int) -> Study:
    """Two nested factors."""
    return Study(
        name=f"nested {I} / {J}, {rows} rows each",
        formula="y ~ 1 + (1 | a) + (1 | b)",
        table=_texts(mp.design(nested={"a": I, "b": J}, replicates=rows)),
        held_back=pd.DataFrame({"a": ["a1", "new"], "b": ["b2", "new"]}),
        beta=(0.0,),
        theta=(0.7, 0.7),
    )


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({name: str for name in table if isinstance(table[name].dtype, pd.CategoricalDtype)})


STUDIES = (
    one_factor(60, (-1.0, -0.5, 0.0, 0.5, 1.0)),
    one_factor(18, tuple(np.linspace(-1.0, 1.0, 10))),
    one_factor(8, (-1.0, -0.5, 0.0, 0.5, 1.0)),
    crossed(60, 50),
    nested(60, 3, 4),
)


LIMITS: tuple[tuple[str, Literal["satterthwaite"] | None], ...] = (
    ("Normal limits (the default)", None),
    ('t limits (ddf="satterthwaite")', "satterthwaite"),
)


def coverage(study: Study, simulations: int, level: float, rng: np.random.Generator) -> Floats:
    """Share of the simulations in which each target is covered, (limits, targets)."""
    design = study.design()
    n = len(study.table)
    fixed = design.X @ np.array(study.beta)
    Lambdas = Parameters([term.template for term in design.terms]).Lambdas(np.array(study.theta))
    covered = np.zeros((len(LIMITS), len(TARGETS)))
    for _ in range(simulations):
        eta = fixed.copy()
        for term, Lambda in zip(design.terms, Lambdas, strict=True):
            b = study.sigma * rng.standard_normal((term.n_levels, term.m)) @ Lambda.T
            eta += sum(design.columns[c] * b[term.codes, a] for a, c in enumerate(term.columns))
        y = eta + study.sigma * rng.standard_normal(len(eta))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mp.SingularFitWarning)
            fit = mp.lmer(study.formula, study.table.assign(y=y[:n]))
        for k, (_, ddf) in enumerate(LIMITS):
            covered[k] += _covered(fit, study, level, ddf, fixed[n:], eta[n:], y[n:])
    return covered / simulations


def _covered(
    fit: mp.LmmFit,
    study: Study,
    level: float,
    ddf: Literal["satterthwaite"] | None,
    population: Floats,
    mean: Floats,
    y: Floats,
) -> NDArray[np.bool_]:
    hits = []
    for _, re_form, interval, row in TARGETS:
        found = fit.predict(study.held_back, re_form, "link", True, interval, level, ddf=ddf)
        assert isinstance(found, pd.DataFrame)
        truth = y[row] if interval == "prediction" else population[row] if re_form == "NA" else mean[row]
        hits.append(found["lower"].iloc[row] < truth < found["upper"].iloc[row])
    return np.array(hits)


def report(simulations: int, level: float, seed: int) -> str:
    """Write the table as Markdown."""
    error = np.sqrt(level * (1.0 - level) / simulations)
    found = [coverage(study, simulations, level, np.random.default_rng([seed, k])) for k, study in enumerate(STUDIES)]
    parts = [
        f"# Coverage of {level:.0%} intervals\n\n{simulations:,} simulations of each study (seed {seed}), REML; in "
        f"brackets the distance from {level:.0%} in Monte Carlo standard errors ({error:.2%}).\n"
    ]
    for which, (title, _) in enumerate(LIMITS):
        rows = [
            [target[0], *(f"{one[which, k]:.1%} ({(one[which, k] - level) / error:+.1f})" for one in found)]
            for k, target in enumerate(TARGETS)
        ]
        table = markdown(["what is covered", *(study.name for study in STUDIES)], rows)
        parts.append(f"\n## {title}\n\n{table}\n")
    return "".join(parts)


def main() -> None:
    """Read the arguments, simulate, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--level", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    text = report(given.simulations, given.level, given.seed)
    if given.out is None:
        print(text, end="")
    else:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
