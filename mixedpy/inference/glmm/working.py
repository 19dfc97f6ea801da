"""The working linear model of a generalized fit: weights -l'' at the conditional modes, unit dispersion.

At given parameters the conditional modes move with the fixed effects as those of this linear model do, so that what
Henderson's equations say of a linear fit they say of this one, to the order of the Laplace approximation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.joint import JointCovariance, joint_covariance
from mixedpy.inference.glmm.response import of_rows

__all__ = ["prediction_covariance", "working_design", "working_weights"]


def working_weights(design: Design, record: GlmmRecord) -> Floats:
    """Weights of the working linear model, (n,): -l'', or its mean where the fit took expected weights.

    Observed weights may be negative in rows of a family that is not log-concave.
    """
    response = of_rows(design, record)
    arguments = design.y, response.m, response.eta, response.xi
    weights = record.family.expected(*arguments)[0] if record.expected else record.family.slopes(*arguments)[1]
    return np.asarray(np.broadcast_to(weights, design.n), np.float64)


def working_design(design: Design, record: GlmmRecord) -> Design:
    """The design with the working weights in the place of the prior ones."""
    return replace(design, weights=working_weights(design, record))


def prediction_covariance(design: Design, record: GlmmRecord) -> JointCovariance:
    """Joint covariance of the fixed effects and the prediction errors of the random effects.

    Var(b | y) and the derivative of the modes in beta are those of the working model, the covariance of beta is that of
    the fit, which counts the uncertainty of the other parameters.
    """
    return joint_covariance(working_design(design, record), record, record.fixed_vcov)
