"""What a search left behind in a run: ``search.json``, how each configuration of the grid fared in the race."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING

from evalkit.runs.layout import SEARCH_FILE
from evalkit.runs.records import DamagedFileError, parse_json, write_json
from evalkit.runs.schema import SearchRecord

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import TypeAdapter


def read_search(folder: Path) -> SearchRecord | None:
    """Read what a search left behind in a run folder; None where there was none, or it cannot be read.

    Nothing about the trials hangs on it, and the next search writes it again.
    """
    from pydantic import ValidationError

    path = folder / SEARCH_FILE
    try:
        stored = parse_json(path, path.read_bytes())
        return _adapter().validate_python({name: value for name, value in stored.items() if name != "schema"})
    except (OSError, DamagedFileError, ValidationError):
        return None


def write_search(folder: Path, record: SearchRecord) -> None:
    """Write it, atomically; raise OSError where that cannot be."""
    write_json(folder / SEARCH_FILE, asdict(record))


@cache
def _adapter() -> TypeAdapter[SearchRecord]:
    from pydantic import TypeAdapter

    return TypeAdapter(SearchRecord)
