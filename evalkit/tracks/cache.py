"""Tracks on disk, by content: the same picture is never looked at twice.

The key is the hash of the file's bytes, the track's name and its tracker's version, so neither a renamed file nor a
new tracker can give an old answer. A damaged entry counts as none. The folder is ``$EVALKIT_CACHE_DIR``, else
``$XDG_CACHE_HOME/evalkit``, else ``~/.cache/evalkit``; it may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from evalkit.types import Track


def cache_folder() -> Path:
    """Return the folder of the cache; it need not exist."""
    own = os.environ.get("EVALKIT_CACHE_DIR")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evalkit"


def content_hash(path: str) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_file(target: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file under another name in the same folder, made if needed, and rename it when it is whole.

    Raises
    ------
    OSError
        If it cannot be written; the old file is then as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".tmp", delete=False) as file:
        try:
            write(file)
            file.close()
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


class TrackCache:
    """Loads and stores tracks.

    Parameters
    ----------
    folder : Path, optional
        `cache_folder` unless given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder()

    def load(self, content: str, name: str, version: int) -> Track | None:
        """Return a stored track, or None where there is none that can be read."""
        try:
            path = self._path(content, name, version)
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                head = json.loads(str(stored["head"]))
                return Track(
                    name,
                    tuple(head["columns"]),
                    stored["times_s"],
                    stored["values"],
                    stored["valid"],
                    head["facts"],
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def store(self, content: str, version: int, track: Track) -> None:
        """Store a track atomically. A cache that cannot be written is no reason to fail."""
        target = self._path(content, track.name, version)
        head = json.dumps({"columns": track.columns, "facts": dict(track.facts)})
        with contextlib.suppress(OSError):
            replace_file(
                target,
                lambda file: np.savez(
                    file, head=head, times_s=track.times_s, values=track.values, valid=track.valid
                ),
            )

    def _path(self, content: str, name: str, version: int) -> Path:
        return self._folder / "tracks" / content[:2] / f"{content}-{name}-{version}.npz"
