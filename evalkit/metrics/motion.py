"""How much a body moves, how smoothly, whether it trembles and whether it stands still.

Amount and smoothness are separate numbers: a smoothness score alone rewards a frozen picture.

Every quantity is made from joint angles in the plane of the picture, so that neither the resolution of a clip nor
where or how large the person stands in it plays a part. Angles are put on a uniform time axis by their true
timestamps (`on_grid`): a missing frame never closes up the time axis, and a gap is bridged only when it is short.

Two bands divide the frequencies. Below `MOVEMENT_HZ` is movement: voluntary movement of people has next to no power
above. From there to `TREMOR_HZ` is tremor. Both are the same at every frame rate, so that a clip of 16 frames a
second can be compared with one of 60; where the frame rate is too low for a band, its metrics are absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from evalkit.metrics.checks import (
    require_finite,
    require_increasing,
    require_mask,
    require_positive,
    require_same_length,
    require_shape,
)
from evalkit.metrics.filters import butter, sosfiltfilt, spline
from evalkit.metrics.moments import cells_of_windows, share_around, worst_moments
from evalkit.types import BoolArray, FloatArray, Moment

MOVEMENT_HZ = 6.0
"""Upper end of movement, and lower end of tremor."""
TREMOR_HZ = 10.0
"""Upper end of what is looked at: four fifths of what 25 frames a second can show."""
GRID_HZ = 50.0
"""Rate of the common time axis on which movement is measured, whatever the frame rate."""
SPREAD_WINDOW_S = 10.0
SMOOTHNESS_WINDOW_S = 2.0
"""A few seconds, for which the smoothness measures were made; also the shortest clip they are given for."""
LOWEST_SPEED_DEG_S = 1.0
"""Mean speed in a window below which there is no movement whose smoothness could be judged."""
UNRESOLVED_TREMOR = (2 * np.pi * 8.0 * 0.2) ** 2
"""Power of angular speed, in (deg/s)**2, of 0.2 degrees (r.m.s.) of tremor around 8 Hz. The landmarks of a person
who sits still tremble by up to that much; it is taken off before anything counts as tremor."""
MAX_GAP_S = 0.2
"""Longest time between two observations that is bridged by interpolation."""
MIN_RUN_S = 0.5
"""Shortest stretch without a gap that can be filtered."""
FREEZE_S = 0.5
"""Stretches that stand still for less are not named."""
FROZEN_SHARE = 0.6
"""Of half a second: a picture shown twice, as 15 frames a second in 30 are, stands still for half of it."""
TREMOR_WINDOW_S = 1.0
TREMOR_HOP_S = 0.2
LEAST_TREMOR_DEG = 0.5
ABOVE_USUAL = 3.0
SHORTEST_TREMOR_S = 0.5

_MIN_INTERVAL = 0.25
_FORESHORTENED = 0.25
_DIP = 0.2
_DIP_CEILING = 10.0


def spectral_arc_length(
    speed: FloatArray,
    rate_hz: float,
    *,
    cutoff_hz: float = 10.0,
    amplitude_threshold: float = 0.05,
    pad_level: int = 4,
) -> float:
    """Return the spectral arc length (SPARC) of a speed profile.

    Parameters
    ----------
    speed : FloatArray, shape (n,), n >= 2
        Speed over time, in any unit; not all zero.
    rate_hz : float
        Samples a second.
    cutoff_hz : float
        Highest frequency looked at. Must not exceed half of `rate_hz`.
    amplitude_threshold : float
        The spectrum ends where it last reaches this share of its largest amplitude.
    pad_level : int
        Zero padding to ``2 ** pad_level`` times the next power of two.

    Returns
    -------
    float
        Negative; nearer 0 is smoother. Does not change with the scale of `speed`.

    Raises
    ------
    ValueError
        With fewer than two samples, a speed that is zero throughout, or a cut-off above half the rate.

    References
    ----------
    Balasubramanian et al., On the analysis of movement smoothness, J. NeuroEng. Rehabil. 12:112, 2015.
    """
    require_shape("speed", speed, (None,))
    require_finite("speed", speed)
    require_positive("rate_hz", rate_hz)
    if speed.size < 2 or not np.any(speed):
        raise ValueError("the spectral arc length needs at least two samples that are not all zero")
    if cutoff_hz > rate_hz / 2:
        raise ValueError(f"a cut-off of {cutoff_hz} Hz is above half the rate of {rate_hz} Hz")
    n_fft = 2 ** (int(np.ceil(np.log2(speed.size))) + pad_level)
    amplitude = np.abs(np.fft.rfft(speed, n_fft))
    frequency = np.arange(amplitude.size) * rate_hz / n_fft
    amplitude = (amplitude / amplitude.max())[frequency <= cutoff_hz]
    strong = np.flatnonzero(amplitude >= amplitude_threshold)
    amplitude = amplitude[strong[0] : strong[-1] + 1]
    if amplitude.size < 2:
        return 0.0
    step = 1.0 / (amplitude.size - 1)
    return -float(np.hypot(step, np.diff(amplitude)).sum())


def dimensionless_jerk(speed: FloatArray, rate_hz: float) -> float:
    """Return the dimensionless jerk of a speed profile.

    Parameters
    ----------
    speed : FloatArray, shape (n,), n >= 3
        Speed over time, in any unit; not all zero.
    rate_hz : float
        Samples a second.

    Returns
    -------
    float
        Negative or zero; nearer 0 is smoother. Does not change with the scale of `speed`.

    Raises
    ------
    ValueError
        With fewer than three samples or a speed that is zero throughout.

    References
    ----------
    Hogan & Sternad, Sensitivity of smoothness measures to movement duration, amplitude, and arrests,
    J. Mot. Behav. 41, 2009; in the form of Balasubramanian et al. 2015.
    """
    require_shape("speed", speed, (None,))
    require_finite("speed", speed)
    require_positive("rate_hz", rate_hz)
    if speed.size < 3 or not np.any(speed):
        raise ValueError("the dimensionless jerk needs at least three samples that are not all zero")
    jerk = np.diff(speed, 2) * rate_hz**2
    duration_s = speed.size / rate_hz
    return -float(np.sum(jerk**2) / rate_hz * duration_s**3 / np.abs(speed).max() ** 2)


def log_dimensionless_jerk(speed: FloatArray, rate_hz: float) -> float:
    """Return the log dimensionless jerk (LDLJ): ``-log(abs(dimensionless_jerk))``; nearer 0 is smoother.

    Raises
    ------
    ValueError
        As `dimensionless_jerk`; and for a speed without any jerk (a straight line), whose logarithm does not exist.
    """
    jerk = dimensionless_jerk(speed, rate_hz)
    if jerk == 0.0:
        raise ValueError("the speed is a straight line: it has no jerk, and no logarithm of it")
    return -float(np.log(-jerk))


def angles_between_deg(first: FloatArray, second: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the signed angle from one direction to another in the plane of the picture.

    Parameters
    ----------
    first, second : FloatArray, shape (n, 2)
        Directions in pixels, x to the right and y down. NaN where not observed.

    Returns
    -------
    angles_deg : FloatArray, shape (n,)
        In (-180, 180], from `first` to `second`, positive clockwise as seen.
    usable : BoolArray, shape (n,)
        False where not observed, and where a direction is shorter than a quarter of its usual (median) length: a
        limb that points at the camera has no angle in the plane of the picture.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_shape("first", first, (None, 2))
    require_shape("second", second, (None, 2))
    require_same_length({"first": first, "second": second})
    cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    dot = (first * second).sum(axis=1)
    usable = np.isfinite(cross)
    for direction in (first, second):
        length = np.hypot(direction[:, 0], direction[:, 1])
        if usable.any():
            usable &= np.nan_to_num(length) > _FORESHORTENED * np.median(length[np.isfinite(length)])
    return np.degrees(np.arctan2(cross, dot)), usable


def frame_rate_hz(times_s: FloatArray) -> float:
    """Return how many frames a second there are where frames follow each other regularly.

    The mean over the intervals within half of the median: holes of a variable frame rate do not count.

    Parameters
    ----------
    times_s : FloatArray, shape (n,), n >= 2
        Increasing.

    Raises
    ------
    ValueError
        With fewer than two times.
    """
    require_increasing("times_s", times_s)
    if times_s.size < 2:
        raise ValueError("a frame rate needs at least two frames")
    intervals = np.diff(times_s)
    median = np.median(intervals)
    return float(1.0 / intervals[np.abs(intervals - median) <= 0.5 * median].mean())


def on_grid(
    times_s: FloatArray,
    angles_deg: FloatArray,
    usable: BoolArray,
    grid_s: FloatArray,
    *,
    max_gap_s: float = MAX_GAP_S,
    min_run_s: float = MIN_RUN_S,
) -> FloatArray:
    """Put angles on a uniform time axis by their true times.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Times of observation, increasing.
    angles_deg : FloatArray, shape (n,)
        Unwrapped here: a turn through 180 degrees makes no jump.
    usable : BoolArray, shape (n,)
        Which observations count.
    grid_s : FloatArray, shape (m,)
        Where the angles are wanted.
    max_gap_s, min_run_s : float
        A gap longer than the first stays open; what is left between two of those and is shorter than the second
        is not used.

    Returns
    -------
    FloatArray, shape (m,)
        Cubic interpolation; NaN where there is no observation. All NaN when nothing is usable.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_increasing("times_s", times_s)
    require_shape("angles_deg", angles_deg, (None,))
    require_mask("usable", usable)
    require_same_length({"times_s": times_s, "angles_deg": angles_deg, "usable": usable})
    require_finite("angles_deg, where usable,", angles_deg[usable])
    require_shape("grid_s", grid_s, (None,))
    result = np.full(grid_s.size, np.nan)
    times_s, angles_deg = times_s[usable], angles_deg[usable]
    if times_s.size < 2:
        return result
    breaks = np.flatnonzero(np.diff(times_s) > max_gap_s) + 1
    for time, angle in zip(np.split(times_s, breaks), np.split(angles_deg, breaks), strict=True):
        if time.size < 4 or time[-1] - time[0] < min_run_s:
            continue
        # Frames shown for an instant only make a spline swing.
        interval = np.diff(time, prepend=-np.inf)
        kept = interval >= _MIN_INTERVAL * np.median(interval[1:])
        inside = (grid_s >= time[0] - 1e-9) & (grid_s <= time[-1] + 1e-9)
        result[inside] = spline(time[kept], np.unwrap(angle[kept], period=360.0), grid_s[inside])
    return result


def angular_speeds_deg_s(angles_deg: FloatArray, rate_hz: float, *, cutoff_hz: float) -> FloatArray:
    """Return the speed of angles below a frequency.

    Parameters
    ----------
    angles_deg : FloatArray, shape (n,)
        On a uniform time axis; NaN where not observed.
    rate_hz : float
        Samples a second.
    cutoff_hz : float
        Of a zero-phase Butterworth low-pass filter (order 4, run forward and backward).

    Returns
    -------
    FloatArray, shape (n,)
        Never negative, in degrees a second; NaN where not observed, and in stretches too short to be filtered.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_shape("angles_deg", angles_deg, (None,))
    require_positive("rate_hz", rate_hz)
    if not 0 < cutoff_hz < rate_hz / 2:
        raise ValueError(
            f"cutoff_hz is {cutoff_hz:g}; it must lie between 0 and half the rate, {rate_hz / 2:g} Hz"
        )
    speeds = np.full(angles_deg.size, np.nan)
    filter_sections = butter(4, cutoff_hz, fs=rate_hz)
    n_padding = 3 * (2 * len(filter_sections) + 1)
    for start, stop in _stretches(np.isfinite(angles_deg)):
        if stop - start > n_padding:
            speeds[start:stop] = np.abs(
                np.gradient(sosfiltfilt(filter_sections, angles_deg[start:stop]), 1.0 / rate_hz)
            )
    return speeds


def speed_power(angles_deg: FloatArray, rate_hz: float, low_hz: float, high_hz: float) -> float:
    """Return the power of the angular speed between two frequencies.

    The power spectrum of the differences from sample to sample (Hann window), freed of the frequency
    response of a difference, which depends on the frame rate.

    Parameters
    ----------
    angles_deg : FloatArray, shape (n,), n >= 4
        On a uniform time axis, all observed.
    rate_hz : float
        Samples a second.
    low_hz, high_hz : float
        From the first up to, and without, the second, which is below half the rate. From 0 on, a steady turn counts.

    Returns
    -------
    float
        In (degrees / s)**2.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_shape("angles_deg", angles_deg, (None,))
    require_finite("angles_deg", angles_deg)
    require_positive("rate_hz", rate_hz)
    if angles_deg.size < 4:
        raise ValueError(
            f"angles_deg has {angles_deg.size} values; four are the least that have a spectrum of speed"
        )
    steps = np.diff(angles_deg) * rate_hz
    window = np.hanning(steps.size + 1)[:-1]
    power = 2.0 * np.abs(np.fft.rfft(steps * window)) ** 2 / (steps.size * (window**2).sum())
    power[0] /= 2.0
    frequency = np.arange(power.size) * rate_hz / steps.size
    band = (frequency >= low_hz) & (frequency < high_hz)
    return float((power[band] / np.sinc(frequency[band] / rate_hz) ** 2).sum())


def find_repeats(changes: FloatArray, *, still_change: float) -> BoolArray:
    """Tell which pictures repeat the one before.

    Parameters
    ----------
    changes : FloatArray, shape (n,)
        Difference of each picture to the one before where they differ most, in grey levels.
    still_change : float
        Below this a picture is the same as the one before.

    Returns
    -------
    BoolArray, shape (n,)
        A picture is a repeat when its change is below `still_change`; or, since encoding leaves differences between
        equal pictures, when it is a dip: below 10 grey levels and less than a fifth of the larger of two neighbours
        on each side. People do not stop for a single frame.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_shape("changes", changes, (None,))
    padded = np.pad(changes, 2, mode="edge")
    before = np.maximum(padded[:-4], padded[1:-3])
    after = np.maximum(padded[3:-1], padded[4:])
    dip = (changes < _DIP_CEILING) & (changes < _DIP * np.minimum(before, after))
    return np.asarray((changes < still_change) | dip)


def still_time_s(times_s: FloatArray, repeats: BoolArray, observed: BoolArray) -> tuple[float, float]:
    """Return for how long the picture stood still, and for how long it was looked at.

    A repeated picture stands still for the interval before it. An interval longer than one and a half frames is a
    picture left standing too: all of it beyond one frame. So a freeze counts the same whether the file repeats the
    picture or leaves it out.

    Parameters
    ----------
    times_s : FloatArray, shape (n,), n >= 2
        Increasing.
    repeats : BoolArray, shape (n,)
        From `find_repeats`.
    observed : BoolArray, shape (n,)
        Frames that count; the interval before any other is not looked at.

    Returns
    -------
    still_s, total_s : float
        In seconds; both 0 when nothing was observed.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_mask("observed", observed)
    still = _still_intervals_s(times_s, repeats)
    require_same_length({"times_s": times_s, "observed": observed})
    return float(still[observed[1:]].sum()), float(np.diff(times_s)[observed[1:]].sum())


def _still_intervals_s(times_s: FloatArray, repeats: BoolArray) -> FloatArray:
    """Return for how long the picture stood still between each frame and the next, shape (n - 1,)."""
    require_increasing("times_s", times_s)
    require_mask("repeats", repeats)
    require_same_length({"times_s": times_s, "repeats": repeats})
    intervals = np.diff(times_s)
    frame_s = 1.0 / frame_rate_hz(times_s)
    beyond = np.where(intervals > 1.5 * frame_s, intervals - frame_s, 0.0)
    return np.asarray(np.where(repeats[1:], intervals, beyond))


@dataclass(frozen=True, slots=True)
class WindowSums:
    """One quantity, summed up window by window: its value is the sum of the first over the sum of the second.

    Parameters
    ----------
    numerators, denominators : FloatArray, shape (n_windows,)
        A window in which nothing was measured has a denominator of 0.
    """

    numerators: FloatArray
    denominators: FloatArray

    @property
    def value(self) -> float | None:
        """The value over all windows; None when nothing was measured."""
        total = float(self.denominators.sum())
        return float(self.numerators.sum()) / total if total > 0.0 else None

    @property
    def n(self) -> int:
        """Number of windows in which something was measured."""
        return int(np.count_nonzero(self.denominators))


def windows(n_samples: int, rate_hz: float, length_s: float) -> list[slice]:
    """Cut a time axis into windows of one length that cover all of it.

    Parameters
    ----------
    n_samples : int
        On the time axis.
    rate_hz : float
        Samples a second.
    length_s : float
        Length of a window.

    Returns
    -------
    list of slice
        As few as will cover everything, evenly spread, so that neighbours overlap a little where the length does
        not go evenly into the clip; one window of everything when the clip is shorter; none when it is empty.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_positive("rate_hz", rate_hz)
    require_positive("length_s", length_s)
    length = round(length_s * rate_hz)
    if n_samples <= length:
        return [slice(0, n_samples)] if n_samples else []
    starts = np.linspace(0, n_samples - length, -(-n_samples // length)).round().astype(int)
    return [slice(int(start), int(start) + length) for start in starts]


def spread_deg(angles: Mapping[str, FloatArray], rate_hz: float = GRID_HZ) -> WindowSums:
    """Return how far joint angles spread: their standard deviation over windows of `SPREAD_WINDOW_S`.

    Parameters
    ----------
    angles : mapping of str to FloatArray, shape (n,)
        By joint, in degrees, on one uniform time axis; NaN where not observed. A window counts for a joint that was
        observed for at least half of it.
    rate_hz : float
        Samples a second.

    Returns
    -------
    WindowSums
        Its value is the mean over joints and windows, in degrees.

    Raises
    ------
    ValueError
        Without a joint, or with angles that are not all of one length.
    """
    return _sum_windows(angles, rate_hz, SPREAD_WINDOW_S, _deviation)


def sparc(speeds: Mapping[str, FloatArray], rate_hz: float = GRID_HZ) -> WindowSums:
    """Return the mean `spectral_arc_length` over joints and windows of `SMOOTHNESS_WINDOW_S`.

    Parameters
    ----------
    speeds : mapping of str to FloatArray, shape (n,)
        By joint, from `angular_speeds_deg_s`. A window counts for a joint that was observed throughout and moved by
        at least `LOWEST_SPEED_DEG_S` on average.
    rate_hz : float
        Samples a second.

    Raises
    ------
    ValueError
        As `spread_deg`.
    """
    return _smoothness(speeds, rate_hz, spectral_arc_length)


def ldlj(speeds: Mapping[str, FloatArray], rate_hz: float = GRID_HZ) -> WindowSums:
    """Return the mean `log_dimensionless_jerk` over joints and windows; parameters and errors as of `sparc`."""
    return _smoothness(speeds, rate_hz, log_dimensionless_jerk)


def jitter_ratio(angles: Mapping[str, FloatArray], rate_hz: float) -> WindowSums:
    """Return the share of the power of angular speed that is tremor, `MOVEMENT_HZ` to `TREMOR_HZ`.

    Parameters
    ----------
    angles : mapping of str to FloatArray, shape (n,)
        By joint, in degrees, on a uniform time axis at the clip's own frame rate. A window of
        `SMOOTHNESS_WINDOW_S` counts for a joint that was observed throughout.
    rate_hz : float
        Samples a second; at least twice `TREMOR_HZ`.

    Returns
    -------
    WindowSums
        Its value lies between 0 and 1; `UNRESOLVED_TREMOR` is taken off.

    Raises
    ------
    ValueError
        As `spread_deg`; and for a rate that cannot show the tremor.
    """
    _require_tremor_rate(rate_hz)

    def compare(angle: FloatArray) -> tuple[float, float] | None:
        if not np.isfinite(angle).all():
            return None
        tremor = max(0.0, speed_power(angle, rate_hz, MOVEMENT_HZ, TREMOR_HZ) - UNRESOLVED_TREMOR)
        return tremor, tremor + speed_power(angle, rate_hz, 0.0, MOVEMENT_HZ)

    return _sum_windows(angles, rate_hz, SMOOTHNESS_WINDOW_S, compare)


def _require_tremor_rate(rate_hz: float) -> None:
    if rate_hz < 2 * TREMOR_HZ:
        raise ValueError(
            f"{rate_hz:g} samples a second cannot show tremor of up to {TREMOR_HZ:g} Hz; "
            f"{2 * TREMOR_HZ:g} are the least"
        )


def amount_deg_s(speeds: Mapping[str, FloatArray], rate_hz: float = GRID_HZ) -> WindowSums:
    """Return the mean angular speed over joints and time, window by window; parameters and errors as of `sparc`.

    Every observed sample counts, in whichever window.
    """

    def add(speed: FloatArray) -> tuple[float, float]:
        return float(np.nansum(speed)), float(np.isfinite(speed).sum())

    return _sum_windows(speeds, rate_hz, SMOOTHNESS_WINDOW_S, add)


def freeze_ratio(
    times_s: FloatArray, changes: FloatArray, observed: BoolArray, *, still_change: float
) -> float | None:
    """Return the share of time in which the picture stands still, single repeated frames included.

    Parameters
    ----------
    times_s, changes, observed
        As of `still_time_s` and `find_repeats`.
    still_change : float
        As of `find_repeats`.

    Returns
    -------
    float or None
        0 to 1, lower is better; None when nothing was observed.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_mask("observed", observed)
    require_same_length({"times_s": times_s, "changes": changes, "observed": observed})
    repeats = find_repeats(np.where(observed, changes, np.inf), still_change=still_change)
    still_s, total_s = still_time_s(times_s, repeats, observed)
    return still_s / total_s if total_s > 0.0 else None


# --- worst moments ---------------------------------------------------------------------------------------------------


def freeze_moments(
    times_s: FloatArray, changes: FloatArray, observed: BoolArray, *, still_change: float
) -> tuple[Moment, ...]:
    """Name the stretches in which the picture stands still most of the time.

    Parameters
    ----------
    times_s, changes, observed, still_change
        As of `freeze_ratio`.

    Returns
    -------
    tuple of Moment
        Stretches of at least `FREEZE_S` in which more than `FROZEN_SHARE` of the time around each frame stands still: every
        fifth frame repeated, as 24 frames a second in 30 are, is none.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite or not allowed.
    """
    require_mask("observed", observed)
    require_same_length({"times_s": times_s, "changes": changes, "observed": observed})
    repeats = find_repeats(np.where(observed, changes, np.inf), still_change=still_change)
    still_s = np.where(observed[1:], _still_intervals_s(times_s, repeats), 0.0)
    starts_s, ends_s = times_s[:-1], times_s[1:]
    shares = share_around(starts_s, ends_s, still_s, FREEZE_S)
    return worst_moments(starts_s, ends_s, shares, shares > FROZEN_SHARE, shares, least_s=FREEZE_S)


def tremor_course(
    angles: Mapping[str, FloatArray], rate_hz: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the power of tremor and of all movement, second by second.

    Parameters
    ----------
    angles : mapping of str to FloatArray, shape (n,)
        As of `jitter_ratio`.
    rate_hz : float
        Samples a second; at least twice `TREMOR_HZ`.

    Returns
    -------
    starts_s, tremor, whole : FloatArray, shape (m,)
        Where each window of `TREMOR_WINDOW_S` begins, and the power of angular speed in (deg/s)**2, added up over the joints
        that are observed throughout it: as of `jitter_ratio`, whose value is the first over the second. Windows without a
        joint are left out.

    Raises
    ------
    ValueError
        As `jitter_ratio`.
    """
    _require_tremor_rate(rate_hz)
    n = require_same_length(angles)
    length, hop = round(TREMOR_WINDOW_S * rate_hz), max(1, round(TREMOR_HOP_S * rate_hz))
    if n < length:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    tremor, whole = (np.zeros((n - length) // hop + 1) for _ in range(2))
    weights = np.hanning(length)[:-1]
    frequency = np.fft.rfftfreq(length - 1, 1.0 / rate_hz)
    gain = np.sinc(frequency / rate_hz) ** 2
    for angle in angles.values():
        steps = np.lib.stride_tricks.sliding_window_view(np.diff(angle) * rate_hz, length - 1)[::hop]
        is_seen = np.isfinite(steps).all(axis=1)
        spectrum = np.abs(np.fft.rfft(steps[is_seen] * weights, axis=1)) ** 2
        power = 2.0 * spectrum / ((length - 1) * (weights**2).sum()) / gain
        power[:, 0] /= 2.0
        trembling = power[:, (frequency >= MOVEMENT_HZ) & (frequency < TREMOR_HZ)].sum(axis=1)
        trembling = np.maximum(0.0, trembling - UNRESOLVED_TREMOR)
        tremor[is_seen] += trembling
        whole[is_seen] += trembling + power[:, frequency < MOVEMENT_HZ].sum(axis=1)
    known = np.flatnonzero(whole > 0)
    return known * hop / rate_hz, tremor[known], whole[known]


def tremor_moments(angles: Mapping[str, FloatArray], rate_hz: float, start_s: float) -> tuple[Moment, ...]:
    """Name the stretches that tremble.

    Parameters
    ----------
    angles, rate_hz
        As of `tremor_course`.
    start_s : float
        When the angles begin.

    Returns
    -------
    tuple of Moment
        With the share of tremor. Stretches of at least `SHORTEST_TREMOR_S` in which tremor is more than half of the movement,
        more than `LEAST_TREMOR_DEG` (r.m.s. over time, all joints together), and more than `ABOVE_USUAL` times what it usually is in the clip: small faces
        and bodies tremble all the time with the noise of their landmarks, which names no moment.

    Raises
    ------
    ValueError
        As `tremor_course`.
    """
    starts_s, tremor, whole = tremor_course(angles, rate_hz)
    if not starts_s.size:
        return ()
    amplitude_deg = np.sqrt(tremor) / (np.pi * (MOVEMENT_HZ + TREMOR_HZ))
    limit_deg = max(LEAST_TREMOR_DEG, ABOVE_USUAL * float(np.median(amplitude_deg)))
    share = tremor / whole
    return worst_moments(
        *cells_of_windows(start_s + starts_s, TREMOR_WINDOW_S),
        share,
        (share > 0.5) & (amplitude_deg > limit_deg),
        amplitude_deg,
        join_s=2 * TREMOR_HOP_S,
        least_s=SHORTEST_TREMOR_S,
    )


def rough_moments(
    sums: WindowSums, starts_s: FloatArray, length_s: float, lowest: float
) -> tuple[Moment, ...]:
    """Name the windows whose value is below a limit.

    Parameters
    ----------
    sums : WindowSums
    starts_s : FloatArray, shape (n_windows,)
        Where each of its windows begins.
    length_s : float
        Of every window.
    lowest : float

    Raises
    ------
    ValueError
        For lengths that differ, or values out of range.
    """
    require_same_length({"sums": sums.numerators, "starts_s": starts_s})
    known = sums.denominators > 0
    values = sums.numerators[known] / sums.denominators[known]
    cells = cells_of_windows(starts_s[known], length_s)
    return worst_moments(*cells, values, values < lowest, np.maximum(lowest - values, 0.0))


def _sum_windows(
    signals: Mapping[str, FloatArray],
    rate_hz: float,
    length_s: float,
    measure: Callable[[FloatArray], tuple[float, float] | None],
) -> WindowSums:
    """Add up over the joints, window by window, what a measure gives for each."""
    n_samples = require_same_length(signals)
    sums = np.array(
        [
            np.sum([measure(signal[part]) or (0.0, 0.0) for signal in signals.values()], axis=0)
            for part in windows(n_samples, rate_hz, length_s)
        ]
    ).reshape(-1, 2)
    return WindowSums(sums[:, 0], sums[:, 1])


def _deviation(angle: FloatArray) -> tuple[float, float] | None:
    observed = angle[np.isfinite(angle)]
    return (float(observed.std()), 1.0) if observed.size >= angle.size / 2 else None


def _smoothness(
    speeds: Mapping[str, FloatArray], rate_hz: float, measure: Callable[[FloatArray, float], float]
) -> WindowSums:
    def judge(speed: FloatArray) -> tuple[float, float] | None:
        if np.isfinite(speed).all() and speed.mean() >= LOWEST_SPEED_DEG_S:
            return measure(speed, rate_hz), 1.0
        return None

    return _sum_windows(speeds, rate_hz, SMOOTHNESS_WINDOW_S, judge)


def _stretches(flags: BoolArray) -> list[tuple[int, int]]:
    """Return start and stop of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
