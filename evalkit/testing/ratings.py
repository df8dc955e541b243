"""What raters are made to say, for tests: of the rows of a table, and in a run's folder."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from evalkit.analysis.catalogue import RATING_METRICS
from evalkit.runs.ratings.opinions import Rater
from evalkit.runs.ratings.records import Origin, Role
from evalkit.runs.ratings.schema import connect_to_write, database_of, rater_number

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from evalkit.analysis.table import ResultTable
    from evalkit.runs.ratings.records import RaterRecord, Ratings
    from evalkit.types import FloatArray


def with_scores(
    table: ResultTable,
    scores: FloatArray,
    *,
    metric: str = "rating.mos",
    origins: Sequence[Origin] = (),
) -> ResultTable:
    """Return a table whose clips were scored.

    Parameters
    ----------
    table : ResultTable
    scores : FloatArray, shape (n_rows, n_raters)
        Not a number where a rater was not shown a clip.
    metric : str
    origins : sequence of Origin
        Of the first raters; the others are people.
    """
    raters = [
        Rater(table.run_id, f"r{place:02}", origins[place] if place < len(origins) else Origin.PERSON)
        for place in range(scores.shape[1])
    ]
    rows = []
    for row, given in zip(table.rows, scores, strict=True):
        own = {rater: float(score) for rater, score in zip(raters, given, strict=True) if not np.isnan(score)}
        values = {**row.values, metric: float(np.mean(list(own.values())))} if own else row.values
        absent = row.absent if own else {**row.absent, metric: "not_rated"}
        scored = {**row.scores, metric: own} if own else row.scores
        rows.append(replace(row, values=values, absent=absent, scores=scored))
    known = {one.name: one for one in RATING_METRICS}
    return replace(table, rows=tuple(rows), metrics={**table.metrics, metric: known[metric]})


def write_ratings(folder: Path, ratings: Ratings) -> Path:
    """Put answers on record in a run's folder, as they will be read again, and return the folder.

    Parameters
    ----------
    folder : Path
        Of a run.
    ratings : Ratings
        Ids of raters are ``r01`` and so on. Who answers less than was assigned has not finished.
    """
    with closing(connect_to_write(database_of(folder), create=True)) as db:
        db.execute("BEGIN IMMEDIATE")
        for study in ratings.studies:
            db.execute(
                "INSERT INTO studies VALUES (?, ?, ?, ?, '', ?, ?, NULL)",
                (
                    study.number,
                    study.kind,
                    json.dumps(study.questions),
                    study.created_at,
                    study.commitment,
                    study.source,
                ),
            )
        for rater in ratings.raters:
            _insert_rater(db, rater, ratings)
        db.execute("COMMIT")
    return folder


def _insert_rater(db: sqlite3.Connection, rater: RaterRecord, ratings: Ratings) -> None:
    number = rater_number(rater.id)
    db.execute(
        "INSERT INTO raters (number, study, origin, language, slot) VALUES (?, ?, ?, ?, ?)",
        (number, rater.study, rater.origin, rater.language, number),
    )
    shown: dict[tuple[object, ...], dict[str, float]] = {}
    for score in (score for score in ratings.scores if score.rater == rater.id):
        asked: tuple[object, ...] = (score.trial, score.content, None, None, score.role)
        shown.setdefault(asked, {})[score.question] = score.score
    answers: list[tuple[tuple[object, ...], object]] = list(shown.items())
    for choice in (choice for choice in ratings.choices if choice.rater == rater.id):
        preferred = {None: "none", choice.first: "first", choice.second: "second"}[choice.preferred]
        asked = (choice.first, choice.contents[0], choice.second, choice.contents[1], choice.role)
        answers.append((asked, preferred))
    n_open = max(0, rater.n_assigned - len(answers))
    for position in range(len(answers) + n_open):
        place, given = answers[min(position, len(answers) - 1)]
        *clips, role = place
        is_check = int(role is Role.CHECK)
        code = hashlib.sha256(repr((*clips, is_check)).encode()).hexdigest()[:12]
        db.execute(
            "INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", (rater.study, code, *clips, is_check)
        )
        cursor = db.execute(
            "INSERT INTO presentations (rater, position, study, item, role, is_swapped) VALUES (?, ?, ?, ?, ?, 0)",
            (number, position, rater.study, code, role),
        )
        if position < len(answers):
            db.execute("INSERT INTO answers VALUES (?, ?, 0, 1)", (cursor.lastrowid, json.dumps(given)))
