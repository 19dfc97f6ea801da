"""Conditional modes of the random effects, and the coefficients per level."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.conditional import conditional_covariance
from mixedpy.core.glmm.record import GlmmRecord
from mixedpy.core.record import Estimates, FitRecord
from mixedpy.design import Schema

__all__ = ["coef", "effect_covariances", "ranef"]


def ranef(
    design: Design, schema: Schema, record: FitRecord | GlmmRecord, *, condvar: bool = False
) -> dict[str, pd.DataFrame]:
    """Collect the conditional modes by grouping factor; terms that share one stand side by side.

    Parameters
    ----------
    condvar : bool
        Whether to add a column ``<effect>_sd`` per effect: the standard deviation of the effect given the data, with
        the fixed effects held at their estimates (lme4's ``condVar``).

    Returns
    -------
    dict of str to DataFrame
        Per grouping factor a table level x effect.
    """
    return _tables(schema, record, effect_covariances(design, record) if condvar else None)


def effect_covariances(design: Design, record: FitRecord | GlmmRecord) -> tuple[Floats, ...]:
    """Covariances of the random effects given the data, at the estimates, (J, m, m) for each term."""
    return record.condvar if isinstance(record, GlmmRecord) else conditional_covariance(design, record)


def _tables(
    schema: Schema, record: Estimates, covariances: tuple[Floats, ...] | None = None
) -> dict[str, pd.DataFrame]:
    """Lay out the conditional modes, and the standard deviations of ``covariances`` (J, m, m) where given."""
    tables: dict[str, list[pd.DataFrame]] = {}
    sds: dict[str, list[pd.DataFrame]] = {}
    for i, (term, modes) in enumerate(zip(schema.terms, record.modes, strict=True)):
        index = pd.Index(term.levels, name=term.group)
        tables.setdefault(term.group, []).append(pd.DataFrame(modes, index=index, columns=list(term.effects)))
        if covariances is not None:
            sd = np.sqrt(np.einsum("jaa->ja", covariances[i]))  # (J, m)
            columns = [f"{effect}_sd" for effect in term.effects]
            sds.setdefault(term.group, []).append(pd.DataFrame(sd, index=index, columns=columns))
    return {group: pd.concat(parts + sds.get(group, []), axis=1) for group, parts in tables.items()}


def coef(design: Design, schema: Schema, record: Estimates) -> dict[str, pd.DataFrame]:
    """Add fixed effects and conditional modes per level of each grouping factor.

    As in lme4 every table has a column per fixed effect, and first a column per random effect, of whatever grouping
    factor, that has no fixed counterpart.
    """
    modes = _tables(schema, record)
    random_names = dict.fromkeys(name for table in modes.values() for name in table.columns)
    columns = [name for name in random_names if name not in schema.fixed_names] + list(schema.fixed_names)
    fixed = pd.Series(record.beta, index=list(schema.fixed_names)).reindex(columns, fill_value=0.0)
    return {group: table.reindex(columns=columns, fill_value=0.0) + fixed for group, table in modes.items()}
