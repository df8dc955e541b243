"""The speech track against pyAudioAnalysis' own loop, and its independence of chunks."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.tracks import speech
from evalkit.types import AudioChunk


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (0.1 * random.standard_normal(int(seconds * 16_000))).astype(np.float32)


def _track(samples: np.ndarray, size: int, start_s: float = 0.0):
    tracker = speech.SpeechTracker()
    for start in range(0, len(samples), size):
        tracker.update(AudioChunk(start_s + start / 16_000, 16_000, samples[start : start + size]))
    return tracker.finish()


def test_coefficients_are_those_of_pyaudioanalysis() -> None:
    """Its whole feature extraction scales the signal to a peak of 1, so the same is done here first."""
    from pyAudioAnalysis import ShortTermFeatures

    samples = _noise(0.5)
    samples = samples - samples.mean()
    samples /= np.abs(samples).max()
    features, names = ShortTermFeatures.feature_extraction(samples, 16_000, 400, 160, deltas=False)
    theirs = features[[names.index(name) for name in speech.MFCC_COLUMNS]].T
    ours = speech.describe(samples)[:, :13]
    assert ours == pytest.approx(theirs, abs=2e-3)


def test_coefficients_of_the_library_alone_are_those_of_the_whole_one() -> None:
    """It is read without what its other functions import, and nobody else sees that."""
    samples = _noise(0.5).astype(np.float32)
    ours = speech.describe(samples)[:, :13]
    from pyAudioAnalysis import ShortTermFeatures

    assert ShortTermFeatures.plt.figure
    assert ShortTermFeatures.lfilter
    filters, _ = ShortTermFeatures.mfcc_filter_banks(16_000, 200)
    for index, row in enumerate(ours):
        window = samples.astype(np.float64)[160 * index : 160 * index + 400]
        magnitude = np.abs(np.fft.rfft(window))[:200] / 200 + 1e-7
        assert np.array_equal(row, ShortTermFeatures.mfcc(magnitude, filters, 13).astype(np.float32))


def test_level_is_decibels_relative_to_full_scale() -> None:
    t = np.arange(16_000) / 16_000
    tone = (0.1 * np.sin(2 * np.pi * 400 * t)).astype(np.float32)
    assert _track(tone, 16_000)["level_db"] == pytest.approx(-20 - 3.01, abs=0.05)
    assert _track(np.zeros(8000, dtype=np.float32), 8000)["level_db"] == pytest.approx(-120.0)


@pytest.mark.parametrize("size", [37, 160, 5000])
def test_values_do_not_depend_on_chunks(size: int) -> None:
    samples = _noise(0.4)
    whole, cut = _track(samples, len(samples)), _track(samples, size)
    assert whole.times_s == pytest.approx(cut.times_s, abs=1e-9)
    assert np.array_equal(whole.values, cut.values)


def test_times_are_window_middles_from_where_the_sound_starts() -> None:
    track = _track(_noise(0.1), 1600, start_s=0.5)
    assert track.times_s[:2] == pytest.approx([0.5125, 0.5225])
    assert len(track) == 1 + (1600 - 400) // 160


def test_sound_shorter_than_a_window_is_an_empty_track() -> None:
    assert len(_track(_noise(0.02), 100)) == 0
