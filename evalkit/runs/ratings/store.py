"""Reading what people said, for everybody: `read_ratings`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from evalkit.errors import UsageError
from evalkit.runs.ratings.records import (
    HIGHEST,
    LOWEST,
    QUESTIONS,
    Choice,
    Origin,
    RaterRecord,
    Ratings,
    Role,
    Score,
    StudyKind,
    StudyRecord,
)
from evalkit.runs.ratings.schema import check_whole, connect_to_read, database_of, rater_id
from evalkit.runs.records import DamagedFileError

if TYPE_CHECKING:
    from pathlib import Path

_RATERS = """
SELECT raters.*, count(presentations.number) AS n_assigned, count(answers.presentation) AS n_answered
FROM raters LEFT JOIN presentations ON presentations.rater = raters.number
LEFT JOIN answers ON answers.presentation = presentations.number
GROUP BY raters.number ORDER BY raters.number
"""
_ANSWERS = """
SELECT rater, role, is_swapped, is_check, given, took_s,
       first_trial, first_content, second_trial, second_content
FROM answers JOIN presentations ON presentations.number = answers.presentation
JOIN items ON items.study = presentations.study AND items.code = presentations.item
WHERE role != 'training' ORDER BY rater, position
"""


def read_ratings(run_folder: Path) -> Ratings:
    """Read what people said of a run's videos: empty where nobody was asked, with its damage where it cannot be read."""
    path = database_of(run_folder)
    if not path.exists():
        return Ratings()
    try:
        with closing(connect_to_read(path)) as db:
            check_whole(db, path)
            return _read(db)
    except (UsageError, DamagedFileError) as error:
        return Ratings(damage=str(error))
    except (sqlite3.Error, ValueError, LookupError, TypeError, AttributeError) as error:
        return Ratings(damage=f"{path} is damaged: {error}")


def list_studies(db: sqlite3.Connection) -> list[StudyRecord]:
    """List all studies, the first one first."""
    return [to_study(row) for row in db.execute("SELECT * FROM studies ORDER BY number")]


def to_study(row: sqlite3.Row) -> StudyRecord:
    """Return a row of the table of studies as a record."""
    return StudyRecord(
        number=row["number"],
        kind=StudyKind(row["kind"]),
        questions=tuple(json.loads(row["questions"])),
        created_at=row["created_at"],
        commitment=row["commitment"],
        source=row["source"],
    )


def list_raters(db: sqlite3.Connection) -> list[RaterRecord]:
    """List all raters, those included who have not begun."""
    return [
        RaterRecord(
            id=rater_id(row["number"]),
            study=row["study"],
            origin=Origin(row["origin"]),
            language=row["language"],
            n_assigned=row["n_assigned"],
            n_answered=row["n_answered"],
        )
        for row in db.execute(_RATERS)
    ]


def _read(db: sqlite3.Connection) -> Ratings:
    db.execute("BEGIN")  # all of it as it was at one moment
    scores: list[Score] = []
    choices: list[Choice] = []
    for row in db.execute(_ANSWERS):
        if row["second_trial"] is None:
            scores += _scores(row)
        else:
            choices.append(_choice(row))
    return Ratings(
        studies=tuple(list_studies(db)),
        raters=tuple(rater for rater in list_raters(db) if rater.n_assigned),
        scores=tuple(scores),
        choices=tuple(choices),
    )


def _scores(row: sqlite3.Row) -> list[Score]:
    given = json.loads(row["given"])
    for question, score in given.items():
        if question not in QUESTIONS or not LOWEST <= score <= HIGHEST:
            raise ValueError(f"{rater_id(row['rater'])} is said to have given {score!r} for {question!r}")
    return [
        Score(
            rater=rater_id(row["rater"]),
            trial=row["first_trial"],
            content=row["first_content"],
            question=question,
            score=float(score),
            role=Role(row["role"]),
            took_s=row["took_s"],
        )
        for question, score in given.items()
    ]


def _choice(row: sqlite3.Row) -> Choice:
    sides = [(row["first_trial"], row["first_content"]), (row["second_trial"], row["second_content"])]
    broken = row["second_trial"] if row["is_check"] else None
    if row["is_swapped"]:
        sides.reverse()
    (first, first_content), (second, second_content) = sides
    return Choice(
        rater=rater_id(row["rater"]),
        first=first,
        second=second,
        contents=(first_content, second_content),
        preferred={"first": first, "second": second, "none": None}[json.loads(row["given"])],
        role=Role(row["role"]),
        took_s=row["took_s"],
        broken=broken,
    )
