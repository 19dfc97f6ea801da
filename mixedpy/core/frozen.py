"""Objects that stay as they were made: a sentence for whoever sets an attribute, and arrays that cannot be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from typing import Any, NoReturn, TypeVar, cast

import numpy as np

__all__ = ["freeze_arrays", "read_only", "restore", "sealed"]

_HOLDERS = (np.ndarray, tuple)

_Class = TypeVar("_Class", bound=type)
_Value = TypeVar("_Value")


def sealed(kind: _Class) -> _Class:
    """Class decorator above ``@dataclass(frozen=True, slots=True)``: one error for fields, properties and new names.

    Without it Python refuses all but fields with a ``TypeError`` about ``super``, since the class with slots is not the
    one that the generated methods know.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @sealed
    ... @dataclass(frozen=True, slots=True)
    ... class Square:
    ...     side: float
    ...     @property
    ...     def area(self) -> float:
    ...         return self.side**2
    >>> Square(2.0).area = 9.0
    Traceback (most recent call last):
    dataclasses.FrozenInstanceError: `area` cannot be set: this Square is frozen; what changes it makes a new one
    """
    for name, method in (("__setattr__", _refuse_set), ("__delattr__", _refuse_delete)):
        setattr(kind, name, method)
    return kind


def _refuse_set(self: object, name: str, value: object) -> NoReturn:
    raise FrozenInstanceError(_sentence(self, name, "set"))


def _refuse_delete(self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(_sentence(self, name, "deleted"))


def _sentence(frozen: object, name: str, done: str) -> str:
    return f"`{name}` cannot be {done}: this {type(frozen).__name__} is frozen; what changes it makes a new one"


def read_only(value: _Value) -> _Value:
    """A view of an array that cannot be written, or a tuple of such; anything else as it is. Nothing is copied."""
    if isinstance(value, np.ndarray):
        if not value.flags.writeable:
            return value
        view = value.view()
        view.setflags(write=False)
        return cast(_Value, view)
    if isinstance(value, tuple):
        for item in value:
            if isinstance(item, np.ndarray):
                return cast(_Value, tuple(map(read_only, value)))
    return value


def freeze_arrays(record: Any) -> None:
    """Put read-only views in the place of the arrays of a frozen dataclass with slots, in its ``__post_init__``."""
    for name in record.__slots__:
        value = getattr(record, name)
        if isinstance(value, _HOLDERS):
            frozen = read_only(value)
            if frozen is not value:
                object.__setattr__(record, name, frozen)


def restore(record: Any, state: Sequence[Any]) -> None:
    """Serve as ``__setstate__`` of such a class, so that copies and what workers get are as they were: frozen."""
    for name, value in zip(record.__slots__, state, strict=True):
        object.__setattr__(record, name, value)
    freeze_arrays(record)
