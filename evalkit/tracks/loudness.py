"""The loudness track: power, peak and clipping of the sound in steps of 100 ms, in little memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.metrics.filters import sosfilt
from evalkit.tracks.base import TrackBuilder
from evalkit.types import AudioChunk, FloatArray, Track

STEPS_HZ = 10
"""Steps a second: a gating block of BS.1770 is four steps long and begins at every step."""
CLIPPING_LEVEL = 10 ** (-0.5 / 20)
"""Samples from half a decibel below full scale on count as clipped: lossy coding leaves ripples on flat tops, and a
stricter limit misses nine in ten of them after AAC, while unclipped speech spends 0.01 % of its time there."""
SLOWEST_HZ = 3400
"""Sound of no more samples a second does not reach the corner of the K-weighting's shelf."""
_SURROUND_WEIGHTS = {5: (1.0, 1.0, 1.0, 1.41, 1.41), 6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)}
"""BS.1770-4, table 3: L, R, C, (LFE,) Ls, Rs. Every channel counts alike in all other layouts."""
_FIRST = (
    *(0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625),
    *(
        0.9721679687500,
        -0.1022949218750,
        0.0476074218750,
        -0.0266113281250,
        0.0148925781250,
        -0.0083007812500,
    ),
)
_SECOND = (
    *(
        -0.0291748046875,
        0.0292968750000,
        -0.0517578125000,
        0.0891113281250,
        -0.1665039062500,
        0.4650878906250,
    ),
    *(
        0.7797851562500,
        -0.2003173828125,
        0.1015625000000,
        -0.0582275390625,
        0.0330810546875,
        -0.0189208984375,
    ),
)
OVERSAMPLING: FloatArray = np.array([_FIRST, _SECOND, _SECOND[::-1], _FIRST[::-1]])
"""BS.1770-4, annex 2: the interpolating filter of 48 coefficients, one row for each of four phases."""


class LoudnessTracker:
    """Follows the sound as recorded: every channel, at the file's own rate, so that no peak is smoothed away.

    Columns, one row for each step of 100 ms, at the step's start
    ----------------------------------------------------------
    power
        Mean square of the K-weighted sound, summed over the channels with their weights (ITU-R BS.1770-4, annex 1);
        1 is full scale. ``-0.691 + 10 * log10(power)`` is the step's loudness in LUFS. NaN for sound of so few samples
        a second that it cannot be weighted.
    peak
        Largest absolute sample of any channel, 1 at full scale; decoded lossy sound can go beyond.
    true_peak
        Largest absolute value of any channel between the samples too, as it comes out of a converter: of the sound at four times
        its samples (ITU-R BS.1770-4, annex 2) and of the samples. It comes six samples late.
    n_clipped
        Samples at or beyond `CLIPPING_LEVEL`, of all channels together.
    n_samples
        Samples in the step, of all channels together. Only the last step can be short.

    The facts carry ``sample_rate_hz``, ``n_channels``, ``n_whole_steps`` and ``duration_s``, from the first sample to
    the end of the last; without sound they are all 0.
    """

    name = "loudness"
    version = 3
    rate_hz = None
    columns = ("power", "peak", "true_peak", "n_clipped", "n_samples")

    def __init__(self) -> None:
        self._rows = TrackBuilder(self.name, self.columns)
        self._rate_hz = 0
        self._start_s = 0.0
        self._n_samples = 0
        self._n_steps = 0
        self._waiting: list[NDArray[np.float32]] = []
        self._n_waiting = 0

    def update(self, chunk: AudioChunk) -> None:
        """Take the next samples."""
        samples = chunk.samples[:, None] if chunk.samples.ndim == 1 else chunk.samples
        if not samples.shape[0]:
            return
        if not self._rate_hz:
            self._start(chunk.rate_hz, chunk.start_s, samples.shape[1])
        self._waiting.append(samples)
        self._n_waiting += samples.shape[0]
        self._n_samples += samples.shape[0]
        if self._n_samples >= self._boundary(self._n_steps + 1):
            sound = self._take_waiting()
            while sound.shape[0] >= (size := self._step_size()):
                self._append(sound[:size])
                sound = sound[size:]
            self._waiting, self._n_waiting = [sound.copy()], sound.shape[0]

    def finish(self) -> Track:
        """Return the whole track; a last, short step included."""
        n_whole_steps = self._n_steps
        if self._n_waiting:
            self._append(self._take_waiting())
        return self._rows.track(
            {
                "sample_rate_hz": self._rate_hz,
                "n_channels": self._weights.shape[0] if self._rate_hz else 0,
                "n_whole_steps": n_whole_steps,
                "duration_s": self._n_samples / self._rate_hz if self._rate_hz else 0.0,
            }
        )

    def _start(self, rate_hz: int, start_s: float, n_channels: int) -> None:
        self._rate_hz = rate_hz
        self._start_s = start_s
        self._filter = k_weighting(rate_hz) if rate_hz > SLOWEST_HZ else None
        self._state = np.zeros((2, 2, n_channels))
        self._before = np.zeros((OVERSAMPLING.shape[1] - 1, n_channels), dtype=np.float32)
        self._weights = np.array(_SURROUND_WEIGHTS.get(n_channels, (1.0,) * n_channels))

    def _take_waiting(self) -> NDArray[np.float32]:
        return np.concatenate(self._waiting)

    def _boundary(self, step: int) -> int:
        return step * self._rate_hz // STEPS_HZ

    def _step_size(self) -> int:
        return self._boundary(self._n_steps + 1) - self._boundary(self._n_steps)

    def _append(self, samples: NDArray[np.float32]) -> None:
        magnitude = np.abs(samples)
        row = (
            np.nan if self._filter is None else self._weighted_power(self._filter, samples),
            magnitude.max(),
            max(magnitude.max(), self._peak_between(samples)),
            np.count_nonzero(magnitude >= CLIPPING_LEVEL),
            samples.size,
        )
        time_s = self._start_s + self._boundary(self._n_steps) / self._rate_hz
        self._rows.append(time_s, np.array(row, dtype=np.float32))
        self._n_steps += 1

    def _peak_between(self, samples: NDArray[np.float32]) -> float:
        """Return the largest absolute value of the sound at four times its samples."""
        sound = np.concatenate([self._before, samples])
        self._before = sound[-self._before.shape[0] :].copy()
        return max(
            float(np.abs(np.convolve(channel, phase, mode="valid")).max())
            for channel in sound.T
            for phase in OVERSAMPLING
        )

    def _weighted_power(self, sections: FloatArray, samples: NDArray[np.float32]) -> float:
        weighted, self._state = sosfilt(sections, samples.astype(np.float64), axis=0, zi=self._state)
        return float(np.mean(weighted**2, axis=0) @ self._weights)


def k_weighting(rate_hz: float) -> FloatArray:
    """Return the K-weighting of ITU-R BS.1770-4 as two second-order sections, for any sample rate.

    The recommendation gives coefficients for 48 kHz only; these are the analogue prototypes behind them, taken
    through the bilinear transform, as EBU Tech 3341 asks for other rates.

    Parameters
    ----------
    rate_hz : float
        Samples a second; above 3400, to hold the corner of the shelf.

    Returns
    -------
    FloatArray, shape (2, 6)
        Rows of ``b0 b1 b2 a0 a1 a2``: the head's high shelf (+4 dB above about 1.7 kHz), then the high-pass (38 Hz).

    References
    ----------
    ITU-R BS.1770-4, annex 1. B. De Man: Evaluation of implementations of the EBU R128 loudness measurement,
    AES 145 (2018), for the prototypes.
    """
    if rate_hz <= SLOWEST_HZ:
        raise ValueError(f"sound at {rate_hz} Hz is too slow for K-weighting; {SLOWEST_HZ} Hz is the least")
    k = np.tan(np.pi * 1681.974450955533 / rate_hz)
    q = 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    scale = 1 + k / q + k * k
    shelf = (
        (high + middle * k / q + k * k) / scale,
        2 * (k * k - high) / scale,
        (high - middle * k / q + k * k) / scale,
        1.0,
        2 * (k * k - 1) / scale,
        (1 - k / q + k * k) / scale,
    )
    k = np.tan(np.pi * 38.13547087602444 / rate_hz)
    q = 0.5003270373238773
    scale = 1 + k / q + k * k
    high_pass = (1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale)
    return np.array([shelf, high_pass])
