"""Linear mixed models with lme4's answers and print-outs.

>>> import mixedpy as mp
>>> fit = mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))
>>> round(fit.sigma, 3)
25.592
"""

from mixedpy import datasets
from mixedpy.core.control import Control
from mixedpy.core.family import (
    Beta,
    BetaBinomial,
    Binomial,
    Gamma,
    Gaussian,
    Hurdle,
    InverseGaussian,
    NegativeBinomial1,
    NegativeBinomial2,
    Poisson,
    ZeroInflated,
)
from mixedpy.errors import (
    ConvergenceWarning,
    DataError,
    FormulaError,
    IntervalWarning,
    MixedpyError,
    MixedpyWarning,
    RankDeficiencyWarning,
    SeparationWarning,
    SingularFitWarning,
    SparseFallbackWarning,
)
from mixedpy.inference.demean import demean
from mixedpy.inference.layout import design
from mixedpy.inference.selection import NA
from mixedpy.models.bootstrap import Bootstrap
from mixedpy.models.comparing.all_fit import AllFit, all_fit
from mixedpy.models.comparing.comparison import Comparison, anova, compare
from mixedpy.models.comparing.rlrt import RlrtResult, rlrt
from mixedpy.models.denovo import simulate
from mixedpy.models.glmer import glmer, glmer_nb
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.lmer import lmer
from mixedpy.models.lmm import LmmFit
from mixedpy.models.manyfits import ManyFits
from mixedpy.models.model_table import table
from mixedpy.models.power import Power
from mixedpy.models.prepared import Prepared, prepare
from mixedpy.models.profile import Profile
from mixedpy.models.storage.load import load
from mixedpy.version import __version__

__all__ = [
    "NA",
    "AllFit",
    "Beta",
    "BetaBinomial",
    "Binomial",
    "Bootstrap",
    "Comparison",
    "Control",
    "ConvergenceWarning",
    "DataError",
    "FormulaError",
    "Gamma",
    "Gaussian",
    "GlmmFit",
    "Hurdle",
    "IntervalWarning",
    "InverseGaussian",
    "LmmFit",
    "ManyFits",
    "MixedpyError",
    "MixedpyWarning",
    "NegativeBinomial1",
    "NegativeBinomial2",
    "Poisson",
    "Power",
    "Prepared",
    "Profile",
    "RankDeficiencyWarning",
    "RlrtResult",
    "SeparationWarning",
    "SingularFitWarning",
    "SparseFallbackWarning",
    "ZeroInflated",
    "__version__",
    "all_fit",
    "anova",
    "compare",
    "datasets",
    "demean",
    "design",
    "glmer",
    "glmer_nb",
    "lmer",
    "load",
    "prepare",
    "rlrt",
    "simulate",
    "table",
]
