"""What people said is drawn where it belongs, and its title says no more than was found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import evalkit
from evalkit.reports.rating_plots import FIELD_PX, draw_histograms, plot_question
from evalkit.runs import Run
from evalkit.runs.ratings.records import Origin, RaterRecord, Ratings, Score, StudyKind, StudyRecord
from evalkit.testing.ratings import write_ratings
from evalkit.testing.runs import write_grid
from evalkit.views.ratings import QuestionView

STUDY = StudyRecord(1, StudyKind.ACR, ("overall", "motion"), "2026-11-01T10:00:00+00:00", "ab" * 32)
BY_STEPS = {2: (2.0, 3.0, 3.0, 4.0), 4: (4.0, 5.0, 4.0, 5.0)}
"""What each of four raters gives every clip."""


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Sequence[QuestionView]:
    folder = write_grid(tmp_path_factory.mktemp("rated") / "run", sizes=("384*256",), steps=tuple(BY_STEPS))
    scores = [
        Score(
            f"r{rater + 1:02}",
            trial.id,
            trial.content,
            question,
            BY_STEPS[trial.params["sample_steps"]][rater],
        )
        for trial in Run.open(folder).trials()
        for rater in range(4)
        for question in STUDY.questions
    ]
    raters = tuple(RaterRecord(f"r{rater + 1:02}", 1, Origin.PERSON, "en", 1, 1) for rater in range(4))
    return evalkit.rate_results(write_ratings(folder, Ratings((STUDY,), raters, tuple(scores)))).questions


def test_means_stand_in_their_place_on_the_scale(questions: Sequence[QuestionView]) -> None:
    plot = plot_question(questions[0])
    assert plot is not None
    assert [row.name for row in plot.rows] == ["sample_steps 4", "sample_steps 2"]
    width_px = plot.right_px - plot.left_px
    assert [1 + 4 * (row.x - plot.left_px) / width_px for row in plot.rows] == pytest.approx(
        [4.5, 3.0], abs=2e-3
    )
    assert [text for _, text in plot.ticks] == ["1", "2", "3", "4", "5"]


def test_the_title_counts_who_reaches_what_is_asked_and_calls_none_the_best(
    questions: Sequence[QuestionView],
) -> None:
    asked, not_asked = (plot_question(question) for question in questions)
    assert asked is not None
    assert not_asked is not None
    assert asked.finding == "rating.mos: 1 of 2 configurations reaches 4"
    assert not_asked.finding == "rating.motion: 3 to 4.5 of 5"
    assert not_asked.limit is None


def test_every_score_is_in_a_bar(questions: Sequence[QuestionView]) -> None:
    better, worse = draw_histograms(questions[0])
    n = sum(int(text) for *_, text in better.bars)
    assert [int(text) for *_, text in better.bars] == [0, 0, 0, n // 2, n // 2]
    assert [int(text) for *_, text in worse.bars] == [0, n // 4, n // 2, n // 4, 0]
    assert [height_px for height_px, *_ in better.bars[3:]] == [FIELD_PX, FIELD_PX]
    assert [height_px for height_px, *_ in worse.bars[1:4]] == [FIELD_PX / 2, FIELD_PX, FIELD_PX / 2]
