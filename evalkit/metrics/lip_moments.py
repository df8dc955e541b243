"""Where lips and sound go apart: the worst moments of the lip-sync metrics.

The rank of a window of three seconds is made for the mean of a clip: it forgives half a window, and a mouth that is held still
for all of one may fit its own words by chance. What says second by second whether lips follow the sound is the *gain*: the
regression of the observed lips on the predicted ones. Lips that follow have the gain that they usually have in the clip, lips
that are held, or belong to other words, have none; so a stretch begins and ends where it falls below half of the usual.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evalkit.metrics.checks import require_finite, require_mask, require_same_length, require_shape
from evalkit.metrics.lip_sync import (
    DTW_HZ,
    GRID_HZ,
    N_SIGNALS,
    PASS,
    WEIGHTS,
    WINDOW_S,
    WindowScores,
    find_quiet,
)
from evalkit.metrics.moments import OFFSET_REFUSED_MS, cells_of_windows, worst_moments
from evalkit.types import BoolArray, FloatArray, Moment

GAIN_WINDOW_S = 2.0
"""Hann-weighted: half of the weight lies within 0.7 s."""
HOP_S = 0.1
LOOSE = 0.5
"""Share of the usual gain below which lips do not follow; half of it is where a window is half inside of a fault."""
SURELY_LOOSE = 1 - 2 * PASS
"""What the gain has to fall to, once in a stretch: lips without any gain tell no words apart, and their chance of 0.5 comes down to
0 with the usual gain, so that this is where it passes `PASS`. Real speakers whose clips are in sync fall to 0.3 of theirs for 0.7 s at most,
generated ones never below 0.7."""
SHORTEST_LOOSE_S = 1.2
JOIN_LOOSE_S = 1.5
"""Between two stretches: lips that belong to other words fit by chance for as long."""
LEAST_USABLE, LEAST_SPOKEN = 0.8, 0.3
MOST_SILENT_MOTION = 0.6
"""Lips in a pause that move at more than this share of their speed in speech speak without a sound."""
_ROUNDING = 1e-9
LEAST_CORRELATION = 0.45
"""Of a window whose offset is known: looked for over 0.8 s either way, chance finds up to 0.4."""


class ComparedLips(NamedTuple):
    """Lips that the sound predicts, and those seen.

    Parameters
    ----------
    predicted, observed : FloatArray, shape (n, 6)
        On the grid, in the speech band, with the constant offset taken out.
    usable, speech : BoolArray, shape (n,)
        Where the lips were observed, where somebody speaks.
    """

    predicted: FloatArray
    observed: FloatArray
    usable: BoolArray
    speech: BoolArray


def local_gains(lips: ComparedLips) -> tuple[FloatArray, FloatArray]:
    """Return how much of the predicted movement the lips make, second by second.

    Parameters
    ----------
    lips : ComparedLips

    Returns
    -------
    times_s : FloatArray, shape (m,)
        Middles of the windows in which the lips were seen and somebody speaks.
    gains : FloatArray, shape (m,)
        In units of the clip's usual one, its median: 1 as always, 0 where the lips do not follow. Empty where the lips never
        follow the sound: then nothing is usual.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    predicted, observed, usable, speech = lips
    n = _require_lips(lips)
    length = int(GAIN_WINDOW_S * GRID_HZ)
    if n < length or not usable.any():
        return np.zeros(0), np.zeros(0)
    seen, expected = _standardised(predicted, observed, usable)
    hann = np.hanning(length + 2)[1:-1]
    together, alone = (
        np.convolve((part * usable[:, None]).sum(axis=1), hann, mode="valid")
        for part in (seen * expected, expected * expected)
    )
    flat = np.full(length, 1.0 / length)
    seen_share, spoken_share = (
        np.convolve(mask.astype(np.float64), flat, mode="valid") for mask in (usable, speech)
    )
    known = (seen_share >= LEAST_USABLE) & (spoken_share >= LEAST_SPOKEN) & (alone > 0)
    rows = np.arange(0, n - length + 1, int(HOP_S * GRID_HZ))
    rows = rows[known[rows]]
    gains = together[rows] / alone[rows]
    usual = float(np.median(gains)) if gains.size else 0.0
    if usual <= 0:
        return np.zeros(0), np.zeros(0)
    return (rows + length / 2) / GRID_HZ, gains / usual


def error_moments(lips: ComparedLips, scores: WindowScores, bank: FloatArray) -> tuple[Moment, ...]:
    """Name the stretches in which the lips do not say what is heard.

    Parameters
    ----------
    lips : ComparedLips
    scores : WindowScores
        Of the metric: as delivered, or with the offset taken out.
    bank : FloatArray, shape (n_bank, 75, 6)
        As of `evalkit.metrics.lip_sync.score_windows`.

    Returns
    -------
    tuple of Moment
        Stretches in which the lips lose the sound (see `local_gains`), and windows whose rank is beyond `PASS`. Their value is
        the chance that other words fit the lips better there; of lips that are held, the more the nearer to 0.5.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    times_s, gains = local_gains(lips)
    half_s = HOP_S / 2
    end_s = len(lips.observed) / GRID_HZ
    starts, ends, ranks = [], [], []
    for stretch in worst_moments(
        times_s - half_s,
        times_s + half_s,
        gains,
        gains < LOOSE,
        np.maximum(LOOSE - gains, 0.0),
        join_s=JOIN_LOOSE_S,
        most=len(gains),
    ):
        # No window is centred within half a length of the clip's ends: what is so up to there goes on to the end.
        edge_s = GAIN_WINDOW_S / 2 + HOP_S
        start_s = 0.0 if stretch.start_s <= edge_s else stretch.start_s
        stop_s = end_s if stretch.end_s >= end_s - edge_s else stretch.end_s
        if stretch.value < SURELY_LOOSE and stop_s - start_s >= SHORTEST_LOOSE_S:
            starts.append(start_s)
            ends.append(stop_s)
            ranks.append(max(_rank(lips, bank, start_s, stop_s), _chance(stretch.value)))
    if scores.starts_s.size:
        cells = cells_of_windows(scores.starts_s, min(WINDOW_S, end_s))
        for start_s, stop_s, rank in zip(*cells, scores.ranks, strict=True):
            if rank > PASS:
                starts.append(float(start_s))
                ends.append(min(float(stop_s), end_s))
                ranks.append(float(rank))
    order = np.argsort(starts, kind="stable")
    begins, stops, values = (np.array(column, dtype=np.float64)[order] for column in (starts, ends, ranks))
    return worst_moments(begins, stops, values, np.ones(begins.size, dtype=bool), values + _ROUNDING)


def _chance(gain: float) -> float:
    return (1 - min(max(gain, 0.0), 1.0)) / 2


def _rank(lips: ComparedLips, bank: FloatArray, start_s: float, end_s: float) -> float:
    """Return the share of other speech that is nearer to the lips than their own sound, at its worst within a stretch."""
    usable = lips.usable
    seen, expected = _standardised(lips.predicted, lips.observed, usable)
    gain = float((seen * expected)[usable].sum() / ((expected[usable] ** 2).sum() + _ROUNDING))
    length = min(int(GAIN_WINDOW_S * GRID_HZ), len(seen))
    grid = np.arange(bank.shape[1] * GRID_HZ // DTW_HZ) * DTW_HZ / GRID_HZ
    fine = np.stack(
        [
            np.stack([np.interp(grid, np.arange(bank.shape[1]), signal) for signal in piece.T], axis=1)
            for piece in bank
        ]
    )
    fine = fine / (fine.reshape(-1, N_SIGNALS).std(axis=0) + _ROUNDING) * np.sqrt(WEIGHTS)
    others = np.concatenate(
        [fine[:, first : first + length] for first in range(0, grid.size - length + 1, 25)]
    )
    first = min(round(start_s * GRID_HZ), len(seen) - length)
    last = max(first, min(round(end_s * GRID_HZ), len(seen)) - length)
    worst = 0.0
    for row in range(first, last + 1, round(HOP_S * 5 * GRID_HZ)):
        window = seen[row : row + length]
        own = ((window - gain * expected[row : row + length]) ** 2).sum()
        rivals = ((window - gain * others) ** 2).sum(axis=(1, 2))
        worst = max(worst, float((rivals < own).mean() + 0.5 * (rivals == own).mean()))
    return worst


def offset_moments(
    starts_s: FloatArray, offsets_s: FloatArray, correlations: FloatArray, length_s: float
) -> tuple[Moment, ...]:
    """Name the stretches whose offset is not accepted.

    Parameters
    ----------
    starts_s, offsets_s, correlations : FloatArray, shape (n,)
        From `evalkit.metrics.lip_sync.local_offsets`.
    length_s : float
        Of every window.

    Returns
    -------
    tuple of Moment
        In milliseconds. Windows beyond `OFFSET_REFUSED_MS` whose correlation is at least `LEAST_CORRELATION`.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    require_same_length({"starts_s": starts_s, "offsets_s": offsets_s, "correlations": correlations})
    low_ms, high_ms = OFFSET_REFUSED_MS
    offsets_ms = 1e3 * offsets_s
    beyond_ms = np.maximum(offsets_ms - high_ms, low_ms - offsets_ms)
    is_bad = (beyond_ms > 0) & (correlations >= LEAST_CORRELATION)
    cells = cells_of_windows(starts_s, length_s)
    return worst_moments(*cells, offsets_ms, is_bad, np.maximum(beyond_ms, 0.0), join_s=1.0, least_s=1.0)


def silent_motion_moments(lips: FloatArray, usable: BoolArray, speech: BoolArray) -> tuple[Moment, ...]:
    """Name the pauses in which the lips go on.

    Parameters
    ----------
    lips, usable, speech
        As of `evalkit.metrics.lip_sync.silent_motion`.

    Returns
    -------
    tuple of Moment
        Stretches of at least half a second in which the lips' speed (over half a second) is more than `MOST_SILENT_MOTION` of
        that in speech.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values out of range.
    """
    found = find_quiet(lips, usable, speech)
    if found is None:
        return ()
    speed, quiet, in_speech = found
    if in_speech <= 0:
        return ()
    kernel = np.ones(GRID_HZ // 2)
    within = np.convolve(quiet, kernel, mode="same")
    power = np.convolve(np.where(quiet, speed**2, 0.0), kernel, mode="same") / np.maximum(within, 1.0)
    ratio = np.sqrt(power) / in_speech
    starts_s = np.arange(len(lips)) / GRID_HZ
    beyond = ratio - MOST_SILENT_MOTION
    return worst_moments(
        starts_s,
        starts_s + 1 / GRID_HZ,
        ratio,
        quiet & (beyond > 0),
        np.maximum(beyond, 0.0),
        join_s=0.5,
        least_s=0.5,
    )


def _standardised(
    predicted: FloatArray, observed: FloatArray, usable: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return both in units of their spread where the lips were seen, each signal by its trust."""
    trust = np.sqrt(WEIGHTS)
    seen = observed / (observed[usable].std(axis=0) + _ROUNDING) * trust
    expected = predicted / (predicted[usable].std(axis=0) + _ROUNDING) * trust
    return seen, expected


def _require_lips(lips: ComparedLips) -> int:
    for name in ("predicted", "observed"):
        require_shape(name, getattr(lips, name), (None, N_SIGNALS))
        require_finite(name, getattr(lips, name))
    for name in ("usable", "speech"):
        require_mask(name, getattr(lips, name))
    return require_same_length(lips._asdict())
