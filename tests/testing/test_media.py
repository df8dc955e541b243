"""The clips that tests are made of hold what was asked for."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.mutation import mutate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("suffix", "codecs"),
    [
        (".mp4", ["h264", "aac"]),
        (".mov", ["h264", "aac"]),
        (".avi", ["mpeg4", "pcm_s16le"]),
        (".mpg", ["mpeg1video", "mp2"]),
        (".webm", ["vp8", "opus"]),
    ],
)
def test_the_suffix_chooses_container_and_codecs(tmp_path: Path, suffix: str, codecs: list[str]) -> None:
    path = write_clip(tmp_path / f"clip{suffix}", moving_pattern(0.4), sound=tone(0.4))
    with av.open(str(path)) as container:
        streams = sorted(container.streams, key=lambda stream: stream.type, reverse=True)
        assert [stream.codec_context.name.removesuffix("float") for stream in streams] == codecs


def test_the_same_call_writes_the_same_bytes(tmp_path: Path) -> None:
    digests = {
        hashlib.sha256(write_clip(tmp_path / name, moving_pattern(1), sound=tone(1)).read_bytes()).hexdigest()
        for name in ("one.mp4", "two.mp4")
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("clip.gif", {}, "cannot write '.gif'"),
        ("clip.avi", {"times_s": [0.0, 0.1]}, "holds frames at a constant rate only"),
        ("clip.mpg", {"fps": 16}, "cannot hold 16 frames a second"),
        ("clip.avi", {"rotation_deg": 90}, "cannot hold a rotation"),
        ("clip.webm", {"pixel_aspect": Fraction(4, 3)}, "cannot hold a pixel aspect"),
        ("clip.avi", {"sound": tone(0.1), "sound_start_s": 0.5}, "cannot hold a sound that starts late"),
        ("clip.webm", {"sound": tone(0.1), "rate_hz": 44_100}, "cannot hold sound at 44100 Hz"),
    ],
)
def test_what_a_container_cannot_hold_is_refused(
    tmp_path: Path, name: str, options: dict, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        write_clip(tmp_path / name, moving_pattern(0.08), **options)


def test_nothing_to_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither a picture nor a sound"):
        write_clip(tmp_path / "clip.mp4")


def test_defects_lie_where_they_were_planted() -> None:
    frames = list(moving_pattern(2, black=[(0.4, 0.8)], frozen=[(1.2, 1.6)]))
    assert len(frames) == 50
    black = [index for index, frame in enumerate(frames) if not frame.any()]
    assert black == list(range(10, 20))
    held = [index for index in range(1, 50) if np.array_equal(frames[index], frames[index - 1])]
    assert held == [*range(11, 20), *range(30, 40)]


def test_flicker_has_the_depth_that_was_asked_for() -> None:
    means = np.array([frame.mean() for frame in moving_pattern(1, flicker=10)])
    assert np.median(np.abs(np.diff(means))) == pytest.approx(20, abs=1)


def test_a_tone_has_its_peak_and_its_frequency() -> None:
    sound = tone(1, frequency_hz=440, level_dbfs=-6, rate_hz=44_100)
    assert np.abs(sound).max() == pytest.approx(10 ** (-6 / 20), rel=1e-3)
    assert np.argmax(np.abs(np.fft.rfft(sound))) == 440


def test_damage_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    content = bytes(range(256)) * 40
    copies = [mutate(content, seed) for seed in range(60)]
    assert copies == [mutate(content, seed) for seed in range(60)]
    assert all(copy != content for copy in copies)
    assert len(set(copies)) == 60


def test_too_short_a_file_is_not_damaged() -> None:
    with pytest.raises(ValueError, match="10 bytes is too short"):
        mutate(b"0123456789", 0)
