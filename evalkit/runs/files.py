"""Writing so that a file is whole or not there, and keeping a folder to one writer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_NAME = ".lock"


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file under a name of its own in the same folder, flush it to disk, and rename.

    A reader sees the old file or the new one, a killed writer leaves at most a hidden ``*.part``.

    Raises
    ------
    OSError
        If it cannot be written; the old file is then as it was.
    """
    content = data.encode() if isinstance(data, str) else data
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep a second writer out of a folder for as long as this lasts.

    The lock is the kernel's: it goes with the process that holds it, however that ends, so none is ever stale.

    Raises
    ------
    UsageError
        If another process writes there.
    """
    path = folder / LOCK_NAME
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UsageError(
                f"{folder}: another sweep (process {holder}) writes into this folder; "
                f"wait for it, end it, or name another folder with --out"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
