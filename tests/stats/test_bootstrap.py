"""Bootstrap intervals: against scipy, and against how often they hold a known truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evalkit.stats.means import (
    MIN_LEVELS,
    MIN_VALUES,
    bca_interval,
    clustered_interval,
    code_levels,
    estimate_mean,
    expanded_confidence,
    random_factors,
)

SKEWED = np.random.default_rng(3).lognormal(0.0, 1.0, 25)


def test_the_interval_is_the_books() -> None:
    """BCa by hand (Efron & Tibshirani, 14.9 to 14.15), from redraws of our own."""
    rng = np.random.default_rng(1)
    means = rng.choice(SKEWED, size=(40_000, SKEWED.size)).mean(axis=1)
    bias = scipy.stats.norm.ppf((means < SKEWED.mean()).mean())
    left_out = (SKEWED.sum() - SKEWED) / (SKEWED.size - 1)
    pull = left_out.mean() - left_out
    acceleration = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    z = bias + scipy.stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(means, scipy.stats.norm.cdf(bias + z / (1 - acceleration * z)))
    interval = bca_interval(SKEWED, n_resamples=40_000)
    assert interval == pytest.approx((low, high), abs=0.03 * (high - low))


def test_ties_are_ties_whatever_the_rounding() -> None:
    """Tenths cannot be written in binary: the same values in another order have another mean in the last digit."""
    tenths = np.array([1, 1, 1, 1, 1, 2, 2, 2, 3])
    exact = bca_interval(tenths.astype(float))
    assert bca_interval(tenths * 0.1) == pytest.approx(tuple(end / 10 for end in exact), abs=1e-12)


def test_expanded_level_gives_students_width_by_hand() -> None:
    # n = 5: t(4) = 2.776, times sqrt(5/4) = 3.104, and a normal lies within ±3.104 with 0.99809
    assert expanded_confidence(0.95, 5) == pytest.approx(0.99809, abs=1e-5)
    assert expanded_confidence(0.95, 10_000) == pytest.approx(0.95, abs=1e-4)


@pytest.mark.parametrize("n", [6, 12, 30])
def test_interval_of_independent_values_holds_the_truth_as_often_as_it_says(n: int) -> None:
    rng = np.random.default_rng(n)
    held = 0
    for trial in range(300):
        interval = estimate_mean(rng.normal(2.0, 1.0, n), n_resamples=600, seed=trial).interval
        assert interval is not None
        held += interval.low <= 2.0 <= interval.high
    assert 0.92 <= held / 300 <= 0.99


def test_interval_over_portraits_and_speech_holds_the_truth_where_an_independent_one_does_not() -> None:
    rng = np.random.default_rng(0)
    portraits, speeches = np.repeat(np.arange(12), 12).tolist(), np.tile(np.arange(12), 12).tolist()
    held = {"clustered": 0, "independent": 0}
    for trial in range(200):
        values = rng.normal(size=(12, 1)) + rng.normal(size=(1, 12)) + 0.5 * rng.normal(size=(12, 12))
        factors = {"portrait": portraits, "speech": speeches}
        for name, shared in (("clustered", factors), ("independent", None)):
            interval = estimate_mean(values.ravel(), shared, n_resamples=600, seed=trial).interval
            assert interval is not None
            held[name] += interval.low <= 0.0 <= interval.high
    assert held["clustered"] / 200 >= 0.93
    assert held["independent"] / 200 <= 0.75


def test_redrawing_one_factor_is_a_bootstrap_of_its_means() -> None:
    """With as many values in every level, one factor is the same as the plain bootstrap of level means."""
    values = np.random.default_rng(5).normal(size=(10, 4))
    codes = np.repeat(np.arange(10), 4)
    clustered = clustered_interval(values.ravel(), [codes], n_resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (values.mean(axis=1),), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert clustered == pytest.approx((theirs.low, theirs.high), abs=0.03 * (theirs.high - theirs.low))


def test_empty_redraws_of_a_sparse_table_are_left_out() -> None:
    diagonal = np.arange(6)
    interval = clustered_interval(np.arange(6.0), [diagonal, diagonal])
    assert 0.0 <= interval.low < interval.high <= 5.0


def test_a_factor_with_few_levels_is_taken_as_given() -> None:
    few, enough = "ab" * 6, list(range(12))
    assert list(random_factors({"portrait": few, "speech": enough})) == ["speech"]
    values = np.random.default_rng(2).normal(size=12)
    assert estimate_mean(values, {"portrait": few}) == estimate_mean(values)
    assert 40 * 2.0 ** (1 - MIN_LEVELS) < 0.05 < 40 * 2.0 ** (3 - MIN_LEVELS)


@pytest.mark.parametrize(
    ("n", "value", "reason"),
    [(0, None, "nothing was measured"), (1, 3.0, "1 of the 5 values"), (2, 3.5, "2 of the 5 values")],
)
def test_too_few_values_are_a_reason(n: int, value: float | None, reason: str) -> None:
    estimate = estimate_mean(np.arange(3.0, 3.0 + n))
    assert (estimate.value, estimate.interval, estimate.n) == (value, None, n)
    assert reason in str(estimate.reason)


def test_equal_values_have_an_interval_without_width() -> None:
    estimate = estimate_mean(np.full(7, 0.25))
    assert estimate.interval == (0.25, 0.25)


@pytest.mark.parametrize("spread", [0.0, 1e-16, 1e-12, 1e-10, 1e-8, 1e-6])
def test_hardly_any_spread_still_gives_an_interval_of_numbers(spread: float) -> None:
    values = 0.3 + spread * np.random.default_rng(0).random(200)
    interval = estimate_mean(values).interval
    assert interval is not None
    assert values.min() - 1e-15 <= interval.low <= interval.high <= values.max() + 1e-15


def test_missing_values_are_refused() -> None:
    with pytest.raises(ValueError, match="leave out what is missing"):
        estimate_mean(np.array([1.0, np.nan]))


@settings(max_examples=50)
@given(arrays(int, st.integers(MIN_VALUES, 30), elements=st.integers(-1000, 1000)), st.floats(-10, 10))
def test_moving_all_values_moves_the_interval(values: np.ndarray, shift: float) -> None:
    here = estimate_mean(values, n_resamples=200)
    there = estimate_mean(values + shift, n_resamples=200)
    assert here.interval is not None
    assert there.interval is not None
    assert there.interval == pytest.approx(tuple(edge + shift for edge in here.interval), abs=1e-6)
    assert values.min() - 1e-9 <= here.interval.low <= here.interval.high <= values.max() + 1e-9


def test_the_same_seed_gives_the_same_interval() -> None:
    assert bca_interval(SKEWED, seed=4) == bca_interval(SKEWED, seed=4)
    assert code_levels(["x", "y", "x", "z"]).tolist() == [0, 1, 0, 2]
