"""Linear mixed models with lme4's answers and print-outs.

>>> import mixedpy as mp
>>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
>>> round(fit.sigma, 3)
25.592
"""

from mixedpy import datasets
from mixedpy.core.control import Control
from mixedpy.errors import (
    ConvergenceWarning,
    DataError,
    FormulaError,
    MixedpyError,
    MixedpyWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
    SparseFallbackWarning,
)
from mixedpy.inference.demean import demean
from mixedpy.inference.layout import design
from mixedpy.inference.selection import NA
from mixedpy.models.denovo import simulate
from mixedpy.models.lmer import lmer
from mixedpy.models.lmm import LmmFit
from mixedpy.models.model_table import table
from mixedpy.models.storage.load import load
from mixedpy.version import __version__

__all__ = [
    "NA",
    "Control",
    "ConvergenceWarning",
    "DataError",
    "FormulaError",
    "LmmFit",
    "MixedpyError",
    "MixedpyWarning",
    "RankDeficiencyWarning",
    "SingularFitWarning",
    "SparseFallbackWarning",
    "__version__",
    "datasets",
    "demean",
    "design",
    "lmer",
    "load",
    "simulate",
    "table",
]
