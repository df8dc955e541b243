"""Answers that come back as a file: all of them or none, once, and only those of a page of this run."""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import UsageError
from evalkit.rating.answers_file import FORMAT, LARGEST, import_answers, is_answers_file
from evalkit.rating.desk import Desk, Sheet
from evalkit.rating.study import Design
from evalkit.runs import Run
from evalkit.runs.ratings import StudyKind
from evalkit.testing.runs import write_grid


def sheet_of(desk: Desk, design: Design | None = None) -> Sheet:
    return desk.issue_sheet(desk.begin_study(design or Design(questions=("overall",))).number)


def file_of(sheet: Sheet, path: Path, given: Any = None, **changes: Any) -> Path:
    """Write what a page saves when every presentation has the same answer."""
    if given is None:
        given = {"overall": 4}
    answers = [{"presentation": one.nonce, "given": given, "took_s": 2.5} for one in sheet.presentations]
    plain = {"format": FORMAT, "ticket": sheet.ticket, "language": "zh-CN", "answers": answers, **changes}
    path.write_text(json.dumps(plain), "utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.json"


@pytest.mark.parametrize(
    ("design", "given"),
    [(Design(questions=("overall",)), {"overall": 5}), (Design(StudyKind.PAIRS), "second")],
    ids=["clips", "pairs"],
)
def test_answers_come_back_and_the_same_file_again_changes_nothing(
    desk: Desk, folder: Path, file: Path, design: Design, given: Any
) -> None:
    sheet = sheet_of(desk, design)
    n = len(sheet.presentations)
    assert {code for one in sheet.presentations for code, *_ in one.clips} == sheet.files.keys()
    assert all(path.is_file() for path in sheet.files.values())
    file_of(sheet, file, given)
    assert is_answers_file(file.read_bytes())
    assert import_answers(folder, file, is_dry=True) == (sheet.rater, n, 0, 0)
    assert Run.open(folder).ratings().raters[0].n_answered == 0
    assert import_answers(folder, file) == (sheet.rater, n, 0, 0)
    assert import_answers(folder, file) == (sheet.rater, 0, n, 0)
    ratings = Run.open(folder).ratings()
    assert (ratings.raters[0].n_answered, ratings.raters[0].language) == (n, "zh-CN")
    assert len(ratings.scores) + len(ratings.choices) == n - 2  # those of the training are not read
    assert {score.score for score in ratings.scores} <= {5.0}
    assert {score.took_s for score in (*ratings.scores, *ratings.choices)} == {2.5}
    assert all(choice.preferred == choice.second for choice in ratings.choices)
    assert desk.find_strays(1) == []


def test_a_clip_of_a_sheet_is_the_copy_of_what_the_answer_is_about(
    desk: Desk, folder: Path, file: Path
) -> None:
    video_of = {
        Run.open(folder).video_of(trial.id).read_bytes(): trial.id for trial in Run.open(folder).trials()
    }  # type: ignore[union-attr]
    sheet = sheet_of(desk, Design(StudyKind.PAIRS, n_checks=0, n_training=0))
    answers = []
    wanted = []
    for one in sheet.presentations:
        first, second = (video_of[sheet.files[clip.code].read_bytes()] for clip in one.clips)
        wanted.append((first, second, min(first, second)))
        answers.append({"presentation": one.nonce, "given": "first" if first < second else "second"})
    import_answers(folder, file_of(sheet, file, answers=answers))
    choices = Run.open(folder).ratings().choices
    assert [(one.first, one.second, one.preferred) for one in choices] == wanted


def test_what_is_no_language_is_not_stored(desk: Desk, folder: Path, file: Path) -> None:
    import_answers(folder, file_of(sheet_of(desk), file, language="[red]\x1b[2J"))
    assert Run.open(folder).ratings().raters[0].language == ""


def test_part_of_the_answers_may_come_first(desk: Desk, folder: Path, file: Path) -> None:
    sheet = sheet_of(desk)
    plain = json.loads(file_of(sheet, file).read_text("utf-8"))
    n = len(sheet.presentations)
    file.write_text(json.dumps({**plain, "answers": plain["answers"][:3]}), "utf-8")
    assert import_answers(folder, file) == (sheet.rater, 3, 0, n - 3)
    file.write_text(json.dumps(plain), "utf-8")
    assert import_answers(folder, file) == (sheet.rater, n - 3, 3, 0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"overall": 6}, r"answer 1 is {'overall': 6}: that could not be answered"),
        ({"overall": "5; drop table"}, "could not be answered"),
        ({"overall": 4, "motion": 4}, "could not be answered"),
        ("first", "could not be answered"),
    ],
    ids=str,
)
def test_what_could_not_be_answered_is_refused(
    desk: Desk, folder: Path, file: Path, given: Any, words: str
) -> None:
    file_of(sheet_of(desk), file, given)
    with pytest.raises(UsageError, match=words):
        import_answers(folder, file)
    assert Run.open(folder).ratings().scores == ()


def test_one_wrong_answer_keeps_all_out(desk: Desk, folder: Path, file: Path) -> None:
    sheet = sheet_of(desk)
    plain = json.loads(file_of(sheet, file).read_text("utf-8"))
    wrong: dict[str, list[Any]] = {
        "was not shown to this rater": [{"presentation": "made up", "given": {"overall": 4}}],
        "answer 18 is 4, not an answer": [4],
        "took -1 seconds: that is no time": [{**plain["answers"][0], "took_s": -1}],
        "took nan seconds": [{**plain["answers"][0], "took_s": float("nan")}],
        "took 1000+\\.\\.\\. seconds": [{**plain["answers"][0], "took_s": 10**400}],
        "another one than an earlier one of the file": [{**plain["answers"][0], "given": {"overall": 1}}],
    }
    for words, more in wrong.items():
        file.write_text(json.dumps({**plain, "answers": [*plain["answers"], *more]}), "utf-8")
        with pytest.raises(UsageError, match=words):
            import_answers(folder, file)
    assert Run.open(folder).ratings().raters[0].n_answered == 0


def test_another_answer_than_before_is_refused(desk: Desk, folder: Path, file: Path) -> None:
    sheet = sheet_of(desk)
    import_answers(folder, file_of(sheet, file))
    with pytest.raises(UsageError, match="the first one stays"):
        import_answers(folder, file_of(sheet, file, {"overall": 1}))
    assert {score.score for score in Run.open(folder).ratings().scores} == {4.0}


def test_a_ticket_that_was_changed_or_belongs_elsewhere_is_refused(
    desk: Desk, folder: Path, file: Path, tmp_path: Path
) -> None:
    sheet, other = sheet_of(desk), sheet_of(desk)
    said, signature = sheet.ticket.rsplit(".", 1)
    forged = f"{other.ticket.rsplit('.', 1)[0]}.{signature}"
    for ticket, words in {
        forged: "changed after it had been signed",
        said: "is none|changed",
        "": "is none",
    }.items():
        with pytest.raises(UsageError, match=words):
            import_answers(folder, file_of(sheet, file, ticket=ticket))
    video = tmp_path / "video.mp4"
    elsewhere = write_grid(tmp_path / "elsewhere", sizes=("384*256",), video=video)
    with Desk.open(elsewhere) as there:
        sheet_of(there)
    with pytest.raises(UsageError, match="belongs to another run"):
        import_answers(elsewhere, file_of(sheet, file))
    desk.forget(sheet.rater)
    with pytest.raises(UsageError, match=f"{sheet.rater} is not known here any more"):
        import_answers(folder, file_of(sheet, file))


def test_a_ticket_is_not_unpacked_before_its_signature_is_known(
    desk: Desk, folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is signed may be packed: some kilobytes of a stranger's become gigabytes."""
    sheet = sheet_of(desk)
    packed = urlsafe_b64encode(zlib.compress(b'{"run": "' + bytes(32 * 2**20) + b'"}')).decode().rstrip("=")

    def unpack(*_: object) -> bytes:
        raise AssertionError("unpacked")

    monkeypatch.setattr(zlib, "decompress", unpack)
    with pytest.raises(UsageError, match="its ticket is none"):
        import_answers(folder, file_of(sheet, file, ticket=f".{packed}.signature"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no file of answers"),
        (b"\xff\xfe", "no file of answers"),
        (b"[" * 100_000, "no file of answers"),
        (b"[]", "does not say that its format"),
        (b'{"format": "other"}', "does not say that its format"),
        (b" " * (LARGEST + 1), "larger than 4 MiB"),
    ],
    ids=["empty", "binary", "deep", "a list", "other", "large"],
)
def test_what_is_no_file_of_answers_is_refused(
    desk: Desk, folder: Path, file: Path, content: bytes, words: str
) -> None:
    sheet_of(desk)
    file.write_bytes(content)
    assert not is_answers_file(content)
    with pytest.raises(UsageError, match=words):
        import_answers(folder, file)


def test_a_run_that_asked_nobody_and_a_file_that_is_not_there(folder: Path, file: Path, desk: Desk) -> None:
    file.write_text(json.dumps({"format": FORMAT}), "utf-8")
    with pytest.raises(UsageError, match="nobody has been asked yet"):
        import_answers(folder, file)
    sheet_of(desk)
    with pytest.raises(UsageError, match="No such file"):
        import_answers(folder, file.with_name("none.json"))
    with pytest.raises(UsageError, match="its ticket is none"):
        import_answers(folder, file)
