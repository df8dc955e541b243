"""Lip synchronisation: does the mouth say what is heard.

A small network predicts, from the sound, the lip trajectory that a speaker would show; the observed lips are
compared with it.

Conventions
-----------
- Lip trajectories have shape ``(n, 6)``: inner-lip gap, mouth width, jaw drop, upper and lower lip height,
  protrusion, sampled at `GRID_HZ` on a uniform grid that starts at the clip's time zero.
- A positive offset means that **the audio leads**: the mouth moves later than the sound (the sign of BT.1359).

Metrics
-------
- *rank error*: the chance that somebody else's words fit these lips better, by dynamic time warping.
- *offset*: where the correlation of predicted and observed lips peaks, below the frame interval.
- *drift*: slope of the offset over the clip.
- *silent motion*: lip motion where nobody speaks, relative to speech.

References
----------
- ITU-R BT.1359-1, "Relative timing of sound and vision for broadcasting".
- ATSC IS-191, "Relative timing of sound and vision for broadcast operations".
- H. Sakoe, S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE TASSP 26, 1978.
- E. Keogh, M. Pazzani, "Derivative dynamic time warping", SDM 2001 (the slope beside the value).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.checks import (
    require_finite,
    require_increasing,
    require_mask,
    require_same_length,
    require_shape,
)
from evalkit.metrics.filters import butter, sosfiltfilt
from evalkit.stats.blocks import interval_of, redraw_counts
from evalkit.types import BoolArray, FloatArray, Interval

N_SIGNALS = 6
"""Signals of a lip trajectory."""
N_COEFFICIENTS = 13
"""Of the cepstrum."""
GRID_HZ = 50
"""Rate of the lip trajectories."""
DTW_HZ = 25
"""Rate at which they are warped."""
WINDOW_S = 3.0
WINDOW_HOP_S = 1.0
SHORTEST_WINDOW_S = 1.6
DTW_WINDOW = 2
"""dtaidistance's window counts the diagonal: 2 is a Sakoe–Chiba band of one frame, ±40 ms."""
BAND_HZ = (0.5, 9.0)
"""Speech moves the lips in this band; below it is posture, above it the landmarker's noise."""
WEIGHTS = np.array([1.0, 0.6, 1.0, 0.6, 1.0, 0.5])
"""Trust in each lip signal, by how well training speakers' signals are predicted."""
SLOPE_WEIGHT = 0.7
"""Weight of the slopes (a frame at 25 Hz) beside the values in the warped sequences."""
LONGEST_OFFSET_S = 0.8
SPEECH_RANGE_DB = 35.0
"""Sound within this range of the clip's loud passages counts as speech."""
SPEECH_FLOOR_DB = -65.0
BLOCK_S = 0.5
_BLOCKS_AT_ONCE = 512
"""Bounds the memory that a long clip takes."""
N_BOOTSTRAP = 400
SPEAKER_SPREAD_MS = 26.0
"""Root-mean-square offset found in clips that are presumably in sync: natural mouths lead or lag the sound, and
recordings differ from the laboratory ones that set the zero. No part of an interval: it says how far another speaker in sync
may lie from 0, the interval says how far another piece of this recording may lie from this one. Figures in
evalkit/models/lip_sync/card.md."""
RECODING_SPREAD_MS = 1.0
"""Median change of the offset when the same recording is scaled, blurred or made noisy."""
NEAR_S = 0.12
"""The peak of a part of a recording is looked for this near the whole one's; a second peak is further."""
FEWEST_BLOCKS = 3
"""Fewer show no spread."""
DRIFT_WINDOW_S = 3.0
FEWEST_DRIFT_WINDOWS = 5
DRIFT_RANGE_S = 0.4
"""The offset of a part of the clip is looked for this near the whole clip's."""
PASS = 0.3
"""Rank error up to which lips and sound pass; the bundled policy asks for it."""
CHANCE = 0.5
"""Rank that lips have to which no sound fits better than another."""
STILL_LIPS = 0.004
"""Below this standard deviation of the lip gap, in eye distances, the mouth does not move: landmark noise."""


# --- from sound to lips ----------------------------------------------------------------------------------------------


def detect_speech(level_db: FloatArray) -> BoolArray:
    """Say where there is sound as loud as speech.

    Parameters
    ----------
    level_db : FloatArray, shape (n,)
        Level in dB relative to full scale.

    Returns
    -------
    BoolArray, shape (n,)
        All false for silence.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_shape("level_db", level_db, (None,))
    require_finite("level_db", level_db)
    if level_db.size == 0:
        return np.zeros(0, dtype=bool)
    threshold = max(float(np.percentile(level_db, 95)) - SPEECH_RANGE_DB, SPEECH_FLOOR_DB)
    return level_db > threshold


def normalise_cepstrum(mfcc: FloatArray, speech: BoolArray) -> NDArray[np.float32]:
    """Take out voice and microphone: zero mean and unit variance of every coefficient over the speech.

    Parameters
    ----------
    mfcc : FloatArray, shape (n, 13)
    speech : BoolArray, shape (n,)
        Must hold at least one true value.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_shape("mfcc", mfcc, (None, N_COEFFICIENTS))
    require_mask("speech", speech)
    require_same_length({"mfcc": mfcc, "speech": speech})
    if not speech.any():
        raise ValueError(
            "speech is false throughout; a cepstrum is normalised over speech, so some is needed"
        )
    spoken = mfcc[speech]
    mean, spread = spoken.mean(axis=0), spoken.std(axis=0) + 1e-6
    del spoken
    normal = mfcc - mean
    normal /= spread
    return np.asarray(np.clip(normal, -4.0, 4.0, out=normal), dtype=np.float32)


def predict_lips(
    predictor: Callable[[NDArray[np.float32]], FloatArray],
    times_s: FloatArray,
    mfcc: FloatArray,
    level_db: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Predict the lips that belong to a sound.

    Parameters
    ----------
    predictor : callable
        From normalised cepstra at 100 Hz, shape (n, 13), to lips at 50 Hz, shape (n // 2, 6).
    times_s : FloatArray, shape (n,)
        Of the rows, 10 ms apart.
    mfcc : FloatArray, shape (n, 13)
    level_db : FloatArray, shape (n,)
        Must hold speech.

    Returns
    -------
    times_s : FloatArray, shape (n // 2,)
    lips : FloatArray, shape (n // 2, 6)

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_increasing("times_s", times_s)
    require_shape("mfcc", mfcc, (None, N_COEFFICIENTS))
    require_shape("level_db", level_db, (None,))
    require_same_length({"times_s": times_s, "mfcc": mfcc, "level_db": level_db})
    even = times_s.shape[0] // 2 * 2
    cepstrum = normalise_cepstrum(mfcc[:even], detect_speech(level_db[:even]))
    return times_s[:even].reshape(-1, 2).mean(axis=1), predictor(cepstrum)


# --- on one grid -----------------------------------------------------------------------------------------------------


def on_grid(times_s: FloatArray, values: FloatArray, end_s: float) -> FloatArray:
    """Interpolate linearly onto the uniform grid 0, 1/50 s … below `end_s`; constant outside the observations.

    Parameters
    ----------
    times_s : FloatArray, shape (n,), n ≥ 1, increasing
    values : FloatArray, shape (n, k)

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_increasing("times_s", times_s)
    require_shape("values", values, (None, None))
    require_finite("values", values)
    if not require_same_length({"times_s": times_s, "values": values}):
        raise ValueError("times_s is empty; at least one observation is needed")
    grid = np.arange(int(end_s * GRID_HZ)) / GRID_HZ
    return np.stack([np.interp(grid, times_s, column) for column in values.T], axis=1)


def keep_speech_band(lips: FloatArray) -> FloatArray:
    """Pass `BAND_HZ` without delay. Needs at least `SHORTEST_WINDOW_S` of trajectory.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_shape("lips", lips, (None, None))
    require_finite("lips", lips)
    if lips.shape[0] < SHORTEST_WINDOW_S * GRID_HZ:
        raise ValueError(
            f"lips has {lips.shape[0]} rows; {SHORTEST_WINDOW_S * GRID_HZ:.0f} ({SHORTEST_WINDOW_S} s at {GRID_HZ} Hz) "
            f"are the least that can be filtered"
        )
    sections = butter(2, BAND_HZ, btype="bandpass", fs=GRID_HZ)
    return sosfiltfilt(sections, lips, axis=0)


def shift(lips: FloatArray, by_s: float) -> FloatArray:
    """Delay a trajectory on the grid by `by_s` seconds (may be negative); constant at the ends.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_shape("lips", lips, (None, None))
    require_finite("lips", lips)
    rows = np.arange(lips.shape[0], dtype=np.float64)
    return np.stack([np.interp(rows - by_s * GRID_HZ, rows, column) for column in lips.T], axis=1)


# --- offset ----------------------------------------------------------------------------------------------------------


class OffsetEstimate(NamedTuple):
    """Where sound and lips fit best.

    Parameters
    ----------
    offset_s : float
        Positive when the audio leads.
    interval_s : Interval
        95 %, of this recording: where its constant offset lies, judged by how its half seconds differ. Where the curve has a
        second peak that other half seconds might have raised above the first, it reaches there. How far speakers differ is no part
        of it: see `SPEAKER_SPREAD_MS`.
    confidence : float
        Peak minus median of the correlation by offset, from 0 to about 1.
    offsets_s, correlation : FloatArray, shape (n_offsets,)
        The curve itself.
    drift_s_per_s : float or None
        Slope of the offset; ``None`` when the clip is too short.
    drift_interval : Interval or None
        95 %, in s/s; ``None`` too where the windows' offsets lie on a line.
    n_blocks : int
        Blocks of half a second that could be used.
    """

    offset_s: float
    interval_s: Interval
    confidence: float
    offsets_s: FloatArray
    correlation: FloatArray
    drift_s_per_s: float | None
    drift_interval: Interval | None
    n_blocks: int

    @property
    def offset_ms(self) -> float:
        """The offset in milliseconds."""
        return 1e3 * self.offset_s


def estimate_offset(
    predicted: FloatArray, observed: FloatArray, usable: BoolArray, *, seed: int = 0
) -> OffsetEstimate | None:
    """Find the constant offset between predicted and observed lips.

    Parameters
    ----------
    predicted, observed : FloatArray, shape (n, 6)
        On the grid, in the speech band.
    usable : BoolArray, shape (n,)
        Where the lips were observed.

    Returns
    -------
    OffsetEstimate or None
        ``None`` when less than one block is usable at every offset.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    _require_lips("predicted", predicted)
    _require_lips("observed", observed)
    require_mask("usable", usable)
    n = require_same_length({"predicted": predicted, "observed": observed, "usable": usable})
    longest = min(int(LONGEST_OFFSET_S * GRID_HZ), n // 3)
    lags = np.arange(-longest, longest + 1)
    sums = _block_sums(predicted, observed, usable, lags)
    used = np.flatnonzero(sums[1].max(axis=1) > 0)
    if used.size == 0:
        return None
    sums = sums[:, used]
    curve = _correlation(sums.sum(axis=1))
    best_s = float(_peak(curve[None], lags)[0])

    interval = _offset_interval(sums, lags, best_s, seed)
    slope, slope_interval = _drift(sums, (used + 0.5) * BLOCK_S, lags, best_s)
    return OffsetEstimate(
        best_s,
        interval,
        float(curve.max() - np.median(curve)),
        lags / GRID_HZ,
        curve,
        slope,
        slope_interval,
        int(used.size),
    )


def _offset_interval(sums: FloatArray, lags: NDArray[np.int64], best_s: float, seed: int) -> Interval:
    """Return the hull of two intervals: one around the peak, from the jackknife, and one that knows of other peaks, from a bootstrap.

    The percentile bootstrap of a dozen half seconds is too narrow (88 % of 95), Student's t on the jackknife's error is not; but the
    jackknife leaves out one block at a time and never sees the second peak that a redraw of all of them brings up.
    """
    from evalkit.stats.special import stdtrit

    counts = redraw_counts(sums.shape[1], N_BOOTSTRAP, seed=seed)
    resampled = _correlation(np.einsum("rb,kbl->krl", counts, sums))
    low_s, high_s = interval_of(_peak(resampled, lags))
    n = sums.shape[1]
    if n < FEWEST_BLOCKS:
        reach_s = float(lags[-1]) / GRID_HZ
    else:
        near = np.abs(lags / GRID_HZ - best_s) <= NEAR_S
        without = _correlation((sums.sum(axis=1, keepdims=True) - sums)[:, :, near])
        left_out_s = _peak(without, lags[near])
        error_s = np.sqrt((n - 1) * left_out_s.var() + (RECODING_SPREAD_MS / 1000) ** 2)
        reach_s = float(stdtrit(n - 1, 0.975) * error_s)
    return Interval(min(low_s, best_s - reach_s), max(high_s, best_s + reach_s))


def _block_sums(
    predicted: FloatArray, observed: FloatArray, usable: BoolArray, lags: NDArray[np.int64]
) -> FloatArray:
    """Return sums over blocks by lag, shape (3, n_blocks, n_lags): products, energy of the observed, of the predicted."""
    n = observed.shape[0]
    block = int(BLOCK_S * GRID_HZ)
    n_blocks = -(-n // block)
    sums = np.zeros((3, n_blocks, lags.size))
    spread_o = observed[usable].std(axis=0) + 1e-9 if usable.any() else np.ones(WEIGHTS.size)
    x = observed / spread_o
    y = predicted / (predicted.std(axis=0) + 1e-9)
    for begin in range(0, n, _BLOCKS_AT_ONCE * block):
        end = min(n, begin + _BLOCKS_AT_ONCE * block)
        starts = np.arange(0, end - begin, block)
        blocks = slice(begin // block, begin // block + starts.size)
        for index, lag in enumerate(lags):
            first, stop = max(begin, lag), min(end, n + lag)  # rows of the observed that have a partner
            terms = np.zeros((3, end - begin))
            if first < stop:
                a, b = x[first:stop], y[first - lag : stop - lag]
                keep = usable[first:stop, None] * WEIGHTS
                rows = slice(first - begin, stop - begin)
                terms[0, rows] = (keep * a * b).sum(axis=1)
                terms[1, rows] = (keep * a * a).sum(axis=1)
                terms[2, rows] = (keep * b * b).sum(axis=1)
            sums[:, blocks, index] = np.add.reduceat(terms, starts, axis=1)
    return sums


def _correlation(sums: FloatArray) -> FloatArray:
    """Pool sums of shape (3, …, n_lags) into correlations of shape (…, n_lags)."""
    return np.asarray(sums[0] / np.sqrt(sums[1] * sums[2] + 1e-12))


def _peak(curves: FloatArray, lags: NDArray[np.int64]) -> FloatArray:
    """Return the place of each curve's peak in seconds, refined by a parabola through three points."""
    rows = np.arange(curves.shape[0])
    at = np.clip(curves.argmax(axis=1), 1, lags.size - 2)
    before, here, after = curves[rows, at - 1], curves[rows, at], curves[rows, at + 1]
    bend = before - 2 * here + after
    step = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    return np.asarray((lags[at] + np.clip(step, -1.0, 1.0)) / GRID_HZ)


def _drift(
    sums: FloatArray, times_s: FloatArray, lags: NDArray[np.int64], offset_s: float
) -> tuple[float | None, Interval | None]:
    """Fit a Theil–Sen line through the offsets of windows of a few blocks, looked for near the whole clip's.

    Its interval is None where the windows lie on a line and say nothing of how far off it may be.
    """
    per_window = int(DRIFT_WINDOW_S / BLOCK_S)
    n_windows = sums.shape[1] // per_window
    if n_windows < FEWEST_DRIFT_WINDOWS:
        return None, None
    cut = n_windows * per_window
    pooled = sums[:, :cut].reshape(3, n_windows, per_window, lags.size).sum(axis=2)
    near = np.abs(lags / GRID_HZ - offset_s) <= DRIFT_RANGE_S
    offsets_s = _peak(_correlation(pooled)[:, near], lags[near])
    middles_s = times_s[:cut].reshape(n_windows, per_window).mean(axis=1)
    from scipy.stats import theilslopes

    slope, _, low, high = theilslopes(offsets_s, middles_s, alpha=0.95)
    return float(slope), Interval(float(low), float(high)) if low < high else None


def local_offsets(
    predicted: FloatArray, observed: FloatArray, usable: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Find the offset of each stretch of `DRIFT_WINDOW_S`, every half second.

    Parameters
    ----------
    predicted, observed, usable
        As of `estimate_offset`.

    Returns
    -------
    starts_s, offsets_s, correlations : FloatArray, shape (n_windows,)
        Where each window begins, its offset, and the correlation there. None for a clip that is shorter.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    _require_lips("predicted", predicted)
    _require_lips("observed", observed)
    require_mask("usable", usable)
    n = require_same_length({"predicted": predicted, "observed": observed, "usable": usable})
    per_window, longest = int(DRIFT_WINDOW_S / BLOCK_S), min(int(LONGEST_OFFSET_S * GRID_HZ), n // 3)
    n_windows = n // int(BLOCK_S * GRID_HZ) - per_window + 1
    if n_windows < 1:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    lags = np.arange(-longest, longest + 1)
    totals = np.cumsum(
        np.pad(_block_sums(predicted, observed, usable, lags), ((0, 0), (1, 0), (0, 0))), axis=1
    )
    curves = _correlation(totals[:, per_window : per_window + n_windows] - totals[:, :n_windows])
    return np.arange(n_windows) * BLOCK_S, _peak(curves, lags), curves.max(axis=1)


# --- rank of the DTW distance ----------------------------------------------------------------------------------------


class WindowScores(NamedTuple):
    """The windows of a clip that could be scored.

    Parameters
    ----------
    starts_s : FloatArray, shape (n_windows,)
    ranks : FloatArray, shape (n_windows,)
        Share of the bank that fits the lips better than their own sound, ties counted half; from 0 to 1. ½, which is chance, where
        the mouth stands still: it tells nothing of any sound.
    distances : FloatArray, shape (n_windows,)
        DTW distance to their own sound, a root mean square in standard deviations.
    """

    starts_s: FloatArray
    ranks: FloatArray
    distances: FloatArray

    @property
    def error(self) -> float | None:
        """Mean of the ranks; None without a window."""
        return float(self.ranks.mean()) if self.ranks.size else None


def score_windows(
    predicted: FloatArray, observed: FloatArray, usable: BoolArray, speech: BoolArray, bank: FloatArray
) -> WindowScores:
    """Rank the lips' own sound among other pieces of speech, window by window.

    Parameters
    ----------
    predicted, observed : FloatArray, shape (n, 6)
        On the grid, in the speech band.
    usable, speech : BoolArray, shape (n,)
        Where the lips were observed, where somebody speaks. A window counts with at least 80 % and 40 % of these.
    bank : FloatArray, shape (n_bank, 75, 6)
        Predicted lips of other people's speech, `WINDOW_S` long, at `DTW_HZ`.

    Notes
    -----
    Where the lip gap, as far as it was observed, deviates by less than `STILL_LIPS`, what moves is the landmarks' noise: lips are
    standardised within a window, and noise would be ranked as if it were speech.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    _require_lips("predicted", predicted)
    _require_lips("observed", observed)
    require_mask("usable", usable)
    require_mask("speech", speech)
    require_same_length({"predicted": predicted, "observed": observed, "usable": usable, "speech": speech})
    require_shape("bank", bank, (None, int(WINDOW_S * DTW_HZ), N_SIGNALS))
    if not len(bank):
        raise ValueError("bank is empty; a rank needs other people's speech to compare with")
    from dtaidistance import dtw_ndim

    step = GRID_HZ // DTW_HZ
    starts, ranks, distances = [], [], []
    others: dict[int, FloatArray] = {}
    for first, stop in _windows(observed.shape[0]):
        if usable[first:stop].mean() < 0.8 or speech[first:stop].mean() < 0.4:
            continue
        lips = _describe_window(observed[first:stop:step])
        length = lips.shape[0]
        if length not in others:
            others[length] = np.stack([_describe_window(piece[:length]) for piece in bank])
        own = dtw_ndim.distance_fast(lips, _describe_window(predicted[first:stop:step]), window=DTW_WINDOW)
        rivals = np.array(
            [dtw_ndim.distance_fast(lips, other, window=DTW_WINDOW) for other in others[length]]
        )
        starts.append(first / GRID_HZ)
        is_still = float(observed[first:stop, 0][usable[first:stop]].std()) < STILL_LIPS
        rank = float((rivals < own).mean() + 0.5 * (rivals == own).mean())
        ranks.append(CHANCE if is_still else rank)
        distances.append(own / np.sqrt(length * (WEIGHTS**2).sum()))
    return WindowScores(np.array(starts), np.array(ranks), np.array(distances))


def _windows(n_rows: int) -> list[tuple[int, int]]:
    """Return first and last-plus-one row of each window; one shorter window where the clip is shorter."""
    length, hop = int(WINDOW_S * GRID_HZ), int(WINDOW_HOP_S * GRID_HZ)
    if n_rows < length:
        return [(0, n_rows)] if n_rows >= SHORTEST_WINDOW_S * GRID_HZ else []
    return [(first, first + length) for first in range(0, n_rows - length + 1, hop)]


def _describe_window(lips: FloatArray) -> FloatArray:
    """Standardise each signal within the window, weight it, and put its slope beside it."""
    centred = lips - lips.mean(axis=0)
    normal = centred / (centred.std(axis=0) + 1e-6) * WEIGHTS
    return np.ascontiguousarray(np.hstack([normal, SLOPE_WEIGHT * np.gradient(normal, axis=0)]))


def error(
    predicted: FloatArray, observed: FloatArray, usable: BoolArray, speech: BoolArray, bank: FloatArray
) -> float | None:
    """Return the mean rank error of the windows of a clip: the metric ``lip_sync.error``.

    Parameters and errors are those of `score_windows`.

    Returns
    -------
    float or None
        0 to 1, lower is better, ½ is chance; None where no window can be scored.
    """
    return score_windows(predicted, observed, usable, speech, bank).error


def offset_ms(predicted: FloatArray, observed: FloatArray, usable: BoolArray) -> float | None:
    """Return the offset of sound and lips: the metric ``lip_sync.offset_ms``.

    Parameters and errors are those of `estimate_offset`.

    Returns
    -------
    float or None
        In milliseconds, positive when the audio leads, 0 is best; None where too little can be compared.
    """
    found = estimate_offset(predicted, observed, usable)
    return None if found is None else found.offset_ms


def _require_lips(name: str, lips: FloatArray) -> None:
    require_shape(name, lips, (None, N_SIGNALS))
    require_finite(name, lips)


# --- silence ---------------------------------------------------------------------------------------------------------


def silent_motion(
    lips: FloatArray, usable: BoolArray, speech: BoolArray, *, margin_s: float = 0.3
) -> float | None:
    """Compare the lips' speed where nobody speaks with that during speech.

    Parameters
    ----------
    lips : FloatArray, shape (n, 6)
        Observed, on the grid, in the speech band.
    usable, speech : BoolArray, shape (n,)
    margin_s : float
        Around speech, lips may move: breath, onset, release.

    Returns
    -------
    float or None
        Ratio of root-mean-square lip-gap speeds, 0 = still; ``None`` with less than half a second of either, or
        when the lips do not move in speech.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    found = find_quiet(lips, usable, speech, margin_s=margin_s)
    if found is None:
        return None
    speed, quiet, in_speech = found
    return float(np.sqrt((speed[quiet] ** 2).mean())) / in_speech if in_speech > 0 else None


def find_quiet(
    lips: FloatArray, usable: BoolArray, speech: BoolArray, *, margin_s: float = 0.3
) -> tuple[FloatArray, BoolArray, float] | None:
    """Return the speed of the lip gap, where nobody speaks, and its root mean square in speech.

    Parameters and errors are those of `silent_motion`, and it is None where that has no value for want of speech or silence.

    Returns
    -------
    speed : FloatArray, shape (n,)
    quiet : BoolArray, shape (n,)
    in_speech : float
    """
    _require_lips("lips", lips)
    require_mask("usable", usable)
    require_mask("speech", speech)
    require_same_length({"lips": lips, "usable": usable, "speech": speech})
    speed = np.abs(np.gradient(lips[:, 0]) * GRID_HZ)
    margin = int(margin_s * GRID_HZ)
    near_speech = np.convolve(speech, np.ones(2 * margin + 1), mode="same") > 0
    quiet, spoken = usable & ~near_speech, usable & speech
    fewest = GRID_HZ // 2
    if quiet.sum() < fewest or spoken.sum() < fewest:
        return None
    return speed, quiet, float(np.sqrt((speed[spoken] ** 2).mean()))
