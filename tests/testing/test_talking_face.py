"""The portrait speaks as told: speech, mouth and face detector agree with the planted curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from evalkit.media import Reader, probe
from evalkit.testing.speech import speak
from evalkit.testing.talking_face import SENTENCES, opening_of, talking_frames, write_talking_face
from evalkit.tracks.face import FaceTracker
from evalkit.types import FrameChunk, Track

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.testing.talking_face import TalkingFace


def follow(path: Path) -> Track:
    tracker = FaceTracker()
    for chunk in Reader(probe(str(path))):
        assert isinstance(chunk, FrameChunk)
        tracker.update(chunk)
    return tracker.finish()


def test_speech_is_speech_and_always_the_same() -> None:
    samples, rate_hz = speak(SENTENCES[0])
    assert 4 < len(samples) / rate_hz < 8
    assert 0.1 < np.abs(samples).max() <= 1
    speak.cache_clear()
    speak("Something else in between.")
    again, _ = speak(SENTENCES[0])
    np.testing.assert_array_equal(again, samples)


def test_an_unknown_voice_is_refused() -> None:
    with pytest.raises(ValueError, match="no such voice"):
        speak("Hello.", "nobody")


def test_the_opening_follows_the_loudness() -> None:
    rate_hz = 16_000
    samples = np.zeros(rate_hz, np.float32)
    samples[4_000:8_000] = 0.3  # loud from 0.25 to 0.5 s
    times_s = np.array([-0.1, 0.05, 0.25, 0.375, 0.9, 1.1])
    np.testing.assert_allclose(opening_of(samples, rate_hz, times_s), [0, 0, 0.5, 1, 0, 0], atol=0.01)


def test_the_face_is_found_in_every_frame_and_its_lips_follow_the_curve(talking_face: TalkingFace) -> None:
    track = follow(talking_face.path)
    assert track.valid.all()
    np.testing.assert_allclose(track.times_s, talking_face.times_s, atol=1e-4)
    assert np.corrcoef(track["lip_gap"], talking_face.opening)[0, 1] > 0.95


def test_a_late_mouth_is_late_by_what_was_asked_for(
    talking_face: TalkingFace, late_talking_face: TalkingFace
) -> None:
    prompt, late = follow(talking_face.path)["lip_gap"], follow(late_talking_face.path)["lip_gap"]
    agreement = [np.corrcoef(prompt[: len(prompt) - lag], late[lag:])[0, 1] for lag in range(10)]
    assert int(np.argmax(agreement)) * 40 == 160


@pytest.mark.parametrize("size", [(688, 368), (368, 688), (161, 203)])
def test_pictures_of_all_shapes_show_the_face(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = write_talking_face(tmp_path / "face.mp4", text="Hello.", width=size[0], height=size[1])
    track = follow(clip.path)
    assert track.valid.all()
    assert np.corrcoef(track["lip_gap"], clip.opening)[0, 1] > 0.9


def test_only_the_mouth_moves_without_sway() -> None:
    closed, wide = talking_frames(np.array([0.0, 1.0]), width=256, height=256)
    moved = np.abs(closed.astype(int) - wide).max(axis=2) > 8
    rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    assert moved.any()
    assert rows.min() > 130  # below the nose
    assert columns.min() > 95
    assert columns.max() < 165
