"""The programs that are timed: each turns a formula and a table into a fit with a log-likelihood."""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

__all__ = ["PYTHON_ENGINES", "Engine", "engine"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that runs in this process.

    Attributes
    ----------
    name : str
        Also the name of its distribution.
    call : callable
        Formula and table -> restricted log-likelihood: the whole call, with the program's own settings. NaN where the
        program knows maximum likelihood only.
    """

    name: str
    call: Callable[[str, pd.DataFrame], float]

    def version(self) -> str | None:
        """Say which version is installed, None where it is not."""
        try:
            return importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return None


def _mixedpy(formula: str, table: pd.DataFrame) -> float:
    fit = importlib.import_module("mixedpy").lmer(formula, table)
    return float(fit.loglik)


def _glmm(formula: str, table: pd.DataFrame) -> float:
    return _loglik(importlib.import_module("glmm").fit(table, formula))


def _mixedlm(formula: str, table: pd.DataFrame) -> float:
    return _loglik(importlib.import_module("mixedlm").lmer(formula, table))


def _statsmodels(formula: str, table: pd.DataFrame) -> float:
    """Fit a model with one random term, which ``mixedlm`` wants in three pieces."""
    bar = re.fullmatch(r"(?P<fixed>[^|]*) \+ \((?P<effects>[^|()]*) \| (?P<group>\w+)\)", formula)
    if bar is None:
        raise ValueError(f"statsmodels fits models with one random term; {formula!r} is not of that kind")
    model = importlib.import_module("statsmodels.formula.api").mixedlm(
        bar["fixed"], table, groups=bar["group"], re_formula=f"~ {bar['effects']}"
    )
    return float(model.fit(reml=True).llf)


def _gpboost(formula: str, table: pd.DataFrame) -> float:
    """Fit random intercepts by maximum likelihood, the one criterion it has: no log-likelihood to set beside REML's."""
    fixed, *bars = re.split(r" \+ \(1 \| (\w+)\)", formula)
    groups = [name for name in bars if name]
    if not groups or "|" in fixed:
        raise ValueError(f"gpboost is given models with random intercepts only; {formula!r} is not of that kind")
    response, _, terms = fixed.partition(" ~ ")
    X = importlib.import_module("formulaic").model_matrix(terms, table).to_numpy(float)
    model = importlib.import_module("gpboost").GPModel(group_data=table[groups].to_numpy(), likelihood="gaussian")
    model.fit(y=table[response].to_numpy(float), X=X)
    return math.nan


def _loglik(fit: Any) -> float:
    value = fit.loglik if hasattr(fit, "loglik") else fit.logLik()
    return float(getattr(value, "value", value))


PYTHON_ENGINES = (
    Engine("mixedpy", _mixedpy),
    Engine("glmm", _glmm),
    Engine("mixedlm", _mixedlm),
    Engine("statsmodels", _statsmodels),
    Engine("gpboost", _gpboost),
)
"""The engines that run in Python; lme4 is timed by ``lme4.R``."""


def engine(name: str) -> Engine:
    """Find an engine by its name, and silence the warnings of its fits."""
    for candidate in PYTHON_ENGINES:
        if candidate.name == name:
            warnings.simplefilter("ignore")
            return candidate
    raise KeyError(f"there is no engine {name!r}; choose one of {', '.join(e.name for e in PYTHON_ENGINES)}")
