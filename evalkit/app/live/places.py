"""From addresses to files: only what lies in the folder that is served, whatever an address or a link says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from evalkit.runs.files import LOCK_NAME
from evalkit.runs.layout import RATINGS_FOLDER

LONGEST = 2000
"""Bytes of an address."""

KINDS = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".vtt": "text/vtt; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".wav": "audio/wav",
}
"""What pages of a run lead to, by the ending of its name; nothing else is sent."""

_KEPT = {os.fsencode(RATINGS_FOLDER), os.fsencode(LOCK_NAME)}
"""What is nobody's to see before a study is over: the key, and blind copies under names that tell what they are."""


class Address(NamedTuple):
    """What an address names.

    Parameters
    ----------
    parts : tuple of bytes
        Names of folders and files, as the disk has them.
    is_folder : bool
        Whether it ends in a slash.
    """

    parts: tuple[bytes, ...]
    is_folder: bool


def read_address(raw: bytes) -> Address | None:
    """Read the part of a path behind its prefix; None for one that names nothing that could be served.

    Parameters
    ----------
    raw : bytes
        As it was asked for, still with its percent signs: a slash that is hidden in one is part of a name, and no name has
        any.

    >>> read_address(b"a/b%20c/")
    Address(parts=(b'a', b'b c'), is_folder=True)
    >>> [read_address(raw) for raw in (b"../x", b"a/%2e%2e/x", b"a%2fb", b"a%5cb", b"a//b", b".git/x", b"a%00", b"a" * 9999)]
    [None, None, None, None, None, None, None, None]
    """
    if len(raw) > LONGEST:
        return None
    is_folder = raw.endswith(b"/") or not raw
    inside = raw.removesuffix(b"/")
    parts = tuple(unquote_to_bytes(part) for part in inside.split(b"/")) if inside else ()
    if any(_is_no_name(part) for part in parts):
        return None
    return Address(parts, is_folder)


def write_address(path: Path) -> str:
    """Return the address of a path that is relative: quoted, without slashes at its ends.

    >>> write_address(Path("week 1/a?b")), write_address(Path("."))
    ('week%201/a%3Fb', '')
    """
    return "/".join(quote_from_bytes(os.fsencode(part), safe="") for part in path.parts)


def is_inside(path: Path, root: Path) -> bool:
    """Say whether a path, with all links followed, lies in a folder that has none in its own path."""
    try:
        return path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError, ValueError):
        return False


def find_file(run: Path, parts: tuple[bytes, ...], root: Path) -> tuple[Path, str] | None:
    """Find a file of a run that may be sent, and its media type; None where there is none.

    Parameters
    ----------
    run : Path
        Folder of the run.
    parts : tuple of bytes
        Of an `Address`.
    root : Path
        The folder that is served, with all links followed. A file lies in it, and in the run, links followed.
    """
    if not parts or any(part in _KEPT for part in parts):
        return None
    path = run.joinpath(*map(os.fsdecode, parts))
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        return None
    try:
        real, own = path.resolve(strict=True), run.resolve(strict=True)
        if not (real.is_relative_to(own) and real.is_relative_to(root) and real.is_file()):
            return None
    except (OSError, RuntimeError, ValueError):
        return None
    if KINDS.get(real.suffix.lower()) is None or _KEPT & set(map(os.fsencode, real.relative_to(own).parts)):
        return None
    return real, kind


def find_leading_out(run: Path, root: Path) -> str | None:
    """Name a link in a run's folder that leads out of the folder that is served; None where there is none.

    Such a run is not read at all: its figures would be of files that are not to be shown.
    """
    waiting = [run]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        if not is_inside(Path(entry.path), root):
                            return str(Path(entry.path).relative_to(run))
                    elif entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
        except OSError:
            continue
    return None


def _is_no_name(part: bytes) -> bool:
    return (
        not part
        or part.startswith(b".")
        or any(byte in part for byte in (b"/", b"\\", b"\0"))
        or len(part) > 255
    )
