"""Redraws of neighbouring values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.stats.blocks import redraw_counts, redraw_rows


@given(n=st.integers(1, 40), length=st.integers(1, 12), seed=st.integers(0, 5))
def test_runs_are_neighbours_and_fill_the_clip(n: int, length: int, seed: int) -> None:
    rows = redraw_rows(n, 7, length=length, seed=seed)
    assert rows.shape == (7, n)
    assert set(np.unique(rows)) <= set(range(n))
    inside = np.arange(1, n) % length != 0  # steps within a run
    assert ((np.diff(rows, axis=1)[:, inside] - 1) % n == 0).all()


def test_every_row_is_drawn_equally_often() -> None:
    """Each of 10 rows is expected 20,000 times in 20,000 redraws; the spread is that of a binomial."""
    for length in (1, 3):
        times = np.bincount(redraw_rows(10, 20_000, length=length).ravel(), minlength=10)
        assert times == pytest.approx(np.full(10, 20_000), rel=0.03)
    counts = redraw_counts(10, 20_000)
    assert (counts.sum(axis=1) == 10).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(10), abs=0.03)
    assert counts.var(axis=0) == pytest.approx(np.full(10, 0.9), rel=0.05)  # binomial: 10 x 0.1 x 0.9
