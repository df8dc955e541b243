"""What a study needs: by hand, and against studies that were conducted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from evalkit.stats.opinion_planning import (
    ASSUMED,
    Spread,
    answers_needed,
    clips_needed,
    half_width,
    raters_needed,
    spread_of,
)
from tests.rating_simulation.figures import planned_and_found
from tests.rating_simulation.worlds import Design


def test_the_spread_that_was_planted_is_found():
    rng = np.random.default_rng(0)
    raters, clips = np.indices((200, 120))
    scores = (
        rng.normal(0.0, 0.5, (200, 1)) + np.repeat([2.0, 4.0], 60) + rng.normal(0.0, 0.4, 120)
    ) + 0.8 * rng.standard_normal((200, 120))
    seen = rng.random(scores.shape) < 0.3
    found = spread_of(raters[seen], clips[seen], scores[seen], np.repeat([0, 1], 60))
    assert found.raters == pytest.approx(0.5, rel=0.15)
    assert found.clips == pytest.approx(0.4, rel=0.15)
    assert found.rest == pytest.approx(0.8, rel=0.02)
    mixed = spread_of(raters[seen], clips[seen], scores[seen])
    assert mixed.clips > 1.0  # with the difference of the configurations


@pytest.mark.parametrize(
    ("raters", "clips"), [([0, 0], [0, 1]), ([0, 1], [0, 0]), ([0, 0, 1, 1], [0, 1, 2, 3]), ([], [])]
)
def test_too_little_says_nothing_of_the_spread(raters, clips):
    assert spread_of(np.array(raters, int), np.array(clips, int), np.full(len(raters), 3.0)) is None


@pytest.mark.parametrize("design", [Design(20), Design(40), Design(20, n_inputs=12)])
def test_the_planned_width_is_the_width_that_is_found(design):
    planned, found = planned_and_found(design, 60, seed=1)
    assert planned == pytest.approx(found, rel=0.12)


def test_with_raters_alone_it_is_students_interval():
    """0.5² / 16 is 0.0156, and its root 0.125."""
    alone = half_width(Spread(0.5, 0.0, 0.0), n_raters=16, n_clips=4)
    assert alone == pytest.approx(student.ppf(0.975, 15) * 0.125)


def test_the_fewest_raters_are_the_fewest():
    n = raters_needed(ASSUMED, 0.5, n_clips=8)
    assert half_width(ASSUMED, n_raters=n, n_clips=8) <= 0.5
    assert half_width(ASSUMED, n_raters=n - 1, n_clips=8) > 0.5
    n = clips_needed(ASSUMED, 0.35, n_raters=20, clips_a_rater=6)
    assert half_width(ASSUMED, n_raters=20, n_clips=n, clips_a_rater=6) <= 0.35
    assert half_width(ASSUMED, n_raters=20, n_clips=n - 1, clips_a_rater=6) > 0.35


def test_what_no_number_reaches_is_none():
    assert raters_needed(ASSUMED, 0.1, n_clips=4) is None
    assert answers_needed(0.0) is None
    assert half_width(ASSUMED, n_raters=1, n_clips=4) is None


def test_answers_of_pairs_by_hand():
    """± 10 % of one half: 1.96² × 0.25 / 0.01 is 96, and a few more for Student's quantile; a few minds count for less."""
    assert 96 < answers_needed(0.1) < 102
    assert answers_needed(0.1, share=0.9) < 0.5 * answers_needed(0.1)
    assert answers_needed(0.1, answers_a_rater=12, likeness=1.0) == pytest.approx(
        12 * answers_needed(0.1), rel=0.01
    )
    assert answers_needed(0.1, answers_a_rater=12, likeness=0.0) == 12 * 11  # 2.228² × 0.25 / 0.01 is 124


@given(st.integers(4, 60), st.integers(4, 30), st.floats(0.1, 2.0))
def test_twice_as_many_of_both_narrow_it(n_raters, n_clips, rest):
    """Of one alone they need not: where four clips decide, Student's quantile comes to be that of four."""
    spread = replace(ASSUMED, rest=rest)
    width = half_width(spread, n_raters=n_raters, n_clips=n_clips)
    assert half_width(spread, n_raters=2 * n_raters, n_clips=2 * n_clips) < width / 1.4
