"""Sound files: reading any of them as mono samples in bounded memory, and writing plain WAV."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MAX_SOUND_S = 3600.0
"""The longest sound that is taken, seconds. An hour of mono float32 at 16 kHz is 230 MB."""

_SILENCE_PEAK = 1e-4
"""Below this (-80 dB of full scale, 3 steps of 16 bits) everywhere, a file is silent."""


@dataclass(frozen=True, slots=True)
class MeasuredSound:
    """Length in seconds and largest magnitude (1 is full scale) of a sound that can be used."""

    duration_s: float
    peak: float


def iterate_sound(path: str | Path, rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Read a sound file, or the sound of a video file, piece by piece.

    Parameters
    ----------
    path : path
        Anything FFmpeg reads; the mean of its channels is taken.
    rate_hz : int
        Sample rate wanted; resampled to it.

    Yields
    ------
    float32 array, shape (n,)
        The next samples, full scale in [-1, 1], a fraction of a second each.

    Raises
    ------
    RequestError
        If the file is missing, is not sound, or lasts longer than `MAX_SOUND_S`.
    """
    import av

    if not Path(path).is_file():
        raise RequestError(f"audio {str(path)!r}: there is no such file")
    n_samples = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise RequestError(f"audio {str(path)!r}: the file has no sound")
            if container.duration is not None:
                _refuse_long(path, container.duration / av.time_base)
            resampler = av.AudioResampler(format="fltp", rate=rate_hz)
            for frame in container.decode(container.streams.audio[0]):
                for piece in resampler.resample(frame):
                    n_samples += piece.samples
                    _refuse_long(path, n_samples / rate_hz)
                    yield piece.to_ndarray().mean(axis=0)
            for piece in resampler.resample(None):
                yield piece.to_ndarray().mean(axis=0)
    except (av.error.FFmpegError, OSError) as error:
        raise RequestError(f"audio {str(path)!r} cannot be read as sound: {error}") from error


def read_sound(path: str | Path, rate_hz: int) -> NDArray[np.float32]:
    """Read a whole sound file as mono samples, shape (n,), full scale in [-1, 1].

    Raises
    ------
    RequestError
        As `iterate_sound`, and if it is empty, silent (never above -80 dB of full scale) or not finite.
    """
    pieces = list(iterate_sound(path, rate_hz))
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    _refuse_silence(path, samples.size, float(np.abs(samples).max(initial=0.0)))
    return samples


def measure_sound(path: str | Path) -> MeasuredSound:
    """Measure a sound file in little memory; refuse what `read_sound` refuses."""
    rate_hz = 16000
    n_samples, peak = 0, 0.0
    for piece in iterate_sound(path, rate_hz):
        n_samples += piece.size
        peak = max(peak, float(np.abs(piece).max(initial=0.0)))
        if np.isnan(piece).any():
            peak = float("nan")
            break
    _refuse_silence(path, n_samples, peak)
    return MeasuredSound(n_samples / rate_hz, peak)


def write_wav(path: str | Path, samples: NDArray[np.int16], rate_hz: int) -> None:
    """Write mono samples, shape (n,), as 16-bit WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2", copy=False).tobytes())


def _refuse_long(path: str | Path, duration_s: float) -> None:
    if duration_s > MAX_SOUND_S:
        raise RequestError(
            f"audio {str(path)!r} lasts {duration_s:.0f} s or more; the limit is {MAX_SOUND_S:.0f} s: cut it up"
        )


def _refuse_silence(path: str | Path, n_samples: int, peak: float) -> None:
    if n_samples == 0:
        raise RequestError(f"audio {str(path)!r} is empty: it holds no samples")
    if not np.isfinite(peak):
        raise RequestError(f"audio {str(path)!r} holds values that are not finite numbers")
    if peak < _SILENCE_PEAK:
        raise RequestError(f"audio {str(path)!r} is silent: it never rises above -80 dB of full scale")
