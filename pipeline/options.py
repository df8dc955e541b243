"""Plain data with checks: the frozen base of settings, requests and results, one reader, one way to explain mistakes.

The hash of plain data is that of its canonical JSON: keys sorted, no spaces, nothing left out.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import os
import re
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import Mistake, RequestError
from pipeline.formatting import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

Value = TypeVar("Value")

_MAX_SHOWN = 200
_MAX_EXAMPLE = 40
_A_GROUP = "a group"


class PlainData(BaseModel):
    """Frozen data with strict types that goes through JSON and comes back equal; unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data, every field included."""
        return self.model_dump(mode="json")

    @classmethod
    def read(
        cls,
        values: Mapping[str, Any],
        noun: str,
        *,
        source: str = "",
        error: type[Exception] = RequestError,
        context: Mapping[str, Any] | None = None,
        lines: Mapping[tuple[int | str, ...], int] | None = None,
    ) -> Self:
        """Read plain values as they would come through JSON, with errors that people can read.

        Parameters
        ----------
        values : mapping
            Names to plain values, paths or dates.
        noun : str
            What a value is called in the errors, as in ``setting``.
        source : str
            File or place that the values come from; begins each line of the error where it is given.
        error : type of Exception
            What to raise.
        context : mapping, optional
            What validators may look things up in.
        lines : mapping, optional
            Line of each value in its file, by the names and places that lead to it.

        Raises
        ------
        RequestError or `error`
            One line per mistake; the description of the field says what is allowed.
        """
        with _explaining(cls, noun, source, error, lines or {}):
            text = json.dumps(_check_plain(values), default=_as_json)
            return cls.model_validate_json(text, context=context)

    @classmethod
    def read_texts(cls, texts: Mapping[str, str], noun: str) -> Self:
        """Read values written as text, as in the cells of a table; otherwise as `read`."""
        with _explaining(cls, noun, "", RequestError):
            return cls.model_validate_strings(texts)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave, through JSON or not.

        Raises
        ------
        pydantic.ValidationError
            If it is something else.
        """
        return cls.model_validate_json(json.dumps(data))


def also_text(schema: dict[str, Any]) -> None:
    """Say in a field's JSON schema that a text alone may stand for a group, or for each group of a list.

    Given as ``json_schema_extra`` of the field whose validator reads such texts.
    """
    place = schema["items"] if schema.get("type") == "array" else schema
    options = place.pop("anyOf", None) or [{"$ref": place.pop("$ref")}]
    place["anyOf"] = [{"type": "string"}, *options]


def canonical_json(value: Any) -> str:
    """Write plain data in the one way that counts for hashes.

    Raises
    ------
    TypeError, ValueError
        If it is not plain data, or holds a number that is not finite.

    Examples
    --------
    >>> canonical_json({"b": 1, "a": [True, "ü"]})
    '{"a":[true,"ü"],"b":1}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return encodable(text)


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Write plain data as a file holds it, its last line ended.

    A file name that is not UTF-8 is in it as escapes, of which Python's ``json`` makes the same name again.

    Raises
    ------
    TypeError, ValueError
        As `canonical_json`.
    """
    return encodable(json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)) + "\n"


def hash_of(value: Any) -> str:
    """Return the SHA-256 of plain data, in hexadecimal; errors as `canonical_json`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def read_pairs(
    texts: Iterable[str], read: Callable[[str], Value], *, form: str = "NAME=VALUE"
) -> dict[str, Value]:
    """Read ``NAME=VALUE`` texts.

    Parameters
    ----------
    texts : iterable of str
        Name and value are parted by the first ``=``.
    read : callable
        Turns the text of a value into the value; a `ValueError` of it is a mistake in the text.
    form : str
        How the errors write what is wanted.

    Raises
    ------
    RequestError
        If there is no ``=``, the name is empty or given twice, or the value cannot be read.

    Examples
    --------
    >>> read_pairs(["fps=25", "steps=4"], int)
    {'fps': 25, 'steps': 4}
    """
    values: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise RequestError(f"{text!r} is not {form}")
        if name in values:
            raise RequestError(f"{name!r} is given twice; keep one of them")
        try:
            values[name] = read(value)
        except ValueError as error:
            raise RequestError(f"{text!r} is not {form}: {error}") from None
    return values


def hint(name: str, known: Iterable[str]) -> str:
    """Return the words of an error that name the nearest of the known names; empty where none is near.

    >>> hint("sizes", ["size", "fps"])
    "; did you mean 'size'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class _NotPlainError(ValueError):
    """A value that has no place in JSON."""

    def __init__(self, message: str, place: tuple[int | str, ...]) -> None:
        super().__init__(message)
        self.place = place


def _check_plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse values that JSON cannot hold, by name."""
    for name, value in values.items():
        try:
            json.dumps(value, default=_as_json, allow_nan=False, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            start = error.object.rfind('"', 0, error.start) + 1
            shown = error.object[start:].partition('"')[0]
            raise _NotPlainError(
                f"{name} names {_shorten(shown)}, which is not UTF-8; rename the file, or give another",
                (name,),
            ) from None
        except TypeError as error:
            raise _NotPlainError(f"{name} is not a plain value: {error}", (name,)) from None
        except ValueError as error:
            if "ircular" in str(error):
                raise _NotPlainError(
                    f"{name} is {_shorten(value)}; it must not hold itself", (name,)
                ) from None
            place, number = _find_endless((name,), value)
            where = ".".join(map(str, place))
            raise _NotPlainError(f"{where} is {_shorten(number)}; numbers must be finite", place) from None
    return dict(values)


def _find_endless(place: tuple[int | str, ...], value: Any) -> tuple[tuple[int | str, ...], Any]:
    """Return the place and the value of the first number that is not finite, as deep as it stands."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        try:
            json.dumps(inner, default=_as_json, allow_nan=False)
        except ValueError:
            return _find_endless((*place, key), inner)
    return place, value


def _as_json(value: Any) -> str:
    """Write a date or a path as text."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    raise TypeError(f"{type(value).__name__} is not text, number, list or mapping")


@contextmanager
def _explaining(
    kind: type[BaseModel],
    noun: str,
    source: str,
    raised: type[Exception],
    lines_of: Mapping[tuple[int | str, ...], int] = MappingProxyType({}),
) -> Iterator[None]:
    """Turn pydantic's errors into lines that name the field, the value, what is allowed, and where it stands."""
    try:
        yield
    except ValidationError as error:
        mistakes = [
            Mistake(detail["loc"], _explain(kind, detail, noun)) for detail in _root_causes(error.errors())
        ]
    except _NotPlainError as error:
        mistakes = [Mistake(error.place, str(error))]
    else:
        return
    start = f"{source}: " if source else ""
    lines = [start + mistake.text + line_in_file(mistake.place, lines_of) for mistake in mistakes]
    found = raised("\n".join(dict.fromkeys(lines)))
    if isinstance(found, RequestError):
        found.mistakes = tuple(mistakes)
    raise found from None


def line_in_file(location: Sequence[int | str], lines_of: Mapping[tuple[int | str, ...], int]) -> str:
    """Name the line of the innermost part of a location that is written in a file, as in `` (line 3)``.

    A location of pydantic also names validators; empty where no part is written.
    """
    place: tuple[int | str, ...] = ()
    for part in location:
        if (*place, part) in lines_of:
            place = (*place, part)
    return f" (line {lines_of[place]})" if place else ""


def _root_causes(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out what is wrong only because something else is: lists too short as their items are refused, defaults."""
    places = [detail["loc"] for detail in details]

    def has_refused_item(detail: ErrorDetails) -> bool:
        own = detail["loc"]
        return any(len(place) > len(own) and place[: len(own)] == own for place in places)

    return [
        detail
        for detail in details
        if detail["type"] != "default_factory_not_called"  # what it is made of is refused already
        and (detail["type"] != "too_short" or not has_refused_item(detail))
    ]


def _explain(kind: type[BaseModel], detail: ErrorDetails, noun: str) -> str:
    unknown = detail["type"] == "extra_forbidden"
    group, place, field = _find(kind, detail["loc"], unknown=unknown)
    where = ".".join(map(str, place))
    if detail["loc"][-1:] == ("[key]",):
        where = f"a name in {where}"
    message = _in_words(detail)
    if unknown:
        known = list(group.model_fields)
        return f"there is no {noun} {where!r}{hint(str(place[-1]), known)} (there are: {', '.join(known)})"
    described = field.description if field is not None else None
    if detail["type"] == "missing":
        return f"{where} is missing" + (f"; it is {described}" if described else "")
    is_no_group = detail["type"] in {"model_type", "model_attributes_type"}
    is_item = any(isinstance(part, int) for part in detail["loc"][-1:])
    if is_no_group and field is not None and (is_item or described in {None, _A_GROUP}):
        names = list((_group_in(field.annotation) or group).model_fields)
        shown = detail["input"]
        is_name = names[0] == "name" and isinstance(shown, str) and len(shown) <= _MAX_EXAMPLE
        before = "" if is_item else f"{place[-1]}: "
        example = f", as in {before}{{name: {shown}}}" if is_name else ""
        return (
            f"{where} is {_as_written(shown)}; allowed: {_A_GROUP} of options ({', '.join(names)}){example}"
        )
    own = detail["type"] == "value_error"
    if own and (described is None or field is None or _group_in(field.annotation) is not None):
        return f"{where}: {message}" if where else message
    allowed = f"{described} ({message})" if described and own else described or message
    return f"{where} is {_as_written(detail['input'])}; allowed: {allowed}"


_TYPES = {
    "tuple_type": "a list, as in [first, second]",
    "list_type": "a list, as in [first, second]",
    "dict_type": "a mapping of names to values",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text, in quotes where it looks like something else",
    "bool_type": "true or false",
    "date_from_datetime_parsing": "a date, as in 2026-11-30",
    "date_type": "a date, as in 2026-11-30",
}
"""What is allowed, by the type of pydantic's error."""
_LIMITS = {
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
}
_COMMA = re.compile(r"-?[0-9]+,[0-9]+")


def _in_words(detail: ErrorDetails) -> str:
    """Say what is allowed where the field itself does not."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "too_short":
        return f"at least {context['min_length']} of them"
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind in _LIMITS:
        words, bound = _LIMITS[kind]
        return f"{words} {context[bound]:g}"
    given = detail["input"]
    if kind in {"float_type", "float_parsing"} and isinstance(given, str) and _COMMA.fullmatch(given):
        return f"a number with a point: {given.replace(',', '.')}"
    return _TYPES.get(kind, detail["msg"].removeprefix("Value error, "))


def _find(
    kind: type[BaseModel], location: Sequence[int | str], *, unknown: bool
) -> tuple[type[BaseModel], list[int | str], Any]:
    """Walk down the groups along a location of pydantic, which also names branches of unions and validators.

    Parameters
    ----------
    kind : type of BaseModel
    location : sequence of int or str
    unknown : bool
        Whether the last part of it is a name that the group does not have.

    Returns
    -------
    type of BaseModel
        The innermost group.
    list of int or str
        The names on the way to the mistake, as the user wrote them.
    FieldInfo or None
        The innermost field with a description.
    """
    place: list[int | str] = []
    group: type[BaseModel] = kind
    inner: type[BaseModel] | None = kind
    field = None
    for number, part in enumerate(location):
        if inner is not None and part in inner.model_fields:
            group, place = inner, [*place, part]
            found = inner.model_fields[str(part)]
            field = found if found.description or field is None else field
            inner = _group_in(found.annotation)
        elif isinstance(part, int) or number == 0:
            place.append(part)
        elif inner is not None and unknown and number == len(location) - 1:
            group, place = inner, [*place, part]
        elif inner is None and location[-1] != "[key]":
            return group, [*place, part], field  # a key of a mapping
    return group, place, field


def _group_in(annotation: Any) -> type[BaseModel] | None:
    """Return the group that an annotation names, on its own or as the items of a list, a mapping or a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner: Iterable[Any] = getattr(annotation, "__args__", ())
    return next((group for item in inner if (group := _group_in(item)) is not None), None)


def _as_written(value: Any) -> str:
    """Write a value as its file may have it: nothing after the colon is None in Python."""
    return "empty" if value is None else _shorten(value)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
