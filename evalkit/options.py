"""Configuration: YAML and flags become frozen option groups, and every mistake is a line that names it.

A configuration is plain data. Its hash is that of its canonical JSON: keys sorted, no spaces, nothing left out.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
)

from evalkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

Group = TypeVar("Group", bound="Options")


class ConfigError(UsageError):
    """A configuration that makes no sense."""


class Options(BaseModel):
    """A frozen group of options; unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def canonical_json(value: Any) -> str:
    """Write plain data in the one way that counts for hashes.

    >>> canonical_json({"b": 1, "a": [True, "ü"]})
    '{"a":[true,"ü"],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_of(value: Any) -> str:
    """Return the SHA-256 of plain data, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that is a mapping.

    Raises
    ------
    ConfigError
        If it cannot be read, is none, or says a key twice.
    """
    try:
        data = yaml.load(path.read_text("utf-8"), _UniqueKeys)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is no mapping of option names to values")
    return data


def read_group(
    kind: type[Group], data: Mapping[str, Any], where: str, *, context: Mapping[str, Any] | None = None
) -> Group:
    """Check plain data against an option group, with errors that people can read.

    Parameters
    ----------
    kind : type
        The group.
    data : mapping
        Plain data; dates, as YAML has them, are read as ISO 8601 text.
    where : str
        Where it stands, for errors.
    context : mapping, optional
        What the group's validators may look things up in.

    Raises
    ------
    ConfigError
        A line a mistake.
    """
    try:
        text = json.dumps(dict(data), allow_nan=False, default=_date_text)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: a value is not plain: {error}") from None
    try:
        return kind.model_validate_json(text, context=context)
    except ValidationError as error:
        lines = (f"{where}: {_explain(kind, detail)}" for detail in error.errors())
        raise ConfigError("\n".join(dict.fromkeys(lines))) from None


def _date_text(value: Any) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{value!r} is neither a number, a text, a date, a list nor a mapping")


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a second key of one name win in silence; here it is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [str(self.construct_object(key, deep=True)) for key, _ in node.value]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"{twice[0]!r} is there twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _explain(kind: type[Options], detail: ErrorDetails) -> str:
    """Say one mistake: where, what is there, what may be."""
    place = [part for part in detail["loc"] if not str(part).startswith("function-")]
    where = ".".join(str(part) for part in place)
    if detail["type"] == "extra_forbidden":
        known = _names_in(kind, place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"there is no option {where!r}{hint} (there are: {', '.join(known)})"
    if detail["type"] == "value_error":
        return f"{where + ': ' if where else ''}{detail['msg'].removeprefix('Value error, ')}"
    if detail["type"] == "missing":
        return f"{where} is missing"
    said = _description(kind, place)
    return f"{where} is {detail['input']!r}; allowed: {said or detail['msg']}"


def _groups(kind: type[Options], place: list[int | str]) -> Iterator[tuple[type[Options], int | str]]:
    """Walk down the groups along a place; give each with the name looked up in it."""
    group: type[Options] | None = kind
    for part in place:
        if group is None or isinstance(part, int):
            continue
        yield group, part
        field = group.model_fields.get(part)
        group = _group_in(field.annotation) if field is not None else None
    if group is not None:
        yield group, ""


def _group_in(annotation: Any) -> type[Options] | None:
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return annotation
    inner: Iterable[Any] = getattr(annotation, "__args__", ())
    return next((group for item in inner if (group := _group_in(item)) is not None), None)


def _names_in(kind: type[Options], place: list[int | str]) -> list[str]:
    group = kind
    for group, _ in _groups(kind, place):  # noqa: B007 - the last one is wanted
        pass
    return list(group.model_fields)


def _description(kind: type[Options], place: list[int | str]) -> str | None:
    said = None
    for group, name in _groups(kind, place):
        if str(name) in group.model_fields:
            said = group.model_fields[str(name)].description
    return said
