"""The reader against files whose timing, shape and sound are known."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from evalkit.media import Decoded, Reader, probe, read_frames_at
from evalkit.testing.media import corners, moving_pattern, tone, write_clip
from evalkit.types import AudioChunk, FrameChunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTAINERS = (".mp4", ".mov", ".avi", ".mpg", ".webm")


@dataclass
class Seen:
    """Everything a pass gave."""

    times_s: np.ndarray
    frames: list[np.ndarray]
    sound: np.ndarray
    sound_start_s: float | None
    decoded: Decoded
    longest_chunk: int


def read(path: Path, *, rate_hz: int = 48_000, audio: Path | None = None, chunk_frames: int = 32) -> Seen:
    reader = Reader(
        probe(str(path), None if audio is None else str(audio)),
        sound_rates_hz=(rate_hz,),
        chunk_frames=chunk_frames,
    )
    chunks = list(reader)
    pictures = [chunk for chunk in chunks if isinstance(chunk, FrameChunk)]
    sounds = [chunk for chunk in chunks if isinstance(chunk, AudioChunk)]
    index = 0
    for picture in pictures:
        assert picture.first_index == index
        assert len(picture.times_s) == len(picture.frames)
        index += len(picture.frames)
    for before, after in itertools.pairwise(sounds):
        assert after.start_s == pytest.approx(before.start_s + len(before.samples) / before.rate_hz, abs=1e-9)
    return Seen(
        np.concatenate([picture.times_s for picture in pictures]) if pictures else np.empty(0),
        [frame for picture in pictures for frame in picture.frames],
        np.concatenate([sound.samples for sound in sounds]) if sounds else np.empty(0),
        sounds[0].start_s if sounds else None,
        reader.decoded,
        max((len(picture.frames) for picture in pictures), default=0),
    )


def clicks(at_s: list[float], duration_s: float, rate_hz: int = 48_000) -> np.ndarray:
    """Ten-millisecond bursts of 3 kHz at known times."""
    sound = np.zeros(round(duration_s * rate_hz))
    burst = tone(0.01, frequency_hz=3000, level_dbfs=-3, rate_hz=rate_hz)
    for time_s in at_s:
        first = round(time_s * rate_hz)
        sound[first : first + len(burst)] = burst
    return sound


def onsets_s(seen: Seen, rate_hz: int = 48_000) -> list[float]:
    """Return when the sound first exceeds a quarter of its peak after 0.2 s of quiet."""
    loud = np.flatnonzero(np.abs(seen.sound) > 0.25 * np.abs(seen.sound).max())
    first = loud[np.diff(loud, prepend=-rate_hz) > 0.2 * rate_hz]
    assert seen.sound_start_s is not None
    return [float(seen.sound_start_s + index / rate_hz) for index in first]


def flashes(times_s: list[float], duration_s: float, fps: float) -> list[np.ndarray]:
    """Dark frames that are white at known times."""
    frames = [np.full((96, 128, 3), 40, np.uint8) for _ in range(round(duration_s * fps))]
    for time_s in times_s:
        frames[round(time_s * fps)][:] = 230
    return frames


def flashes_s(seen: Seen) -> list[float]:
    bright = [time_s for time_s, frame in zip(seen.times_s, seen.frames, strict=True) if frame.mean() > 130]
    return [float(time_s) for time_s in bright]


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_flash_and_a_click_at_one_moment_stay_together(tmp_path: Path, suffix: str) -> None:
    at_s = [0.6, 1.4, 2.2]
    path = write_clip(tmp_path / f"clap{suffix}", flashes(at_s, 3, 25), sound=clicks(at_s, 3))
    seen = read(path)
    assert len(flashes_s(seen)) == 3
    np.testing.assert_allclose(onsets_s(seen), flashes_s(seen), atol=0.004)
    assert seen.decoded.notes == []


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_frame_is_given_once_at_its_time(tmp_path: Path, suffix: str) -> None:
    seen = read(write_clip(tmp_path / f"clip{suffix}", moving_pattern(2), sound=tone(2)))
    assert len(seen.frames) == 50
    np.testing.assert_allclose(np.diff(seen.times_s), 0.04, atol=1e-3)
    assert seen.times_s[0] == pytest.approx(0, abs=0.03)
    assert seen.decoded.n_frames == 50
    assert seen.decoded.picture_end_s == pytest.approx(seen.times_s[-1] + 0.04, abs=1e-3)


@pytest.mark.parametrize("fps", [16, 24, Fraction(30_000, 1001), 50, 60])
@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".webm"])
def test_rates_from_16_to_60_are_kept(tmp_path: Path, suffix: str, fps: Fraction) -> None:
    seen = read(write_clip(tmp_path / f"clip{suffix}", moving_pattern(2, fps=float(fps)), fps=fps))
    assert len(seen.frames) == round(2 * float(fps))
    np.testing.assert_allclose(np.diff(seen.times_s), 1 / float(fps), atol=1.1e-3)  # webm counts milliseconds


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_times_of_a_variable_rate_are_those_of_the_file(tmp_path: Path, suffix: str) -> None:
    times_s = np.cumsum(np.random.default_rng(1).uniform(0.015, 0.12, 60))
    times_s -= times_s[0]
    seen = read(write_clip(tmp_path / f"vfr{suffix}", moving_pattern(60 / 25), times_s=times_s))
    np.testing.assert_allclose(seen.times_s, times_s, atol=1e-3)


def test_pixels_are_those_that_were_written(tmp_path: Path) -> None:
    written = list(moving_pattern(0.4, width=96, height=64))
    seen = read(write_clip(tmp_path / "clip.mp4", written, quality=5))
    for before, after in zip(written, seen.frames, strict=True):
        assert after.shape == (64, 96, 3)
        assert after.dtype == np.uint8
        assert np.abs(before.astype(int) - after).mean() < 4


@pytest.mark.parametrize("rotation_deg", [90, 180, 270])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_rotated_pictures_come_upright(tmp_path: Path, suffix: str, rotation_deg: int) -> None:
    path = write_clip(tmp_path / f"turned{suffix}", [corners()] * 5, rotation_deg=rotation_deg)
    expected = np.rot90(corners(), rotation_deg // 90)
    facts = probe(str(path)).video
    assert facts is not None
    assert (facts.height, facts.width) == expected.shape[:2]
    seen = read(path)
    assert seen.frames[0].shape == expected.shape
    assert np.abs(seen.frames[0].astype(int) - expected).mean() < 12


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_odd_sizes_keep_every_pixel(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"odd{suffix}", moving_pattern(0.4, width=161, height=121))
    facts = probe(str(path)).video
    assert facts is not None
    assert (facts.width, facts.height) == (161, 121)
    assert {frame.shape for frame in read(path).frames} == {(121, 161, 3)}


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_oblong_pixels_become_square(tmp_path: Path, suffix: str) -> None:
    path = write_clip(
        tmp_path / f"wide{suffix}", moving_pattern(0.4, width=144, height=96), pixel_aspect=Fraction(4, 3)
    )
    facts = probe(str(path)).video
    assert facts is not None
    assert (facts.width, facts.height) == (192, 96)
    assert read(path).frames[0].shape == (96, 192, 3)


def test_turned_oblong_pixels_are_widened_before_they_are_turned(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "both.mp4", [corners()] * 3, pixel_aspect=Fraction(4, 3), rotation_deg=90)
    assert read(path).frames[0].shape == (128, 64, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mpg", ".webm"])
def test_late_sound_stays_late(tmp_path: Path, suffix: str) -> None:
    late_s, at_s = 0.7, [1.0, 1.6]
    path = write_clip(
        tmp_path / f"late{suffix}",
        flashes(at_s, 2.4, 25),
        sound=clicks([time_s - late_s for time_s in at_s], 1.5),
        sound_start_s=late_s,
    )
    seen = read(path)
    np.testing.assert_allclose(onsets_s(seen), flashes_s(seen), atol=0.004)


def test_a_hole_in_the_sound_is_silence(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", flashes([0.4, 2.0], 2.4, 25), sound=clicks([0.4, 2.0], 2.4))

    def outside_the_hole(packet: av.Packet) -> bool:
        return packet.stream.type == "video" or not 0.8 <= float(packet.pts * packet.time_base) < 1.5

    seen = read(changed_packets(whole, tmp_path / "hole.mp4", outside_the_hole))
    assert len(onsets_s(seen)) == 2
    np.testing.assert_allclose(onsets_s(seen), flashes_s(seen), atol=0.004)


def changed_packets(source: Path, target: Path, change: Callable[[av.Packet], bool]) -> Path:
    """Copy a clip packet by packet, changing packets on the way and keeping those for which `change` is true."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        streams = {stream.index: writing.add_stream_from_template(stream) for stream in reading.streams}
        for packet in reading.demux():
            stream = streams[packet.stream.index]
            if packet.dts is not None and change(packet):
                packet.stream = stream
                writing.mux(packet)
    return target


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("seconds", [0.8, 3.5])
def test_shorter_and_longer_sound_is_given_whole(tmp_path: Path, suffix: str, seconds: float) -> None:
    seen = read(write_clip(tmp_path / f"clip{suffix}", moving_pattern(2), sound=tone(seconds)))
    assert len(seen.frames) == 50
    assert len(seen.sound) / 48_000 == pytest.approx(seconds, abs=0.11)  # coded sound comes in whole frames


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000])
def test_sound_is_resampled_without_a_shift(tmp_path: Path, rate_hz: int) -> None:
    at_s = [0.3, 0.9, 1.5]
    path = write_clip(tmp_path / "clicks.wav", sound=clicks(at_s, 2, 44_100), rate_hz=44_100)
    seen = read(path, rate_hz=rate_hz)
    assert len(seen.sound) == pytest.approx(2 * rate_hz, abs=rate_hz / 500)
    np.testing.assert_allclose(onsets_s(seen, rate_hz), at_s, atol=0.002)


def test_sound_as_recorded_has_every_channel_at_its_own_rate(tmp_path: Path) -> None:
    left, right = tone(1, level_dbfs=-6, rate_hz=44_100), tone(1, level_dbfs=-30, rate_hz=44_100)
    path = write_clip(tmp_path / "stereo.wav", sound=np.stack([left, right], axis=1), rate_hz=44_100)
    reader = Reader(probe(str(path)), sound_rates_hz=(None, 16_000))
    chunks = [chunk for chunk in reader if isinstance(chunk, AudioChunk)]
    recorded = np.concatenate([chunk.samples for chunk in chunks if chunk.wanted_rate_hz is None])
    mono = np.concatenate([chunk.samples for chunk in chunks if chunk.wanted_rate_hz == 16_000])
    assert {chunk.rate_hz for chunk in chunks} == {44_100, 16_000}
    np.testing.assert_allclose(recorded, np.stack([left, right], axis=1), atol=1 / 32767)
    assert mono.ndim == 1


@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_mono_is_the_mean_of_the_channels_and_stays_within_full_scale(
    tmp_path: Path, n_channels: int
) -> None:
    loud = tone(1, level_dbfs=-0.1, rate_hz=16_000)
    alike = np.stack([loud] * n_channels, axis=1)
    alone = np.zeros_like(alike)
    alone[:, 0] = loud
    n_full = n_channels - (n_channels == 6)  # low-frequency effects do not count
    for sound, expected in ((alike, loud), (alone, loud / n_full)):
        path = write_clip(tmp_path / "sound.wav", sound=sound, rate_hz=16_000)
        np.testing.assert_allclose(read(path, rate_hz=16_000).sound, expected, atol=1 / 32767)


@pytest.mark.parametrize("suffix", [".wav", ".m4a", ".flac", ".mp4"])
def test_a_separate_sound_replaces_the_clips_own(tmp_path: Path, suffix: str) -> None:
    clip = write_clip(tmp_path / "clip.mp4", flashes([1.0], 2, 25), sound=clicks([0.5], 2))
    other = write_clip(tmp_path / f"other{suffix}", sound=clicks([1.0], 2))
    seen = read(clip, audio=other)
    np.testing.assert_allclose(onsets_s(seen), flashes_s(seen), atol=0.004)


@pytest.mark.parametrize("chunk_frames", [1, 7, 1000])
def test_the_cut_into_chunks_changes_nothing(tmp_path: Path, chunk_frames: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", moving_pattern(2), sound=tone(2))
    usual, other = read(path), read(path, chunk_frames=chunk_frames)
    assert other.longest_chunk == min(chunk_frames, 50)
    np.testing.assert_array_equal(other.times_s, usual.times_s)
    np.testing.assert_array_equal(np.array(other.frames), np.array(usual.frames))
    np.testing.assert_array_equal(other.sound, usual.sound)


def test_the_picture_is_left_alone_when_only_sound_is_wanted(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", moving_pattern(1), sound=tone(1))
    reader = Reader(probe(str(path)), frames=False, sound_rates_hz=(16_000,))
    assert all(isinstance(chunk, AudioChunk) for chunk in reader)
    assert reader.decoded.n_frames == 0
    assert reader.decoded.notes == []


def test_one_frame_is_a_clip(tmp_path: Path) -> None:
    seen = read(write_clip(tmp_path / "one.mp4", moving_pattern(0.04)))
    assert seen.times_s.tolist() == [0.0]


def test_a_large_picture_is_scaled_down_for_the_trackers_alone(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "large.mp4", moving_pattern(0.08, width=2560, height=1440))
    facts = probe(str(path)).video
    assert facts is not None
    assert (facts.width, facts.height) == (2560, 1440)
    assert read(path).frames[0].shape == (1080, 1920, 3)


def test_one_frame_with_a_broken_time_does_not_cost_the_others(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", moving_pattern(3), sound=tone(3))
    seen_packets = itertools.count()

    def throw_far(packet: av.Packet) -> bool:
        if packet.stream.type == "video" and next(seen_packets) == 30:
            packet.pts += round(5000 / packet.time_base)
        return True

    seen = read(changed_packets(whole, tmp_path / "broken.mp4", throw_far))
    assert len(seen.frames) == 74
    assert seen.times_s[-1] == pytest.approx(2.96, abs=0.01)
    assert seen.decoded.n_damaged == 1
    assert any("damaged" in note for note in seen.decoded.notes)


def test_sound_that_changes_its_channels_goes_on(tmp_path: Path) -> None:
    mono = clicks([0.5, 1.5], 2)
    stereo = np.stack([mono, mono], axis=1)
    joined = tmp_path / "joined.aac"
    with joined.open("wb") as file:
        for name, sound in (("mono", mono), ("stereo", stereo)):
            part = write_clip(tmp_path / f"{name}.m4a", sound=sound)
            raw = changed_packets(part, tmp_path / f"{name}.aac", lambda _: True)
            file.write(raw.read_bytes())
    seen = read(joined)
    found = onsets_s(seen)
    assert len(found) == 4
    np.testing.assert_allclose(np.diff(found), [1.0, 1.0, 1.0], atol=0.1)  # raw AAC keeps its priming
    reader = Reader(probe(str(joined)), sound_rates_hz=(None,))
    assert {chunk.samples.shape[1] for chunk in reader if isinstance(chunk, AudioChunk)} == {1}


def test_frames_of_certain_moments_are_those_of_a_whole_pass(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(3))
    whole = read(clip)
    wanted = [float(whole.times_s[index]) for index in (40, 7)]
    found = read_frames_at(probe(str(clip)), [*wanted, 0.0123])
    assert sorted(found) == sorted(wanted)
    assert all(np.array_equal(found[t], whole.frames[i]) for t, i in zip(wanted, (40, 7), strict=True))


def test_no_moments_are_no_frames(tmp_path: Path) -> None:
    assert read_frames_at(probe(str(write_clip(tmp_path / "clip.mp4", moving_pattern(1)))), []) == {}
