"""What the motion model hears: a loudness-normalised log-mel picture of the sound, folded to the motion rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Float32Array = NDArray[np.float32]

RATE_HZ = 16000
N_BANDS = 40
N_MEL_COLUMNS = N_BANDS + 1  # the last one is loudness
MEL_RATE_HZ = 100
MOTION_RATE_HZ = 25
FOLD = MEL_RATE_HZ // MOTION_RATE_HZ
N_COLUMNS = FOLD * N_MEL_COLUMNS

_HOP = RATE_HZ // MEL_RATE_HZ
_WINDOW = 400
_N_FFT = 512
_FLOOR_DB = -60.0
_BLOCK = 10 * RATE_HZ
_SILENT_DB = -40.0
_PRIOR_FRAMES = 150.0
_PRIOR_MEAN_DB = np.linspace(-22.0, -40.0, N_BANDS)


def log_mel(pieces: Iterable[Float32Array]) -> Float32Array:
    """Return loudness-normalised log-mel energies of mono sound at 16 kHz, shape (n, 41), 100 a second.

    Row ``i`` is centred at ``(i + 0.5) / 100`` s. Loudness and the slow colouring of voice, microphone and room are
    taken out over the moments that are not silent; sound without any gives all rows at the floor.

    Parameters
    ----------
    pieces : iterable of float32 arrays, shape (n,)
        The sound in pieces of any length, full scale 1; never held as a whole.
    """
    bank = _mel_bank()
    window = np.hanning(_WINDOW + 2)[1:-1].astype(np.float32)
    edge = (_WINDOW - _HOP) // 2
    rows: list[Float32Array] = []
    waiting = [np.zeros(edge, np.float32)]
    n_waiting, n_samples = edge, 0
    for piece, is_last in _mark_last(pieces, np.zeros(edge + _HOP, np.float32)):
        waiting.append(piece)
        n_waiting += len(piece)
        n_samples += 0 if is_last else len(piece)
        if is_last or n_waiting >= _BLOCK:
            block = np.concatenate(waiting)
            frames = np.lib.stride_tricks.sliding_window_view(block, _WINDOW)[::_HOP]
            rows.append(np.abs(np.fft.rfft(frames * window, _N_FFT)).astype(np.float32) ** 2 @ bank.T)
            waiting = [block[len(frames) * _HOP :]]
            n_waiting = len(waiting[0])
    return _normalise(np.concatenate(rows)[: n_samples // _HOP])


def fold(mel: Float32Array) -> Float32Array:
    """Fold mel rows to the motion rate, shape (ceil(n / 4) + 1, 164); row ``j`` is centred at ``j / 25`` s."""
    n = -(-len(mel) // FOLD) + 1
    floor = mel.min(0) if len(mel) else np.full(N_MEL_COLUMNS, _FLOOR_DB / 20, np.float32)
    padded = np.empty((n * FOLD, N_MEL_COLUMNS), np.float32)
    padded[:] = floor
    padded[FOLD // 2 : FOLD // 2 + len(mel)] = mel[: n * FOLD - FOLD // 2]
    return padded.reshape(n, N_COLUMNS)


def _normalise(power: Float32Array) -> Float32Array:
    loudness_db = 10 * np.log10(power.sum(1) + 1e-12)
    top_db = np.percentile(loudness_db, 95) if len(power) else 0.0
    if top_db < _SILENT_DB:
        return np.full((len(power), N_MEL_COLUMNS), _FLOOR_DB / 20, np.float32)
    bands_db = np.maximum(10 * np.log10(power + 1e-12) - top_db, _FLOOR_DB)
    active = loudness_db > top_db - 25
    n = active.sum()
    mean_db = (bands_db[active].sum(0) + _PRIOR_FRAMES * _PRIOR_MEAN_DB) / (n + _PRIOR_FRAMES)
    loud = np.clip((loudness_db - top_db + 20) / 15, _FLOOR_DB / 20, None)
    return np.column_stack([(bands_db - mean_db) / 12, loud]).astype(np.float32)


def _mark_last(pieces: Iterable[Float32Array], last: Float32Array) -> Iterator[tuple[Float32Array, bool]]:
    yield from ((piece, False) for piece in pieces)
    yield last, True


def _mel_bank() -> Float32Array:
    edges_mel = np.linspace(_to_mel(60.0), _to_mel(7600.0), N_BANDS + 2)
    edges_hz = 700 * (10 ** (edges_mel / 2595) - 1)
    bins_hz = np.fft.rfftfreq(_N_FFT, 1 / RATE_HZ)
    rise = (bins_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    fall = (edges_hz[2:, None] - bins_hz) / np.diff(edges_hz)[1:, None]
    bank: Float32Array = np.clip(np.minimum(rise, fall), 0, None).astype(np.float32)
    return bank


def _to_mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))
