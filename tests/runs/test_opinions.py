"""Which answers count: those of the video as it is now, by raters who are believed, and none twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evalkit.runs import Run, Trial
from evalkit.runs.ratings.opinions import Opinions, Panel, Rater, count_answers
from evalkit.runs.ratings.records import (
    Choice,
    Origin,
    RaterRecord,
    Ratings,
    Role,
    Score,
    StudyKind,
    StudyRecord,
)
from evalkit.testing.ratings import write_ratings
from evalkit.testing.runs import write_grid

UNSEEN = "scored too few clips with others to be compared: little but hidden checks and repeats tells whether they looked."
STUDY = StudyRecord(1, StudyKind.ACR, ("overall",), "2026-11-01T10:00:00+00:00", "ab" * 32)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    folder = write_grid(
        tmp_path_factory.mktemp("runs") / "run",
        sizes=("384*256",),
        steps=(2, 4),
        portraits=("anna",),
        speech=tuple(f"text {number}" for number in range(12)),
    )
    return Run.open(folder).trials()


def rater(number: int, origin: Origin = Origin.PERSON, *, n_answered: int = 1) -> RaterRecord:
    return RaterRecord(f"r{number:02}", 1, origin, "en", n_assigned=1, n_answered=n_answered)


def score(number: int, trial: Trial, value: float, **more: object) -> Score:
    fields = {"content": trial.content, "question": "overall", **more}
    return Score(f"r{number:02}", trial.id, score=value, **fields)  # type: ignore[arg-type]


def counted(
    trials: list[Trial], raters: list[RaterRecord], scores: list[Score], *choices: Choice
) -> Opinions:
    return count_answers(Ratings((STUDY,), tuple(raters), tuple(scores), choices), trials, "run")


def test_the_value_of_a_clip_is_the_mean_of_what_its_raters_gave_it(trials: list[Trial]) -> None:
    first, second = trials[:2]
    found = counted(
        trials,
        [rater(1), rater(2)],
        [score(1, first, 4.0), score(2, first, 5.0), score(2, second, 2.0), score(2, second, 3.0)],
    )
    assert found.score("rating.mos", first.id) == 4.5
    assert found.score("rating.mos", second.id) == 2.5  # one rater, asked twice, is one rater
    assert (found.panel_of(first.id).n, found.panel_of(second.id).n) == (2, 1)
    assert found.score("rating.motion", first.id) is None


def test_answers_about_another_video_do_not_count_and_are_said(trials: list[Trial]) -> None:
    one = trials[0]
    found = counted(
        trials,
        [rater(1), rater(2)],
        [
            score(1, one, 5.0),
            score(2, one, 1.0, content="0" * 64),
            score(2, replace(one, id="f" * 16), 1.0),
            score(2, one, 4.0, content=None),
        ],
    )
    assert (
        found.score("rating.mos", one.id) == 4.5
    )  # an answer that does not know its video is taken at its word
    assert found.notes == (
        f"Ratings: 2 of 2 raters {UNSEEN}",
        "Ratings: 1 answer is of videos that were made again since: it does not count.",
        "Ratings: 1 answer is of videos that the run does not have any more: it does not count.",
    )


@pytest.mark.parametrize("role", [Role.CHECK, Role.REPEAT])
def test_checks_and_repeats_are_no_opinion(trials: list[Trial], role: Role) -> None:
    one = trials[0]
    found = counted(trials, [rater(1)], [score(1, one, 4.0), score(1, one, 1.0, role=role)])
    assert found.score("rating.mos", one.id) == 4.0


def test_a_rater_who_praises_the_broken_clip_does_not_count(trials: list[Trial]) -> None:
    scores = [
        score(number, one, 3.0 + (number + place) % 2)
        for number in (1, 2)
        for place, one in enumerate(trials)
    ]
    scores += [score(number, trials[0], value, role=Role.CHECK) for number, value in ((1, 1.0), (2, 5.0))]
    found = counted(trials, [rater(1), rater(2)], scores)
    assert set(found.raters) == {"r01"}
    assert found.screened["r02"][0].startswith("gave the broken clip 5 of 5")
    assert found.notes == (
        "Ratings: 1 rater screened out: r02; evalkit rate results says why.",
        f"Ratings: 2 of 2 raters {UNSEEN}",
    )


def test_a_failed_check_is_the_raters_whatever_became_of_the_video(trials: list[Trial]) -> None:
    scores = [
        score(number, one, 3.0 + (number + place) % 2)
        for number in (1, 2)
        for place, one in enumerate(trials)
    ]
    scores += [
        score(2, trials[0], 5.0, role=Role.CHECK, content="0" * 64),
        score(1, replace(trials[0], id="f" * 16), 5.0, role=Role.CHECK),
    ]
    found = counted(trials, [rater(1), rater(2)], scores)
    assert set(found.screened) == {"r01", "r02"}


@pytest.mark.parametrize("content", [None, "0" * 64])
def test_who_prefers_the_broken_clip_does_not_count_also_where_it_is_a_copy(
    trials: list[Trial], content: str | None
) -> None:
    one, other = trials[:2]
    twin = replace(trials[2], content=one.content, params=one.params)
    check = Choice(
        "r01",
        other.id,
        twin.id,
        (other.content, content or twin.content),
        twin.id,
        Role.CHECK,
        broken=twin.id,
    )
    found = counted([one, other, twin], [rater(1)], [], check)
    assert found.screened == {"r01": ("did not prefer the intact clip to the broken one in 1 of 1 check",)}


def test_a_copy_stands_for_the_clip_that_it_is_a_copy_of(trials: list[Trial]) -> None:
    one, *others = trials
    twin = replace(others[0], content=one.content, params=one.params)
    found = counted([one, twin], [rater(1), rater(2)], [score(1, one, 2.0), score(2, twin, 4.0)])
    assert found.score("rating.mos", one.id) == 3.0
    assert found.score("rating.mos", twin.id) is None


def test_choices_count_once_and_between_videos_that_are_there(trials: list[Trial]) -> None:
    one, other = trials[0], trials[1]
    pair = Choice("r01", one.id, other.id, (one.content, other.content), one.id)
    outdated = replace(pair, rater="r02", contents=("0" * 64, other.content))
    repeated = replace(pair, role=Role.REPEAT, preferred=None)
    assert counted(trials, [rater(1), rater(2)], [], pair, outdated, repeated).choices == (pair,)


def test_who_is_simulated_imported_or_not_finished_is_said_in_one_place(trials: list[Trial]) -> None:
    origins = [Origin.SIMULATED, Origin.SIMULATED, Origin.IMPORTED, Origin.PERSON]
    raters = [replace(rater(number + 1, origin), n_assigned=2) for number, origin in enumerate(origins)]
    found = counted(trials, raters, [score(number + 1, trials[0], 4.0) for number in range(4)])
    assert found.panel.text == "4 raters (2 simulated, 1 imported)"
    assert found.notes == (
        "Ratings: 2 of 4 raters are simulated: programs, not people.",
        "Ratings: the answers of 1 of 4 raters were imported: whether they were blind is not known.",
        f"Ratings: 4 of 4 raters {UNSEEN}",
        "Ratings: 4 of 4 raters have not finished: to stop asking when a gate passes makes it pass too often.",
    )


def test_a_rater_of_another_run_or_of_a_copys_own_study_is_somebody_else(trials: list[Trial]) -> None:
    assert Panel.of([Rater("a", "r01", Origin.PERSON), Rater("b", "r01", Origin.PERSON)]).n == 2
    one = Ratings((STUDY,), (rater(1),), (score(1, trials[0], 4.0),))
    copied = replace(one, studies=(replace(STUDY, commitment="cd" * 32),))
    found = [count_answers(ratings, trials, "run") for ratings in (one, one, copied)]
    assert Panel.of(who for opinions in found for who in opinions.raters.values()).n == 2


def test_ratings_that_cannot_be_read_leave_a_run_that_can(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,))
    (folder / "ratings").mkdir()
    (folder / "ratings" / "ratings.sqlite").write_bytes(b"no database")
    (note,) = Run.open(folder).opinions().notes
    assert note.startswith("Ratings: none can be read: ")


def test_the_table_of_a_run_says_what_people_gave_and_who_they_are(tmp_path: Path) -> None:
    folder = write_grid(
        tmp_path / "run", sizes=("384*256",), steps=(2, 4), portraits=("anna",), speech=("hello",)
    )
    trials = Run.open(folder).trials()
    raters = [rater(1, Origin.SIMULATED), rater(2, Origin.SIMULATED)]
    write_ratings(
        folder, Ratings((STUDY,), tuple(raters), (score(1, trials[0], 4.0), score(2, trials[0], 5.0)))
    )
    frame = Run.open(folder).frame()
    assert frame["rating.mos"].tolist()[0] == 4.5
    assert frame["rating.mos"].isna().tolist() == [False, True]
    assert frame["rating.raters"].iloc[0] == "2 simulated raters"
    assert frame["rating.raters"].isna().tolist() == [False, True]


def test_the_hash_is_of_the_answers_that_count_in_any_order(trials: list[Trial]) -> None:
    one, other = trials[:2]
    raters = [rater(1), rater(2)]
    scores = [score(1, one, 4.0), score(2, one, 5.0)]
    pair = Choice("r02", one.id, other.id, (one.content, other.content), None)
    known = counted(trials, raters, scores, pair).sha256
    assert known is not None
    assert (
        counted(trials, raters, [*reversed(scores), score(1, other, 1.0, content="0" * 64)], pair).sha256
        == known
    )
    assert counted(trials, raters, [scores[0], score(2, one, 4.0)], pair).sha256 != known
    assert counted(trials, raters, scores, replace(pair, preferred=one.id)).sha256 != known
    assert counted(trials, raters, scores).sha256 != known
    assert counted(trials, [], []).sha256 is None


def test_of_many_who_were_screened_out_ten_are_named(trials: list[Trial]) -> None:
    """Twelve praise the broken clip."""
    scores = [
        score(number, one, 3.0 + (number + place) % 2)
        for number in range(1, 14)
        for place, one in enumerate(trials)
    ]
    scores += [
        score(number, trials[0], 1.0 if number == 13 else 5.0, role=Role.CHECK) for number in range(1, 14)
    ]
    found = counted(trials, [rater(number, Origin.SIMULATED) for number in range(1, 14)], scores)
    named = ", ".join(f"r{number:02}" for number in range(1, 11))
    assert found.notes[:2] == (
        "Ratings: the 1 rater is simulated: a program, not a person.",
        f"Ratings: 12 raters screened out: {named} and 2 more; evalkit rate results says why.",
    )
