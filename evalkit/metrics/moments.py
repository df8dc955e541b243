"""Worst moments: where, in a metric's course over time, it is bad.

A course is a badness for each of some intervals of time (frames, windows, pauses). Neighbouring intervals beyond a threshold are
one stretch; stretches are ranked by how far and how long they are beyond it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evalkit.metrics.checks import (
    require_finite,
    require_increasing,
    require_mask,
    require_positive,
    require_same_length,
    require_shape,
)
from evalkit.types import BoolArray, FloatArray, Measurement, Moment

MOST = 5
"""Stretches that are named."""
JOIN_S = 0.2
"""Stretches that are no further apart are one."""

# What is bad, where other packages ask too. Limits of a single course stand beside it; docs/moments.md has them all.

LOWEST_SPARC = -5.0
"""Movement is rough below; eleven real speakers lie between -4.4 and -2.7. The bundled policy asks for it."""
ROUGH_SPARC = -6.0
"""Of a single window of two seconds, in which few joints move: those of real speakers reach -5.4."""
LEAST_FIDELITY = 0.85
"""A mark is not the brand's below. The bundled policy asks for it."""
MOST_DELTA_E = 5.0
"""A colour that is further off is seen at a glance. The bundled policy asks for it."""
OFFSET_NOTICED_MS = (-125.0, 45.0)
"""Sound that lags or leads by more is noticed (ITU-R BT.1359)."""
OFFSET_REFUSED_MS = (-185.0, 90.0)
"""Sound that lags or leads by more is not accepted (ITU-R BT.1359). The offset of a few seconds is known to some 30 ms, so
that a stretch is held against this."""

_ROUNDING_S = 1e-6


def worst_moments(
    starts_s: FloatArray,
    ends_s: FloatArray,
    values: FloatArray,
    is_bad: BoolArray,
    badness: FloatArray,
    *,
    join_s: float = JOIN_S,
    least_s: float = 0.0,
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
    least_s : float
        Shorter stretches are not named.
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
    found = []
    for rows in map(np.array, stretches):
        start_s, end_s = float(starts_s[rows].min()), float(ends_s[rows].max())
        if end_s - start_s >= max(least_s - _ROUNDING_S, _ROUNDING_S):
            weight = float((badness[rows] * (ends_s[rows] - starts_s[rows])).sum())
            found.append((weight, Moment(start_s, end_s, float(values[rows[int(badness[rows].argmax())]]))))
    return tuple(moment for _, moment in sorted(found, key=lambda one: -one[0])[:most])


def moments_beyond(
    times_s: FloatArray,
    weights_s: FloatArray,
    values: FloatArray,
    *,
    lowest: float = -np.inf,
    highest: float = np.inf,
) -> tuple[Moment, ...]:
    """Name the stretches of a course that is sampled now and then, as key frames are.

    Parameters
    ----------
    times_s, weights_s : FloatArray, shape (n,)
        When each sample was taken, and the time from then on that it stands for.
    values : FloatArray, shape (n,)
        NaN where there is none.
    lowest, highest : float
        What is beyond is bad.

    Returns
    -------
    tuple of Moment

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or times that do not increase.

    Examples
    --------
    >>> t = np.arange(4.0)
    >>> moments_beyond(t, np.ones(4), np.array([0.9, 0.2, np.nan, 0.95]), lowest=0.85)
    (Moment(start_s=1.0, end_s=2.0, value=0.2),)
    """
    require_increasing("times_s", times_s)
    require_same_length({"times_s": times_s, "weights_s": weights_s, "values": values})
    known = np.isfinite(values)
    starts_s, seen = times_s[known], values[known]
    beyond = np.maximum(lowest - seen, seen - highest)
    return worst_moments(
        starts_s, starts_s + weights_s[known], seen, beyond > 0, np.maximum(beyond, 0.0), join_s=_ROUNDING_S
    )


def with_moments(measurement: Measurement, moments: tuple[Moment, ...]) -> Measurement:
    """Return a measurement with its worst moments; one without a value has none."""
    return measurement if measurement.value is None else replace(measurement, moments=moments)


def cells_of_windows(starts_s: FloatArray, length_s: float) -> tuple[FloatArray, FloatArray]:
    """Return the part of the clip that each window stands for: what is nearer to its middle than to any other's.

    A window that overlaps its neighbours is bad as soon as about half of it is, so that bad windows together reach further
    than what is bad; their cells do not.

    Parameters
    ----------
    starts_s : FloatArray, shape (n,)
        Where each window begins, increasing.
    length_s : float
        Of every window.

    Returns
    -------
    starts_s, ends_s : FloatArray, shape (n,)
        Within the windows; those of the first and the last reach to their ends.

    Raises
    ------
    ValueError
        For arrays of another shape, times that do not increase, or a length that is not above 0.

    Examples
    --------
    >>> starts_s, ends_s = cells_of_windows(np.array([0.0, 1.0, 2.0, 9.0]), 3.0)
    >>> starts_s.tolist(), ends_s.tolist()
    ([0.0, 2.0, 3.0, 9.0], [2.0, 3.0, 5.0, 12.0])
    """
    require_increasing("starts_s", starts_s)
    require_positive("length_s", length_s)
    between_s = (starts_s[1:] + starts_s[:-1] + length_s) / 2
    begins_s = np.maximum(starts_s, np.concatenate([starts_s[:1], between_s]))
    ends_s = np.minimum(starts_s + length_s, np.concatenate([between_s, starts_s[-1:] + length_s]))
    return begins_s, ends_s


def share_around(
    starts_s: FloatArray, ends_s: FloatArray, amounts_s: FloatArray, length_s: float
) -> FloatArray:
    """Return which share of the time around each interval counts.

    Parameters
    ----------
    starts_s, ends_s : FloatArray, shape (n,)
        Intervals that follow each other.
    amounts_s : FloatArray, shape (n,)
        How much of each counts, at most its length.
    length_s : float
        Of what is looked at, around the middle of each interval.

    Returns
    -------
    FloatArray, shape (n,)
        From 0 to 1.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or a length that is not above 0.

    Examples
    --------
    >>> t = np.arange(6.0)
    >>> share_around(t, t + 1, np.array([0, 0, 1, 1, 1, 0.0]), 3.0).round(2).tolist()
    [0.0, 0.33, 0.67, 1.0, 0.67, 0.5]
    """
    arrays = {"starts_s": starts_s, "ends_s": ends_s, "amounts_s": amounts_s}
    for name, array in arrays.items():
        require_shape(name, array, (None,))
        require_finite(name, array)
    require_same_length(arrays)
    require_positive("length_s", length_s)
    middles_s = (starts_s + ends_s) / 2
    first = np.searchsorted(middles_s, middles_s - length_s / 2 - _ROUNDING_S)
    last = np.searchsorted(middles_s, middles_s + length_s / 2 + _ROUNDING_S, side="right")
    counted, whole = (np.concatenate([[0.0], np.cumsum(part)]) for part in (amounts_s, ends_s - starts_s))
    return np.asarray(
        np.clip((counted[last] - counted[first]) / np.maximum(whole[last] - whole[first], 1e-12), 0.0, 1.0)
    )
