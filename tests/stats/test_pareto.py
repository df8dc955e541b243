"""The Pareto front, against its definition written as loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evalkit.stats.pareto import pareto_front


@settings(max_examples=50)
@given(arrays(int, st.tuples(st.integers(0, 12), st.integers(1, 3)), elements=st.integers(0, 4)))
def test_the_front_is_what_nothing_beats(costs: np.ndarray) -> None:
    points = [tuple(point) for point in costs.tolist()]
    expected = [
        not any(all(q <= p for q, p in zip(other, point, strict=True)) and other != point for other in points)
        for point in points
    ]
    assert pareto_front(costs.astype(float)).tolist() == expected


def test_no_points_have_no_front() -> None:
    assert pareto_front(np.empty((0, 2))).shape == (0,)


def test_a_missing_cost_is_refused() -> None:
    with pytest.raises(ValueError, match="leave out what is missing"):
        pareto_front(np.array([[1.0, np.nan]]))
