"""What another tool collected, as everybody reads it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from evalkit.errors import UsageError
from evalkit.rating.imported import store_imported
from evalkit.runs import Run
from evalkit.runs.ratings import Choice, Origin, Role, Score

DIGEST = "ab" * 32


@pytest.fixture
def trials(folder: Path) -> list[tuple[str, str | None]]:
    return [(trial.id, trial.content) for trial in Run.open(folder).trials()]


def scores_of(trials: list[tuple[str, str | None]]) -> list[Score]:
    return [
        Score(rater, trial, content, question, score + k / 4, took_s=1.5)
        for rater, score in (("Anna Schmidt", 3.0), ("bo", 4.0))
        for k, (trial, content) in enumerate(trials[:3])
        for question in ("overall", "motion")
    ]


def test_scores_are_read_as_they_were_stored_and_no_name_is(
    folder: Path, trials: list[tuple[str, str | None]]
) -> None:
    scores = scores_of(trials)
    stored = store_imported(folder, source="a CSV", digest=DIGEST, answers=scores)
    assert stored == (1, True, {"Anna Schmidt": "r01", "bo": "r02"})
    ratings = Run.open(folder).ratings()
    assert set(ratings.scores) == {replace(score, rater=stored.raters[score.rater]) for score in scores}
    assert len(ratings.scores) == len(scores)
    assert [(one.id, one.origin, one.n_answered) for one in ratings.raters] == [
        ("r01", Origin.IMPORTED, 3),
        ("r02", Origin.IMPORTED, 3),
    ]
    assert ratings.studies[0].questions == ("overall", "motion")
    assert ratings.studies[0].source == "a CSV"
    for path in (folder / "ratings").iterdir():
        assert b"Anna" not in path.read_bytes()


def test_the_same_file_again_stores_nothing(folder: Path, trials: list[tuple[str, str | None]]) -> None:
    scores = scores_of(trials)
    store_imported(folder, source="a CSV", digest=DIGEST, answers=scores)
    assert store_imported(folder, source="a copy", digest=DIGEST, answers=scores) == (1, False, {})
    assert len(Run.open(folder).ratings().scores) == len(scores)


def test_a_question_that_was_answered_twice_was_shown_twice(
    folder: Path, trials: list[tuple[str, str | None]]
) -> None:
    trial, content = trials[0]
    scores = [Score("a", trial, content, "overall", score) for score in (2.0, 3.0)]
    store_imported(folder, source="a CSV", digest=DIGEST, answers=scores)
    ratings = Run.open(folder).ratings()
    assert [score.score for score in ratings.scores] == [2.0, 3.0]
    assert ratings.raters[0].n_answered == 2


def test_choices_keep_their_order_and_their_checks(
    folder: Path, trials: list[tuple[str, str | None]]
) -> None:
    (one, first), (two, second) = trials[:2]
    choices = [
        Choice("a", one, two, (first, second), one),
        Choice("a", two, one, (second, first), one),
        Choice("a", two, one, (second, None), None),
        Choice("b", one, two, (first, second), two, Role.CHECK, broken=one),
        Choice("b", two, one, (second, first), two, Role.CHECK, 0.5, broken=one),
        Choice("b", one, two, (first, second), two, Role.REPEAT),
    ]
    stored = store_imported(folder, source="a CSV", digest=DIGEST, answers=choices)
    wanted = [replace(choice, rater=stored.raters[choice.rater]) for choice in choices]
    assert list(Run.open(folder).ratings().choices) == wanted


def test_what_is_wrong_keeps_all_out(folder: Path, trials: list[tuple[str, str | None]]) -> None:
    trial, content = trials[0]
    good = Score("a", trial, content, "overall", 3.0)
    for wrong, words in (
        (replace(good, trial="none"), "has no trial 'none'"),
        (replace(good, score=6.0), "scores are from 1 to 5"),
        (replace(good, score=float("nan")), "scores are from 1 to 5"),
        (replace(good, question="beauty"), "'beauty'"),
    ):
        with pytest.raises(UsageError, match=words):
            store_imported(folder, source="a CSV", digest=DIGEST, answers=[good, wrong])
    with pytest.raises(UsageError, match="no answers"):
        store_imported(folder, source="a CSV", digest=DIGEST, answers=[])
    assert Run.open(folder).ratings().studies == ()


def test_all_or_none(
    folder: Path, trials: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = []

    def fail(*_: object) -> None:
        answered.append(1)
        if len(answered) == 4:
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("evalkit.rating.imported.insert_answer", fail)
    from evalkit.rating.database import NotStoredError

    with pytest.raises(NotStoredError, match="disk is full"):
        store_imported(folder, source="a CSV", digest=DIGEST, answers=scores_of(trials))
    assert Run.open(folder).ratings().studies == ()
