"""One file, one record: reading and checking it, writing it whole."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import field, fields, make_dataclass
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from evalkit.errors import EvalkitError, UsageError
from evalkit.runs.files import write_atomically
from evalkit.runs.schema import (
    SCHEMA,
    MeasurementRecord,
    OutcomeRecord,
    RunManifest,
    Trial,
    VideoProfile,
    VideoRecord,
)
from pipeline.options import json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pydantic import TypeAdapter

Record = TypeVar("Record", RunManifest, VideoRecord, VideoProfile, MeasurementRecord, OutcomeRecord, Trial)

_SORTED = json.JSONEncoder(sort_keys=True)
_N_TRIES = 5
"""A folder may be replaced while it is read; more than once in a row is most unlikely."""


class DamagedFileError(EvalkitError):
    """A file of a run folder that cannot be read as what it should be."""


def find_record(path: Path, kind: type[Record]) -> Record | None:
    """Read a file of a run folder; None where there is none.

    Raises
    ------
    UsageError
        If a newer evalkit wrote it.
    DamagedFileError
        If it is not what it should be.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from None
    return to_record(path, content, kind)


def to_record(path: Path, content: bytes | str, kind: type[Record]) -> Record:
    """Check what a file holds, in one pass over its JSON; raise as `find_record`."""
    from pydantic import ValidationError
    from pydantic_core import from_json

    form = _forms()[kind]
    try:
        stored = form.stored.validate_json(content, strict=True)
    except ValidationError as error:
        parse_json(path, content)  # what is not JSON, or of a newer schema, is refused as that
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DamagedFileError(f"{path} is damaged: {where}: {first['msg']}") from None
    _check_schema(path, stored.schema)
    if stored.digest is not None and stored.digest != _digest(from_json(content)):
        raise DamagedFileError(
            f"{path} was edited after it had been written: its digest does not fit what it holds. Remove it, and it is made again"
        )
    return kind(*form.values(stored))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run folder, whatever its shape, and check its schema; raise as `find_record`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    return parse_json(path, content)


def parse_json(path: Path, content: bytes | str) -> dict[str, Any]:
    """Parse the content of a JSON file of a run folder, and check its schema; raise as `find_record`."""
    try:
        data = json.loads(content)
    except (UnicodeDecodeError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}") from None
    _check_schema(path, data.get("schema") if isinstance(data, dict) else None)
    return dict(data)


def read_files_of(folder: Path, *names: str) -> list[bytes] | None:
    """Read files of a folder that may be replaced meanwhile: all of them from the same folder.

    Returns
    -------
    list of bytes or None
        One a name; None where there is no such folder.

    Raises
    ------
    DamagedFileError
        If one cannot be read.
    """
    for _ in range(_N_TRIES):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DamagedFileError(f"{folder} cannot be read: {error.strerror}") from None
        try:
            return [_read_at(handle, name) for name in names]
        except OSError as error:
            if _is_still(folder, handle):
                raise DamagedFileError(
                    f"{folder / str(error.filename)} cannot be read: {error.strerror}"
                ) from None
        finally:
            os.close(handle)
    raise DamagedFileError(f"{folder} cannot be read: it is replaced again and again")


def record_text(
    record: RunManifest | VideoRecord | VideoProfile | MeasurementRecord | OutcomeRecord,
) -> str:
    """Return what a file of a run folder holds; what was made or measured has a digest, by which an edit is found."""
    plain = _forms()[type(record)].adapter.dump_python(record, mode="json")
    return to_text(plain if isinstance(record, RunManifest) else {"digest": _digest(plain), **plain})


def to_text(plain: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """Return plain data with its schema as JSON."""
    return json_text({"schema": SCHEMA, **plain}, indent=indent)


def write_json(path: Path, plain: Mapping[str, Any], *, indent: int | None = 2) -> None:
    """Write plain data with its schema, atomically."""
    write_atomically(path, to_text(plain, indent=indent))


def _digest(plain: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain data, however it is laid out; schema and digest themselves do not count."""
    counted = {name: value for name, value in plain.items() if name not in {"schema", "digest"}}
    return hashlib.sha256(_SORTED.encode(counted).encode()).hexdigest()


def _unreadable(path: Path, error: OSError) -> DamagedFileError:
    return DamagedFileError(f"{path} cannot be read: {error.strerror or error}")


def _check_schema(path: Path, schema: object) -> None:
    if not isinstance(schema, int) or schema < 1:
        raise DamagedFileError(f"{path} is damaged: it states no schema")
    if schema > SCHEMA:
        raise UsageError(
            f"{path} has schema {schema}, and this evalkit reads up to {SCHEMA}: it was written by a newer one"
        )


def _read_at(handle: int, name: str) -> bytes:
    file = os.open(name, os.O_RDONLY, dir_fd=handle)
    with os.fdopen(file, "rb") as stream:
        return stream.read()


def _is_still(folder: Path, handle: int) -> bool:
    """Say whether an opened folder still has its name."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


class _Form(NamedTuple):
    """How a kind of record is written and read.

    Parameters
    ----------
    adapter : TypeAdapter
        Writes it.
    stored : TypeAdapter
        Reads it as it is stored: with schema and digest.
    values : callable
        Takes the values of its fields, in order, from what was stored.
    """

    adapter: TypeAdapter[Any]
    stored: TypeAdapter[Any]
    values: Callable[[Any], tuple[Any, ...]]


@cache
def _forms() -> dict[type[Any], _Form]:
    from pydantic import TypeAdapter

    schema = ("schema", int, field(kw_only=True))
    digest = (
        "digest",
        str | None,
        field(kw_only=True, default=None),
    )  # records of earlier versions have none
    kinds: tuple[type[Any], ...] = (
        RunManifest,
        VideoRecord,
        VideoProfile,
        MeasurementRecord,
        OutcomeRecord,
        Trial,
    )
    return {
        kind: _Form(
            TypeAdapter(kind),
            TypeAdapter(
                make_dataclass(
                    f"Stored{kind.__name__}", [schema, digest], bases=(kind,), frozen=True, slots=True
                )
            ),
            attrgetter(*(field.name for field in fields(kind))),
        )
        for kind in kinds
    }
