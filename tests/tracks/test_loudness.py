"""The loudness track against the standard's own test signals and two other implementations."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tracemalloc
from typing import TYPE_CHECKING

import av
import av.filter
import numpy as np
import pyloudnorm
import pytest

from evalkit.media import Reader, probe
from evalkit.metrics.technical import integrated_loudness_lufs, loudness_range_lu
from evalkit.testing.media import tone, write_clip
from evalkit.tracks.loudness import LoudnessTracker, k_weighting
from evalkit.types import AudioChunk

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.types import Track


def follow(sound: np.ndarray, rate_hz: int = 48_000, chunk: int = 96_000, start_s: float = 0.0) -> Track:
    tracker = LoudnessTracker()
    samples = sound.astype(np.float32)
    for first in range(0, len(samples), chunk):
        tracker.update(AudioChunk(start_s + first / rate_hz, rate_hz, samples[first : first + chunk]))
    return tracker.finish()


def loudness_lufs(track: Track) -> float | None:
    return integrated_loudness_lufs(track["power"][: track.facts["n_whole_steps"]])


def speechlike(duration_s: float, rate_hz: int, seed: int = 0) -> np.ndarray:
    """Noise in bursts of different loudness, with pauses."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 0.05, round(duration_s * rate_hz))
    level = np.repeat(random.choice([0.0, 0.02, 0.3, 1.0], len(noise) // 3000 + 1), 3000)[: len(noise)]
    return noise * level


def range_lu(track: Track) -> float | None:
    return loudness_range_lu(track["power"][: track.facts["n_whole_steps"]])


def true_peak_dbtp(track: Track) -> float:
    return float(20 * np.log10(track["true_peak"].max()))


def ask_ffmpeg(sound: np.ndarray, rate_hz: int = 48_000) -> tuple[float, float]:
    """Return true peak and loudness range of mono sound by FFmpeg's own filter."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate_hz, format="flt", layout="mono")
    meter, sink = graph.add("ebur128", "peak=true:metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    for first in range(0, sound.size, 4_800):
        frame = av.AudioFrame.from_ndarray(
            sound[None, first : first + 4_800].astype(np.float32), format="flt", layout="mono"
        )
        frame.sample_rate, frame.pts = rate_hz, first
        source.push(frame)
        with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
            while True:
                metered = sink.pull()
    said = metered.metadata
    return 20 * np.log10(float(said["lavfi.r128.true_peak"])), float(said["lavfi.r128.LRA"])


def test_k_weighting_at_48_khz_is_the_table_of_the_recommendation() -> None:
    # ITU-R BS.1770-4, tables 1 and 2
    expected = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_weighting(48_000), expected, atol=1e-9)


def test_k_weighting_refuses_sound_too_slow_for_its_shelf() -> None:
    with pytest.raises(ValueError, match="3000 Hz is too slow"):
        k_weighting(3000)


def sine(*parts: tuple[float, float]) -> np.ndarray:
    return np.concatenate([tone(seconds, frequency_hz=1000, level_dbfs=level) for level, seconds in parts])


@pytest.mark.parametrize(
    ("parts", "expected_lufs"),
    [
        pytest.param([(-23, 20)], -23, id="1"),
        pytest.param([(-33, 20)], -33, id="2"),
        pytest.param([(-36, 10), (-23, 60), (-36, 10)], -23, id="3"),
        pytest.param([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23, id="4"),
        pytest.param([(-26, 20), (-20, 20.1), (-26, 20)], -23, id="5"),
    ],
)
def test_ebu_tech_3341_stereo_cases(parts: list[tuple[float, float]], expected_lufs: float) -> None:
    channel = sine(*parts)
    measured = loudness_lufs(follow(np.stack([channel, channel], axis=1)))
    assert measured == pytest.approx(expected_lufs, abs=0.1)  # the tolerance of EBU Tech 3341


@pytest.mark.parametrize(
    ("parts", "expected_lu"),
    [
        pytest.param([(-20, 20), (-30, 20)], 10, id="1"),
        pytest.param([(-20, 20), (-15, 20)], 5, id="2"),
        pytest.param([(-40, 20), (-20, 20)], 20, id="3"),
        pytest.param([(-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)], 15, id="4"),
    ],
)
def test_ebu_tech_3342_cases(parts: list[tuple[float, float]], expected_lu: float) -> None:
    channel = sine(*parts)
    measured = range_lu(follow(np.stack([channel, channel], axis=1)))
    assert measured == pytest.approx(expected_lu, abs=0.1)  # the tolerance of EBU Tech 3342 is 1 LU


@pytest.mark.parametrize(
    ("divisor", "phase_deg", "peak"),
    [(4, 0.0, 0.5), (4, 45.0, 0.5), (6, 60.0, 0.5), (8, 67.5, 0.5), (4, 45.0, 1.41)],
)
def test_ebu_tech_3341_true_peaks(divisor: int, phase_deg: float, peak: float) -> None:
    """Cases 15 to 19: sines of a quarter, a sixth and an eighth of the sample rate, whose crests lie between samples."""
    sound = peak * np.sin(2 * np.pi * np.arange(96_000) / divisor + np.radians(phase_deg))
    fade = np.minimum(np.arange(96_000) / 4_800, 1.0)  # a sine that begins at once has another peak
    track = follow((sound * fade)[:, None])
    expected_dbtp = 20 * np.log10(peak)
    assert (
        expected_dbtp - 0.4 <= true_peak_dbtp(track) <= expected_dbtp + 0.2
    )  # the tolerance of EBU Tech 3341
    if phase_deg == 45:
        assert track["peak"].max() == pytest.approx(
            peak / np.sqrt(2), rel=1e-3
        )  # what samples alone would say


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_true_peak_and_range_agree_with_ffmpeg(rate_hz: int) -> None:
    sound = speechlike(12, rate_hz, 5)
    peak_dbtp, expected_lu = ask_ffmpeg(sound, rate_hz)
    track = follow(sound[:, None], rate_hz)
    assert true_peak_dbtp(track) == pytest.approx(peak_dbtp, abs=0.3)
    assert range_lu(track) == pytest.approx(expected_lu, abs=0.1)


@pytest.mark.parametrize("chunk", [1_000, 48_000])
def test_a_peak_between_two_steps_is_found(chunk: int) -> None:
    """Four samples of alternating pairs about the border of a step have a crest of 1.9 times their own between them."""
    sound = np.zeros((48_000, 1))
    sound[4_798:4_802, 0] = [-0.5, 0.5, 0.5, -0.5]
    track = follow(sound, chunk=chunk)
    assert track["true_peak"].max() > 0.6
    assert track["true_peak"].max() == pytest.approx(follow(np.roll(sound, 1_000))["true_peak"].max())


def test_ebu_tech_3341_surround_case() -> None:
    levels = [-28, -28, -24, -30, -30]  # case 6: L, R, C, Ls, Rs
    sound = np.stack([sine((level, 20)) for level in levels], axis=1)
    assert loudness_lufs(follow(sound)) == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_loudness_agrees_with_pyloudnorm(rate_hz: int, n_channels: int) -> None:
    sound = np.stack([speechlike(12, rate_hz, seed) for seed in range(n_channels)], axis=1)
    reference = pyloudnorm.Meter(rate_hz, filter_class="DeMan").integrated_loudness(sound)
    assert loudness_lufs(follow(sound, rate_hz)) == pytest.approx(reference, abs=0.02)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on this machine")
@pytest.mark.parametrize("suffix", [".mp4", ".mpg", ".webm", ".wav"])
def test_loudness_of_a_file_agrees_with_ffmpeg(tmp_path: Path, suffix: str) -> None:
    sound = np.stack([speechlike(8, 48_000, 1), 0.5 * speechlike(8, 48_000, 2)], axis=1)
    path = write_clip(tmp_path / f"sound{suffix}", sound=sound)
    said = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostats", "-i", path, "-filter_complex", "ebur128", "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    reference = float(re.findall(r"I:\s+(\S+) LUFS", said)[-1])
    tracker = LoudnessTracker()
    for chunk in Reader(probe(str(path)), sound_rates_hz=(None,)):
        assert isinstance(chunk, AudioChunk)
        tracker.update(chunk)
    assert loudness_lufs(tracker.finish()) == pytest.approx(reference, abs=0.06)  # it prints one decimal


@pytest.mark.parametrize("chunk", [1_000, 4_411, 44_100])
def test_the_cut_into_chunks_changes_nothing(chunk: int) -> None:
    sound = np.stack([speechlike(3.33, 44_100, 3), speechlike(3.33, 44_100, 4)], axis=1)
    whole, cut = follow(sound, 44_100, len(sound)), follow(sound, 44_100, chunk)
    np.testing.assert_allclose(cut.values, whole.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cut.times_s, whole.times_s, rtol=0, atol=1e-12)
    assert cut.facts == whole.facts


def test_steps_lie_100_ms_apart_from_the_first_sample_on_and_the_last_may_be_short() -> None:
    track = follow(np.zeros(22_050 + 500), 22_050, start_s=0.7)
    np.testing.assert_allclose(track.times_s, 0.7 + np.arange(11) / 10, atol=1e-9)
    assert track["n_samples"].tolist() == [2205.0] * 10 + [500.0]
    assert track.facts["n_whole_steps"] == 10
    assert track.facts["duration_s"] == pytest.approx(1 + 500 / 22_050)


def test_peaks_and_clipped_samples_of_any_channel_are_found() -> None:
    sound = np.zeros((48_000, 2))
    sound[10_000:10_007, 1] = [1.0, 1.2, -1.0, 0.945, -0.945, 0.944, 0.5]
    track = follow(sound)
    assert track["n_clipped"].sum() == 5  # 0.9441 is half a decibel below full scale
    assert track["peak"].max() == pytest.approx(1.2)
    assert np.argmax(track["n_clipped"]) == 2  # the step from 0.2 s


def test_no_sound_gives_an_empty_track() -> None:
    track = LoudnessTracker().finish()
    assert len(track) == 0
    assert track.facts == {"sample_rate_hz": 0, "n_channels": 0, "n_whole_steps": 0, "duration_s": 0.0}


def test_memory_does_not_grow_with_the_sound() -> None:
    chunk = np.random.default_rng(0).normal(0, 0.1, (16_000, 1)).astype(np.float32)
    tracker = LoudnessTracker()
    tracker.update(AudioChunk(0.0, 16_000, chunk))  # loads the filter
    tracemalloc.start()
    for second in range(1, 300):
        tracker.update(AudioChunk(float(second), 16_000, chunk))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tracker.finish()) == 3_000
    assert peak_bytes < 2.5e6  # five minutes of samples would be 19 MB
