"""The linear model without random effects, on the scale of the mixed model's criterion."""

from __future__ import annotations

from mixedpy.core.arrays import Design
from mixedpy.core.deviance import profile_fixed
from mixedpy.core.estimate import prepare
from mixedpy.core.factor.protocol import Reduced

__all__ = ["linear_criterion"]


def linear_criterion(design: Design, *, reml: bool) -> float:
    """Compute the ML deviance or REML criterion of a design at variances of zero: V is the identity.

    Parameters
    ----------
    design : Design
        A mixed model; its random terms do not matter.
    reml : bool
        REML criterion rather than ML deviance.

    Returns
    -------
    float
        With every constant, as of a fit.
    """
    engine = prepare(design)
    cp = engine.cross_products
    value = profile_fixed(Reduced(0.0, cp.fixed), cp.n, cp.log_weights, reml=reml).value
    return value + (2.0 * engine.conditioned.log_scale if reml else 0.0)
