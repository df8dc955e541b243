"""The track of how the voice sounds against the numbers of Microsoft's own package."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from evalkit.errors import UsageError
from evalkit.tracks import speech_quality
from evalkit.tracks.speech_quality import MODELS, SpeechQualityTracker
from evalkit.types import AudioChunk, Track
from pipeline.pinned import PinnedFile, PinnedFiles

COLUMNS = ("signal", "background", "overall", "packet_loss")


@pytest.fixture(autouse=True)
def networks() -> None:
    """Skip where the networks are not installed."""
    if obstacle := speech_quality.find_obstacle():
        pytest.skip(obstacle)


def follow(sound: NDArray[np.float32], chunk: int = 16_000, start_s: float = 0.0) -> Track:
    tracker = SpeechQualityTracker()
    for first in range(0, sound.size, chunk):
        tracker.update(AudioChunk(start_s + first / 16_000, 16_000, sound[first : first + chunk]))
        assert tracker._held.size <= 30 * 16_000 + chunk
    return tracker.finish()


def buzz(n_samples: int, seed: int) -> NDArray[np.float32]:
    """Make harmonics of 120 Hz that swell and fade as syllables do, with noise, of nothing that a library may change."""
    times_s = np.arange(n_samples) / 16_000
    harmonics = sum(np.sin(2 * np.pi * 120 * k * times_s + k * k) / k for k in range(1, 20))
    sound = harmonics * (0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * times_s + seed))
    noise = np.random.RandomState(seed).uniform(-1, 1, n_samples)
    return (sound / np.abs(sound).max() * 0.5 + 0.01 * noise).astype(np.float32)


REFERENCE = [
    (67_200, 2, (2.9138284961647414, 2.3560314823716455, 1.883362267087433, 3.7340631167093914)),
    (160_000, 3, (2.9259058867807393, 2.1659376914753015, 1.7961977290829387, 3.5795316537221273)),
    (208_777, 4, (2.951843695980152, 2.3035408354342595, 1.8852915138261745, 3.5928375244140627)),
]
"""Samples and seed of a `buzz`, and sig_mos, bak_mos, ovrl_mos and plcmos of it by speechmos 0.0.1.1 with librosa 0.11.0, onnxruntime
1.32.0 and numpy 1.26.4: ``numpy.random.seed(0); plcmos.run(sound, 16000); dnsmos.run(sound, 16000)``."""


@pytest.mark.parametrize(("n_samples", "seed", "expected"), REFERENCE)
def test_opinions_are_those_of_the_package(n_samples: int, seed: int, expected: tuple[float, ...]) -> None:
    track = follow(buzz(n_samples, seed), chunk=n_samples)
    assert [float(track[name].mean()) for name in COLUMNS] == pytest.approx(expected, abs=1e-4)
    assert track.facts == {"window_s": 9.01, "is_whole": True, "is_repeated": n_samples < 144_160}


def test_chunks_do_not_matter_and_long_sound_is_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each window is told by its first sample here, so that no network is asked."""
    monkeypatch.setattr(speech_quality, "ask_dnsmos", lambda window: np.full(3, window[0], np.float64))
    monkeypatch.setattr(speech_quality, "ask_plcmos", lambda window: float(window[-1]))
    sound = np.arange(50 * 16_000, dtype=np.float32)
    tracks = [follow(sound, chunk, start_s=0.5) for chunk in (1_777, 16_000, 700_000, sound.size)]
    for track in tracks:
        assert track["signal"].tolist() == [*(9 * 16_000 * k for k in range(5)), 50 * 16_000 - 144_160]
        assert track["packet_loss"][-1] == sound[-1]
        np.testing.assert_allclose(track.times_s, 0.5 + track["signal"] / 16_000)
        assert all(b <= a + 9.01 for a, b in pairwise(track.times_s))
        assert not track.facts["is_whole"]


def test_thirty_seconds_are_short_and_a_sample_more_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_quality, "ask_dnsmos", lambda _: np.ones(3))
    monkeypatch.setattr(speech_quality, "ask_plcmos", lambda _: 1.0)
    sound = np.zeros(30 * 16_000 + 1, np.float32)
    assert len(follow(sound[:-1])) == 21  # one a second, as the reference
    assert follow(sound).times_s.tolist() == pytest.approx([0, 9, 18, 30 - 9.01], abs=1e-3)


@pytest.mark.parametrize("n_samples", [0, 1_000])
def test_a_scrap_of_sound_has_no_rows(n_samples: int) -> None:
    assert len(follow(np.ones(n_samples, np.float32))) == 0


def test_noise_lowers_every_opinion() -> None:
    clean = buzz(160_000, 5)
    noise = np.random.default_rng(0).standard_normal(clean.size).astype(np.float32)
    quiet, loud = (follow(clean + level * noise) for level in (0.003, 0.1))
    for name in ("signal", "background", "overall"):
        assert loud[name].mean() < quiet[name].mean()


def test_networks_of_another_content_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    another = PinnedFile(MODELS.files["dnsmos"].parts, hashlib.sha256(b"").hexdigest())
    monkeypatch.setattr(
        speech_quality,
        "MODELS",
        PinnedFiles(MODELS.title, MODELS.versions, {"dnsmos": another}, MODELS.extra),
    )
    speech_quality._session.cache_clear()
    with pytest.raises(UsageError, match="its dnsmos is not the one that is known"):
        speech_quality.ask_dnsmos(np.zeros(144_160, np.float32))
