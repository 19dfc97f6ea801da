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
from mixedpy.inference.selection import NA
from mixedpy.models.bootstrap import Bootstrap
from mixedpy.models.comparison import Comparison, anova, compare
from mixedpy.models.lmer import lmer
from mixedpy.models.lmm import LmmFit
from mixedpy.models.manyfits import ManyFits
from mixedpy.models.power import Power
from mixedpy.models.prepared import Prepared, prepare
from mixedpy.models.profile import Profile
from mixedpy.models.rlrt import RlrtResult, rlrt

__version__ = "0.1.0.dev0"

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
    "lmer",
    "prepare",
    "rlrt",
]
