"""What people write on a run: tags, and notes with their time. RUN/notes.json; nothing that is measured depends on it."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import stat
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.formatting import encodable
from evalkit.runs.files import write_atomically
from evalkit.runs.records import DamagedFileError
from pipeline.options import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTES_FILE = "notes.json"
FORMAT = 1
LONGEST_NOTE = 4000
LONGEST_AUTHOR = 80
LONGEST_TAG = 40
MOST_NOTES = 500
MOST_TAGS = 20
_MOST_BYTES = 16 * 1024 * 1024
_TURNS_TEXT = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Note:
    """One note.

    Parameters
    ----------
    text : str
    author : str
        Who says to have written it; empty for nobody.
    at : str
        ISO 8601, UTC.
    """

    text: str
    author: str
    at: str


@dataclass(frozen=True, slots=True)
class Notes:
    """What is written on a run.

    Parameters
    ----------
    tags : tuple of str
        In the order in which they were given, none twice.
    notes : tuple of Note
        The oldest first.
    """

    tags: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def read_notes(folder: Path) -> Notes:
    """Read what is written on a run; nothing where there is no file.

    Raises
    ------
    DamagedFileError
        If the file cannot be read as what it should be.
    UsageError
        If a newer evalkit wrote it.
    """
    path = folder / NOTES_FILE
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DamagedFileError(f"{path} is damaged: it is no file")
        if found.st_size > _MOST_BYTES:
            raise DamagedFileError(f"{path} is damaged: no notes are that long")
        content = path.read_bytes()
    except FileNotFoundError:
        return Notes()
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}") from None
    return _parse(path, content)


def add_note(folder: Path, text: str, author: str = "", *, now: dt.datetime | None = None) -> Notes:
    """Write a note on a run, and return all that is written on it.

    Raises
    ------
    UsageError
        If it is empty or too long, or there are too many; the file is then as it was.
    DamagedFileError
        If what is there cannot be read: it is not overwritten.
    OSError
        If it cannot be written.
    """
    body, name = _clean(text, lines=True), _clean(author)
    if not body:
        raise UsageError("a note without a word says nothing")
    if len(body) > LONGEST_NOTE:
        raise UsageError(f"a note has {LONGEST_NOTE} characters at most, and this one has {len(body)}")
    if len(name) > LONGEST_AUTHOR:
        raise UsageError(f"a name has {LONGEST_AUTHOR} characters at most")
    when = (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).isoformat(timespec="seconds")

    def add(there: Notes) -> Notes:
        if len(there.notes) >= MOST_NOTES:
            raise UsageError(f"a run has {MOST_NOTES} notes at most")
        return replace(there, notes=(*there.notes, Note(body, name, when)))

    return _change(folder, add)


def remove_note(folder: Path, note: Note) -> Notes:
    """Take a note off a run, and return what is left; nothing happens where it is gone already. Errors as `add_note`."""
    return _change(folder, lambda there: replace(there, notes=tuple(n for n in there.notes if n != note)))


def set_tags(folder: Path, tags: Iterable[str]) -> Notes:
    """Give a run its tags in place of those it has, and return all that is written on it.

    Raises
    ------
    UsageError
        If one is too long or there are too many; the file is then as it was.
    DamagedFileError, OSError
        As `add_note`.
    """
    cleaned = tuple(dict.fromkeys(tag for tag in map(_clean, tags) if tag))
    if len(cleaned) > MOST_TAGS:
        raise UsageError(f"a run has {MOST_TAGS} tags at most")
    for tag in cleaned:
        if len(tag) > LONGEST_TAG:
            raise UsageError(f"a tag has {LONGEST_TAG} characters at most: {tag[:LONGEST_TAG]}…")
        if "," in tag:
            raise UsageError(f"a tag has no comma in it, as commas stand between tags: {tag}")
    return _change(folder, lambda there: replace(there, tags=cleaned))


def _change(folder: Path, change: Callable[[Notes], Notes]) -> Notes:
    """Change what is written on a run; two who write at once write one after the other."""
    with _locked(folder):
        before = read_notes(folder)
        after = change(before)
        if after != before:
            plain = {
                "format": FORMAT,
                "tags": list(after.tags),
                "notes": [asdict(note) for note in after.notes],
            }
            write_atomically(folder / NOTES_FILE, json_text(plain))
    return after


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder itself: no file has to be made for it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _parse(path: Path, content: bytes) -> Notes:
    try:
        data: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}") from None
    if isinstance(data, dict) and isinstance(data.get("format"), int) and data["format"] > FORMAT:
        raise UsageError(f"{path} was written by a newer evalkit")
    try:
        notes = tuple(Note(one["text"], one["author"], one["at"]) for one in data["notes"])
        tags = tuple(data["tags"])
        is_listed = isinstance(data["notes"], list) and isinstance(data["tags"], list)
    except (KeyError, TypeError):
        notes, tags, is_listed = (), (), False
    texts = (*tags, *(text for note in notes for text in (note.text, note.author, note.at)))
    if not (is_listed and all(isinstance(text, str) for text in texts)):
        raise DamagedFileError(f"{path} is damaged: it holds no notes as evalkit writes them")
    return Notes(tags, notes)


def _clean(text: str, *, lines: bool = False) -> str:
    """Take out what moves a cursor or turns the direction of text; lines stay only where they may be."""
    text = encodable(text).replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(one if (one == "\n" and lines) or not _is_control(one) else " " for one in text)
    return kept.strip() if lines else " ".join(kept.split())


def _is_control(one: str) -> bool:
    return one in _TURNS_TEXT or unicodedata.category(one) in {"Cc", "Cs", "Zl", "Zp"}
