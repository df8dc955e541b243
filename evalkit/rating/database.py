"""One file of ratings as several threads use it: connections are lent, and a change is on the disk or nothing of it is."""

from __future__ import annotations

import queue
import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evalkit.errors import EvalkitError, UsageError
from evalkit.runs.ratings.schema import (
    CLIPS_FOLDER,
    check_whole,
    connect_to_read,
    connect_to_write,
    database_of,
    may_write,
)
from evalkit.runs.records import DamagedFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_N_IDLE = 64
"""Connections that are kept for the next call."""


class NotStoredError(EvalkitError):
    """Nothing was stored: the disk is full, or may not be written to. What was acknowledged before is kept."""


class Database:
    """The file of ratings of a run; it need not exist.

    Parameters
    ----------
    run_folder : Path
    """

    def __init__(self, run_folder: Path) -> None:
        self.path = database_of(run_folder)
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue(_N_IDLE)
        self._turn = threading.Lock()  # SQLite alone has no queue: who waits there asks again after a while

    @property
    def clips_folder(self) -> Path:
        """Where the blind copies are; it need not exist."""
        return self.path.parent / CLIPS_FOLDER

    def find_copy(self, name: str) -> Path | None:
        """Return where a blind copy is; None where there is none of that name in the folder of copies itself.

        The name stands in the file of ratings, which others may have written: none leads to another place.
        """
        copy = self.clips_folder / name
        is_there = copy.parent == self.clips_folder and copy.is_file() and not copy.is_symlink()
        return copy if is_there else None

    def refuse_links(self) -> None:
        """Raise UsageError where a link leads out of the run: what is served from here is the run's own."""
        run_folder = self.path.parent.parent
        if not self.clips_folder.resolve().is_relative_to(run_folder.resolve()):
            raise UsageError(
                f"{self.path.parent} leads out of {run_folder}: no file outside the run is shown to raters. "
                "Put the folder itself there in place of the link"
            )

    @property
    def exists(self) -> bool:
        """Whether anybody was asked yet, or anything imported."""
        return self.path.exists()

    def create(self) -> None:
        """Make the file where there is none; raise as `writing`."""
        try:
            connect_to_write(self.path, create=True).close()
        except (sqlite3.OperationalError, OSError) as error:
            raise self._not_stored(error) from None

    def check(self) -> None:
        """Look through the whole file; raise DamagedFileError if it is damaged."""
        with self.reading() as db:
            check_whole(db, self.path)

    def close(self) -> None:
        """Close the file; what is in use by another thread stays open."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to one thread; one that failed is not lent again.

        A run that may not be written to can be read.

        Raises
        ------
        UsageError
            If there is no file, or a newer evalkit wrote it.
        DamagedFileError
            If it is damaged.
        NotStoredError
            If it cannot be opened, as nothing may be written there.
        """
        db = self._take()
        try:
            yield db
        except BaseException as error:
            db.close()
            if isinstance(error, sqlite3.OperationalError):
                raise self._not_stored(error) from None
            if isinstance(error, sqlite3.DatabaseError):
                raise DamagedFileError(f"{self.path} is damaged: {error}") from None
            raise
        try:
            self._idle.put_nowait(db)
        except queue.Full:
            db.close()

    @contextmanager
    def writing(self, *, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """Lend a connection for one change, all of which is stored afterwards, or nothing.

        Parameters
        ----------
        lasting : bool
            Whether it has to survive a power cut by itself; else the next lasting one takes it along. A crash of this
            program it survives in any case.

        Raises
        ------
        NotStoredError
            If the disk is full, or may not be written to.
        UsageError, DamagedFileError
            As `reading`.
        """
        with self._turn, self.reading() as db:
            db.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            pass
        try:
            return connect_to_write(self.path)
        except sqlite3.OperationalError as error:
            if not may_write(self.path):
                return connect_to_read(self.path)
            raise self._not_stored(error) from None

    def _not_stored(self, error: Exception) -> NotStoredError:
        return NotStoredError(
            f"{self.path}: nothing was stored: {error}. Make room on the disk, or look to who may write there; "
            "what was acknowledged before is kept"
        )


def iso_time(seconds: float) -> str:
    """Return a time, in seconds since 1970, as it is stored to be read: ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
