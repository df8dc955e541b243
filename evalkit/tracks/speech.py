"""The speech track: mel-frequency cepstral coefficients and level, 100 times a second, from pyAudioAnalysis."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.tracks.base import TrackBuilder
from evalkit.types import AudioChunk, FloatArray, Track
from pipeline.partial_import import import_alone

RATE_HZ = 16_000
FRAME_RATE_HZ = 100
N_MFCC = 13
MFCC_COLUMNS = tuple(f"mfcc_{number}" for number in range(1, N_MFCC + 1))
COLUMNS = (*MFCC_COLUMNS, "level_db")
"""Cepstral coefficients of the magnitude spectrum; level in dB relative to full scale (-120 for silence)."""

_WINDOW = 400  # 25 ms
_HOP = RATE_HZ // FRAME_RATE_HZ
_MAGNITUDE_FLOOR = 1e-7


class SpeechTracker:
    """Makes the speech track; the time of a row is the middle of its 25 ms window."""

    name = "speech"
    version = 3
    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self._rows = TrackBuilder(self.name, COLUMNS)
        self._rest: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self._rest_start_s: float | None = None

    def update(self, chunk: AudioChunk) -> None:
        """Take the next samples, at 16 kHz."""
        if self._rest_start_s is None:
            self._rest_start_s = chunk.start_s
        samples = np.concatenate([self._rest, chunk.samples])
        n_frames = max(0, (samples.shape[0] - _WINDOW) // _HOP + 1)
        rows = describe(samples[: (n_frames - 1) * _HOP + _WINDOW]) if n_frames else ()
        for index, row in enumerate(rows):
            self._rows.append(self._rest_start_s + (index * _HOP + _WINDOW / 2) / RATE_HZ, row)
        self._rest = samples[n_frames * _HOP :]
        self._rest_start_s += n_frames * _HOP / RATE_HZ

    def finish(self) -> Track:
        """Return the track."""
        return self._rows.track()


def describe(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return MFCCs and level of every 25 ms window, 10 ms apart.

    Parameters
    ----------
    samples : float array, shape (n,)
        Mono sound in [-1, 1] at 16 kHz, at least one window long.

    Returns
    -------
    float32 array, shape (1 + (n - 400) // 160, 14)
        In the order of `COLUMNS`.
    """
    library = _library()
    filters, _ = library.mfcc_filter_banks(RATE_HZ, _WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), _WINDOW)[::_HOP]
    rows = np.empty((windows.shape[0], len(COLUMNS)), dtype=np.float32)
    for index, window in enumerate(windows):
        magnitude = np.abs(np.fft.rfft(window))[: _WINDOW // 2] / (_WINDOW // 2) + _MAGNITUDE_FLOOR
        rows[index, :N_MFCC] = library.mfcc(magnitude, filters, N_MFCC)
        rows[index, N_MFCC] = 20 * np.log10(max(1e-6, _root_mean_square(window)))
    return rows


@cache
def _library() -> Any:
    """Return pyAudioAnalysis's features; what its other functions import, pyplot above all, takes a second to load."""
    unused = {"matplotlib.pyplot": (), "scipy.signal": ("lfilter",), "tqdm": ("tqdm",)}
    return import_alone("pyAudioAnalysis.ShortTermFeatures", unused=unused)


def _root_mean_square(window: FloatArray) -> float:
    return float(np.sqrt((window**2).mean()))
