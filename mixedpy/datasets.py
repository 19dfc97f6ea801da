"""The data sets of lme4, as tables with R's column types and level orders.

``data/README.md`` says where each comes from and what its columns mean.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from mixedpy.errors import DataError

__all__ = ["load", "names"]


def names() -> list[str]:
    """List the names that :func:`load` knows, in alphabetical order.

    Examples
    --------
    >>> "sleepstudy" in names()
    True
    """
    return sorted(_tables(), key=str.lower)


def load(name: str) -> pd.DataFrame:
    """Read one of the data sets of lme4.

    Parameters
    ----------
    name : str
        A name that :func:`names` lists, with R's spelling: ``"sleepstudy"``, ``"Dyestuff"``, ...

    Returns
    -------
    pandas.DataFrame
        A new table at each call. R's factors are categorical columns with R's order of levels (ordered where R says
        so), R's integers are ``int64``, R's numerics ``float64``. ``attrs["name"]`` holds the name, for print-outs.

    Raises
    ------
    DataError
        If there is no such data set.

    Examples
    --------
    >>> sleepstudy = load("sleepstudy")
    >>> sleepstudy.head(3)
       Reaction  Days Subject
    0  249.5600   0.0     308
    1  258.7047   1.0     308
    2  250.8006   2.0     308
    >>> list(load("cake")["temperature"].cat.categories)
    ['175', '185', '195', '205', '215', '225']
    >>> load("sleepstudie")
    Traceback (most recent call last):
    mixedpy.errors.DataError: there is no data set 'sleepstudie'; choose one of Arabidopsis, cake, cbpp, ...
    """
    tables = _tables()
    if name not in tables:
        raise DataError(f"there is no data set {name!r}; choose one of {', '.join(names())}")
    columns: list[dict[str, Any]] = tables[name]["columns"]
    frame = pd.read_csv(
        _folder() / tables[name]["file"],
        dtype={column["name"]: _dtype(column) for column in columns if column["type"] != "double"},
        converters={column["name"]: float for column in columns if column["type"] == "double"},  # exact to the last bit
        keep_default_na=False,
    )
    frame.attrs["name"] = name
    return frame


def _dtype(column: dict[str, Any]) -> str | pd.CategoricalDtype:
    if column["type"] == "factor":
        return pd.CategoricalDtype(column["levels"], ordered=column["ordered"])
    return "int64"


@cache
def _tables() -> dict[str, Any]:
    """Read ``levels.json``: for each data set its file, number of rows, column types and levels."""
    tables: dict[str, Any] = json.loads((_folder() / "levels.json").read_text(encoding="utf-8"))["tables"]
    return tables


def _folder() -> Path:
    """Find the tables: inside the package when installed from a wheel, at the top level of a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "data"
    return inside if inside.is_dir() else package.parent / "data"
