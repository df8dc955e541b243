"""Label Studio's exports, JSON and JSON_MIN, as they are: the tags Rating, Choices, Number and Pairwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from evalkit.formatting import label
from evalkit.rating.imports.given import Given, GivenChoice, GivenScore
from evalkit.runs.ratings.records import QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from evalkit.rating.imports.mapping import Mapping

_PAIRWISE = "selected"
_KINDS = ("rating", "number", "choices")
_OWN_FIELDS = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "sentiment"}


def is_label_studio(data: Any) -> bool:
    """Say whether some JSON is an export of tasks."""
    if not isinstance(data, list) or not data or not isinstance(data[0], dict):
        return False
    return {"data", "annotations"} <= data[0].keys() or {"annotator", "annotation_id"} <= data[0].keys()


def read_tasks(tasks: list[Any], mapping: Mapping, is_clip: Callable[[str], bool]) -> Given:
    """Read the answers of an export.

    Parameters
    ----------
    tasks : list
        The JSON; of the format JSON, or of JSON_MIN.
    mapping : Mapping
        Which fields of a task's data are videos (``clip``, or ``first`` and ``second``), and which tags are which question
        (``questions``). What it does not say is found: fields whose value `is_clip`, and tags named as the questions.
    is_clip : callable
        Whether a name is that of a video of the run.

    Notes
    -----
    Pairwise says ``left`` or ``right``, by the order of its ``toName``; the export does not say which field that is. Without
    a mapping, the first by name of a task's two videos is taken for the left one.
    """
    given = Given()
    for number, task in enumerate(tasks, 1):
        place = f"task {label(str(task.get('id', number)))[:40] if isinstance(task, dict) else number}"
        if not isinstance(task, dict):
            given.problems.append(f"{place}: is no task, but {type(task).__name__}")
            continue
        data = task.get("data") if "data" in task else task
        if not isinstance(data, dict):
            given.problems.append(f"{place}: its data are no group of fields")
            continue
        clips = _clips(data, mapping, is_clip)
        for rater, answers, pairwise in _annotations(task, clips, given):
            _read(_Annotation(place, rater, answers, pairwise), clips, mapping, given)
    return given


def _clips(data: dict[str, Any], mapping: Mapping, is_clip: Callable[[str], bool]) -> list[str]:
    """Return the names of the videos that a task is about, the left one first."""
    named = (mapping.first, mapping.second) if mapping.first else (mapping.clip,)
    fields = [name for name in named if isinstance(name, str)]
    if fields:
        return [str(data[name]) for name in fields if name in data]
    texts = {name: value for name, value in data.items() if isinstance(value, str)}
    return [texts[name] for name in sorted(texts) if is_clip(texts[name])]


def _annotations(
    task: dict[str, Any], clips: Collection[str], given: Given
) -> Iterator[tuple[str, dict[str, str], tuple[str, ...]]]:
    """Give each rater of a task, what each tag was answered by, and which tags are Pairwise as far as the export says it.

    JSON_MIN puts tags and the fields of a task's data side by side: those whose value is a video of the task are no tags.
    """
    if "data" not in task:
        answers = {
            name: text
            for name, value in task.items()
            if name not in _OWN_FIELDS and value not in clips and (text := _text(value)) is not None
        }
        yield _name(task.get("annotator")), answers, ()
        return
    annotations = task.get("annotations", task.get("completions"))
    for annotation in annotations if isinstance(annotations, list) else []:
        if not isinstance(annotation, dict):
            continue
        results = annotation.get("result")
        if annotation.get("was_cancelled") or not isinstance(results, list) or not results:
            given.n_unanswered += 1
            continue
        answers = {}
        pairwise = {}
        for result in results:
            value = result.get("value") if isinstance(result, dict) else None
            text = _text(value)
            if text is not None:
                answers[str(result.get("from_name"))] = text
                if isinstance(value, dict) and _PAIRWISE in value:
                    pairwise[str(result.get("from_name"))] = text
        yield _name(annotation.get("completed_by")), answers, tuple(pairwise)


def _name(annotator: Any) -> str:
    if isinstance(annotator, dict):
        annotator = annotator.get("id", annotator.get("email"))
    return "" if annotator is None else str(annotator)


def _text(value: Any) -> str | None:
    """Return the answer in the value of a result; None where it is no score, choice or preference."""
    if isinstance(value, list) and len(value) == 1:
        return _text(value[0])
    if isinstance(value, dict):
        kinds = [name for name in (_PAIRWISE, *_KINDS) if name in value]
        return _text(value[kinds[0]]) if kinds else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return str(value)


class _Annotation(NamedTuple):
    """What one person said of one task: the answer by tag, and the tags that are known for Pairwise."""

    place: str
    rater: str
    answers: dict[str, str]
    pairwise: tuple[str, ...]


def _read(one: _Annotation, clips: list[str], mapping: Mapping, given: Given) -> None:
    if not one.rater:
        given.problems.append(f"{one.place}: does not say who annotated it; export it with user details")
    elif len(clips) == 2:
        _read_pair(one, clips, mapping, given)
    elif len(clips) == 1:
        _read_scores(one, clips[0], mapping, given)
    else:
        given.problems.append(
            f"{one.place}: {len(clips) or 'none'} of its data are names of videos of this run; `clip:` (or `first:` and "
            "`second:`) in the mapping names the field, and `clips:` what its values are"
        )


def _read_scores(one: _Annotation, clip: str, mapping: Mapping, given: Given) -> None:
    answers = one.answers
    tags = {tag: question for question, tag in mapping.questions.items()} or {
        name: name for name in QUESTIONS if name in answers
    }
    if not tags and len(answers) == 1:
        tags = {next(iter(answers)): "overall"}
        note = f"the tag {label(next(iter(answers)))!r} is taken for the question overall"
        if note not in given.notes:
            given.notes.append(note)
    if not tags:
        given.problems.append(
            f"{one.place}: its tags are {', '.join(map(label, answers)) or 'none that can be read'}; `questions:` in the "
            "mapping says which is which question"
        )
    for tag, question in tags.items():
        text = answers.get(tag, "")
        if mapping.is_unanswered(text):
            given.n_unanswered += 1
            continue
        try:
            given.scores.append(GivenScore(one.place, one.rater, clip, question, mapping.read_score(text)))
        except ValueError as error:
            given.problems.append(f"{one.place}: {label(tag)}: {error}")


def _read_pair(one: _Annotation, clips: list[str], mapping: Mapping, given: Given) -> None:
    answers = one.answers
    tags = [mapping.preferred] if mapping.preferred else [*(one.pairwise or answers)]
    if len(tags) > 1:
        given.problems.append(
            f"{one.place}: its tags are {', '.join(map(label, tags))}; `preferred:` in the mapping says which one answers "
            "the pair"
        )
        return
    tag = tags[0] if tags else ""
    text = answers.get(tag, "")
    if mapping.is_unanswered(text):
        given.n_unanswered += 1
        return
    try:
        given.choices.append(GivenChoice(one.place, one.rater, clips[0], clips[1], mapping.read_answer(text)))
    except ValueError as error:
        given.problems.append(f"{one.place}: {label(tag)}: {error}")
        return
    if mapping.first is None:
        note = "of each pair, the first by the name of its field is taken for the left one"
        if note not in given.notes:
            given.notes.append(note)
