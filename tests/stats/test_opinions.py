"""Mean opinions, and quality told apart from bias and inconsistency: against sureal, brute force and hand arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from evalkit.stats.opinions import (
    MOST_EXACT,
    _calmed,
    _Table,
    fit_raters,
    mean_opinions,
    mean_quality,
    n_groups,
)
from tests.fixtures.sureal_dataset import sureal_dataset

# against a second implementation


def _ask(n_raters: int, n_clips: int, seed: int, *, missing: float = 0.0) -> np.ndarray:
    """Return scores, shape (n_clips, n_raters), NaN where a rater did not see a clip."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0.45, 1.1, n_raters)
    said = rng.uniform(1.5, 4.5, (n_clips, 1)) + rng.normal(0.0, 0.5, n_raters)
    scores = np.clip(np.round(said + noise * rng.standard_normal((n_clips, n_raters))), 1.0, 5.0)
    scores[rng.random(scores.shape) < missing] = np.nan
    return scores


def _sureal(scores: np.ndarray) -> dict[str, list[float]]:
    from sureal.dataset_reader import RawDatasetReader
    from sureal.subjective_model import SubjectMLEModelProjectionSolver2

    dataset = sureal_dataset(scores)
    return SubjectMLEModelProjectionSolver2(RawDatasetReader(dataset)).run_modeling()


@pytest.mark.parametrize(("n_raters", "n_clips", "missing"), [(24, 40, 0.0), (12, 20, 0.0), (24, 80, 0.4)])
def test_the_estimates_are_those_of_sureal(n_raters, n_clips, missing):
    scores = _ask(n_raters, n_clips, seed=n_raters, missing=missing)
    theirs = _sureal(scores)
    clips, raters = np.nonzero(np.isfinite(scores))
    ours = fit_raters(raters, clips, scores[clips, raters])
    assert ours.quality == pytest.approx(theirs["quality_scores"], abs=1e-5)
    assert ours.bias == pytest.approx(theirs["observer_bias"], abs=1e-5)
    assert ours.inconsistency == pytest.approx(theirs["observer_inconsistency"], abs=1e-5)


def test_where_the_likelihood_has_no_end_one_rater_does_not_take_over():
    """30 raters who saw half of 40 clips: sureal's iteration runs into one of them, whose scores become the quality."""
    scores = _ask(30, 40, seed=30, missing=0.5)
    theirs = _sureal(scores)
    assert min(theirs["observer_inconsistency"]) < 0.01
    clips, raters = np.nonzero(np.isfinite(scores))
    ours = fit_raters(raters, clips, scores[clips, raters])
    truth = np.random.default_rng(30)
    truth.uniform(0.45, 1.1, 30)
    quality = truth.uniform(1.5, 4.5, 40)
    error = np.abs(ours.quality - quality).mean()
    assert error < 0.25
    assert error < 0.8 * np.abs(np.array(theirs["quality_scores"]) - quality).mean()


def test_the_errors_are_those_of_the_weighted_sums():
    """Every score is raised by 1 in turn: what an estimate changes by is its weight in it."""
    rng = np.random.default_rng(0)
    raters, clips, scores = rng.integers(0, 5, 60), rng.integers(0, 9, 60), rng.normal(3.0, 1.0, 60)
    found = fit_raters(raters, clips, scores)
    changes = [_Table.of(raters, clips, one).solve(found.inconsistency) for one in np.eye(60)]
    of_quality = np.array([quality for quality, _, _ in changes])
    of_bias = np.array([bias for _, bias, _ in changes])
    kept_of_a_row = 1.0 - np.array([of_quality[k, clips[k]] + of_bias[k, raters[k]] for k in range(60)])
    left = np.bincount(raters, weights=kept_of_a_row)
    assert left.sum() == pytest.approx(60 - 5 - 9 + 1)
    calmed, _ = _calmed(np.bincount(raters) * found.inconsistency**2 / left, left)
    by_hand = np.sqrt((of_quality**2 * calmed[raters][:, None]).sum(axis=0))
    assert found.quality_error == pytest.approx(by_hand)


def test_variances_are_drawn_together_as_far_as_chance_explains():
    rng = np.random.default_rng(4)
    by_chance, truly = rng.chisquare(9, 40) / 9, np.repeat([0.2, 5.0], 20) * rng.chisquare(9, 40) / 9
    calmed, known = _calmed(by_chance, np.full(40, 9.0))
    assert np.ptp(calmed) < 0.3 * np.ptp(by_chance)
    assert (known > 50).all()
    calmed, known = _calmed(truly, np.full(40, 9.0))
    assert calmed[:20].mean() < 0.7
    assert calmed[20:].mean() > 4.0
    assert (known < 15).all()


# by hand


def test_two_raters_who_differ_by_one_point():
    """2, 3, 4 and 3, 4, 5: the middle is the quality, half a point the bias, and nothing is left."""
    found = fit_raters(np.repeat([0, 1], 3), np.tile([0, 1, 2], 2), np.array([2.0, 3, 4, 3, 4, 5]))
    assert found.quality == pytest.approx([2.5, 3.5, 4.5])
    assert found.bias == pytest.approx([-0.5, 0.5])
    assert found.inconsistency == pytest.approx([MOST_EXACT] * 2)


def test_a_strict_rater_of_the_worse_clips_is_told_from_them():
    """Rater 2 saw clips 2 and 3 only and gives one point less: a mean would blame the clips."""
    raters = np.array([0] * 4 + [1] * 4 + [2] * 2)
    clips = np.array([0, 1, 2, 3, 0, 1, 2, 3, 2, 3])
    scores = np.array([4.0, 4, 3, 3, 4, 4, 3, 3, 2, 2])
    found = fit_raters(raters, clips, scores)
    assert found.bias - found.bias[0] == pytest.approx([0.0, 0.0, -1.0])
    assert found.quality - found.quality[0] == pytest.approx([0.0, 0.0, -1.0, -1.0])


def test_the_interval_of_a_clip_is_students():
    scores = np.array([2.0, 3, 3, 4, 4, 5, 3, 4])
    (found,) = mean_opinions(np.arange(8), np.zeros(8, dtype=int), scores)
    reach = student.ppf(0.975, 7) * scores.std(ddof=1) / np.sqrt(8)
    assert found.value == 3.5
    assert found.n == 8
    assert found.interval == pytest.approx((3.5 - reach, 3.5 + reach))


def test_a_rater_counts_once_for_a_clip():
    raters, scores = np.array([0, 0, 0, 1]), np.array([1.0, 1, 1, 3])
    (found,) = mean_opinions(raters, np.zeros(4, dtype=int), scores)
    assert found.value == 2.0
    assert found.n == 2
    assert found.interval is None
    assert found.reason == "scores of 2 raters: an interval needs 5"


# where nothing is left to tell


@pytest.mark.parametrize(
    "scores",
    [
        np.tile([1.0, 2, 3, 4, 5, 3], (6, 1)).T,  # perfect agreement
        np.tile([1.0, 2, 3, 4, 5, 5], (6, 1)),  # every rater gives one score throughout
        np.full((6, 6), 3.0),
        np.array([[3.0, 4, 5, 2, 3, 3]]),  # one clip
        np.array([[3.0, 4]]),
    ],
)
def test_nothing_diverges(scores):
    clips, raters = np.nonzero(np.isfinite(scores))
    found = fit_raters(raters, clips, scores[clips, raters])
    assert found.reason is None
    for values in (
        found.quality_low,
        found.quality_high,
        found.bias_low,
        found.bias_high,
        found.inconsistency_high,
    ):
        assert np.isfinite(values).all()
    assert found.quality == pytest.approx(scores.mean(axis=1))
    assert (found.quality_low < found.quality).all()
    assert (found.quality < found.quality_high).all()


def test_one_exact_rater_does_not_outweigh_all_others():
    """Rater 0 is at once what the fit makes of the clips; the others differ from it by their noise."""
    scores = _ask(6, 24, seed=3)
    scores[:, 0] = np.round(scores[:, 1:].mean(axis=1))
    clips, raters = np.nonzero(np.isfinite(scores))
    found = fit_raters(raters, clips, scores[clips, raters])
    weights = found.inconsistency**-2.0
    assert (found.inconsistency >= MOST_EXACT).all()
    assert weights[0] / weights.sum() < 0.9


@pytest.mark.parametrize(
    ("raters", "clips", "reason"),
    [
        ([0, 0], [0, 1], "scores of 1 rater: 2 are needed to tell bias from quality"),
        ([], [], "scores of 0 raters"),
        ([0, 1, 2, 3], [0, 0, 1, 1], "the raters fall into 2 groups without a clip in common"),
    ],
)
def test_the_reason_is_said(raters, clips, reason):
    found = fit_raters(np.array(raters, dtype=int), np.array(clips, dtype=int), np.full(len(raters), 3.0))
    assert found.reason.startswith(reason)
    assert found.quality.size == 0
    assert mean_quality(found, [0]).reason == found.reason


def test_a_configuration_speaks_of_other_clips_and_other_raters():
    scores = _ask(20, 24, seed=5)
    clips, raters = np.nonzero(np.isfinite(scores))
    found = fit_raters(raters, clips, scores[clips, raters])
    of_mean = mean_quality(found, range(24))
    assert of_mean.value == pytest.approx(scores.mean(), abs=0.05)
    reach = student.ppf(0.975, 23) * found.quality.std(ddof=1) / np.sqrt(24)
    assert of_mean.interval.high - of_mean.value > reach  # of the clips alone
    assert mean_quality(found, range(3)).interval is None


def test_groups_are_found_through_chains():
    assert n_groups(np.array([0, 1, 1, 2, 2, 3]), np.array([0, 0, 1, 1, 2, 2])) == 1
    assert n_groups(np.array([3, 2, 1, 0]), np.array([0, 0, 1, 1])) == 2


@pytest.mark.parametrize("scores", [[3.0, np.nan], [3.0]])
def test_scores_that_are_none_are_refused(scores):
    with pytest.raises(ValueError, match=r"finite values|belong to each score"):
        fit_raters(np.array([0, 1]), np.array([0, 0]), np.array(scores))


@given(seed=st.integers(0, 50), shift=st.sampled_from([-1.0, 0.5]))
def test_a_milder_scale_moves_quality_alone(seed, shift):
    scores = _ask(6, 10, seed, missing=0.2)
    clips, raters = np.nonzero(np.isfinite(scores))
    said = scores[clips, raters]
    before, after = fit_raters(raters, clips, said), fit_raters(raters, clips, said + shift)
    assert after.quality == pytest.approx(before.quality + shift, abs=1e-6)
    assert after.bias == pytest.approx(before.bias, abs=1e-6)
    assert after.inconsistency == pytest.approx(before.inconsistency, abs=1e-6)
