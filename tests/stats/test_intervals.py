"""Intervals, against known distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from evalkit.stats.intervals import MIN_UNLIKE, MIN_WINDOWS, rate_interval, ratio_interval
from evalkit.types import FloatArray


def neighbours(rng: np.random.Generator, n: int, correlation: float) -> FloatArray:
    """Draw n normal values, each correlated with the one before."""
    values = rng.normal(size=n)
    for k in range(1, n):
        values[k] = correlation * values[k - 1] + np.sqrt(1 - correlation**2) * values[k]
    return values


@pytest.mark.parametrize(
    ("n", "correlation", "low", "high"),
    [(12, 0.0, 0.93, 0.97), (12, 0.3, 0.89, 0.97), (20, 0.5, 0.88, 0.96), (60, 0.5, 0.91, 0.97)],
)
def test_the_interval_of_windows_that_resemble_each_other(
    n: int, correlation: float, low: float, high: float
) -> None:
    rng = np.random.default_rng(0)
    n_held = 0
    for _ in range(1000):
        interval = ratio_interval(3.0 + neighbours(rng, n, correlation), np.ones(n))
        assert interval is not None
        n_held += interval.low <= 3.0 <= interval.high
    assert low <= n_held / 1000 <= high


@pytest.mark.parametrize("n", [12, 20, 40])
def test_a_clip_that_is_nearly_always_the_same_has_an_interval_that_holds_or_none(n: int) -> None:
    """85 % of the windows are 0, the mean is 0.045: a percentile bootstrap held it in 66 to 87 % of clips."""
    rng = np.random.default_rng(n)
    found = []
    for _ in range(2000):
        rank = ndtr(neighbours(rng, n, 0.3))
        interval = ratio_interval(np.maximum(0.0, (rank - 0.85) / 0.15) * 0.6, np.ones(n), bounds=(0.0, 1.0))
        if interval is not None:
            assert interval.high > interval.low >= 0.0
            found.append(interval.low <= 0.045 <= interval.high)
    assert len(found) >= 40
    assert np.mean(found) >= 0.90


def test_ratio_interval_by_hand() -> None:
    # 24 windows 1, 2, 3, 1, 2, 3 …: the sums of what is above 2 go -1, -1, 0, so that 16 of their squares are 1
    interval = ratio_interval(np.tile([1.0, 2.0, 3.0], 8), np.ones(24))
    reach = (6.74 + 33 / 24**2) * np.sqrt(16 / 24**3)
    assert interval == pytest.approx((2 - reach, 2 + reach))


def test_ratio_interval_leaves_out_windows_with_nothing_in_them() -> None:
    values, weights = np.arange(1.0, 13.0), np.linspace(1.0, 2.0, 12)
    padded = ratio_interval(np.append(values, 0.0), np.append(weights, 0.0))
    assert padded == ratio_interval(values, weights) is not None


def test_ratio_interval_stays_within_its_bounds() -> None:
    values = np.tile([0.0, 1.0, 1.0], 5)
    assert ratio_interval(values, np.ones(15), bounds=(0.6, 0.7)) == (0.6, 0.7)
    low, high = ratio_interval(values, np.ones(15)) or (0.0, 0.0)
    assert low < 0.6
    assert high > 0.7


def test_ratio_interval_promises_nothing_from_few_windows_or_few_that_differ() -> None:
    n = MIN_WINDOWS
    assert ratio_interval(np.arange(n - 1.0), np.ones(n - 1)) is None
    assert ratio_interval(np.ones(100), np.ones(100)) is None
    values = np.zeros(100)
    values[: MIN_UNLIKE - 1] = 1.0
    assert ratio_interval(values, np.ones(100)) is None
    values[MIN_UNLIKE] = 1.0
    assert ratio_interval(values, np.ones(100)) is not None


def test_rate_interval_against_published_limits():
    """Garwood's table, as in Johnson, Kemp & Kotz, Univariate Discrete Distributions, 3rd ed."""
    assert rate_interval(0, 1.0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert rate_interval(5, 1.0) == pytest.approx((1.623, 11.668), abs=1e-3)
    assert rate_interval(10, 2.0) == pytest.approx((4.795 / 2, 18.390 / 2), abs=1e-3)


def test_rate_interval_refuses_no_exposure():
    with pytest.raises(ValueError, match="positive exposure"):
        rate_interval(1, 0.0)
