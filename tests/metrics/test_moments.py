"""Worst moments of a course, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.metrics.moments import cells_of_windows, moments_beyond, with_moments, worst_moments
from evalkit.types import Measurement, Metric, Moment, Reason


def find(values: list[float], *, limit: float = 0.3, **options: float) -> tuple[Moment, ...]:
    course = np.array(values)
    starts_s = np.arange(course.size, dtype=float)
    return worst_moments(
        starts_s, starts_s + 1, course, course > limit, np.maximum(course - limit, 0), **options
    )


def test_nothing_bad_is_no_moment() -> None:
    assert find([0.1, 0.2, 0.3]) == ()
    assert find([]) == ()


def test_the_longer_of_two_equally_bad_stretches_comes_first() -> None:
    assert find([0.5, 0, 0, 0.5, 0.5, 0]) == (Moment(3, 5, 0.5), Moment(0, 1, 0.5))


def test_a_short_break_is_bridged() -> None:
    assert find([0.5, 0, 0.6], join_s=1.0) == (Moment(0, 3, 0.6),)


def test_overlapping_windows_are_one_stretch() -> None:
    starts_s = np.array([0.0, 1.0, 2.0, 8.0])
    values = np.array([0.4, 0.9, 0.4, 0.4])
    found = worst_moments(starts_s, starts_s + 3, values, values > 0.3, values)
    assert found == (Moment(0, 5, 0.9), Moment(8, 11, 0.4))


def test_what_is_beyond_the_most_is_left_out() -> None:
    assert len(find([0.5, 0] * 9)) == 5


@pytest.mark.parametrize("name", ["starts_s", "ends_s", "values", "is_bad", "badness"])
def test_a_length_that_differs_is_refused(name: str) -> None:
    arrays = {key: np.zeros(3) for key in ("starts_s", "ends_s", "values", "badness")}
    arrays["is_bad"] = np.zeros(3, dtype=bool)
    arrays[name] = arrays[name][:2]
    with pytest.raises(ValueError, match="2"):
        worst_moments(**arrays)


def test_a_stretch_that_is_too_short_is_not_named() -> None:
    assert find([0.5, 0, 0.5, 0.5], least_s=2.0) == (Moment(2, 4, 0.5),)


def test_windows_that_are_half_inside_of_a_fault_reach_no_further_than_it() -> None:
    """A fault from 4 to 7 s, seen by windows of 3 s that are bad where it fills more than half of them."""
    starts_s = np.arange(10.0)
    inside_s = np.minimum(starts_s + 3, 7.0) - np.maximum(starts_s, 4.0)
    cells = cells_of_windows(starts_s, 3.0)
    (found,) = worst_moments(*cells, inside_s, inside_s > 1.5, np.maximum(inside_s, 0))
    assert (found.start_s, found.end_s) == (4, 7)


def test_cells_follow_each_other_and_stay_within_their_windows() -> None:
    random = np.random.default_rng(3)
    starts_s = np.cumsum(random.uniform(0.1, 5.0, 50))
    begins_s, ends_s = cells_of_windows(starts_s, 2.0)
    assert (begins_s >= starts_s).all()
    assert (ends_s <= starts_s + 2.0 + 1e-9).all()
    assert (begins_s[1:] >= ends_s[:-1] - 1e-9).all()
    assert (ends_s > begins_s).all()


def test_no_window_has_no_cell() -> None:
    begins_s, ends_s = cells_of_windows(np.zeros(0), 3.0)
    assert begins_s.size == ends_s.size == 0


def test_key_frames_without_a_value_are_in_no_stretch() -> None:
    times_s = np.array([0.0, 0.5, 1.0, 1.5])
    values = np.array([9.0, np.nan, 7.0, 4.0])
    found = moments_beyond(times_s, np.full(4, 0.5), values, highest=5.0)
    assert found == (Moment(0.0, 0.5, 9.0), Moment(1.0, 1.5, 7.0))


def test_what_was_not_measured_gets_no_moments() -> None:
    metric = Metric("a.b", "1", "lower", "")
    assert with_moments(Measurement.absent(metric, Reason.TOO_SHORT), (Moment(0, 1, 2),)).moments == ()
    assert with_moments(Measurement(metric, 1.0), (Moment(0, 1, 2),)).moments == (Moment(0, 1, 2),)
