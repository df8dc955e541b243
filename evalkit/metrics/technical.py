"""Would a broadcaster accept the file? Black, frozen and flickering pictures, loudness: arrays in, numbers out.

Shares are shares of *time*: a frame counts for as long as it is shown, so a variable frame rate distorts nothing.
"""

from __future__ import annotations

import numpy as np

from evalkit.metrics.checks import (
    require_finite,
    require_increasing,
    require_mask,
    require_same_length,
    require_shape,
    require_share,
)
from evalkit.metrics.moments import cells_of_windows, worst_moments
from evalkit.types import BoolArray, FloatArray, Moment

BLACK_SHARE = 0.98
"""A frame is black when at least this share of its pixels is (``pic_th`` of ffmpeg's ``blackdetect``)."""
STILL_CHANGE = 3.0
"""A frame stands still while no block of it has moved by more than this, in levels of 255."""
FREEZE_S = 0.5
"""A picture that stands still for less is not frozen: repeats of rate conversion last at most 0.1 s."""
FLICKER_WINDOW_S = 0.25
"""A change of brightness that is taken back within this time is flicker: 4 Hz and faster."""
MOST_FLICKER_PERCENT = 2.0
"""Of full scale: real clips swing by up to 1.7 % for a moment."""
BLURRED = 0.85
"""Of the clip's own usual sharpness: real clips stay above 0.9 of theirs, whatever it is."""
SHORTEST_BLUR_S = 0.3
MOST_CLIPPED = 0.01
"""Share of the samples of a tenth of a second: recordings with a few clipped samples reach 0.005."""
LONGEST_PAUSE_S = 1.5
"""Between two clipped syllables of one stretch."""
LONGEST_SILENCE_S = 1.0
"""Between two sounds: synthetic voices are digitally silent for up to 0.7 s between sentences."""
SILENCE_LUFS = -70.0
"""The absolute gate of BS.1770; recorded rooms are louder."""
LOWEST_LUFS = -120.0
"""What digital silence is called."""
LONGEST_WITHOUT_FACE_S = 0.5
"""A face that is lost for less is a hand that passes, or the detector's miss."""
STEP_S = 0.1
"""Of the loudness."""
STEPS_PER_BLOCK = 4
"""Steps of 100 ms in a gating block of BS.1770."""
STEPS_PER_SHORT_TERM = 30
"""Steps of 100 ms in the short-term loudness of EBU Tech 3341, of which the loudness range is made."""
LEAST_RANGE_S = 6.0
"""Two short-term blocks that share nothing: shorter sound has no range."""
_ROUNDING_S = 1e-3


def frame_durations_s(times_s: FloatArray, end_s: float | None = None) -> FloatArray:
    """Return how long each frame is shown: until the next one; the last until the end.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Presentation times, increasing; n ≥ 2.
    end_s : float, optional
        When the last frame ends. Unless given, it is shown for as long as most others.

    Returns
    -------
    FloatArray, shape (n,)
        In seconds.

    Raises
    ------
    ValueError
        With fewer than two frames, which have no usual length; with an end that is not after the last frame's time.

    Examples
    --------
    >>> frame_durations_s(np.array([0.0, 0.5, 1.0, 3.0])).tolist()
    [0.5, 0.5, 2.0, 0.5]
    >>> frame_durations_s(np.array([0.0, 0.5, 1.0, 3.0]), 7.0).tolist()
    [0.5, 0.5, 2.0, 4.0]
    """
    require_increasing("times_s", times_s)
    if times_s.shape[0] < 2:
        raise ValueError(f"{times_s.shape[0]} frames have no durations; two are needed")
    intervals = np.diff(times_s)
    if end_s is None:
        return np.append(intervals, np.median(intervals))
    if not end_s > times_s[-1]:
        raise ValueError(f"end_s is {end_s:g}, not after the last frame at {times_s[-1]:g} s")
    return np.append(intervals, end_s - times_s[-1])


def mean_frame_rate_hz(times_s: FloatArray) -> float:
    """Return frames a second: the number of intervals over the time they take together.

    With a variable frame rate this is the mean rate, and dropped frames lower it.

    Parameters
    ----------
    times_s : FloatArray, shape (n,)
        Presentation times, increasing; n ≥ 2, else a `ValueError`.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.

    Examples
    --------
    >>> mean_frame_rate_hz(np.array([0.0, 0.02, 0.10]))
    20.0
    """
    require_increasing("times_s", times_s)
    if times_s.shape[0] < 2:
        raise ValueError(f"{times_s.shape[0]} frames have no rate; two are needed")
    return float((times_s.shape[0] - 1) / (times_s[-1] - times_s[0]))


def black_ratio(black_share: FloatArray, durations_s: FloatArray) -> float:
    """Return the share of time in which the picture is black.

    A frame is black when at least `BLACK_SHARE` of its pixels are, as in ffmpeg's ``blackdetect``; unlike there, a
    single black frame counts.

    Parameters
    ----------
    black_share : FloatArray, shape (n,)
        Share of black pixels in each frame, 0 to 1.
    durations_s : FloatArray, shape (n,)
        How long each frame is shown.

    Returns
    -------
    float
        0 to 1; lower is better.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.

    Examples
    --------
    >>> black_ratio(np.array([0.0, 0.97, 0.98, 1.0]), np.array([1.0, 1.0, 1.0, 1.0]))
    0.5
    """
    require_share("black_share", black_share)
    require_finite("durations_s", durations_s)
    if not require_same_length({"black_share": black_share, "durations_s": durations_s}):
        raise ValueError("black_share is empty; at least one frame is needed")
    return float(durations_s[black_share >= BLACK_SHARE].sum() / durations_s.sum())


def frozen_spans_s(
    change: FloatArray, times_s: FloatArray, end_s: float | None = None, least_s: float = FREEZE_S
) -> FloatArray:
    """Return when the picture stands still.

    A span begins with the frame that is then held and ends with the next frame that differs from it by more than
    `STILL_CHANGE`, as in ffmpeg's ``freezedetect``; a single frame shown for long is a span as well.

    Parameters
    ----------
    change : FloatArray, shape (n,)
        Column ``change`` of the picture track; NaN where nothing precedes the frame, which counts as a move.
    times_s : FloatArray, shape (n,)
        Presentation times; n ≥ 2, else a `ValueError`.
    end_s : float, optional
        When the last frame ends, as for `frame_durations_s`.
    least_s : float
        Shorter spans are left out.

    Returns
    -------
    FloatArray, shape (n_spans, 2)
        Start and end of each span, in seconds.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.

    Examples
    --------
    >>> frozen_spans_s(np.array([np.nan, 9.0, 0.0, 0.0, 9.0]), np.array([0.0, 0.3, 0.6, 0.9, 1.2])).tolist()
    [[0.3, 1.2]]
    """
    require_shape("change", change, (None,))
    require_same_length({"change": change, "times_s": times_s})
    last_s = times_s[-1] + frame_durations_s(times_s, end_s)[-1]
    moves = ~(change <= STILL_CHANGE)
    moves[0] = True
    starts = times_s[moves]
    spans = np.stack([starts, np.append(starts[1:], last_s)], axis=1)
    long_enough: FloatArray = spans[spans[:, 1] - spans[:, 0] >= least_s - 1e-6]
    return long_enough


def freeze_ratio(change: FloatArray, times_s: FloatArray, end_s: float | None = None) -> float:
    """Return the share of time in which the picture stands still for at least `FREEZE_S` without a break.

    Parameters
    ----------
    change, times_s : FloatArray, shape (n,)
    end_s : float, optional
        All as for `frozen_spans_s`.

    Returns
    -------
    float
        0 to 1; lower is better.
    """
    spans = frozen_spans_s(change, times_s, end_s)
    return float((spans[:, 1] - spans[:, 0]).sum() / frame_durations_s(times_s, end_s).sum())


def flicker_percent(luma_mean: FloatArray, times_s: FloatArray) -> float:
    """Return how far the brightness of the picture goes and comes back within a quarter second.

    In every window of `FLICKER_WINDOW_S`: the largest rise or the largest fall of the mean luma, whichever is
    smaller, in percent of full scale; the mean over all windows. A cut, a fade or any change in one direction goes
    and does not come back, and counts nothing; a picture that jumps between two brightnesses counts the distance
    between them, at any frame rate and any frequency above 4 Hz.

    Parameters
    ----------
    luma_mean : FloatArray, shape (n,)
        Mean luma of each frame, 0 to 255, gamma-encoded: equal steps look about equally large.
    times_s : FloatArray, shape (n,)
        Presentation times, increasing.

    Returns
    -------
    float
        0 to 100; lower is better.

    Raises
    ------
    ValueError
        If no whole window holds at least three frames.

    Examples
    --------
    >>> times_s = np.arange(50) / 25
    >>> round(flicker_percent(100 + 2.55 * (np.arange(50) % 2), times_s), 9)
    1.0
    >>> flicker_percent(np.where(times_s < 1, 20.0, 200.0), times_s)  # a cut
    0.0
    """
    _, swings_percent = flicker_swings(luma_mean, times_s)
    if not swings_percent.size:
        raise ValueError("no window of a quarter second holds three frames")
    return float(swings_percent.mean())


def flicker_swings(luma_mean: FloatArray, times_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how far the brightness goes and comes back in each window of `FLICKER_WINDOW_S`.

    Parameters
    ----------
    luma_mean, times_s : FloatArray, shape (n,)
        As for `flicker_percent`.

    Returns
    -------
    starts_s, swings_percent : FloatArray, shape (n_windows,)
        Where each whole window of at least three frames begins, and its swing in percent of full scale.
    """
    require_increasing("times_s", times_s)
    require_shape("luma_mean", luma_mean, (None,))
    require_same_length({"luma_mean": luma_mean, "times_s": times_s})
    require_finite("luma_mean", luma_mean)
    ends_s = times_s + FLICKER_WINDOW_S + 1e-6
    after = np.searchsorted(times_s, ends_s, side="right")
    starts_s, swings = [], []
    for first in range(times_s.shape[0]):
        window = luma_mean[first : after[first]]
        if ends_s[first] <= times_s[-1] + 2e-6 and window.shape[0] >= 3:
            rise = (window - np.minimum.accumulate(window)).max()
            fall = (np.maximum.accumulate(window) - window).max()
            starts_s.append(times_s[first])
            swings.append(min(rise, fall))
    return np.array(starts_s, dtype=np.float64), np.array(swings, dtype=np.float64) / 255 * 100


# --- worst moments ---------------------------------------------------------------------------------------------------


def black_moments(
    black_share: FloatArray, times_s: FloatArray, end_s: float | None = None
) -> tuple[Moment, ...]:
    """Name the stretches in which the picture is black; parameters and errors as of `black_ratio` and `freeze_ratio`.

    Examples
    --------
    >>> black_moments(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.5, 1.0, 1.5]))
    (Moment(start_s=0.5, end_s=1.5, value=1.0),)
    """
    require_share("black_share", black_share)
    is_black = black_share >= BLACK_SHARE
    return _stretches_of_frames(times_s, end_s, is_black.astype(np.float64), is_black)


def frozen_moments(change: FloatArray, times_s: FloatArray, end_s: float | None = None) -> tuple[Moment, ...]:
    """Name the longest of `frozen_spans_s`, whose parameters and errors it has."""
    spans = frozen_spans_s(change, times_s, end_s)
    ones = np.ones(len(spans))
    return worst_moments(spans[:, 0], spans[:, 1], ones, ones > 0, ones)


def flicker_moments(luma_mean: FloatArray, times_s: FloatArray) -> tuple[Moment, ...]:
    """Name the stretches that flicker by more than `MOST_FLICKER_PERCENT`; parameters and errors as of `flicker_percent`."""
    starts_s, swings_percent = flicker_swings(luma_mean, times_s)
    if not starts_s.size:
        return ()
    cells = cells_of_windows(starts_s, FLICKER_WINDOW_S)
    beyond = swings_percent - MOST_FLICKER_PERCENT
    return worst_moments(*cells, swings_percent, beyond > 0, np.maximum(beyond, 0.0))


def blur_moments(
    sharpness: FloatArray, seen: BoolArray, times_s: FloatArray, end_s: float | None = None
) -> tuple[Moment, ...]:
    """Name the stretches that are less sharp than the clip usually is.

    Parameters
    ----------
    sharpness : FloatArray, shape (n,)
        Of each frame; undefined where not `seen`.
    seen : BoolArray, shape (n,)
        Frames that show anything.
    times_s, end_s
        As of `freeze_ratio`.

    Returns
    -------
    tuple of Moment
        Stretches of at least `SHORTEST_BLUR_S` below `BLURRED` times the clip's median.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_shape("sharpness", sharpness, (None,))
    require_mask("seen", seen)
    require_same_length({"sharpness": sharpness, "seen": seen, "times_s": times_s})
    if not seen.any():
        return ()
    usual = float(np.median(sharpness[seen]))
    values = np.where(seen, sharpness, usual)
    return _stretches_of_frames(
        times_s, end_s, usual - values, values < BLURRED * usual, values, least_s=SHORTEST_BLUR_S
    )


def lost_face_moments(seen: BoolArray, times_s: FloatArray, end_s: float | None = None) -> tuple[Moment, ...]:
    """Name the stretches of at least `LONGEST_WITHOUT_FACE_S` without a face.

    Parameters
    ----------
    seen : BoolArray, shape (n,)
        Frames with a face.
    times_s, end_s
        As of `freeze_ratio`.
    """
    require_mask("seen", seen)
    return _stretches_of_frames(
        times_s,
        end_s,
        1.0 - seen.astype(np.float64),
        ~seen,
        seen.astype(np.float64),
        least_s=LONGEST_WITHOUT_FACE_S,
    )


def _stretches_of_frames(
    times_s: FloatArray,
    end_s: float | None,
    badness: FloatArray,
    is_bad: BoolArray,
    values: FloatArray | None = None,
    *,
    least_s: float = 0.0,
) -> tuple[Moment, ...]:
    ends_s = times_s + frame_durations_s(times_s, end_s)
    return worst_moments(
        times_s,
        ends_s,
        badness if values is None else values,
        is_bad,
        np.maximum(badness, 0.0),
        least_s=least_s,
    )


def clipped_moments(n_clipped: FloatArray, n_samples: FloatArray, times_s: FloatArray) -> tuple[Moment, ...]:
    """Name the stretches in which more than `MOST_CLIPPED` of the samples are clipped.

    Parameters
    ----------
    n_clipped, n_samples : FloatArray, shape (n,)
        Of each step of `STEP_S`.
    times_s : FloatArray, shape (n,)
        Where the steps begin.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_increasing("times_s", times_s)
    require_same_length({"n_clipped": n_clipped, "n_samples": n_samples, "times_s": times_s})
    share = n_clipped / np.maximum(n_samples, 1.0)
    return worst_moments(
        times_s, times_s + STEP_S, share, share > MOST_CLIPPED, share, join_s=LONGEST_PAUSE_S
    )


def silent_moments(step_power: FloatArray, times_s: FloatArray) -> tuple[Moment, ...]:
    """Name the stretches of at least `LONGEST_SILENCE_S` in which the sound is gone, between two in which it is there.

    Parameters
    ----------
    step_power : FloatArray, shape (n,)
        As of `integrated_loudness_lufs`.
    times_s : FloatArray, shape (n,)
        Where the steps begin.

    Returns
    -------
    tuple of Moment
        With their loudness in LUFS, `LOWEST_LUFS` for digital silence.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.

    Examples
    --------
    >>> power = np.concatenate([np.full(10, 0.01), np.zeros(15), np.full(10, 0.01), np.zeros(30)])
    >>> silent_moments(power, np.arange(65) / 10)
    (Moment(start_s=1.0, end_s=2.5, value=-120.0),)
    """
    require_shape("step_power", step_power, (None,))
    require_finite("step_power", step_power)
    require_increasing("times_s", times_s)
    require_same_length({"step_power": step_power, "times_s": times_s})
    heard = np.flatnonzero(step_power > _power(SILENCE_LUFS))
    if not heard.size:
        return ()
    inside = slice(heard[0], heard[-1] + 1)
    loudness_lufs = -0.691 + 10 * np.log10(np.maximum(step_power[inside], _power(LOWEST_LUFS)))
    beyond = SILENCE_LUFS - loudness_lufs
    return worst_moments(
        times_s[inside],
        times_s[inside] + STEP_S,
        loudness_lufs,
        beyond >= 0,
        np.maximum(beyond, 0.0),
        join_s=_ROUNDING_S,
        least_s=LONGEST_SILENCE_S,
    )


# --- loudness --------------------------------------------------------------------------------------------------------


def integrated_loudness_lufs(step_power: FloatArray) -> float | None:
    """Return the gated loudness of a whole programme (ITU-R BS.1770-4, EBU R 128).

    Blocks of 400 ms begin every 100 ms. Blocks at or below -70 LUFS are left out, then those 10 LU or more below the
    mean of the rest; the loudness of the mean power of what remains is the result.

    Parameters
    ----------
    step_power : FloatArray, shape (n,)
        K-weighted power in consecutive steps of 100 ms, channels summed; 1 is full scale.

    Returns
    -------
    float or None
        In LUFS; ``None`` when no block is louder than -70 LUFS (silence) or n < 4.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.

    Examples
    --------
    >>> round(integrated_loudness_lufs(np.full(30, 10 ** (-2.3 + 0.0691))), 9)
    -23.0
    """
    _require_power(step_power)
    if step_power.shape[0] < STEPS_PER_BLOCK:
        return None
    blocks = np.lib.stride_tricks.sliding_window_view(step_power, STEPS_PER_BLOCK).mean(axis=1)
    heard = blocks[blocks > _power(-70.0)]
    if not heard.size:
        return None
    kept = heard[heard > heard.mean() / 10]
    return float(-0.691 + 10 * np.log10(kept.mean()))


def loudness_range_lu(step_power: FloatArray) -> float | None:
    """Return how much the loudness varies over a programme (EBU Tech 3342).

    The short-term loudness, of blocks of 3 s that begin every 100 ms. Blocks at or below -70 LUFS are left out, then those 20 LU or
    more below the mean of the rest; the range is from the 10th to the 95th percentile of what remains.

    Parameters
    ----------
    step_power : FloatArray, shape (n,)
        As for `integrated_loudness_lufs`.

    Returns
    -------
    float or None
        In LU, at least 0; ``None`` when no block is louder than -70 LUFS (silence) or the sound is shorter than `LEAST_RANGE_S`.

    Raises
    ------
    ValueError
        As `integrated_loudness_lufs`.

    Notes
    -----
    Tech 3342 means programmes of a minute or more. In a short clip this is how much its blocks differ, which the pauses of a
    single sentence can decide: compare clips of like length.

    Examples
    --------
    >>> quiet, loud = (np.full(200, 10 ** ((level + 0.691) / 10)) for level in (-30.0, -20.0))
    >>> round(loudness_range_lu(np.concatenate([loud, quiet])), 9)
    10.0
    """
    _require_power(step_power)
    if step_power.shape[0] < LEAST_RANGE_S * 10:
        return None
    blocks = np.lib.stride_tricks.sliding_window_view(step_power, STEPS_PER_SHORT_TERM).mean(axis=1)
    heard = blocks[blocks > _power(-70.0)]
    if not heard.size:
        return None
    kept = np.sort(heard[heard > heard.mean() / 100])
    low, high = (kept[round((kept.size - 1) * share)] for share in (0.10, 0.95))
    return float(10 * np.log10(high / low))


def _require_power(step_power: FloatArray) -> None:
    require_shape("step_power", step_power, (None,))
    require_finite("step_power", step_power)
    if step_power.size and step_power.min() < 0:
        raise ValueError(
            f"step_power has {step_power.min():g}; power is never negative: is it a level in dB?"
        )


def _power(loudness_lufs: float) -> float:
    return float(10 ** ((loudness_lufs + 0.691) / 10))
