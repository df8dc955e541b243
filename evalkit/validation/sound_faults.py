"""Faults of the sound: each gives any stretch of the damaged sound, so that a long one is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evalkit.validation.material import Material

Block: TypeAlias = "Callable[[int, int], NDArray[np.float32]]"
"""Gives the samples from one number to another, shape (n, n_channels)."""

FADE_S = 0.01
PACKET_S = 0.02
"""Length of a packet of a call."""
_SEED = 12


def as_recorded(clip: Material, _dose: float) -> Block:
    """Change nothing."""
    return lambda first, last: np.asarray(clip.samples[first:last])


def early(clip: Material, dose_ms: float) -> Block:
    """Let the sound come earlier than it was; its end is silent."""
    return _moved(clip, round(dose_ms * clip.survey.sound_rate_hz / 1000))


def late(clip: Material, dose_ms: float) -> Block:
    """Let the sound come later than it was; its beginning is silent."""
    return _moved(clip, -round(dose_ms * clip.survey.sound_rate_hz / 1000))


def drifting(clip: Material, dose_ms_per_min: float) -> Block:
    """Let the sound run faster than the picture: it comes earlier and earlier."""
    speed = 1.0 + dose_ms_per_min / 60_000.0
    samples = clip.samples

    def block(first: int, last: int) -> NDArray[np.float32]:
        places = np.arange(first, last) * speed
        low = max(0, int(places[0]) - 2)
        high = min(len(samples), int(places[-1]) + 4)
        if low >= high:
            return np.zeros((last - first, samples.shape[1]), np.float32)
        return _between(np.asarray(samples[low:high], np.float64), places - low)

    return block


def other_words(clip: Material, dose_percent: float) -> Block:
    """In the middle of the clip, put the sound of another piece of it: half the clip away."""
    samples, rate_hz = clip.samples, clip.survey.sound_rate_hz
    n = len(samples)
    start_s, end_s = clip.stretch_s(dose_percent / 100.0, n / rate_hz)
    fade = max(1, round(FADE_S * rate_hz))

    def block(first: int, last: int) -> NDArray[np.float32]:
        at = np.arange(first, last)
        own = np.asarray(samples[first:last], np.float64)
        other = np.asarray(samples[(at + n // 2) % n], np.float64)
        inside = np.minimum(at - start_s * rate_hz, end_s * rate_hz - at)
        share = np.clip(inside / fade + 0.5, 0.0, 1.0)[:, None]
        return np.asarray((1.0 - share) * own + share * other, np.float32)

    return block


def noisy(clip: Material, dose_db: float) -> Block:
    """Add white noise, so far below the level of the speech."""
    level = clip.speech_rms * 10 ** (-dose_db / 20)

    def block(first: int, last: int) -> NDArray[np.float32]:
        own = np.asarray(clip.samples[first:last])
        noise = np.random.default_rng([_SEED, first]).standard_normal(own.shape)
        return np.asarray(own + level * noise, np.float32)

    return block


def clipped(clip: Material, dose_percent: float) -> Block:
    """Turn the sound up until a share of its samples would lie beyond full scale, and are cut off there."""
    level = clip.level_exceeded_by(dose_percent / 100.0)
    return lambda first, last: np.clip(np.asarray(clip.samples[first:last]) / level, -1.0, 1.0)


def with_gaps(clip: Material, dose_percent: float) -> Block:
    """Lose a share of the packets of `PACKET_S`, at random, and put silence there; a larger dose loses those of a smaller one too."""
    samples = clip.samples
    packet = max(1, round(PACKET_S * clip.survey.sound_rate_hz))
    n_packets = len(samples) // packet
    n_lost = max(1, round(n_packets * dose_percent / 100.0))
    lost = np.zeros(n_packets + 1, bool)
    lost[np.random.default_rng(_SEED).permutation(n_packets)[:n_lost]] = True

    def block(first: int, last: int) -> NDArray[np.float32]:
        kept = ~lost[np.arange(first, last) // packet]
        return np.asarray(samples[first:last] * kept[:, None], np.float32)

    return block


def _moved(clip: Material, by: int) -> Block:
    """Give the sound that stands `by` samples further on; silence beyond its ends."""
    samples = clip.samples

    def block(first: int, last: int) -> NDArray[np.float32]:
        low, high = max(0, first + by), min(len(samples), last + by)
        moved = np.zeros((last - first, samples.shape[1]), np.float32)
        if low < high:
            moved[low - by - first : high - by - first] = samples[low:high]
        return moved

    return block


def _between(samples: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the sound between its samples, by cubic curves through four of them (Catmull–Rom); silence beyond."""
    at = np.floor(places).astype(np.int64)
    share = (places - at)[:, None]
    before, here, after, then = (samples[np.clip(at + k, 0, len(samples) - 1)] for k in (-1, 0, 1, 2))
    curve = here + 0.5 * share * (
        after
        - before
        + share * (2 * before - 5 * here + 4 * after - then + share * (3 * (here - after) + then - before))
    )
    curve[(places < 0) | (places > len(samples) - 1)] = 0.0
    return np.asarray(curve, np.float32)
