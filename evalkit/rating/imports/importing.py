"""A file of ratings, from its bytes to a study of the run."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalkit.delimited import decode, read_bytes, read_table
from evalkit.errors import UsageError
from evalkit.formatting import count, label
from evalkit.rating.answers_file import import_answers, is_answers_file
from evalkit.rating.database import Database
from evalkit.rating.imported import store_imported
from evalkit.rating.imports.label_studio import is_label_studio, read_tasks
from evalkit.rating.imports.mapping import Mapping
from evalkit.rating.imports.tables import complete, find_webmushra, read_rows
from evalkit.runs import Run
from evalkit.runs.clip_names import ClipNames
from evalkit.runs.ratings.records import Choice, Role, Score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from evalkit.rating.imports.given import Given
    from evalkit.runs.clip_names import Shown
    from evalkit.runs.ratings.records import Ratings

ANSWERS = "answers"
FORMATS = (ANSWERS, "csv", "label-studio", "webmushra")
_TOOLS = {"csv": "a table", "label-studio": "Label Studio", "webmushra": "webMUSHRA"}
_TELLING, _SAME_FOR_SURE = 8, 20
"""Answers of a rater, and of all raters together, that are not the same by chance."""
N_SHOWN = 20
"""Rows that cannot be used, as far as they are named one by one."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file.

    Parameters
    ----------
    format : str
        Of `FORMATS`.
    studies : tuple of int
        Numbers of the studies that it became: one of scores, one of pairs. Empty where nothing was stored.
    n_raters, n_scores, n_choices, n_clips : int
        What it holds; scores of one video for several questions count each.
    n_unanswered, n_skipped : int
        Places without an answer; rows that could not be used and were left out.
    is_new : bool
        False where this file was imported before: nothing is doubled.
    notes : tuple of str
        One line for people each.
    """

    format: str
    studies: tuple[int, ...]
    n_raters: int
    n_scores: int
    n_choices: int
    n_clips: int
    n_unanswered: int
    n_skipped: int
    is_new: bool = True
    notes: tuple[str, ...] = ()


def import_ratings(
    run_folder: Path,
    file: Path,
    *,
    mapping: Mapping | None = None,
    format: str = "auto",  # noqa: A002 - the flag's name
    skip_bad_rows: bool = False,
    dry_run: bool = False,
    clock: Callable[[], float] = time.time,
) -> Imported:
    """Store the ratings of a file as a study of a run.

    Parameters
    ----------
    run_folder : Path
    file : Path
        It is read alone: nothing that it names is opened.
    mapping : Mapping, optional
        What its fields, names and scales are.
    format : str
        Of `FORMATS`, or ``auto``: found by the content.
    skip_bad_rows : bool
        Leave out what cannot be used; else nothing is stored where there is any of it.
    dry_run : bool
        Read and check alone.
    clock : callable
        Seconds since 1970.

    Raises
    ------
    UsageError
        If the file cannot be read as ratings of this run: with its name, and each place that is wrong.
    """
    run = Run.open(run_folder)
    content = read_bytes(file, "is it a file of ratings? Cut it into several")
    if format == ANSWERS or (format == "auto" and is_answers_file(content)):
        return _from_own_page(run_folder, file, clock, dry_run=dry_run)
    mapping = mapping or Mapping()
    names = ClipNames(run.trials(), _read_copies(run_folder), mapping.clips)
    try:
        found, given = _parse(content, format, mapping, names)
    except UsageError as error:
        raise UsageError(f"{label(str(file))}: {error}") from None
    scores, choices = _scores(given, names), _choices(given, names)
    if given.problems and not skip_bad_rows:
        raise UsageError(_refusal(file, given.problems))
    if not scores and not choices:
        raise UsageError(f"{label(str(file))}: holds no rating of a video of {run_folder}")
    digest = hashlib.sha256(content).hexdigest()
    source = f"{_TOOLS[found]} ({label(file.name)})"
    told: list[list[Score] | list[Choice]] = [answers for answers in (scores, choices) if answers]
    if not _is_known(run_folder, digest):
        try:
            given.notes += _look_for_others(run.ratings(), [*scores, *choices], run_folder)
        except UsageError as error:
            raise UsageError(f"{label(str(file))}: {error}") from None
    stored = [
        store_imported(run_folder, source=source, digest=digest, answers=answers, clock=clock)
        for answers in ([] if dry_run else told)
    ]
    return Imported(
        format=found,
        studies=tuple(one.study for one in stored),
        n_raters=len({answer.rater for answers in told for answer in answers}),
        n_scores=len(scores),
        n_choices=len(choices),
        n_clips=len(
            {score.trial for score in scores} | {id_ for one in choices for id_ in (one.first, one.second)}
        ),
        n_unanswered=given.n_unanswered,
        n_skipped=len(given.problems),
        is_new=all(one.is_new for one in stored),
        notes=tuple(given.notes),
    )


def _from_own_page(run_folder: Path, file: Path, clock: Callable[[], float], *, dry_run: bool) -> Imported:
    """Store what a page without a server saved."""
    answers = import_answers(run_folder, file, clock=clock, is_dry=dry_run)
    missing = f"; {answers.n_missing} still to come" if answers.n_missing else ""
    note = f"{answers.rater}: {count(answers.n_new, 'new answer')}, {answers.n_known} known before{missing}"
    return Imported(ANSWERS, (), 1, 0, 0, 0, answers.n_missing, 0, is_new=answers.n_new > 0, notes=(note,))


def _read_copies(run_folder: Path) -> dict[str, tuple[str, bool]]:
    """Return the blind copies of a run: file name, to the content of the video and whether it is broken on purpose."""
    with closing(Database(run_folder)) as database:
        if not database.exists:
            return {}
        with database.reading() as db:
            rows = db.execute("SELECT file, content, is_broken FROM clips").fetchall()
    return {row["file"]: (row["content"], bool(row["is_broken"])) for row in rows}


def _is_known(run_folder: Path, digest: str) -> bool:
    """Say whether a file was imported before."""
    with closing(Database(run_folder)) as database:
        if not database.exists:
            return False
        with database.reading() as db:
            return db.execute("SELECT 1 FROM studies WHERE digest = ?", (digest,)).fetchone() is not None


def _look_for_others(ratings: Ratings, answers: Sequence[Score | Choice], run_folder: Path) -> Iterator[str]:
    """Say what else was imported, as nothing kept of a person tells who is in both.

    Raises
    ------
    UsageError
        If the raters of an earlier import have the very same answers here: they would count twice.
    """
    earlier = {study.number: study for study in ratings.studies if study.source}
    study_of = {rater.id: rater.study for rater in ratings.raters if rater.study in earlier}
    now = _by_rater(answers).values()
    stored: list[Score | Choice] = [*ratings.scores, *ratings.choices]
    before = _by_rater([one for one in stored if one.rater in study_of])
    for number, study in earlier.items():
        own = {name: said for name, said in before.items() if study_of[name] == number}
        told = {name: said for name, said in own.items() if said.total() >= _TELLING and _differs(said)}
        again = {name: said for name, said in told.items() if any(said <= other for other in now)}
        if 2 * len(again) >= len(told) and sum(said.total() for said in again.values()) >= _SAME_FOR_SURE:
            raise UsageError(
                f"holds all answers of {count(len(again), 'rater')} of study {number}, imported from {study.source}: they would "
                f"count twice. evalkit rate forget {run_folder} {' '.join(own)} takes that import back; then import this"
            )
        yield (
            f"study {number} was imported before, from {study.source}: whoever is in both counts as two raters"
        )


def _by_rater(answers: Iterable[Score | Choice]) -> dict[str, Counter[tuple[object, ...]]]:
    """Return what each rater answered, how often."""
    found: dict[str, Counter[tuple[object, ...]]] = {}
    for one in answers:
        said: tuple[object, ...] = (
            (one.trial, one.question, one.score)
            if isinstance(one, Score)
            else (*sorted((one.first, one.second)), one.preferred)
        )
        found.setdefault(one.rater, Counter())[said] += 1
    return found


def _differs(said: Counter[tuple[object, ...]]) -> bool:
    """Say whether answers are not all alike: two people who always give a 4 are two people."""
    return len({answer for *_, answer in said}) > 1


def _parse(content: bytes, format_: str, mapping: Mapping, names: ClipNames) -> tuple[str, Given]:
    """Return the format of a file, and what it says."""
    text = decode(content)
    is_json = text.lstrip()[:1] in {"[", "{"}
    if format_ == "label-studio" or (format_ == "auto" and is_json):
        data = _json(text)
        if not is_label_studio(data):
            raise UsageError(
                "is JSON, and no export of tasks of Label Studio (its formats JSON and JSON_MIN)"
            )
        return "label-studio", read_tasks(data, mapping, names.knows)
    table = read_table(text, mapping.delimiter)
    webmushra = find_webmushra(table.header)
    if webmushra is None and format_ == "webmushra":
        raise UsageError(
            "is no table of webMUSHRA (mushra.csv, paired_comparison.csv, bs1116.csv, lms.csv, lss.csv) or pymushra"
        )
    if webmushra is not None and format_ != "csv":
        said = {name: getattr(mapping, name) for name in mapping.model_fields_set}
        mapping = Mapping(**{**dict(webmushra), **said})
    return (
        "csv" if webmushra is None or format_ == "csv" else "webmushra",
        read_rows(table, complete(table, mapping)),
    )


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"line {error.lineno} is not valid JSON: {error.msg}") from None
    except ValueError as error:  # a number of thousands of digits
        raise UsageError(f"is no JSON that can be read: {error}") from None
    except RecursionError:
        raise UsageError("is nested too deeply to be ratings") from None


def _scores(given: Given, names: ClipNames) -> list[Score]:
    """Return the scores; what a rater says again of the same video is a repeat, which serves screening alone."""
    scores = []
    seen: Counter[tuple[str, Shown, str]] = Counter()
    for score in given.scores:
        try:
            shown = names.find(score.clip)
        except ValueError as error:
            given.problems.append(f"{score.place}: {error}")
            continue
        what = score.rater, shown, score.question
        role = _role(is_check=shown.is_broken, is_again=seen[what] > 0)
        seen[what] += 1
        scores.append(Score(score.rater, shown.trial, shown.content, score.question, score.score, role))
    return scores


def _choices(given: Given, names: ClipNames) -> list[Choice]:
    choices = []
    seen: Counter[tuple[str, frozenset[Shown]]] = Counter()
    for choice in given.choices:
        try:
            pair = names.find_pair(choice.first, choice.second)
        except ValueError as error:
            given.problems.append(f"{choice.place}: {error}")
            continue
        what = choice.rater, frozenset(pair)
        broken = next((shown.trial for shown in pair if shown.is_broken), None)
        choices.append(
            Choice(
                rater=choice.rater,
                first=pair[0].trial,
                second=pair[1].trial,
                contents=(pair[0].content, pair[1].content),
                preferred={"first": pair[0].trial, "second": pair[1].trial}.get(choice.preferred),
                role=_role(is_check=broken is not None, is_again=seen[what] > 0),
                broken=broken,
            )
        )
        seen[what] += 1
    return choices


def _role(*, is_check: bool, is_again: bool) -> Role:
    if is_check:
        return Role.CHECK
    return Role.REPEAT if is_again else Role.RATING


def _refusal(file: Path, problems: list[str]) -> str:
    lines = [f"{label(str(file))}: {problem}" for problem in dict.fromkeys(problems)]
    more = [f"… and {len(lines) - N_SHOWN} more"] if len(lines) > N_SHOWN else []
    end = f"nothing was imported: {count(len(problems), 'place')} cannot be used (--skip-bad-rows leaves them out)"
    return "\n".join([*lines[:N_SHOWN], *more, end])
