"""How often tests of a fixed effect reject at 5 % where it is zero: small designs, many simulated data sets.

    python benchmarks/calibration.py [--simulations 2000] [--seed 1] [--out FILE]

Every data set is fitted by REML, and by maximum likelihood with and without the effect. A rate is within Monte-Carlo
error of 5 % if it is nearer than two standard errors, 1 % for 2,000 data sets. ``DESIGNS`` were fixed before a data set
of them was simulated; ``LIMITS`` were added to find out where the methods end.
"""

from __future__ import annotations

import argparse
import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from tables import markdown

import mixedpy as mp

Floats = npt.NDArray[np.float64]

LEVEL = 0.05
METHODS = ("Kenward-Roger", "Satterthwaite", "Wald z", "LRT chi-square", "LRT simulated")

NULL_DRAWS = 199
"""Data sets simulated for each simulated p value; 199 make a test of exactly 5 %."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Independent random intercepts, or slopes on x, of a factor."""

    factor: str
    sd: float
    slope: bool = False


@dataclass(frozen=True, slots=True)
class Design:
    """A small design: predictors and groups, random terms of the model, and the random effects of the truth."""

    name: str
    table: pd.DataFrame
    random: str
    effects: tuple[Effect, ...]

    def respond(self, rng: np.random.Generator) -> Floats:
        """Draw a response on which x has no effect on average; the residual standard deviation is one."""
        y = rng.normal(size=len(self.table))
        for effect in self.effects:
            codes = self.table[effect.factor].to_numpy()
            own = effect.sd * rng.normal(size=codes.max() + 1)[codes]
            y += own * self.table["x"].to_numpy() if effect.slope else own
        return y


def _one_way() -> pd.DataFrame:
    g = np.repeat(np.arange(10), [3, 3, 4, 4, 5, 5, 6, 6, 7, 8])
    return pd.DataFrame({"g": g, "x": np.random.default_rng(1).normal(size=10)[g]})


def _crossed() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"g": rng.integers(0, 10, 80), "h": rng.integers(0, 8, 80)})
    return table.assign(x=(table["h"] % 2).astype(float))


def _slopes() -> pd.DataFrame:
    g = np.repeat(np.arange(12), [8, 8, 9, 9, 10, 10, 10, 10, 11, 11, 12, 12])
    return pd.DataFrame({"g": g, "x": np.random.default_rng(3).normal(size=len(g))})


INTERCEPTS, SLOPES = Effect("g", 1.0), Effect("g", 1.0, slope=True)

DESIGNS = (
    Design("one way, 10 groups of 3 to 8, x between", _one_way(), "(1 | g)", (INTERCEPTS,)),
    Design("crossed, 10 x 8, 80 rows, x between", _crossed(), "(1 | g) + (1 | h)", (INTERCEPTS, Effect("h", 1.0))),
    Design("random slopes, 12 groups of 8 to 12", _slopes(), "(x | g)", (INTERCEPTS, SLOPES)),
)
"""All standard deviations are one, that of the residuals and of x too."""


def _limits() -> tuple[Design, ...]:
    """Fewer groups, shorter groups, and variances that are often estimated as zero."""
    rng = np.random.default_rng(20)
    one = pd.DataFrame({"g": np.repeat(np.arange(8), [2, 3, 4, 4, 5, 5, 6, 7])})
    one["x"] = rng.normal(size=8)[one["g"]] + 0.3 * rng.normal(size=len(one))
    crossed = pd.DataFrame({"g": rng.integers(0, 8, 60), "h": rng.integers(0, 6, 60)})
    crossed["x"] = (crossed["h"] % 2).astype(float)
    slopes = pd.DataFrame({"g": np.repeat(np.arange(10), [3, 4, 4, 5, 5, 6, 6, 7, 7, 8])})
    slopes["x"] = rng.uniform(-1.0, 1.0, len(slopes))
    return (
        Design("8 groups of 2 to 7, x mostly between", one, "(1 | g)", (INTERCEPTS,)),
        Design("8 x 6 crossed, 60 rows, x between", crossed, "(1 | g) + (1 | h)", (INTERCEPTS, Effect("h", 1.0))),
        Design("slopes, 10 groups of 3 to 8", slopes, "(x | g)", (INTERCEPTS, Effect("g", 2.0, slope=True))),
        Design("the same, slopes of a third the size", slopes, "(x | g)", (INTERCEPTS, Effect("g", 0.7, slope=True))),
    )


LIMITS = _limits()


def pvalues(full: mp.Prepared, reduced: mp.Prepared, y: Floats, rng: np.random.Generator) -> list[float]:
    """p values of the effect of x by each of ``METHODS``."""
    fit = full.fit(y)
    tests = [fit.contrast("x", ddf=ddf) for ddf in ("kenward-roger", "satterthwaite", None)]
    found = [float(test.filter(like="Pr(").to_numpy(float)[0, 0]) for test in tests]
    fits = reduced.fit(y, reml=False), full.fit(y, reml=False)
    table = mp.anova(*fits, names=["without", "with"], nsim=NULL_DRAWS, seed=rng)
    return [*found, *(float(table[column].iloc[1]) for column in ("Pr(>Chisq)", "Pr(simulated)"))]


def rates(design: Design, simulations: int, seed: int) -> Floats:
    """Share of the data sets in which each method rejects."""
    table = design.table.assign(y=design.respond(np.random.default_rng(0)))
    full = mp.prepare(f"y ~ x + {design.random}", table)
    reduced = mp.prepare(f"y ~ 1 + {design.random}", table)
    rng = np.random.default_rng(seed)
    found = [pvalues(full, reduced, design.respond(rng), rng) for _ in range(simulations)]
    return np.asarray(np.mean(np.array(found) <= LEVEL, axis=0))


def main() -> None:
    """Simulate, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore", mp.MixedpyWarning)
    error = 100 * math.sqrt(LEVEL * (1 - LEVEL) / args.simulations)
    text = [f"Rejections in percent at 5 %, {args.simulations:,} data sets, standard error {error:.1f}"]
    for designs in (DESIGNS, LIMITS):
        rows = [[d.name, *(f"{100 * rate:.1f}" for rate in rates(d, args.simulations, args.seed))] for d in designs]
        text.append(markdown(["design", *METHODS], rows))
    print("\n\n".join(text))
    if args.out is not None:
        args.out.write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
