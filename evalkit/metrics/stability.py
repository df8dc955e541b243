"""Does a talking head hold over minutes? Seams between generated pieces, and slow drifts: arrays in, numbers out.

Seam
    A jump from one picture to the next that stands out of its surroundings: how far the change of a picture is off what is
    expected from those around it, over how far these are off. A fast gesture has fast neighbours, so it is none; a seam has
    quiet ones.
Period
    Seams of a generator that works in pieces of equal length come at equal intervals. How likely seams at random would be so
    regular says whether there is a period.
Drift
    The slope of a signal, robust (Theil-Sen) on medians over blocks of two seconds. Its interval takes the error from how far
    what is left wanders on its way through the clip [1]_, so that no guess is needed of how long a posture lasts.

References
----------
.. [1] I. N. Lobato, "Testing that a dependent process is uncorrelated", Journal of the American Statistical Association 96, 2001;
   X. Shao, "A self-normalized approach to confidence interval construction in time series", Journal of the Royal Statistical
   Society B 72, 2010.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.checks import (
    require_finite,
    require_increasing,
    require_positive,
    require_same_length,
    require_shape,
)
from evalkit.metrics.color_difference import delta_e
from evalkit.types import FloatArray, Interval

SEAM_SCORE = 3.2
"""A change so many times what is usual around it is a seam."""
EXPECTED_SEAM_SCORE = 1.6
"""The same where a period says that there is one."""
_AROUND = 6
"""Changes on either side whose median is expected of one that has no course."""
_NEAR, _NEAR_SMOOTH = 2, 3
"""Changes on either side that a seam stands out of, without and with a course."""
_LOCAL = 12
_USUAL = 4.0
"""Of the median deviation within `_LOCAL` changes: a larger one than this is unusual."""

VISIBLE_FLICKER_PERCENT = 0.5
"""From here on half a second of flicker is among the worst moments: real backgrounds stay below."""

BLOCK_S = 2.0
MIN_BLOCKS = 10
LEAST_IN_BLOCK = 2

_PERIOD_CHANCE = 0.01
_LEAST_PERIOD_FRAMES = 6
_LEAST_SEAMS = 4
_LEAST_OCCUPIED = 0.6
_MOST_MISSED = 2
_TOLERANCES_FRAMES = (0.5, 1.0)


def jump_scores(
    times_s: FloatArray, changes: FloatArray, floor: float, *, is_smooth: bool = False
) -> FloatArray:
    """Return how far each change from one picture to the next stands out of those around it.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Of the pictures, increasing; those that repeat the one before left out.
    changes : FloatArray, shape (n, k)
        How each picture differs from the one before, in k directions of one unit; NaN where it is not known.
    floor : float
        In that unit: a smaller variation around a change counts as this, so that a change in a still picture need not be seen.
    is_smooth : bool
        Whether changes have a course, as those of a movement: then each is expected to lie between its two neighbours, otherwise
        at the median of those around it.

    Returns
    -------
    FloatArray, shape (n,)
        At least 0. A change counts less the more time it had. 0 where it, or one of its nearest neighbours, is not known.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.

    Examples
    --------
    >>> changes = np.zeros((50, 1))
    >>> changes[20] = 0.8
    >>> scores = jump_scores(np.arange(50) / 25, changes, floor=0.1)
    >>> int(scores.argmax()), float(scores.max().round(6))
    (20, 8.0)
    >>> scores = jump_scores(np.arange(50) / 25, changes, floor=0.1, is_smooth=True)
    >>> int(scores.argmax()), float(scores.max().round(6))
    (20, 8.0)
    """
    require_increasing("times_s", times_s)
    require_shape("changes", changes, (None, None))
    n = require_same_length({"times_s": times_s, "changes": changes})
    require_positive("floor", floor)
    reach = _NEAR_SMOOTH if is_smooth else _NEAR
    if n < 2 * reach + 2:
        return np.zeros(n)
    gaps_s = np.diff(times_s, prepend=np.nan)[:, None]
    usual_s = float(np.nanmedian(gaps_s))
    speeds = changes * (usual_s / gaps_s)
    if is_smooth:
        off, near = _off_the_course(speeds, reach)
    else:
        off = (speeds - _median_around(speeds, _AROUND)) * np.fmin(1.0, gaps_s / usual_s)
        near = _around(np.linalg.norm(off, axis=1), reach)
    sizes = np.linalg.norm(off, axis=1)
    is_judged = np.isfinite(sizes) & np.isfinite(near).all(axis=0)
    usual = _USUAL * _median_around(sizes[:, None], _LOCAL)[:, 0]
    with np.errstate(invalid="ignore"):
        scores = sizes / np.fmax(np.fmax(near.max(axis=0), usual), floor)
    return np.where(is_judged, scores, 0.0)


def _off_the_course(speeds: FloatArray, reach: int) -> tuple[FloatArray, FloatArray]:
    """Return how each value is off the middle between its neighbours, and how far those near it would be off without it.

    Returns
    -------
    off : FloatArray, shape (n, k)
    near : FloatArray, shape (2 * reach, n)
        Of each neighbour, if the value itself were in the middle between its own.
    """
    off = speeds - _around(speeds, 1).mean(axis=0)
    near = _around(off, reach)
    near[[reach - 1, reach]] += off / 2
    return off, np.linalg.norm(near, axis=2)


def _around(values: FloatArray, reach: int) -> FloatArray:
    """Return the neighbours of each value, up to `reach` away, without itself; NaN beyond the ends."""
    beyond = np.full((reach, *values.shape[1:]), np.nan)
    padded = np.concatenate([beyond, values, beyond])
    n = values.shape[0]
    return np.stack([padded[start : start + n] for start in range(2 * reach + 1) if start != reach])


def _median_around(values: FloatArray, reach: int) -> FloatArray:
    """Return the median of the known neighbours of each value; NaN where there is none."""
    neighbours = np.sort(_around(values, reach), axis=0)  # NaN last
    n_known = np.isfinite(neighbours).sum(axis=0)
    lower, upper = np.maximum((n_known - 1) // 2, 0), np.maximum(n_known // 2, 0)
    upper = np.minimum(upper, neighbours.shape[0] - 1)
    middle = [np.take_along_axis(neighbours, at[None], axis=0)[0] for at in (lower, upper)]
    return np.where(n_known > 0, (middle[0] + middle[1]) / 2, np.nan)


class Period(NamedTuple):
    """At what interval seams come.

    Parameters
    ----------
    period_s : float
    chance : float
        How likely seams at random were so regular, at most.
    n_regular : int
        Intervals between neighbouring seams that are a multiple of the period.
    """

    period_s: float
    chance: float
    n_regular: int


def find_period(seams_s: FloatArray, frame_s: float, span_s: float) -> Period | None:
    """Return the interval at which seams come, if they come at one.

    Candidates are the intervals between neighbouring seams and their halves and thirds, as seams may be missed; an interval
    counts as regular if it is such a multiple to half a frame, or to one. Of n intervals, chance gives one of p frames to t
    frames with a probability of (2 t + 1) / p.

    Parameters
    ----------
    seams_s : FloatArray, shape (n,)
        Times of the seams, increasing.
    frame_s : float
        Time from one frame to the next.
    span_s : float
        How long was looked for seams.

    Returns
    -------
    Period or None
        None with fewer than 4 seams, or where the chance of such regularity is above 1 %, or where most of the period's
        places have no seam.

    Raises
    ------
    ValueError
        For arrays of another shape, or values out of range.

    Examples
    --------
    >>> seams_s = np.arange(1, 9) * 48 / 25
    >>> found = find_period(seams_s, 1 / 25, 20.0)
    >>> round(found.period_s, 6), found.n_regular
    (1.92, 7)
    >>> find_period(np.array([1.0, 2.3, 5.9, 7.7, 8.2]), 1 / 25, 20.0) is None
    True
    """
    require_increasing("seams_s", seams_s)
    require_positive("frame_s", frame_s)
    require_positive("span_s", span_s)
    if seams_s.size < _LEAST_SEAMS:
        return None
    intervals = np.diff(seams_s) / frame_s
    typical = np.unique(np.round(intervals * 2) / 2)
    candidates = np.unique(np.concatenate([typical / part for part in range(1, _MOST_MISSED + 2)]))
    candidates = candidates[candidates >= _LEAST_PERIOD_FRAMES]
    best: Period | None = None
    n_tried = candidates.size * len(_TOLERANCES_FRAMES)
    for frames, tolerance in itertools.product(candidates.tolist(), _TOLERANCES_FRAMES):
        multiples = np.round(intervals / frames)
        regular = (
            (multiples >= 1)
            & (multiples <= _MOST_MISSED + 1)
            & (np.abs(intervals - multiples * frames) <= tolerance + 0.05)
        )
        n_regular = int(regular.sum())
        occupied = seams_s.size * frames * frame_s / span_s
        if n_regular < _LEAST_SEAMS - 1 or occupied < _LEAST_OCCUPIED:
            continue
        share = min(1.0, (2 * tolerance + 1) / frames if tolerance >= 1 else 1 / frames)
        log_chance = (
            math.log(n_tried)
            + math.log(math.comb(intervals.size, n_regular))
            + (n_regular - 1) * math.log(share)
        )
        chance = math.exp(min(0.0, log_chance))
        if chance <= _PERIOD_CHANCE and (best is None or chance < best.chance):
            length_s = float(intervals[regular].sum() / multiples[regular].sum()) * frame_s
            best = Period(length_s, chance, n_regular)
    return best


def find_seams(
    times_s: FloatArray, scores: FloatArray, frame_s: float
) -> tuple[NDArray[np.intp], Period | None]:
    """Return which pictures begin with a seam, and at what interval seams come.

    Where seams come at one, weaker ones count at the places where it leads to from a neighbour.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Of the pictures, increasing.
    scores : FloatArray, shape (n,)
        From `jump_scores`: the largest of a picture.
    frame_s : float
        Time from one frame to the next.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_increasing("times_s", times_s)
    require_shape("scores", scores, (None,))
    require_same_length({"times_s": times_s, "scores": scores})
    require_finite("scores", scores)
    seams = np.flatnonzero(scores >= SEAM_SCORE)
    span_s = float(times_s[-1] - times_s[0]) if times_s.size else 0.0
    if seams.size < _LEAST_SEAMS or span_s <= 0:
        return seams, None
    period = find_period(times_s[seams], frame_s, span_s)
    if period is None:
        return seams, None
    found = set(seams.tolist())
    for direction in (1, -1):  # from each seam on to the next place, which may be the place to go on from
        for seam in sorted(found, reverse=direction < 0):
            at = seam
            while True:
                place_s = times_s[at] + direction * period.period_s
                near = np.flatnonzero(np.abs(times_s - place_s) <= 1.1 * frame_s)
                near = near[scores[near] >= EXPECTED_SEAM_SCORE]
                if not near.size or found.intersection(near.tolist()):
                    break
                at = int(near[scores[near].argmax()])
                found.add(at)
    seams = np.array(sorted(found), dtype=np.intp)
    return seams, find_period(times_s[seams], frame_s, span_s) or period


class Drift(NamedTuple):
    """Slopes of some signals together.

    Parameters
    ----------
    slopes, lows, highs : FloatArray, shape (k,)
        In the signals' units a minute; all the intervals hold together with 95 %.
    n_blocks : int
    block_times_s : FloatArray, shape (n_blocks,)
        Their middles.
    block_values : FloatArray, shape (n_blocks, k)
    """

    slopes: FloatArray
    lows: FloatArray
    highs: FloatArray
    n_blocks: int
    block_times_s: FloatArray
    block_values: FloatArray


def drift_per_min(times_s: FloatArray, values: FloatArray) -> Drift | None:
    """Return by how much signals rise a minute.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Increasing.
    values : FloatArray, shape (n, k)
        What was observed; leave out other moments.

    Returns
    -------
    Drift or None
        None where fewer than `MIN_BLOCKS` blocks of `BLOCK_S` hold two moments.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.

    Notes
    -----
    Coverage by simulation of 10 to 90 blocks: 97 to 98 % for independent normal values, 95 % with a correlation of 0.5 from
    block to block, 90 to 94 % with 0.7. Several signals share the 5 % (Bonferroni).

    Examples
    --------
    >>> times_s = np.arange(0.0, 60.0, 0.5)
    >>> drift = drift_per_min(times_s, (3.0 + 2.0 * times_s / 60)[:, None])
    >>> drift.n_blocks, float(drift.slopes[0].round(6))
    (30, 2.0)
    """
    require_increasing("times_s", times_s)
    require_shape("values", values, (None, None))
    require_same_length({"times_s": times_s, "values": values})
    require_finite("values", values)
    if times_s.size < LEAST_IN_BLOCK * MIN_BLOCKS:
        return None
    blocks = np.floor((times_s - times_s[0]) / BLOCK_S).astype(int)
    borders = np.flatnonzero(np.diff(blocks, prepend=-1))
    parts = [
        slice(first, last)
        for first, last in zip(borders, [*borders[1:], times_s.size], strict=True)
        if last - first >= LEAST_IN_BLOCK
    ]
    if len(parts) < MIN_BLOCKS:
        return None
    middles_s = np.array([times_s[part].mean() for part in parts])
    medians = np.array([np.median(values[part], axis=0) for part in parts])
    minutes = (middles_s - middles_s.mean()) / 60.0
    slopes = np.array([_median_slope(minutes, column) for column in medians.T])
    left = medians - minutes[:, None] * slopes
    wandered = np.cumsum(minutes[:, None] * (left - left.mean(axis=0)), axis=0)
    reach = _reach(len(parts), values.shape[1]) * np.sqrt((wandered**2).mean(axis=0)) / (minutes**2).sum()
    return Drift(slopes, slopes - reach, slopes + reach, len(parts), middles_s, medians)


_MOST_PAIRED = 400


def _median_slope(x: FloatArray, y: FloatArray) -> float:
    """Return the median of the slopes between all pairs of points; of many, of pairs that are far apart."""
    n = x.size
    if n <= _MOST_PAIRED:
        first, second = np.triu_indices(n, 1)
    else:
        first = np.repeat(np.arange(n), _MOST_PAIRED)
        apart = np.linspace(n // 4, 3 * n // 4, _MOST_PAIRED).astype(int)
        second = (first + np.tile(apart, n)) % n
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))


def _reach(n_blocks: int, n_signals: int) -> float:
    """Return the 95 % point of a slope over how far the rest wanders, for signals that share the 5 %.

    By simulation of 10 to 90 blocks with a correlation of 0.5 from one to the next, for 1, 3 and 5 signals.
    """
    limit, of_few = {1: (8.2, 40.0), 3: (11.0, 85.0)}.get(n_signals, (12.6, 95.0))
    return limit + of_few / n_blocks


def drift_size(drift: Drift) -> tuple[float, Interval]:
    """Return the root mean square of the slopes, and its interval; it holds 0 where each slope's does.

    Examples
    --------
    >>> none = np.zeros(1)
    >>> drift_size(Drift(np.array([3.0, 4.0]), np.array([-1.0, 3.0]), np.array([7.0, 5.0]), 9, none, none))
    (3.5355339059327378, Interval(low=2.1213203435596424, high=6.082762530298219))
    """
    nearest = np.clip(0.0, drift.lows, drift.highs)
    farthest = np.maximum(np.abs(drift.lows), np.abs(drift.highs))
    size, low, high = (float(np.sqrt(np.mean(slopes**2))) for slopes in (drift.slopes, nearest, farthest))
    return size, Interval(low, high)


def color_drift_size(drift: Drift) -> tuple[float, Interval]:
    """Return ΔE00 between the colours half a minute before and after the middle of the clip, and its interval.

    Parameters
    ----------
    drift : Drift
        Of L*, a*, b*. The interval holds 0 where each of the three does.
    """
    require_shape("drift.slopes", drift.slopes, (3,))
    middle = np.median(drift.block_values, axis=0)
    corners = np.array(list(itertools.product(*zip(drift.lows, drift.highs, strict=True))))
    nearest = np.clip(0.0, drift.lows, drift.highs)
    slopes = np.concatenate([[drift.slopes, nearest], corners])
    distances = delta_e(middle - slopes / 2, middle + slopes / 2)
    value, low = float(distances[0]), float(distances[1])
    return value, Interval(min(low, value), max(value, float(distances[2:].max())))


def without_pose(shape: FloatArray, pose_deg: FloatArray) -> FloatArray:
    """Return the logarithms of distances of a face less what goes with the turn of the head.

    Landmarks of a turned face are partly a guess, so that its distances in the head frame change with the turn a little.

    Parameters
    ----------
    shape : FloatArray, shape (n, k)
        Distances, above 0.
    pose_deg : FloatArray, shape (n, p)
        Angles of the head.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_shape("shape", shape, (None, None))
    require_shape("pose_deg", pose_deg, (None, None))
    require_same_length({"shape": shape, "pose_deg": pose_deg})
    logs = np.log(shape)
    require_finite("the logarithm of shape", logs)
    turned = np.deg2rad(pose_deg - pose_deg.mean(axis=0))
    causes = np.column_stack([turned, turned**2])
    causes -= causes.mean(axis=0)
    return np.asarray(logs - causes @ np.linalg.lstsq(causes, logs - logs.mean(axis=0), rcond=1e-6)[0])
