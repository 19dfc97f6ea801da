"""Linear mixed models fitted by lme4, for comparison: ``CASES``, ``PRINTED`` and ``case(name)``.

The numbers are those of ``tests/reference/lmm_*.json``, written by ``tests/reference/lmm_reference.R`` from the models
listed in ``tests/reference/lmm_cases.R``. ``mixedpy.lmer(case.formula, case.frame(), **case.options())`` fits a case.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy import datasets

__all__ = ["CASES", "PRINTED", "AtTheta", "Case", "Modes", "Printed", "Residuals", "Term", "VarCorr", "case", "table"]

Floats = npt.NDArray[np.float64]

REFERENCE = Path(__file__).resolve().parent / "reference"


@dataclass(frozen=True, slots=True)
class AtTheta:
    """The criterion (ML deviance or REML criterion) at a given theta, without any optimization."""

    theta: Floats
    criterion: float


@dataclass(frozen=True, slots=True)
class Term:
    """A random term in lme4's order: grouping factor, names of its effects, number of levels."""

    group: str
    effects: tuple[str, ...]
    n_levels: int


@dataclass(frozen=True, slots=True)
class Modes:
    """Conditional modes of a grouping factor, ``ranef(m, condVar = TRUE)[[group]]``.

    Attributes
    ----------
    levels : tuple of str
        All levels, or of a factor with more than 300 the first 50 and the last 50.
    n_levels : int
        Number of levels of the factor.
    effects : tuple of str
        Columns; the effects of all terms of this factor.
    values : (len(levels), len(effects)) array
        The modes.
    condvar : tuple of (len(levels), m, m) arrays
        Var(b | y) at the estimates, one array for each term of this factor, in the order of the columns.
    """

    levels: tuple[str, ...]
    n_levels: int
    effects: tuple[str, ...]
    values: Floats
    condvar: tuple[Floats, ...]


@dataclass(frozen=True, slots=True)
class Residuals:
    """The first 20 residuals.

    Attributes
    ----------
    response : array
        y less the fitted values.
    pearson : array
        The same times the square root of the prior weights.
    scaled : array
        Pearson residuals divided by sigma; lme4's summary shows the quantiles of these.
    """

    response: Floats
    pearson: Floats
    scaled: Floats


@dataclass(frozen=True, slots=True)
class VarCorr:
    """Columns of ``as.data.frame(VarCorr(m))``; ``None`` where R has NA."""

    grp: tuple[str, ...]
    var1: tuple[str | None, ...]
    var2: tuple[str | None, ...]
    vcov: Floats
    sdcor: Floats


@dataclass(frozen=True, slots=True)
class Printed:
    """What R writes to standard output for ``print(m)``, ``print(summary(m))`` and ``print(VarCorr(m))``.

    The texts lack the last newline, which Python's ``print`` adds. ``summary_message`` is what ``print(summary(m))``
    sends to standard error: the note that a large correlation matrix is left out, or nothing.
    """

    print: str
    summary: str
    varcorr: str
    summary_message: str


@dataclass(frozen=True, slots=True)
class Case:
    """A model and what lme4 says of it.

    Attributes
    ----------
    name, data, formula : str
        Name of the case, name of the data set, formula as R deparses it.
    reml : bool
        REML or maximum likelihood.
    weights, offset : str or None
        Columns.
    derive : mapping of str to tuple of str
        Columns made before fitting: operation ("factor", "codes", "equals", "log") and its arguments.
    missing : mapping of str to tuple of int
        Row positions (from 0) that are set to missing, by column.
    criterion : float
        ML deviance or REML criterion at the best theta found.
    attempts : mapping of str to float
        The criterion each of R's optimizers reached; "default" is what a user of lme4 gets.
    at_fixed_theta, at_start : AtTheta
        The criterion away from the optimum and at lme4's starting values.
    loglik, aic, bic : float
        From the criterion that was fitted, as R reports them.
    ml_deviance : float
        ML deviance at the estimates, also of a REML fit.
    df_resid, npar, nobs : int
        Residual degrees of freedom, number of parameters, number of rows used.
    devcomp : mapping of str to float
        lme4's components of the deviance: ldL2, ldRX2, wrss, ussq, pwrss, sigmaML, sigmaREML, ...
    terms : tuple of Term
        In lme4's order.
    theta : (k,) array
        Covariance parameters.
    fixef_names : tuple of str
        After dropping aliased columns, whose names are in ``dropped``.
    fixef, se, t : (p,) arrays
        Estimates, standard errors, t values.
    vcov : (p, p) array
        Covariance of the fixed effects.
    sigma : float
        Residual standard deviation.
    varcorr : VarCorr
        Variances and correlations of the random effects.
    ngrps : mapping of str to int
        Levels of each grouping factor.
    singular : bool
        lme4's isSingular.
    messages : tuple of str
        lme4's notes on convergence.
    fitted : array
        The first 20 fitted values, of the rows labelled (from 1) ``rows``.
    residuals : Residuals
        The first 20.
    scaled_quantiles : (5,) array
        Quantiles of all scaled residuals, as in the summary.
    ranef : mapping of str to Modes
        By grouping factor.
    printed : Printed or None
        Print-outs, where kept.
    """

    name: str
    data: str
    formula: str
    reml: bool
    weights: str | None
    offset: str | None
    derive: Mapping[str, tuple[str, ...]]
    missing: Mapping[str, tuple[int, ...]]
    criterion: float
    attempts: Mapping[str, float]
    at_fixed_theta: AtTheta
    at_start: AtTheta
    loglik: float
    aic: float
    bic: float
    ml_deviance: float
    df_resid: int
    npar: int
    nobs: int
    devcomp: Mapping[str, float]
    terms: tuple[Term, ...]
    theta: Floats
    theta_names: tuple[str, ...]
    fixef_names: tuple[str, ...]
    fixef: Floats
    se: Floats
    t: Floats
    vcov: Floats
    dropped: tuple[str, ...]
    sigma: float
    varcorr: VarCorr
    ngrps: Mapping[str, int]
    singular: bool
    messages: tuple[str, ...]
    fitted: Floats
    rows: tuple[str, ...]
    residuals: Residuals
    scaled_quantiles: Floats
    ranef: Mapping[str, Modes]
    printed: Printed | None

    @property
    def flat(self) -> bool:
        """Whether theta is ill determined: on the boundary, or lme4's default stopped short by more than 1e-6."""
        return self.singular or self.attempts["default"] - self.criterion > 1e-6

    def frame(self) -> pd.DataFrame:
        """Make the table that the model was fitted to: missing values set, then columns derived."""
        return table(self.data, self.missing, self.derive)

    def options(self) -> dict[str, Any]:
        """Give the keyword arguments of ``mixedpy.lmer``."""
        return {"reml": self.reml, "weights": self.weights, "offset": self.offset}


def table(data: str, missing: Mapping[str, Sequence[int]], derive: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Load a data set, set values to missing, then derive columns."""
    frame = datasets.load(data)
    for column, positions in missing.items():
        if not isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(float)
        frame.loc[frame.index[list(positions)], column] = np.nan
    for column, (operation, source, *arguments) in derive.items():
        frame[column] = _derived(frame[source], operation, arguments)
    return frame


def case(name: str) -> Case:
    """Look up a case by its name."""
    return _by_name()[name]


def _derived(source: pd.Series, operation: str, arguments: Sequence[str]) -> Any:
    if operation == "factor":
        levels = np.unique(source.dropna().to_numpy())
        return pd.Categorical(source.astype(str), categories=[str(level) for level in levels])
    if operation == "log":
        return np.log(source)
    if operation not in ("codes", "equals"):
        raise ValueError(f"unknown operation {operation!r} in lmm_cases.R")
    numbers = source.cat.codes + 1 if operation == "codes" else source == arguments[0]
    return numbers.astype(float).where(source.notna())


def _array(values: Any) -> Floats:
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _modes(record: dict[str, Any]) -> Modes:
    return Modes(
        levels=tuple(record["levels"]),
        n_levels=record["n_levels"],
        effects=tuple(record["effects"]),
        values=_array(record["modes"]),
        condvar=tuple(_array(block) for block in record["condvar"]),
    )


def _case(record: dict[str, Any]) -> Case:
    arrays = ("theta", "fixef", "se", "t", "vcov", "fitted", "scaled_quantiles")
    tuples = ("theta_names", "fixef_names", "dropped", "messages", "rows")
    mappings = ("attempts", "devcomp", "ngrps")
    varcorr = record["varcorr"]
    printed = record.get("printed")
    converted = {
        **{key: _array(record[key]) for key in arrays},
        **{key: tuple(record[key]) for key in tuples},
        **{key: MappingProxyType(record[key]) for key in mappings},
        **{key: MappingProxyType({k: tuple(v) for k, v in record[key].items()}) for key in ("derive", "missing")},
        **{
            key: AtTheta(_array(record[key]["theta"]), record[key]["criterion"])
            for key in ("at_fixed_theta", "at_start")
        },
        "terms": tuple(Term(t["group"], tuple(t["effects"]), t["n_levels"]) for t in record["terms"]),
        "varcorr": VarCorr(
            grp=tuple(varcorr["grp"]),
            var1=tuple(varcorr["var1"]),
            var2=tuple(varcorr["var2"]),
            vcov=_array(varcorr["vcov"]),
            sdcor=_array(varcorr["sdcor"]),
        ),
        "residuals": Residuals(**{key: _array(values) for key, values in record["residuals"].items()}),
        "ranef": MappingProxyType({group: _modes(modes) for group, modes in record["ranef"].items()}),
        "printed": printed and Printed(**{key: "\n".join(lines) for key, lines in printed.items()}),
    }
    return Case(**{**record, **converted})


@cache
def _by_name() -> dict[str, Case]:
    files = sorted(REFERENCE.glob("lmm_*.json"))
    records = [record for file in files for record in json.loads(file.read_text(encoding="utf-8"))["cases"]]
    return {record["name"]: _case(record) for record in records}


CASES: tuple[Case, ...] = tuple(_by_name().values())
PRINTED: tuple[Case, ...] = tuple(found for found in CASES if found.printed is not None)
