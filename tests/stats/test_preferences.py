"""Strengths and shares of pairs: against sureal, statsmodels and counting."""

from __future__ import annotations

import choix
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from sureal.pc_subjective_model import BradleyTerryMlePairedCompSubjectiveModel

from evalkit.stats.means import estimate_mean
from evalkit.stats.preferences import fit_preferences, strengths_of


def _choose(
    strengths: list[float], n: int, seed: int, *, ties: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return raters, firsts, seconds and outcomes of n pairs; 20 raters."""
    rng, k = np.random.default_rng(seed), len(strengths)
    firsts = rng.integers(0, k, n)
    seconds = (firsts + rng.integers(1, k, n)) % k
    odds = np.array(strengths)[firsts] - np.array(strengths)[seconds]
    outcomes = (rng.random(n) < 1.0 / (1.0 + np.exp(-odds))).astype(float)
    outcomes[rng.random(n) < ties] = 0.5
    return rng.integers(0, 20, n), firsts, seconds, outcomes


@pytest.mark.parametrize(("strengths", "seed"), [([0.0, 0.5, 1.0, -0.3], 0), ([0.0, 1.5], 1), ([0.0] * 7, 2)])
def test_strengths_are_those_of_sureal_and_of_choix(strengths, seed):
    _, firsts, seconds, outcomes = _choose(strengths, 400, seed)
    found = fit_preferences(firsts, seconds, outcomes)
    theirs = np.array(BradleyTerryMlePairedCompSubjectiveModel.resolve_model(found.wins, display=False)[0])
    ours = [strength.value for strength in found.strengths]
    assert ours == pytest.approx((theirs - theirs.mean()).tolist(), abs=1e-5)
    assert ours == pytest.approx(choix.ilsr_pairwise_dense(found.wins).tolist(), abs=1e-5)


def test_one_win_in_very_many_is_a_large_strength_and_not_an_endless_one():
    wins = np.array([[0.0, 999.0], [1.0, 0.0]])
    assert np.diff(strengths_of(wins)) == pytest.approx(-np.log(999.0))


def test_errors_are_those_of_a_clustered_logistic_regression():
    """20 raters, one input: the error is statsmodels' clustered one; Student's quantile has the effective number of raters."""
    raters, firsts, seconds, outcomes = _choose([0.0, 0.5, 1.0, -0.3], 400, 3, ties=0.2)
    design = np.zeros((400, 4))
    design[np.arange(400), firsts], design[np.arange(400), seconds] = 1.0, -1.0
    free = design @ np.vstack([np.eye(3), -np.ones(3)])  # strengths that add up to 0
    theirs = sm.GLM(outcomes, free, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": raters, "use_correction": False}
    )
    errors = theirs.bse * np.sqrt(20 / 19)
    ours = fit_preferences(firsts, seconds, outcomes, {"rater": raters.tolist()}).strengths
    sizes = np.bincount(raters)
    reach = student.ppf(0.975, 400**2 / (sizes**2).sum() - 1) * errors
    for k in range(3):
        assert ours[k].value == pytest.approx(theirs.params[k], abs=1e-6)
        assert ours[k].interval.high - ours[k].value >= reach[k] - 1e-9
        assert ours[k].interval.high - ours[k].interval.low < 2.3 * reach[k]  # wider for skew ones alone


def test_two_options_are_counted():
    raters, firsts, seconds, outcomes = _choose([0.0, 0.8], 100, 5, ties=0.2)
    found = fit_preferences(firsts, seconds, outcomes, {"rater": raters.tolist()})
    of_first = np.where(firsts == 0, outcomes, 1.0 - outcomes)
    by_hand = estimate_mean(of_first, {"rater": raters.tolist()}, bounds=(0.0, 1.0))
    assert found.shares[0].value == pytest.approx(by_hand.value)
    assert found.shares[0].interval == pytest.approx(by_hand.interval)
    assert found.shares[0].value + found.shares[1].value == pytest.approx(1.0)
    assert found.shares[0].interval.low == pytest.approx(1.0 - found.shares[1].interval.high)


def test_in_a_balanced_design_the_share_is_the_share_that_was_won():
    """Three options, every two met ten times: 0 beats 1 in 7 and 2 in 9 of 10, 1 beats 2 in 6."""
    pairs = [(0, 1, 7), (0, 2, 9), (1, 2, 6)]
    rows = [(a, b, float(k < won)) for a, b, won in pairs for k in range(10)]
    firsts, seconds, outcomes = (np.array(values) for values in zip(*rows, strict=True))
    found = fit_preferences(firsts, seconds, outcomes)
    assert [share.value for share in found.shares] == pytest.approx([16 / 20, 9 / 20, 5 / 20])
    assert found.note is None
    assert [share.n for share in found.shares] == [20, 20, 20]


def test_answers_of_one_rater_do_not_count_as_independent():
    """Ten raters, ten answers each, each always of one mind."""
    raters = np.repeat(np.arange(10), 10)
    outcomes = np.where(raters < 6, 1.0, 0.0)
    zeros, ones = np.zeros(100, dtype=int), np.ones(100, dtype=int)
    alone = fit_preferences(zeros, ones, outcomes).shares[0].interval
    together = fit_preferences(zeros, ones, outcomes, {"rater": raters.tolist()}).shares[0].interval
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


# where the model has no end


def test_an_unbeaten_option_is_counted_without_the_model():
    rows = [(0, 1, 1.0)] * 8 + [(0, 2, 1.0)] * 8 + [(1, 2, 1.0)] * 4 + [(1, 2, 0.0)] * 4
    firsts, seconds, outcomes = (np.array(values) for values in zip(*rows, strict=True))
    found = fit_preferences(firsts, seconds, outcomes)
    assert [share.value for share in found.shares] == pytest.approx([1.0, 0.25, 0.25])
    assert found.shares[0].interval.low == pytest.approx(0.025 ** (1 / 16))  # of 16 alike
    assert found.shares[1].interval is not None
    assert found.strengths[0].value is None
    assert "no end" in found.strengths[0].reason
    assert "without the model" in found.note


def test_an_unbeaten_option_that_did_not_meet_all_has_no_share():
    firsts, seconds = np.array([0] * 6 + [1] * 6), np.array([1] * 6 + [2] * 6)
    found = fit_preferences(firsts, seconds, np.ones(12))
    assert found.shares[0].value is None
    assert "1 of the others were never met" in found.shares[0].reason


def test_groups_that_never_met_are_not_compared():
    found = fit_preferences(np.array([0, 2]), np.array([1, 3]), np.array([1.0, 0.0]), n_options=5)
    assert found.shares[0].reason == "the pairs fall into groups that never met: nothing compares them"
    assert found.shares[4].reason == "no pair with it was rated"
    none = np.empty(0, dtype=int)
    assert (
        fit_preferences(none, none, np.empty(0), n_options=2).shares[1].reason == "no pair with it was rated"
    )


@pytest.mark.parametrize(
    ("firsts", "seconds", "outcomes", "message"),
    [
        ([0], [0], [1.0], "an option stands against itself"),
        ([0], [1], [2.0], "an outcome is 1"),
        ([0, 1], [1, 0], [1.0], "two options belong to each outcome"),
    ],
)
def test_what_is_no_choice_is_refused(firsts, seconds, outcomes, message):
    with pytest.raises(ValueError, match=message):
        fit_preferences(np.array(firsts), np.array(seconds), np.array(outcomes))


@given(seed=st.integers(0, 30))
def test_which_was_shown_first_does_not_matter(seed):
    raters, firsts, seconds, outcomes = _choose([0.0, 0.4, 0.8], 90, seed, ties=0.2)
    factors = {"rater": raters.tolist()}
    found = fit_preferences(firsts, seconds, outcomes, factors)
    swapped = fit_preferences(seconds, firsts, 1.0 - outcomes, factors)
    for one, other in zip(found.shares, swapped.shares, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-9)
        assert one.interval == pytest.approx(other.interval, abs=1e-9)
    assert sum(share.value for share in found.shares) == pytest.approx(1.5)
