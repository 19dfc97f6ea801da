"""Names of the parameters, their values, and starting values by position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.covariance import Diagonal, Unstructured
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.parameters import Parameters
from mixedpy.core.refit.entries import Entries, entries_are_parameters
from mixedpy.design import Schema
from mixedpy.design.random import TermSchema
from mixedpy.errors import DataError

__all__ = [
    "Parameter",
    "auxiliary_names",
    "choose_parameters",
    "parameter_list",
    "parameter_table",
    "parameter_values",
    "roots_of",
    "spelled",
    "start_parts",
    "start_values",
    "theta_names",
    "variance_name",
]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as intervals show them.

    Attributes
    ----------
    name : str
        ``.sig01``, ``.sig02``, ... for standard deviations and correlations of the random effects, ``.sigma``, or the
        name of the coefficient.
    kind : {"sd", "cor", "sigma", "fixed", "family"}
        What it is; "family" is a coefficient of a predictor of the family's own, such as the logarithm of a dispersion.
    term : int
        Random term, for "sd" and "cor".
    a, b : int
        Effects of the term, a >= b; position of the coefficient in a.
    """

    name: str
    kind: Literal["sd", "cor", "sigma", "fixed", "family"]
    term: int = -1
    a: int = -1
    b: int = -1


def parameter_list(design: Design, schema: Schema, family: Sequence[str] | None = None) -> list[Parameter]:
    """List the parameters as lme4's ``confint`` orders them.

    Standard deviations and correlations of every term column by column of the lower triangle, the residual standard
    deviation, the fixed effects. A generalized model has, in the place of the residual standard deviation, the
    coefficients of its ``family``, which come last. Of standard deviations or correlations that a covariance structure
    makes equal, or that follow from one correlation, the first stands for all.
    """
    out: list[Parameter] = []
    for i, term in enumerate(design.terms):
        free = isinstance(term.template, Unstructured)
        one_sd = schema.terms[i].hom
        for b in range(term.m):
            for a in range(b, term.m):
                if a == b:
                    wanted = a == 0 or not one_sd
                else:
                    wanted = free or ((a, b) == (1, 0) and not isinstance(term.template, Diagonal))
                if wanted:
                    out.append(Parameter(f".sig{len(out) + 1:02d}", "sd" if a == b else "cor", i, a, b))
    fixed = [Parameter(name, "fixed", a=j) for j, name in enumerate(schema.fixed_names)]
    if family is None:
        return [*out, Parameter(".sigma", "sigma"), *fixed]
    return [*out, *fixed, *(Parameter(name, "family", a=j) for j, name in enumerate(family))]


def parameter_values(
    parameters: Sequence[Parameter], roots: Sequence[Floats], sigma: float, beta: Floats, alpha: Floats | None = None
) -> Floats:
    """Values of parameters, (k,), at one point; see :func:`parameter_table`."""
    wide = [root[:, :, None] for root in roots]
    own = None if alpha is None else alpha[None, :]
    return parameter_table(parameters, wide, np.array([sigma]), beta[None, :], own)[0]


def parameter_table(
    parameters: Sequence[Parameter], roots: Sequence[Floats], sigma: Floats, beta: Floats, alpha: Floats | None = None
) -> Floats:
    """Values of k parameters at B points, (B, k).

    Parameters
    ----------
    parameters : sequence of Parameter
        Which ones.
    roots : sequence of (m, m, B) arrays
        Square roots of the terms' covariances on the absolute scale.
    sigma : (B,) array
        Residual standard deviations.
    beta : (B, p) array
        Fixed effects.
    alpha : (B, s) array, optional
        Coefficients of the family's own predictors.
    """
    out = np.empty((len(sigma), len(parameters)))
    for k, one in enumerate(parameters):
        if one.kind == "sigma":
            out[:, k] = sigma
        elif one.kind == "fixed":
            out[:, k] = beta[:, one.a]
        elif one.kind == "family":
            assert alpha is not None
            out[:, k] = alpha[:, one.a]
        else:
            left, right = roots[one.term][one.a], roots[one.term][one.b]  # (m, B)
            size = np.sqrt((left**2).sum(0) * (right**2).sum(0))
            if one.kind == "sd":
                out[:, k] = np.sqrt((left**2).sum(0))
            else:
                with np.errstate(invalid="ignore", divide="ignore"):
                    out[:, k] = np.clip(np.where(size > 0, (left * right).sum(0) / size, np.nan), -1.0, 1.0)
    return out


def roots_of(design: Design, theta: Floats) -> list[Floats]:
    """Relative covariance factors (m, m, B) of the terms at theta (B, k), in the order of ``Design.terms``."""
    templates = [term.template for term in design.terms]
    if entries_are_parameters(templates):
        return Entries(templates).Lambdas(theta.T)
    layout = Parameters(templates)
    every = [layout.Lambdas(one) if np.isfinite(one).all() else None for one in theta]
    return [
        np.stack([np.full((t.m, t.m), np.nan) if Ls is None else Ls[i] for Ls in every], axis=2)
        for i, t in enumerate(templates)
    ]


def choose_parameters(every: Sequence[Parameter], parm: str | int | Sequence[str | int] | None) -> list[Parameter]:
    """Select parameters by name, position, or the groups ``"theta_"`` and ``"beta_"``; None selects all.

    ``"theta_"`` are those of the random effects and sigma.

    Raises
    ------
    DataError
        If a name is unknown or a position out of range.
    """
    if parm is None:
        return list(every)
    names = [one.name for one in every]
    chosen: list[Parameter] = []
    groups = {"theta_": ("sd", "cor", "sigma"), "beta_": ("fixed",)}
    for wanted in [parm] if isinstance(parm, str | int) else parm:
        if isinstance(wanted, str) and wanted in groups:
            chosen += [one for one in every if one.kind in groups[wanted]]
        elif isinstance(wanted, str) and wanted in names:
            chosen.append(every[names.index(wanted)])
        elif isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(every):
            chosen.append(every[wanted])
        else:
            raise DataError(
                f"parm={wanted!r} is not a parameter of the model; use names among {', '.join(names)}, positions from "
                f"0 to {len(every) - 1}, 'theta_' or 'beta_'"
            )
    return list(dict.fromkeys(chosen))


def spelled(name: str, known: Sequence[str]) -> str:
    """A name as the fit has it: R keeps the backticks of a column that needs them, and they may be left out.

    Examples
    --------
    >>> spelled("the day", ["(Intercept)", "`the day`"]), spelled("x", ["(Intercept)", "x"])
    ('`the day`', 'x')
    """
    quoted = f"`{name}`"
    return quoted if name not in known and quoted in known else name


def theta_names(design: Design, schema: Schema) -> list[str]:
    """Name the covariance parameters as lme4 does: ``g.a`` on the diagonal of Lambda, ``g.b.a`` below it.

    With a covariance structure they are ``g.a`` for a standard deviation, ``g.*`` for that of all effects, and
    ``g.rho`` (lme4 2.0's ``par``).
    """
    return [
        f"{names.group}.{parameter}"
        for term, names in zip(design.terms, schema.terms, strict=True)
        for parameter in term.template.parameter_names(names.effects)
    ]


def auxiliary_names(schema: Schema, record: GlmmRecord) -> list[str]:
    """Names of the coefficients of the family's own predictors: "log(size)", "logit(zeros).(Intercept)"."""
    labels = [f"{a.scale}({a.name})" for a in record.family.auxiliary]
    if schema.zeros is not None:
        labels[-1:] = [f"logit(zeros).{name}" for name in schema.zeros.names]
    return labels


def start_parts(
    design: Design, schema: Schema, start: npt.ArrayLike | Mapping[str, npt.ArrayLike]
) -> tuple[Floats | None, Floats | None]:
    """Check starting values: an array of theta, or a dict of ``theta`` and ``fixef``, each as the fit has it."""
    if not isinstance(start, Mapping):
        return start_values(design, schema, start), None
    unknown = [str(key) for key in start if key not in ("theta", "fixef")]
    if unknown or not start:
        raise DataError(f"start= has the entries {', '.join(map(str, start)) or 'none'}; give 'theta', 'fixef' or both")
    theta, fixef = start.get("theta"), start.get("fixef")
    beta = None if fixef is None else _numbers(fixef, "start['fixef']", schema.fixed_names)
    if beta is not None and (beta.shape != (len(schema.fixed_names),) or not np.isfinite(beta).all()):
        names = ", ".join(schema.fixed_names)
        raise DataError(f"start['fixef'] must hold {len(schema.fixed_names)} finite numbers: {names}")
    return None if theta is None else start_values(design, schema, theta, "start['theta']"), beta


def _numbers(values: Any, argument: str, names: Sequence[str]) -> Floats:
    try:
        return np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        raise DataError(f"{argument}={values!r} must hold numbers, one for each of {', '.join(names)}") from None


def variance_name(term: TermSchema) -> str:
    """Name the variance of a term with one effect: "g" for the intercept, "x in g" for another effect."""
    (effect,) = term.effects
    return term.group if effect == "(Intercept)" else f"{effect} in {term.group}"


def start_values(
    design: Design, schema: Schema, start: npt.ArrayLike | Mapping[str, npt.ArrayLike], argument: str = "start"
) -> Floats:
    """Check values for theta given as the argument of that name: one finite number per parameter.

    A Series with the parameters' names is read by name, in any order; anything else in the order of ``theta``.
    """
    names = theta_names(design, schema)
    if isinstance(start, Mapping) and set(start) == {"theta"}:
        start = start["theta"]
    if isinstance(start, pd.Series) and start.index.is_unique and set(start.index) == set(names):
        start = start.loc[names]
    theta = _numbers(start, argument, names)
    if theta.shape != (len(names),):
        raise DataError(f"{argument}= has shape {theta.shape}; {len(names)} values are wanted: {', '.join(names)}")
    if not np.isfinite(theta).all():
        raise DataError(f"{argument}= holds values that are not finite: {theta}; give numbers for {', '.join(names)}")
    bounds = [term.template.bounds() for term in design.terms]
    lower, upper = (np.concatenate(side) for side in zip(*bounds, strict=True))
    # Only correlations are bounded above; a diagonal of Lambda may have either sign.
    for name, value, low, high in zip(names, theta, lower, upper, strict=True):
        if np.isfinite(high) and not low <= value <= high:
            raise DataError(f"{argument}= gives {name} as {value:g}; a correlation lies between {low:.4g} and {high:g}")
    return theta
