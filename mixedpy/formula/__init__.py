"""Formula text -> frozen terms; knows no data."""

from mixedpy.formula.algebra import Terms
from mixedpy.formula.bars import Bar
from mixedpy.formula.deparse import deparse
from mixedpy.formula.model import Formula, one_sided, parse

__all__ = ["Bar", "Formula", "Terms", "deparse", "one_sided", "parse"]
