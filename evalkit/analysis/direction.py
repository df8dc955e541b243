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


def loss_bounds(metric: Metric) -> tuple[float | None, float | None]:
    """Return the lowest and the highest `loss` that there can be; None where open.

    >>> from evalkit.types import Metric
    >>> loss_bounds(Metric("brand.fidelity", "1", "higher", "likeness", (0.0, 1.0)))
    (-1.0, -0.0)
    """
    low, high = metric.bounds
    if metric.better == "higher":
        return None if high is None else -high, None if low is None else -low
    if metric.better == "zero":
        return 0.0, None if low is None or high is None else max(abs(low), abs(high))
    return low, high


def is_better(metric: Metric, change: float) -> bool | None:
    """Say whether a change of a metric's `magnitude` is for the better; None where neither direction is."""
    if metric.better == "band" or change == 0:
        return None
    return (change > 0) == (metric.better == "higher")
