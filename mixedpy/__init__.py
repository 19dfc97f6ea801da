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
    MixedpyError,
    MixedpyWarning,
    RankDeficiencyWarning,
    SeparationWarning,
    SingularFitWarning,
    SparseFallbackWarning,
)
from mixedpy.inference.selection import NA
from mixedpy.models.glmer import glmer, glmer_nb
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.lmer import lmer
from mixedpy.models.lmm import LmmFit

__version__ = "0.1.0.dev0"

__all__ = [
    "NA",
    "Beta",
    "BetaBinomial",
    "Binomial",
    "Control",
    "ConvergenceWarning",
    "DataError",
    "FormulaError",
    "Gamma",
    "Gaussian",
    "GlmmFit",
    "Hurdle",
    "InverseGaussian",
    "LmmFit",
    "MixedpyError",
    "MixedpyWarning",
    "NegativeBinomial1",
    "NegativeBinomial2",
    "Poisson",
    "RankDeficiencyWarning",
    "SeparationWarning",
    "SingularFitWarning",
    "SparseFallbackWarning",
    "ZeroInflated",
    "__version__",
    "datasets",
    "glmer",
    "glmer_nb",
    "lmer",
]
