"""Tables as text: one line a row, cells parted by commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from evalkit.errors import UsageError
from evalkit.formatting import label

LARGEST_BYTES = 64 * 2**20
"""Of a file that people hand over."""
_DELIMITERS = ",;\t|"


class Table(NamedTuple):
    """Lines of a table.

    Parameters
    ----------
    header : tuple of str
    rows : list of (int, dict of str to str)
        Number of the line on which each ends, and its cells by column.
    problems : list of str
        Lines that are none of the table.
    """

    header: tuple[str, ...]
    rows: list[tuple[int, dict[str, str]]]
    problems: list[str]


def read_bytes(file: Path, doubt: str) -> bytes:
    """Return what a file holds.

    Parameters
    ----------
    file : Path
    doubt : str
        What is asked of one that is too large, such as ``is it a file of scores?``.

    Raises
    ------
    UsageError
        If it cannot be read, is empty, or holds more than `LARGEST_BYTES`.
    """
    try:
        with file.open("rb") as stream:  # what is no plain file does not say how much it holds
            content = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{label(str(file))} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_BYTES:
        raise UsageError(f"{label(str(file))}: is larger than {LARGEST_BYTES // 2**20} MiB; {doubt}")
    if not content.strip():
        raise UsageError(f"{label(str(file))}: is empty")
    return content


def decode(content: bytes) -> str:
    """Return a file's bytes as text, without a byte-order mark.

    Raises
    ------
    UsageError
        With the first line that is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"line {line} is not UTF-8; save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
        ) from None


def read_table(text: str, delimiter: str | None = None) -> Table:
    """Read a table with a header.

    Raises
    ------
    UsageError
        If it has none, or a column's name is there twice.
    """
    first = text.partition("\n")[0]
    delimiter = delimiter or max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    problems: list[str] = []
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        twice = sorted(name for name, n in Counter(header).items() if n > 1)
        if not any(header) or twice:
            raise UsageError(
                f"the column {label(twice[0])!r} is there twice" if twice else "there is no header"
            )
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) == len(header):
                rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
            else:
                problems.append(f"line {reader.line_num}: {len(cells)} cells, and {len(header)} columns")
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num}: {error}") from None
    return Table(header, rows, problems)
