"""Answers that were collected by another tool, as they are stored: a study of their own, raters without a name."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from evalkit.errors import UsageError
from evalkit.rating.answers import insert_answer
from evalkit.rating.database import Database, iso_time
from evalkit.runs import Run
from evalkit.runs.ratings.records import HIGHEST, LOWEST, QUESTIONS, Origin, Role, Score, StudyKind
from evalkit.runs.ratings.schema import rater_id
from pipeline.options import canonical_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from evalkit.runs.ratings.records import Choice


class ImportedStudy(NamedTuple):
    """What became of answers that were collected elsewhere.

    Parameters
    ----------
    study : int
    is_new : bool
        False where the same file was imported before: nothing was stored.
    raters : dict of str to str
        What a rater is called here, by what the file called the rater; empty where nothing was stored.
    """

    study: int
    is_new: bool
    raters: dict[str, str]


class _Shown(NamedTuple):
    """One thing that one rater was shown, and the answer."""

    rater: str
    trials: tuple[str, ...]
    contents: tuple[str | None, ...]
    is_swapped: bool
    is_check: bool
    role: Role
    given: dict[str, float] | str
    took_s: float | None


def store_imported(
    run_folder: Path,
    *,
    source: str,
    digest: str,
    answers: Sequence[Score] | Sequence[Choice],
    clock: Callable[[], float] = time.time,
) -> ImportedStudy:
    """Store scores, or choices, as a study of their own; all of them or none.

    Parameters
    ----------
    run_folder : Path
    source : str
        What they came from, in words: the tool and the file's name.
    digest : str
        SHA-256 of the file: the same file is stored once.
    answers : sequence of Score, or of Choice
        Their raters are called as the file calls them; of that nothing is stored.
    clock : callable
        Seconds since 1970.

    Raises
    ------
    UsageError
        If there is none, or one is not of this run or not from 1 to 5.
    NotStoredError
        If the disk is full.
    """
    run = Run.open(run_folder)
    known = {trial.id for trial in run.trials()}
    scores = [one for one in answers if isinstance(one, Score)]
    shown = _shown_of_scores(scores) if scores else [_shown_of_choice(one) for one in answers]  # type: ignore[arg-type]
    if not shown:
        raise UsageError(f"{source} holds no answers")
    for one in shown:
        if unknown := set(one.trials) - known:
            raise UsageError(f"{source}: {run_folder} has no trial {min(unknown)!r}")
    kind = StudyKind.ACR if scores else StudyKind.PAIRS
    asked = [question for question in QUESTIONS if any(score.question == question for score in scores)]
    with closing(Database(run_folder)) as database:
        database.create()
        with database.writing() as db:
            row = db.execute(
                "SELECT number FROM studies WHERE digest = ? AND kind = ?", (digest, kind.value)
            ).fetchone()
            if row is not None:
                return ImportedStudy(row["number"], False, {})
            number = db.execute(
                "INSERT INTO studies (kind, questions, created_at, key, commitment, source, digest) "
                "VALUES (?, ?, ?, '', '', ?, ?)",
                (kind.value, canonical_json(asked or ["overall"]), iso_time(clock()), source, digest),
            ).lastrowid
            raters = _insert(db, number or 0, shown, clock())
    return ImportedStudy(number or 0, True, raters)


def _shown_of_scores(scores: Iterable[Score]) -> list[_Shown]:
    """Put the scores of a rater for a clip together; a question that was answered twice was shown twice."""
    together: dict[tuple[str, str, str | None, Role], list[_Shown]] = {}
    for score in scores:
        if score.question not in QUESTIONS or not LOWEST <= score.score <= HIGHEST:
            raise UsageError(
                f"rater {score.rater!r} gave {score.score!r} for {score.question!r} to {score.trial}: "
                f"scores are from {LOWEST} to {HIGHEST}, for {', '.join(QUESTIONS)}"
            )
        group = together.setdefault((score.rater, score.trial, score.content, score.role), [])
        free = next((one for one in group if score.question not in one.given), None)
        if free is None:
            free = _Shown(
                score.rater,
                (score.trial,),
                (score.content,),
                False,
                score.role is Role.CHECK,
                score.role,
                {},
                score.took_s,
            )
            group.append(free)
        if isinstance(free.given, dict):
            free.given[score.question] = score.score
    return [one for group in together.values() for one in group]


def _shown_of_choice(choice: Choice) -> _Shown:
    sides = list(zip((choice.first, choice.second), choice.contents, strict=True))
    given = "none" if choice.preferred is None else "first" if choice.preferred == choice.first else "second"
    is_swapped = choice.first > choice.second
    if choice.broken is not None:  # the broken one is the last of its item
        is_swapped = choice.first == choice.broken
    if is_swapped:
        sides.reverse()
    return _Shown(
        choice.rater,
        tuple(trial for trial, _ in sides),
        tuple(content for _, content in sides),
        is_swapped,
        choice.broken is not None,
        choice.role,
        given,
        choice.took_s,
    )


def _insert(db: sqlite3.Connection, study: int, shown: Sequence[_Shown], now: float) -> dict[str, str]:
    items: dict[tuple[object, ...], str] = {}
    raters: dict[str, int] = {}
    positions: dict[str, int] = {}
    for one in shown:
        what = (one.trials, one.contents, one.is_check)
        if what not in items:
            items[what] = f"i{len(items) + 1}"
            second = (one.trials[1], one.contents[1]) if len(one.trials) == 2 else (None, None)
            db.execute(
                "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)",
                (study, items[what], one.trials[0], one.contents[0], *second, one.is_check),
            )
        if one.rater not in raters:
            raters[one.rater] = (
                db.execute(
                    "INSERT INTO raters (study, origin) VALUES (?, ?)", (study, Origin.IMPORTED.value)
                ).lastrowid
                or 0
            )
        position = positions[one.rater] = positions.get(one.rater, -1) + 1
        presentation = db.execute(
            "INSERT INTO presentations (rater, position, study, item, role, is_swapped) VALUES (?, ?, ?, ?, ?, ?)",
            (raters[one.rater], position, study, items[what], one.role.value, one.is_swapped),
        ).lastrowid
        insert_answer(db, presentation or 0, json.dumps(one.given), now, one.took_s)
    return {name: rater_id(number) for name, number in raters.items()}
