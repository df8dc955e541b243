"""Ratings in a table: CSV, one line a clip or one line a score, and what webMUSHRA and pymushra write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.formatting import label
from evalkit.rating.imports.given import Given, GivenChoice, GivenScore
from evalkit.rating.imports.mapping import ClipColumns, Mapping
from evalkit.runs.ratings.records import QUESTIONS
from pipeline.options import hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalkit.delimited import Table
    from evalkit.runs.clip_names import ClipName

_RATERS = ("rater", "rater_id", "participant", "participant_id", "subject", "user", "annotator")
_CLIPS = ("clip", "trial", "video", "file", "filename", "stimulus")
EXAMPLE = "rater: COLUMN\nclip: COLUMN\nquestions:\n  overall: COLUMN"


def read_rows(table: Table, mapping: Mapping) -> Given:
    """Read the scores, or the answers to pairs, of a table.

    Parameters
    ----------
    table : Table
    mapping : Mapping
        Whole: see `complete`.

    Raises
    ------
    UsageError
        If the table lacks a column that the mapping names.
    """
    _require_columns(table, mapping)
    given = Given(problems=list(table.problems))
    read = _read_pair if mapping.preferred is not None else _read_scores
    for line, cells in table.rows:
        place = f"line {line}"
        try:
            rater = _rater(cells, mapping)
        except ValueError as error:
            given.problems.append(f"{place}: {error}")
            continue
        read(cells, mapping, place, rater, given)
    return given


def complete(table: Table, mapping: Mapping) -> Mapping:
    """Return a mapping that says where raters, videos and answers are; what it does not say is found by the columns' names.

    Raises
    ------
    UsageError
        If something is not found.
    """
    found = dict(mapping)
    if not mapping.rater_fields:
        found["rater"] = next((name for name in _RATERS if name in table.header), ())
    is_pair = mapping.preferred is not None or {"first", "second", "preferred"} <= set(table.header)
    if is_pair:
        found |= {name: found[name] or name for name in ("first", "second", "preferred")}
    else:
        found["clip"] = mapping.clip or next((name for name in _CLIPS if name in table.header), None)
        if not mapping.questions and mapping.question is None:
            found["questions"] = {name: name for name in QUESTIONS if name in table.header}
            if not found["questions"] and {"question", "score"} <= set(table.header):
                found |= {"question": "question", "score": "score"}
    lacking = [name for name in ("rater", *(() if is_pair else ("clip",))) if not found[name]]
    if not (is_pair or found["questions"] or found["question"]):
        lacking.append("questions")
    if lacking:
        raise UsageError(
            f"nothing says which columns hold {' and '.join(lacking)}; the columns are "
            f"{', '.join(map(label, table.header))}. Name them in a mapping file (--mapping), such as\n{EXAMPLE}"
        )
    return Mapping(**found)


def _require_columns(table: Table, mapping: Mapping) -> None:
    columns = [*mapping.rater_fields, *mapping.questions.values()]
    columns += [name for name in (mapping.question, mapping.score, mapping.preferred, mapping.page) if name]
    columns += [name for name in (mapping.first, mapping.second) if name]
    if isinstance(mapping.clip, ClipColumns):
        columns += mapping.clip.columns.values()
    elif mapping.clip is not None:
        columns.append(mapping.clip)
    for column in columns:
        if column not in table.header:
            raise UsageError(
                f"there is no column {column!r}{hint(column, table.header)}; the columns are "
                f"{', '.join(map(label, table.header))}"
            )


def _rater(cells: dict[str, str], mapping: Mapping) -> str:
    values = [cells[column].strip() for column in mapping.rater_fields]
    if not all(values[:1]) or not any(values):
        raise ValueError(f"{label(' and '.join(mapping.rater_fields))} is empty: it tells raters apart")
    return "\0".join(values)


def _named(cells: dict[str, str], column: str, mapping: Mapping) -> str:
    name = cells[column].strip()
    return name if mapping.page is None else f"{cells[mapping.page].strip()}/{name}"


def _read_scores(cells: dict[str, str], mapping: Mapping, place: str, rater: str, given: Given) -> None:
    clip: ClipName
    if isinstance(mapping.clip, ClipColumns):
        clip = {name: cells[column].strip() for name, column in mapping.clip.columns.items()}
    else:
        column = mapping.clip or ""
        if cells[column].strip() in mapping.ignored:
            return
        clip = _named(cells, column, mapping)
    for question, column in _asked(cells, mapping, place, given):
        text = cells[column]
        if mapping.is_unanswered(text):
            given.n_unanswered += 1
            continue
        try:
            given.scores.append(GivenScore(place, rater, clip, question, mapping.read_score(text)))
        except ValueError as error:
            given.problems.append(f"{place}: {label(column)}: {error}")


def _asked(cells: dict[str, str], mapping: Mapping, place: str, given: Given) -> Iterator[tuple[str, str]]:
    """Give each question that a line answers, and the column of the answer."""
    if mapping.question is None or mapping.score is None:
        yield from mapping.questions.items()
        return
    try:
        yield mapping.read_question(cells[mapping.question]), mapping.score
    except ValueError as error:
        given.problems.append(f"{place}: {label(mapping.question or '')}: {error}")


def _read_pair(cells: dict[str, str], mapping: Mapping, place: str, rater: str, given: Given) -> None:
    text = cells[mapping.preferred or ""]
    if mapping.is_unanswered(text):
        given.n_unanswered += 1
        return
    shown = [cells[column or ""].strip() for column in (mapping.first, mapping.second)]
    named = text.strip()
    try:
        if named in shown and shown[0] != shown[1]:
            preferred = "first" if named == shown[0] else "second"
        else:
            preferred = mapping.read_answer(text)
    except ValueError as error:
        given.problems.append(f"{place}: {label(mapping.preferred or '')}: {error}")
        return
    first, second = (_named(cells, column or "", mapping) for column in (mapping.first, mapping.second))
    given.choices.append(GivenChoice(place, rater, first, second, preferred))


# -- webMUSHRA and pymushra

_PERCENT = (0.0, 100.0)
_HIDDEN = ("reference", "anchor35", "anchor70")


def find_webmushra(header: Sequence[str]) -> Mapping | None:
    """Return how a table of webMUSHRA or pymushra is read; None where it is none.

    Notes
    -----
    webMUSHRA writes ``mushra.csv``, ``paired_comparison.csv``, ``bs1116.csv``, ``lms.csv`` and ``lss.csv``: an id of the
    test, the answers to its questions about the participant, an id of the session in newer versions, then the columns of
    the page (``service/write.php``). pymushra exports the same with other names.
    """
    own = _webmushra(list(header)) or _pymushra(set(header))
    return None if own is None else Mapping(**own)


def _webmushra(header: list[str]) -> dict[str, Any] | None:
    if header[:1] != ["session_test_id"] or "trial_id" not in header:
        return None
    who = header[1 : header.index("trial_id")]
    rater = ("session_uuid",) if "session_uuid" in who else tuple(who)
    ratings = [name for name in header if name.startswith("stimuli_rating")]
    if "rating_stimulus" in header:
        page: dict[str, Any] = {
            "clip": "rating_stimulus",
            "questions": {"overall": "rating_score"},
            "scale": _PERCENT,
            "ignored": _HIDDEN,
        }
    elif "choice_answer" in header:
        page = _against_reference("choice_reference", "choice_non_reference", "choice_answer")
    elif "rating_non_reference_score" in header:
        page = {"clip": "rating_non_reference", "questions": {"overall": "rating_non_reference_score"}}
    elif ratings:
        page = {"clip": "stimuli", "questions": dict(zip(QUESTIONS, ratings[:1], strict=False))}
    else:
        return None
    return {"rater": rater, "page": "trial_id", **page}


def _pymushra(header: set[str]) -> dict[str, Any] | None:
    if not {"wm_id", "wm_type", "questionaire_uuid"} <= header:
        return None
    page: dict[str, Any]
    if "responses_score" in header:
        page = {
            "clip": "responses_stimulus",
            "questions": {"overall": "responses_score"},
            "scale": _PERCENT,
            "ignored": _HIDDEN,
        }
    elif "responses_answer" in header:
        page = _against_reference("responses_reference", "responses_nonReference", "responses_answer")
    elif "responses_stimulusRating" in header:
        page = {"clip": "responses_stimulus", "questions": {"overall": "responses_stimulusRating"}}
    else:
        return None
    return {"rater": ("questionaire_uuid",), "page": "wm_id", **page}


def _against_reference(reference: str, other: str, answer: str) -> dict[str, Any]:
    """Return how an answer reads that is ``correct`` where the reference was preferred."""
    return {
        "first": reference,
        "second": other,
        "preferred": answer,
        "answers": {"correct": "first", "incorrect": "second", "undecided": "none"},
        "unanswered": ("", "NA", "unknown"),
    }
