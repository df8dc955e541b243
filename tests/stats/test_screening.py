"""Who is screened: BT.500 against sureal, and each reason for what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.stats.screening import bt500_outliers, screen_scores
from tests.fixtures.sureal_dataset import sureal_dataset
from tests.rating_simulation.worlds import CHEATS, Design, conduct


def _raters(n_raters: int, quality: np.ndarray, seed: int, noise: float = 0.6) -> tuple[np.ndarray, ...]:
    """Return honest scores of a complete design, in long form."""
    rng = np.random.default_rng(seed)
    said = (
        quality + rng.normal(0.0, 0.4, (n_raters, 1)) + noise * rng.standard_normal((n_raters, quality.size))
    )
    scores = np.clip(np.round(said), 1.0, 5.0)
    raters, clips = np.indices(scores.shape)
    return raters.ravel(), clips.ravel(), scores.ravel()


QUALITY = np.linspace(1.8, 4.4, 24)


# BT.500


@pytest.mark.parametrize(("seed", "n_wild"), [(0, 0), (1, 2), (2, 4), (3, 6)])
def test_bt500_rejects_whom_sureal_rejects(seed, n_wild):
    from sureal.dataset_reader import RawDatasetReader
    from sureal.subjective_model import SubjrejMosModel

    rng = np.random.default_rng(seed)
    raters, clips, scores = _raters(24, np.linspace(1.5, 4.5, 60), seed)
    wild = raters < n_wild
    scores[wild] = rng.integers(1, 6, wild.sum())
    table = scores.reshape(24, 60).T
    assert (table.std(axis=1) > 0).all()  # of equal scores sureal counts every one as far away, to both sides
    dataset = sureal_dataset(table)
    with np.errstate(invalid="ignore"):  # sureal divides by the count of who has none
        theirs = SubjrejMosModel(RawDatasetReader(dataset)).run_modeling()
    ours = bt500_outliers(raters, clips, scores)
    assert ours.rejected.tolist() == theirs["observer_rejected"]
    assert (ours.above + ours.below) / ours.n == pytest.approx(theirs["observer_rejected_1st_stats"])
    assert ours.rejected.any() == (n_wild > 0)


def test_a_clip_of_equal_scores_counts_for_nobody():
    raters, clips = np.tile(np.arange(6), 4), np.repeat(np.arange(4), 6)
    found = bt500_outliers(raters, clips, np.full(24, 4.0))
    assert not found.above.any()
    assert not found.rejected.any()


def test_at_the_limit_is_beyond_it():
    """20 of 25 gave 5, five gave 4: 0.8 below the mean of 4.8 is twice the spread of 0.4, but for the last bit."""
    scores = np.full(25, 5.0)
    scores[:5] = 4.0  # mean 4.8, spread 0.4, kurtosis 3.25
    found = bt500_outliers(np.arange(25), np.zeros(25, dtype=int), scores)
    assert found.below.tolist() == [1] * 5 + [0] * 20


# reasons


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda own, _rng: np.full_like(own, 3.0), "gave 3 of 5 to all 24 clips, whatever the others said"),
        (lambda own, _rng: np.full_like(own, 5.0), "gave 5 of 5 to all 24 clips, whatever the others said"),
        (lambda own, _rng: 6.0 - own, "correlates -0."),
        (lambda own, rng: rng.permutation(own), "correlates "),
        (lambda own, rng: np.where(rng.random(own.size) < 0.5, 1.0, 5.0), "scatters "),
    ],
)
def test_a_cheat_is_told_with_the_figure(change, reason):
    raters, clips, scores = _raters(12, QUALITY, seed=3)
    mine = raters == 7
    scores[mine] = change(scores[mine], np.random.default_rng(0))
    found = screen_scores(raters, clips, scores)
    assert np.flatnonzero(~found.kept).tolist() == [7]
    assert any(said.startswith(reason) for said in found.reasons[7])


def test_a_failed_check_is_told_with_what_was_given():
    raters, clips, scores = _raters(6, QUALITY, seed=0)
    mild = raters == 4
    scores[mild] = np.clip(scores[mild] + 1.0, 1.0, 5.0)  # for whom 3 is little
    mean = scores[raters == 2].mean()
    checks = (np.arange(6), np.array([1.0, 2.0, 4.0, 1.0, 3.0, 2.0]))
    found = screen_scores(raters, clips, scores, checks=checks)
    assert found.reasons[2] == (f"gave the broken clip 4 of 5, and clips in general {mean:.1f}",)
    assert found.kept.tolist() == [True, True, False, True, True, True]


def test_a_rater_who_only_answered_checks_is_screened_by_them():
    raters, clips, scores = _raters(6, QUALITY, seed=0)
    found = screen_scores(raters, clips, scores, n_raters=8, checks=(np.array([6, 7]), np.array([4.0, 1.0])))
    assert found.kept.tolist() == [True] * 6 + [False, True]
    assert found.agreement[7] is None
    assert found.note == "2 of 8 raters scored too few clips with others to be compared"


def test_a_rater_unlike_themselves_is_told():
    raters, clips, scores = _raters(6, QUALITY, seed=0)
    first, second = np.array([5.0, 1, 4, 3, 3]), np.array([1.0, 5, 1, 3, 4])
    found = screen_scores(raters, clips, scores, repeats=(np.array([1, 1, 1, 2, 3]), first, second))
    assert found.reasons[1] == ("differs 3.7 points from their own first answer over 3 repeats",)
    assert found.kept.sum() == 5


# honest raters stay


def test_a_mild_and_a_strict_rater_stay():
    raters, clips, scores = _raters(8, QUALITY, seed=1)
    for rater, bias in ((0, 1.0), (1, -1.0)):
        scores[raters == rater] = np.clip(scores[raters == rater] + bias, 1.0, 5.0)
    assert screen_scores(raters, clips, scores).kept.all()


def test_clips_that_are_alike_convict_nobody():
    """Where no clip is better than another, an honest rater correlates with nobody."""
    raters, clips, scores = _raters(12, np.full(24, 3.5), seed=2)
    found = screen_scores(raters, clips, scores)
    assert found.kept.all()
    assert min(found.agreement) < 0.2


def test_excellent_throughout_is_no_crime_where_the_clips_are():
    raters, clips, scores = _raters(10, np.full(24, 4.6), seed=4, noise=0.4)
    scores[raters == 3] = 5.0
    assert screen_scores(raters, clips, scores).kept[3]


def test_with_few_clips_nothing_but_checks_is_looked_at():
    raters, clips, scores = _raters(10, QUALITY[:6], seed=5)
    scores[raters == 0] = 3.0
    found = screen_scores(raters, clips, scores)
    assert found.kept.all()
    assert found.note == "10 of 10 raters scored too few clips with others to be compared"


def test_of_two_raters_who_disagree_neither_is_excluded():
    raters, clips, scores = _raters(2, QUALITY, seed=6)
    scores[raters == 1] = 6.0 - scores[raters == 1]
    assert screen_scores(raters, clips, scores).kept.all()


def test_nobody_at_all():
    none = np.empty(0, dtype=int)
    found = screen_scores(none, none, np.empty(0))
    assert found.kept.size == 0
    assert found.reasons == ()


def test_cheats_are_found_and_honest_raters_kept_in_an_incomplete_design():
    """20 raters with five cheats, each of whom saw half of 48 clips: ten studies."""
    design = Design(20, n_inputs=12, share=0.5, cheats=CHEATS)
    rng, found, lost = np.random.default_rng(0), np.zeros(5), 0
    for _ in range(10):
        study = conduct(design, rng)
        kept = screen_scores(
            study.raters, study.clips, study.scores, checks=study.checks, repeats=study.repeats
        ).kept
        found += ~kept[:5]
        lost += int((~kept[5:]).sum())
    assert (found[:4] >= 9).all()  # the fifth is attentive half of the time
    assert lost <= 8  # of 150
