"""Writing so that a file is whole or not there, and keeping a folder to one writer."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_NAME = ".lock"
_REPLACED = ".replaced"
_MOST_TRIES = 1000  # each finds something gone, or something new


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file under a name of its own in the same folder, flush it to disk, and rename.

    A reader sees the old file or the new one, a killed writer leaves at most a hidden ``*.part``. Text is UTF-8; what it
    cannot hold (a file name in another encoding) is written as an escape, which JSON reads back.

    Raises
    ------
    OSError
        If it cannot be written; the old file is then as it was.
    """
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
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
    _sync(folder)


def put_folder(part: Path, place: Path) -> None:
    """Give a finished folder its name, on disk; an older folder of that name goes when the new one has it.

    A writer that is killed in between leaves the older one hidden: see `replaced_name`.
    """
    files = [path for path in part.iterdir() if path.is_file()]
    list(_flushing().map(_sync, [*files, part]))
    if place.exists():
        replaced = place.with_name(f".{place.name}.{uuid.uuid4().hex}{_REPLACED}")
        place.rename(replaced)
        part.rename(place)
        sync_folder(place.parent)
        remove(replaced)
    else:
        part.rename(place)
        sync_folder(place.parent)


def remove(path: Path) -> None:
    """Remove a file, or a folder and all in it, also while another process removes it or still writes into it.

    The workers of a killed process clean up after themselves, and may be at it when the next one comes.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    for n_tries in itertools.count(1):
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTEMPTY} or n_tries == _MOST_TRIES:
                raise
        else:
            return


def replaced_name(path: Path) -> Path | None:
    """Return the place of a folder that `put_folder` was replacing when it was killed; None for anything else."""
    if not (path.name.startswith(".") and path.name.endswith(_REPLACED)):
        return None
    return path.with_name(path.name.removeprefix(".").removesuffix(_REPLACED).rpartition(".")[0])


@cache
def _flushing() -> ThreadPoolExecutor:
    """Return threads that flush files at once: the file system then commits them together, not one after the other."""
    return ThreadPoolExecutor(8, thread_name_prefix="flush")


os.register_at_fork(after_in_child=_flushing.cache_clear)  # a child has none of its parent's threads


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
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
                f"{folder}: another process ({holder}) writes into this folder; "
                f"wait for it, end it, or work in another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
