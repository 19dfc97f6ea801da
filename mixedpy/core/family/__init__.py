"""Families of response distributions with their links: pure functions of (y, eta)."""

from mixedpy.core.family.binomial import Binomial
from mixedpy.core.family.counts import CountFamily, NegativeBinomial1, NegativeBinomial2, Poisson
from mixedpy.core.family.dispersion import Gamma, Gaussian, InverseGaussian
from mixedpy.core.family.links import LINKS, Link, find_link
from mixedpy.core.family.protocol import Auxiliary, Family, Offence
from mixedpy.core.family.shares import Beta, BetaBinomial
from mixedpy.core.family.zeros import Hurdle, ZeroInflated

__all__ = [
    "LINKS",
    "Auxiliary",
    "Beta",
    "BetaBinomial",
    "Binomial",
    "CountFamily",
    "Family",
    "Gamma",
    "Gaussian",
    "Hurdle",
    "InverseGaussian",
    "Link",
    "NegativeBinomial1",
    "NegativeBinomial2",
    "Offence",
    "Poisson",
    "ZeroInflated",
    "find_link",
]
