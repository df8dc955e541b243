"""Arguments of the library: a value of a wrong type is refused by the argument's name, its value and what is needed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from evalkit.errors import UsageError

Value = TypeVar("Value")

A_PATH = "a path, as text or as a Path,"

_MAX_SHOWN = 80


def wrong_argument(name: str, value: object, needed: str) -> UsageError:
    """Return the error for a value of a wrong type.

    >>> str(wrong_argument("jobs", "2", "a whole number"))
    "jobs is '2'; a whole number is needed"
    """
    shown = repr(value)
    if len(shown) > _MAX_SHOWN:
        shown = f"{shown[: _MAX_SHOWN - 1]}…"
    return UsageError(f"{name} is {shown}; {needed} is needed")


def read_path(value: object, name: str, needed: str = A_PATH) -> str:
    """Return a path as text.

    Parameters
    ----------
    value : object
        What was given.
    name, needed : str
        Name of the argument, and what it takes, for the error.

    Raises
    ------
    UsageError
        If it is neither text nor a path object; bytes are neither.
    """
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return path
    raise wrong_argument(name, value, needed)


def read_paths(value: object, name: str, needed: str = A_PATH) -> list[str]:
    """Return one path, or several, as a list of texts; parameters and errors as `read_path`."""
    if isinstance(value, str | os.PathLike):
        return [read_path(value, name, needed)]
    if isinstance(value, bytes | bytearray | Mapping) or not isinstance(value, Iterable):
        raise wrong_argument(name, value, needed)
    return [read_path(item, f"{name}[{index}]", needed) for index, item in enumerate(value)]


def read_mapping(value: Mapping[str, Value] | None, name: str) -> Mapping[str, Value]:
    """Return a mapping, an empty one for None.

    Raises
    ------
    UsageError
        If it is something else.
    """
    if value is None:
        return {}
    given: Any = value
    if not isinstance(given, Mapping):
        raise wrong_argument(name, given, "a mapping of names to values")
    return value
