"""Intervals, against known distributions."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.stats.intervals import MIN_WINDOWS, block_interval, rate_interval, ratio_interval


def test_ratio_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(300):
        interval = ratio_interval(rng.normal(3.0, 1.0, 40), np.ones(40), n_resamples=400, seed=trial)
        assert interval is not None
        held += interval.low <= 3.0 <= interval.high
    assert 0.90 <= held / 300 <= 0.98


def test_ratio_interval_is_repeatable():
    values = np.random.default_rng(1).random(20)
    assert ratio_interval(values, np.ones(20)) == ratio_interval(values, np.ones(20))


def test_ratio_interval_leaves_out_windows_with_nothing_in_them():
    values, weights = np.arange(1.0, 9.0), np.ones(8)
    padded = ratio_interval(np.append(values, 0.0), np.append(weights, 0.0))
    assert padded == ratio_interval(values, weights)


def test_ratio_interval_promises_nothing_from_few_windows():
    assert ratio_interval(np.ones(MIN_WINDOWS - 1), np.ones(MIN_WINDOWS - 1)) is None


def test_rate_interval_against_published_limits():
    """Garwood's table, as in Johnson, Kemp & Kotz, Univariate Discrete Distributions, 3rd ed."""
    assert rate_interval(0, 1.0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert rate_interval(5, 1.0) == pytest.approx((1.623, 11.668), abs=1e-3)
    assert rate_interval(10, 2.0) == pytest.approx((4.795 / 2, 18.390 / 2), abs=1e-3)


def test_rate_interval_refuses_no_exposure():
    with pytest.raises(ValueError, match="positive exposure"):
        rate_interval(1, 0.0)


def test_block_interval_needs_three_values_and_holds_the_mean() -> None:
    assert block_interval(np.array([0.1, 0.2]), n_neighbours=6) is None
    interval = block_interval(np.array([0.0, 0.1, 0.2, 0.3]), n_neighbours=6)
    assert interval is not None
    assert 0.0 <= interval.low < 0.15 < interval.high <= 0.3


def test_the_interval_of_a_mean_knows_that_windows_overlap() -> None:
    """Means of three neighbours, as of overlapping windows: 95 % intervals hold the truth nearly as often."""
    held = []
    for trial in range(300):
        white = np.random.default_rng(trial).normal(0.4, 0.2, 42)
        overlapping = np.convolve(white, np.ones(3) / 3, mode="valid")
        interval = block_interval(overlapping, n_neighbours=6, seed=trial)
        assert interval is not None
        held.append(interval.low <= 0.4 <= interval.high)
    assert 0.86 <= np.mean(held) <= 0.98
