"""The desk that raters' answers are handed in at: all that a server of ratings asks, over one file of SQLite.

It may be asked from several threads, and several processes may have one open at once. What `Desk.answer` calls stored is
on the disk. Raters are told nothing here that would tell one configuration from another: codes of clips are random, for
every presentation and side.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from evalkit.errors import EvalkitError, UsageError
from evalkit.rating import clips as blind_clips
from evalkit.rating.answers import PREFERRED, answer_text, insert_answer, language_code
from evalkit.rating.database import Database, NotStoredError, iso_time
from evalkit.rating.key import Key, fits, read_key
from evalkit.rating.shown import (
    PRESENTATIONS,
    ClipRef,
    Presentation,
    clip_refs,
    ended_at,
    export,
    files_of,
    insert_presentations,
    shown_to,
    to_presentation,
)
from evalkit.rating.study import Design, Item, clips_of, make_items, rater_s, settle
from evalkit.rating.tickets import issue_ticket
from evalkit.runs import Run
from evalkit.runs.ratings.records import Origin, RaterRecord, StudyKind, StudyRecord
from evalkit.runs.ratings.schema import rater_id, rater_number
from evalkit.runs.ratings.store import list_raters, list_studies, to_study
from pipeline.options import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path


__all__ = [
    "PREFERRED",
    "TOLERANCE_S",
    "ClipRef",
    "Desk",
    "Invitation",
    "NotStoredError",
    "Outcome",
    "Presentation",
    "RaterState",
    "RefusedError",
    "Sheet",
]

TOLERANCE_S = 0.25
"""An answer may come so much earlier than a clip that was played through has ended."""


class RefusedError(EvalkitError):
    """A link that opens nothing.

    Parameters
    ----------
    reason : {"unknown", "used"}
        No such link was given out; or somebody has begun to rate by it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"this link is {reason}")
        self.reason = reason


class Outcome(StrEnum):
    """What became of an answer."""

    STORED = "stored"
    SAME_AGAIN = "same again"
    """It was stored before; nothing was changed."""
    OTHER_BEFORE = "other before"
    """Another answer was stored before, and stays."""
    TOO_EARLY = "too early"
    """The clip cannot have been played through yet."""
    UNKNOWN = "unknown"
    """Nothing of that nonce was shown to this rater."""
    INVALID = "invalid"
    """Not one of the possible answers to this."""


class Invitation(NamedTuple):
    """A rater, and the token of the link: it is stored nowhere, so it is shown once."""

    rater: str
    token: str


@dataclass(frozen=True, slots=True)
class RaterState:
    """How far a rater has come.

    Parameters
    ----------
    id : str
    study : int
    kind : StudyKind
    questions : tuple of str
    language : str
        Empty until the rater has started.
    is_started : bool
    n_done, n_total : int
        Presentations, those of the training included.
    in_step : bool
        Of pairs, whether both clips play at once.
    minutes : float
        What all of it costs a rater.
    """

    id: str
    study: int
    kind: StudyKind
    questions: tuple[str, ...]
    language: str
    is_started: bool
    n_done: int
    n_total: int
    in_step: bool
    minutes: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that one rater is shown, for a page that is answered elsewhere.

    Parameters
    ----------
    rater : str
    ticket : str
        Signed: comes back with the answers, see `evalkit.rating.answers_file`.
    presentations : tuple of Presentation
        In order.
    files : dict of str to Path
        The clips, by code.
    """

    rater: str
    ticket: str
    presentations: tuple[Presentation, ...]
    files: dict[str, Path]


class Desk:
    """Open one with `open`; close it, or use it in a ``with`` statement.

    Parameters
    ----------
    run_folder : Path
    clock : callable
        Seconds since 1970.
    """

    def __init__(self, run_folder: Path, clock: Callable[[], float]) -> None:
        self.run_folder = run_folder
        self._database = Database(run_folder)
        self._clock = clock
        self._keys: dict[int, Key] = {}
        self._costs: dict[int, float] = {}

    @classmethod
    def open(cls, run_folder: Path, *, clock: Callable[[], float] = time.time) -> Self:
        """Open the desk of a run; nothing is made until a study is begun.

        Raises
        ------
        UsageError
            If it is no run, its ratings were written by a newer evalkit, or a link leads out of it.
        DamagedFileError
            If its ratings are damaged.
        """
        Run.open(run_folder)
        desk = cls(run_folder, clock)
        desk._database.refuse_links()
        if desk._database.exists:
            desk._database.check()
        return desk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is in use by another thread stays open."""
        self._database.close()

    def studies(self) -> list[StudyRecord]:
        """List the studies of the run, imported ones included; none where nobody was asked."""
        if not self._database.exists:
            return []
        with self._database.reading() as db:
            return list_studies(db)

    def latest_study(self) -> StudyRecord:
        """Return the study that was begun last.

        Raises
        ------
        UsageError
            If nobody was asked here yet.
        """
        asked = [study for study in self.studies() if not study.source]
        if not asked:
            raise UsageError(
                f"{self.run_folder}: nobody has been asked yet (evalkit rate serve {self.run_folder} begins a study)"
            )
        return asked[-1]

    def raters(self) -> list[RaterRecord]:
        """List everybody who was invited, or whose answers were imported."""
        if not self._database.exists:
            return []
        with self._database.reading() as db:
            return list_raters(db)

    def begin_study(
        self, design: Design, *, on_progress: Callable[[int, int], None] | None = None
    ) -> StudyRecord:
        """Begin a study of the run's videos, or go on with one that has the same design and videos.

        Parameters
        ----------
        design : Design
        on_progress : callable, optional
            Takes the number of blind copies that are there, and that are needed.

        Raises
        ------
        UsageError
            If there is nothing to be rated.
        ClipError
            If a video cannot be shown.
        NotStoredError
            If the disk is full.
        """
        run = Run.open(self.run_folder)
        clips = clips_of(run.trials(), run.manifest.swept, blind_clips.contents_of(run))
        items = make_items(design, clips)
        self._database.create()
        checks = [item.contents[-1] for item in items if item.is_check]
        durations_s = blind_clips.make_copies(
            self._database, run, clips, checks, seed=design.seed, on_progress=on_progress
        )
        design = settle(design, clips, fmean(durations_s[clip.content] for clip in clips))
        key = Key(design, items, secrets.token_hex(16))
        with self._database.writing() as db:
            for row in db.execute("SELECT * FROM studies WHERE source = '' ORDER BY number DESC"):
                if read_key(row["key"]) == replace(key, salt=read_key(row["key"]).salt):
                    return to_study(row)
            number = _insert_study(db, key, iso_time(self._clock()))
        return self._study(number)

    def key(self, study: int) -> Key:
        """Return the sealed key of a study.

        Raises
        ------
        UsageError
            If there is no such study, or its answers were imported.
        """
        if study not in self._keys:
            with self._database.reading() as db:
                row = db.execute("SELECT key FROM studies WHERE number = ?", (study,)).fetchone()
            if row is None or not row["key"]:
                raise UsageError(
                    f"{self.run_folder} has no study {study} that was asked here: there is no key"
                )
            self._keys[study] = read_key(row["key"])
        return self._keys[study]

    def find_strays(self, study: int) -> list[str]:
        """List the raters who were shown anything else than the key says; none, unless somebody edited the file."""
        key = self.key(study)
        with self._database.reading() as db:
            raters = db.execute(
                "SELECT * FROM raters WHERE study = ? AND slot IS NOT NULL", (study,)
            ).fetchall()
            return [
                rater_id(row["number"])
                for row in raters
                if not fits(key, row["slot"], shown_to(db, row["number"]))
            ]

    def find_changed_items(self, study: int) -> list[str]:
        """List the items, by code, that are of other videos than the key says; none, unless somebody edited the file.

        Answers are of items: whoever exchanges the videos of two turns the result round, and every rater was still shown
        what the key says.
        """
        planned = {_item_row(study, item) for item in self.key(study).items}
        with self._database.reading() as db:
            stored = {tuple(row) for row in db.execute("SELECT * FROM items WHERE study = ?", (study,))}
        return sorted({str(row[1]) for row in planned ^ stored})

    def rater_s(self, study: int) -> float:
        """Return what a study costs a rater, in seconds."""
        return self._cost_s(study)

    def invite(self, study: int, n: int, origin: Origin = Origin.PERSON) -> list[Invitation]:
        """Invite raters to a study, and return a link's token for each.

        Raises
        ------
        UsageError
            If there is no such study.
        """
        self.key(study)
        invitations = []
        with self._database.writing() as db:
            for _ in range(n):
                token = secrets.token_urlsafe(24)
                cursor = db.execute(
                    "INSERT INTO raters (study, origin, token_hash) VALUES (?, ?, ?)",
                    (study, origin.value, _hash(token)),
                )
                invitations.append(Invitation(rater_id(cursor.lastrowid or 0), token))
        return invitations

    def invite_again(self, rater: str) -> Invitation:
        """Give a rater a new link, by which the rater goes on; the old one, and the old session, end.

        Raises
        ------
        UsageError
            If there is no such rater.
        """
        number = self._number(rater)
        token = secrets.token_urlsafe(24)
        with self._database.writing() as db:
            db.execute(
                "UPDATE raters SET token_hash = ?, session_hash = NULL WHERE number = ?",
                (_hash(token), number),
            )
        return Invitation(rater, token)

    def issue_sheet(self, study: int, origin: Origin = Origin.PERSON) -> Sheet:
        """Make a rater who answers elsewhere: without a link, and with everything that is to be shown.

        Raises
        ------
        UsageError
            If there is no such study, or what signs tickets is not installed.
        """
        self.key(study)
        with self._database.writing() as db:
            number = db.execute(
                "INSERT INTO raters (study, origin) VALUES (?, ?)", (study, origin.value)
            ).lastrowid
            rater = rater_id(number or 0)
            ticket = issue_ticket(db, study, rater)
        self.start(rater, "")
        with self._database.writing() as db:
            db.execute("UPDATE presentations SET shown_at = ? WHERE rater = ?", (self._clock(), number))
            rows = db.execute(f"{PRESENTATIONS} ORDER BY p.position", (number,)).fetchall()
        shown = tuple(to_presentation(row, len(rows), in_step=self._is_in_step(row)) for row in rows)
        return Sheet(rater, ticket, shown, self._copies(rows))

    def _copies(self, rows: Iterable[sqlite3.Row]) -> dict[str, Path]:
        """Return the copies of presentations by their codes; raise UsageError where one is gone."""
        copies = {}
        for row in rows:
            for clip, name in zip(clip_refs(row), files_of(row), strict=False):
                copy = None if name is None else self._database.find_copy(name)
                if copy is None:
                    raise UsageError(
                        f"{self._database.clips_folder} lacks a copy of a video of this study; "
                        f"evalkit rate serve {self.run_folder} makes it again"
                    )
                copies[clip.code] = copy
        return copies

    def redeem(self, token: str) -> str:
        """Open a link, and return the secret of a session.

        Until the rater has started, a link opens again and the earlier session ends: programs that only look what is
        behind a link use none up.

        Raises
        ------
        RefusedError
            If there is no such link, or it is used up.
        """
        session = secrets.token_urlsafe(24)
        with self._database.writing(lasting=False) as db:
            row = db.execute("SELECT * FROM raters WHERE token_hash = ?", (_hash(token),)).fetchone()
            if row is None:
                raise RefusedError("unknown")
            is_taken = row["session_hash"] is not None and row["slot"] is not None
            if is_taken:
                raise RefusedError("used")
            db.execute("UPDATE raters SET session_hash = ? WHERE number = ?", (_hash(session), row["number"]))
        return session

    def rater(self, session: str) -> RaterState | None:
        """Return whose session it is; None for one that there is not (or no more)."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT raters.*, studies.kind, studies.questions, "
                "(SELECT count(*) FROM presentations WHERE rater = raters.number) AS n_total, "
                "(SELECT count(*) FROM answers JOIN presentations ON presentations.number = presentation "
                " WHERE rater = raters.number) AS n_done "
                "FROM raters JOIN studies ON studies.number = raters.study WHERE session_hash = ?",
                (_hash(session),),
            ).fetchone()
        if row is None:
            return None
        is_started = row["slot"] is not None
        design = self.key(row["study"]).design
        return RaterState(
            id=rater_id(row["number"]),
            study=row["study"],
            kind=StudyKind(row["kind"]),
            questions=tuple(json.loads(row["questions"])),
            language=row["language"],
            is_started=is_started,
            n_done=row["n_done"],
            n_total=row["n_total"] if is_started else self._count_next(row["study"]),
            in_step=design.in_step,
            minutes=self._cost_s(row["study"]) / 60,
        )

    def start(self, rater: str, language: str) -> None:
        """Give a rater the next slot and its presentations; one who has started only changes the language.

        Raises
        ------
        UsageError
            If there is no such rater.
        """
        number = self._number(rater)
        with self._database.writing(lasting=False) as db:
            db.execute("UPDATE raters SET language = ? WHERE number = ?", (language_code(language), number))
            row = db.execute("SELECT * FROM raters WHERE number = ?", (number,)).fetchone()
            if row["slot"] is not None:
                return
            key = self.key(row["study"])
            slot = _free_slot(db, row["study"])
            db.execute("UPDATE raters SET slot = ? WHERE number = ?", (slot, number))
            insert_presentations(db, number, row["study"], key.presentations(slot), key.design.kind)

    def current(self, rater: str) -> Presentation | None:
        """Return what a rater is to be shown now; None when all is answered, or nothing begun."""
        number = self._number(rater)
        with self._database.reading() as db:
            row = db.execute(
                f"{PRESENTATIONS} AND a.presentation IS NULL ORDER BY p.position LIMIT 1", (number,)
            ).fetchone()
            if row is None:
                return None
            n_total = db.execute("SELECT count(*) FROM presentations WHERE rater = ?", (number,)).fetchone()[
                0
            ]
        if row["shown_at"] is None:
            with self._database.writing(lasting=False) as db:
                db.execute(
                    "UPDATE presentations SET shown_at = ? WHERE number = ? AND shown_at IS NULL",
                    (self._clock(), row["number"]),
                )
        return to_presentation(row, n_total, in_step=self._is_in_step(row))

    def clip_file(self, rater: str, code: str) -> Path | None:
        """Return the blind copy behind a code, and note that it was asked for; None for a code that is not this rater's."""
        number = self._number(rater)
        with self._database.reading() as db:
            row = db.execute(
                f"{PRESENTATIONS} AND ? IN (p.first_code, p.second_code)", (number, code)
            ).fetchone()
        if row is None:
            return None
        side = "first" if row["first_code"] == code else "second"
        if row[f"{side}_played_at"] is None:
            with self._database.writing(lasting=False) as db:
                db.execute(
                    f"UPDATE presentations SET {side}_played_at = ? WHERE number = ? AND {side}_played_at IS NULL",  # noqa: S608 - first or second
                    (self._clock(), row["number"]),
                )
        file = files_of(row)[side == "second"]
        return None if file is None else self._database.find_copy(file)

    def answer(self, rater: str, nonce: str, given: Mapping[str, int] | str) -> Outcome:
        """Take an answer; what is called stored is on the disk.

        Parameters
        ----------
        rater : str
        nonce : str
            Of the presentation.
        given : mapping of str to int, or str
            A score for each question; of pairs one of `PREFERRED`.

        Raises
        ------
        NotStoredError
            If the disk is full.
        """
        number = self._number(rater)
        with self._database.writing() as db:
            row = db.execute(f"{PRESENTATIONS} AND p.nonce = ?", (number, nonce)).fetchone()
            if row is None or row["shown_at"] is None:
                return Outcome.UNKNOWN
            text = answer_text(row["kind"], json.loads(row["questions"]), given)
            if text is None:
                return Outcome.INVALID
            if row["given"] is not None:
                return Outcome.SAME_AGAIN if row["given"] == text else Outcome.OTHER_BEFORE
            now, ended = self._clock(), ended_at(row, in_step=self._is_in_step(row))
            if ended is None or now < ended - TOLERANCE_S:
                return Outcome.TOO_EARLY
            insert_answer(db, row["number"], text, now, max(0.0, now - ended))
        return Outcome.STORED

    def forget(self, rater: str) -> None:
        """Delete a rater and everything that is known of the rater, answers included; the bytes are overwritten.

        With the last rater of an import goes the import, so that its file can be brought in again, with another mapping.

        Raises
        ------
        UsageError
            If there is no such rater.
        """
        number = self._number(rater)
        with self._database.writing() as db:
            study = db.execute("DELETE FROM raters WHERE number = ? RETURNING study", (number,)).fetchone()[0]
            if not db.execute("SELECT 1 FROM raters WHERE study = ?", (study,)).fetchone():
                is_import = "SELECT number FROM studies WHERE number = ? AND source != ''"
                db.execute(f"DELETE FROM items WHERE study IN ({is_import})", (study,))  # noqa: S608 - as above
                db.execute("DELETE FROM studies WHERE number = ? AND source != ''", (study,))
        with self._database.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def export_rater(self, rater: str) -> dict[str, Any]:
        """Return everything that is known of a rater, as plain data.

        Raises
        ------
        UsageError
            If there is no such rater.
        """
        number = self._number(rater)
        with self._database.reading() as db:
            row = db.execute("SELECT * FROM raters WHERE number = ?", (number,)).fetchone()
            shown = db.execute(f"{PRESENTATIONS} ORDER BY p.position", (number,)).fetchall()
        return {
            "rater": rater,
            "study": row["study"],
            "origin": row["origin"],
            "language": row["language"],
            "presentations": [export(one) for one in shown],
        }

    def _cost_s(self, study: int) -> float:
        if study not in self._costs:
            key = self.key(study)
            contents = {content for item in key.items for content in item.contents}
            with self._database.reading() as db:
                rows = db.execute("SELECT content, duration_s FROM clips WHERE NOT is_broken").fetchall()
            clip_s = fmean(row["duration_s"] for row in rows if row["content"] in contents)
            self._costs[study] = rater_s(key.design, key.items, clip_s)
        return self._costs[study]

    def _count_next(self, study: int) -> int:
        """Return how much whoever starts next is shown: where blocks differ in size, not all are shown as much."""
        with self._database.reading() as db:
            slot = _free_slot(db, study)
        return len(self.key(study).presentations(slot))

    def _study(self, number: int) -> StudyRecord:
        return next(study for study in self.studies() if study.number == number)

    def _number(self, rater: str) -> int:
        number = rater_number(rater)
        if number is not None and self._database.exists:
            with self._database.reading() as db:
                if db.execute("SELECT 1 FROM raters WHERE number = ?", (number,)).fetchone():
                    return number
        raise UsageError(f"{self.run_folder} has no rater {rater!r} (evalkit rate raters lists them)")

    def _is_in_step(self, row: sqlite3.Row) -> bool:
        return self.key(row["study"]).design.in_step


def _insert_study(db: sqlite3.Connection, key: Key, created_at: str) -> int:
    cursor = db.execute(
        "INSERT INTO studies (kind, questions, created_at, key, commitment, source) VALUES (?, ?, ?, ?, ?, '')",
        (
            key.design.kind.value,
            canonical_json(list(key.design.questions)),
            created_at,
            key.text,
            key.commitment,
        ),
    )
    number = cursor.lastrowid or 0
    for item in key.items:
        db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", _item_row(number, item))
    return number


def _item_row(study: int, item: Item) -> tuple[object, ...]:
    """Return an item as the table of items has it."""
    second = (item.trials[1], item.contents[1]) if len(item.trials) == 2 else (None, None)
    return (study, item.code, item.trials[0], item.contents[0], *second, item.is_check)


def _free_slot(db: sqlite3.Connection, study: int) -> int:
    """Return the first slot that nobody has, so that the share of a rater who was forgotten is given out again."""
    taken = {
        row["slot"]
        for row in db.execute("SELECT slot FROM raters WHERE study = ? AND slot IS NOT NULL", (study,))
    }
    return next(slot for slot in range(len(taken) + 1) if slot not in taken)


def _hash(secret: str) -> str:
    """Return what is stored of a secret: it is random and long, so a plain hash keeps it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
