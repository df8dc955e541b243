"""From measured points to what will be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.forecast.regression import forecast


def test_no_points_no_forecast() -> None:
    assert forecast([], 1.0) is None


def test_one_trial_tells_no_spread() -> None:
    found = forecast([(2.0, 30.0)], 2.0)
    assert found is not None
    assert (found.value, found.low, found.high, found.n) == (30.0, None, None, 1)


def test_the_mean_of_the_same_amount_with_its_interval() -> None:
    # mean 12, standard deviation 2 (n - 1), Student's t of 2 degrees 4.302653: 2 * 4.302653 * sqrt(1 + 1/3) = 9.936551
    found = forecast([(5.0, 10.0), (5.0, 12.0), (5.0, 14.0), (9.0, 99.0)], 5.0)
    assert found is not None
    assert (found.value, found.n) == (12.0, 3)
    assert (found.low, found.high) == (pytest.approx(2.063449), pytest.approx(21.936551))


def test_a_planted_line_is_found() -> None:
    found = forecast([(amount, 4.0 + 3.0 * amount) for amount in (1.0, 2.0, 4.0, 8.0)], 6.0)
    assert found is not None
    assert found.value == pytest.approx(22.0)
    assert (found.low, found.high) == (pytest.approx(22.0), pytest.approx(22.0))
    assert found.how == "a line through 4 trials"


def test_noise_never_makes_more_work_quicker() -> None:
    found = forecast([(1.0, 5.0), (2.0, 4.0), (3.0, 3.0)], 9.0)
    assert found is not None
    assert found.value == pytest.approx(4.0)  # no trend: the mean
    below = forecast([(2.0, 1.0), (3.0, 2.0), (4.0, 3.0)], 1.0)  # a straight line would give 0
    assert below is not None
    # through the origin: slope = (2*1 + 3*2 + 4*3) / (4 + 9 + 16)
    assert below.value == pytest.approx(20 / 29)


def test_beyond_what_was_seen_is_said() -> None:
    found = forecast([(amount, 4.0 + 3.0 * amount) for amount in (1.0, 2.0, 4.0)], 40.0)
    assert found is not None
    assert found.how.endswith("beyond them")


def test_two_amounts_give_a_bracket() -> None:
    found = forecast([(1.0, 10.0), (4.0, 20.0)], 8.0)
    assert found is not None
    assert (found.low, found.value, found.high) == (
        20.0,
        40.0,
        40.0,
    )  # from the nearest: unchanged, or twice as much
    less = forecast([(4.0, 20.0)], 1.0)
    assert less is not None
    assert (less.low, less.value, less.high) == (5.0, 5.0, 20.0)


def test_an_interval_of_95_percent_holds_19_of_20() -> None:
    random = np.random.default_rng(7)
    inside = 0
    for _ in range(400):
        points = [(amount, 5 + 2 * amount + random.normal(0, 1)) for amount in (1.0, 2.0, 3.0, 5.0, 8.0)]
        found = forecast(points, 4.0)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 5 + 2 * 4.0 + random.normal(0, 1) <= found.high
    assert 0.92 <= inside / 400 <= 0.98


@given(
    points=st.lists(st.tuples(st.floats(0.1, 1e9), st.floats(0.1, 1e5)), min_size=1, max_size=8),
    work=st.floats(0.1, 1e9),
)
def test_never_below_nothing_and_always_within_its_bounds(
    points: list[tuple[float, float]], work: float
) -> None:
    found = forecast(points, work)
    assert found is not None
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    assert 0 <= low <= found.value * (1 + 1e-9)
    assert found.value <= high * (1 + 1e-9)
