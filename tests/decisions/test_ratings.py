"""Opinions compared: raters are a sample as well as the clips, so what these raters think is no claim by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.analysis.catalogue import RATING_METRICS
from evalkit.analysis.preferences import Preferences
from evalkit.analysis.table import ResultTable
from evalkit.decisions.comparison import Conclusion
from evalkit.runs.ratings.opinions import Rater
from evalkit.runs.ratings.records import PREFERENCE, Origin
from evalkit.testing.ratings import with_scores
from tests.rating_simulation.comparisons import N_CLIPS, N_RATERS, claims_difference, compare_pair, rated_pair


@pytest.mark.parametrize("shown", [1.0, 0.5])
def test_tastes_of_the_raters_at_hand_are_no_claim(shown: float) -> None:
    """12 raters, 24 clips, no true difference: claims are at most 5 %, whoever was shown what; 400 draws allow 8 %."""
    rng = np.random.default_rng(5)
    n_claims = sum(claims_difference(compare_pair(rated_pair(rng, shown=shown))) for _ in range(400))
    assert n_claims <= 32


def test_a_difference_beyond_tastes_is_found() -> None:
    rng = np.random.default_rng(6)
    n_found = sum(
        compare_pair(rated_pair(rng, difference=0.8))["rating.mos"].finding is Conclusion.BETTER
        for _ in range(40)
    )
    assert n_found >= 36


def test_the_difference_is_that_of_the_clips_values_and_its_interval_that_of_raters_and_clips() -> None:
    first, second = rated_pair(np.random.default_rng(7), difference=0.5, shown=0.7)
    one = compare_pair((first, second))["rating.mos"]
    pairs = [
        np.mean([*b.scores["rating.mos"].values()]) - np.mean([*a.scores["rating.mos"].values()])
        for a, b in zip(first.rows, second.rows, strict=True)
    ]
    assert one.difference.value == pytest.approx(np.mean(pairs), abs=1e-12)
    assert (one.difference.n, one.a.n, one.b.n) == (N_CLIPS, N_RATERS, N_RATERS)
    assert one.coverage == "A over 12 raters, B over 12 raters, the difference over 24 pairs"
    of_clips_alone = (
        2.069 * np.std(pairs, ddof=1) / np.sqrt(N_CLIPS)
    )  # Student's t with 23 degrees of freedom
    assert one.difference.interval is not None
    assert one.difference.interval.high - np.mean(pairs) > 1.3 * of_clips_alone


def test_raters_of_two_runs_are_different_people() -> None:
    """Severity of each side's raters then is part of the error: the interval is wider than of the same raters."""
    first, second = rated_pair(np.random.default_rng(8), taste=0.0)
    other = with_scores(
        replace(second, provenance={"run": "two"}),
        np.array([[*row.scores["rating.mos"].values()] for row in second.rows]),
    )
    same = compare_pair((first, second))["rating.mos"].difference.interval
    apart = compare_pair((first, other))["rating.mos"].difference.interval
    assert same is not None
    assert apart is not None
    assert apart.high - apart.low > 2.0 * (same.high - same.low)


def with_choices(
    first: ResultTable, second: ResultTable, shares: np.ndarray
) -> tuple[ResultTable, ResultTable]:
    """Let raters choose between the clips of a pair: `shares` is what the second gets, shape (n_pairs, n_raters)."""
    from evalkit.testing.runs import make_trial

    sides: tuple[list, list] = ([], [])
    for place, (a, b, given) in enumerate(zip(first.rows, second.rows, shares, strict=True)):
        trials = [
            make_trial(params=dict(row.params), portrait="p", speech=str(place), seed=1, values={})
            for row in (a, b)
        ]
        raters = [Rater("one", f"r{rater}", Origin.PERSON) for rater in range(given.size)]
        for rows, row, own, other, wins in (
            (sides[0], a, trials[0], trials[1], 1.0 - given),
            (sides[1], b, trials[1], trials[0], given),
        ):
            choices = {other.id: dict(zip(raters, map(float, wins), strict=True))}
            rows.append(replace(row, trial=own, choices=choices))
    metric = {PREFERENCE: RATING_METRICS[-1]}
    return tuple(  # type: ignore[return-value]
        replace(table, rows=tuple(rows), metrics={**table.metrics, **metric})
        for table, rows in zip((first, second), sides, strict=True)
    )


def test_two_configurations_of_a_run_are_compared_head_to_head() -> None:
    rng = np.random.default_rng(9)
    shares = np.where(rng.random((N_CLIPS, N_RATERS)) < 0.8, 1.0, 0.0)
    shares[:, 0] = 0.5
    one = compare_pair(with_choices(*rated_pair(rng), shares))[PREFERENCE]
    assert one.difference.value == pytest.approx(2 * shares.mean() - 1, abs=1e-12)
    assert one.finding is Conclusion.BETTER
    assert one.change.mean_b == pytest.approx(shares.mean(), abs=1e-12)


def test_preferences_of_two_runs_are_not_compare_pair() -> None:
    first, second = with_choices(*rated_pair(np.random.default_rng(9)), np.ones((N_CLIPS, N_RATERS)))
    one = compare_pair((first, replace(second, provenance={"run": "two"})))[PREFERENCE]
    assert one.finding is Conclusion.NOT_COMPARED
    assert one.text == "each run's preferences are among its own configurations; nobody chose between A and B"


@pytest.mark.parametrize("n_few", [1, 3])
def test_a_side_of_few_raters_says_nothing_of_others(n_few: int) -> None:
    """However many judged the other side, and however far apart the two are."""
    first, second = rated_pair(np.random.default_rng(9), difference=1.5)
    scores = np.array([[*row.scores["rating.mos"].values()] for row in first.rows])
    few = with_scores(replace(first, provenance={"run": "few"}), scores[:, :n_few])
    one = compare_pair((few, second))["rating.mos"]
    reason = f"this cannot be known from {n_few} rater{'s' * (n_few > 1)}: 4 or more are needed"
    assert one.difference.value is not None
    assert (one.difference.interval, one.difference.reason) == (None, reason)
    assert one.finding is Conclusion.NOT_ENOUGH
    assert (one.a.interval, one.a.estimate.reason) == (None, reason)
    assert one.b.interval is not None


def test_choices_of_few_raters_have_shares_and_no_intervals() -> None:
    for n_raters in (3, 4):
        rng = np.random.default_rng(9)
        pair = rated_pair(rng)
        shares = np.where(rng.random((N_CLIPS, n_raters)) < 0.7, 1.0, 0.0)
        first, second = with_choices(*pair, shares)
        both = Preferences.of([*first.rows, *second.rows])
        assert both is not None
        for one in (*both.fit().shares, *both.fit().strengths):
            assert one.value is not None
            assert (one.interval is None) is (n_raters == 3)
            assert one.reason == (
                "this cannot be known from 3 raters: 4 or more are needed" if n_raters == 3 else None
            )
