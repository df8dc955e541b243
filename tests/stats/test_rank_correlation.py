"""Rank correlations: against scipy, Steiger's own example and statsmodels, hand arithmetic, and worlds with known truth."""

from __future__ import annotations

import itertools
from math import atanh, sqrt, tanh

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects

from evalkit.stats.means import Estimate
from evalkit.stats.rank_correlation import (
    MIN_CLIPS,
    Coefficient,
    Correlation,
    compare_correlations,
    correlate,
    estimate_correlation,
    pool_correlations,
    pseudo_values,
    rank,
    split_half_reliability,
    steiger_z,
    why_no_correlation,
)
from evalkit.types import FloatArray, Interval

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=25)


def columns(rows: list[tuple[int, int]]) -> tuple[FloatArray, FloatArray]:
    x, y = np.array(rows, dtype=np.float64).T
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    return x, y


def grid(n_portraits: int, n_speeches: int, n_settings: int) -> dict[str, list[int]]:
    cells = list(itertools.product(range(n_portraits), range(n_speeches), range(n_settings)))
    names = ("portrait", "speech", "configuration")
    return {name: [cell[place] for cell in cells] for place, name in enumerate(names)}


def shared_noise(rng: np.random.Generator, factors: dict[str, list[int]], own: float) -> FloatArray:
    """Return noise that clips of one level share, and some of their own."""
    total = own * rng.normal(size=len(factors["portrait"]))
    for levels in factors.values():
        total += 0.4 * rng.normal(size=max(levels) + 1)[levels]
    return total


# second implementations and published numbers


@given(ROWS)
def test_it_is_what_scipy_says_with_ties_too(rows: list[tuple[int, int]]) -> None:
    x, y = columns(rows)
    assert rank(x) == pytest.approx(scipy.stats.rankdata(x))
    assert correlate(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)
    theirs = scipy.stats.kendalltau(x, y).statistic
    assert correlate(x, y, Coefficient.KENDALL) == pytest.approx(theirs, abs=1e-12)


@given(ROWS, st.sampled_from(Coefficient))
def test_a_pseudo_value_is_what_leaving_the_clip_out_changes(
    rows: list[tuple[int, int]], coefficient: Coefficient
) -> None:
    x, y = columns(rows)
    theirs = {Coefficient.SPEARMAN: scipy.stats.spearmanr, Coefficient.KENDALL: scipy.stats.kendalltau}[
        coefficient
    ]
    found = pseudo_values(x, y, coefficient)
    for place in range(x.size):
        others_x, others_y = np.delete(x, place), np.delete(y, place)
        if np.ptp(others_x) == 0 or np.ptp(others_y) == 0:
            continue
        expected = x.size * theirs(x, y).statistic - (x.size - 1) * theirs(others_x, others_y).statistic
        assert found[place] == pytest.approx(expected, abs=1e-9)


def test_steigers_z_is_that_of_his_paper_and_of_a_second_program() -> None:
    # Steiger (1980), p. 249, case A: r = 0.4, 0.5 and 0.1 of 103; he rounds the covariance to 0.0042 and gives -0.8913.
    assert steiger_z(0.4, 0.5, 0.1, 103) == pytest.approx(-0.8913, abs=0.003)
    # R package cocor 1.1 and the program depcor (Silver, Hittner, May 2006) give -0.8887185 and -1.0718.
    assert steiger_z(0.4, 0.5, 0.1, 103) == pytest.approx(-0.8887185, abs=5e-8)
    assert steiger_z(0.3, 0.4, 0.5, 100) == pytest.approx(-1.0718, abs=5e-5)


def test_steigers_z_by_hand() -> None:
    # r = 0.6, 0.2, 0 of 28: the pooled r is 0.4, squared 0.16; psi = 0 * 0.68 - 0.08 * (1 - 0.32 - 0) = -0.0544;
    # s = -0.0544 / 0.84^2 = -0.0770975; Z = (0.6931472 - 0.2027326) * 5 / sqrt(2 + 0.154195) = 1.67069.
    assert steiger_z(0.6, 0.2, 0.0, 28) == pytest.approx(1.67069, abs=2e-5)


@pytest.mark.parametrize("rs", [[0.2, 0.55, 0.7, 0.4], [0.3, 0.31, 0.9, 0.32], [0.1, 0.5, 0.45, 0.9]])
def test_pooling_is_that_of_a_second_implementation(rs: list[float]) -> None:
    errors = np.array([0.1, 0.15, 0.12, 0.4])
    found = pool_correlations(
        [Correlation(Estimate(r, None, 50), error) for r, error in zip(rs, errors, strict=True)]
    )
    theirs = combine_effects(np.arctanh(rs), errors**2, method_re="dl")
    mean, error = theirs.summary_frame().loc["random effect", ["eff", "sd_eff"]].to_numpy()
    reach = scipy.stats.t.ppf(0.975, 3) * error * sqrt(max(1.0, theirs.scale_hksj_re))
    assert found.estimate.value == pytest.approx(tanh(mean))
    assert found.estimate.interval == pytest.approx((tanh(mean - reach), tanh(mean + reach)))


# refusals


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (range(9), range(9), "9 of the 10 clips"),
        ([3.0] * 12, range(12), "the same in every clip"),
        (range(12), [4.0] * 12, "opinions are the same"),
        ([0.0] * 9 + [1.0, 2.0, 3.0], range(12), "the same in 9 of 12 clips"),
        ([1 / 3 + place * 1e-16 for place in range(12)], range(12), "the same in every clip"),
    ],
)
def test_no_number_without_an_order(x: list[float], y: list[float], reason: str) -> None:
    first, second = np.array(x, dtype=float), np.array(y, dtype=float)
    found = estimate_correlation(first, second).estimate
    assert found.value is None
    assert reason in str(found.reason)
    assert why_no_correlation(first, second) == found.reason


def test_four_clips_that_differ_from_the_others_find_no_agreement_by_chance() -> None:
    """At most 5 % of 200 draws of 20 clips without any agreement, less what chance allows (1 % of test runs): 18."""
    rng, n_sure = np.random.default_rng(2), 0
    for _ in range(200):
        x = np.zeros(20)
        x[rng.choice(20, 4, replace=False)] = 1.0 + rng.random(4)
        found = estimate_correlation(x, rng.normal(size=20).round(1)).estimate
        n_sure += found.interval is not None and not found.interval.low <= 0.0 <= found.interval.high
    assert n_sure <= 18


def test_a_perfect_order_has_a_value_and_no_interval() -> None:
    found = estimate_correlation(np.arange(12.0), np.arange(12.0) ** 3).estimate
    assert (found.value, found.interval) == (1.0, None)
    assert "no spread to judge by" in str(found.reason)


def test_too_few_portraits_leave_the_value_and_say_why_there_is_no_interval() -> None:
    rng, factors = np.random.default_rng(0), grid(2, 5, 6)
    x = shared_noise(rng, factors, 1.0)
    found = estimate_correlation(x, -x + shared_noise(rng, factors, 1.0), factors).estimate
    assert found.value is not None
    assert found.interval is None
    assert "2 portraits" in str(found.reason)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="it is the same in every clip"):
        compare_correlations(np.arange(12.0), np.ones(12), np.arange(12.0) ** 2)
    with pytest.raises(ValueError, match="do not make pairs"):
        estimate_correlation(np.arange(12.0), np.arange(11.0))


def test_one_run_is_not_pooled_and_two_have_no_interval() -> None:
    one = Correlation(Estimate(0.5, Interval(0.3, 0.7), 60), 0.1)
    unknown = Correlation(Estimate(0.9, None, 60, "2 portraits"))
    assert pool_correlations([one, unknown]).estimate.value is None
    two = pool_correlations([one, one, unknown]).estimate
    assert (two.value, two.interval, two.n) == (pytest.approx(0.5), None, 2)


# properties


@given(st.integers(0, 1000))
def test_only_the_order_counts_and_a_turned_sign_turns_the_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 20))
    found = estimate_correlation(x, y).estimate
    same = estimate_correlation(np.exp(x), y**3).estimate
    turned = estimate_correlation(-x, y).estimate
    assert found.interval is not None
    assert turned.interval is not None
    assert same == found
    assert turned.value == pytest.approx(-found.value)
    assert turned.interval == pytest.approx((-found.interval.high, -found.interval.low))


def test_a_metric_does_not_differ_from_itself_in_units_of_its_own() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 30))
    found = compare_correlations(x, 1000.0 * x, y)
    assert (found.difference.value, found.z, found.p) == (0.0, 0.0, 1.0)


def test_the_ceiling_is_one_for_equal_raters_and_none_for_guessers() -> None:
    rng = np.random.default_rng(2)
    clips, raters = np.repeat(np.arange(20), 8), np.tile(np.arange(8), 20)
    truth = rng.normal(size=20)
    assert split_half_reliability(truth[clips], clips, raters).value == pytest.approx(1.0)
    guessed = split_half_reliability(rng.integers(1, 6, 160).astype(float), clips, raters)
    assert guessed.value is None or guessed.value < 0.5
    few = split_half_reliability(truth[clips[raters < 3]], clips[raters < 3], raters[raters < 3])
    assert (few.value, few.n) == (None, 3)
    assert "4 raters" in str(few.reason)


def test_the_ceiling_is_the_planted_reliability() -> None:
    # Variance of the clips 1, of a score 4, of the mean of 16 raters 0.25: reliability 1 / 1.25 = 0.8.
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        clips, raters = np.repeat(np.arange(60), 16), np.tile(np.arange(16), 60)
        scores = rng.normal(size=60)[clips] + 0.8 * rng.normal(size=16)[raters] + 2.0 * rng.normal(size=960)
        found.append(split_half_reliability(scores, clips, raters, n_splits=40).value)
    assert np.mean(np.array(found, dtype=float)) == pytest.approx(0.8, abs=0.04)


def test_a_raters_leaning_counts_where_clips_have_different_raters() -> None:
    rng = np.random.default_rng(5)
    clips, raters = np.repeat(np.arange(60), 12), np.tile(np.arange(12), 60)
    scores = rng.normal(size=60)[clips] + 2.0 * rng.normal(size=12)[raters]
    everybody = split_half_reliability(scores, clips, raters).value
    shown = rng.random(720) < 0.4
    some = split_half_reliability(scores[shown], clips[shown], raters[shown]).value
    assert everybody == pytest.approx(1.0)
    assert some is not None
    assert some < 0.9


# planted truth


def test_intervals_hold_the_truth_where_clips_share_portrait_speech_and_configuration() -> None:
    # Of jointly normal values with linear correlation r, Spearman's rho is 6 / pi * asin(r / 2): of 0.5 it is 0.4826.
    held = 0
    for seed in range(100):
        rng, factors = np.random.default_rng(seed), grid(6, 5, 8)
        a, b = shared_noise(rng, factors, 0.5), shared_noise(rng, factors, 0.5)
        found = estimate_correlation(a, 0.5 * a + sqrt(0.75) * b, factors).estimate
        assert found.interval is not None
        held += found.interval.low <= 6 / np.pi * np.arcsin(0.25) <= found.interval.high
    assert held >= 89  # of 95 expected; fewer than 89 has a chance of 0.4 %


def test_clips_that_share_much_would_fool_an_interval_that_does_not_know_it() -> None:
    aware, naive = 0, 0
    for seed in range(60):
        rng, factors = np.random.default_rng(seed), grid(6, 5, 8)
        x, y = shared_noise(rng, factors, 0.1), shared_noise(rng, factors, 0.1)
        for known in (factors, None):
            interval = estimate_correlation(x, y, known).estimate.interval
            assert interval is not None
            outside = not interval.low <= 0.0 <= interval.high
            aware, naive = aware + (outside and known is not None), naive + (outside and known is None)
    assert aware <= 8  # 3 expected
    assert naive >= 20


def test_two_metrics_that_agree_as_much_are_rarely_told_apart_and_unequal_ones_are() -> None:
    alike, unlike = 0, 0
    for seed in range(100):
        rng, factors = np.random.default_rng(seed), grid(6, 5, 6)
        truth = shared_noise(rng, factors, 0.5)
        a, b, weak = (truth + scale * rng.normal(size=truth.size) for scale in (0.7, 0.7, 3.0))
        alike += compare_correlations(a, b, truth, factors).p <= 0.05
        unlike += compare_correlations(a, weak, truth, factors).p <= 0.05
    assert alike <= 10
    assert unlike >= 90


def test_pooled_runs_hold_the_planted_mean() -> None:
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        ones = []
        for true_z in atanh(0.5) + 0.15 * rng.normal(size=6):
            x, y = rng.normal(size=(2, 60))
            r = tanh(true_z)
            ones.append(estimate_correlation(x, r * x + sqrt(1 - r**2) * y))
        interval = pool_correlations(ones).estimate.interval
        assert interval is not None
        held += interval.low <= 6 / np.pi * np.arcsin(0.25) <= interval.high
    assert held >= 89


def test_ten_clips_are_the_fewest_that_have_a_number() -> None:
    x = np.random.default_rng(0).normal(size=(2, MIN_CLIPS))
    assert estimate_correlation(*x).estimate.value is not None
