"""Worst moments: where, in a metric's course over time, it is bad.

A course is a badness for each of some intervals of time (frames, windows, pauses). Neighbouring intervals beyond a threshold are
one stretch; stretches are ranked by how far and how long they are beyond it.
"""

from __future__ import annotations

import numpy as np

from evalkit.metrics.checks import require_finite, require_mask, require_same_length, require_shape
from evalkit.types import BoolArray, FloatArray, Moment

MOST = 5
"""Stretches that are named."""
JOIN_S = 0.2
"""Stretches that are no further apart are one."""


def worst_moments(
    starts_s: FloatArray,
    ends_s: FloatArray,
    values: FloatArray,
    is_bad: BoolArray,
    badness: FloatArray,
    *,
    join_s: float = JOIN_S,
    most: int = MOST,
) -> tuple[Moment, ...]:
    """Name the worst stretches of a course.

    Parameters
    ----------
    starts_s, ends_s : FloatArray, shape (n,)
        Begin and end of each interval; begins do not decrease. Intervals may overlap, as windows do.
    values : FloatArray, shape (n,)
        The course in the metric's unit.
    is_bad : BoolArray, shape (n,)
        Which intervals are beyond what is acceptable.
    badness : FloatArray, shape (n,)
        At least 0: by how much; of any unit, only compared with each other.
    join_s : float
        Bad intervals that are no further apart are one stretch.
    most : int
        Stretches returned at most.

    Returns
    -------
    tuple of Moment
        The worst first, by badness times length; empty without a bad interval. `Moment.value` is the value of the interval of the
        highest badness.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.

    Examples
    --------
    >>> t = np.arange(4.0)
    >>> worst_moments(t, t + 1, np.array([0.1, 0.5, 0.9, 0.2]), np.array([False, True, True, False]), np.array([0, 0.2, 0.6, 0]))
    (Moment(start_s=1.0, end_s=3.0, value=0.9),)
    """
    arrays = {"starts_s": starts_s, "ends_s": ends_s, "values": values, "badness": badness}
    for name, array in arrays.items():
        require_shape(name, array, (None,))
        require_finite(name, array)
    require_mask("is_bad", is_bad)
    require_same_length({**arrays, "is_bad": is_bad})
    stretches: list[list[int]] = []
    end_s = -np.inf
    for row in np.flatnonzero(is_bad):
        if starts_s[row] - end_s <= join_s:
            stretches[-1].append(int(row))
        else:
            stretches.append([int(row)])
            end_s = -np.inf
        end_s = max(end_s, float(ends_s[row]))
    weights = [float((badness[rows] * (ends_s[rows] - starts_s[rows])).sum()) for rows in stretches]
    ranked = sorted(range(len(stretches)), key=lambda index: -weights[index])[:most]
    return tuple(
        Moment(
            float(starts_s[rows].min()),
            float(ends_s[rows].max()),
            float(values[rows[int(badness[rows].argmax())]]),
        )
        for rows in (np.array(stretches[index]) for index in ranked)
    )
