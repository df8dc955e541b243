"""The user's own documents, cut into passages.

Text and Markdown are cut at empty lines and headings; a heading that is a question makes what follows its answer.
CSV files with the columns ``question`` and ``answer``, and JSON files with a list of such pairs, are taken pair by
pair.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_BYTES = 32 * 2**20
_MAX_WORDS = 120
_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*\s*$")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？；])")


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage before anybody asked.

    Parameters
    ----------
    text : str
        What it says.
    source : str
        File and line.
    heading : str
        What stands over it; searched too.
    is_answer : bool
        Whether the heading is a question that the whole text answers.
    """

    text: str
    source: str
    heading: str = ""
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class Documents:
    """All passages of a folder, and the SHA-256 of its files' names and contents."""

    pieces: tuple[Piece, ...]
    content: str


def read_documents(folder: str | Path) -> Documents:
    """Read every document of a folder and the folders in it, in the order of their names.

    Hidden files and folders are left out.

    Raises
    ------
    RequestError
        If there is no such folder, a file in it is of another kind or cannot be read, or there is not a single
        passage, or more than 32 MiB.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RequestError(
            f"documents {str(folder)!r}: there is no such folder; name the folder that holds them"
        )
    pieces: list[Piece] = []
    content = hashlib.sha256()
    n_bytes = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        read = _READERS.get(path.suffix.lower())
        if read is None:
            raise RequestError(
                f"document {str(path)!r}: only {', '.join(_READERS)} files are read; convert it or move it away"
            )
        try:
            data = path.read_bytes()
            text = data.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(f"document {str(path)!r} cannot be read as UTF-8 text: {error}") from None
        n_bytes += len(data)
        if n_bytes > _MAX_BYTES:
            raise RequestError(
                f"documents {str(folder)!r} are more than {_MAX_BYTES // 2**20} MiB; keep only those that answers come from"
            )
        content.update(f"{name}\0{len(data)}\0".encode() + data)
        pieces += read(text, name)
    if not pieces:
        raise RequestError(
            f"documents {str(folder)!r}: there is no text in it; put {', '.join(_READERS)} files there"
        )
    return Documents(tuple(pieces), content.hexdigest())


def split_sentences(text: str) -> list[str]:
    """Cut a text after full stops, question and exclamation marks, Chinese ones included.

    >>> split_sentences("We open at 9. Come in!")
    ['We open at 9.', 'Come in!']
    """
    return [sentence for part in _SENTENCE_END.split(text) if (sentence := part.strip())]


def _read_text(text: str, name: str) -> Iterator[Piece]:
    heading = ""
    lines: list[str] = []
    start = 1
    for number, line in enumerate([*text.splitlines(), ""], 1):
        found = _HEADING.match(line)
        if line.strip() and not found:
            start = start if lines else number
            lines.append(line.strip())
            continue
        if lines:
            yield from _cut(" ".join(lines), f"{name}:{start}", heading)
            lines = []
        if found:
            heading = found[1]


def _cut(text: str, source: str, heading: str) -> Iterator[Piece]:
    """Yield a paragraph, cut between sentences where it is long."""
    if heading.endswith(("?", "？")):
        yield Piece(text, source, heading, is_answer=True)
        return
    part: list[str] = []
    for sentence in split_sentences(text):
        if part and len(" ".join([*part, sentence]).split()) > _MAX_WORDS:
            yield Piece(" ".join(part), source, heading)
            part = []
        part.append(sentence)
    yield Piece(" ".join(part), source, heading)


def _read_table(text: str, name: str) -> Iterator[Piece]:
    reader = csv.DictReader(text.splitlines())
    columns = {column.strip().lower(): column for column in reader.fieldnames or [] if column}
    if not {"question", "answer"} <= columns.keys():
        raise RequestError(
            f"document {name!r} needs the columns question and answer; it has: {', '.join(columns)}"
        )
    for row in reader:
        yield from _pair(row[columns["question"]], row[columns["answer"]], f"{name}:{reader.line_num}")


def _read_json(text: str, name: str) -> Iterator[Piece]:
    try:
        pairs = json.loads(text)
    except ValueError as error:
        raise RequestError(f"document {name!r} is not valid JSON: {error}") from None
    if not (isinstance(pairs, list) and all(isinstance(pair, dict) for pair in pairs)):
        raise RequestError(f'document {name!r} is not a list of {{"question": …, "answer": …}}')
    for number, pair in enumerate(pairs, 1):
        yield from _pair(pair.get("question"), pair.get("answer"), f"{name}:{number}")


def _pair(question: object, answer: object, source: str) -> Iterator[Piece]:
    if not (isinstance(question, str) and isinstance(answer, str) and question.strip() and answer.strip()):
        raise RequestError(f"document {source}: a pair needs the texts question and answer, neither empty")
    yield Piece(" ".join(answer.split()), source, " ".join(question.split()), is_answer=True)


_READERS = {".csv": _read_table, ".json": _read_json, ".md": _read_text, ".txt": _read_text}
