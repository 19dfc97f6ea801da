"""``rlrt``: the exact restricted likelihood-ratio test of one variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixedpy.core.boundary.spectral import MOST_LEVELS, simulate_rlrt, spectrum
from mixedpy.core.estimate import estimate_prepared, prepare
from mixedpy.core.frozen import sealed
from mixedpy.core.linear import linear_criterion
from mixedpy.errors import MixedpyError
from mixedpy.inference.names import variance_name
from mixedpy.inference.nesting import embed
from mixedpy.inference.seeds import random_source
from mixedpy.models.comparing.comparable import check_fits, check_same_data, one_fixed_part
from mixedpy.models.lmm import LmmFit

__all__ = ["RlrtResult", "rlrt"]

_ROUNDING = 1e-6


@sealed
@dataclass(frozen=True, slots=True, repr=False)
class RlrtResult:
    """An exact restricted likelihood-ratio test.

    Attributes
    ----------
    term : str
        The variance that is tested: ``"g"`` for an intercept, ``"x in g"`` for a slope.
    statistic : float
        Twice the difference of the restricted log-likelihoods; zero if the variance is estimated as zero.
    pvalue : float
        Share of simulated statistics that are larger; 1 at a statistic of zero.
    standard_error : float
        Monte-Carlo standard error of the p value.
    nsim : int
        Number of statistics simulated.
    """

    term: str
    statistic: float
    pvalue: float
    standard_error: float
    nsim: int

    def __repr__(self) -> str:
        p = f"< {1.0 / self.nsim:.2g}" if self.pvalue == 0.0 else f"= {self.pvalue:.4g}"
        return (
            f"Exact restricted likelihood-ratio test of the variance of {self.term}\n"
            f"RLRT = {self.statistic:.5g}, p-value {p}, standard error {self.standard_error:.1g} "
            f"({self.nsim} simulations)"
        )


def rlrt(
    fit: LmmFit, fit0: LmmFit | None = None, nsim: int = 10_000, seed: int | np.random.Generator | None = None
) -> RlrtResult:
    """Test whether one variance is zero by its exact restricted likelihood-ratio distribution.

    Parameters
    ----------
    fit : LmmFit
        The model with the variance.
    fit0 : LmmFit, optional
        The same model without the random term; not needed if it is the only one.
    nsim : int
        Number of statistics to simulate.
    seed : int or numpy Generator, optional
        Source of the random numbers; an int makes the result repeatable.

    Returns
    -------
    RlrtResult
        Statistic and p value.

    Raises
    ------
    DataError
        If the two fits are not to the same data.
    MixedpyError
        If they do not differ by exactly one random term with one effect, or have different fixed parts.

    Notes
    -----
    The null distribution is simulated from the spectral representation of Crainiceanu & Ruppert (2004, J. R. Stat. Soc.
    B 66, 165-185), exact for a model with one variance. With further random terms the data are whitened by the fit of
    ``fit0``; RLRsim in R leaves those terms out of the distribution altogether, which rejects a true hypothesis
    slightly too often. Fits by maximum likelihood are refitted by REML first.

    Examples
    --------
    >>> import mixedpy as mp
    >>> fit = mp.lmer("Yield ~ 1 + (1 | Batch)", mp.datasets.load("Dyestuff"))
    >>> found = mp.rlrt(fit, seed=1)
    >>> round(found.statistic, 4), found.pvalue < 0.01
    (6.369, True)
    """
    if isinstance(nsim, bool) or not isinstance(nsim, int | np.integer) or nsim < 1:
        raise ValueError(f"nsim={nsim!r} must be a whole number, at least 1")
    fits = [fit] if fit0 is None else [fit, fit0]
    check_fits("rlrt", fits, 1, linear=True)
    control = fit.request.control
    engine = prepare(fit.design, control)
    record = fit.record
    if not record.reml:
        record = estimate_prepared(engine, reml=True, start=record.theta, control=control)
    if fit0 is None:
        if len(fit.design.terms) > 1:
            terms = ", ".join(term.name for term in fit.schema.terms)
            raise MixedpyError(
                f"the fit has several random terms ({terms}); give as fit0 the same model without the one to test"
            )
        tested, criterion = 0, linear_criterion(fit.design, reml=True)
        roots = [np.zeros((term.m, term.m)) for term in fit.design.terms]
    else:
        tested, criterion, roots = _against(fit, fit0)
    names, term = fit.schema.terms[tested], fit.design.terms[tested]
    if term.m > 1:
        raise MixedpyError(
            f"the term {names.name} has {term.m} effects ({', '.join(names.effects)}), and the exact test "
            "is one of a single variance; compare with anova(), whose mixture of chi-square distributions covers it"
        )
    name = variance_name(names)
    try:
        null = spectrum(engine, tested, roots)
    except ValueError as error:
        raise MixedpyError(
            f"the exact test of {name} needs the eigenvalues of a matrix with a row for each level, feasible up to "
            f"{MOST_LEVELS} levels ({error}); compare with anova(), whose mixture is accurate with so many levels"
        ) from error
    statistic = max(0.0, criterion - record.criterion)
    if statistic < _ROUNDING:
        return RlrtResult(name, 0.0, 1.0, 0.0, int(nsim))
    share = float((simulate_rlrt(null, int(nsim), random_source(seed)) > statistic).mean())
    return RlrtResult(name, statistic, share, float(np.sqrt(share * (1.0 - share) / nsim)), int(nsim))


def _against(fit: LmmFit, fit0: LmmFit) -> tuple[int, float, list[np.ndarray]]:
    """The term that the null fit lacks, the null fit's REML criterion, and its relative covariance factors."""
    check_same_data([fit, fit0], ["fit", "fit0"])
    if not one_fixed_part([fit, fit0]):
        raise MixedpyError("fit and fit0 have different fixed parts; the restricted test needs one and the same")
    control = fit0.request.control
    record = fit0.record
    if not record.reml:
        record = estimate_prepared(prepare(fit0.design, control), reml=True, start=record.theta, control=control)
    embedding = embed(fit0.design, record, fit.design, control.singular_tol)
    if isinstance(embedding, str):
        raise MixedpyError("the random part of fit0 is not a part of that of fit; leave out one random term")
    larger = [k for k, term in enumerate(embedding.terms) if term.new or term.free]
    whole = [k for k in larger if not embedding.terms[k].blocks]
    if len(larger) != 1 or larger != whole:
        names = [fit.schema.terms[k].name for k in larger] or ["none"]
        raise MixedpyError(
            "fit0 must lack exactly one random term of fit, as a whole; the terms that are larger in fit are: "
            f"{', '.join(names)}. Compare with anova(), whose mixture of chi-square distributions covers more"
        )
    roots = [_root(term.covariance) for term in embedding.terms]
    return larger[0], record.criterion, roots


def _root(covariance: np.ndarray) -> np.ndarray:
    w, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(w, 0.0)))
