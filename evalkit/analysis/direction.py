"""Which way is better: the one rule for signs, of values and of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalkit.types import Metric


def magnitude(metric: Metric, value: float) -> float:
    """Return what changes are measured on: the value, or its size where 0 is best.

    >>> from evalkit.types import Metric
    >>> magnitude(Metric("lip_sync.offset_ms", "ms", "zero", "positive: the audio leads"), -80.0)
    80.0
    """
    return abs(value) if metric.better == "zero" else value


def loss(metric: Metric, value: float) -> float:
    """Return a value such that lower is better; a metric that is best in a band counts as lower is better."""
    return -value if metric.better == "higher" else magnitude(metric, value)


def is_better(metric: Metric, change: float) -> bool | None:
    """Say whether a change of a metric's `magnitude` is for the better; None where neither direction is."""
    if metric.better == "band" or change == 0:
        return None
    return (change > 0) == (metric.better == "higher")
