"""Values <-> JSON and arrays, led by type annotations: what a file may hold is what the annotations say, nothing else.

A frozen dataclass is written as its fields and read back through its annotations. The few annotations that stand for
one of several classes are listed in ``FAMILIES``: a new covariance template is one word there. No class, module or
function is ever looked up by a name from a file.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixedpy.core.correlated import Autoregressive, CompoundSymmetry
from mixedpy.core.covariance import Diagonal, Template, Unstructured
from mixedpy.core.family import (
    Beta,
    BetaBinomial,
    Binomial,
    CountFamily,
    Family,
    Gamma,
    Gaussian,
    Hurdle,
    InverseGaussian,
    NegativeBinomial1,
    NegativeBinomial2,
    Poisson,
    ZeroInflated,
)
from mixedpy.design import Schema, TermSchema
from mixedpy.design.bases import STATES, BasisState
from mixedpy.design.evaluate import UserFunction
from mixedpy.errors import DataError
from mixedpy.formula import Formula, deparse, parse
from mixedpy.formula.expressions import check_expression
from mixedpy.formula.parser import MAX_LENGTH, parse_sides
from mixedpy.formula.syntax import Call, Node

__all__ = ["FAMILIES", "FUNCTIONS", "Reader", "Unreadable", "Writer"]

_COUNTS: tuple[type, ...] = (Poisson, NegativeBinomial2, NegativeBinomial1)

FAMILIES: dict[Any, tuple[type, ...]] = {
    Template: (Unstructured, Diagonal, CompoundSymmetry, Autoregressive),
    BasisState: STATES,
    Family: (*_COUNTS, Binomial, Gaussian, Gamma, InverseGaussian, Beta, BetaBinomial, ZeroInflated, Hurdle),
    CountFamily: _COUNTS,
}
"""Classes that an annotation stands for, where it is not a class to be built itself."""

ABSENT: dict[tuple[type, str], Callable[[Mapping[str, Any]], Any]] = {
    (TermSchema, "hom"): lambda _: False,  # since version 2
    (Schema, "fixed_terms"): lambda parts: parts["formula"].fixed_terms(),  # since version 3
}
"""How a part without a default follows from the parts before it where an earlier version did not write it."""

FUNCTIONS = Mapping[str, UserFunction]
"""The annotation of functions, of which a file has the names."""

_SCALARS = (bool, int, float, str)
_TAG = "is"
_MOST_EFFECTS = 2000
"""Of one term: a template takes memory of the order of the square before anything else can be checked."""


class Unreadable(Exception):
    """A part of a file that does not have the form it should."""


def _tag(kind: type) -> str:
    return kind.__name__.lstrip("_")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _fields(kind: Any) -> tuple[Field[Any], ...]:
    return tuple(f for f in fields(kind) if f.init)


@cache
def _choices(annotation: Any) -> dict[str, type] | None:
    """The classes that an annotation allows, by tag; None if it does not stand for dataclasses."""
    if annotation in FAMILIES:
        members: tuple[Any, ...] = FAMILIES[annotation]
    elif get_origin(annotation) in (Union, types.UnionType):
        members = get_args(annotation)
    else:
        members = (annotation,)
    if not all(isinstance(member, type) and is_dataclass(member) for member in members):
        return None
    return {_tag(member): member for member in members}


def _optional(annotation: Any) -> Any:
    """The annotation without None, if it is a union of something with None; otherwise None."""
    if get_origin(annotation) not in (Union, types.UnionType) or type(None) not in get_args(annotation):
        return None
    rest = tuple(a for a in get_args(annotation) if a is not type(None))
    return Union[rest]  # noqa: UP007 - built from a tuple


def _is_named_tuple(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields")


class Writer:
    """Collects arrays while values are written; the same array is stored once.

    Parameters
    ----------
    functions : mapping of str to callable
        Functions that the user added to the formula language; only their names are written.
    """

    def __init__(self, functions: Mapping[str, UserFunction]) -> None:
        self._functions = functions
        self.arrays: list[NDArray[Any]] = []
        self._position: dict[int, int] = {}

    def write(self, value: Any, annotation: Any) -> Any:
        """Turn a value into JSON as its annotation says.

        Raises
        ------
        DataError
            If the value cannot be saved.
        """
        if annotation is Any:
            return self._anything(value)
        if annotation is Node:
            return _write_node(value, self._functions)
        if annotation is Formula:
            return value.source
        if annotation is pd.Index:
            return self._index(value)
        rest = _optional(annotation)
        if rest is not None:
            return None if value is None else self.write(value, rest)
        choices = _choices(annotation)
        if choices is not None:
            return self._dataclass(value, choices)
        return self._simple(value, annotation)

    def _simple(self, value: Any, annotation: Any) -> Any:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is np.ndarray:
            return self._array(value)
        if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
            return list(value) if args[0] in (str, int) else [self.write(item, args[0]) for item in value]
        if origin is tuple:
            return [self.write(item, arg) for item, arg in zip(value, args, strict=True)]
        if _is_named_tuple(annotation):
            return [self.write(item, hint) for item, hint in zip(value, _hints(annotation).values(), strict=True)]
        if annotation == FUNCTIONS:
            return list(value)
        if origin in (Mapping, dict):
            return [[self.write(k, args[0]), self.write(v, args[1])] for k, v in value.items()]
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return value.name
        if annotation is float:
            return _write_float(value)
        if annotation in _SCALARS or origin is Literal:
            return value
        return self._anything(value)

    def _dataclass(self, value: Any, choices: Mapping[str, type]) -> dict[str, Any]:
        kind: Any = type(value)
        if kind not in choices.values():
            raise DataError(f"a {kind.__name__} cannot be saved")
        hints = _hints(kind)
        return {
            _TAG: _tag(kind),
            **{f.name: self.write(getattr(value, f.name), hints[f.name]) for f in _fields(kind)},
        }

    def _array(self, array: NDArray[Any]) -> int:
        if id(array) not in self._position:
            self._position[id(array)] = len(self.arrays)
            self.arrays.append(array)  # which also keeps the identity from being used again
        return self._position[id(array)]

    def _anything(self, value: Any) -> Any:
        """Write a value that the user gave: scalars, texts, arrays, and lists, dicts and tables of them."""
        match value:
            case None | bool() | int() | str():
                return value
            case float():
                return _write_float(value)
            case np.generic():
                return self._anything(value.item())
            case np.ndarray() if value.dtype.kind in "fiub":
                return {_TAG: "array", "at": self._array(value)}
            case list() | tuple() | np.ndarray():
                return {_TAG: "tuple" if isinstance(value, tuple) else "list", "of": [*map(self._anything, value)]}
            case Mapping():
                return {_TAG: "dict", "of": [[self._anything(k), self._anything(v)] for k, v in value.items()]}
            case pd.DataFrame():
                columns = [self._anything(column.to_numpy()) for _, column in value.items()]
                return {
                    _TAG: "frame",
                    "names": self._index(value.columns),
                    "rows": self._index(value.index),
                    "of": columns,
                }
            case pd.Series():
                return self._anything(value.to_numpy())
        raise DataError(f"a value of type {type(value).__name__} cannot be saved")

    def _index(self, index: pd.Index) -> dict[str, Any]:
        if isinstance(index, pd.MultiIndex):
            parts = [self._index(index.get_level_values(k)) for k in range(index.nlevels)]
            return {_TAG: "multi", "of": parts}
        name = self._anything(index.name)
        if isinstance(index, pd.RangeIndex):
            return {_TAG: "range", "name": name, "of": [index.start, index.stop, index.step]}
        if isinstance(index, pd.DatetimeIndex):
            zone = None if index.tz is None else str(index.tz)
            return {_TAG: "time", "name": name, "unit": index.unit, "zone": zone, "at": self._array(index.asi8)}
        values = index.to_numpy()
        if values.dtype.kind in "fiub":
            return {_TAG: "numbers", "name": name, "at": self._array(values)}
        listed = [None if pd.isna(v) else v for v in values.tolist()]
        if not all(v is None or isinstance(v, _SCALARS) for v in listed):
            raise DataError(
                f"the row labels, of type {index.dtype}, cannot be saved; fit to data.reset_index() and save that"
            )
        return {_TAG: "labels", "name": name, "of": [*map(self._anything, listed)]}


class Reader:
    """Reads values back and checks each against its annotation.

    Parameters
    ----------
    arrays : list of arrays
        Those of the file.
    functions : mapping of str to callable
        The user's functions that expressions may call.
    """

    def __init__(self, arrays: list[NDArray[Any]], functions: Mapping[str, UserFunction]) -> None:
        self.arrays = arrays
        self._functions = functions

    def read(self, value: Any, annotation: Any) -> Any:
        """Turn JSON into the value that an annotation describes.

        Raises
        ------
        Unreadable
            If it does not describe such a value.
        """
        if annotation is Any:
            return self._anything(value)
        if annotation is Node:
            return _read_node(value, self._functions)
        if annotation is Formula:
            return parse(_checked(value, str), self._functions)
        if annotation is pd.Index:
            return self._index(value)
        rest = _optional(annotation)
        if rest is not None:
            return None if value is None else self.read(value, rest)
        choices = _choices(annotation)
        if choices is not None:
            return self._dataclass(value, choices)
        return self._simple(value, annotation)

    def _simple(self, value: Any, annotation: Any) -> Any:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is np.ndarray:
            return self._array(value, get_args(args[1])[0])
        if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
            return tuple(self.read(item, args[0]) for item in _checked(value, list))
        if origin is tuple:
            return tuple(self.read(item, arg) for item, arg in _paired(value, args))
        if _is_named_tuple(annotation):
            return annotation(*(self.read(item, hint) for item, hint in _paired(value, _hints(annotation).values())))
        if annotation == FUNCTIONS:
            return {name: _known(self._functions, name) for name in _checked(value, list)}
        if origin in (Mapping, dict):
            pairs = [_paired(item, args) for item in _checked(value, list)]
            return {self.read(*key): self.read(*item) for key, item in pairs}
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return _known(annotation.__members__, value)
        if annotation is float:
            return _read_float(value)
        if annotation in _SCALARS:
            return _checked(value, annotation)
        if origin is Literal:
            return _known({choice: choice for choice in args}, value)
        return self._anything(value)

    def _dataclass(self, value: Any, choices: Mapping[str, type]) -> Any:
        given = dict(_checked(value, dict))
        kind = _known(choices, given.pop(_TAG, None))
        hints = _hints(kind)
        arguments = {}
        for f in _fields(kind):
            if f.name in given:
                arguments[f.name] = self.read(given.pop(f.name), hints[f.name])
            elif (kind, f.name) in ABSENT:
                arguments[f.name] = ABSENT[kind, f.name](arguments)
            elif f.default is MISSING and f.default_factory is MISSING:
                raise Unreadable(f"{_tag(kind)} lacks {f.name}")
        if kind in FAMILIES[Template] and not 0 < arguments["m"] <= _MOST_EFFECTS:
            raise Unreadable(f"a random term of {arguments['m']} effects")
        if given:
            raise Unreadable(f"{_tag(kind)} has an unknown part {min(given)!r}")
        return kind(**arguments)

    def _array(self, at: Any, scalar: Any = Any) -> NDArray[Any]:
        position = _checked(at, int)
        if not 0 <= position < len(self.arrays):
            raise Unreadable(f"there is no array {position}")
        array = self.arrays[position]
        kind = get_origin(scalar) or scalar
        if kind is Any or np.issubdtype(array.dtype, kind):  # an annotation may name a family, such as signedinteger
            return array
        wanted = np.dtype(kind)
        if not (array.dtype.kind == wanted.kind == "i" and array.dtype.itemsize <= wanted.itemsize):
            raise Unreadable(f"array {position} is of type {array.dtype} where {wanted} is wanted")
        self.arrays[position] = array.astype(wanted)
        return self.arrays[position]

    def _anything(self, value: Any) -> Any:
        if value is None or type(value) in _SCALARS:
            return value
        given = _checked(value, dict)
        tag = given.get(_TAG)
        if tag == "float":
            return _read_float(value)
        if tag == "array":
            return self._array(given.get("at"))
        parts = _checked(given.get("of"), list)
        if tag in ("list", "tuple"):
            items = [*map(self._anything, parts)]
            return tuple(items) if tag == "tuple" else items
        if tag == "dict":
            pairs = [_paired(part, (Any, Any)) for part in parts]
            return {self._anything(key): self._anything(item) for (key, _), (item, _) in pairs}
        if tag == "frame":
            rows, names = self._index(given.get("rows")), self._index(given.get("names"))
            frame = pd.DataFrame({k: self._anything(part) for k, part in enumerate(parts)}, index=rows)
            return frame.set_axis(names, axis=1)
        raise Unreadable(f"there is no kind of value {tag!r}")

    def _index(self, value: Any) -> pd.Index:
        given = _checked(value, dict)
        build: Callable[[], pd.Index] | None = {
            "multi": lambda: pd.MultiIndex.from_arrays([*map(self._index, _checked(given["of"], list))]),
            "range": lambda: self._range(given),
            "numbers": lambda: pd.Index(self._array(given["at"]), name=self._name(given)),
            "labels": lambda: pd.Index([*map(self._anything, _checked(given["of"], list))], name=self._name(given)),
            "time": lambda: self._times(given),
        }.get(given.get(_TAG))
        if build is None:
            raise Unreadable("there is no such kind of row labels")
        return build()

    def _name(self, given: Mapping[str, Any]) -> Any:
        return self._anything(given["name"])

    def _range(self, given: Mapping[str, Any]) -> pd.Index:
        (start, _), (stop, _), (step, _) = _paired(given["of"], "123")
        return pd.RangeIndex(_checked(start, int), _checked(stop, int), _checked(step, int), name=self._name(given))

    def _times(self, given: Mapping[str, Any]) -> pd.Index:
        unit = _known({u: u for u in ("s", "ms", "us", "ns")}, given["unit"])
        stamps = pd.DatetimeIndex(self._array(given["at"], np.int64).view(f"M8[{unit}]"), name=self._name(given))
        zone = given["zone"]
        return stamps if zone is None else stamps.tz_localize("UTC").tz_convert(_checked(zone, str))


def _write_float(value: float) -> Any:
    return float(value) if np.isfinite(value) else {_TAG: "float", "of": repr(float(value))}


def _read_float(value: Any) -> float:
    if type(value) in (int, float):
        return float(value)
    return _known({"nan": np.nan, "inf": np.inf, "-inf": -np.inf}, _checked(value, dict).get("of"))


def _write_node(node: Node, functions: Collection[str]) -> list[Any]:
    """Write an expression as R's text of it and its position in the formula, to which errors point."""
    text = deparse(node)
    at = node.start if node.start + len(text) + 4 <= MAX_LENGTH else 0
    written = [at, text]
    if _read_node(written, functions) != node:
        raise DataError(f"the expression `{text}` cannot be saved")
    return written


def _read_node(value: Any, functions: Collection[str]) -> Node:
    """Read an expression by the parser of formulas, which knows a closed list of functions."""
    (at, _), (text, _) = _paired(value, (int, str))
    at, text = _checked(at, int), _checked(text, str)
    if not 0 <= at <= MAX_LENGTH:
        raise Unreadable("an expression has an impossible position")
    padded = " " * at + text
    node = parse_sides(f"{padded} ~ 1")[0]
    offset = isinstance(node, Call) and node.function == "offset" and len(node.arguments) == 1
    check_expression(node.arguments[0] if isinstance(node, Call) and offset else node, padded, functions)
    return node


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Unreadable(f"there is a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _paired(value: Any, with_: Any) -> list[tuple[Any, Any]]:
    items, others = _checked(value, list), list(with_)
    if len(items) != len(others):
        raise Unreadable(f"there are {len(items)} values where {len(others)} belong")
    return list(zip(items, others, strict=True))


def _known(choices: Mapping[Any, Any], value: Any) -> Any:
    if not isinstance(value, str) or value not in choices:
        raise Unreadable(f"{value!r} is not one of {', '.join(map(str, choices))}")
    return choices[value]
