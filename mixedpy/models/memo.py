"""What is computed once for a fit, when first asked for, and kept as long as the fit lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args
from weakref import WeakKeyDictionary

from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.second_order.fit import FitBlocks, fit_blocks
from mixedpy.inference.ddf import Ddf, Inference, asymptotic, choose_method

if TYPE_CHECKING:
    from mixedpy.models.glmm import GlmmFit
    from mixedpy.models.lmm import LmmFit

__all__ = ["blocks_of", "check_ddf", "inference_of"]

_blocks: WeakKeyDictionary[LmmFit, FitBlocks] = WeakKeyDictionary()


def blocks_of(fit: LmmFit) -> FitBlocks:
    """Give the second-order blocks of a fit, which degrees of freedom and the conditional AIC share."""
    found = _blocks.get(fit)
    if found is None:
        found = _blocks[fit] = fit_blocks(fit.design, fit.record, fit.request.control)
    return found


def check_ddf(ddf: str | None) -> Ddf:
    """Read the name of a method for degrees of freedom, in any case; None is "asymptotic"."""
    name = "asymptotic" if ddf is None else ddf.lower() if isinstance(ddf, str) else ddf
    for known in get_args(Ddf):
        if name == known:
            return known
    wanted = ", ".join(map(repr, get_args(Ddf)))
    raise ValueError(f"ddf={ddf!r} is unknown; use one of {wanted}, or None for no degrees of freedom")


def inference_of(fit: LmmFit | GlmmFit, ddf: str | None) -> Inference:
    """Give the fixed effects of a fit with the method for degrees of freedom of that name.

    Those of a generalized fit are compared with the normal distribution, ``ddf`` "asymptotic" or None.
    """
    name = check_ddf(ddf)
    record = fit.record
    if isinstance(record, GlmmRecord):
        if name != "asymptotic":
            raise ValueError(f"ddf={ddf!r}: a generalized fit has no degrees of freedom; leave it out")
        return asymptotic(record.beta, record.vcov[: record.p, : record.p])
    return choose_method(name, record, None if name == "asymptotic" else blocks_of(cast("LmmFit", fit)))
