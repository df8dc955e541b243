"""Answers that were given on a page without a server, and came back as a file.

The page saves JSON::

    {"format": "evalkit answers 1",
     "ticket": "…",                      as the page had it: signed, it names study and rater
     "language": "en",
     "answers": [{"presentation": "…",   nonce of the presentation
                  "given": {"overall": 4, …},   or "first", "second", "none"
                  "took_s": 3.2}, …]}    from the end of the clip; may be missing

A file may be partial, and be followed by a later one of the same page. Nothing in it is believed before it was checked:
one wrong answer, and nothing of the file is stored.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from evalkit.errors import UsageError
from evalkit.rating.answers import answer_text, insert_answer, language_code
from evalkit.rating.database import Database
from evalkit.rating.tickets import read_ticket
from evalkit.runs import Run
from evalkit.runs.ratings.schema import rater_number

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from evalkit.rating.tickets import Ticket

FORMAT = "evalkit answers 1"
LARGEST = 4 * 2**20
"""Bytes; a thousand answers need a tenth of it."""
_LONGEST_S = 366 * 24 * 3600.0


class ImportedAnswers(NamedTuple):
    """What became of a file.

    Parameters
    ----------
    rater : str
    n_new, n_known : int
        Answers that were stored now, and that were there already.
    n_missing : int
        Presentations that the rater has not answered yet.
    """

    rater: str
    n_new: int
    n_known: int
    n_missing: int


class _Answer(NamedTuple):
    presentation: int
    text: str
    took_s: float | None
    is_known: bool


def is_answers_file(content: bytes) -> bool:
    """Say whether a file is meant as one of these, by what it holds."""
    try:
        plain = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(plain, dict) and str(plain.get("format", "")).startswith("evalkit answers")


def import_answers(
    run_folder: Path, file: Path, *, clock: Callable[[], float] = time.time, is_dry: bool = False
) -> ImportedAnswers:
    """Store the answers of a file; the same file again stores nothing twice.

    Parameters
    ----------
    run_folder, file : Path
    clock : callable
        Seconds since 1970.
    is_dry : bool
        Whether it is only checked, and nothing stored.

    Raises
    ------
    UsageError
        If it cannot be read, is of another run, or anything in it is not what a rater could have answered.
    NotStoredError
        If the disk is full.
    """
    Run.open(run_folder)
    plain = _read(file)
    with closing(Database(run_folder)) as database, database.writing() as db:
        try:
            ticket = read_ticket(db, str(plain.get("ticket", "")))
            answers = _check(db, ticket, plain.get("answers"))
        except UsageError as error:
            raise UsageError(f"{file}: {error}") from None
        number = rater_number(ticket.rater)
        new = [answer for answer in answers if not answer.is_known]
        if not is_dry:
            for answer in new:
                insert_answer(db, answer.presentation, answer.text, clock(), answer.took_s)
            language = language_code(plain.get("language"))
            db.execute("UPDATE raters SET language = ? WHERE number = ?", (language, number))
        n_missing = db.execute(
            "SELECT count(*) FROM presentations LEFT JOIN answers ON presentation = number "
            "WHERE rater = ? AND presentation IS NULL",
            (number,),
        ).fetchone()[0]
    return ImportedAnswers(
        ticket.rater, len(new), len(answers) - len(new), n_missing - (len(new) if is_dry else 0)
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise UsageError(f"{file} is larger than {LARGEST // 2**20} MiB: no answers of one rater are")
    try:
        plain = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no file of answers: {error}") from None
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise UsageError(f"{file} is no file of answers: it does not say that its format is {FORMAT!r}")
    return plain


def _check(db: sqlite3.Connection, ticket: Ticket, answers: object) -> list[_Answer]:
    rows = {
        row["nonce"]: row
        for row in db.execute(
            "SELECT p.number, p.position, p.nonce, s.kind, s.questions, a.given FROM presentations p "
            "JOIN studies s ON s.number = p.study LEFT JOIN answers a ON a.presentation = p.number "
            "WHERE p.rater = ? AND p.study = ?",
            (rater_number(ticket.rater), ticket.study),
        )
    }
    if not rows:
        raise UsageError(
            f"rater {ticket.rater} is not known here any more: forgotten, or asked after this copy was made"
        )
    if not isinstance(answers, list):
        raise UsageError("it holds no list of answers")
    checked: dict[int, _Answer] = {}
    for place, one in enumerate(answers, 1):
        answer = _check_one(rows, f"answer {place}", one)
        if checked.setdefault(answer.presentation, answer).text != answer.text:
            raise UsageError(
                f"answer {place} is another one than an earlier one of the file to the same clip"
            )
    return list(checked.values())


def _check_one(rows: dict[str, sqlite3.Row], where: str, one: object) -> _Answer:
    if not isinstance(one, dict):
        raise UsageError(f"{where} is {_short(one)}, not an answer")
    nonce = one.get("presentation")
    row = rows.get(nonce) if isinstance(nonce, str) else None
    if row is None:
        raise UsageError(f"{where} is to {_short(nonce)}, which was not shown to this rater")
    text = answer_text(row["kind"], json.loads(row["questions"]), one.get("given"))
    if text is None:
        raise UsageError(f"{where} is {_short(one.get('given'))}: that could not be answered")
    if row["given"] not in {None, text}:
        raise UsageError(
            f"{where} is another one than this rater gave before ({row['given']}): the first one stays, and nothing was stored"
        )
    return _Answer(row["number"], text, _took_s(where, one.get("took_s")), row["given"] is not None)


def _took_s(where: str, took_s: object) -> float | None:
    if took_s is None:
        return None
    is_number = isinstance(took_s, (int, float)) and not isinstance(took_s, bool)
    if not (is_number and 0 <= took_s <= _LONGEST_S):  # type: ignore[operator]
        raise UsageError(f"{where} took {_short(took_s)} seconds: that is no time")
    return float(took_s)  # type: ignore[arg-type]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
