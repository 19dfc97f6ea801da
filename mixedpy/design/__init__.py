"""Terms x table -> design (arrays) and schema (names, levels, codings)."""

from mixedpy.design.build import Built, build
from mixedpy.design.random import TermSchema
from mixedpy.design.schema import (
    RandomColumns,
    Schema,
    effect_columns,
    fixed_columns,
    offset_column,
    random_columns,
    response_levels,
    trial_numbers,
    zero_columns,
)

__all__ = [
    "Built",
    "RandomColumns",
    "Schema",
    "TermSchema",
    "build",
    "effect_columns",
    "fixed_columns",
    "offset_column",
    "random_columns",
    "response_levels",
    "trial_numbers",
    "zero_columns",
]
