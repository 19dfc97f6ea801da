"""Which examples are left out of the doctests: those that need a package that is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("sklearn") else ["mixedpy/adapters/sklearn.py", "docs/tables-and-reports.md"]
