"""Is the face alive? Blinks, smile, nods, head motion and gaze, from signals of a face over time.

Signals come with their true timestamps and only where a face was found. They do not depend on the size of the face
or where it is. No measure interpolates over more than `MAX_GAP_S` without a face: what happened there is unknown.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from evalkit.metrics.checks import (
    require_finite,
    require_increasing,
    require_same_length,
    require_shape,
    require_signal,
)
from evalkit.metrics.filters import butter, find_peaks, smooth, sosfiltfilt
from evalkit.metrics.moments import worst_moments
from evalkit.metrics.motion import GRID_HZ, on_grid
from evalkit.types import BoolArray, FloatArray, Moment

MAX_GAP_S = 0.2
"""Longest time without a face over which a signal is followed."""

BLINK_DEPTH = 0.25
"""Least share of its open level by which the eye closes in a blink. Full blinks reach 0.5 and more, the half blinks
of many avatars 0.25; between blinks recorded eyes stay within 0.15."""
BLINK_TO_NOISE = 6.0
"""A blink must also stand out by so many standard deviations of the noise of the landmarks, which is large where the
face is small."""
BLINK_S = (0.06, 0.4)
"""Shortest and longest blink, at half its depth; a closure of one frame counts as long as that frame."""
OPEN_LEVEL_S = 3.0
"""Length of the stretch in which the eye's open level is sought."""

NOD_HZ = (0.5, 3.0)
"""A nod of speech lasts between a third of a second and two."""
NOD_DEG = 3.0
"""Least depth of a nod."""

EYE_RADIUS = 0.4
"""Radius of the eyeball (12 mm) in units of the eye's width (30 mm)."""
LEVEL_GAZE_Y = -0.055
"""Where the iris is between the lids of somebody who looks straight ahead: above the line of the eye's corners.
The median of recorded people who look into the camera."""
ON_CAMERA_DEG = 10.0
"""Angle to the camera within which a viewer feels looked at; the cone of direct gaze that Gamer and Hecht (J. Exp.
Psychol. HPP 33(3), 2007) measured is about 9 degrees wide, and the landmarks are good for a few degrees."""

LONGEST_GLANCE_S = 1.0
"""Speakers glance aside for less all the time."""
LONGEST_UNBLINKING_S = 36.0
"""At five blinks a minute, the lowest usual rate, one pause in twenty is longer: -ln(0.05) times 12 s."""

_SMILE_SMOOTHING_S = 0.25
_OPEN_QUANTILE = 0.75
_WINDOWS_AT_ONCE = 2048
"""Bounds the memory that a long clip takes."""


def continuous_stretches(times_s: FloatArray, *, max_gap_s: float = MAX_GAP_S) -> list[slice]:
    """Cut observations where there is a gap.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Times of observation, increasing.
    max_gap_s : float
        Longest gap that does not cut.

    Returns
    -------
    list of slice
        Covering all observations; empty when there are none.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_increasing("times_s", times_s)
    if times_s.size == 0:
        return []
    cuts = [0, *(np.flatnonzero(np.diff(times_s) > max_gap_s) + 1).tolist(), times_s.size]
    return [slice(start, stop) for start, stop in pairwise(cuts)]


def observed_time_s(times_s: FloatArray, frame_s: float, *, max_gap_s: float = MAX_GAP_S) -> float:
    """Return for how long there were observations: the stretches without a gap, each with its last frame.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Times of observation, increasing.
    frame_s : float
        How long a frame is shown.
    max_gap_s : float
        As in `continuous_stretches`.

    Returns
    -------
    float
        In seconds; 0 without observations.
    """
    stretches = continuous_stretches(times_s, max_gap_s=max_gap_s)
    return float(sum(times_s[part][-1] - times_s[part][0] + frame_s for part in stretches))


def open_level(times_s: FloatArray, openness: FloatArray) -> FloatArray:
    """Return how open the eyes are when they are open, at each moment.

    The upper quartile of `OPEN_LEVEL_S` around the moment: it follows a squint, a turning head or a drift of the
    landmarks, but no blink.

    Parameters
    ----------
    times_s, openness : FloatArray, shape (n,)
        Times, and the gap between the lids in units of the eye's width.

    Returns
    -------
    FloatArray, shape (n,)

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_signal("openness", times_s, openness)
    first = np.searchsorted(times_s, times_s - OPEN_LEVEL_S / 2, side="left")
    last = np.searchsorted(times_s, times_s + OPEN_LEVEL_S / 2, side="right")
    levels = np.empty(times_s.size)
    sizes = last - first
    for size in np.unique(sizes):  # one, but for the ends and where the frame rate varies
        windows = np.lib.stride_tricks.sliding_window_view(openness, size)
        rows = np.flatnonzero(sizes == size)
        for some in np.array_split(rows, -(-rows.size // _WINDOWS_AT_ONCE)):
            levels[some] = np.quantile(windows[first[some]], _OPEN_QUANTILE, axis=1)
    return levels


def find_blinks(times_s: FloatArray, openness: FloatArray) -> FloatArray:
    """Find the moments of blinks.

    A blink is a closing of the lids by at least `BLINK_DEPTH` of their open level, and by `BLINK_TO_NOISE` times the
    noise, that opens again, and that is between the two times of `BLINK_S` long at half its depth (between samples by
    straight lines). The noise is that of the median absolute difference from sample to sample: blinks are too short
    to enter.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Times of observation, increasing.
    openness : FloatArray, shape (n,)
        Gap between the lids in units of the eye's width, mean of both eyes.

    Returns
    -------
    FloatArray, shape (n_blinks,)
        When the eyes were most closed, in seconds. Empty when there is no blink, or nothing observed.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_signal("openness", times_s, openness)
    blinks: list[float] = []
    for part in continuous_stretches(times_s):
        time, closing = times_s[part], 1.0 - openness[part] / open_level(times_s[part], openness[part])
        if time.size < 3:
            continue
        noise = 1.4826 * np.median(np.abs(np.diff(closing))) / np.sqrt(2.0)
        depth = max(BLINK_DEPTH, BLINK_TO_NOISE * noise)
        peaks, prominences = find_peaks(closing, height=depth, prominence=depth)
        for peak, prominence in zip(peaks, prominences, strict=True):
            level = closing[peak] - prominence / 2
            duration_s = _falls_to(time, closing, peak, level, 1) - _falls_to(time, closing, peak, level, -1)
            shortest_s = min(BLINK_S[0], np.median(np.diff(time)))
            if shortest_s * 0.99 <= duration_s <= BLINK_S[1]:
                blinks.append(float(time[peak]))
    return np.array(blinks, dtype=np.float64)


def _falls_to(time: FloatArray, signal: FloatArray, peak: int, level: float, step: int) -> float:
    """Return when a signal reaches a level, going from a peak forward (step 1) or backward (step -1)."""
    index = peak
    while signal[index] > level:
        index += step
    share = (signal[index - step] - level) / (signal[index - step] - signal[index])
    return float(time[index - step] + share * (time[index] - time[index - step]))


def smile_levels(times_s: FloatArray, smile: FloatArray) -> FloatArray:
    """Return the smile without the mouth's speaking: Gaussian-smoothed over a quarter of a second (sigma).

    Parameters
    ----------
    times_s, smile : FloatArray, shape (n,)
        Times of observation, increasing, and smile.

    Returns
    -------
    FloatArray, shape (m,)
        At `GRID_HZ`, over all stretches that are long enough to be followed; empty when none is.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_signal("smile", times_s, smile)
    levels = [smooth(signal, _SMILE_SMOOTHING_S * GRID_HZ) for _, signal in _followed(times_s, smile)]
    return np.concatenate(levels) if levels else np.zeros(0)


def find_nods(times_s: FloatArray, pitch_deg: FloatArray) -> FloatArray:
    """Find the moments of nods.

    A nod is a lowering of the head by at least `NOD_DEG`, down and up again within the times of `NOD_HZ`: a
    trough of that prominence in the band-passed pitch.

    Parameters
    ----------
    times_s, pitch_deg : FloatArray, shape (n,)
        Times of observation, increasing, and pitch of the head, positive up.

    Returns
    -------
    FloatArray, shape (n_nods,)
        When the head was lowest, in seconds.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_signal("pitch_deg", times_s, pitch_deg)
    sections = butter(2, NOD_HZ, btype="bandpass", fs=GRID_HZ)
    nods: list[float] = []
    for grid_s, pitch in _followed(times_s, pitch_deg):
        troughs, _ = find_peaks(-sosfiltfilt(sections, pitch), prominence=NOD_DEG)
        nods.extend(grid_s[troughs].tolist())
    return np.array(nods, dtype=np.float64)


def _followed(times_s: FloatArray, signal: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Return the stretches of a signal on a uniform time axis, with their times."""
    stretches = []
    for part in continuous_stretches(times_s):
        time = times_s[part]
        grid_s = time[0] + np.arange(int((time[-1] - time[0]) * GRID_HZ + 1e-6) + 1) / GRID_HZ
        values = on_grid(time, signal[part], np.ones(time.size, dtype=bool), grid_s, max_gap_s=MAX_GAP_S)
        if np.isfinite(values).all():
            stretches.append((grid_s, values))
    return stretches


def rotation_spread_deg(rotations_deg: FloatArray) -> float:
    """Return how far the head turns away from its mean direction (root mean square over time).

    Parameters
    ----------
    rotations_deg : FloatArray, shape (n, 3), n >= 1
        Yaw, pitch and roll.

    Returns
    -------
    float
        In degrees; 0 for one observation or a head that is still.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_shape("rotations_deg", rotations_deg, (None, 3))
    require_finite("rotations_deg", rotations_deg)
    if not len(rotations_deg):
        raise ValueError("rotations_deg is empty; at least one observation is needed")
    return float(np.sqrt(rotations_deg.var(axis=0).sum()))


def gaze_angles_deg(
    yaw_deg: FloatArray, pitch_deg: FloatArray, gaze_x: FloatArray, gaze_y: FloatArray
) -> FloatArray:
    """Return the angle between where somebody looks and the camera.

    The direction of the head plus that of the eyes in it; an iris that is ``x`` eye widths off the middle belongs
    to an eye turned by ``asin(x / EYE_RADIUS)``.

    Parameters
    ----------
    yaw_deg, pitch_deg : FloatArray, shape (n,)
        Of the head; positive to the viewer's right, and up.
    gaze_x, gaze_y : FloatArray, shape (n,)
        Iris between the corners of the eyes in eye widths; positive to the viewer's right, and down.

    Returns
    -------
    FloatArray, shape (n,)
        In degrees, 0 into the camera.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    signals = {"yaw_deg": yaw_deg, "pitch_deg": pitch_deg, "gaze_x": gaze_x, "gaze_y": gaze_y}
    require_same_length(signals)
    for name, values in signals.items():
        require_shape(name, values, (None,))
        require_finite(name, values)
    across = np.clip(gaze_x / EYE_RADIUS, -1.0, 1.0)
    down = np.clip((gaze_y - LEVEL_GAZE_Y) / EYE_RADIUS, -1.0, 1.0)
    sideways = yaw_deg + np.degrees(np.arcsin(across))
    upward = pitch_deg - np.degrees(np.arcsin(down))
    return np.asarray(np.hypot(sideways, upward))


def eyes_open(times_s: FloatArray, openness: FloatArray) -> BoolArray:
    """Tell at which moments the eyes are open (not closed by `BLINK_DEPTH`), so that a gaze can be read from them.

    Parameters
    ----------
    times_s, openness : FloatArray, shape (n,)
        As in `find_blinks`.
    """
    return np.asarray(openness > (1.0 - BLINK_DEPTH) * open_level(times_s, openness))


def is_on_camera(angles_deg: FloatArray) -> BoolArray:
    """Tell which angles from `gaze_angles_deg` are within `ON_CAMERA_DEG`.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_finite("angles_deg", angles_deg)
    return np.asarray(angles_deg <= ON_CAMERA_DEG)


def look_away_moments(times_s: FloatArray, angles_deg: FloatArray, frame_s: float) -> tuple[Moment, ...]:
    """Name the stretches of at least `LONGEST_GLANCE_S` in which the open eyes look away from the camera.

    Parameters
    ----------
    times_s, angles_deg : FloatArray, shape (n,)
        Of the frames with open eyes; from `gaze_angles_deg`. A blink, or a gap of up to 0.4 s, does not end a stretch.
    frame_s : float
        How long a frame is shown.

    Returns
    -------
    tuple of Moment
        Each with a share of 0, as nobody is looked at.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.

    Examples
    --------
    >>> times_s = np.arange(100) / 25
    >>> look_away_moments(times_s, np.where((times_s >= 1) & (times_s < 3), 25.0, 4.0), 0.04)
    (Moment(start_s=1.0, end_s=3.0, value=0.0),)
    """
    require_signal("angles_deg", times_s, angles_deg)
    beyond = angles_deg - ON_CAMERA_DEG
    return worst_moments(
        times_s,
        times_s + frame_s,
        np.zeros(times_s.size),
        beyond > 0,
        np.maximum(beyond, 0.0),
        join_s=BLINK_S[1],
        least_s=LONGEST_GLANCE_S,
    )


def unblinking_moments(times_s: FloatArray, blinks_s: FloatArray) -> tuple[Moment, ...]:
    """Name the stretches of more than `LONGEST_UNBLINKING_S` without a blink.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Of the frames with a face; a gap of more than `MAX_GAP_S` ends a stretch, as nobody knows what happened there.
    blinks_s : FloatArray, shape (n_blinks,)
        From `find_blinks`.

    Returns
    -------
    tuple of Moment
        Each with 0 blinks a minute.

    Raises
    ------
    ValueError
        For arrays of another shape, or times that do not increase.
    """
    require_shape("blinks_s", blinks_s, (None,))
    starts_s, ends_s = [], []
    for part in continuous_stretches(times_s):
        first_s, last_s = times_s[part][0], times_s[part][-1]
        inside = blinks_s[(blinks_s > first_s) & (blinks_s < last_s)]
        starts_s += [first_s, *inside]
        ends_s += [*inside, last_s]
    begins, ends = np.array(starts_s, dtype=np.float64), np.array(ends_s, dtype=np.float64)
    is_long = ends - begins > LONGEST_UNBLINKING_S
    return worst_moments(begins, ends, np.zeros(begins.size), is_long, np.ones(begins.size), join_s=-1.0)
