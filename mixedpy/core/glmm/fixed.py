"""The deviance of a generalized model without its random effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.family.protocol import Family
from mixedpy.core.glmm.estimate import prepare_glmm
from mixedpy.core.glmm.newton import minimize_jointly
from mixedpy.core.glmm.objective import Objective
from mixedpy.core.glmm.start import first_values
from mixedpy.core.record import Status

__all__ = ["fixed_deviance"]

_TOLERANCE = 1e-8


def fixed_deviance(
    design: Design, family: Family, auxiliary: Sequence[Floats | None], control: Control
) -> tuple[float, Status]:
    """Minimize the deviance with all variances held at zero, where the Laplace approximation is exact.

    Parameters
    ----------
    design : Design
        The model's arrays; only the smallest random term is looked at.
    family, auxiliary
        As for :func:`mixedpy.core.glmm.estimate.estimate_glmm`.
    control : Control
        Settings.

    Returns
    -------
    float
        -2 log-likelihood, with every constant.
    Status
        How the optimizer ended.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the deviance has no finite value at the start.
    """
    smallest = min(design.terms, key=lambda term: term.m * term.n_levels)
    _, problem = prepare_glmm(replace(design, terms=(smallest,)), family, auxiliary)
    objective = Objective(problem)
    start = first_values(problem)
    x, k = start.x.copy(), problem.layout.k
    x[:k] = 0.0
    none: list[None] = [None] * len(objective.blocks)
    first = objective.value(x, none, none, 1e-10)
    if not np.isfinite(first.deviance):
        raise np.linalg.LinAlgError("the deviance has no finite value at the start")
    found = minimize_jointly(
        objective, first, np.ones(len(x)), tol=_TOLERANCE, max_iterations=control.max_iterations, held=range(k)
    )
    gained = found.predicted if found.status is Status.CONVERGED else 0.0
    return found.evaluation.deviance - gained, found.status
