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
    IntervalWarning,
    MixedpyError,
    MixedpyWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
    SparseFallbackWarning,
)
from mixedpy.inference.demean import demean
from mixedpy.inference.layout import design
from mixedpy.inference.selection import NA
from mixedpy.models.bootstrap import Bootstrap
from mixedpy.models.comparison import Comparison, anova, compare
from mixedpy.models.denovo import simulate
from mixedpy.models.lmer import lmer
from mixedpy.models.lmm import LmmFit
from mixedpy.models.manyfits import ManyFits
from mixedpy.models.model_table import table
from mixedpy.models.power import Power
from mixedpy.models.prepared import Prepared, prepare
from mixedpy.models.profile import Profile
from mixedpy.models.rlrt import RlrtResult, rlrt
from mixedpy.models.storage.load import load
from mixedpy.version import __version__

__all__ = [
    "NA",
    "Bootstrap",
    "Comparison",
    "Control",
    "ConvergenceWarning",
    "DataError",
    "FormulaError",
    "IntervalWarning",
    "LmmFit",
    "ManyFits",
    "MixedpyError",
    "MixedpyWarning",
    "Power",
    "Prepared",
    "Profile",
    "RankDeficiencyWarning",
    "RlrtResult",
    "SingularFitWarning",
    "SparseFallbackWarning",
    "__version__",
    "anova",
    "compare",
    "datasets",
    "demean",
    "design",
    "lmer",
    "load",
    "prepare",
    "rlrt",
    "simulate",
    "table",
]
