"""Worst moments of a course, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.metrics.moments import worst_moments
from evalkit.types import Moment


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
