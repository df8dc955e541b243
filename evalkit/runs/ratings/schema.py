"""The file of ratings: ``RUN/ratings/ratings.sqlite``, its tables, and how it is opened.

It holds nothing personal: no name, no address, no program of a rater. Links and sessions are stored as hashes alone.
Write-ahead logging with full synchronisation: what is committed survives a crash and a power cut.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from evalkit.errors import UsageError
from evalkit.runs.layout import RATINGS_FOLDER
from evalkit.runs.records import DamagedFileError

DATABASE_FILE = "ratings.sqlite"
CLIPS_FOLDER = "clips"
"""Of the blind copies, in the folder of ratings."""
SCHEMA_VERSION = 1
_APPLICATION_ID: Final = 0x45564B52  # EVKR
_BUSY_S = 10.0

_TABLES = """
CREATE TABLE identity (
  run TEXT NOT NULL,      -- random: tells this file from that of another run
  secret TEXT NOT NULL    -- random: signs the tickets of pages that are answered elsewhere
) STRICT;
CREATE TABLE studies (
  number INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('acr', 'pairs')),
  questions TEXT NOT NULL CHECK (json_valid(questions)),
  created_at TEXT NOT NULL,
  key TEXT NOT NULL,         -- the sealed key, see evalkit.rating.key; empty of imported answers
  commitment TEXT NOT NULL,  -- its SHA-256
  source TEXT NOT NULL,      -- what imported answers came from, else empty
  digest TEXT,               -- SHA-256 of the imported file
  UNIQUE (digest, kind)
) STRICT;
CREATE TABLE items (
  study INTEGER NOT NULL REFERENCES studies,
  code TEXT NOT NULL,
  first_trial TEXT NOT NULL,
  first_content TEXT,
  second_trial TEXT,         -- of a pair
  second_content TEXT,
  is_check INTEGER NOT NULL CHECK (is_check IN (0, 1)),  -- its last clip is shown broken
  PRIMARY KEY (study, code)
) STRICT, WITHOUT ROWID;
CREATE TABLE raters (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, even when a rater was forgotten
  study INTEGER NOT NULL REFERENCES studies,
  origin TEXT NOT NULL CHECK (origin IN ('person', 'simulated', 'imported')),
  language TEXT NOT NULL DEFAULT '',
  token_hash TEXT UNIQUE,
  session_hash TEXT UNIQUE,
  slot INTEGER,              -- which presentations; null until the rater starts
  UNIQUE (study, slot)
) STRICT;
CREATE TABLE presentations (
  number INTEGER PRIMARY KEY,
  rater INTEGER NOT NULL REFERENCES raters ON DELETE CASCADE,
  position INTEGER NOT NULL,
  study INTEGER NOT NULL,
  item TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('training', 'rating', 'repeat', 'check')),
  is_swapped INTEGER NOT NULL CHECK (is_swapped IN (0, 1)),  -- the pair's second clip was shown first
  nonce TEXT UNIQUE,         -- null of imported answers, as are the codes
  first_code TEXT UNIQUE,    -- of the clip that is shown first
  second_code TEXT UNIQUE,
  shown_at REAL,
  first_played_at REAL,
  second_played_at REAL,
  UNIQUE (rater, position),
  FOREIGN KEY (study, item) REFERENCES items (study, code)
) STRICT;
CREATE TABLE answers (
  presentation INTEGER PRIMARY KEY REFERENCES presentations ON DELETE CASCADE,
  given TEXT NOT NULL CHECK (json_valid(given)),  -- {"overall": 4, …}, or "first", "second", "none"
  answered_at REAL NOT NULL,
  took_s REAL
) STRICT;
CREATE TABLE clips (
  content TEXT NOT NULL,     -- SHA-256 of the video that it is a blind copy of
  is_broken INTEGER NOT NULL CHECK (is_broken IN (0, 1)),
  file TEXT NOT NULL UNIQUE,
  duration_s REAL NOT NULL,
  fps REAL NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  has_sound INTEGER NOT NULL CHECK (has_sound IN (0, 1)),
  PRIMARY KEY (content, is_broken)
) STRICT, WITHOUT ROWID;
"""


def database_of(run_folder: Path) -> Path:
    """Return where the ratings of a run are; they need not exist."""
    return run_folder / RATINGS_FOLDER / DATABASE_FILE


def rater_id(number: int) -> str:
    """Return what a rater is called.

    >>> rater_id(7)
    'r07'
    """
    return f"r{number:02d}"


def rater_number(rater: str) -> int | None:
    """Return the number in a rater's id; None where it is no such id.

    >>> rater_number("r07"), rater_number("anna")
    (7, None)
    """
    digits = rater.removeprefix("r")
    is_id = digits.isascii() and digits.isdecimal() and len(digits) <= 9 and rater_id(int(digits)) == rater
    return int(digits) if is_id else None


def connect_to_write(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open a file of ratings, for one thread at a time.

    Parameters
    ----------
    path : Path
    create : bool
        Whether it is made, for its owner alone, where there is none.

    Raises
    ------
    UsageError
        If a newer evalkit wrote it, or there is none and none is to be made.
    DamagedFileError
        If it is no file of ratings, or damaged.
    sqlite3.OperationalError
        If it cannot be made or written.
    """
    if create and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    elif not path.exists():
        raise UsageError(f"nobody has been asked yet: there is no {path} (evalkit rate serve makes it)")
    db = _connect(path, "mode=rw")
    try:
        _begin_use(db, path)
    except BaseException:
        db.close()
        raise
    return db


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a file of ratings that others may be writing; raise as `connect_to_write`.

    Nothing is left beside a file that nobody writes, so a run that may not be written can be read.
    """
    if not path.exists():
        raise UsageError(f"nobody has been asked yet: there is no {path} (evalkit rate serve makes it)")
    is_in_use = path.with_name(f"{path.name}-wal").exists()
    try:
        db = _connect(path, "mode=rw" if is_in_use else "mode=ro&immutable=1")
    except sqlite3.Error as error:
        raise _unreadable(path, error) from None
    try:
        db.execute("PRAGMA query_only = ON")
        _check_version(db, path)
    except sqlite3.Error as error:
        db.close()
        if is_in_use and not may_write(path):
            raise DamagedFileError(
                f"{path} cannot be read: the latest answers lie beside it and are yet to be moved into it, and nothing may be "
                "written there. Copy the run to where you may write"
            ) from None
        raise _unreadable(path, error) from None
    except BaseException:
        db.close()
        raise
    return db


def may_write(path: Path) -> bool:
    """Say whether a file of ratings, and beside it, may be written."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def check_whole(db: sqlite3.Connection, path: Path) -> None:
    """Look through the whole file; raise DamagedFileError if a page of it is damaged."""
    try:
        found = [row[0] for row in db.execute("PRAGMA quick_check(1)")]
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from None
    if found != ["ok"]:
        what = found[0].splitlines()[-1]  # the first line only names the database
        raise DamagedFileError(f"{path} is damaged: {what}. {_ADVICE}")


_ADVICE = "Put back a copy of it, or take it away and ask again"


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{mode}"
    db = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    return db


def _begin_use(db: sqlite3.Connection, path: Path) -> None:
    try:
        if _is_new(db):
            db.execute("PRAGMA journal_mode = WAL")
            _make_tables(db)
        _check_version(db, path)
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from None


def _is_new(db: sqlite3.Connection) -> bool:
    """Say whether a file is empty: just made, or its maker was killed before it had tables."""
    return _pragma(db, "user_version") == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone()


def _make_tables(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        if _is_new(db):
            for statement in _TABLES.split(";\n"):
                db.execute(statement)
            db.execute("INSERT INTO identity VALUES (?, ?)", (os.urandom(8).hex(), os.urandom(32).hex()))
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    if _pragma(db, "application_id") != _APPLICATION_ID:
        raise DamagedFileError(f"{path} is not a file of ratings. {_ADVICE}")
    version = _pragma(db, "user_version")
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema {version}, and this evalkit reads up to {SCHEMA_VERSION}: it was written by a newer one"
        )
    if version < 1:
        raise DamagedFileError(f"{path} is damaged: it states no schema. {_ADVICE}")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _unreadable(path: Path, error: sqlite3.Error) -> DamagedFileError:
    return DamagedFileError(f"{path} cannot be read: {error}. {_ADVICE}")
