"""Redraws of rows."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.stats.blocks import redraw_counts


def test_every_row_is_drawn_equally_often() -> None:
    """Each of 10 rows is expected 20,000 times in 20,000 redraws; the spread is that of a binomial."""
    counts = redraw_counts(10, 20_000)
    assert (counts.sum(axis=1) == 10).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(10), abs=0.03)
    assert counts.var(axis=0) == pytest.approx(np.full(10, 0.9), rel=0.05)  # binomial: 10 x 0.1 x 0.9
