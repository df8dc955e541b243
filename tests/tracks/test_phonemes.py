"""The phonemes track: the same whatever the chunks, on the clip's clock, and named by all that decides it."""

# ruff: noqa: ARG002, D102 - stand-ins have the signature of what they stand for

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from evalkit.testing.recogniser import FakeRecogniser
from evalkit.tracks.phonemes import RATE_HZ, PhonemesTracker, phonemes_of, track_name
from evalkit.types import AudioChunk, Track
from pipeline.errors import RequestError
from pipeline.phonemes import Alignment, Phoneme
from pipeline.sound import read_sound


class FakeAligner(FakeRecogniser):
    """Finds one m as long as the sound."""

    def align(self, sound: Path, text: str, language: str) -> Alignment:
        assert (text, language) == ("mmm", "en")
        length_s = read_sound(sound, RATE_HZ).size / RATE_HZ
        return Alignment((Phoneme("m", 0.0, length_s),), 12.5)


class Refusing(FakeRecogniser):
    """Cannot read anything."""

    def align(self, sound: Path, text: str, language: str) -> Alignment:
        raise RequestError("no")


def trace(aligner: FakeRecogniser, chunk: int, start_s: float = 0.0) -> Track:
    tracker = PhonemesTracker(aligner, {}, "mmm", "en")
    samples = 0.1 * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    for start in range(0, samples.size, chunk):
        tracker.update(AudioChunk(start_s + start / RATE_HZ, RATE_HZ, samples[start : start + chunk]))
    return tracker.finish()


@pytest.mark.parametrize("chunk", [999, RATE_HZ])
def test_the_sound_is_aligned_whole_on_the_clips_clock(chunk: int) -> None:
    track = trace(FakeAligner([]), chunk, start_s=0.5)
    assert phonemes_of(track) == (Phoneme("m", 0.5, 1.5),)
    assert track.facts == {
        "symbols": ["m"],
        "misfit": 12.5,
        "obstacle": "",
        "language": "en",
        "aligner": "fake",
        "version": FakeAligner([]).version,
    }


def test_a_script_that_cannot_be_read_has_no_row() -> None:
    track = trace(Refusing([]), RATE_HZ)
    assert phonemes_of(track) == ()
    assert track.facts["misfit"] is None
    assert track.facts["obstacle"] == "no"


def test_nothing_lies_on_disk_before_the_sound_or_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tracker = PhonemesTracker(FakeAligner([]), {}, "mmm", "en")  # as for a track that is cached
    assert list(tmp_path.iterdir()) == []
    tracker.update(AudioChunk(0.0, RATE_HZ, np.ones(RATE_HZ, np.float32)))
    assert len(list(tmp_path.iterdir())) == 1
    tracker.finish()
    assert list(tmp_path.iterdir()) == []
    assert len(PhonemesTracker(Refusing([]), {}, "mmm", "en").finish()) == 0  # without any sound


def test_the_name_says_all_that_decides() -> None:
    base = (FakeAligner([]), {}, "mmm", "en")
    names = {
        track_name(*base),
        track_name(base[0], {"a": 1}, "mmm", "en"),
        track_name(base[0], {}, "mm", "en"),
        track_name(base[0], {}, "mmm", "de"),
        track_name(FakeAligner([], version="9"), {}, "mmm", "en"),
    }
    assert len(names) == 5
