"""How like speech a sound moves, in numbers that do not depend on gain, microphone, voice or language.

Speech changes its spectrum two to ten times a second, all the time, in no rhythm, and in many directions at once. A tone
or a hum does not change, noise trembles faster, alarms and loops repeat themselves, and the notes of music stand still
between jumps. `evalkit.models.speech_likeness` weighs these numbers.

References
----------
E. Scheirer, M. Slaney: Construction and evaluation of a robust multifeature speech/music discriminator, ICASSP 1997, for
the modulation of speech at 4 Hz.
"""

from __future__ import annotations

import numpy as np

from evalkit.metrics.checks import require_finite, require_same_length, require_shape
from evalkit.metrics.filters import butter, sosfiltfilt
from evalkit.metrics.lip_sync import N_COEFFICIENTS, SPEECH_RANGE_DB, detect_speech
from evalkit.types import BoolArray, FloatArray

ROWS_HZ = 100
"""Rows a second of the speech track."""
FEWEST_ROWS = 80
"""Nothing is said of less sound than this, in rows."""
SYLLABLES_HZ = (2.0, 10.0)
PERIODS_S = (0.12, 2.0)
"""A rhythm is looked for among these."""
MEASURES = (
    "spread",
    "movement",
    "movement_share",
    "movement_over_tremble",
    "movement_slow_over_fast",
    "movement_fine_over_coarse",
    "movement_dimensions",
    "rhythm",
    "roughness",
    "jump_size",
    "jump_tail",
    "level_movement",
    "tilt_follows_level",
    "jump_follows_level",
)
"""What `measure_likeness` gives, in this order."""


def measure_likeness(mfcc: FloatArray, level_db: FloatArray) -> FloatArray | None:
    """Describe how a sound moves.

    Parameters
    ----------
    mfcc : FloatArray, shape (n, 13)
        Cepstrum at `ROWS_HZ`; the first coefficient, the level, is not used.
    level_db : FloatArray, shape (n,)

    Returns
    -------
    FloatArray or None
        In the order of `MEASURES`: logarithms to base 10 of spreads and of their ratios, but for shares, correlations and
        counts. None where less than `FEWEST_ROWS` rows sound.

    Raises
    ------
    ValueError
        For arrays of another shape, lengths that differ, or values that are not finite.
    """
    require_shape("mfcc", mfcc, (None, N_COEFFICIENTS))
    require_shape("level_db", level_db, (None,))
    require_finite("mfcc", mfcc)
    require_same_length({"mfcc": mfcc, "level_db": level_db})
    sounds = detect_speech(level_db)
    if sounds.sum() < FEWEST_ROWS:
        return None
    shape = mfcc[:, 1:] - mfcc[sounds, 1:].mean(axis=0)
    moving = _pass(shape, SYLLABLES_HZ)
    movement = moving[sounds].var(axis=0)
    total = shape[sounds].var(axis=0).sum()
    follows = sounds[1:] & sounds[:-1]
    jumps = np.linalg.norm(np.diff(shape, axis=0)[follows], axis=1)
    rises_db = np.diff(level_db)[follows]
    spreads = np.linalg.eigvalsh(np.cov(moving[sounds].T) + 1e-6 * np.eye(shape.shape[1]))
    heard_db = np.maximum(level_db, np.percentile(level_db, 95) - SPEECH_RANGE_DB)
    return np.array(
        [
            np.log10(total + 1e-5),
            np.log10(movement.sum() + 1e-6),
            movement.sum() / (total + 1e-5),
            _log_ratio(movement.sum(), _power(shape, sounds, (15.0, 49.0))),
            _log_ratio(_power(shape, sounds, (1.5, 4.0)), _power(shape, sounds, (6.0, 14.0))),
            _log_ratio(movement[7:].sum(), movement[:4].sum()),
            spreads.sum() ** 2 / (spreads**2).sum(),
            _rhythm(np.where(sounds[:, None], shape, 0.0)),
            np.log10((jumps.mean() + 1e-4) / np.sqrt(total + 1e-4)),
            _log_ratio(np.percentile(jumps, 97), np.median(jumps), floor=1e-3),
            np.log10(((jumps - jumps.mean()) ** 4).mean() / (jumps.var() ** 2 + 1e-9) + 1e-9),
            np.log10(_pass(heard_db[:, None], SYLLABLES_HZ).std() + 1e-2),
            _correlation(shape[sounds, 0], level_db[sounds]),
            _correlation(jumps, rises_db),
        ]
    )


def _pass(values: FloatArray, band_hz: tuple[float, float]) -> FloatArray:
    """Keep what moves in a band, without delay."""
    sections = butter(2, band_hz, btype="bandpass", fs=ROWS_HZ)
    return sosfiltfilt(sections, values, axis=0)


def _power(values: FloatArray, rows: BoolArray, band_hz: tuple[float, float]) -> float:
    return float(_pass(values, band_hz)[rows].var(axis=0).sum())


def _rhythm(shape: FloatArray) -> float:
    """Return how well the movement repeats itself after its best period: 1 for a loop."""
    moving = _pass(shape, SYLLABLES_HZ)
    n = moving.shape[0]
    spectrum = np.abs(np.fft.rfft(moving, 2 * n, axis=0)) ** 2
    likeness = np.fft.irfft(spectrum, axis=0).sum(axis=1)[:n] * n / (n - np.arange(n))
    first, last = round(PERIODS_S[0] * ROWS_HZ), min(round(PERIODS_S[1] * ROWS_HZ), round(0.6 * n))
    later = likeness[first:last] / (likeness[0] + 1e-9)
    apart = int(np.argmax(later < 0.05))  # 0 where it never comes apart
    return float(later[apart:].max())


def _log_ratio(above: float, below: float, floor: float = 1e-4) -> float:
    return float(np.log10((above + floor) / (below + floor)))


def _correlation(first: FloatArray, second: FloatArray) -> float:
    """Return the correlation; 0 where one of them does not change."""
    if min(first.std(), second.std()) < 1e-6:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
